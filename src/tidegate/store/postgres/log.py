"""The event log on PostgreSQL: append by the group in one statement, read by offset, intern audiences.

Calls that wait go together, one statement at a time a node; offsets are drawn under the append lock by the statement
that inserts, so they are visible in order on every node. Offsets have gaps (a change of day, a cut statement).

Failure: a statement that was cut has an unknown outcome; its callers get StoreBusy, and what was committed is told
all the same, for it is read from the table. Crash: a batch is whole or absent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from tidegate.core.clock import Clock
from tidegate.core.errors import ChangedElsewhere, Conflict, StoreBroken, StoreBusy, TidegateError
from tidegate.core.model import Appended, Audience, Event, NewEvent
from tidegate.store import EventHead, EventPage, EventQuery, Listener
from tidegate.store.postgres.batches import Answer, Batch, Call, clash, gather, read_answer
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.follower import Follower
from tidegate.store.postgres.log_spans import Partitions, slice_seconds
from tidegate.store.postgres.pages import page
from tidegate.store.postgres.text import back
from tidegate.store.rows import (
    Audiences,
    audience_of,
    audience_row,
    event_from,
    event_of,
    head_of,
    head_of_event,
)

STUCK_AFTER_SECONDS = 0.5  # the door refuses new requests
ANSWER_AFTER_SECONDS = 0.9  # those who wait get 503
SWEEP_SECONDS = 0.1
KEEP_EVERY_SECONDS = 10.0
DEDUPE_SLICE = 2000
# Nearly all of what a small append costs is its commit, and the look of every other node that follows it. So an append
# begins at least so long after the one before, and what came meanwhile goes together; with n nodes, n times as long.
ALONE_PACE_SECONDS = 0.004
PACE_SECONDS = 0.008
PACE_LIMIT_SECONDS = 0.03

KNOWN_OTHERWISE = "a change of this number is in the log already, and says something else"

logger = logging.getLogger("tidegate.store")


class PostgresLog:
    """Implements `store.Log`."""

    def __init__(self, engine: Engine, instance: str, clock: Clock) -> None:
        self.instance = instance
        self.partitions = Partitions(engine)
        self.follower = Follower(engine, self._make)
        self._engine = engine
        self._clock = clock
        self._sql = sql("log")
        self._loop = asyncio.get_running_loop()
        self._audiences = Audiences()
        self._calls: list[Call] = []  # not sent yet
        self._open: dict[asyncio.Future[Any], float] = {}  # not answered yet, oldest first
        self._writing_since: float | None = None
        self._pace = ALONE_PACE_SECONDS
        self._due = asyncio.Event()
        self._keep_now = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load the audiences, make the partitions that are due, and begin to tell."""
        for row in await self._engine.vital.fetch(self._sql["all_audiences"]):
            self._audiences.keep(audience_of(*row))
        await self.partitions.run()
        await self.follower.start()
        self._engine.on_connection(self._recognise)
        self._tasks = [
            self._loop.create_task(self._flush(), name="tidegate-append"),
            self._loop.create_task(self._keep_partitions(), name="tidegate-partitions"),
        ]

    async def stop(self) -> None:
        """Write what waits, as far as the server answers, then end."""
        if self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while self._open:
                        await asyncio.wait(list(self._open))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._sweep is not None:
            self._sweep.cancel()
        await self.follower.stop()

    async def _recognise(self, connection: Any) -> None:
        """A backup, or a standby that followed behind, may stand where the database was: then offsets that were told
        are given again, and would be passed over."""
        told = self.follower.published_offset  # before asking: more is told while the answer is on its way
        instance, head = await connection.fetchrow(self._sql["identity"])
        if instance is None or instance.decode() != self.instance or head < told:
            raise StoreBroken(
                f"{self._engine.server} is not as this node knew it: it is another installation, or its log went back",
                hint="start again: the node takes up what is there now",
            )

    # -- append ------------------------------------------------------------------------------------------

    def append(self, events: Sequence[NewEvent], strict: bool = False) -> asyncio.Future[list[Appended]]:
        """See `store.Log.append`. With `strict`, an id that exists with another body raises Conflict: all or none."""
        future: asyncio.Future[list[Appended]] = self._loop.create_future()
        refusal = clash(events) if strict else None
        if refusal is not None:
            future.set_exception(refusal)
        elif self._engine.down:
            future.set_exception(StoreBusy("the database does not answer", retry_after_seconds=1))
        elif not events:
            future.set_result([])
        else:
            self._open[future] = time.monotonic()
            self._calls.append(Call(future, events, strict))
            self._due.set()
            if self._sweep is None:
                self._sweep = self._loop.call_later(SWEEP_SECONDS, self._sweep_open)
        return future

    @property
    def waiting(self) -> int:
        return len(self._open)

    @property
    def stuck(self) -> bool:
        return self._engine.down or self._oldest_waits_for() > STUCK_AFTER_SECONDS

    @property
    def unavailable_reason(self) -> str | None:
        if self._engine.down:
            return "the database does not answer"
        return "the database does not confirm writes in time" if self.stuck else None

    @property
    def published_offset(self) -> int:
        """The highest offset that listeners were told."""
        return self.follower.published_offset

    def _oldest_waits_for(self) -> float:
        """The oldest call without an answer, or the statement under way when its callers had to be answered before."""
        since = self._writing_since or time.monotonic()
        if self._open:
            since = min(since, next(iter(self._open.values())))
        return time.monotonic() - since

    def _sweep_open(self) -> None:
        """Answer those who waited too long: their events may come to be stored or not."""
        self._sweep = None
        until = time.monotonic() - ANSWER_AFTER_SECONDS
        late = [future for future, since in self._open.items() if since < until or self._engine.down]
        for future in late:
            self._answer(future, StoreBusy("the database did not confirm a write in time", retry_after_seconds=2))
        if self._open:
            self._sweep = self._loop.call_later(SWEEP_SECONDS, self._sweep_open)

    def _answer(self, future: asyncio.Future[Any], value: Any) -> None:
        self._open.pop(future, None)
        if future.done():
            return
        if isinstance(value, BaseException):
            future.set_exception(value)
        else:
            future.set_result(value)

    def peers(self, nodes: int) -> None:
        """How many nodes are alive, this one among them."""
        self.follower.others = nodes > 1
        self._pace = ALONE_PACE_SECONDS if nodes == 1 else min(PACE_SECONDS * nodes, PACE_LIMIT_SECONDS)

    async def _flush(self) -> None:
        began = 0.0
        while True:
            await self._due.wait()
            self._due.clear()
            while self._calls:
                if (pause := began + self._pace - self._loop.time()) > 0:
                    await asyncio.sleep(pause)
                began = self._loop.time()
                waiting = [call for call in self._calls if not call.future.done()]
                self._calls = []
                if waiting:
                    batch, left = gather(waiting)
                    self._calls = left
                    self._writing_since = time.monotonic()
                    await self._write(batch)
                    self._writing_since = None

    async def _write(self, batch: Batch) -> None:
        try:
            answer = await self._insert(batch)
        except asyncpg.CheckViolationError:  # no partition for the next offset: the record writer is behind
            self._keep_now.set()
            self._fail(batch, StoreBusy("the log's next partition is being made", retry_after_seconds=1))
        except TidegateError as error:
            self._fail(batch, error)
        except Exception as error:
            if len(batch.calls) == 1:
                logger.exception("an event could not be written")
                self._fail(batch, error)
                return
            for call in batch.calls:  # one call's fault is its own: it must not fail its neighbours
                await self._write(gather([call])[0])
        else:
            self._tell(batch, answer)

    def _fail(self, batch: Batch, error: BaseException) -> None:
        for call in batch.calls:
            self._answer(call.future, error)

    async def _insert(self, batch: Batch) -> Answer:
        values = batch.columns(self.follower.notice())
        try:
            row = await self._engine.vital.fetchrow(self._sql["append"], *values)
        except asyncpg.UniqueViolationError:
            # Another node stored one of these ids between our look and our lock. With the lock first nobody can.
            async with self._engine.vital.transaction() as connection:
                await connection.fetchval(self._sql["lock_append"])
                row = await connection.fetchrow(self._sql["append"], *values)
        answer = read_answer(batch, row)
        if answer.differing:
            await self._engine.vital.execute(self._sql["mark_differs"], answer.differing)
        return answer

    def _tell(self, batch: Batch, answer: Answer) -> None:
        """First the readers, then those who wait for their 2xx."""
        later = self.follower.committed(answer.events, answer.noticed) if answer.events else None
        if later is None:
            self._answer_all(batch, answer)
        else:
            later.add_done_callback(lambda _: self._answer_all(batch, answer))

    def _answer_all(self, batch: Batch, answer: Answer) -> None:
        for call, value in zip(batch.calls, answer.answers, strict=True):
            self._answer(call.future, value)

    async def append_in(self, connection: Any, events: Sequence[NewEvent]) -> list[Appended]:
        """Append inside an open transaction, as its last act: the lock is held to its end. Then call `committed`.

        ChangedElsewhere when an id came before with another body: then the transaction must not be committed.
        """
        batch, _ = gather([Call(self._loop.create_future(), events, False)])
        await connection.fetchval(self._sql["lock_append"])
        answer = read_answer(batch, await connection.fetchrow(self._sql["append"], *batch.columns()))
        if answer.differing:
            raise ChangedElsewhere(KNOWN_OTHERWISE)
        (done,) = answer.answers
        assert not isinstance(done, Conflict)
        return done

    async def committed(self, events: Sequence[NewEvent], appended: Sequence[Appended]) -> None:
        """After the commit of a transaction with `append_in`: returns when listeners were told."""
        fresh = [
            event_from(event, one.offset) for event, one in zip(events, appended, strict=True) if not one.duplicate
        ]
        later = self.follower.committed(fresh) if fresh else None
        if later is not None:
            await later

    # -- audiences ---------------------------------------------------------------------------------------

    def audiences(self) -> Mapping[int, Audience]:
        return self._audiences.by_number

    async def learn(self, numbers: set[int]) -> None:
        """Load those audiences that another node interned."""
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

    async def _make(self, rows: Sequence[Any]) -> list[Event]:
        await self.learn({row["audience"] for row in rows})
        known = self._audiences.by_number
        return [event_of(row, known[row["audience"]].source, back) for row in rows]

    def subscribe(self, listener: Listener) -> int:
        return self.follower.subscribe(listener)

    def unsubscribe(self, listener: Listener) -> None:
        self.follower.unsubscribe(listener)

    def cached(self, offset: int) -> Event | None:
        """The event when the tail has it; for hot paths that must not await."""
        return self.follower.tail.get(offset)

    async def read(self, offsets: Sequence[int]) -> list[Event]:
        found, missing = self.follower.tail.among(offsets)
        if missing:
            for event in await self._make(await self._engine.work.fetch(self._sql["read_events"], missing)):
                found[event.offset] = event
        return [found[offset] for offset in sorted(found)]

    async def heads(self, offsets: Sequence[int]) -> list[EventHead]:
        events, missing = self.follower.tail.among(offsets)
        found = {offset: head_of_event(event) for offset, event in events.items()}
        if missing:
            rows = await self._engine.work.fetch(self._sql["heads"], missing)
            await self.learn({row["audience"] for row in rows})
            known = self._audiences.by_number
            for row in rows:
                found[row["offset"]] = head_of(row, known[row["audience"]].source, back)
        return [found[offset] for offset in sorted(found)]

    async def scan(
        self, after: int, upto: int, limit: int, audiences: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        if audiences is None:
            rows = await self._engine.work.fetch(self._sql["scan_all"], after, upto, limit)
        else:
            rows = await self._engine.work.fetch(self._sql["scan_audiences"], after, upto, limit, list(audiences))
        pairs = [(row[0], row[1]) for row in rows]
        await self.learn({number for _, number in pairs})
        return pairs

    async def page(self, query: EventQuery) -> EventPage:
        return await page(self._engine, query, self._make)

    async def oldest(self) -> tuple[int, int] | None:
        """(offset, received_at_us) of the oldest event kept."""
        row = await self._engine.work.fetchrow(self._sql["oldest"])
        return None if row is None else (row[0], row[1])

    async def head(self) -> int:
        return int(await self._engine.work.fetchval(self._sql["head"]))

    async def trimmed(self) -> int:
        return int(await self._engine.work.fetchval(self._sql["floor"]))

    async def offset_at(self, at_us: int, after: int = 0) -> int | None:
        """The first offset beyond `after` received at or after an instant; None when there is none."""
        found: int | None = await self._engine.asked.fetchval(self._sql["offset_at"], after, at_us)
        return found

    # -- retention ---------------------------------------------------------------------------------------

    async def trim(self, upto: int, limit: int) -> int:
        """Raise the floor: those events are gone for every reader. Partitions go when they lie wholly below it."""
        row = await self._engine.work.fetchrow(self._sql["trim"], upto, limit)
        if row["newest"] is not None:
            self.partitions.slice_seconds = slice_seconds((self._clock.now_us() - row["newest"]) / 1e6)
        if row["upto"] is not None:
            self.follower.tail.forget(row["upto"])
        if row["events"] < limit:
            self._keep_now.set()
        return int(row["events"])

    async def forget_dedupe(self, before_us: int) -> None:
        """Forget delivery ids seen before an instant, in slices by key."""
        after: bytes | None = b""
        while after is not None:
            upto: bytes | None = await self._engine.work.fetchval(self._sql["dedupe_slice"], after, DEDUPE_SLICE)
            if upto is not None:
                await self._engine.work.execute(self._sql["forget_dedupe"], after, upto, before_us)
            after = upto

    async def _keep_partitions(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_EVERY_SECONDS):
                    await self._keep_now.wait()
            self._keep_now.clear()
            try:
                await self.partitions.run()
                # What another node trimmed leaves the memory of this one too.
                self.follower.tail.forget(await self._engine.work.fetchval(self._sql["floor"]))
            except (TidegateError, asyncpg.PostgresError) as error:
                logger.warning("partitions were not kept: %s", error)
                await asyncio.sleep(1)
            except Exception:  # a fault of ours: without partitions the log ends
                logger.exception("partitions were not kept")
