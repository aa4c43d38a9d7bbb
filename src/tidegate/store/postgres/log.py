"""The event log on PostgreSQL: reads by offset, routing decisions, retention; appends are in `appends.py`.

Implements `store.Log`. Offsets are drawn under the append lock by the statement that inserts, so they become visible in
order on every node. They have gaps (a change of day, a failed statement). Invariant: no reader sees an event at or
below the floor. After a crash nothing needs repair: maintenance looks at what exists and continues.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import asyncpg

from tidegate.core.clock import Clock
from tidegate.core.errors import StoreBroken, TidegateError
from tidegate.core.model import Appended, Audience, Event, NewEvent
from tidegate.rules.retention import Owed, deletable, weigh
from tidegate.store import EventHead, EventPage, EventQuery, Listener, Receipt, Thinned, Weighed
from tidegate.store.postgres.appends import Appender
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.follower import Follower
from tidegate.store.postgres.log_spans import LogSpans, slice_seconds, span_of
from tidegate.store.postgres.pages import page
from tidegate.store.postgres.span_space import note_freed
from tidegate.store.postgres.text import unescape
from tidegate.store.rows import (
    Audiences,
    audience_of,
    audience_row,
    event_of,
    head_of,
    head_of_event,
)

MAINTAIN_EVERY_SECONDS = 10.0
DEDUPE_SLICE = 2000

logger = logging.getLogger("tidegate.store")


class PostgresLog:
    """Implements `store.Log`."""

    def __init__(self, engine: Engine, instance: str, node: str, clock: Clock) -> None:
        self.instance = instance
        self.spans = LogSpans(engine)
        self.follower = Follower(engine, self._events_of)
        self._engine = engine
        self._clock = clock
        self._sql = sql("log")
        self._loop = asyncio.get_running_loop()
        self._audiences = Audiences()
        self._maintain_now = asyncio.Event()
        self.appends = Appender(engine, self.follower, node, self._maintain_now.set)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the routing decisions, make the spans that are due, and start to publish."""
        for row in await self._engine.vital.fetch(self._sql["all_audiences"]):
            self._audiences.keep(audience_of(*row))
        await self.spans.run()
        await self.follower.start()
        self._engine.on_connection(self._check_database)
        self.appends.start()
        self._task = self._loop.create_task(self._maintain_spans(), name="tidegate-spans")

    async def stop(self) -> None:
        """Write what is waiting, as far as the server answers, then end."""
        await self.appends.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.follower.stop()

    async def _check_database(self, connection: Any) -> None:
        """Refuse a database that was restored from a backup, or a standby that was behind: it would give published
        offsets to new events, and readers would skip those."""
        published = self.follower.published_offset  # read first: it grows while the query runs
        instance, head = await connection.fetchrow(self._sql["identity"])
        if instance is None or instance.decode() != self.instance or head < published:
            raise StoreBroken(
                f"{self._engine.server} is another installation now, or its log was set back",
                hint="restart the node: it continues with what is there now",
            )

    # -- append ------------------------------------------------------------------------------------------

    def append(self, events: Sequence[NewEvent], strict: bool = False) -> asyncio.Future[list[Appended]]:
        """See `store.Log.append`."""
        return self.appends.append(events, strict)

    def append_one(self, event: NewEvent, receipt: Receipt) -> None:
        """See `store.Log.append_one`."""

        def finish(future: asyncio.Future[list[Appended]]) -> None:
            if receipt.done() or future.cancelled():
                return
            error = future.exception()
            if error is not None:
                receipt.set_exception(error)
            else:
                receipt.set_result(future.result()[0])

        self.append((event,)).add_done_callback(finish)

    @property
    def waiting(self) -> int:
        return self.appends.waiting

    def is_busy(self, limit: int, source: str) -> bool:
        """See `store.Log.is_busy`."""
        return self.appends.is_busy(limit, source)

    @property
    def stuck(self) -> bool:
        return self.appends.stuck

    @property
    def unavailable_reason(self) -> str | None:
        return self.appends.unavailable_reason

    @property
    def published_offset(self) -> int:
        """The highest offset published to listeners."""
        return self.follower.published_offset

    def peers(self, nodes: int) -> None:
        """`nodes`: how many nodes run, including this one."""
        self.follower.has_peers = nodes > 1
        self.appends.peers(nodes)

    # -- audiences ---------------------------------------------------------------------------------------

    def audiences(self) -> Mapping[int, Audience]:
        return self._audiences.by_number

    async def load_audiences(self, numbers: set[int]) -> None:
        """Load the routing decisions that another node stored."""
        unknown = [number for number in numbers if number not in self._audiences.by_number]
        if unknown:
            for row in await self._engine.vital.fetch(self._sql["audiences_of"], unknown):
                self._audiences.keep(audience_of(*row))

    async def audience(
        self,
        source: str,
        considered: tuple[int, ...],
        wanted: tuple[tuple[int, int], ...],
        filtered: tuple[int, ...],
    ) -> Audience:
        found = self._audiences.find(source, considered, wanted, filtered)
        if found is not None:
            return found
        row = audience_row(source, considered, wanted, filtered)
        number = await self._engine.vital.fetchval(self._sql["find_audience"], row[0])
        if number is None:
            number = await self._engine.vital.fetchval(self._sql["insert_audience"], *row)
        return self._audiences.keep(Audience(number, source, considered, wanted, filtered))

    # -- reading -----------------------------------------------------------------------------------------

    async def _events_of(self, rows: Sequence[Any]) -> list[Event]:
        await self.load_audiences({row["audience"] for row in rows})
        known = self._audiences.by_number
        return [event_of(row, known[row["audience"]].source, unescape) for row in rows]

    def subscribe(self, listener: Listener) -> int:
        return self.follower.subscribe(listener)

    def unsubscribe(self, listener: Listener) -> None:
        self.follower.unsubscribe(listener)

    def cached(self, offset: int) -> Event | None:
        """The event if it is in memory; for hot paths that must not wait."""
        return self.follower.tail.get(offset)

    async def read(self, offsets: Sequence[int]) -> list[Event]:
        found, missing = self.follower.tail.among(offsets)
        if missing:
            for event in await self._events_of(await self._engine.work.fetch(self._sql["read_events"], missing)):
                found[event.offset] = event
        return [found[offset] for offset in sorted(found)]

    async def heads(self, offsets: Sequence[int]) -> list[EventHead]:
        events, missing = self.follower.tail.among(offsets)
        found = {offset: head_of_event(event) for offset, event in events.items()}
        if missing:
            rows = await self._engine.work.fetch(self._sql["heads"], missing)
            await self.load_audiences({row["audience"] for row in rows})
            known = self._audiences.by_number
            for row in rows:
                found[row["offset"]] = head_of(row, known[row["audience"]].source, unescape)
        return [found[offset] for offset in sorted(found)]

    async def scan(
        self, after: int, upto: int, limit: int, audiences: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        if audiences is None:
            rows = await self._engine.work.fetch(self._sql["scan_all"], after, upto, limit)
        else:
            rows = await self._engine.work.fetch(self._sql["scan_audiences"], after, upto, limit, list(audiences))
        pairs = [(row[0], row[1]) for row in rows]
        await self.load_audiences({number for _, number in pairs})
        return pairs

    async def page(self, query: EventQuery) -> EventPage:
        return await page(self._engine, query, self._events_of)

    async def oldest(self) -> tuple[int, int] | None:
        """(offset, received_at_us) of the oldest event that is kept."""
        row = await self._engine.work.fetchrow(self._sql["oldest"])
        return None if row is None else (row[0], row[1])

    async def head(self) -> int:
        return int(await self._engine.work.fetchval(self._sql["head"]))

    async def trimmed(self) -> int:
        return int(await self._engine.work.fetchval(self._sql["trimmed"]))

    async def offset_at(self, at_us: int, after: int = 0) -> int | None:
        """The first offset above `after` received at or after an instant; None if there is none."""
        found: int | None = await self._engine.requested.fetchval(self._sql["offset_at"], after, at_us)
        return found

    # -- retention ---------------------------------------------------------------------------------------

    async def trim(self, upto: int, limit: int) -> int:
        """Raise the floor: events up to it are gone for every reader. A span is dropped when all of it is below."""
        row = await self._engine.work.fetchrow(self._sql["trim"], upto, limit)
        if row["newest"] is not None:
            self.spans.slice_seconds = slice_seconds((self._clock.now_us() - row["newest"]) / 1e6)
        if row["upto"] is not None:
            self.follower.tail.forget(row["upto"])
        if row["events"] < limit:
            self._maintain_now.set()
        return int(row["events"])

    async def thin(self, after: int, limit: int, room: int, sources: Collection[str] | None = None) -> Thinned:
        """The space of deleted events is used again by new ones of the same span; older spans are rewritten."""
        async with self._engine.work.transaction() as connection:
            found = await connection.fetch(self._sql["thin_slice"], after, limit)
            if not found:
                return Thinned(None, 0, 0)
            lanes = {row[0]: row[1] for row in await connection.fetch(self._sql["thin_lanes"])}
            pending = await connection.fetch(self._sql["thin_pending"], after, found[-1][0])
            owed = Owed(self.audiences(), lanes, frozenset(row[0] for row in pending))
            gone = deletable([tuple(row) for row in found], owed, room, sources)
            if gone.offsets:
                deleted = await connection.fetch(self._sql["thin"], gone.offsets, gone.offsets[-1])
                await note_freed(connection, ((span_of(row[0]), row[1]) for row in deleted))
        self.follower.tail.remove(gone.offsets)
        return Thinned(gone.upto, len(gone.offsets), gone.body_bytes)

    async def weigh(self, after: int, limit: int) -> Weighed:
        async with self._engine.work.connection() as connection:
            found = [tuple(row) for row in await connection.fetch(self._sql["weigh_slice"], after, limit)]
            if not found:
                return Weighed(None)
            lanes = {row[0]: row[1] for row in await connection.fetch(self._sql["thin_lanes"])}
            pending = [tuple(row) for row in await connection.fetch(self._sql["weigh_pending"], after, found[-1][0])]
        await self.load_audiences({row[1] for row in found})
        return Weighed(found[-1][0], weigh(found, Owed(self.audiences(), lanes, frozenset()), pending))

    async def forget_dedupe(self, before_us: int) -> None:
        """Delete delivery ids seen before an instant, in slices by key."""
        after: bytes | None = b""
        while after is not None:
            upto: bytes | None = await self._engine.work.fetchval(self._sql["dedupe_slice"], after, DEDUPE_SLICE)
            if upto is not None:
                await self._engine.work.execute(self._sql["forget_dedupe"], after, upto, before_us)
            after = upto

    async def _maintain_spans(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAINTAIN_EVERY_SECONDS):
                    await self._maintain_now.wait()
            self._maintain_now.clear()
            try:
                await self.spans.run()
                # Events that another node trimmed leave the memory of this one too.
                self.follower.tail.forget(await self._engine.work.fetchval(self._sql["floor"]))
            except (TidegateError, asyncpg.PostgresError) as error:
                logger.warning("spans of the log could not be maintained: %s", error)
                await asyncio.sleep(1)
            except Exception:  # an internal error: without new spans the log ends
                logger.exception("spans of the log could not be maintained")
