"""Tells listeners of every event of the log once, in order, whichever node appended it. Owns `told` and the tail ring.

Own batches are told from memory when they follow directly on what was told; what lies between is read from the table
first. That is complete: offsets are drawn under the append lock, so below a visible event none can still appear.
Notices of other nodes are hints; looking each 0.25 s is the truth. Crash: nothing is kept here, the next start begins
at the head.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tidegate.errors import TidegateError
from tidegate.model import Event
from tidegate.store import Listener
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.tail import Tail

CHANNEL = "tidegate_log"
LOOK_EVERY_SECONDS = 0.25
NOTICE_AFTER_SECONDS = 0.01
NOTICE_EVERY_SECONDS = (
    0.05  # under load; each costs both nodes and the server (measured: 15 % of all at 2,700 events/s)
)
SLICE_ROWS = 500
SLICE_BYTES = 16 << 20
END = 1 << 62

logger = logging.getLogger("tidegate.store")

_Own = tuple[Sequence[Event], "asyncio.Future[None]"]


class Follower:
    """All of one node's telling goes through here, one batch at a time."""

    def __init__(self, engine: Engine, make: Callable[[Sequence[Any]], Awaitable[list[Event]]]) -> None:
        """`make` turns rows into events, and loads the audiences they need."""
        self.told = 0
        self.tail = Tail()
        self.others = True  # other nodes are alive: send them notices
        self.read = 0  # events that were read from the table because they were not ours, for the tests and figures
        self._engine = engine
        self._make = make
        self._sql = sql("log")
        self._listeners: list[Listener] = []
        self._own: list[_Own] = []
        self._busy = False
        self._due = asyncio.Event()
        self._notice: asyncio.TimerHandle | None = None
        self._noticed_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.told = int(await self._engine.fetchval(self._sql["head"]))
        await self._engine.listen(CHANNEL, lambda _: self._due.set())
        self._task = asyncio.get_running_loop().create_task(self._run(), name="tidegate-follow")

    async def stop(self) -> None:
        if self._notice is not None:
            self._notice.cancel()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def listen(self, listener: Listener) -> int:
        self._listeners.append(listener)
        return self.told

    def unlisten(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    # -- own batches -------------------------------------------------------------------------------------

    def committed(self, events: Sequence[Event]) -> asyncio.Future[None] | None:
        """Tell a batch of this node after its commit. None: it was told; else wait for the future first."""
        if self.others and self._notice is None:
            loop = asyncio.get_running_loop()
            at = max(loop.time() + NOTICE_AFTER_SECONDS, self._noticed_at + NOTICE_EVERY_SECONDS)
            self._notice = loop.call_at(at, self._notify)
        if not self._busy and not self._own and events[0].offset == self.told + 1:
            self._tell(events)
            return None
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._own.append((events, told))
        self._own.sort(key=lambda one: one[0][0].offset)
        self._due.set()
        return told

    def _notify(self) -> None:
        self._notice = None
        self._noticed_at = asyncio.get_running_loop().time()
        self._engine.notify(CHANNEL)

    def _tell(self, events: Sequence[Event]) -> None:
        self.tail.add(events)
        self.told = events[-1].offset
        for listener in self._listeners:
            listener(events)

    # -- the table ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            told = self.told
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._due.wait()
            noticed = self._due.is_set()
            self._due.clear()
            if not noticed and told != self.told:
                continue  # own batches come and are told: what others append shows between them
            self._busy = True
            try:
                await self._catch_up()
            except TidegateError:
                self._due.set()  # the server is away; own batches that wait are told when it is back
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            except Exception:
                logger.exception("a listener of the log failed")
            finally:
                self._busy = False

    async def _catch_up(self) -> None:
        if not self._own:
            await self._read_upto(END)
        while self._own:
            events, told = self._own[0]
            if events[0].offset > self.told + 1:
                await self._read_upto(events[0].offset - 1)
            del self._own[0]
            rest = [one for one in events if one.offset > self.told]
            if rest:
                self._tell(rest)
            if not told.done():
                told.set_result(None)

    async def _read_upto(self, upto: int) -> None:
        while True:
            rows = await self._engine.fetch(self._sql["follow"], self.told, upto, SLICE_ROWS, SLICE_BYTES)
            if not rows:
                return
            self.read += len(rows)
            self._tell(await self._make(rows))
            if len(rows) < SLICE_ROWS and sum(len(row["body"]) for row in rows) < SLICE_BYTES:
                return
