"""The deliveries: how far each destination is, what is deferred, what was attempted, and the replay jobs.

Owns the protocol `Deliveries`, which `sqlite/deliveries.py` and `postgres/deliveries.py` implement, and its shapes.
Knows no HTTP and no schedule: the delivery engine decides, the store writes. Times are microseconds since 1970 UTC.

Invariant: a settle is one transaction and idempotent on (event, destination, attempt). After a crash a settle is stored
completely or not at all; if not, its requests are sent again with the same id and attempt number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from tidegate.core.model import Attempt, Audience, Deferred, DeferredState, Lane, RangeSettlement
from tidegate.core.rollups import RollupRow
from tidegate.store.leases import partition_of


class Settlement(msgspec.Struct):
    """What one settle writes in one transaction."""

    high_water_mark: int  # every event up to here was offered to every lane
    lanes: list[Lane]  # only those that moved; their counters are totals, not increments
    attempts: list[Attempt] = []
    deferred: list[Deferred] = []  # inserted or replaced
    closed: list[tuple[int, int]] = []  # (destination, offset) of deferred deliveries that are delivered now
    ranges: list[RangeSettlement] = []
    taken: Sequence[int] = ()  # partitions that follow this node's high-water mark from now on
    left: Sequence[tuple[int, int]] = ()  # (partition, high-water mark) of partitions that this node gives up
    heads: list[tuple[int, bytes]] = []  # (number, head) of requests that attempts of this settlement refer to
    fence: int = 0  # the lease under which this was decided; 0: the current one
    rollups: Sequence[RollupRow] = ()  # of its attempts, by minute: added unless all of these are stored already


class Standing(msgspec.Struct, frozen=True):
    """How far deliveries are. A lane without a row or without a committed offset is at its partition's mark."""

    high_water_marks: Mapping[int, int]  # by partition
    lanes: Sequence[Lane]  # that have a row

    def high_water_mark_of(self, destination: int) -> int:
        return self.high_water_marks[partition_of(destination)]


class Counters(msgspec.Struct, frozen=True):
    """Counters from one snapshot: events per audience, and settled deliveries in the lanes."""

    head: int
    high_water_mark: int
    audiences: tuple[tuple[Audience, int], ...]  # (audience, number of events)
    lanes: tuple[Lane, ...]

    def pending(self) -> dict[int, int]:
        """Deliveries that are owed and not settled, by destination."""
        owed: Counter[int] = Counter()
        for audience, count in self.audiences:
            for destination, _ in audience.wanted:
                owed[destination] += count
        for lane in self.lanes:
            owed[lane.destination] += lane.adopted - lane.delivered - lane.exhausted - lane.canceled
        return dict(owed)


class Replay(msgspec.Struct, frozen=True):
    """A durable job: walks (committed_offset, upto] and reopens the deliveries that match."""

    id: str
    created_at_us: int
    query: bytes  # JSON of the request
    committed_offset: int
    upto: int
    matched: int = 0
    reopened: int = 0
    finished_at_us: int | None = None
    cause: str = ""  # why it ended before `upto`


class Deliveries(Protocol):
    """Committed offsets, deferred deliveries, attempts and replay jobs."""

    @property
    def settle_seconds(self) -> float:
        """How long results are collected before they are settled together."""
        ...

    async def load(self, partitions: Collection[int] | None = None) -> Standing:
        """High-water marks and lanes of `partitions`; of all partitions when None."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Write a settlement in one transaction.

        Raises Fenced (nothing was changed), StoreBusy and StoreBroken (the outcome is unknown). Partitions change
        hands by `taken` and `left` in the transaction that also writes their high-water mark.
        """
        ...

    async def deferred(
        self,
        *,
        destination: int | None = None,
        offsets: Sequence[int] | None = None,
        states: Sequence[DeferredState] | None = None,
        due_before_us: int | None = None,
        after: int | None = None,
        limit: int | None = None,
    ) -> list[Deferred]:
        """Deferred deliveries that match every condition given, at most `limit` of them, ordered by offset.

        `after` is the offset above which to look. With `due_before_us` only pending deliveries match, ordered by due
        time; it needs a destination and excludes `offsets` (ValueError).
        """
        ...

    async def attempts(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Attempt]]:
        """Attempts by (offset, destination), each list in order of their numbers."""
        ...

    async def request_heads(self, numbers: Collection[int]) -> dict[int, bytes]:
        """Heads of requests as they were sent, by the number that attempts have."""
        ...

    async def ranges(self) -> list[RangeSettlement]: ...

    async def counters(self) -> Counters: ...

    async def put_replay(self, replay: Replay) -> None: ...

    async def replays(self) -> list[Replay]:
        """Newest first: the last 200 and all that are not finished."""
        ...

    async def replay(self, id_: str) -> Replay | None: ...
