"""The tail ring: events of the log in memory, bounded in bytes. Both stores use it.

It belongs to the store's `read`, so engines do not pass events to each other. Owns which events stay: the newest ones,
and of the older ones those that are still owed to a destination. Events that nobody needs are dropped soon, because
memory that is used again is in the processor's cache: with 32 MiB of them an event costs a tenth more. Invariant: every
event in it is committed. After a crash nothing is lost, because it is a copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from tidegate.core.model import Event

TAIL_BYTES = 32 << 20  # about 25,000 events of 1 KiB
RECENT_BYTES = 1 << 20  # of them the newest, whether they are owed or not
EVENT_OVERHEAD_BYTES = 700  # what an event costs in memory beside its bytes


class Tail:
    """Events by offset; the oldest are dropped when the limit of bytes is exceeded.

    `is_owed`: whether any destination wants an event. Without it, every event counts as owed.
    """

    def __init__(self, limit_bytes: int = TAIL_BYTES, is_owed: Callable[[Event], bool] = lambda event: True) -> None:
        self._recent_limit = min(limit_bytes, RECENT_BYTES)
        self._owed_limit = limit_bytes - self._recent_limit
        self._is_owed = is_owed
        self._settled = 0  # no event up to here is owed
        self._events: dict[int, Event] = {}
        self._recent: deque[int] = deque()  # finding the first key of a dictionary is slow after many deletions
        self._owed: deque[int] = deque()  # older than all of `_recent`
        self._recent_bytes = 0
        self._owed_bytes = 0
        self._aged = 0  # the newest event that is not in `_recent`

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<Tail {len(self._events)} events, {self._recent_bytes + self._owed_bytes} bytes>"

    def add(self, events: Iterable[Event]) -> None:
        """Add events. They must be ascending and newer than all others."""
        kept, recent = self._events, self._recent
        size = self._recent_bytes
        for event in events:
            kept[event.offset] = event
            recent.append(event.offset)
            size += len(event.body) + len(event.headers) + EVENT_OVERHEAD_BYTES
        limit = self._recent_limit
        while size > limit and len(recent) > 1:
            old = kept.get(recent.popleft())
            if old is not None:  # else it was removed before
                size -= len(old.body) + len(old.headers) + EVENT_OVERHEAD_BYTES
                self._age(old)
        self._recent_bytes = size

    def _age(self, event: Event) -> None:
        """It is not one of the newest any more."""
        self._aged = event.offset
        if not self._owed_limit or event.offset <= self._settled or not self._is_owed(event):
            del self._events[event.offset]
            return
        self._owed.append(event.offset)
        self._owed_bytes += _size(event)
        while self._owed_bytes > self._owed_limit:
            self._drop(self._owed.popleft())

    def settled(self, upto: int) -> None:
        """Every delivery of the events up to an offset has its result, so older ones are not kept for it."""
        self._settled = max(self._settled, upto)
        while self._owed and self._owed[0] <= upto:
            self._drop(self._owed.popleft())

    def forget(self, upto: int) -> None:
        """Drop events up to an offset: they were trimmed from the log."""
        for order in (self._owed, self._recent):
            while order and order[0] <= upto:
                self._drop(order.popleft())

    def remove(self, offsets: Iterable[int]) -> None:
        """Drop single events: they were deleted from the log."""
        for offset in offsets:
            self._drop(offset)

    def _drop(self, offset: int) -> None:
        event = self._events.pop(offset, None)
        if event is None:  # it was removed before
            return
        if offset <= self._aged:
            self._owed_bytes -= _size(event)
        else:
            self._recent_bytes -= _size(event)

    def get(self, offset: int) -> Event | None:
        return self._events.get(offset)

    def among(self, offsets: Sequence[int]) -> tuple[dict[int, Event], list[int]]:
        """The events of `offsets` that are here, and the offsets of the others."""
        found = {offset: event for offset in offsets if (event := self._events.get(offset)) is not None}
        return found, [offset for offset in offsets if offset not in found]


def _size(event: Event) -> int:
    return len(event.body) + len(event.headers) + EVENT_OVERHEAD_BYTES
