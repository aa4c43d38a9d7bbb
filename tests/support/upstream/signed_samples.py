"""Signs a sample of a provider file as the provider does, so that it can be sent through the real ingress."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tidegate.providers.shape import Provider, Sample
from tidegate.rules.inbound.places import query_fields
from tidegate.rules.inbound.signatures import Scheme
from tidegate.rules.inbound.signatures.parts import Signed, compile_parts
from tidegate.rules.inbound.signatures.scheme import secret_bytes
from tidegate.rules.language.body import read_body
from tidegate.rules.language.paths import parse_path
from tidegate.rules.language.view import walk

KEY = b"0123456789abcdef0123456789abcdef"


class SignedSample:
    def __init__(self, secret: str, headers: dict[str, str], query: str, body: bytes) -> None:
        self.secret, self.headers, self.query, self.body = secret, headers, query, body


def _secret(scheme: Scheme) -> tuple[str, object]:
    """(a secret of the scheme, the private key or None)."""
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    if scheme.kind == "ed25519":
        private = ed25519.Ed25519PrivateKey.from_private_bytes(KEY)
        public = private.public_key().public_bytes(*raw)
        return (public.hex() if scheme.secret_encoding == "hex" else base64.b64encode(public).decode()), private
    if scheme.kind in ("ecdsa", "rsa"):
        private = (
            ec.generate_private_key(ec.SECP256R1()) if scheme.kind == "ecdsa" else rsa.generate_private_key(65537, 2048)
        )
        der = serialization.Encoding.DER if scheme.secret_encoding == "base64" else serialization.Encoding.PEM
        public = private.public_key().public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)
        return (base64.b64encode(public).decode() if scheme.secret_encoding == "base64" else public.decode()), private
    encoded = {"hex": KEY.hex(), "base64": base64.b64encode(KEY).decode()}.get(
        scheme.secret_encoding, "user:s3cret-text"
    )
    return scheme.secret_prefix + encoded, None


def sign(provider: Provider, sample: Sample, now_s: int, url: str) -> SignedSample:
    """The sample with the signature of the provider's first scheme."""
    scheme = provider.schemes[0]
    secret, private = _secret(scheme)
    body = sample.body.replace('"{now_ms}"', str(now_s * 1000)).replace("{now}", str(now_s)).replace("{secret}", secret)
    headers = {"content-type": sample.content_type, **sample.headers}
    stamp = str(now_s * 1000 if scheme.timestamp_unit == "ms" else now_s)
    if scheme.timestamp_unit == "iso":
        stamp = "2027-01-15T08:00:00Z"
    assert now_s == 1_800_000_000
    if scheme.timestamp_header:
        headers[scheme.timestamp_header] = stamp
    if scheme.id_header:
        headers[scheme.id_header] = "msg_1"
    key = secret_bytes(scheme, secret) or b""
    value = read_body(body.encode(), sample.content_type).value
    if scheme.items:
        value = walk(value, parse_path(scheme.items))[0]
    request = Signed(
        {n.lower().encode(): v.encode() for n, v in headers.items()},
        body.encode(),
        "POST",
        url,
        stamp.encode(),
        b"msg_1",
        value,
    )
    signature = _signature(scheme, key, private, request, now_s)
    query = ""
    if scheme.header:
        head = f"{stamp}{scheme.list_separator}" if scheme.timestamp_first else ""
        if scheme.timestamp_prefix:
            head = f"{scheme.timestamp_prefix}{stamp}{scheme.list_separator}"
        headers[scheme.header] = f"{head}{scheme.prefix}{signature}"
    elif scheme.query:
        query = f"{scheme.query}={signature}"
        assert query_fields(query.encode())
    body = body.replace("{signature}", signature)
    if scheme.kind == "message":
        headers |= _message(key, body.encode(), now_s)
    return SignedSample(secret, headers, query, body.encode())


def _signature(scheme: Scheme, key: bytes, private: object, request: Signed, now_s: int) -> str:
    if scheme.kind == "token":
        return key.decode()
    if scheme.kind == "basic":
        return base64.b64encode(key).decode()
    if scheme.kind == "jwt":
        return _token(scheme, key, request, now_s)
    if scheme.kind == "message":
        return ""
    parts = compile_parts(scheme)(request)
    signed = b"".join(key if part == b"{secret}" else part for part in parts)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        raw = private.sign(signed)
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        raw = private.sign(signed, ec.ECDSA(hashes.SHA256()))
    elif isinstance(private, rsa.RSAPrivateKey):
        raw = private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    elif scheme.kind == "hash":
        raw = hashlib.new(scheme.digest, signed).digest()
    else:
        raw = hmac.digest(key, signed, scheme.digest)
    return raw.hex() if scheme.encoding == "hex" else base64.b64encode(raw).decode()


def _token(scheme: Scheme, key: bytes, request: Signed, now_s: int) -> str:
    digest = hashlib.sha256(request.body)
    words = {
        "{body_sha256_hex}": digest.hexdigest(),
        "{body_sha256_base64}": base64.b64encode(digest.digest()).decode(),
        "{url_sha256_hex}": hashlib.sha256(request.url.encode()).hexdigest(),
        "{secret}": key.decode(),
    }
    claims = {"iat": now_s, "exp": now_s + 60, **{name: words.get(text, text) for name, text in scheme.claims.items()}}
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return (signed + b"." + base64.urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"=")).decode()


def _message(key: bytes, body: bytes, now_s: int) -> dict[str, str]:
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    parameters = f'("@method" "content-digest");created={now_s};keyid="k"'
    base = f'"@method": POST\n"content-digest": {digest}\n"@signature-params": {parameters}'
    signature = base64.b64encode(hmac.digest(key, base.encode(), "sha256")).decode()
    return {"content-digest": digest, "signature-input": f"a={parameters}", "signature": f"a=:{signature}:"}
