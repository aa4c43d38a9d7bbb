"""Signs a request as a provider does, for `tidegate trigger`: with the secret of the source, or with a throwaway key.

Owns the way from a scheme and a request to the same request with its signature, in the header, the query or the body. A
provider that signs with a key that only it has (Ed25519, ECDSA, RSA, certificates, JSON Web Keys) is stood in for by a
key that is made for one request: `stand_in` gives the scheme and the secret that accept that key and nothing else.
May not know samples, the configuration or who asks. Invariant: what is signed here passes `compile_verifier` of the
scheme and the secret that `stand_in` returned. Crash: a throwaway key is gone with the request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.rules.inbound.signatures.parts import SECRET, Signed, compile_parts
from tidegate.rules.inbound.signatures.scheme import Scheme, secret_bytes
from tidegate.rules.language.body import read_body
from tidegate.rules.language.paths import parse_path
from tidegate.rules.language.view import walk

PLACEHOLDER = "{signature}"  # in the body of a sample, where the signature belongs
KEY_ID = "tidegate-trigger"
_LIFETIME_SECONDS = 60
_HEX, _BASE64 = ("hex",), ("base64",)


class Draft(msgspec.Struct, frozen=True):
    """A request before it is signed. Header names in lower case; `url` has the query."""

    url: str
    headers: dict[str, str]
    body: bytes
    query: str = ""


class StandIn(msgspec.Struct, frozen=True):
    """What verifies and signs one request. `private`: the throwaway key, None when the source's own secret signs.

    `keys`: the content of a URL that the scheme asks for, instead of the provider's.
    """

    scheme: Scheme
    secret: str
    private: Any = None
    keys: Mapping[str, bytes] = {}


def stand_in(scheme: Scheme, secret: str) -> StandIn:
    """The scheme and secret for one request of `trigger`; those of the source where the secret can sign."""
    if scheme.kind == "certificate":
        # The same text, signed with a key of our own: a certificate of the provider's name cannot be made.
        text = scheme.signed.replace("{secret}", secret)
        plain = {"kind": "rsa", "signed": text, "certificate_url": "", "certificate_hosts": (), "certificate_name": ""}
        return _with_key(msgspec.structs.replace(scheme, **plain))
    if scheme.kind in ("ed25519", "ecdsa", "rsa"):
        return _with_key(scheme)
    if scheme.kind == "jwt" and (scheme.keys_url or secret.lstrip().startswith("-----BEGIN")):
        return _with_json_web_key(scheme, secret)
    return StandIn(scheme, secret)


def _with_key(scheme: Scheme) -> StandIn:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    if scheme.kind == "ed25519":
        private: Any = ed25519.Ed25519PrivateKey.generate()
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        text = raw.hex() if scheme.secret_encoding in _HEX else base64.b64encode(raw).decode()
        return StandIn(scheme, scheme.secret_prefix + text, private)
    private = (
        ec.generate_private_key(ec.SECP256R1()) if scheme.kind == "ecdsa" else rsa.generate_private_key(65537, 2048)
    )
    if scheme.secret_encoding in _BASE64:
        der = private.public_key().public_bytes(serialization.Encoding.DER, form)
        return StandIn(scheme, scheme.secret_prefix + base64.b64encode(der).decode(), private)
    return StandIn(scheme, private.public_key().public_bytes(serialization.Encoding.PEM, form).decode(), private)


def _with_json_web_key(scheme: Scheme, secret: str) -> StandIn:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    if not scheme.keys_url:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return StandIn(scheme, private.public_key().public_bytes(serialization.Encoding.PEM, form).decode(), private)
    numbers = private.public_key().public_numbers()
    x, y = (_url_text(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": x, "y": y}
    return StandIn(scheme, secret, private, {scheme.keys_url: msgspec.json.encode({"keys": [key]})})


def sign(one: StandIn, draft: Draft, now_us: int) -> Draft:
    """The request with its signature, made at `now_us`."""
    scheme = one.scheme
    key = secret_bytes(scheme, one.secret) or b""
    stamp = _stamp(scheme, now_us)
    headers = dict(draft.headers)
    if scheme.timestamp_header:
        headers[scheme.timestamp_header.lower()] = stamp
    if scheme.kind == "message":
        return msgspec.structs.replace(draft, headers=headers | _message(key, draft.body, now_us // 1_000_000))
    signed = _signed(scheme, draft, headers, stamp)
    signature = _signature(one, key, signed, now_us // 1_000_000)
    query = draft.query
    body = draft.body
    if scheme.header:
        headers[scheme.header.lower()] = _in_header(scheme, stamp, signature)
    elif scheme.query:
        query = f"{query}&{scheme.query}={signature}".lstrip("&")
    body = body.replace(PLACEHOLDER.encode(), signature.encode())
    return msgspec.structs.replace(draft, headers=headers, query=query, body=body)


def _signed(scheme: Scheme, draft: Draft, headers: Mapping[str, str], stamp: str) -> Signed:
    value = read_body(draft.body, headers.get("content-type", "")).value
    if scheme.items:
        items = walk(value, parse_path(scheme.items))
        value = items[0] if isinstance(items, list) and items else None
    if scheme.timestamp_path:
        found = walk(value, parse_path(scheme.timestamp_path))
        stamp = found if isinstance(found, str) else stamp
    id_ = headers.get(scheme.id_header.lower(), "") if scheme.id_header else ""
    by_name = {name.encode("latin-1", "replace"): text.encode("latin-1", "replace") for name, text in headers.items()}
    return Signed(by_name, draft.body, "POST", draft.url, stamp.encode(), id_.encode(), value)


def _stamp(scheme: Scheme, now_us: int) -> str:
    if scheme.timestamp_unit == "iso":
        return str(rfc3339(now_us - now_us % 1_000_000))
    number = {"ms": now_us // 1000, "us": now_us, "ns": now_us * 1000}.get(scheme.timestamp_unit, now_us // 1_000_000)
    return str(number)


def _in_header(scheme: Scheme, stamp: str, signature: str) -> str:
    separator = scheme.list_separator or ","
    if scheme.timestamp_first:
        return f"{stamp}{separator}{scheme.prefix}{signature}"
    if scheme.timestamp_prefix:
        return f"{scheme.timestamp_prefix}{stamp}{separator}{scheme.prefix}{signature}"
    return scheme.prefix + signature


def _signature(one: StandIn, key: bytes, request: Signed, now_s: int) -> str:
    scheme = one.scheme
    if scheme.kind == "token":
        return key.decode("utf-8", "surrogatepass")
    if scheme.kind == "basic":
        return base64.b64encode(key).decode()
    if scheme.kind == "jwt":
        return _token(one, key, request, now_s)
    text = b"".join(key if part is SECRET else part for part in compile_parts(scheme)(request))
    if one.private is not None:
        raw = _private_signature(scheme, one.private, text)
    elif scheme.kind == "hash":
        raw = hashlib.new(scheme.digest, text, usedforsecurity=False).digest()
    else:
        raw = hmac.digest(key, text, scheme.digest)
    return raw.hex() if scheme.encoding == "hex" else base64.b64encode(raw).decode()


def _private_signature(scheme: Scheme, private: Any, text: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    digest: Any = hashes.SHA1() if scheme.digest == "sha1" else hashes.SHA256()  # noqa: S303 - as the scheme says
    if scheme.kind == "ed25519":
        signature = private.sign(text)
    elif scheme.kind == "ecdsa":
        signature = private.sign(text, ec.ECDSA(hashes.SHA256()))
    else:
        signature = private.sign(text, padding.PKCS1v15(), digest)
    return bytes(signature)


def _token(one: StandIn, key: bytes, request: Signed, now_s: int) -> str:
    digest = hashlib.sha256(request.body)
    words = {
        "{body_sha256_hex}": digest.hexdigest(),
        "{body_sha256_base64}": base64.b64encode(digest.digest()).decode(),
        "{url_sha256_hex}": hashlib.sha256(request.url.encode()).hexdigest(),
        "{secret}": key.decode("utf-8", "surrogatepass"),
    }
    times = {"iat": now_s, "nbf": now_s, "exp": now_s + _LIFETIME_SECONDS}
    claims = {**times, **{name: words.get(text, text) for name, text in one.scheme.claims.items()}}
    head = {"alg": "HS256", "typ": "JWT"} if one.private is None else {"alg": "ES256", "typ": "JWT", "kid": KEY_ID}
    signed = ".".join(_url_text(msgspec.json.encode(part)) for part in (head, claims)).encode()
    raw = hmac.digest(key, signed, "sha256") if one.private is None else _elliptic(one.private, signed)
    return f"{signed.decode()}.{_url_text(raw)}"


def _elliptic(private: Any, text: bytes) -> bytes:
    """An ECDSA signature as JWT has it: both numbers, 32 bytes each."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(private.sign(text, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _message(key: bytes, body: bytes, now_s: int) -> dict[str, str]:
    """The three headers of an HTTP message signature (RFC 9421, RFC 9530)."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    parameters = f'("@method" "content-digest");created={now_s};keyid="{KEY_ID}"'
    base = f'"@method": POST\n"content-digest": {digest}\n"@signature-params": {parameters}'
    signature = base64.b64encode(hmac.digest(key, base.encode(), "sha256")).decode()
    return {"content-digest": digest, "signature-input": f"sig={parameters}", "signature": f"sig=:{signature}:"}


def _url_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
