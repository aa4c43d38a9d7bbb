"""The tail ring: the newest events of the log in memory, bounded in bytes. Both stores use it.

It belongs to the store's `read`, so engines do not pass events to each other. Invariant: every event in it is
committed. After a crash nothing is lost, because it is a copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from tidegate.core.model import Event

TAIL_BYTES = 32 << 20  # about 25,000 events of 1 KiB
EVENT_OVERHEAD_BYTES = 700  # what an event costs in memory beside its bytes


class Tail:
    """Events by offset; the oldest are dropped when the limit of bytes is exceeded."""

    def __init__(self, limit_bytes: int = TAIL_BYTES) -> None:
        self._limit = limit_bytes
        self._events: dict[int, Event] = {}
        self._order: deque[int] = deque()  # finding the first key of a dictionary is slow after many deletions
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<Tail {len(self._events)} events, {self._bytes} bytes>"

    def add(self, events: Iterable[Event]) -> None:
        """Add events. They must be ascending and newer than all others."""
        kept, order = self._events, self._order
        size = self._bytes
        for event in events:
            kept[event.offset] = event
            order.append(event.offset)
            size += len(event.body) + len(event.headers) + EVENT_OVERHEAD_BYTES
        limit = self._limit
        while size > limit and len(kept) > 1:
            dropped = kept.pop(order.popleft(), None)  # None: it was removed before
            if dropped is not None:
                size -= len(dropped.body) + len(dropped.headers) + EVENT_OVERHEAD_BYTES
        self._bytes = size

    def forget(self, upto: int) -> None:
        """Drop events up to an offset: they were trimmed from the log."""
        while self._order and self._order[0] <= upto:
            self._drop(self._order.popleft())

    def remove(self, offsets: Iterable[int]) -> None:
        """Drop single events: they were deleted from the log."""
        for offset in offsets:
            self._drop(offset)

    def _drop(self, offset: int) -> None:
        event = self._events.pop(offset, None)  # None: it was removed before
        if event is not None:
            self._bytes -= len(event.body) + len(event.headers) + EVENT_OVERHEAD_BYTES

    def get(self, offset: int) -> Event | None:
        return self._events.get(offset)

    def among(self, offsets: Sequence[int]) -> tuple[dict[int, Event], list[int]]:
        """The events of `offsets` that are here, and the offsets of the others."""
        found = {offset: event for offset in offsets if (event := self._events.get(offset)) is not None}
        return found, [offset for offset in offsets if offset not in found]
