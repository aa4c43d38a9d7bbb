"""The deferred deliveries of one sender that are due for a retry, by due time. No I/O.

Owns their memory: the earliest ones, at most MEMORY_LIMIT. May not know the lane, the table's reader or the settler.
Invariant: the table has all of them; while `overflow` is set it has more than memory, none of those due before
`horizon_us`. Crash: the queue is loaded again from the table.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from tidegate.core.model import Deferred, DeferredState

MEMORY_LIMIT = 2048  # retries in memory; more stay in the table only
LOAD_LIMIT = 1024  # rows read from the table at a time
FAR_US = 1 << 62


class DeferredQueue:
    """Retries by due time. `known` has them by offset; heap entries of removed ones are dropped when they surface."""

    def __init__(self) -> None:
        self.known: dict[int, Deferred] = {}
        self._due: list[tuple[int, int]] = []
        self.overflow = False
        self.horizon_us = FAR_US

    def __len__(self) -> int:
        return len(self.known)

    def add(self, one: Deferred) -> None:
        """Add a PENDING delivery. When memory is full, the latest one stays in the table only."""
        if one.offset not in self.known:
            if self.overflow and one.due_at_us >= self.horizon_us:
                return
            if len(self.known) >= MEMORY_LIMIT:
                latest = max(self.known.values(), key=lambda known: known.due_at_us)
                self._left_out(max(latest.due_at_us, one.due_at_us))
                if latest.due_at_us <= one.due_at_us:
                    return
                del self.known[latest.offset]
        self.known[one.offset] = one
        heapq.heappush(self._due, (one.due_at_us, one.offset))

    def _left_out(self, due_at_us: int) -> None:
        self.overflow = True
        self.horizon_us = min(self.horizon_us, due_at_us)

    def require_reload(self) -> None:
        """Take nothing before the table is read again: it has a row that memory dropped."""
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

    def next_due(self) -> tuple[int, int] | None:
        """(due_at_us, offset) of the earliest, which stays; None when there is none or the table has an earlier one."""
        while self._due:
            due_at_us, offset = self._due[0]
            one = self.known.get(offset)
            if one is not None and one.due_at_us == due_at_us and one.state is DeferredState.PENDING:
                return (due_at_us, offset) if due_at_us <= self.horizon_us else None
            heapq.heappop(self._due)
        return None

    def take(self) -> Deferred:
        """The earliest, which leaves the heap and stays in `known`. Call this after `next_due` returned one."""
        _, offset = heapq.heappop(self._due)
        return self.known[offset]

    def peek(self, count: int) -> list[int]:
        """Offsets of about the earliest `count`, whose events are worth reading ahead."""
        return [offset for _, offset in heapq.nsmallest(count, self._due) if offset in self.known]
