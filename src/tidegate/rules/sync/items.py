"""Reading a page: where its list is, which field of a row is the key, which the version.

Owns the forms of a list and of an empty one, the wrapping of single items, keys and versions. Knows no HTTP beyond a
status. Invariant: a page without a list is an error that names what the page has, or an empty list that is counted by
its form. Rows are cut out of the page without parsing them, and each is parsed in its turn.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.core.model import JsonObject
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.formats import BadRow, read_format
from tidegate.rules.sync.header_row import named_rows
from tidegate.rules.sync.paths import compiled, first_byte, is_raw, skim, without_bom
from tidegate.rules.sync.spec import Resource

MAX_KEY_CHARACTERS = 512
KEY_SEPARATOR = "|"  # between the parts of a composite key; a part that has one is written with a backslash
SHOWN_CHARACTERS = 200

_KEY_TYPES = (str, int)  # a union would be made for each row
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ERROR_NAMES = ("error", "errors", "fault", "exception", "error_code", "errorcode", "error_message", "errormessage")
_EMPTY_VALUES = (b"null", b"false", b'""', b"{}")  # what some languages write for an empty list
_FALSE_NAMES = ("ok", "success", "succeeded")
_STATUS_NAMES = ("status", "result", "stat", "state", "code", "statuscode", "status_code", "errcode")
_ERROR_WORDS = ("error", "err", "fail", "failed", "failure", "denied", "unauthorized", "forbidden", "ko")
_MESSAGE_NAMES = ("message", "msg", "detail", "description", "reason", "title", "errmsg")
_FINE_CODES = (0, 1, *range(200, 300))
_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9._:-]+)", re.IGNORECASE)


class PageRows(msgspec.Struct, frozen=True):
    """The rows of a page, not parsed yet (`item_value` does). `empty_form` names the form of an empty list."""

    rows: Sequence[Any]
    empty_form: str = ""  # "[]", null, absent, 204, empty body, or the status
    body: bytes = b"null"  # of the page as JSON, for paginators


class ErrorBody(ValueError):
    """An answer with a status of success whose body is an error."""


def field(value: Any, path: str) -> Any:
    """The value at a path of a parsed value; None when it is not there."""
    if path and isinstance(value, dict) and path in value:
        return value[path]
    found = compiled(path).first(value)
    return None if found is MISSING else found


def page_value(data: bytes, path: str) -> Any:
    """The parsed value at a path of a page, without parsing the rest; None when it is not there."""
    raw = skim(data, path)
    return None if raw is MISSING else parse_json(raw)


def decoded(body: bytes, content_type: str | None) -> bytes:
    """The body as UTF-8, by the charset of its Content-Type. ValueError when the body is not in that charset."""
    match = _CHARSET.search(content_type or "")
    if match is None or match[1].lower().replace("_", "-") in ("utf-8", "utf8", "us-ascii"):
        return body
    try:
        return body.decode(codecs.lookup(match[1]).name).encode("utf-8", "surrogatepass")
    except LookupError:
        return body
    except UnicodeDecodeError as error:
        raise ValueError(
            f"the body is not {match[1]} at byte {error.start}, although its Content-Type says so"
        ) from None


def read_page(status: int, body: bytes, resource: Resource, content_type: str = "") -> PageRows:
    """The rows of an answer. ValueError when there is no list where it should be, ErrorBody when it is an error.

    With an empty selector the page is the list itself, or an object with exactly one list in it.
    """
    if status in (204, 205) or (status in resource.empty):
        return PageRows((), str(status))
    page = read_format(resource.format, body, content_type)
    if page.rows is not None:
        return PageRows(
            page.rows, "" if page.rows else "empty body" if not without_bom(body).strip() else "[]", page.body
        )
    check_error(page.body, resource)
    if resource.key_field:
        found = _keyed(page.body, resource.data_selector, resource.key_field)
    else:
        found = _rows(page.body, resource.data_selector, no_lists=page.no_lists)
    if resource.header_row:
        found = PageRows(named_rows(found.rows), found.empty_form)
    return msgspec.structs.replace(found, body=page.body)


def read_item(body: bytes, resource: Resource, content_type: str = "") -> Any:
    """The parsed answer for one item. ValueError when it is not in the format of the resource."""
    page = read_format(resource.format, body, content_type)
    if page.rows is None:
        return parse_json(page.body)
    if len(page.rows) != 1:
        raise ValueError(f"the answer has {len(page.rows)} rows, not one")
    return item_value(page.rows[0])


def _keyed(body: bytes, selector: str, key_field: str) -> PageRows:
    """The members of an object as rows; each gets its name as `key_field`."""
    raw = compiled(selector).first(body)
    if raw is MISSING or first_byte(raw) == b"n":
        return _absent(body, selector) if raw is MISSING else PageRows((), "null")
    if first_byte(raw) == b"[" and not _LIST.decode(raw):
        return PageRows((), "[]")  # PHP writes an empty object so
    if first_byte(raw) != b"{":
        raise ValueError(f"key_field needs an object at {selector or 'the top'!r}: {shown(bytes(raw))}")
    rows: list[Any] = []
    for name, member in _ENVELOPE.decode(raw).items():
        value = parse_json(member)
        rows.append({**(value if isinstance(value, dict) else {"value": value}), key_field: name})
    return PageRows(rows, "" if rows else "{}")


def _rows(body: bytes, selector: str, *, no_lists: bool = False) -> PageRows:
    path = compiled(selector)
    try:
        if path.wildcard:
            return _wildcard(body, selector)
        raw = path.first(body)
        if raw is MISSING:
            return _absent(body, selector)
        if no_lists and selector and first_byte(raw) == b"{":
            return PageRows([raw])
        if no_lists and selector and first_byte(raw) == b'"' and not parse_json(raw):
            return PageRows((), "empty element")
        return _list_of(raw, body, selector)
    except msgspec.DecodeError:
        return _parsed_rows(body, selector)  # lone surrogates and the like: the slow way
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _list_of(raw: Any, body: bytes, selector: str) -> PageRows:
    first = first_byte(raw)
    if first == b"[":
        rows = _LIST.decode(raw)
        return PageRows(rows, "" if rows else "[]")
    if first in b'nf"{' and bytes(raw) in _EMPTY_VALUES:
        if selector and first_byte(body) == b"{":
            _raise_error_body(_ENVELOPE.decode(body))  # GraphQL: {"data": null, "errors": [...]}
        return PageRows((), bytes(raw).decode())
    if first == b"{" and selector == "$":
        return PageRows([raw])
    if first == b"{" and not selector:
        return _only_list(_ENVELOPE.decode(raw), body)
    if first == b"{":
        names = ", ".join(sorted(_ENVELOPE.decode(raw))[:5])
        raise ValueError(
            f"there is an object at {selector!r}, not a list; it has: {names}. "
            'When its members are the records, set key_field; when the answer is one record, data_selector = "$"'
        )
    parse_json(raw)
    raise ValueError(f"there is no list at {selector or 'the top'!r}: {shown(bytes(raw))}")


def _only_list(envelope: dict[str, msgspec.Raw], body: bytes) -> PageRows:
    lists = {name: raw for name, raw in envelope.items() if first_byte(raw) == b"["}
    if len(lists) == 1:
        rows = _LIST.decode(next(iter(lists.values())))
        return PageRows(rows, "" if rows else "[]")
    if not lists:
        _raise_error_body(envelope)
        _raise_error_code(envelope)
        nulls = [name for name, raw in envelope.items() if bytes(raw) == b"null"]
        if len(nulls) == 1:
            return PageRows((), "null")
        names = ", ".join(sorted(envelope)[:8]) or "nothing"
        raise ValueError(f"the page is an object without a list; it has: {names}. Say where the list is: data_selector")
    names = ", ".join(sorted(lists)[:5])
    raise ValueError(f"the page has {len(lists)} lists ({names}); say which with data_selector")


def _absent(body: bytes, selector: str) -> PageRows:
    """An object without the list is an empty list, unless it is an error; anything else is not a page."""
    if without_bom(body).strip() in (b"null", b"[]"):  # PHP writes an empty object as []
        return PageRows((), without_bom(body).strip().decode())
    if first_byte(body) != b"{":
        raise ValueError(f"there is nothing at {selector!r} in the page: {shown(body)}")
    envelope = _ENVELOPE.decode(body)
    _raise_error_body(envelope)
    _raise_error_code(envelope)
    return PageRows((), "absent")


def _wildcard(body: bytes, selector: str) -> PageRows:
    """`data.*.items`: the lists that the path selects, one after the other; other values are rows themselves."""
    rows: list[Any] = []
    for raw in compiled(selector).all(body):
        rows.extend(_LIST.decode(raw) if first_byte(raw) == b"[" else [raw])
    if not rows and first_byte(body) == b"{":
        _raise_error_body(_ENVELOPE.decode(body))
    return PageRows(rows, "" if rows else "absent")


def _parsed_rows(body: bytes, selector: str) -> PageRows:
    value = parse_json(body)
    found = compiled(selector).first(value)
    if isinstance(found, dict) and not selector:
        lists = [inner for inner in found.values() if isinstance(inner, list)]
        found = lists[0] if len(lists) == 1 else None
    if found is None and selector:
        return PageRows((), "null")
    if not isinstance(found, list):
        raise ValueError(f"there is no list at {selector or 'the top'!r} in the page")
    return PageRows(found, "" if found else "[]")


# -- errors with a status of success -----------------------------------------------------------------------


def check_error(body: bytes, resource: Resource) -> None:
    """ErrorBody when `error_path` has a value or `ok_path` is not true."""
    if resource.error_path:
        raw = skim(body, resource.error_path)
        if raw is not MISSING and parse_json(raw) not in (None, False, "", 0, [], {}):
            raise ErrorBody(f"the answer has an error at {resource.error_path!r}: {shown(bytes(raw))}")
    if resource.ok_path:
        raw = skim(body, resource.ok_path)
        if raw is MISSING or parse_json(raw) in (None, False, "", 0, "false"):
            raise ErrorBody(f"the answer is not true at {resource.ok_path!r}: {shown(body)}")


def _raise_error_body(envelope: dict[str, msgspec.Raw]) -> None:
    """A page without its list that has a member named like an error is one."""
    for name, raw in envelope.items():
        value = bytes(raw)
        if name.lower() in _ERROR_NAMES and value not in (b"null", b"false", b'""', b"[]", b"{}", b"0"):
            raise ErrorBody(f"the answer is an error: {shown(b'{' + msgspec.json.encode(name) + b': ' + value + b'}')}")
        if name.lower() in _FALSE_NAMES and value == b"false":
            raise ErrorBody(f"the answer says that it failed: {name} is false")


def _raise_error_code(envelope: dict[str, msgspec.Raw]) -> None:
    """A page without its list whose status is an error: `{"status": "error"}`, `{"code": 50001, "message": ...}`."""
    members = {name.lower(): parse_json(raw) for name, raw in envelope.items() if len(bytes(raw)) <= MAX_KEY_CHARACTERS}
    for name in _STATUS_NAMES:
        value = members.get(name)
        text = value.strip().lower() if isinstance(value, str) else ""
        number = int(text) if text.isdecimal() and len(text) < 10 else value
        is_number = isinstance(number, int) and not isinstance(number, bool)
        has_words = any(isinstance(members.get(one), str) and members[one] for one in _MESSAGE_NAMES)
        if text in _ERROR_WORDS or (is_number and number not in _FINE_CODES and has_words):
            said = shown(encode_json({one: found for one, found in members.items() if found is not None}))
            raise ErrorBody(f"the answer is an error: {said}")


def partial_errors(body: bytes, selector: str) -> str:
    """The errors beside the rows of a page, as GraphQL answers for what it could not read; "" without any."""
    if not selector or b'"errors"' not in body or first_byte(without_bom(body)) != b"{":
        return ""
    raw = bytes(_ENVELOPE.decode(without_bom(body)).get("errors", b"null"))
    return shown(raw) if raw[:1] == b"[" and raw[1:].strip() != b"]" else ""


def shown(body: bytes) -> str:
    """The beginning of an answer as one line of text."""
    text = " ".join(body[: SHOWN_CHARACTERS * 4].decode("utf-8", "replace").split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


# -- rows ----------------------------------------------------------------------------------------------------


def item_value(item: Any) -> Any:
    """The parsed row. ValueError when it cannot be read."""
    if type(item) is msgspec.Raw:
        return parse_json(item)
    if isinstance(item, BadRow):
        raise ValueError(item.reason)
    return parse_json(item) if is_raw(item) else item


def row_text(item: Any) -> str:
    """The beginning of a row as it came, for reports."""
    if isinstance(item, BadRow):
        return shown(item.text)
    return shown(bytes(item) if is_raw(item) else repr(item).encode("utf-8", "replace"))


def row_key(record: Any, path: str | list[str]) -> str:
    """The key of a record as text. ValueError says why a row has none."""
    if not isinstance(record, dict):
        raise ValueError(f"the row is {_type(record)}, not an object")
    if isinstance(path, str):
        return _key_text(field(record, path), path, record)
    parts = [_key_text(field(record, one), one, record) for one in path]
    key = KEY_SEPARATOR.join(part.replace("\\", "\\\\").replace(KEY_SEPARATOR, f"\\{KEY_SEPARATOR}") for part in parts)
    if len(key) > MAX_KEY_CHARACTERS:
        raise ValueError(f"the key has {len(key)} characters; at most {MAX_KEY_CHARACTERS} are stored")
    return key


def record_key(record: Any, path: str | list[str]) -> str | None:
    """The key of a record as text; None when it has none."""
    try:
        return row_key(record, path)
    except ValueError:
        return None


def key_parts(key: str) -> list[str]:
    """The parts of a composite key."""
    parts = [""]
    escaped = False
    for character in key:
        if escaped or character not in (KEY_SEPARATOR, "\\"):
            parts[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            parts.append("")
    return parts


def _key_text(value: Any, path: str, record: JsonObject) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value == "":
        names = ", ".join(list(record)[:8])
        raise ValueError(f"no key at {path!r}; the row has: {names}")
    if isinstance(value, bool) or not isinstance(value, _KEY_TYPES):
        raise ValueError(f"the key at {path!r} is {_type(value)}, not text or a whole number")
    text = str(value)
    if len(text) > MAX_KEY_CHARACTERS:
        raise ValueError(f"the key at {path!r} has {len(text)} characters; at most {MAX_KEY_CHARACTERS} are stored")
    if "\0" in text:
        raise ValueError(f"the key at {path!r} has a NUL character")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the key at {path!r} is not valid Unicode") from None
    return text


def _type(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", type(None): "null"}
    return names.get(type(value), "an object")


def record_version(record: Any, path: str) -> str | None:
    """The version of a record as text; None without a path, or when the field is neither text nor a number."""
    value = field(record, path) if path else None
    if type(value) is str:
        return value or None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else f"{value!r}"
    return str(value) or None


def cursor_value(record: Any, paths: str | list[str]) -> str | None:
    """The cursor of a record: the first of the paths that has a value."""
    for path in [paths] if isinstance(paths, str) else paths:
        found = record_version(record, path)
        if found is not None:
            return found
    return None


def unwrap(value: Any, key_path: str | list[str], key: str, selector: str = "") -> Any:
    """The record in the answer for one item: at `item_selector`, or the outermost object that has the key.

    Sources wrap an item in an object (`{"order": {...}}`), in a list (`{"data": [{...}]}`), or in both.
    """
    if selector:
        found = compiled(selector).first(value)
        value = found[0] if isinstance(found, list) and len(found) == 1 else found
        return None if value is MISSING else value
    if record_key(value, key_path) == key:
        return value
    inner = [(depth, one) for depth, one in _objects(value, 0) if record_key(one, key_path) == key]
    nearest = min((depth for depth, _ in inner), default=0)
    outermost = [one for depth, one in inner if depth == nearest]
    return outermost[0] if len(outermost) == 1 else value


def _objects(value: Any, depth: int) -> list[tuple[int, JsonObject]]:
    """(depth, object) of the objects inside a value, at most four levels down."""
    if depth > 4:
        return []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found: list[tuple[int, JsonObject]] = []
    for part in parts:
        if isinstance(part, dict):
            found.append((depth, part))
        found += _objects(part, depth + 1)
        if len(found) > 1000:
            break
    return found
