"""Reads certificates and private keys in PEM, and says what is wrong with them before a connection needs them. Pure.

Owns the checks of `ca` and of client certificates. May not know which connection they are for. The library is imported
where it is used, because few configurations have certificates. Invariant: no error shows any part of a private key.
Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tidegate.core.errors import ConfigError
from tidegate.core.findings import Finding, finding

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

EXPIRING = timedelta(days=30)
MAX_CERTIFICATES = 1000  # of one `ca`; the systems' own lists have about 150
_BEGIN = "-----BEGIN "


def read_certificates(pem: str) -> list[Certificate]:
    """The certificates of a PEM text, at least one. ConfigError for anything else, and for a private key among them."""
    from cryptography import x509

    if "PRIVATE KEY-----" in pem:
        raise ConfigError("it holds a private key", hint="keep only the parts that begin with BEGIN CERTIFICATE")
    if _BEGIN not in pem:
        raise ConfigError("it is not a certificate in PEM", hint=_pem_hint(pem, "BEGIN CERTIFICATE"))
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise ConfigError(
            "it has a certificate that cannot be read", hint="openssl x509 -noout -text -in FILE"
        ) from None
    if len(found) > MAX_CERTIFICATES:
        raise ConfigError(f"it has more than {MAX_CERTIFICATES} certificates", hint="keep those that are needed")
    return found


def read_private_key(pem: str) -> PrivateKeyTypes:
    """The private key of a PEM text. ConfigError for anything else, and for a key with a passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if _BEGIN not in pem:
        raise ConfigError("it is not a private key in PEM", hint=_pem_hint(pem, "BEGIN PRIVATE KEY"))
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        hint = "openssl pkey -in FILE -out OPEN_FILE, or let a secret manager write the key without one"
        raise ConfigError("the private key has a passphrase", hint=hint) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("the private key cannot be read", hint="openssl pkey -noout -in FILE") from None


def check_pair(certificate: str, private_key: str) -> None:
    """ConfigError when the key is not the one of the first certificate."""
    if read_certificates(certificate)[0].public_key() != read_private_key(private_key).public_key():
        raise ConfigError(
            "the private key does not belong to the certificate",
            hint="use the key that the certificate was requested with; the certificate comes first, then its chain",
        )


def expires_at(pem: str) -> datetime:
    """When the first of its certificates to expire does so."""
    return min(one.not_valid_after_utc for one in read_certificates(pem))


def expired(pem: str, now_us: int) -> datetime | None:
    """When it expired; None when it is valid."""
    end = expires_at(pem)
    return end if end <= datetime.fromtimestamp(now_us / 1_000_000, UTC) else None


def why_rejected(pem: str, now_us: int) -> str:
    """What to say about a client certificate when the server ended the connection without an answer.

    A server says why in a TLS alert, but often closes the socket so soon that the alert is lost.
    """
    end = expired(pem, now_us)
    if end is not None:
        return f"; the client certificate expired on {end:%Y-%m-%d}"
    return "; the server may not accept the client certificate"


class Used(NamedTuple):
    """A certificate of the configuration. `authority`: it is `ca`, of which one valid certificate is enough."""

    subject: str  # KIND:NAME
    pem: str
    authority: bool


def findings_of(used: Iterable[Used], now_us: int) -> list[Finding]:
    """One for each certificate that has expired or does so within 30 days."""
    now = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    found = []
    for one in used:
        ends = _end(one.pem, one.authority)
        if ends is None or ends - now > EXPIRING:
            continue
        what = "`ca`" if one.authority else "The client certificate"
        if ends <= now:
            found.append(finding("certificate_expired", one.subject, f"{what} expired on {ends:%Y-%m-%d}."))
        else:
            left = f"{what} expires on {ends:%Y-%m-%d}, in {(ends - now).days} days."
            found.append(finding("certificate_expiring", one.subject, left))
    return found


@lru_cache(maxsize=1000)
def _end(pem: str, authority: bool) -> datetime | None:
    """When it is of no use any more; None for a text that cannot be read, which the check of the file reports."""
    try:
        ends = [one.not_valid_after_utc for one in read_certificates(pem)]
    except ConfigError:
        return None
    return max(ends) if authority else min(ends)


def _pem_hint(text: str, begin: str) -> str:
    if "\n" not in text.strip() and len(text) < 300:
        return 'to read a file, write "${file:PATH}"'
    return f"write the text that starts with -----{begin}-----"
