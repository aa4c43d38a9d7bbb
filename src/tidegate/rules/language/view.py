"""An event as filters, transforms, templates and `explain` see it.

Owns the names under which the parts of an event are seen. May not know what is done with them. Invariant: nothing here
raises, whatever the bytes are; every value that comes out can be written as JSON in UTF-8 (`numbers.encode_json`) and
is nested at most 64 levels deep, so callers may use recursion. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from tidegate.core.model import Event, JsonObject, NewEvent, Origin
from tidegate.rules.language.body import MAX_DEPTH, Parsed, read_body
from tidegate.rules.language.numbers import read_float
from tidegate.rules.language.paths import Names, names_of
from tidegate.rules.language.stored_headers import (
    MISFIT,
    ORIGIN,
    PARENT,
    QUERY,
    TEST,
    VERIFIED,
    marks_of,
    read_headers,
)
from tidegate.rules.language.text import FORM_TYPE, media_type
from tidegate.rules.language.urlencoded import MAX_FORM_FIELDS

__all__ = [
    "FORM_TYPE", "MAX_DEPTH", "MAX_FORM_FIELDS", "MISFIT", "ORIGIN", "PARENT", "QUERY", "TEST", "VERIFIED", "Parsed",
    "media_type",
]  # fmt: skip

PARTS = (
    "type",
    "source",
    "origin",
    "key",
    "data",
    "body",
    "context",
    "headers",
    "query",
    "change",
    "test",
    "schema_error",
)
"""The parts of an event that a filter, transform or template may name."""


class Missing:
    """The type of MISSING, the value at a path that does not exist. It is not null, which a payload can hold."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()

_MARKS: Final = {name: marks_of(name) for name in (QUERY, PARENT, ORIGIN, VERIFIED, MISFIT, TEST)}
_OBJECT: Final = msgspec.json.Decoder(JsonObject, float_hook=read_float)


class EventView(dict[str, Any]):
    """The parts of an event by name. `unreadable`: why there is no `body` and no `data`; "" when the body was read."""

    __slots__ = ("unreadable",)
    unreadable: str


def event_view(event: NewEvent | Event) -> EventView:
    """The parts of an event by the names of PARTS. A fresh dict each time; the body is read each time.

    `body` is the whole body and `data` the part of it that the provider calls its payload; `context` has the fields
    beside `data`. Without such a part, or in a body that lacks it, `data` is the whole body and `context` is empty.
    """
    parsed = parse_body(event)
    names = names_of(event.data_path) or ()
    data = walk(parsed.value, names) if names else MISSING
    view = EventView(
        type=event.type,
        source=event.source,
        origin=event.origin.value,
        key=event.key,
        data=parsed.value if data is MISSING else data,
        body=parsed.value,
        context={} if data is MISSING else _beside(parsed.value, names),
        headers=header_map(event.headers),
        query=query_of(event.headers),
        change=change_of(event),
        test=is_test(event),
        schema_error=schema_error_of(event),
    )
    view.unreadable = parsed.why
    return view


def payload(event: NewEvent | Event) -> Any:
    """`data`: the parsed body, or the part of it that `data_path` names; None when it cannot be read."""
    return data_of(parse_body(event).value, event.data_path)


def data_of(body: Any, data_path: str) -> Any:
    """The part of a parsed body that is `data`: the whole when the path names nothing in it (Stripe's thin events)."""
    found = dig(body, data_path)
    return body if found is MISSING else found


def context_of(body: Any, data_path: str) -> JsonObject:
    """The fields of a parsed body beside `data`."""
    names = names_of(data_path) or ()
    return {} if not names or walk(body, names) is MISSING else _beside(body, names)


def _beside(value: Any, names: Names) -> JsonObject:
    """`value` without what is at `names`; objects that only lead there are left out too."""
    if not isinstance(value, dict):
        return {}
    beside = {name: item for name, item in value.items() if name != names[0]}
    below = _beside(value[names[0]], names[1:]) if len(names) > 1 and names[0] in value else {}
    return {**beside, names[0]: below} if below else beside


def parse_body(event: NewEvent | Event) -> Parsed:
    """The whole body, read by its content type and Content-Encoding. `Parsed.why` says why it could not be read."""
    encoding = ""
    if b"content-encoding" in event.headers:
        encoding = header_map(event.headers).get("content-encoding", "")
    return read_body(event.body, event.content_type, encoding, inner_json=event.origin is Origin.WEBHOOK)


def header_map(headers: bytes) -> dict[str, str]:
    """Stored headers by lower-case name; a name that comes twice is joined by a comma (RFC 9110 section 5.3)."""
    out: dict[str, str] = {}
    for name, value in header_list(headers):
        name = name.lower()
        out[name] = f"{out[name]}, {value}" if name in out else value
    return out


def header_list(headers: bytes) -> list[tuple[str, str]]:
    """Stored headers in order, without what Tidegate keeps beside them under names that begin with a colon."""
    return [pair for pair in read_headers(headers) if pair[0][:1] != ":"]


def noted(headers: bytes, name: str) -> str:
    """What Tidegate kept beside the stored headers under `name` (QUERY, ...); "" when nothing was kept."""
    for mark in _MARKS[name]:
        if mark in headers:
            return next((value for kept, value in read_headers(headers) if kept == name), "")
    return ""


def schema_error_of(event: NewEvent | Event) -> str | None:
    """What did not fit the JSON Schema of the event's type; None when all did, or there was none."""
    return noted(event.headers, MISFIT) or None


def is_test(event: NewEvent | Event) -> bool:
    """Whether `tidegate trigger` made the event."""
    return noted(event.headers, TEST) != ""


def query_of(headers: bytes) -> JsonObject:
    """The parameters of the request's query string by name; a name that comes twice has the list of its values."""
    text = noted(headers, QUERY)
    fields: JsonObject = {}
    for name, value in parse_qsl(text[:65536], keep_blank_values=True) if text else ():
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def change_of(event: NewEvent | Event) -> JsonObject | None:
    if not event.change:
        return None
    try:
        return _OBJECT.decode(event.change)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# -- paths -----------------------------------------------------------------------------------------------


def dig(value: Any, path: str) -> Any:
    """The value at a path such as `a.b.0."c.d"`, or MISSING. "" is the value itself; digits index a list."""
    names = names_of(path)
    return MISSING if names is None else walk(value, names)


def walk(value: Any, names: Names) -> Any:
    """As `dig`, for a path that was parsed."""
    for name in names:
        value = step(value, name)
        if value is MISSING:
            return MISSING
    return value


def value_at(value: Any, path: str) -> Any:
    """As `dig`, with None for what is not there."""
    found = dig(value, path)
    return None if found is MISSING else found


def step(value: Any, name: str) -> Any:
    """One step of `dig`: a name of an object or an index of a list, else MISSING."""
    if isinstance(value, dict):
        return value.get(name, MISSING)
    if isinstance(value, list) and is_index(name):
        index = int(name)
        return value[index] if index < len(value) else MISSING
    return MISSING


def is_index(name: str) -> bool:
    """ASCII digits, at most seven: `"²".isdigit()` is true and `int` of it raises."""
    return name.isascii() and name.isdigit() and len(name) <= 7
