"""Whether a change of a record is one that our own write made. Pure.

Owns the comparison of a change with the writes that are expected to come back. May not know stores or routes. When the
answer of the write is known, it has the values as the other system keeps them, and those are compared exactly (by
value). Before the answer came, what was sent is compared loosely: case, blanks and the notation of numbers and times do
not count. Invariant: a change that has more than what we wrote is somebody else's too, and passes. Crash: nothing is
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.core.model import Change
from tidegate.rules.sync.changes import same_value


class ExpectedWrite(msgspec.Struct, frozen=True):
    """`key` is "" and `answer` None until they are known. `written`: fields at any depth of what was sent. `deletes`:
    it removes the record, so it explains nothing but that the record is gone."""

    id: str
    key: str
    written: dict[str, Any]
    answer: dict[str, Any] | None
    cause: str
    chain: tuple[str, ...]
    deletes: bool = False


def own_write(change: Change, key: str, writes: Sequence[ExpectedWrite], version: str) -> ExpectedWrite | None:
    """The newest write that explains a change; None when it is somebody else's. `version`: the path of the version."""
    if change.kind == "deleted":
        return next((one for one in reversed(writes) if one.deletes and one.key == key), None)
    if not isinstance(change.after, dict):
        return None
    return next(
        (one for one in reversed(writes) if not one.deletes and _explains(one, change, key, version.partition(".")[0])),
        None,
    )


def _explains(write: ExpectedWrite, change: Change, key: str, version: str) -> bool:
    if write.key and write.key != key:
        return False
    after = change.after
    if write.key and change.kind == "updated" and set(change.fields) <= {version}:
        return True  # the same write again, after a lost answer: nothing but the version moved
    if write.answer is not None:
        return _shown(write, write.answer, change, version)
    if change.kind == "created":
        names = [name for name in write.written if name in after]
        return bool(names) and all(loosely(after[name], write.written[name]) for name in names)
    changed = [name for name in change.fields if name != version]
    return bool(changed) and all(
        name in write.written and name in after and loosely(after[name], write.written[name]) for name in changed
    )


def _shown(write: ExpectedWrite, answer: dict[str, Any], change: Change, version: str) -> bool:
    """Whether the answer has every field that changed, with this value. A field that an answer leaves out counts as it
    was written, and in a new record, of which the answer may have had the key alone, it counts in any case."""
    after = change.after
    compared = 0
    for name in change.fields:
        if name == version or name not in after:
            continue
        if name in answer:
            equal = same_value(after[name], answer[name])
        elif name in write.written:
            equal = loosely(after[name], write.written[name])
        elif change.kind == "created" and write.key:
            continue
        else:
            return False
        if not equal:
            return False
        compared += 1
    return compared > 0


def not_written(write: ExpectedWrite, change: Change, version: str) -> frozenset[str]:
    """The members, at any depth, that differ in an update and that the write did not send, without the version.

    They are values that the other system derives, or a change that somebody else made before our write was answered:
    the two look alike.
    """
    if change.kind != "updated":
        return frozenset()
    before, after = leaves(change.before), leaves(change.after)
    differing = {
        name
        for name in before.keys() | after.keys()
        if not (isinstance(before.get(name), dict) or isinstance(after.get(name), dict))
        and (name not in before or name not in after or not same_value(before[name], after[name]))
    }
    return frozenset(differing - write.written.keys() - {version.rpartition(".")[2]})


def leaves(value: Any) -> dict[str, Any]:
    """The members of an object at every depth by their name; the outermost one wins."""
    found: dict[str, Any] = {}
    level = [value]
    while level:
        below = []
        for one in level:
            if isinstance(one, dict):
                for name, inner in one.items():
                    found.setdefault(name, inner)
                    below.append(inner)
        level = below
    return found


def loosely(a: Any, b: Any) -> bool:
    """Equal by value, without regard to case and blanks."""
    if isinstance(a, str) and isinstance(b, str):
        return "".join(a.split()).casefold() == "".join(b.split()).casefold() or same_value(a, b)
    return same_value(a, b)
