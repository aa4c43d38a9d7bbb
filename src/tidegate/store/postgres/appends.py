"""Appends to the log on PostgreSQL: collects waiting calls and writes them in groups, one statement at a time.

Owns the queue of waiting calls and their answers. Invariant: an event is published before its call is answered. A
statement takes as many events as it can write in time (`group_size.py`); the other calls keep their place, and as long
as statements end they wait for their turn. When a statement does not end in time, or the server does not answer, all
calls that wait are answered StoreBusy: those that no statement had are not written, those of the statement have an
unknown outcome; if it was committed its events are published all the same, because the follower reads them from the
table. Nothing is stored here: after a crash a batch is in the table completely or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from tidegate.core.errors import ChangedElsewhere, Conflict, StoreBusy, TidegateError
from tidegate.core.model import Appended, NewEvent
from tidegate.store.group_size import ANSWER_SECONDS, GroupSize, patience_seconds
from tidegate.store.postgres.batches import Batch, BatchResult, Call, conflict_within, make_batch, read_result
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.follower import Follower
from tidegate.store.rows import ID_REUSED, event_from
from tidegate.store.waiting import Waiting, take

STUCK_SECONDS = 0.4  # before the calls that wait are answered 503, new ones are
SWEEP_SECONDS = 0.1
# Nearly the whole cost of a small append is its commit, and the look of every other node that follows it. So an append
# starts at least this long after the one before, and the calls of that time go together; with n nodes, n times as long.
ALONE_PACE_SECONDS = 0.004
PACE_SECONDS = 0.008
PACE_LIMIT_SECONDS = 0.03

logger = logging.getLogger("tidegate.store")


class Appender:
    """All appends of `node`. `missing_span` is called when the next offset has no span yet."""

    def __init__(self, engine: Engine, follower: Follower, node: str, missing_span: Callable[[], None]) -> None:
        self._engine = engine
        self._follower = follower
        self._node = node
        self._missing_span = missing_span
        self._sql = sql("log")
        self._loop = asyncio.get_running_loop()
        self._calls: list[Call] = []  # not sent yet
        self._open: Waiting[asyncio.Future[Any]] = Waiting()  # without an answer
        self._sent: dict[asyncio.Future[Any], float] = {}  # those of statements, since when, oldest first
        self._writing_since: float | None = None
        self._patience = ANSWER_SECONDS  # for the running statement
        self.size = GroupSize()
        self._pace = ALONE_PACE_SECONDS
        self._due = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._loop.create_task(self._flush(), name="tidegate-append")

    async def stop(self) -> None:
        """Write what is waiting, as far as the server answers, then end."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while len(self._open):
                    await asyncio.wait(list(self._open))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._sweep is not None:
            self._sweep.cancel()

    def append(self, events: Sequence[NewEvent], strict: bool = False) -> asyncio.Future[list[Appended]]:
        """See `store.Log.append`."""
        future: asyncio.Future[list[Appended]] = self._loop.create_future()
        conflict = conflict_within(events) if strict else None
        if conflict is not None:
            future.set_exception(conflict)
        elif self._engine.down:
            future.set_exception(StoreBusy("the database does not answer", retry_after_seconds=1))
        elif not events:
            future.set_result([])
        else:
            self._open.add(future, events[0].source, len(events))
            self._calls.append(Call(future, events, strict))
            self._due.set()
            if self._sweep is None:
                self._sweep = self._loop.call_later(SWEEP_SECONDS, self._sweep_open)
        return future

    @property
    def waiting(self) -> int:
        return self._open.events

    def is_busy(self, limit: int, source: str) -> bool:
        """See `store.Log.is_busy`."""
        return self._open.is_full(self.size.waiting_limit, limit, source) or self.stuck

    @property
    def stuck(self) -> bool:
        return self._engine.down or self._runs_for() > self._patience - STUCK_SECONDS

    @property
    def unavailable_reason(self) -> str | None:
        if self._engine.down:
            return "the database does not answer"
        return "the database does not confirm writes in time" if self.stuck else None

    def _runs_for(self) -> float:
        """The age of the running statement, or of the oldest whose events are not published yet."""
        since = self._writing_since or time.monotonic()
        if self._sent:
            since = min(since, next(iter(self._sent.values())))
        return time.monotonic() - since

    def _sweep_open(self) -> None:
        """Answer the calls that cannot be answered in time: all when a statement does not end, else those whose events
        are stored and not published."""
        self._sweep = None
        now = time.monotonic()
        if self._engine.down or (self._writing_since is not None and now - self._writing_since > self._patience):
            late = list(self._open)
        else:
            late = [future for future, since in self._sent.items() if now - since > self._patience]
        for future in late:
            self._answer(future, StoreBusy("the database did not confirm a write in time", retry_after_seconds=2))
        if len(self._open):
            self._sweep = self._loop.call_later(SWEEP_SECONDS, self._sweep_open)

    def _answer(self, future: asyncio.Future[Any], value: Any) -> None:
        self._open.remove(future)
        self._sent.pop(future, None)
        if future.done():
            return
        if isinstance(value, BaseException):
            future.set_exception(value)
        else:
            future.set_result(value)

    def peers(self, nodes: int) -> None:
        """`nodes`: how many nodes run, including this one."""
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
                batch = self._next_batch()
                if batch is not None:
                    await self._write_in_time(batch)

    def _next_batch(self) -> Batch | None:
        """What the next statement takes. Calls that were answered, or that nobody waits for any more, are dropped."""
        waiting = []
        for call in self._calls:
            if call.future.done():
                self._open.remove(call.future)
            else:
                waiting.append(call)
        self._calls = []
        if not waiting:
            return None
        left: list[Call] = []
        if sum([len(call.events) for call in waiting]) > self.size.limit:
            waiting, left = take(waiting, self.size.limit, _describe)
        batch, apart = make_batch(waiting)
        self._calls = apart + left
        return batch

    async def _write_in_time(self, batch: Batch) -> None:
        self._writing_since = began = time.monotonic()
        self._patience = patience_seconds(len(batch.rows))
        self._sent.update((call.future, began) for call in batch.calls)
        is_written = await self._write(batch)
        self._writing_since = None
        if is_written and batch.rows:
            self.size.committed(len(batch.rows), time.monotonic() - began, len(self._calls))

    async def _write(self, batch: Batch) -> bool:
        """Whether one statement wrote it all."""
        try:
            answer = await self._insert(batch)
        except asyncpg.CheckViolationError:  # no span for the next offset: maintenance is behind
            self._missing_span()
            self._fail(batch, StoreBusy("the next span of the log is being made", retry_after_seconds=1))
        except TidegateError as error:
            self._fail(batch, error)
        except Exception as error:
            if len(batch.calls) == 1:
                logger.exception("an event could not be written")
                self._fail(batch, error)
                return False
            for call in batch.calls:  # an error of one call must not fail the others
                await self._write(make_batch([call])[0])
        else:
            self._publish(batch, answer)
            return True
        return False

    def _fail(self, batch: Batch, error: BaseException) -> None:
        for call in batch.calls:
            self._answer(call.future, error)

    async def _insert(self, batch: Batch) -> BatchResult:
        values = batch.columns(self._node, self._follower.notification())
        try:
            row = await self._engine.vital.fetchrow(self._sql["append"], *values)
        except asyncpg.UniqueViolationError:
            # Another node stored one of these ids between our look-up and our lock. With the lock first it cannot.
            async with self._engine.vital.transaction() as connection:
                await connection.fetchval(self._sql["lock_append"])
                row = await connection.fetchrow(self._sql["append"], *values)
        answer = read_result(batch, row)
        if answer.differing:
            await self._engine.vital.execute(self._sql["mark_differs"], answer.differing)
        return answer

    def _publish(self, batch: Batch, answer: BatchResult) -> None:
        """First to the listeners, then answer the calls."""
        later = self._follower.committed(answer.events, answer.notified) if answer.events else None
        if later is None:
            self._answer_all(batch, answer)
        else:
            later.add_done_callback(lambda _: self._answer_all(batch, answer))

    def _answer_all(self, batch: Batch, answer: BatchResult) -> None:
        for call, value in zip(batch.calls, answer.answers, strict=True):
            self._answer(call.future, value)

    async def append_in(self, connection: Any, events: Sequence[NewEvent]) -> list[Appended]:
        """Append within an open transaction as its last step, because the append lock is held to its end. Then call
        `committed`. Raises ChangedElsewhere when an id is stored with a different body: do not commit then.
        """
        batch, _ = make_batch([Call(self._loop.create_future(), events, False)])
        await connection.fetchval(self._sql["lock_append"])
        answer = read_result(batch, await connection.fetchrow(self._sql["append"], *batch.columns(self._node)))
        if answer.differing:
            raise ChangedElsewhere(ID_REUSED)
        (done,) = answer.answers
        assert not isinstance(done, Conflict)
        return done

    async def committed(self, events: Sequence[NewEvent], appended: Sequence[Appended]) -> None:
        """After the commit of a transaction with `append_in`: returns when its events are published."""
        fresh = [
            event_from(event, one.offset) for event, one in zip(events, appended, strict=True) if not one.duplicate
        ]
        later = self._follower.committed(fresh) if fresh else None
        if later is not None:
            await later


def _describe(call: Call) -> tuple[str, int]:
    return call.events[0].source, len(call.events)
