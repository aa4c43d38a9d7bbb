"""Positions, deferred deliveries, ranges, attempts and replay jobs on SQLite: implements `store.Deliveries`.

A settle is one function inside the group's transaction, so it commits together with the appends that wait. It is
idempotent: attempts do nothing on conflict, counters are totals, a put replaces. Crash: a settle is whole or absent;
absent means that its sends are made again with the same id and attempt number.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import Any

import apsw
import msgspec

from tidegate.core.model import Attempt, Deferred, DeferredState, DeliveryState, Lane, Outcome, RangeSettlement
from tidegate.store import PARTITIONS, Counters, Replay, Settlement, Standing, partition_of
from tidegate.store.sqlite.engine import Engine, rows, sql
from tidegate.store.sqlite.log import SqliteLog


def pack_settled_ahead(committed_offset: int, settled_ahead: Sequence[int]) -> bytes:
    """Settled offsets beyond a position, as 32-bit distances."""
    return struct.pack(f"<{len(settled_ahead)}I", *[offset - committed_offset for offset in settled_ahead])


def unpack_settled_ahead(committed_offset: int, blob: bytes) -> tuple[int, ...]:
    return tuple(committed_offset + distance for distance in struct.unpack(f"<{len(blob) // 4}I", blob))


class SqliteDeliveries:
    """Implements `store.Deliveries`."""

    settle_seconds = 0.02  # 5 to 50 ms measured the same; duplicates after a kill shorten with it

    def __init__(self, engine: Engine, log: SqliteLog) -> None:
        self._engine = engine
        self._log = log
        self._sql = sql("deliveries")

    async def load(self, partitions: Collection[int] | None = None) -> Standing:
        """One process holds every partition, so all stand at one mark."""
        high_water_mark, lanes = await self._engine.read(self._load)
        held = range(PARTITIONS) if partitions is None else partitions
        if partitions is not None:
            lanes = [lane for lane in lanes if partition_of(lane.destination) in partitions]
        return Standing(dict.fromkeys(held, high_water_mark), lanes)

    def _load(self, connection: apsw.Connection) -> tuple[int, list[Lane]]:
        (high_water_mark,) = [row[0] for row in rows(connection, self._sql["high_water_mark"])] or [0]
        lanes = []
        for row in rows(connection, self._sql["load_lanes"]):
            committed_offset = row[1]
            settled_ahead = unpack_settled_ahead(committed_offset, row[2]) if committed_offset is not None else ()
            lanes.append(Lane(row[0], committed_offset, settled_ahead, *row[3:]))
        return high_water_mark, lanes

    async def settle(self, settlement: Settlement) -> None:
        await self._engine.write(lambda c: self._settle(c, settlement))

    def _settle(self, connection: apsw.Connection, settlement: Settlement) -> None:
        if settlement.attempts:
            connection.executemany(
                self._sql["put_attempt"],
                [
                    (
                        a.offset, a.destination, a.number, int(a.outcome), a.started_at_us, a.duration_us, a.status,
                        a.error, a.answer_headers, a.answer_body, a.answer_bytes, a.url, int(a.manual),
                    )
                    for a in settlement.attempts
                ],
            )  # fmt: skip
        if settlement.deferred:
            connection.executemany(
                self._sql["put_deferred"],
                [
                    (
                        e.destination, e.offset, int(e.state), e.due_at_us, e.attempts, e.cause, e.key,
                        e.tries_left_from, e.route, e.replay,
                    )
                    for e in settlement.deferred
                ],
            )  # fmt: skip
        if settlement.closed:
            connection.executemany(self._sql["close_deferred"], settlement.closed)
        for one in settlement.ranges:
            grown = (one.destination, one.upto, one.state.value, one.cause, one.at_us)
            if not rows(connection, self._sql["grow_range"], grown):
                connection.execute(self._sql["put_range"], (one.destination, one.after, *grown[1:]))
        connection.executemany(
            self._sql["put_lane"],
            [
                (
                    lane.destination, lane.committed_offset,
                    pack_settled_ahead(lane.committed_offset, lane.settled_ahead) if lane.committed_offset is not None
                    else b"",
                    lane.delivered, lane.exhausted, lane.canceled, lane.adopted, lane.adopted_filtered, lane.fence,
                )
                for lane in settlement.lanes
            ],
        )  # fmt: skip
        connection.execute(self._sql["put_mark"], (settlement.high_water_mark,))

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
        allowed = msgspec.json.encode([int(s) for s in (states or list(DeferredState))]).decode()
        parameters: tuple[Any, ...]
        if offsets is not None:
            query, parameters = "deferred_of_events", (msgspec.json.encode(list(offsets)).decode(), limit)
        elif destination is None:
            query, parameters = "deferred_of_all", (after or 0, allowed, limit)
        elif due_before_us is not None:
            query, parameters = "due_deferred", (destination, due_before_us, limit)
        else:
            query, parameters = "deferred_of_destination", (destination, after or 0, allowed, limit)
        read = await self._engine.read(lambda c: rows(c, self._sql[query], parameters))
        found = [Deferred(row[0], row[1], DeferredState(row[2]), *row[3:]) for row in read]
        if offsets is not None:
            wanted = set(states or list(DeferredState))
            found = [
                one for one in found if one.state in wanted and (destination is None or one.destination == destination)
            ]
        return found

    async def attempts(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Attempt]]:
        def work(connection: apsw.Connection) -> dict[tuple[int, int], list[Attempt]]:
            return {pair: [_attempt(row) for row in rows(connection, self._sql["attempts_of"], pair)] for pair in pairs}

        return await self._engine.read(work)

    async def ranges(self) -> list[RangeSettlement]:
        read = await self._engine.read(lambda c: rows(c, self._sql["all_ranges"]))
        return [RangeSettlement(row[0], row[1], row[2], DeliveryState(row[3]), row[4], row[5]) for row in read]

    async def counters(self) -> Counters:
        def work(connection: apsw.Connection) -> tuple[int, list[Any], int, list[Lane]]:
            counts = rows(connection, self._sql["audience_counts"])
            head = connection.execute(sql("log")["head"]).get or 0
            return head, counts, *self._load(connection)

        head, counts, high_water_mark, lanes = await self._engine.read(work)
        audiences = self._log.audiences()
        # An audience interned in the same instant may not be in memory yet; then no event has it either.
        counted = tuple((audiences[number], count) for number, count in counts if number in audiences)
        return Counters(head, high_water_mark, counted, tuple(lanes))

    async def put_replay(self, replay: Replay) -> None:
        row = (
            replay.id, replay.created_at_us, replay.query, replay.committed_offset, replay.upto, replay.matched,
            replay.reopened, replay.finished_at_us, replay.cause,
        )  # fmt: skip
        await self._engine.write(lambda c: c.execute(self._sql["put_replay"], row).fetchall())

    async def replays(self) -> list[Replay]:
        read = await self._engine.read(lambda c: rows(c, self._sql["all_replays"]))
        return [Replay(*row) for row in read]

    async def replay(self, id_: str) -> Replay | None:
        read = await self._engine.read(lambda c: rows(c, self._sql["one_replay"], (id_,)))
        return Replay(*read[0]) if read else None


def _attempt(row: tuple[Any, ...]) -> Attempt:
    return Attempt(row[0], row[1], row[2], Outcome(row[3]), *row[4:])
