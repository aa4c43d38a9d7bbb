"""Whether two systems changed the same fields of one record without knowing of each other, and who wins. Pure.

Owns the comparison of a write with the changes that others made in the record that it changes. May not know stores or
routes. Two changes are concurrent when neither had reached the other system before the other one was made. Invariant:
both directions compare the same two instants, so exactly one of them wins. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.rules.sync.own_writes import leaves, loosely


class Rival(msgspec.Struct, frozen=True):
    """A change that somebody else made in a record. `targets`: sources that it is sent to; `carried`: since when."""

    number: int
    values: dict[str, Any]
    targets: tuple[str, ...]
    carried: dict[str, int]
    at_us: int
    occurred_us: int


class Meeting(msgspec.Struct, frozen=True):
    """What a write meets, as the other side has it. `conflict`: the fields that both changed. `stale`: fields that only
    the other side changed, and that the write would set back. `number`: of the latest change there.
    """

    conflict: dict[str, Any]
    stale: dict[str, Any]
    number: int
    occurred_us: int


def scalars(value: Any) -> dict[str, Any]:
    """The members of an object at every depth whose value is not an object, by name; the outermost one wins."""
    return {name: one for name, one in leaves(value).items() if not isinstance(one, dict)}


def changed(before: Any, after: Any, skip: Collection[str] = ()) -> dict[str, Any]:
    """The members of `after` that differ from `before`, without those that `skip` names."""
    was = scalars(before)
    return {
        name: one for name, one in scalars(after).items() if name not in skip and (name not in was or was[name] != one)
    }


def meeting_of(
    changes: Mapping[str, Any], sent: Mapping[str, Any], rivals: Sequence[Rival], cause: tuple[str, int]
) -> Meeting | None:
    """How a write meets what others changed; None when it meets nothing.

    `changes`: the members that the write changes, of all those that are `sent`. `cause`: the source whose change is
    written, and when that was received.
    """
    origin, received_us = cause
    conflict: dict[str, Any] = {}
    stale: dict[str, Any] = {}
    number = occurred_us = 0
    for one in rivals:
        known_since = one.carried.get(origin) if origin in one.targets else one.at_us
        if known_since is not None and known_since < received_us:
            continue  # it was there when the change was made
        other = {name: value for name, value in one.values.items() if name in sent and not loosely(sent[name], value)}
        stale |= {name: value for name, value in other.items() if name not in changes}
        if other.keys() & changes.keys():
            conflict |= {name: value for name, value in other.items() if name in changes}
            number, occurred_us = max(number, one.number), max(occurred_us, one.occurred_us)
    return Meeting(conflict, stale, number, occurred_us) if conflict or stale else None


def incoming_wins(policy: str, prefer: str, incoming: tuple[int, str], current: tuple[int, str]) -> bool:
    """Whether the write wins. `incoming` and `current`: when it was changed, and in which source."""
    if policy == "prefer" and prefer in (incoming[1], current[1]):
        return prefer == incoming[1]
    return incoming > current


def with_values(body: Any, values: Mapping[str, Any]) -> Any:
    """A body whose members of these names have other values: the write then leaves them as they are there."""
    if isinstance(body, dict):
        return {
            name: values[name] if name in values and not isinstance(one, dict) else with_values(one, values)
            for name, one in body.items()
        }
    return [with_values(one, values) for one in body] if isinstance(body, list) else body
