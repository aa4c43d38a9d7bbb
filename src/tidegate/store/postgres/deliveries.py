"""Committed offsets, deferred deliveries, ranges, attempts and replay jobs on PostgreSQL.

Implements `store.Deliveries`. A settle is one statement: one round trip and one commit. Its first part checks the
fence: without this node's row nothing is written. Invariant: settling again changes nothing: a stored attempt stays,
counters are totals, a deferred delivery is replaced, and high-water marks never go back. After a crash a settle is
stored completely or not at all; if not, its requests are sent again with the same id and attempt number, by this node
or by the one that takes its partitions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from tidegate.core.errors import Fenced
from tidegate.core.model import Attempt, Audience, Deferred, DeferredState, RangeSettlement
from tidegate.store import PARTITIONS, Counters, Replay, Settlement, Standing
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.rollups import rollup_columns
from tidegate.store.postgres.text import escape, unescape
from tidegate.store.rows import (
    attempt_of,
    attempt_row,
    deferred_of,
    deferred_row,
    lane_of,
    lane_row,
    range_of,
    range_row,
    replay_row,
)

DISTANCE = "Q"  # 64 bits: offsets jump at the start of a span


class Member(Protocol):
    """What this needs of the leases. A fence of 0 means no lease: the node has not joined, or lost its lease."""

    node: str

    @property
    def fence(self) -> int: ...


class Counted(Protocol):
    """What this needs of the log."""

    def audiences(self) -> Mapping[int, Audience]: ...

    async def load_audiences(self, numbers: set[int]) -> None: ...


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> Iterable[Sequence[Any]]:
    """Rows as arrays for `unnest`, one per column."""
    turned = list(zip(*rows, strict=True))
    return turned or ((),) * width


SETTLE_SECONDS = 0.02  # of one node; with n nodes n times as long, so the number of commits stays the same
SETTLE_SECONDS_LIMIT = 0.1


class PostgresDeliveries:
    """Implements `store.Deliveries`."""

    def __init__(self, engine: Engine, log: Counted, member: Member) -> None:
        self._engine = engine
        self._log = log
        self._member = member
        self._sql = sql("deliveries")
        self.settle_seconds = SETTLE_SECONDS

    def peers(self, nodes: int) -> None:
        """`nodes`: how many nodes run, including this one."""
        self.settle_seconds = min(SETTLE_SECONDS * nodes, SETTLE_SECONDS_LIMIT)

    async def load(self, partitions: Collection[int] | None = None) -> Standing:
        wanted = list(range(PARTITIONS) if partitions is None else partitions)
        return _standing(await self._engine.work.fetch(self._sql["load"], wanted))

    async def settle(self, settlement: Settlement) -> None:
        fence = settlement.fence or self._member.fence
        if not fence:
            raise Fenced("this node has no lease at the moment; nothing was written")
        gate = await self._engine.vital.fetchval(
            self._sql["settle"], self._member.node, fence, settlement.high_water_mark, *_written(settlement)
        )
        if not gate:
            raise Fenced(f"the lease of this node ended (fence {fence}); nothing was written")

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
        allowed = [int(state) for state in (states or DeferredState)]
        query: str
        given: tuple[Any, ...]
        use = self._engine.work
        if due_before_us is not None:
            if destination is None or offsets is not None:
                raise ValueError("due_before_us is a condition on the deliveries of one destination")
            query, given = "due_deferred", (destination, due_before_us, after or 0, allowed, limit)
        elif offsets is not None:
            query, given = "deferred_of_events", (list(offsets), destination, after or 0, allowed, limit)
        elif destination is not None:
            query, given = "deferred_of_destination", (destination, after or 0, allowed, limit)
        else:
            query, given, use = "deferred_of_all", (after or 0, allowed, limit), self._engine.requested
        return [deferred_of(row, unescape) for row in await use.fetch(self._sql[query], *given)]

    async def attempts(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Attempt]]:
        found: dict[tuple[int, int], list[Attempt]] = {pair: [] for pair in pairs}
        if pairs:
            for row in await self._engine.work.fetch(self._sql["attempts_of"], *columns(found, 2)):
                found[row[0], row[1]].append(attempt_of(row, unescape))
        return found

    async def request_heads(self, numbers: Collection[int]) -> dict[int, bytes]:
        found = await self._engine.work.fetch(self._sql["heads_of"], list(numbers))
        return {number: bytes(head) for number, head in found}

    async def ranges(self) -> list[RangeSettlement]:
        return [range_of(row, unescape) for row in await self._engine.work.fetch(self._sql["all_ranges"])]

    async def counters(self) -> Counters:
        async with self._engine.requested.transaction(snapshot=True) as connection:
            head = await connection.fetchval(sql("log")["head"])
            counts = await connection.fetch(self._sql["audience_counts"])
            standing = _standing(await connection.fetch(self._sql["load"], list(range(PARTITIONS))))
        await self._log.load_audiences({number for number, _ in counts})
        known = self._log.audiences()
        counted: list[tuple[Audience, int]] = [(known[number], count) for number, count in counts if number in known]
        return Counters(head, min(standing.high_water_marks.values()), tuple(counted), tuple(standing.lanes))

    async def put_replay(self, replay: Replay) -> None:
        await self._engine.work.execute(self._sql["put_replay"], *replay_row(replay))

    async def replays(self) -> list[Replay]:
        rows = await self._engine.work.fetch(self._sql["all_replays"])
        return [Replay(*row) for row in rows]

    async def replay(self, id_: str) -> Replay | None:
        row = await self._engine.work.fetchrow(self._sql["one_replay"], id_)
        return None if row is None else Replay(*row)


def _written(settlement: Settlement) -> Iterable[Sequence[Any]]:
    """The arrays of a settlement in the order of the statement. Of two rows with the same key the last one counts."""
    closed = set(settlement.closed)
    lanes = {lane.destination: lane for lane in settlement.lanes}
    deferred = {(one.destination, one.offset): one for one in settlement.deferred}
    ranges = {(one.destination, one.upto): one for one in settlement.ranges}
    high_water_marks = [*((partition, None) for partition in settlement.taken), *settlement.left]
    yield from columns([attempt_row(one, escape) for one in settlement.attempts], 15)
    yield from columns([lane_row(lane, DISTANCE) for lane in lanes.values()], 9)
    yield from columns([deferred_row(one, escape) for key, one in deferred.items() if key not in closed], 10)
    yield from columns(closed, 2)
    yield from columns([range_row(one, escape) for one in ranges.values()], 6)
    yield from columns(high_water_marks, 2)
    yield from columns(dict(settlement.heads).items(), 2)
    yield from rollup_columns(settlement.rollups)


def _standing(rows: Sequence[Any]) -> Standing:
    lanes = [lane_of(row[2:], DISTANCE) for row in rows if row[2] is not None]
    return Standing({row[0]: row[1] for row in rows}, lanes)
