"""Publishes every event of the log to listeners once, in order, whichever node appended it.

Owns `published_offset` and the tail ring. Own batches are published from memory when they follow directly on what was
published; otherwise the events between are read from the table, in one look for all own batches that wait. This misses
nothing: offsets are drawn under the append lock, so no event can appear below a visible one. An append carries a
notification for other nodes, which only makes them look sooner (none while this node is alone); every node looks each
0.25 s. Looks are paced, so their cost does not grow with the appends. Nothing is stored here: after a crash the next
start continues at the head of the log.
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
LOOK_PACE_SECONDS = 0.025  # between two looks, however many notifications and gaps there are
NOTIFY_EVERY_SECONDS = 0.05
NOTIFY_SLACK_SECONDS = 0.01  # an append within this time carries the notification, otherwise it is sent alone
GAPS = 16  # that one look reads
SLICE_ROWS = 500
SLICE_BYTES = 16 << 20
END = 1 << 62

logger = logging.getLogger("tidegate.store")

_Own = tuple[Sequence[Event], "asyncio.Future[None]"]


class Follower:
    """The only place where a node publishes events, one batch at a time."""

    def __init__(self, engine: Engine, make: Callable[[Sequence[Any]], Awaitable[list[Event]]]) -> None:
        """`make` turns rows into events, and loads the routing decisions they need."""
        self.published_offset = 0
        self.tail = Tail()
        self.has_peers = True  # other nodes run, as far as is known: they get notifications
        self._engine = engine
        self._make = make
        self._sql = sql("log")
        self._loop = asyncio.get_running_loop()
        self._me = secrets.token_hex(4)
        self._listeners: list[Listener] = []
        self._own: list[_Own] = []
        self._due = asyncio.Event()
        self._looked_at = 0.0
        self._notified_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.published_offset = int(await self._engine.vital.fetchval(self._sql["head"]))
        await self._engine.session.listen(CHANNEL, self._notified)
        self._task = self._loop.create_task(self._run(), name="tidegate-follow")

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def subscribe(self, listener: Listener) -> int:
        self._listeners.append(listener)
        return self.published_offset

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    # -- notifications -----------------------------------------------------------------------------------

    def notification(self) -> str | None:
        """The payload that the next append sends; None when one was sent just now or no other node runs."""
        now = self._loop.time()
        if not self.has_peers or now < self._notified_at + NOTIFY_EVERY_SECONDS:
            return None
        self._notified_at = now
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._me

    def _notify_soon(self) -> None:
        """An append carried no notification: the next one does, or it is sent alone."""
        if self.has_peers and self._timer is None:
            at = max(self._loop.time(), self._notified_at + NOTIFY_EVERY_SECONDS) + NOTIFY_SLACK_SECONDS
            self._timer = self._loop.call_at(at, self._notify_now)

    def _notify_now(self) -> None:
        self._timer = None
        self._notified_at = self._loop.time()
        self._engine.session.notify(CHANNEL, self._me)

    def _notified(self, payload: str) -> None:
        if payload != self._me:
            self._due.set()

    # -- own batches -------------------------------------------------------------------------------------

    def committed(self, events: Sequence[Event], notified: bool = False) -> asyncio.Future[None] | None:
        """Publish a batch of this node after its commit. None: it is published; otherwise wait for the future.

        `notified`: the append carried what `notification` returned.
        """
        if not notified:
            self._notify_soon()
        published: asyncio.Future[None] = self._loop.create_future()
        self._own.append((events, published))
        self._own.sort(key=lambda one: one[0][0].offset)
        self._publish_own()
        if published.done():
            return None
        self._due.set()
        return published

    def _publish(self, events: Sequence[Event]) -> None:
        self.tail.add(events)
        self.published_offset = events[-1].offset
        for listener in self._listeners:
            try:
                listener(events)
            except Exception:
                logger.exception("a listener of the log failed")

    def _publish_own(self) -> None:
        """Publish the own batches that need nothing from the table."""
        while self._own and self._own[0][0][0].offset <= self.published_offset + 1:
            events, published = self._own.pop(0)
            rest = [one for one in events if one.offset > self.published_offset]
            if rest:
                self._publish(rest)
            if not published.done():
                published.set_result(None)

    # -- the table ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            before = self.published_offset
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._due.wait()
            if not self._due.is_set() and before != self.published_offset:
                continue  # own batches are being published: events of other nodes show up as gaps between them
            await asyncio.sleep(max(0.0, self._looked_at + LOOK_PACE_SECONDS - self._loop.time()))
            self._due.clear()
            try:
                await self._look()
            except TidegateError:
                self._due.set()  # the server does not answer; waiting batches are published when it is back
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            except Exception:
                logger.exception("the log could not be followed")

    async def _look(self) -> None:
        """Read what other nodes appended above `published_offset`, and publish it with the own batches, in order."""
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
            # Own ones may have been published meanwhile.
            if new := [one for one in found if one.offset > self.published_offset]:
                self._publish(new)
            self._publish_own()
            if not full:
                return
