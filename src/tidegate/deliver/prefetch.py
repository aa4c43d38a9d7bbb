"""Reads events that fell out of the log's cache, a few at a time, before their turn comes.

Owns the events of the last reading. May not know lanes or results. Invariant: memory is bounded, because each reading
replaces the one before; one reading is under way at a time, and the sender waits for it. Failure: given to the sender,
which tries again a second later. Lives in memory only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final, Literal

from tidegate.core.errors import TidegateError
from tidegate.core.model import Event
from tidegate.store import Log


class _Unread(Enum):
    UNREAD = "unread"


UNREAD: Final = _Unread.UNREAD
Read = Event | None | Literal[_Unread.UNREAD]


class Prefetcher:
    """`next_offsets` gives what to read; `arrived` or `failed` is called when it was read or could not be."""

    def __init__(
        self,
        log: Log,
        next_offsets: Callable[[], list[int]],
        arrived: Callable[[], None],
        failed: Callable[[TidegateError], None],
    ) -> None:
        self._log = log
        self._next_offsets = next_offsets
        self._arrived = arrived
        self._failed = failed
        self._events: dict[int, Event | None] = {}
        self._reading: asyncio.Task[None] | None = None

    def event(self, offset: int) -> Read:
        """The event; None when retention deleted it; UNREAD while it is being read."""
        event = self._log.cached(offset)
        if event is not None:
            return event
        if offset in self._events:
            return self._events[offset]
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read(), name="prefetch")
        return UNREAD

    def forget(self, offset: int) -> None:
        self._events.pop(offset, None)

    async def _read(self) -> None:
        offsets = self._next_offsets()
        try:
            found = {event.offset: event for event in await self._log.read(offsets)}
        except TidegateError as error:
            self._failed(error)
            return
        finally:
            self._reading = None
        self._events = {offset: found.get(offset) for offset in offsets}
        self._arrived()
