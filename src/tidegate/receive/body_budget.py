"""How many bytes of bodies the process holds at once: a budget for all sources, and one for each.

Owns the counts. Pure: no clock, no tasks. May not know requests. Invariants: the bytes that are held never exceed the
budget by more than one part of each request; bodies that are not complete leave a reserve for those that arrive whole,
so half-open requests never keep out a small event. A crash frees all of it.
"""

from __future__ import annotations

MIB = 1 << 20
TOTAL_BYTES = 160 * MIB
SOURCE_BYTES = 80 * MIB
RESERVED_BYTES = 16 * MIB  # of each of them, for bodies that arrive whole; the rest holds the largest `max_body`


class BodyBudget:
    """One for the process. Take a `Lease` for each request whose body is read in parts."""

    def __init__(self, total: int = TOTAL_BYTES, source: int = SOURCE_BYTES, reserved: int = RESERVED_BYTES) -> None:
        self._total = total
        self._source = source
        self._reserved = reserved
        self.held = 0
        self.by_source: dict[str, int] = {}

    def crowded(self, source: str, count: int, *, whole: bool) -> str | None:
        """None when `count` more bytes fit; "" when all sources together hold too much, else the source that does."""
        kept = 0 if whole else self._reserved
        if self.by_source.get(source, 0) + count > self._source - kept:
            return source
        return "" if self.held + count > self._total - kept else None

    def take(self, source: str, count: int) -> bool:
        """Hold the bytes of a body that came whole, if they fit."""
        own = self.by_source.get(source, 0) + count
        if own > self._source or self.held + count > self._total:
            return False
        self.by_source[source] = own
        self.held += count
        return True

    def hold(self, source: str, count: int) -> None:
        self.held += count
        self.by_source[source] = self.by_source.get(source, 0) + count

    def release(self, source: str, count: int) -> None:
        self.held -= count
        left = self.by_source[source] - count
        if left:
            self.by_source[source] = left
        else:
            del self.by_source[source]

    def largest(self) -> str:
        """The source that holds the most; "" when nothing is held."""
        return max(self.by_source, key=self.by_source.__getitem__, default="")


class Lease:
    """What one request holds of the budget. `with Lease(...)` gives it back at the end."""

    __slots__ = ("_budget", "held", "source")

    def __init__(self, budget: BodyBudget, source: str) -> None:
        self._budget = budget
        self.source = source
        self.held = 0

    def fits(self, count: int, *, whole: bool) -> bool:
        return self._budget.crowded(self.source, count, whole=whole) is None

    def add(self, count: int) -> None:
        self.held += count
        self._budget.hold(self.source, count)

    def end(self) -> None:
        """Give all of it back."""
        if self.held:
            self._budget.release(self.source, self.held)
            self.held = 0

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
