"""Signatures with a certificate that the request names (PayPal, Amazon SNS). Pure.

Owns which certificates are trusted: the URL must be https on a host that the provider file names, the chain must lead
to an authority of this machine, the certificate must be of the name in the file and valid now. Knows no network: the
content of a URL is handed in. Invariant: nothing here raises on a request; a URL that the file does not name is never
asked for. Crash: nothing is kept beyond a bounded cache of parsed certificates.
"""

from __future__ import annotations

import functools
import re
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tidegate.rules.inbound.signatures.scheme import Scheme, Verification

MAX_URL = 500  # characters
MAX_CHAIN = 6  # certificates in one document


def certificate_url(scheme: Scheme, text: str) -> str:
    """The URL when it may be asked for, else ""."""
    return pinned_url(text, scheme.certificate_hosts)


def pinned_url(text: str, hosts: Sequence[str]) -> str:
    """The URL when it is https on one of the hosts, else "". A star stands for one label."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return ""
    if (
        len(text) > MAX_URL
        or not text.isascii()
        or parts.scheme != "https"
        or port not in (None, 443)
        or "@" in parts.netloc
    ):
        return ""
    host = (parts.hostname or "").lower()
    return text if any(_host_pattern(one).fullmatch(host) for one in hosts) else ""


@functools.lru_cache(maxsize=64)
def _host_pattern(text: str) -> re.Pattern[str]:
    """`sns.*.amazonaws.com`: a star stands for one label."""
    return re.compile(r"[a-z0-9-]+".join(re.escape(part) for part in text.split("*")))


def check_certificate(scheme: Scheme, document: bytes, signature: bytes, signed: bytes, now_s: float) -> Verification:
    """Whether the certificate in `document` (PEM, with its chain) may sign, and did."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        raw = b64decode(signature, validate=True)
        key = _trusted_key(document, scheme.certificate_name, int(now_s) // 3600)
    except ValueError:
        return Verification.SIGNATURE_WRONG
    if not isinstance(key, rsa.RSAPublicKey):
        return Verification.SIGNATURE_WRONG
    digest: Any = hashes.SHA1() if scheme.digest == "sha1" else hashes.SHA256()  # noqa: S303 - what SNS signs by default
    try:
        key.verify(raw, signed, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return Verification.SIGNATURE_WRONG
    return Verification.OK


@functools.lru_cache(maxsize=32)
def _trusted_key(document: bytes, name: str, hour: int) -> Any:
    """The key of the first certificate; None when its chain is not trusted within this hour."""
    from cryptography import x509
    from cryptography.x509.verification import PolicyBuilder, VerificationError

    leaf, *chain = x509.load_pem_x509_certificates(document)[:MAX_CHAIN]
    policy = PolicyBuilder().store(_authorities()).time(datetime.fromtimestamp(hour * 3600, UTC))
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(leaf, chain)
    except VerificationError:
        return None
    return leaf.public_key()


def _authorities() -> Any:
    """The authorities of this machine, read once."""
    return _store_of(_machine_authorities())


@functools.cache
def _machine_authorities() -> tuple[bytes, ...]:
    import ssl

    return tuple(ssl.create_default_context().get_ca_certs(binary_form=True))


@functools.lru_cache(maxsize=4)
def _store_of(certificates: tuple[bytes, ...]) -> Any:
    from cryptography import x509
    from cryptography.x509.verification import Store

    return Store([x509.load_der_x509_certificate(one) for one in certificates])
