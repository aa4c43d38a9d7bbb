"""Requests that are no events: how a provider proves that an address is ours, and what it wants back. Pure.

Owns the compiling of `Handshake` data to one function. What is echoed comes from a stranger as a rule, so it is
bounded, goes out as the content type the file says (with `nosniff`), is escaped in a JSON answer, and is never put
into a header when it is not printable ASCII. Knows no provider, no server and no store.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from tidegate.providers.shape import Handshake
from tidegate.receive.reading import as_text, parse
from tidegate.rules.inbound.signatures import Headers
from tidegate.rules.language.view import value_at

ECHO_LETTERS = 2048  # longer than any documented challenge
_PLACE = re.compile(r"\{(query|header|body):([^}|]+)(?:\|(hmac_hex|hmac_base64))?\}")


class Reply(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Asked(msgspec.Struct):
    """A request as handshakes see it. `parsed` is filled when a rule first looks into the body."""

    headers: Headers
    query: Mapping[str, str]
    body: bytes
    parsed: object = msgspec.UNSET

    def value(self, kind: str, name: str) -> str:
        if kind == "query":
            return self.query.get(name, "")
        if kind == "header":
            return self.headers.get(name.lower().encode(), b"").decode("latin-1")
        if self.parsed is msgspec.UNSET:
            self.parsed = parse(self.body)
        return as_text(value_at(self.parsed, name))


class CompiledHandshake(msgspec.Struct, frozen=True):
    method: str
    signed: bool
    answer: Callable[[Asked], Reply | None]  # None: this request is not that handshake


def asked(headers: Headers, query_string: bytes, body: bytes) -> Asked:
    try:
        query = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        query = {}
    return Asked(headers, query, body)


def compile_handshake(rule: Handshake, secrets: Sequence[str]) -> CompiledHandshake:
    """`secrets` key the HMAC of an answer that has one; the first that is set is used."""
    wanted = [
        (kind, name, value)
        for kind, names in (("header", rule.when_header), ("query", rule.when_query), ("body", rule.when_body))
        for name, value in names.items()
    ]
    key = next((secret for secret in secrets if secret), "").encode()
    as_json = rule.content_type.startswith("application/json")

    def answer(request: Asked) -> Reply | None:
        for kind, name, value in wanted:
            seen = request.value(kind, name)
            if not seen or (value != "*" and seen != value):
                return None
        body = _fill(rule.body, request, key, _json_text if as_json else _plain_text).encode("utf-8", "replace")
        headers = [(b"content-type", rule.content_type.encode()), (b"content-length", b"%d" % len(body))]
        headers.append((b"x-content-type-options", b"nosniff"))
        for name, text in rule.headers.items():
            filled = _fill(text, request, key, _header_text)
            headers.append((name.lower().encode(), filled.encode()))
        return Reply(rule.status, tuple(headers), body)

    return CompiledHandshake(rule.method, rule.signed, answer)


def _fill(template: str, request: Asked, key: bytes, write: Callable[[str], str]) -> str:
    def replace(match: re.Match[str]) -> str:
        text = request.value(match[1], match[2])[:ECHO_LETTERS]
        if match[3]:
            digest = hmac.digest(key, text.encode("utf-8", "replace"), hashlib.sha256)
            text = digest.hex() if match[3] == "hmac_hex" else b64encode(digest).decode()
        return write(text)

    return _PLACE.sub(replace, template)


def _plain_text(text: str) -> str:
    return text


def _json_text(text: str) -> str:
    """The inside of a JSON string."""
    return msgspec.json.encode(text.encode("utf-8", "replace").decode())[1:-1].decode()


def _header_text(text: str) -> str:
    return text if text.isascii() and text.isprintable() else ""
