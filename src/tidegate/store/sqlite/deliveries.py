"""Committed offsets, deferred deliveries, ranges, attempts and replay jobs on SQLite.

Implements `store.Deliveries`. A settle is one function inside the writer's transaction, so it commits together with the
appends that are waiting. Invariant: settling again changes nothing: a stored attempt stays, counters are totals, a
deferred delivery is replaced. After a crash a settle is stored completely or not at all; if not, its requests are sent
again with the same id and attempt number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import apsw
import msgspec

from tidegate.core.model import Attempt, Deferred, DeferredState, Lane, RangeSettlement
from tidegate.store import PARTITIONS, Counters, Replay, Settlement, Standing, partition_of
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
from tidegate.store.sqlite.engine import Engine, insert_many, rows, sql
from tidegate.store.sqlite.log import SqliteLog

DISTANCE = "I"  # 32 bits: offsets have no gaps here, so distances stay small


class SqliteDeliveries:
    """Implements `store.Deliveries`."""

    settle_seconds = 0.02  # 5 to 50 ms measured the same; fewer requests are repeated after a kill when it is short

    def __init__(self, engine: Engine, log: SqliteLog) -> None:
        self._engine = engine
        self._log = log
        self._sql = sql("deliveries")
        self._pending: dict[int, int] = {}  # committed offsets of the lanes that have pending deliveries

    async def load(self, partitions: Collection[int] | None = None) -> Standing:
        """One process holds every partition, so all have the same high-water mark."""
        high_water_mark, lanes = await self._engine.read(self._load)
        self._move(high_water_mark, lanes)
        held = range(PARTITIONS) if partitions is None else partitions
        if partitions is not None:
            lanes = [lane for lane in lanes if partition_of(lane.destination) in partitions]
        return Standing(dict.fromkeys(held, high_water_mark), lanes)

    def _load(self, connection: apsw.Connection) -> tuple[int, list[Lane]]:
        (high_water_mark,) = [row[0] for row in rows(connection, self._sql["high_water_mark"])] or [0]
        return high_water_mark, [lane_of(row, DISTANCE) for row in rows(connection, self._sql["load_lanes"])]

    async def settle(self, settlement: Settlement) -> None:
        await self._engine.write(lambda c: self._settle(c, settlement))
        self._move(settlement.high_water_mark, settlement.lanes)

    def _move(self, high_water_mark: int, lanes: Sequence[Lane]) -> None:
        """Lanes were read or stored: events that all of them are done with need no memory."""
        for lane in lanes:
            if lane.committed_offset is None:
                self._pending.pop(lane.destination, None)
            else:
                self._pending[lane.destination] = lane.committed_offset
        self._log.settled(min(high_water_mark, *self._pending.values()) if self._pending else high_water_mark)

    def _settle(self, connection: apsw.Connection, settlement: Settlement) -> None:
        many = connection.executemany
        if settlement.attempts:
            before = connection.total_changes()
            insert_many(connection, self._sql["put_attempt"], [attempt_row(one) for one in settlement.attempts])
            if settlement.rollups and connection.total_changes() > before:
                self._engine.last_rows += settlement.rollups
        if settlement.heads:
            many(self._sql["put_head"], settlement.heads)
        if settlement.deferred:
            many(self._sql["put_deferred"], [deferred_row(one) for one in settlement.deferred])
        if settlement.closed:
            many(self._sql["close_deferred"], settlement.closed)
        for one in settlement.ranges:
            row = range_row(one)
            if not rows(connection, self._sql["grow_range"], (row[0], *row[2:])):
                connection.execute(self._sql["put_range"], row)
        if settlement.lanes:
            many(self._sql["put_lane"], [(*lane_row(lane, DISTANCE), lane.fence) for lane in settlement.lanes])
        connection.execute(self._sql["put_high_water_mark"], (settlement.high_water_mark,))

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
        allowed = _json([int(state) for state in (states or DeferredState)])
        most = -1 if limit is None else limit
        query: str
        given: tuple[Any, ...]
        if due_before_us is not None:
            if destination is None or offsets is not None:
                raise ValueError("due_before_us is a condition on the deliveries of one destination")
            query, given = "due_deferred", (destination, due_before_us, after or 0, allowed, most)
        elif offsets is not None:
            query, given = "deferred_of_events", (_json(offsets), destination, after or 0, allowed, most)
        elif destination is not None:
            query, given = "deferred_of_destination", (destination, after or 0, allowed, most)
        else:
            query, given = "deferred_of_all", (after or 0, allowed, most)
        return [deferred_of(row) for row in await self._engine.read(lambda c: rows(c, self._sql[query], given))]

    async def attempts(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Attempt]]:
        def work(connection: apsw.Connection) -> dict[tuple[int, int], list[Attempt]]:
            return {
                pair: [attempt_of(row) for row in rows(connection, self._sql["attempts_of"], pair)] for pair in pairs
            }

        return await self._engine.read(work)

    async def request_heads(self, numbers: Collection[int]) -> dict[int, bytes]:
        given = (_json(list(numbers)),)
        found = await self._engine.read(lambda c: rows(c, self._sql["heads_of"], given))
        return {number: bytes(head) for number, head in found}

    async def ranges(self) -> list[RangeSettlement]:
        return [range_of(row) for row in await self._engine.read(lambda c: rows(c, self._sql["all_ranges"]))]

    async def counters(self) -> Counters:
        def work(connection: apsw.Connection) -> tuple[int, list[Any], int, list[Lane]]:
            counts = rows(connection, self._sql["audience_counts"])
            head = connection.execute(sql("log")["head"]).get or 0
            return head, counts, *self._load(connection)

        head, counts, high_water_mark, lanes = await self._engine.read(work)
        audiences = self._log.audiences()
        # A decision stored at this moment may not be in memory yet; then no event has it either.
        counted = tuple((audiences[number], count) for number, count in counts if number in audiences)
        return Counters(head, high_water_mark, counted, tuple(lanes))

    async def put_replay(self, replay: Replay) -> None:
        await self._engine.write(lambda c: c.execute(self._sql["put_replay"], replay_row(replay)).fetchall())

    async def replays(self) -> list[Replay]:
        return [Replay(*row) for row in await self._engine.read(lambda c: rows(c, self._sql["all_replays"]))]

    async def replay(self, id_: str) -> Replay | None:
        read = await self._engine.read(lambda c: rows(c, self._sql["one_replay"], (id_,)))
        return Replay(*read[0]) if read else None


def _json(numbers: Sequence[int]) -> str:
    return msgspec.json.encode(list(numbers)).decode()
