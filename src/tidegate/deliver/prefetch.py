"""Events of a sender that fell out of the tail, read again a few at a time before their turn comes.

Memory is bounded: what was read ahead is forgotten with the next reading. One reading at a time; while it is on its
way the sender waits. Failure: told to the sender, who comes again a second later.
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
    """`wanted` gives the offsets that come next; `arrived` or `failed` is called when they were read or not."""

    def __init__(
        self,
        log: Log,
        wanted: Callable[[], list[int]],
        arrived: Callable[[], None],
        failed: Callable[[TidegateError], None],
    ) -> None:
        self._log = log
        self._wanted = wanted
        self._arrived = arrived
        self._failed = failed
        self._events: dict[int, Event | None] = {}
        self._reading: asyncio.Task[None] | None = None

    def event(self, offset: int) -> Read:
        """The event, None when it is trimmed away, or UNREAD while it is being read."""
        event = self._log.cached(offset)
        if event is not None:
            return event
        if offset in self._events:
            return self._events[offset]
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read(), name="read ahead")
        return UNREAD

    def forget(self, offset: int) -> None:
        self._events.pop(offset, None)

    async def _read(self) -> None:
        wanted = self._wanted()
        try:
            found = {event.offset: event for event in await self._log.read(wanted)}
        except TidegateError as error:
            self._failed(error)
            return
        finally:
            self._reading = None
        self._events = {offset: found.get(offset) for offset in wanted}
        self._arrived()
