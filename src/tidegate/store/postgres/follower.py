"""Tells listeners of every event of the log once, in order, whichever node appended it. Owns `published_offset` and
the tail ring.

Own batches are told from memory when they follow directly on what was told; else what lies between is read from the
table, in one look for all own batches that wait. That is complete: offsets are drawn under the append lock, so below
a visible event none can still appear. An append carries the notice for other nodes (a hint, and none while this node
is alone); looking each 0.25 s is the truth. Looks are paced, so that their cost does not grow with the appends.
Crash: nothing is kept here, the next start begins at the head.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tidegate.core.errors import TidegateError
from tidegate.core.model import Event
from tidegate.store import Listener
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.tail import Tail

CHANNEL = "tidegate_log"
LOOK_EVERY_SECONDS = 0.25
LOOK_PACE_SECONDS = 0.025  # between two looks, however many notices and gaps there are
NOTICE_EVERY_SECONDS = 0.05
NOTICE_SLACK_SECONDS = 0.01  # an append that comes so soon carries the notice, else it goes alone
GAPS = 16  # that one look reads
SLICE_ROWS = 500
SLICE_BYTES = 16 << 20
END = 1 << 62

logger = logging.getLogger("tidegate.store")

_Own = tuple[Sequence[Event], "asyncio.Future[None]"]


class Follower:
    """All of one node's telling goes through here, one batch at a time."""

    def __init__(self, engine: Engine, make: Callable[[Sequence[Any]], Awaitable[list[Event]]]) -> None:
        """`make` turns rows into events, and loads the audiences they need."""
        self.published_offset = 0
        self.tail = Tail()
        self.others = True  # other nodes are alive, as far as is known: they are sent notices
        self._engine = engine
        self._make = make
        self._sql = sql("log")
        self._loop = asyncio.get_running_loop()
        self._me = secrets.token_hex(4)
        self._listeners: list[Listener] = []
        self._own: list[_Own] = []
        self._due = asyncio.Event()
        self._looked_at = 0.0
        self._noticed_at = 0.0
        self._notice: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.published_offset = int(await self._engine.vital.fetchval(self._sql["head"]))
        await self._engine.listen(CHANNEL, self._heard)
        self._task = self._loop.create_task(self._run(), name="tidegate-follow")

    async def stop(self) -> None:
        if self._notice is not None:
            self._notice.cancel()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def subscribe(self, listener: Listener) -> int:
        self._listeners.append(listener)
        return self.published_offset

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    # -- notices -----------------------------------------------------------------------------------------

    def notice(self) -> str | None:
        """What the append that begins now says to other nodes; None when one was sent just now, or nobody is there."""
        now = self._loop.time()
        if not self.others or now < self._noticed_at + NOTICE_EVERY_SECONDS:
            return None
        self._noticed_at = now
        if self._notice is not None:
            self._notice.cancel()
            self._notice = None
        return self._me

    def _owe(self) -> None:
        """An append carried no notice: the next one does, or one goes alone."""
        if self.others and self._notice is None:
            at = max(self._loop.time(), self._noticed_at + NOTICE_EVERY_SECONDS) + NOTICE_SLACK_SECONDS
            self._notice = self._loop.call_at(at, self._send)

    def _send(self) -> None:
        self._notice = None
        self._noticed_at = self._loop.time()
        self._engine.notify(CHANNEL, self._me)

    def _heard(self, payload: str) -> None:
        if payload != self._me:
            self._due.set()

    # -- own batches -------------------------------------------------------------------------------------

    def committed(self, events: Sequence[Event], noticed: bool = False) -> asyncio.Future[None] | None:
        """Tell a batch of this node after its commit. None: it was told; else wait for the future first.

        `noticed`: the append carried what `notice` gave.
        """
        if not noticed:
            self._owe()
        told: asyncio.Future[None] = self._loop.create_future()
        self._own.append((events, told))
        self._own.sort(key=lambda one: one[0][0].offset)
        self._tell_own()
        if told.done():
            return None
        self._due.set()
        return told

    def _tell(self, events: Sequence[Event]) -> None:
        self.tail.add(events)
        self.published_offset = events[-1].offset
        for listener in self._listeners:
            try:
                listener(events)
            except Exception:
                logger.exception("a listener of the log failed")

    def _tell_own(self) -> None:
        """Those own batches that need nothing from the table any more."""
        while self._own and self._own[0][0][0].offset <= self.published_offset + 1:
            events, told = self._own.pop(0)
            rest = [one for one in events if one.offset > self.published_offset]
            if rest:
                self._tell(rest)
            if not told.done():
                told.set_result(None)

    # -- the table ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            told = self.published_offset
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._due.wait()
            if not self._due.is_set() and told != self.published_offset:
                continue  # own batches come and are told: what others append shows between them
            await asyncio.sleep(max(0.0, self._looked_at + LOOK_PACE_SECONDS - self._loop.time()))
            self._due.clear()
            try:
                await self._look()
            except TidegateError:
                self._due.set()  # the server is away; own batches that wait are told when it is back
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            except Exception:
                logger.exception("the log could not be followed")

    async def _look(self) -> None:
        """Read what others appended beyond `published_offset`, beside what of our own waits, and tell both in order."""
        while True:
            self._looked_at = self._loop.time()
            own = self._own[:GAPS]
            after = [self.published_offset, *(events[-1].offset for events, _ in own)]
            upto = [*(events[0].offset - 1 for events, _ in own), END]
            after, upto = map(
                list, zip(*(gap for gap in zip(after, upto, strict=True) if gap[0] < gap[1]), strict=True)
            )
            rows = await self._engine.vital.fetch(self._sql["follow"], after, upto, SLICE_ROWS, SLICE_BYTES, after[0])
            full = len(rows) == SLICE_ROWS or sum(len(row["body"]) for row in rows) >= SLICE_BYTES
            read = await self._make(rows)
            bound = read[-1].offset if full else END
            ours = [one for events, _ in own for one in events if one.offset <= bound]
            found = sorted([*read, *ours], key=lambda one: one.offset)
            # own ones may have been told meanwhile
            if new := [one for one in found if one.offset > self.published_offset]:
                self._tell(new)
            self._tell_own()
            if not full:
                return
