"""Reading the items of a page: where the list stands, which field is the key, which the version.

Owns dotted paths over parsed JSON and over JSON that is only skimmed (`msgspec.Raw`), so that a page of ten thousand
items is cut into items without holding the loop and each is parsed in its turn. May not know HTTP. A field that is
missing or of another type is None, never an error; a page without a list is a ValueError.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.rules.language.view import value_at
from tidegate.rules.sync.canonical import parse_json

MAX_KEY_CHARACTERS = 512
Page = dict[str, Any] | list[Any] | msgspec.Raw | None

_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def field(value: Any, path: str) -> Any:
    """The value at a dotted path, a name that has the dots itself before all; None when it is not there."""
    return value[path] if path and isinstance(value, dict) and path in value else value_at(value, path)


def page_value(data: bytes, path: str) -> Any:
    """The parsed value at a dotted path of a page, without parsing the rest."""
    raw = _skim(data.removeprefix(BOM_UTF8), path)
    return None if raw is None else parse_json(raw)


def page_items(data: bytes, selector: str) -> Sequence[msgspec.Raw | Any]:
    """The items of a page, not parsed yet (`item_value` does). ValueError when there is no list where it should be.

    With an empty selector the page is the list itself, or an object with exactly one list in it.
    """
    data = data.removeprefix(BOM_UTF8)  # some sources begin with one
    try:
        raw = _skim(data, selector)
    except msgspec.DecodeError:
        return _parsed_items(data, selector)  # lone surrogates and the like: the slow way
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if raw is None:
        raise ValueError(f"nothing at {selector!r} in the page")
    first = _first_byte(raw)
    try:
        if first == b"[":
            return _LIST.decode(raw)
        if first == b"{" and not selector:
            return _LIST.decode(_only_list(_ENVELOPE.decode(raw)))
    except msgspec.DecodeError:
        return _parsed_items(data, selector)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    raise ValueError(f"no list at {selector or 'the top'!r} in the page")


def item_value(item: msgspec.Raw | Any) -> Any:
    """The parsed item. ValueError when it cannot be read."""
    return parse_json(item) if isinstance(item, msgspec.Raw) else item


def record_key(record: Any, path: str) -> str | None:
    """The key of a record as text: text unchanged, whole numbers in digits; None when the item is not a record."""
    value = field(record, path)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    if not text or len(text) > MAX_KEY_CHARACTERS or "\0" in text:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def record_version(record: Any, path: str) -> str | None:
    """The version of a record as text; None without a path, or when the field is neither text nor a number."""
    value = field(record, path) if path else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


def unwrap(value: Any, key_path: str) -> Any:
    """The record of an item's own page: itself, or the one object in it that has the key (`{"order": {...}}`)."""
    if isinstance(value, dict) and field(value, key_path) is None:
        inner = [part for part in value.values() if isinstance(part, dict) and field(part, key_path) is not None]
        if len(inner) == 1:
            return inner[0]
    return value


def _skim(data: bytes | msgspec.Raw, path: str) -> msgspec.Raw | bytes | None:
    current: bytes | msgspec.Raw = data
    for part in path.split(".") if path else ():
        first = _first_byte(current)
        if first == b"{":
            found = _ENVELOPE.decode(current).get(part)
        elif first == b"[" and part.isdecimal() and len(part) < 9:
            items = _LIST.decode(current)
            found = items[int(part)] if int(part) < len(items) else None
        else:
            return None
        if found is None:
            return None
        current = found
    return current


def _first_byte(data: bytes | msgspec.Raw) -> bytes:
    return bytes(memoryview(data)[:64]).lstrip()[:1]


def _only_list(envelope: dict[str, msgspec.Raw]) -> msgspec.Raw:
    lists = {name: raw for name, raw in envelope.items() if _first_byte(raw) == b"["}
    if len(lists) != 1:
        names = ", ".join(sorted(lists)[:5]) or "none"
        raise ValueError(f"the page has {len(lists)} lists ({names}); say which with data_selector")
    return next(iter(lists.values()))


def _parsed_items(data: bytes, selector: str) -> list[Any]:
    value = field(parse_json(data), selector)
    if isinstance(value, dict) and not selector:
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else None
    if not isinstance(value, list):
        raise ValueError(f"no list at {selector or 'the top'!r} in the page")
    return value
