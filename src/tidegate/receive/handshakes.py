"""Answers the handshake requests by which a provider checks that you own an address. Pure.

Owns the step from `Handshake` data to one function. Echoed values come from untrusted callers, so they are bounded,
sent with the content type of the provider file and `nosniff`, escaped in JSON answers, and left out of headers unless
they are printable ASCII. Knows no provider, no server and no store. Crash: nothing is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tidegate.providers.shape import Handshake
from tidegate.rules.inbound.places import Headers, query_fields
from tidegate.rules.inbound.signatures.certificates import pinned_url
from tidegate.rules.inbound.signatures.scheme import tidy
from tidegate.rules.inbound.values import as_text
from tidegate.rules.language.body import read_body
from tidegate.rules.language.view import value_at

ECHO_CHARACTERS = 2048  # longer than any documented challenge
_PLACE = re.compile(r"\{(query|header|body):([^}|]+)(?:\|(hmac_hex|hmac_base64))?\}")


class Reply(msgspec.Struct, frozen=True):
    """A complete HTTP answer."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class HandshakeRequest(msgspec.Struct):
    """A request as handshakes see it. `parsed` is filled when a rule first reads the body."""

    headers: Headers
    query: Mapping[str, str]
    body: bytes
    parsed: object = msgspec.UNSET

    def value(self, kind: str, name: str) -> str:
        if kind == "query":
            return self.query.get(name, "")
        if kind == "header":
            return self.headers.get(name.lower().encode(), b"").decode("latin-1")
        return self.path(name)

    def path(self, name: str) -> str:
        """The text at a path of the body."""
        if self.parsed is msgspec.UNSET:
            self.parsed = read_body(self.body, self.headers.get(b"content-type", b"").decode("latin-1")).value
        return as_text(value_at(self.parsed, name))


class CompiledHandshake(msgspec.Struct, frozen=True):
    method: str
    signed: bool
    answer: Callable[[HandshakeRequest], Reply | None]  # None: this request is not that handshake
    shown: Callable[[HandshakeRequest], str]  # what the operator has to enter somewhere, "" when nothing
    visited: Callable[[HandshakeRequest], str] | None = None  # the URL to fetch first, "" when it is of another host


def handshake_request(headers: Headers, query_string: bytes, body: bytes) -> HandshakeRequest:
    return HandshakeRequest(headers, query_fields(query_string), body)


def compile_handshake(rule: Handshake, secrets: Sequence[str], token: str = "") -> CompiledHandshake:
    """Compile one handshake. The first non-empty secret is the key of an answer with an HMAC.

    A wanted value `{token}` is the configured handshake token, `{secret}` any of the secrets; without one it fits
    nothing, and neither does a handshake that has the token in its answer.
    """
    wanted = [
        (kind, name, value)
        for kind, names in (("header", rule.when_header), ("query", rule.when_query), ("body", rule.when_body))
        for name, value in names.items()
    ]
    key = _key(rule, secrets)
    body_template = rule.body.replace("{token}", tidy(token))  # before anything of a request is in it
    unanswerable = "{token}" in rule.body and not tidy(token)
    pattern = re.compile(rule.pattern) if rule.pattern else None
    known = {"{token}": [tidy(token)], "{secret}": [tidy(secret) for secret in secrets]}
    as_json = rule.content_type.startswith("application/json")

    def answer(request: HandshakeRequest) -> Reply | None:
        if unanswerable:
            return None
        for kind, name, value in wanted:
            seen = request.value(kind, name)
            if not seen or not _fits(seen, value, known):
                return None
            if pattern is not None and value == "*" and not pattern.fullmatch(seen):
                return None
        body = _fill(body_template, request, key, _json_text if as_json else _plain_text).encode("utf-8", "replace")
        headers = [(b"content-type", rule.content_type.encode()), (b"content-length", b"%d" % len(body))]
        headers.append((b"x-content-type-options", b"nosniff"))
        for name, text in rule.headers.items():
            filled = _fill(text, request, key, _header_text)
            headers.append((name.lower().encode(), filled.encode()))
        return Reply(rule.status, tuple(headers), body)

    def shown(request: HandshakeRequest) -> str:
        return _fill(rule.show, request, key, _header_text) if rule.show else ""

    def visited(request: HandshakeRequest) -> str:
        return pinned_url(_fill(rule.visit, request, key, _header_text), rule.visit_hosts)

    return CompiledHandshake(rule.method, rule.signed, answer, shown, visited if rule.visit else None)


def _key(rule: Handshake, secrets: Sequence[str]) -> tuple[bytes, str]:
    """The key of an answer with an HMAC, and its digest."""
    key = tidy(next((secret for secret in secrets if secret), "")).encode()
    if rule.secret_digest:
        key = hashlib.new(rule.secret_digest, key, usedforsecurity=False).digest()
    return key, rule.digest


def _fits(seen: str, value: str, known: Mapping[str, Sequence[str]]) -> bool:
    secrets = known.get(value)
    if secrets is None:
        return value in ("*", seen)
    given = seen.encode("utf-8", "surrogatepass")
    return any(one and hmac.compare_digest(given, one.encode()) for one in secrets)


def _fill(template: str, request: HandshakeRequest, key: tuple[bytes, str], write: Callable[[str], str]) -> str:
    def replace(match: re.Match[str]) -> str:
        text = request.value(match[1], match[2])[:ECHO_CHARACTERS]
        if match[3]:
            digest = hmac.digest(key[0], text.encode("utf-8", "replace"), key[1])
            text = digest.hex() if match[3] == "hmac_hex" else b64encode(digest).decode()
        return write(text)

    return _PLACE.sub(replace, template)


def _plain_text(text: str) -> str:
    return text


def _json_text(text: str) -> str:
    """The text escaped for use inside a JSON string."""
    return msgspec.json.encode(text.encode("utf-8", "replace").decode())[1:-1].decode()


def _header_text(text: str) -> str:
    return text if text.isascii() and text.isprintable() else ""
