"""How many requests may leave within a time, as a schedule: each request has its instant (GCRA). Pure.

Owns the arithmetic, which `store/sql/postgres/budgets.sql` has too, for all nodes of a store. May not know the clock:
seconds are passed in. Invariant: over any period at most its length times the rate plus one burst of requests leave.
Crash: the schedule is lost, so the next process starts with a full burst.
"""

from __future__ import annotations


class RequestBudget:
    """The schedule of one budget, for one process."""

    def __init__(self) -> None:
        self._next_at = 0.0  # when the next request would leave without a burst
        self._held_until = 0.0

    def reserve(self, per_second: float, patience_seconds: float, now: float) -> float:
        """Reserve one request: seconds until it may leave. A wait above `patience_seconds` reserves nothing."""
        wait = max(0.0, self._next_at - burst_seconds(per_second) - now, self._held_until - now)
        if wait <= patience_seconds:
            self._next_at = max(self._next_at, now, self._held_until) + 1 / per_second
        return wait

    def hold(self, seconds: float, now: float) -> None:
        """Nothing leaves for so long: the other side asked for it."""
        self._held_until = max(self._held_until, now + seconds)


def burst_seconds(per_second: float) -> float:
    """How far ahead of an even schedule requests may run: those of one second, at least one."""
    return (max(1.0, per_second) - 1) / per_second
