"""What a resource could look like, by one answer of its list: `tidegate add resource URL`. Pure.

Owns the guesses: format, list, key, version, cursor and paginator. Knows no HTTP beyond headers. Invariants: a proposal
reads the very answer it was made from; what one answer cannot show is listed and never filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.core.model import JsonObject
from tidegate.rules.sync import instants
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.formats import read_format, recognized
from tidegate.rules.sync.items import item_value, read_page, record_key
from tidegate.rules.sync.paginators.detect import at, detect
from tidegate.rules.sync.spec import Resource

MAX_DEPTH = 3
SHOWN_RECORDS = 3
KEYS = ("id", "uuid", "guid", "_id", "key", "gid", "sid", "number", "code", "slug", "name", "email")
LISTS = ("data", "items", "results", "records", "value", "values", "entries", "list", "rows", "content")
_UPDATED = re.compile(r"updat|modif|chang|edited|last_?activity", re.IGNORECASE)
_CREATED = re.compile(r"creat|publish|occurred|timestamp|date", re.IGNORECASE)


class Proposal(msgspec.Struct, frozen=True):
    """`toml`: the lines of the resource. `records`: the first ones it would make. `unknown`: what a person must say."""

    toml: list[str]
    rows: int
    records: list[JsonObject]
    evidence: list[str]
    unknown: list[str]


def propose(
    path: str, headers: Sequence[tuple[str, str]], body: bytes, params: Mapping[str, str], now_us: int
) -> Proposal:
    """The resource in an answer with status 200. ValueError when there is no data in it, as for HTML."""
    content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
    format_ = recognized(body, content_type)
    page = read_format(format_, body, content_type)
    evidence, unknown = [f"the body is {format_}"], []
    lines = [f"path = {_text(path)}"]
    if params:
        lines.append(f"params = {{ {', '.join(f'{_text(name)} = {_text(one)}' for name, one in params.items())} }}")
    if format_ != "json":
        lines.append(f"format = {_text(format_)}")
    value = parse_json(page.body) if page.rows is None else None
    shape = _shape(value) if page.rows is None else {}
    lines += [f"{name} = {_text(one)}" for name, one in shape.items() if one]
    resource = msgspec.convert({"path": path, "format": format_, **shape}, Resource)
    rows = [item_value(one) for one in read_page(200, body, resource, content_type).rows]
    records = [one for one in rows if isinstance(one, dict)]
    key = shape.get("key_field") or _key(records)
    if key is None:
        unknown.append("the key: no field is different in every row; name one, or a list: primary_key = [..., ...]")
    else:
        lines.append(f"primary_key = {_text(key)}")
        evidence.append(f"{key!r} is different in all {len(records)} rows")
    lines += _times(records, now_us, evidence, unknown)
    found = detect(headers, value, params, len(rows), key or "id")
    lines.append(found.pin)
    evidence.append(f"paginator: {found.evidence}")
    if not records:
        unknown.append("everything about records: the list is empty; ask again when it is not")
    if key is not None:
        unknown.append(
            f'item_path, such as "{path.partition("?")[0].rstrip("/")}/{{id}}", for deletes and pulls by key'
        )
    lines.append('poll = "5m"')
    shown = [{"key": record_key(one, key), "record": one} for one in records[:SHOWN_RECORDS]] if key else []
    return Proposal(lines, len(rows), shown, evidence, unknown)


def _shape(value: Any) -> dict[str, str]:
    """Where the records are: keys of the resource."""
    if isinstance(value, list):
        return {}
    lists = sorted(_lists(value, "", 0), key=lambda one: (-one[1], one[0].rpartition(".")[2] not in LISTS, len(one[0])))
    if lists:
        return {"data_selector": lists[0][0]}
    for path in ("", *[name for name in LISTS if isinstance(at(value, name), dict)]):
        members = at(value, path) if path else value
        if isinstance(members, dict) and len(members) > 1 and all(isinstance(one, dict) for one in members.values()):
            return {"data_selector": path or "$", "key_field": "id"}
    return {"data_selector": "$"}


def _lists(value: Any, path: str, depth: int) -> list[tuple[str, int]]:
    """(path, number of objects) of every list of objects; an empty list counts with its name."""
    if not isinstance(value, dict) or depth == MAX_DEPTH:
        return []
    found: list[tuple[str, int]] = []
    for name, inner in value.items():
        where = f"{path}.{name}" if path else name
        if isinstance(inner, list):
            objects = sum(isinstance(one, dict) for one in inner)
            if objects or (not inner and name in LISTS):
                found.append((where, objects))
        else:
            found += _lists(inner, where, depth + 1)
    return found


def _key(records: Sequence[JsonObject]) -> str | None:
    """The field that is a different text or number in every row; the usual names first, never a time."""
    names = (
        [name for name in records[0] if all(isinstance(one.get(name), str | int) for one in records)] if records else []
    )
    unique = [name for name in names if len({record_key(one, name) for one in records}) == len(records)]
    fits = [name for name in unique if record_key(records[0], name) and not _CREATED.search(name)]
    fits = [name for name in fits if not _UPDATED.search(name) and not isinstance(records[0][name], bool)]
    usual = [name for name in KEYS if name in fits]
    chosen = usual or [name for name in fits if name.lower().endswith("id")] or fits
    return chosen[0] if chosen else None


def _times(records: Sequence[JsonObject], now_us: int, evidence: list[str], unknown: list[str]) -> list[str]:
    """`version` and `incremental`, by the fields that are times in every row."""
    names = [name for name in (records[0] if records else {}) if all(_time(one.get(name), now_us) for one in records)]
    updated = [name for name in names if _UPDATED.search(name)]
    if updated:
        evidence.append(f"{updated[0]!r} is a time in every row")
        unknown.append(
            f"which parameter asks only for rows changed since {updated[0]!r}; look for since or updated_after"
        )
        return [
            f"version = {_text(updated[0])}",
            f'# incremental = {{ cursor_path = {_text(updated[0])}, param = "updated_since", lag = "10s" }}',
        ]
    created = next((name for name in names if _CREATED.search(name)), None)
    if created is not None:
        unknown.append(f"a version: {created!r} is the only time, and an edit may not change it; content is compared")
    elif records:
        unknown.append("a version: no field is a time in every row, so content is compared")
    return []


def _time(value: Any, now_us: int) -> bool:
    if isinstance(value, str):
        return instants.read(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return instants.detect([str(value)], now_us) is not None


def _text(value: str) -> str:
    """A TOML string."""
    return msgspec.json.encode(value).decode()
