"""Positions, deferred deliveries, ranges, attempts and replay jobs on PostgreSQL: implements `store.Deliveries`.

A settle is one statement, so one round trip and one commit; its first part is the fence: without this node's row
nothing is written. It is idempotent: attempts do nothing on conflict, counters are totals, a put replaces, marks
never go back. Crash: a settle is whole or absent; absent means that its sends are made again with the same id and
attempt number, by this node or by the one that takes its partitions.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from tidegate.core.errors import Fenced
from tidegate.core.model import (
    Attempt,
    Audience,
    Deferred,
    DeferredState,
    DeliveryState,
    Lane,
    Outcome,
    RangeSettlement,
)
from tidegate.store import PARTITIONS, Counters, Replay, Settlement, Standing
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.text import back, keep


class Member(Protocol):
    """What this needs of the leases: who this node is. A fence of 0 is none: the node has not joined, or was lost."""

    node: str

    @property
    def fence(self) -> int: ...


class Counted(Protocol):
    """What this needs of the log."""

    def audiences(self) -> Mapping[int, Audience]: ...

    async def learn(self, numbers: set[int]) -> None: ...


def pack_settled_ahead(committed_offset: int, settled_ahead: Sequence[int]) -> bytes:
    """Settled offsets beyond a position, as 64-bit distances: offsets jump where a partition begins."""
    return struct.pack(f"<{len(settled_ahead)}Q", *[offset - committed_offset for offset in settled_ahead])


def unpack_settled_ahead(committed_offset: int, blob: bytes) -> tuple[int, ...]:
    return tuple(committed_offset + distance for distance in struct.unpack(f"<{len(blob) // 8}Q", blob))


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> Iterable[Sequence[Any]]:
    """Rows as the arrays that `unnest` takes, one per column."""
    turned = list(zip(*rows, strict=True))
    return turned or ((),) * width


SETTLE_SECONDS = 0.02  # a node; of n nodes each takes n times as long, so that their commits stay as many
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
        """How many nodes are alive, this one among them."""
        self.settle_seconds = min(SETTLE_SECONDS * nodes, SETTLE_SECONDS_LIMIT)

    async def load(self, partitions: Collection[int] | None = None) -> Standing:
        wanted = list(range(PARTITIONS) if partitions is None else partitions)
        return _standing(await self._engine.work.fetch(self._sql["load"], wanted))

    async def settle(self, settlement: Settlement) -> None:
        fence = settlement.fence or self._member.fence
        if not fence:
            raise Fenced("this node has no lease at the moment; nothing of this settle was written")
        gate = await self._engine.vital.fetchval(
            self._sql["settle"], self._member.node, fence, settlement.high_water_mark, *_written(settlement)
        )
        if not gate:
            raise Fenced(f"the lease of this node ended (fence {fence}); nothing of this settle was written")

    async def deferred(
        self,
        *,
        destination: int | None = None,
        offsets: Sequence[int] | None = None,
        states: Sequence[DeferredState] | None = None,
        due_before_us: int | None = None,
        after: int | None = None,
        limit: int = 512,
    ) -> list[Deferred]:
        allowed = [int(state) for state in (states or list(DeferredState))]
        given: tuple[Any, ...]
        use = self._engine.work
        if offsets is not None:
            query, given = "deferred_of_events", (list(offsets), allowed, destination, limit)
        elif destination is None:
            query, given, use = "deferred_of_all", (after or 0, allowed, limit), self._engine.asked
        elif due_before_us is not None:
            query, given = "due_deferred", (destination, due_before_us, limit)
        else:
            query, given = "deferred_of_destination", (destination, after or 0, allowed, limit)
        return [_deferred_of(row) for row in await use.fetch(self._sql[query], *given)]

    async def attempts(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Attempt]]:
        found: dict[tuple[int, int], list[Attempt]] = {pair: [] for pair in pairs}
        if pairs:
            for row in await self._engine.work.fetch(self._sql["attempts_of"], *columns(found, 2)):
                found[row[0], row[1]].append(_attempt(row))
        return found

    async def ranges(self) -> list[RangeSettlement]:
        rows = await self._engine.work.fetch(self._sql["all_ranges"])
        return [RangeSettlement(row[0], row[1], row[2], DeliveryState(row[3]), back(row[4]), row[5]) for row in rows]

    async def counters(self) -> Counters:
        async with self._engine.asked.transaction(snapshot=True) as connection:
            head = await connection.fetchval(sql("log")["head"])
            counts = await connection.fetch(self._sql["audience_counts"])
            standing = _standing(await connection.fetch(self._sql["load"], list(range(PARTITIONS))))
        await self._log.learn({number for number, _ in counts})
        known = self._log.audiences()
        counted: list[tuple[Audience, int]] = [(known[number], count) for number, count in counts if number in known]
        return Counters(head, min(standing.high_water_marks.values()), tuple(counted), tuple(standing.lanes))

    async def put_replay(self, replay: Replay) -> None:
        await self._engine.work.execute(
            self._sql["put_replay"], replay.id, replay.created_at_us, replay.query, replay.committed_offset,
            replay.upto, replay.matched, replay.reopened, replay.finished_at_us, replay.cause,
        )  # fmt: skip

    async def replays(self) -> list[Replay]:
        rows = await self._engine.work.fetch(self._sql["all_replays"])
        return [Replay(*row) for row in rows]

    async def replay(self, id_: str) -> Replay | None:
        row = await self._engine.work.fetchrow(self._sql["one_replay"], id_)
        return None if row is None else Replay(*row)


def _written(settlement: Settlement) -> Iterable[Sequence[Any]]:
    """The arrays of a settlement in the order of the statement. Of two rows of one key the last counts."""
    attempts = [
        (
            a.offset, a.destination, a.number, int(a.outcome), a.started_at_us, a.duration_us, a.status,
            keep(a.error), a.answer_headers, a.answer_body, a.answer_bytes, keep(a.url), a.manual,
        )
        for a in settlement.attempts
    ]  # fmt: skip
    lanes = [
        (
            lane.destination, lane.committed_offset,
            pack_settled_ahead(lane.committed_offset, lane.settled_ahead) if lane.committed_offset is not None else b"",
            lane.delivered, lane.exhausted, lane.canceled, lane.adopted, lane.adopted_filtered,
        )
        for lane in {lane.destination: lane for lane in settlement.lanes}.values()
    ]  # fmt: skip
    closed = set(settlement.closed)
    put = {(e.destination, e.offset): e for e in settlement.deferred}
    deferred = [
        (
            e.destination, e.offset, int(e.state), e.due_at_us, e.attempts, keep(e.cause), keep(e.key),
            e.tries_left_from, e.route, keep(e.replay),
        )
        for key, e in put.items()
        if key not in closed
    ]  # fmt: skip
    ranges = [
        (r.destination, r.after, r.upto, r.state.value, keep(r.cause), r.at_us)
        for r in {(r.destination, r.upto): r for r in settlement.ranges}.values()
    ]
    standing = [*((share, None) for share in settlement.taken), *settlement.left]
    for rows, width in (
        (attempts, 13), (lanes, 8), (deferred, 10), (closed, 2), (ranges, 6), (standing, 2),
    ):  # fmt: skip
        yield from columns(rows, width)


def _standing(rows: Sequence[Any]) -> Standing:
    lanes = []
    for row in rows:
        destination, committed_offset = row[2], row[3]
        if destination is not None:
            settled_ahead = unpack_settled_ahead(committed_offset, row[4]) if committed_offset is not None else ()
            lanes.append(Lane(destination, committed_offset, settled_ahead, *row[5:]))
    return Standing({row[0]: row[1] for row in rows}, lanes)


def _deferred_of(row: Any) -> Deferred:
    destination, offset, state, due, attempts, cause, key, tries, route, replay = row
    return Deferred(
        destination, offset, DeferredState(state), due, attempts, back(cause), back(key), tries, route,
        back(replay),
    )  # fmt: skip


def _attempt(row: Any) -> Attempt:
    (offset, destination, number, outcome, started, duration, status, error, answer_headers, answer_body,
     answer_bytes, url, manual) = row  # fmt: skip
    return Attempt(
        offset, destination, number, Outcome(outcome), started, duration, status, back(error), answer_headers,
        answer_body, answer_bytes, back(url), manual,
    )  # fmt: skip
