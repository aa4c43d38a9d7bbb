"""What retention by size may delete, what is kept apart, and which sources send more than their share. Pure.

Owns four rules. (1) An event that somebody is owed stays, no matter who filled the disk: the delivery of a lane that
has not passed it, or one that waits for a retry. (2) A destination that is owed more than half of an equal part of the
size is held: events that only held destinations are owed do not count in the size but in `backlog`, so a destination
that takes nothing does not use up the space of those that do. (3) When what counts in one of the two is larger than
allowed and nothing can be deleted, new events are rejected from the sources that use more than their share of it, and
from no other. A share is the size divided by the number of sources with events in it. (4) A held destination is named
to the operator. May not know stores. Nothing is kept here, so a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from tidegate.core.model import Audience


def floors(audiences: Mapping[int, Audience], lanes: Mapping[int, int]) -> dict[int, int]:
    """Audience -> the offset above which its events are owed. `lanes`: destination -> committed offset."""
    found: dict[int, int] = {}
    for number, audience in audiences.items():
        committed = [lanes[destination] for destination, _ in audience.wanted if destination in lanes]
        if committed:
            found[number] = min(committed)
    return found


Weights = dict[tuple[str, tuple[int, ...]], int]
"""(source, numbers of the destinations that are owed, ascending) -> bytes."""


class Owed(msgspec.Struct, frozen=True):
    """What the store knows of open deliveries: audiences, destination -> committed offset, offsets that are pending."""

    audiences: Mapping[int, Audience]
    lanes: Mapping[int, int]
    pending: frozenset[int]


class Deletable(msgspec.Struct, frozen=True):
    """Offsets to delete, their bytes, and the last offset that was looked at."""

    offsets: list[int]
    body_bytes: int
    upto: int


def deletable(
    events: Sequence[tuple[int, int, int]], owed: Owed, room: int, sources: Collection[str] | None = None
) -> Deletable:
    """Of `events`, (offset, audience, bytes), the first that nobody is owed, until `room` bytes are found.

    Of `sources` only, if given. An event whose audience is not known here stays.
    """
    owed_above = floors(owed.audiences, owed.lanes)
    offsets, found, upto = [], 0, 0
    for upto, number, size in events:
        audience = owed.audiences.get(number)
        if audience is None or upto in owed.pending or upto > owed_above.get(number, upto):
            continue
        if sources is None or audience.source in sources:
            offsets.append(upto)
            found += size
            if found >= room:
                break
    return Deletable(offsets, found, upto)


def weigh(events: Sequence[tuple[int, int, int]], owed: Owed, pending: Collection[tuple[int, int]]) -> Weights:
    """Bytes of `events`, (offset, audience, bytes), by source and the destinations that are owed them.

    `pending`: (offset, destination) of deliveries that wait for a retry.
    """
    retried: dict[int, set[int]] = {}
    for offset, destination in pending:
        retried.setdefault(offset, set()).add(destination)
    found: Weights = {}
    for offset, number, size in events:
        audience = owed.audiences.get(number)
        if audience is None:
            continue
        unpassed = (one for one, _ in audience.wanted if offset > owed.lanes.get(one, offset))
        group = (audience.source, tuple(sorted({*unpassed, *retried.get(offset, ())})))
        found[group] = found.get(group, 0) + size
    return found


def by_source(weights: Weights) -> dict[str, int]:
    found: dict[str, int] = {}
    for (source, _), size in weights.items():
        found[source] = found.get(source, 0) + size
    return found


def by_destination(weights: Weights) -> dict[int, int]:
    """What each is owed; an event that several are owed counts for each of them."""
    found: dict[int, int] = {}
    for (_, destinations), size in weights.items():
        for destination in destinations:
            found[destination] = found.get(destination, 0) + size
    return found


class Divided(msgspec.Struct, frozen=True):
    """The log: held destinations with what they are owed, what is kept apart for them, and the rest."""

    held: dict[int, int]
    apart: Weights
    rest: Weights


def divide(weights: Weights, size: int) -> Divided:
    """Nothing is held while all of it fits."""
    owed = by_destination(weights)
    bound = size / (2 * len(owed)) if owed else 0.0
    held = {one: count for one, count in owed.items() if count > bound} if sum(weights.values()) > size else {}
    apart = {key: count for key, count in weights.items() if key[1] and held.keys() >= set(key[1])}
    return Divided(held, apart, {key: count for key, count in weights.items() if key not in apart})


def over_share(bytes_by_source: Mapping[str, int], size: int) -> list[str]:
    """Sources that use more than their share of `size`, largest first; none while all together fit."""
    if sum(bytes_by_source.values()) <= size:
        return []
    share = size / len(bytes_by_source)
    return sorted(
        (source for source, used in bytes_by_source.items() if used > share), key=lambda one: -bytes_by_source[one]
    )
