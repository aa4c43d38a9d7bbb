"""JSON Web Tokens as signatures: the token is signed, and its claims cover the body and the address. Pure.

Owns the algorithms that are taken (never `none`, and a secret never where a public key is expected), the time claims
and the claims of hashes. Knows no network: keys of `keys_url` are handed in. Invariant: nothing here raises on a token;
a body is covered by a claim or empty. Crash: nothing is kept.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest
from typing import Any

import msgspec

from tidegate.core.model import JsonObject
from tidegate.rules.inbound.signatures.parts import Signed
from tidegate.rules.inbound.signatures.public_keys import from_url_alphabet, load_jwk, load_key
from tidegate.rules.inbound.signatures.scheme import Scheme, Verification

MAX_TOKEN = 16 * 1024  # characters
LEEWAY_SECONDS = 5.0
_BITS = {"256": "sha256", "384": "sha384", "512": "sha512"}
_COMPUTED: dict[str, Callable[[Signed], str]] = {
    "{body_sha256_hex}": lambda one: hashlib.sha256(one.body).hexdigest(),
    "{body_sha256_base64}": lambda one: b64encode(hashlib.sha256(one.body).digest()).decode(),
    "{url_sha256_hex}": lambda one: hashlib.sha256(one.url.encode("utf-8", "surrogatepass")).hexdigest(),
}
COMPUTED_CLAIMS = tuple(_COMPUTED)

Keys = Callable[[str], Any]
"""From a key id to a public key, None for an unknown one."""


def check_token(
    scheme: Scheme, token: bytes, one: Signed, now_s: float, secrets: Sequence[bytes], keys: Keys
) -> tuple[Verification, int]:
    """(result, number of the secret that verified it, from 0)."""
    parts = token.split(b".")
    if len(token) > MAX_TOKEN or len(parts) != 3:
        return Verification.MALFORMED, 0
    head, claims, signature = _json(parts[0]), _json(parts[1]), from_url_alphabet(parts[2])
    if not isinstance(head, dict) or not isinstance(claims, dict) or signature is None:
        return Verification.MALFORMED, 0
    number = _signed_by(scheme, head, parts[0] + b"." + parts[1], signature, secrets, keys)
    if number is None:
        return Verification.SIGNATURE_WRONG, 0
    if number < 0:
        return Verification.KEY_UNKNOWN, 0
    timed = _timed(claims, now_s, scheme.max_age_seconds)
    if timed is not Verification.OK:
        return timed, number
    return (Verification.OK if _covers(scheme.claims, claims, one, secrets) else Verification.SIGNATURE_WRONG), number


def _signed_by(
    scheme: Scheme, head: Mapping[str, Any], signed: bytes, signature: bytes, secrets: Sequence[bytes], keys: Keys
) -> int | None:
    """The number of the secret; None when no key fits, -1 when the key is not known (yet)."""
    algorithm = head.get("alg")
    if not isinstance(algorithm, str) or (algorithm[2:] not in _BITS and algorithm != "EdDSA"):
        return None
    if algorithm.startswith("HS") and scheme.keys_url:
        return None  # the secret is not a key there, and everybody may know it
    if algorithm.startswith("HS"):
        for number, secret in enumerate(secrets):
            if load_key(secret) is None and compare_digest(
                hmac.digest(secret, signed, _BITS[algorithm[2:]]), signature
            ):
                return number
        return None
    key_id = head.get("kid")
    found = keys(key_id) if isinstance(key_id, str) else None
    if found is not None:
        return 0 if _verified(algorithm, found, signature, signed) else None
    for number, secret in enumerate(() if scheme.keys_url else secrets):
        key = load_key(secret)
        if key is not None and _verified(algorithm, key, signature, signed):
            return number
    return -1 if scheme.keys_url else None


def _verified(algorithm: str, key: Any, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    digests: JsonObject = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
    digest = digests.get(algorithm[2:])
    try:
        if algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
            return True
        if digest is None:
            return False
        if algorithm.startswith("ES") and isinstance(key, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            numbers = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(digest()))
            return True
        if algorithm.startswith("RS") and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), digest())
            return True
        if algorithm.startswith("PS") and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PSS(padding.MGF1(digest()), padding.PSS.DIGEST_LENGTH), digest())
            return True
    except (InvalidSignature, ValueError):
        return False
    return False


def _timed(claims: Mapping[str, Any], now_s: float, max_age_seconds: float) -> Verification:
    expires, begins, issued = (_number(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if expires is not None and now_s > expires + LEEWAY_SECONDS:
        return Verification.TOO_OLD
    if begins is not None and now_s < begins - LEEWAY_SECONDS:
        return Verification.TOO_NEW
    if max_age_seconds:
        if issued is None:
            return Verification.TIMESTAMP_MISSING
        if abs(now_s - issued) > max_age_seconds:
            return Verification.TOO_OLD if issued < now_s else Verification.TOO_NEW
    return Verification.OK


def _number(value: Any) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 else None
    )


def _covers(wanted: Mapping[str, str], claims: Mapping[str, Any], one: Signed, secrets: Sequence[bytes]) -> bool:
    """Every wanted claim is there and fits. The hash of an empty body may be left out, of any other it may not."""
    for name, text in wanted.items():
        held = claims.get(name)
        if held is None and text.startswith("{body_") and not one.body:
            continue
        if text == "{secret}":
            if not isinstance(held, str) or not any(compare_digest(held.encode(), secret) for secret in secrets):
                return False
            continue
        computed = _COMPUTED.get(text)
        expected = computed(one) if computed is not None else text
        if not isinstance(held, str) or not compare_digest(held.encode(), expected.encode()):
            return False
    return True


def key_set(document: bytes) -> JsonObject:
    """The public keys of a JSON Web Key Set by key id; keys of unknown kinds are left out."""
    try:
        keys = msgspec.json.decode(document)["keys"]
        return {key["kid"]: loaded for key in keys if (loaded := load_jwk(key)) is not None}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
        return {}


def _json(text: bytes) -> Any:
    raw = from_url_alphabet(text)
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
