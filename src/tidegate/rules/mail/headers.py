"""Header fields of a message: encoded words, addresses, dates and message ids. Pure.

Owns the reading of single fields. Knows no bodies. Uses the standard library's parsers for RFC 2047 and RFC 5322 and
bounds what they return. Invariant: nothing here raises; a field that cannot be read gives its raw text, or nothing.
"""

from __future__ import annotations

import inspect
import re
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

import msgspec

MAX_ADDRESSES = 500
MAX_FIELD_CHARACTERS = 100_000
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,500})>")
_BETWEEN_WORDS = re.compile(r"(=\?[^?\s]+\?[bqBQ]\?[^?]*\?=)\s+(?==\?)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Strict parsing returns nothing for a list with one odd address. Older releases of Python do not know the parameter.
_LENIENT = {"strict": False} if "strict" in inspect.signature(getaddresses).parameters else {}


class Address(msgspec.Struct):
    """`address` is as the sender wrote it; nothing proves that it is theirs."""

    name: str
    address: str


def fields(parsed: Message, name: str) -> list[str]:
    """All fields with this name, unfolded. Not `get_all`: it replaces bytes beyond ASCII, which raw mail often has."""
    found = [value for one, value in parsed.raw_items() if one.lower() == name]
    return [" ".join(_text(value)[:MAX_FIELD_CHARACTERS].split()) for value in found]


def one_line(parsed: Message, name: str) -> str:
    """The first field with this name, unfolded; "" without one."""
    return next(iter(fields(parsed, name)), "")


def decoded(value: str) -> str:
    """A field with its encoded words (RFC 2047) as text. Text that is not encoded and not ASCII is taken as UTF-8."""
    value = _text(value)
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(_BETWEEN_WORDS.sub(r"\1", value))
    except (HeaderParseError, ValueError, LookupError):
        return value
    return "".join(_piece(raw, charset) for raw, charset in pieces)


def addresses(parsed: Message, name: str) -> list[Address]:
    """The addresses of all fields with this name, at most MAX_ADDRESSES, in order."""
    lines = fields(parsed, name)
    found = []
    for shown, address in getaddresses(lines, **_LENIENT):
        if address or shown:
            found.append(Address(_CONTROL.sub("", decoded(shown))[:500], _CONTROL.sub("", address)[:500]))
        if len(found) >= MAX_ADDRESSES:
            break
    return found


def message_ids(line: str) -> list[str]:
    """The ids in a field without their angle brackets; a bare word counts as one."""
    found = [_CONTROL.sub("", one) for one in _MESSAGE_ID.findall(line)]
    if found:
        return found
    bare = _CONTROL.sub("", line.strip().strip("<>"))
    return [bare[:500]] if bare and " " not in bare else []


def instant_text(date: str) -> str | None:
    """A Date field as RFC 3339 in UTC. A date without a zone is taken as UTC (RFC 5322 section 3.3, `-0000`)."""
    try:
        at = parsedate_to_datetime(date)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at.year >= 1970 else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _text(value: object) -> str:
    """Raw bytes beyond ASCII arrive as surrogates: most are UTF-8, the rest Windows-1252."""
    text = str(value)
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _piece(raw: bytes | str, charset: str | None) -> str:
    if isinstance(raw, str):
        return raw
    for name in (charset, "utf-8"):
        try:
            if name:
                return raw.decode(name)
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    return raw.decode("cp1252", "replace")
