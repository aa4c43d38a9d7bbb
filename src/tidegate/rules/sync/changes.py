"""Copies of records, and what changed between two of them. Pure.

Owns what a copy is, the shape of a change, and the comparison of values: by canonical JSON, and by value where a
webhook and a list write the same record in two notations. Knows no merge rule. Invariant: a change is made only of a
difference that a consumer can see.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tidegate.core.model import Change, Origin, RecordState
from tidegate.rules.sync.canonical import canonical, hash_bytes, parse_json, without
from tidegate.rules.sync.instants import read
from tidegate.rules.sync.versions import number, order

MAX_COMPARED = 20  # members that are compared one by one; more are written and compared as bytes


class Copy(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One copy of a record as it came. `asked_at_us` and `answered_at_us` are equal when a webhook pushed it."""

    key: str
    value: Any  # parsed; None for a delete that brought no record
    body: bytes  # canonical JSON of all of it; b"" for a delete that brought no record
    hash: bytes  # of the canonical JSON without the ignored fields
    version: str | None
    origin: Origin
    asked_at_us: int
    answered_at_us: int
    deleted: bool = False
    pushed: bool = False  # by a webhook
    fetched: bool = False  # by a request for this item alone: settles a tie of versions


def make_copy(
    key: str,
    value: Any,
    *,
    ignore: Sequence[str],
    version: str | None,
    origin: Origin,
    asked_at_us: int,
    answered_at_us: int,
    deleted: bool = False,
    pushed: bool = False,
    fetched: bool = False,
) -> Copy:
    """A copy with its canonical bytes and hash. ValueError when the value is nested too deeply."""
    body = b"" if value is None else canonical(value)
    return Copy(
        key=key,
        value=value,
        body=body,
        hash=hash_bytes(canonical(value, ignore) if ignore else body),
        version=version,
        origin=origin,
        asked_at_us=asked_at_us,
        answered_at_us=answered_at_us,
        deleted=deleted,
        pushed=pushed,
        fetched=fetched,
    )


def compare(known: RecordState | None, copy: Copy, ignore: Sequence[str] = ()) -> Change | None:
    """The change that storing `copy` over `known` makes; None when a consumer could see none.

    `fields` are the top-level names that differ: all of them for a created record, none for a deleted one. The delete
    of a record that was never known makes no change, but its tombstone is stored.
    """
    count = 1 if known is None else known.number + 1
    alive = known is not None and not known.deleted
    value, version = copy.value, copy.version
    if copy.deleted:
        if known is None or not alive:
            return None
        last = parse_json(known.body)
        return Change("deleted", last, last, (), version or known.version, count)
    if known is None or not alive:
        return Change("created", None, value, _names(value, ignore), version, count)
    if copy.hash == known.hash or copy.body == known.body:
        return None
    before = parse_json(known.body)
    if ignore and copy.hash == hash_bytes(canonical(before, ignore)):  # `ignore` may be new
        return None
    return Change("updated", before, value, differing(before, value, ignore), version or known.version, count)


def differing(before: Any, after: Any, ignore: Sequence[str] = ()) -> tuple[str, ...]:
    """Top-level names whose values differ, sorted. 1 and 1.0 do not differ, 1 and true do."""
    for path in ignore:
        before, after = without(before, path), without(after, path)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ()
    names = [name for name, value in after.items() if name not in before or not _equal(before[name], value)]
    if before.keys() != after.keys():
        names.extend(before.keys() - after.keys())
    return tuple(sorted(names))


def same_form(a: Any, b: Any) -> bool:
    """Whether two values have the same fields, at every depth."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_form(a[name], b[name]) for name in a)
    return isinstance(a, dict) is isinstance(b, dict)


def wider(a: Any, b: Any) -> bool:
    """Whether `a` has all fields of `b` and more."""
    return isinstance(a, dict) and isinstance(b, dict) and a.keys() > b.keys()


def only_in_one(a: Any, b: Any) -> list[str]:
    """Top-level names that only one of two objects has, sorted."""
    return sorted(a.keys() ^ b.keys()) if isinstance(a, dict) and isinstance(b, dict) else []


def same_on_common_fields(a: Any, b: Any, ignore: Sequence[str] = ()) -> bool:
    """Whether two notations of a record agree on every field that both have. At least two fields must be common."""
    for path in ignore:
        a, b = without(a, path), without(b, path)
    if not isinstance(a, dict) or not isinstance(b, dict):
        return False
    common = a.keys() & b.keys()
    return len(common) >= 2 and all(same_value(a[name], b[name]) for name in common)


def same_value(a: Any, b: Any) -> bool:
    """Equal by value: instants by instant, numbers by number (also as text), objects by their common fields."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(same_value(a[name], b[name]) for name in a.keys() & b.keys())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b or _truth(a) is _truth(b) is not None
    if a is None or b is None:
        return a is b
    if a == b:
        return True
    left, right = _decimal(a), _decimal(b)
    if left is not None and right is not None:
        return left == right
    if isinstance(a, str | int | float) and isinstance(b, str | int | float):
        first, second = read(str(a)), read(str(b))
        if first is not None and second is not None:
            return first.at_us == second.at_us
        if (first is None) is not (second is None):
            return order(str(a), str(b), "instant") == 0  # a number of seconds against a date
    return False


def _truth(value: Any) -> bool | None:
    """A boolean, also as text; None for anything else: 1 is a number."""
    return _TRUTHS.get(str(value).lower()) if isinstance(value, bool | str) else None


_TRUTHS = {"true": True, "false": False}


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, int | float):
        return Decimal(str(value))
    return number(value) if isinstance(value, str) else None


def _names(value: Any, ignore: Sequence[str]) -> tuple[str, ...]:
    for path in ignore:
        value = without(value, path)
    return tuple(sorted(value)) if isinstance(value, dict) else ()


def _equal(a: Any, b: Any) -> bool:
    """As the canonical bytes are, which few pairs need: Python's == differs only for booleans."""
    if a is b:
        return True
    return a == b and _same_booleans(a, b)


def _same_booleans(a: Any, b: Any) -> bool:
    """Whether two values that are equal to Python have their booleans in the same places."""
    if isinstance(a, dict):
        if len(a) > MAX_COMPARED:
            return canonical(a) == canonical(b)
        return all(_same_booleans(value, b[name]) for name, value in a.items())
    if isinstance(a, list):
        return canonical(a) == canonical(b) if len(a) > MAX_COMPARED else all(map(_same_booleans, a, b))
    return isinstance(a, bool) is isinstance(b, bool)
