"""Signs outgoing requests by the scheme of a provider, for receivers that verify one: Stripe, GitHub, Slack, ...

Owns the way from a `Scheme` to the headers of a request; the scheme is the one that verifies incoming requests. May not
know providers or where secrets are kept. Only schemes with a shared secret and a signature in a header can sign.
Invariant: what is signed here passes the verifier of the same scheme and secret. Crash: nothing is kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.errors import ConfigError
from tidegate.rules.inbound.signatures import Scheme
from tidegate.rules.inbound.signatures.parts import SECRET, Signed, compile_parts, names_of
from tidegate.rules.inbound.signatures.scheme import secret_bytes
from tidegate.rules.language.text import FORM_TYPE, media_type

_KINDS = ("hmac", "hash", "token", "basic")
_PARTS = ("body", "timestamp", "id", "method", "url", "url_without_query", "form", "secret")


class Message(msgspec.Struct, frozen=True, gc=False):
    """One request before it is signed. `timestamp`: seconds since 1970 of this attempt. `url`: with its query."""

    id: str
    timestamp: int
    method: str
    url: str
    body: bytes
    content_type: str = ""


SchemeSigner = Callable[[Message], list[tuple[str, str]]]


def can_sign(scheme: Scheme) -> bool:
    """Whether a scheme has a shared secret, a signature in a header, and signs parts that every request has."""
    simple = not (scheme.items or scheme.timestamp_path or scheme.name_separator)
    return bool(scheme.kind in _KINDS and scheme.header and simple and set(names_of(scheme)) <= set(_PARTS))


def compile_scheme_signer(name: str, schemes: Sequence[Scheme], secrets: Sequence[str]) -> SchemeSigner:
    """A function from a request to the headers that sign it. `secrets`: newest first. `name`: of the provider.

    With several secrets (rotation) all sign where the scheme has a list, and else the newest. Raises ConfigError when
    the provider has no scheme that can sign, or no secret fits it.
    """
    usable = [scheme for scheme in schemes if can_sign(scheme)]
    if not usable:
        raise ConfigError(
            f"{name!r} has no scheme with a shared secret in a header, so Tidegate cannot sign by it",
            path="$.sign",
            hint='use sign = "standard-webhooks", or a provider such as stripe, github or slack',
        )
    for scheme in usable:
        keys = [key for key in (secret_bytes(scheme, secret) for secret in secrets) if key]
        if keys:
            return _signer(scheme, keys if scheme.list_separator else keys[:1])
    raise ConfigError(f"the secret is not valid for the scheme of {name!r}", path="$.secret", hint="correct `secret`")


def added_query(schemes: Sequence[Scheme], message: Message) -> str:
    """The parameter that a signed URL has to have beside its own; "" for nearly all requests.

    Twilio signs a form by its fields. Every other body is signed by its hash in the URL (`bodySHA256`).
    """
    name = next((one.body_hash_query for one in schemes if can_sign(one)), "")
    if not name or _is_form(message):
        return ""
    return f"{name}={hashlib.sha256(message.body).hexdigest()}"


def _is_form(message: Message) -> bool:
    return media_type(message.content_type) == FORM_TYPE


def header_names(schemes: Sequence[Scheme]) -> frozenset[str]:
    """Names in lower case of the headers that signing may set; a provider's own are not passed on beside them."""
    found = (name for one in schemes for name in (one.header, one.timestamp_header, one.id_header) if can_sign(one))
    return frozenset(name.lower() for name in found if name)


def _signer(scheme: Scheme, keys: Sequence[bytes]) -> SchemeSigner:
    parts_of = compile_parts(scheme)
    separator = scheme.list_separator

    def sign(message: Message) -> list[tuple[str, str]]:
        stamp = _stamp(scheme, message.timestamp)
        body = b"" if scheme.body_hash_query and not _is_form(message) else message.body
        signed = Signed({}, body, message.method, message.url, stamp.encode(), message.id.encode())
        parts = parts_of(signed)
        entries = [scheme.timestamp_prefix + stamp] if scheme.timestamp_prefix or scheme.timestamp_first else []
        entries += [scheme.prefix + _value(scheme, key, parts) for key in keys]
        headers = [(scheme.header, (separator or ",").join(entries))]
        if scheme.timestamp_header:
            headers.append((scheme.timestamp_header, stamp))
        if scheme.id_header:
            headers.append((scheme.id_header, message.id))
        return headers

    return sign


def _stamp(scheme: Scheme, seconds: int) -> str:
    per_second = {"ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}.get(scheme.timestamp_unit)
    if per_second is not None:
        return str(seconds * per_second)
    return str(rfc3339(seconds * 1_000_000)) if scheme.timestamp_unit == "iso" else str(seconds)


def _value(scheme: Scheme, key: bytes, parts: Sequence[bytes]) -> str:
    if scheme.kind in ("token", "basic"):
        return (base64.b64encode(key) if scheme.kind == "basic" else key).decode("utf-8", "surrogatepass")
    if scheme.kind == "hmac":
        digest = hmac.digest(key, b"".join(parts), scheme.digest)
    else:
        text = b"".join(key if part is SECRET else part for part in parts)
        digest = hashlib.new(scheme.digest, text, usedforsecurity=False).digest()
    return digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode("ascii")
