"""The signed parts of a request: the template of a scheme, compiled. Pure.

Owns what a template may name. Invariant: whatever cannot be read of a request gives bytes that no sender signed, and
never makes a part of the body unsigned. Crash: nothing is kept.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.signatures.scheme import Scheme
from tidegate.rules.inbound.values import as_text
from tidegate.rules.language.paths import parse_path
from tidegate.rules.language.view import MISSING, walk

SECRET = b"{secret}"  # stands for the key among the parts of a `hash` scheme; compared by identity
_PLACES = re.compile(r"\{([a-z0-9_]+(?::[^{}]+)?)\}")
_PLAIN = (
    *("body", "timestamp", "id", "method", "url", "url_without_query", "form", "url_and_form", "query_and_form"),
    *("secret", "crc32"),
)
TEMPLATE_PARTS = (*(name for name in _PLAIN if name not in ("secret", "crc32")), "path:NAME", "header:NAME")


class Signed(msgspec.Struct, gc=False):
    """What a template may take of one request."""

    headers: Headers
    body: bytes
    method: str
    url: str
    timestamp: bytes
    id: bytes
    value: Any = MISSING  # the parsed body, or the item whose signature is checked


Parts = Callable[[Signed], Sequence[bytes]]
QuickParts = Callable[[bytes, bytes, bytes], Sequence[bytes]]
_Piece = Callable[[Signed], bytes]


def compile_parts(scheme: Scheme) -> Parts:
    """The signed parts of a request. ConfigError for a template that names an unknown or missing part."""
    return _one_by_one(_pieces(scheme))


def _pieces(scheme: Scheme) -> list[tuple[str, bytes]]:
    """The template as (name, b"") and ("", literal)."""
    pieces: list[tuple[str, bytes]] = []
    for index, piece in enumerate(_PLACES.split(scheme.signed)):
        if index % 2:
            _check(scheme, piece)
            pieces.append((piece, b""))
        elif piece:
            pieces.append(("", piece.encode()))
    return pieces


def names_of(scheme: Scheme) -> list[str]:
    return _PLACES.findall(scheme.signed)


def _check(scheme: Scheme, piece: str) -> None:
    name, _, argument = piece.partition(":")
    if name == "secret" and scheme.kind not in ("hash", "certificate"):
        raise ConfigError(f'signed = {scheme.signed!r} contains {{secret}}, which only kind = "hash" may')
    if piece not in _PLAIN and not (name in ("path", "header", "line") and argument):
        raise ConfigError(f"signed = {scheme.signed!r} contains {{{piece}}}, which is not a part of a request")
    if name in ("path", "line"):
        parse_path(argument)
    timed = scheme.timestamp_header or scheme.timestamp_prefix or scheme.timestamp_path or scheme.timestamp_first
    if name == "timestamp" and not timed:
        raise ConfigError(f"signed = {scheme.signed!r} needs a timestamp, and no timestamp_header is given")
    if name == "id" and not scheme.id_header:
        raise ConfigError(f"signed = {scheme.signed!r} needs an id, and no id_header is given")


def quick_parts(scheme: Scheme) -> QuickParts | None:
    """(body, timestamp, id) -> signed parts, for nearly all providers: they sign the body last, after id and time."""
    pieces = _pieces(scheme)
    names = [name for name, _ in pieces]
    before = [name for name in names[:-1] if name]
    if not names or names[-1] != "body" or before not in ([], ["timestamp"], ["id", "timestamp"]):
        return None
    head = b"".join(b"%b" if name else literal.replace(b"%", b"%%") for name, literal in pieces[:-1])
    if not before:
        start = head % ()
        return (lambda body, *_: (start, body)) if start else (lambda body, *_: (body,))
    if before == ["timestamp"]:
        return lambda body, timestamp, _: (head % timestamp, body)
    return lambda body, timestamp, id_: (head % (id_, timestamp), body)


def _one_by_one(pieces: Sequence[tuple[str, bytes]]) -> Parts:
    steps = [_piece(name, literal) for name, literal in pieces]
    return lambda one: [step(one) for step in steps]


def _piece(name: str, literal: bytes) -> _Piece:
    if not name:
        return lambda one: literal
    if name == "secret":
        return lambda one: SECRET
    kind, _, argument = name.partition(":")
    if kind == "path":
        names = parse_path(argument)
        return lambda one: _written(walk(one.value, names))
    if kind == "line":  # name and value on lines of their own, nothing when it is absent (Amazon SNS)
        names = parse_path(argument)
        head = f"{names[-1]}\n".encode()
        return lambda one: head + value + b"\n" if (value := _written(walk(one.value, names))) else b""
    if kind == "header":
        header = argument.lower().encode("latin-1", "replace")
        return lambda one: one.headers.get(header, b"")
    return _PIECES[name]


def _written(value: Any) -> bytes:
    """A value of the body as senders put it into a signed text: null and absent are nothing."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return as_text(value).encode("utf-8", "surrogatepass")


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def url_and_form(url: str, body: bytes) -> bytes:
    """The URL with its parameters sorted, then the sorted form, both decoded (Plivo 3).

    A body that is not a form follows as it is.
    """
    base, _, query = url.partition("?")
    try:
        parameters = "&".join(f"{name}={value}" for name, value in _sorted_pairs(query))
        form = "".join(name + value for name, value in _sorted_pairs(body.decode())).encode("utf-8", "surrogatepass")
    except ValueError:
        return url.encode("utf-8", "surrogatepass") + body
    if parameters or body:
        base += f"?{parameters}"
    if parameters and body:
        base += "."
    return base.encode("utf-8", "surrogatepass") + (form or body)


def query_and_form(one: Signed) -> bytes:
    """Names and values of the query and of a form, sorted together; a body that is not a form follows (Zoho)."""
    query = one.url.partition("?")[2]
    is_form = one.headers.get(b"content-type", b"").lower().startswith(b"application/x-www-form-urlencoded")
    try:
        pairs = _sorted_pairs(f"{query}&{one.body.decode()}" if is_form else query)
    except ValueError:
        return query.encode("utf-8", "surrogatepass") + one.body
    text = "".join(name + value for name, value in pairs).encode("utf-8", "surrogatepass")
    return text if is_form else text + one.body


def _sorted_pairs(text: str) -> list[tuple[str, str]]:
    """ValueError for more parameters than any sender has."""
    return sorted(parse_qsl(text, keep_blank_values=True, max_num_fields=1000))


_PIECES: dict[str, _Piece] = {
    "body": lambda one: one.body,
    "timestamp": lambda one: one.timestamp,
    "id": lambda one: one.id,
    "method": lambda one: one.method.encode(),
    "url": lambda one: one.url.encode("utf-8", "surrogatepass"),
    "url_without_query": lambda one: _without_query(one.url).encode("utf-8", "surrogatepass"),
    "form": lambda one: form_text(one.body),
    "crc32": lambda one: str(zlib.crc32(one.body)).encode(),
    "url_and_form": lambda one: url_and_form(one.url, one.body),
    "query_and_form": query_and_form,
}


def form_text(body: bytes) -> bytes:
    """Names and values of a form, sorted, each value once, concatenated (Twilio, Mandrill)."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return body  # not "": a signature of the address alone must not cover a body that is not a form
    return "".join(name + value for name, value in sorted(set(pairs))).encode("utf-8", "surrogatepass")


def other_port(url: str) -> str:
    """The same URL with its standard port added, or removed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    if standard is None or port not in (None, standard) or parts.hostname is None:
        return url
    host = parts.netloc.removesuffix(f":{standard}") if port else f"{parts.netloc}:{standard}"
    return parts._replace(netloc=host).geturl()
