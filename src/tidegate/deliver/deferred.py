"""Deliveries of one sender that are not on the happy path: due retries, and what is blocked behind a key.

Owns their memory: the earliest due ones and, for an ordered destination, the chains by key. The table has them all;
`overflow` says that it has more than memory, none of them due before `horizon_us`. No I/O: the sender loads and the
settler writes.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from tidegate.core.model import Deferred, DeferredState

MEMORY_LIMIT = 2048  # retries known in memory; the rest wait in the table
LOAD_LIMIT = 1024  # rows read of the table at a time
FAR_US = 1 << 62
LINE_LIMIT = 10_000  # offsets behind keys in memory before the lane stops to be fed


class DeferredQueue:
    """Retries by due time."""

    def __init__(self) -> None:
        self.known: dict[int, Deferred] = {}
        self._due: list[tuple[int, int]] = []
        self.overflow = False
        self.horizon_us = FAR_US  # what only the table has is due then or later

    def __len__(self) -> int:
        return len(self.known)

    def add(self, one: Deferred) -> None:
        """A PENDING exception. One due later than memory's end stays in the table only, or pushes the latest out."""
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

    def read_again(self) -> None:
        """The table is to be read before anything else is taken: it has a row that memory gave up."""
        self._left_out(0)

    def loading(self) -> None:
        """The earliest of the table are about to be read: what is left out from now on counts anew."""
        self.overflow = False
        self.horizon_us = FAR_US

    def loaded(self, rows: Sequence[Deferred]) -> None:
        """The rows that were read, by due time, at most LOAD_LIMIT; call before they are added."""
        if len(rows) == LOAD_LIMIT:
            self._left_out(rows[-1].due_at_us + 1)  # more that are due with the last are read next

    def remove(self, offset: int) -> Deferred | None:
        return self.known.pop(offset, None)

    def next_due(self) -> tuple[int, int] | None:
        """(due_at_us, offset) of the earliest, without taking it; None when there is none or the table has an earlier
        one. Stale heap entries are dropped here."""
        while self._due:
            due_at_us, offset = self._due[0]
            one = self.known.get(offset)
            if one is not None and one.due_at_us == due_at_us and one.state is DeferredState.PENDING:
                return (due_at_us, offset) if due_at_us <= self.horizon_us else None
            heapq.heappop(self._due)
        return None

    def take(self) -> Deferred:
        """The earliest. Call after `next_due()` gave one."""
        _, offset = heapq.heappop(self._due)
        return self.known[offset]

    def peek(self, count: int) -> list[int]:
        """Offsets of about the earliest `count`, for reading their events ahead."""
        return [offset for _, offset in heapq.nsmallest(count, self._due) if offset in self.known]


class Line:
    """What stands behind the first of one key. `blocked`: the first failed, so those behind are blocked rows."""

    __slots__ = ("behind", "blocked")

    def __init__(self, blocked: bool = False) -> None:
        self.blocked = blocked
        self.behind: deque[int] = deque()


class KeyQueues:
    """Order by key: for every key with an unsettled first, the offsets behind it, ascending."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self.freed: deque[tuple[int, str]] = deque()  # offsets of the lane whose turn has come

    def __len__(self) -> int:
        return sum(len(line.behind) for line in self._lines.values()) if self._lines else 0

    def __contains__(self, key: str) -> bool:
        return key in self._lines

    def open(self, key: str, blocked: bool = False) -> Line:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(blocked)
        line.blocked = line.blocked or blocked
        return line

    def join(self, key: str, offset: int) -> Line | None:
        """Stand behind the key's first; None when there is none: go at once."""
        line = self._lines.get(key)
        if line is not None:
            line.behind.append(offset)
        return line

    def block(self, key: str) -> list[int]:
        """The first failed: everything taken behind it is to be blocked, now and as it comes."""
        line = self.open(key)
        if line.blocked:
            return []
        line.blocked = True
        return list(line.behind)

    def settle(self, key: str) -> int | None:
        """The first is settled. Returns a blocked offset that is due now; one of the lane goes to `freed`."""
        line = self._lines.get(key)
        if line is None:
            return None
        if not line.behind:
            del self._lines[key]
            return None
        offset = line.behind.popleft()
        if line.blocked:
            return offset
        self.freed.append((offset, key))
        return None

    def leave(self, key: str, offset: int) -> bool:
        """A canceled one leaves the line; False when it does not stand behind another."""
        line = self._lines.get(key)
        if line is None or offset not in line.behind:
            return False
        line.behind.remove(offset)
        return True
