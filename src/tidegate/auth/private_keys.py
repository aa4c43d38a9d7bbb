"""Private keys and the JSON Web Tokens that they sign (RFC 7515, 7523). Pure.

Owns which forms of a key are read and the algorithms; `cryptography` does the mathematics. It may not know what a token
is for. Invariants: the algorithm must fit the key; no message holds a part of the key. Crash: nothing is kept.
"""

from __future__ import annotations

import functools
import hmac
from base64 import urlsafe_b64encode
from typing import Any, Literal

import msgspec

from tidegate.core.model import JsonObject

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512"]
_FAMILIES = {"RS": "an RSA key", "PS": "an RSA key", "ES": "an elliptic-curve key", "Ed": "an Ed25519 key"}
_CURVES = {"ES256": ("secp256r1", 32), "ES384": ("secp384r1", 48)}
_DIGESTS = {"256": "sha256", "384": "sha384", "512": "sha512"}
MIN_RSA_BITS = 2048


def private_key_problem(text: str, algorithm: str) -> str:
    """Why a key cannot sign with an algorithm; "" when it can."""
    if algorithm.startswith("HS"):
        return "" if len(text) >= 16 else "a shared key for HS needs at least 16 characters"
    pem = normal_pem(text)
    if "BEGIN CERTIFICATE" in pem:
        return "this is a certificate, not a private key"
    if "PUBLIC KEY" in pem:
        return "this is a public key, not a private key"
    if "ENCRYPTED" in pem:
        return "the private key is encrypted with a passphrase"
    if "BEGIN" not in pem:
        return "this is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)"
    try:
        key = _load(pem)
    except ValueError:
        return "the private key in PEM form cannot be read; it may be cut"
    if not _fits(key, algorithm):
        return f"{algorithm} needs {_FAMILIES[algorithm[:2]]}" + (
            f" on {_CURVES[algorithm][0]}" if algorithm in _CURVES else ""
        )
    if getattr(key, "key_size", MIN_RSA_BITS) < MIN_RSA_BITS and algorithm[:2] in ("RS", "PS"):
        return f"the RSA key has {key.key_size} bits; {MIN_RSA_BITS} are needed"
    return ""


def sign_jwt(claims: JsonObject, key: str, algorithm: str, header: JsonObject | None = None) -> str:
    """A signed token in compact form. ValueError when the key does not fit, which `private_key_problem` explains."""
    head = {"alg": algorithm, "typ": "JWT", **(header or {})}
    signed = f"{_url64(msgspec.json.encode(head))}.{_url64(msgspec.json.encode(claims))}"
    return f"{signed}.{_url64(_signature(signed.encode(), key, algorithm))}"


def normal_pem(text: str) -> str:
    r"""A key from a variable often has `\n` for its line breaks."""
    return text.replace("\\r", "").replace("\\n", "\n").strip() + "\n" if "\\n" in text else text


def _url64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@functools.lru_cache(maxsize=64)
def _load(pem: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem.encode(), None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("unsupported") from error


def _fits(key: Any, algorithm: str) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm in _CURVES:
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVES[algorithm][0]
    return isinstance(key, ed25519.Ed25519PrivateKey if algorithm == "EdDSA" else rsa.RSAPrivateKey)


def _signature(signed: bytes, text: str, algorithm: str) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if algorithm.startswith("HS"):
        return hmac.digest(text.encode(), signed, _DIGESTS[algorithm[2:]])
    key = _load(normal_pem(text))
    if not _fits(key, algorithm):
        raise ValueError(f"{algorithm} needs another kind of key")
    if algorithm == "EdDSA":
        return bytes(key.sign(signed))
    digests: dict[str, Any] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
    digest = digests[algorithm[2:]]()
    if algorithm in _CURVES:
        size = _CURVES[algorithm][1]
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
        return r.to_bytes(size) + s.to_bytes(size)
    if algorithm.startswith("PS"):
        pss = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        return bytes(key.sign(signed, pss, digest))
    return bytes(key.sign(signed, padding.PKCS1v15(), digest))
