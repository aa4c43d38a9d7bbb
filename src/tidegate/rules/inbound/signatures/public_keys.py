"""Signatures that a private key makes: Ed25519, ECDSA on P-256, RSA. Pure.

Owns the forms in which a public key is written: raw, DER or PEM, and a certificate. Imports `cryptography` when a
scheme is compiled, because most gateways verify no such signature. Invariant: a candidate that does not decode is
skipped; at most MAX_TRIED are verified, because each costs about 0.1 ms. Crash: nothing is kept.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.core.model import JsonObject
from tidegate.rules.inbound.signatures.hashes import Check
from tidegate.rules.inbound.signatures.scheme import Scheme

MAX_TRIED = 4
Verify = Callable[[bytes, bytes], None]  # (signature, signed); raises InvalidSignature


def load_key(key: bytes) -> Any:
    """A public key from PEM (a certificate too), DER or a JSON Web Key; None when it is none of them."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    try:
        if key.lstrip()[:1] == b"{":
            jwk = msgspec.json.decode(key)
            return load_jwk(jwk) if isinstance(jwk, dict) else None
        if b"-----BEGIN CERTIFICATE-----" in key:
            return x509.load_pem_x509_certificate(key).public_key()
        return load_pem_public_key(key) if key.lstrip()[:5] == b"-----" else load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return None


def _digest(name: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    known: JsonObject = {
        "sha1": hashes.SHA1,
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    return known[name]()


def verify_with(kind: str, digest: str, key: bytes) -> Verify | None:
    """None when the key is not one of this kind."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    if kind == "ed25519":
        try:
            public = ed25519.Ed25519PublicKey.from_public_bytes(key) if len(key) == 32 else load_key(key)
        except ValueError:
            return None
        return public.verify if isinstance(public, ed25519.Ed25519PublicKey) else None
    loaded = load_key(key)
    algorithm = _digest(digest)
    if kind == "ecdsa" and isinstance(loaded, ec.EllipticCurvePublicKey):
        return lambda signature, signed: loaded.verify(signature, signed, ec.ECDSA(algorithm))
    if kind == "rsa" and isinstance(loaded, rsa.RSAPublicKey):
        return lambda signature, signed: loaded.verify(signature, signed, padding.PKCS1v15(), algorithm)
    return None


def public_key_check(scheme: Scheme, key: bytes) -> Check | None:
    """None when the secret is not a public key of this kind."""
    from cryptography.exceptions import InvalidSignature

    verify = verify_with(scheme.kind, scheme.digest, key)
    if verify is None:
        return None

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        signed = b"".join(parts)
        for candidate in candidates[:MAX_TRIED]:
            signature = _decoded(candidate, scheme.encoding)
            if signature is not None:
                try:
                    verify(signature, signed)
                except (InvalidSignature, ValueError):
                    continue
                return True
        return False

    return check


def _decoded(candidate: bytes, encoding: str) -> bytes | None:
    try:
        if encoding == "hex":
            return binascii.unhexlify(candidate)
        text = candidate.rstrip(b"=")
        return b64decode(
            text + b"=" * (-len(text) % 4), altchars=b"-_" if b"-" in text or b"_" in text else None, validate=True
        )
    except ValueError:
        return None


def load_jwk(key: Mapping[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    def number(name: str) -> int:
        return int.from_bytes(from_url_alphabet(str(key[name]).encode()) or b"")

    try:
        match key.get("kty"), key.get("crv"):
            case "RSA", _:
                return rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
            case "EC", "P-256" | "P-384" | "P-521" as name:
                curves: JsonObject = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
                return ec.EllipticCurvePublicNumbers(number("x"), number("y"), curves[name]()).public_key()
            case "OKP", "Ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(from_url_alphabet(str(key["x"]).encode()) or b"")
    except (ValueError, KeyError):
        return None
    return None


def from_url_alphabet(text: bytes) -> bytes | None:
    """The bytes of base64 in the URL alphabet without padding; None when it is not that."""
    try:
        return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
