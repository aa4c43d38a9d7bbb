"""HTTP message signatures (RFC 9421) with digests of the content (RFC 9530). Pure.

Owns the signature base and the rule that a body must be covered by `content-digest`, which must fit the body. Knows the
algorithms hmac-sha256, ed25519 and ecdsa-p256-sha256; the key decides which one is used, and `alg`, where it is given,
must agree. Invariant: nothing here raises; at most MAX_SIGNATURES of a request are tried. Crash: nothing is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from hmac import compare_digest
from urllib.parse import urlsplit

from tidegate.rules.inbound.signatures.parts import Signed
from tidegate.rules.inbound.signatures.public_keys import verify_with
from tidegate.rules.inbound.signatures.scheme import Scheme, Verification

MAX_SIGNATURES = 4
_MEMBER = re.compile(
    r'([a-z*][a-z0-9_.*-]*)=(\((?:[^()"]|"[^"]*")*\)(?:;[a-z*][a-z0-9_.*-]*(?:=(?:"[^"]*"|[^;,\s]+))?)*)'
)
_SIGNATURE = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):")
_ITEM = re.compile(r'"([^"]*)"((?:;[^\s;"]+(?:="[^"]*")?)*)')
_PARAMETER = re.compile(r';([a-z*][a-z0-9_.*-]*)=(?:"([^"]*)"|([^;,\s]+))')
_DIGEST = re.compile(r"(sha-256|sha-512)=:([A-Za-z0-9+/=]+):")


def compile_message_keys(scheme: Scheme, keys: Sequence[bytes]) -> list[Callable[[bytes, bytes, str], bool]]:
    """For each key a function (signature, signed, alg) -> whether it fits."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    def shared(key: bytes) -> Callable[[bytes, bytes, str], bool]:
        def check(signature: bytes, signed: bytes, alg: str) -> bool:
            return alg in ("", "hmac-sha256") and compare_digest(hmac.digest(key, signed, "sha256"), signature)

        return check

    def public(kind: str, name: str, key: bytes) -> Callable[[bytes, bytes, str], bool] | None:
        verify = verify_with(kind, "sha256", key)
        if verify is None:
            return None

        def check(signature: bytes, signed: bytes, alg: str) -> bool:
            if alg not in ("", name):
                return False
            if kind == "ecdsa":
                half = len(signature) // 2
                signature = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
            try:
                verify(signature, signed)
            except (InvalidSignature, ValueError):
                return False
            return True

        return check

    def of(key: bytes) -> Callable[[bytes, bytes, str], bool]:
        if key.lstrip()[:5] != b"-----":
            return shared(key)
        return (
            public("ed25519", "ed25519", key)
            or public("ecdsa", "ecdsa-p256-sha256", key)
            or (lambda signature, signed, alg: False)
        )

    return [of(key) for key in keys]


def check_message(
    scheme: Scheme, one: Signed, now_s: float, keys: Sequence[Callable[[bytes, bytes, str], bool]]
) -> tuple[Verification, int] | None:
    """(result, number of the key), or None when the request has no message signature."""
    inputs = one.headers.get(b"signature-input")
    signatures = one.headers.get(b"signature")
    if inputs is None or signatures is None:
        return None
    found = dict(_SIGNATURE.findall(signatures.decode("latin-1")))
    result = Verification.MALFORMED
    for label, parameters in _MEMBER.findall(inputs.decode("latin-1"))[:MAX_SIGNATURES]:
        signature = _base64(found.get(label, ""))
        base = _base(parameters, one)
        if not signature or base is None:
            continue
        fields = {
            name: quoted or bare for name, quoted, bare in _PARAMETER.findall(parameters[parameters.rindex(")") :])
        }
        for number, key in enumerate(keys):
            if key(signature, base.encode("latin-1", "replace"), fields.get("alg", "")):
                return _policy(scheme, parameters, fields, one, now_s), number
        result = Verification.SIGNATURE_WRONG
    return result, 0


def _policy(scheme: Scheme, parameters: str, fields: dict[str, str], one: Signed, now_s: float) -> Verification:
    """A right signature must be fresh and cover the body."""
    created, expires = fields.get("created", ""), fields.get("expires", "")
    if created.isdigit() and len(created) < 16:
        off = int(created) - now_s
        if abs(off) > scheme.tolerance_seconds:
            return Verification.TOO_OLD if off < 0 else Verification.TOO_NEW
    elif not expires:
        return Verification.TIMESTAMP_MISSING
    if expires and (not expires.isdigit() or int(expires[:16]) < now_s):
        return Verification.TOO_OLD
    covered = {name for name, _ in _ITEM.findall(parameters[: parameters.rindex(")")])}
    if one.body and "content-digest" not in covered and "content-digest" in scheme.signed:
        return Verification.SIGNATURE_WRONG
    if "content-digest" in covered and not digest_fits(one.headers.get(b"content-digest", b""), one.body):
        return Verification.SIGNATURE_WRONG
    return Verification.OK


def digest_fits(header: bytes, body: bytes) -> bool:
    """Whether a Content-Digest (RFC 9530) is of this body; every SHA-2 digest that is given must fit, one at least."""
    given = _DIGEST.findall(header.decode("latin-1"))
    return bool(given) and all(
        compare_digest(_base64(text), hashlib.new(name.replace("-", ""), body).digest()) for name, text in given
    )


def _base(parameters: str, one: Signed) -> str | None:
    """The signature base, or None when a covered component is not in the request or not known."""
    lines = []
    seen = set()
    for name, options in _ITEM.findall(parameters[: parameters.rindex(")")]):
        value = _component(name, one) if not options else None
        if value is None or name in seen:
            return None
        seen.add(name)
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {parameters}')
    return "\n".join(lines)


def _component(name: str, one: Signed) -> str | None:
    if not name.startswith("@"):
        value = one.headers.get(name.encode("latin-1", "replace"))
        return None if value is None or name != name.lower() else value.decode("latin-1").strip()
    parts = urlsplit(one.url)
    query = f"?{parts.query}"
    derived = {
        "@method": one.method,
        "@target-uri": one.url,
        "@authority": parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80"),
        "@scheme": parts.scheme,
        "@path": parts.path or "/",
        "@query": query,
        "@request-target": (parts.path or "/") + (query if parts.query else ""),
    }
    return derived.get(name)


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
