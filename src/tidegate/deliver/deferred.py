"""The deferred deliveries of one sender that are pending, by due time. No I/O.

Owns their memory: the earliest ones, at most MEMORY_LIMIT. May not know the lane, the table's reader or the settler.
Invariant: the table has all of them; while `overflow` is set it has more than memory, no retry among those due before
`horizon_us`. Crash: the queue is loaded again from the table.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from itertools import islice

from tidegate.core.model import Deferred, DeferredState

MEMORY_LIMIT = 2048  # retries in memory; more stay in the table only
LOAD_LIMIT = 1024  # rows read from the table at a time
FAR_US = 1 << 62


class DeferredQueue:
    """Deferred deliveries by due time, those without an attempt apart: they are first tries.

    `known` has them by offset; heap entries of removed ones are dropped when they surface. `manual` are those that a
    person retries now, oldest first.
    """

    def __init__(self) -> None:
        self.known: dict[int, Deferred] = {}
        self.manual: deque[int] = deque()
        self._retries: list[tuple[int, int]] = []
        self._first_tries: list[tuple[int, int]] = []
        self.overflow = False
        self.horizon_us = FAR_US

    def __len__(self) -> int:
        return len(self.known)

    def add(self, one: Deferred) -> None:
        """Add a PENDING delivery. When memory is full, the latest retry stays in the table only."""
        if one.offset not in self.known:
            if self.overflow and one.attempts and one.due_at_us >= self.horizon_us:
                return
            if len(self.known) >= MEMORY_LIMIT and not self._make_room(one):
                return
        self.known[one.offset] = one
        heapq.heappush(self._retries if one.attempts else self._first_tries, (one.due_at_us, one.offset))

    def add_manual(self, one: Deferred) -> None:
        """Add one that a person retries now. It is kept in memory unless MEMORY_LIMIT of them wait already."""
        if len(self.manual) >= MEMORY_LIMIT:
            self._left_out(one.due_at_us)
            return
        self.known[one.offset] = one
        heapq.heappush(self._retries if one.attempts else self._first_tries, (one.due_at_us, one.offset))
        if one.offset not in self.manual:
            self.manual.append(one.offset)

    @property
    def wants_load(self) -> bool:
        """Whether the table has rows that memory should have, and a load would bring one."""
        return self.overflow and (self.horizon_us == 0 or len(self.known) < LOAD_LIMIT)

    def _make_room(self, one: Deferred) -> bool:
        """Leave out the latest retry, or `one` itself (False) when it is later. First tries go last."""
        latest = max(self.known.values(), key=_by_importance)
        if _by_importance(latest) <= _by_importance(one):
            self._left_out(one.due_at_us)
            return False
        self._left_out(latest.due_at_us)
        del self.known[latest.offset]
        return True

    def _left_out(self, due_at_us: int) -> None:
        self.overflow = True
        self.horizon_us = min(self.horizon_us, due_at_us)

    def require_reload(self) -> None:
        """Take no retry before the table is read again: it has a row that memory dropped."""
        self._left_out(0)

    def begin_load(self) -> None:
        """The earliest rows of the table are about to be read; what is left out from now on is tracked from scratch."""
        self.overflow = False
        self.horizon_us = FAR_US

    def loaded(self, rows: Sequence[Deferred]) -> None:
        """The rows that were read, by due time, at most LOAD_LIMIT. Call this before you add them."""
        if len(rows) == LOAD_LIMIT:
            self._left_out(rows[-1].due_at_us + 1)  # rows that are due with the last one are read next time

    def remove(self, offset: int) -> Deferred | None:
        return self.known.pop(offset, None)

    def next_retry(self) -> tuple[int, int] | None:
        """(due_at_us, offset) of the earliest retry; None when there is none or the table has an earlier one."""
        earliest = self._earliest(self._retries)
        return earliest if earliest is not None and earliest[0] <= self.horizon_us else None

    def next_first_try(self) -> tuple[int, int] | None:
        """(due_at_us, offset) of the earliest delivery without an attempt."""
        return self._earliest(self._first_tries)

    def _earliest(self, heap: list[tuple[int, int]]) -> tuple[int, int] | None:
        while heap:
            due_at_us, offset = heap[0]
            one = self.known.get(offset)
            if one is not None and one.due_at_us == due_at_us and one.state is DeferredState.PENDING:
                return due_at_us, offset
            heapq.heappop(heap)
        return None

    def next_manual(self) -> int | None:
        """The oldest delivery that a person retries now and that is still deferred here."""
        while self.manual:
            one = self.known.get(self.manual[0])
            if one is not None and one.replay == "manual":
                return one.offset
            self.manual.popleft()
        return None

    def due(self, now_us: int, limit: int) -> list[Deferred]:
        """Due retries in no order, at most `limit`: what a probe is chosen from."""
        entries = ((due_at_us, self.known.get(offset)) for due_at_us, offset in self._retries if due_at_us <= now_us)
        return list(islice((one for due_at_us, one in entries if one and one.due_at_us == due_at_us), limit))

    def take(self, offset: int) -> Deferred:
        """Take one out of the heap to send it; it stays in `known` until it is settled or added again."""
        one = self.known[offset]
        heap = self._retries if one.attempts else self._first_tries
        if heap and heap[0] == (one.due_at_us, offset):
            heapq.heappop(heap)
        else:
            heap[:] = [entry for entry in heap if entry[1] != offset]
            heapq.heapify(heap)
        if self.manual and offset in self.manual:
            self.manual.remove(offset)
        return one

    def peek(self, count: int) -> list[int]:
        """Offsets of about the earliest `count` of each kind, whose events are worth reading ahead."""
        earliest = heapq.nsmallest(count, self._first_tries) + heapq.nsmallest(count, self._retries)
        return [*islice(self.manual, count), *(offset for _, offset in earliest if offset in self.known)]


def _by_importance(one: Deferred) -> tuple[bool, int]:
    return one.attempts > 0, one.due_at_us
