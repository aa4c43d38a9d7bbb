"""What retention by size may delete, and which sources send more than their share. Pure.

Owns three rules. (1) An event that somebody is owed stays, no matter who filled the disk: the delivery of a lane that
has not passed it, or one that waits for a retry. (2) When only such events are left, new events are refused from the
sources that use more than their share, and from no other. A share is the size divided by the number of sources with
events. (3) A destination that is owed more than half of the size is named to the operator. May not know stores. Nothing
is kept here, so a crash loses nothing.
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


def weigh(
    events: Sequence[tuple[int, int, int]], owed: Owed, pending: Collection[tuple[int, int]]
) -> tuple[dict[str, int], dict[int, int]]:
    """Bytes of `events`, (offset, audience, bytes): all of them by source, and those that are owed by destination.

    `pending`: (offset, destination) of deliveries that wait for a retry.
    """
    by_source: dict[str, int] = {}
    by_destination: dict[int, int] = {}
    sizes = {}
    for offset, number, size in events:
        audience = owed.audiences.get(number)
        if audience is None:
            continue
        sizes[offset] = size
        by_source[audience.source] = by_source.get(audience.source, 0) + size
        for destination, _ in audience.wanted:
            if offset > owed.lanes.get(destination, offset):
                by_destination[destination] = by_destination.get(destination, 0) + size
    for offset, destination in pending:
        if offset <= owed.lanes.get(destination, offset):
            by_destination[destination] = by_destination.get(destination, 0) + sizes.get(offset, 0)
    return by_source, by_destination


def owed_too_much(bytes_by_destination: Mapping[int, int], size: int) -> dict[int, int]:
    """Destinations, with their bytes, that are owed more than half of what may be kept."""
    return {number: owed for number, owed in bytes_by_destination.items() if owed * 2 > size}


def over_share(bytes_by_source: Mapping[str, int], size: int) -> list[str]:
    """Sources that use more than their share of `size`, largest first; none while all together fit."""
    if sum(bytes_by_source.values()) <= size:
        return []
    share = size / len(bytes_by_source)
    return sorted(
        (source for source, used in bytes_by_source.items() if used > share), key=lambda one: -bytes_by_source[one]
    )
