"""An event as filters, transforms, templates and `explain` see it.

Owns the parsing of bodies: untrusted bytes become plain values or None. May not know what the values are used for.
Invariant: nothing here raises, whatever the bytes are; every value can be written as JSON in UTF-8 and is nested at
most 64 levels deep, so callers may use recursion. Crash: nothing is kept.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import msgspec

from tidegate.core.model import Event, NewEvent, Origin

MAX_DEPTH = 64  # providers nest at most about 20 levels deep
MAX_FORM_FIELDS = 1000
FORM_TYPE = "application/x-www-form-urlencoded"


class Missing:
    """The type of MISSING, the value at a path that does not exist. It is not null, which a payload can hold."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()

_HEADERS: Final = msgspec.json.Decoder(list[tuple[str, str]])
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A parsed body. `as_written`: the bytes are valid JSON of `value`, so they can be sent unchanged."""

    value: Any
    as_written: bool


UNREADABLE: Final = Parsed(None, False)


def event_view(event: NewEvent | Event) -> dict[str, Any]:
    """The parts of an event by the names that filters use. Each call makes a new dict and parses `data` again."""
    return {
        "type": event.type,
        "source": event.source,
        "origin": event.origin.value,
        "key": event.key,
        "data": payload(event),
        "headers": header_map(event.headers),
        "change": change_of(event),
    }


def payload(event: NewEvent | Event) -> Any:
    """`data`: the parsed body, or the part at `data_path`; None when it is absent or unreadable."""
    return value_at(parse_body(event).value, event.data_path)


def parse_body(event: NewEvent | Event) -> Parsed:
    """The whole body. The object UNREADABLE when it is neither JSON nor a form, or nested too deeply."""
    kind = media_type(event.content_type)
    body = event.body
    if _is_json(kind) or body.lstrip()[:1] in (b"{", b"["):
        parsed = _parse_json(body)
        # `curl -d` and some senders label JSON as a form. A form never starts with a brace, which it encodes as %7B.
        return _parse_form(event) if parsed is UNREADABLE and kind == FORM_TYPE else parsed
    return _parse_form(event) if kind == FORM_TYPE else UNREADABLE


def media_type(content_type: str) -> str:
    """`application/json` of `Application/JSON; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def _is_json(kind: str) -> bool:
    """Also types with the suffix +json (RFC 6839)."""
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def header_map(headers: bytes) -> dict[str, str]:
    """Stored headers by lower-case name; the values of a repeated name are joined by commas (RFC 9110 section 5.3)."""
    out: dict[str, str] = {}
    for name, value in header_list(headers):
        name = name.lower()
        out[name] = f"{out[name]}, {value}" if name in out else value
    return out


def header_list(headers: bytes) -> list[tuple[str, str]]:
    if not headers:
        return []
    try:
        return _HEADERS.decode(headers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def change_of(event: NewEvent | Event) -> dict[str, Any] | None:
    if not event.change:
        return None
    try:
        return _OBJECT.decode(event.change)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def dig(value: Any, dotted_path: str) -> Any:
    """The value at `a.b.0.c`, or MISSING. "" is the value itself; digits index a list; no negative index."""
    if not dotted_path:
        return value
    for name in dotted_path.split("."):
        value = step(value, name)
        if value is MISSING:
            return MISSING
    return value


def value_at(value: Any, dotted_path: str) -> Any:
    """As `dig`, but None for a missing value."""
    found = dig(value, dotted_path)
    return None if found is MISSING else found


def step(value: Any, name: str) -> Any:
    """One step of `dig`: the field of an object or the item of a list, else MISSING."""
    if isinstance(value, dict):
        return value.get(name, MISSING)
    if isinstance(value, list) and is_index(name):
        index = int(name)
        return value[index] if index < len(value) else MISSING
    return MISSING


def is_index(name: str) -> bool:
    """At most seven ASCII digits. (`"²".isdigit()` is true, but `int("²")` raises.)"""
    return name.isascii() and name.isdigit() and len(name) <= 7


# -- bodies ----------------------------------------------------------------------------------------------


def _parse_json(body: bytes) -> Parsed:
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        return UNREADABLE
    except ValueError:  # malformed, not UTF-8, or a number outside the range of float and int
        return _parse_json_leniently(body)
    return Parsed(value, True) if _shallow(body, value) else UNREADABLE


def _parse_json_leniently(body: bytes) -> Parsed:
    """Accepts what real senders write and a strict parser rejects: a byte order mark and lone surrogates.

    A string that was cut inside a surrogate pair ends in `\\ud83d`, which JSON allows (RFC 8259 section 8.2) and
    Unicode does not. It is read as U+FFFD, so that one broken name does not hide a payment from every filter.
    """
    marked = body.startswith(b"\xef\xbb\xbf")
    if not marked and b"\\ud" not in body and b"\\uD" not in body:
        return UNREADABLE
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_reject, parse_float=_finite)
        return Parsed(_scrub(value), False) if _shallow(body, value) else UNREADABLE
    except (ValueError, RecursionError):
        return UNREADABLE


def _reject(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number


def _scrub(value: Any) -> Any:
    """`value` with lone surrogates replaced."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_scrub(item) for item in value]
    if isinstance(value, dict):
        return {_scrub(name): _scrub(item) for name, item in value.items()}
    return value


def _shallow(body: bytes, value: Any) -> bool:
    """Whether the value is at most MAX_DEPTH deep. Counting brackets decides it for nearly all bodies."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return True
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return True
    return False


def _children(value: Any) -> list[Any]:
    """The children that can have children of their own."""
    if isinstance(value, dict):
        return [item for item in value.values() if isinstance(item, dict | list)]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict | list)]
    return []


def _parse_form(event: NewEvent | Event) -> Parsed:
    """Fields by name; a repeated name has a list of values. Invalid UTF-8 is read as U+FFFD.

    When the only field of a webhook is `payload` and holds JSON, the result is that JSON: GitHub sends this format
    unless the webhook is configured to send JSON.
    """
    try:
        pairs = parse_qsl(event.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        return UNREADABLE
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    only = fields.get("payload") if event.origin is Origin.WEBHOOK and len(fields) == 1 else None
    inner = _parse_json(only.encode()) if isinstance(only, str) and only[:1] in ("{", "[") else UNREADABLE
    return Parsed(fields if inner is UNREADABLE else inner.value, False)
