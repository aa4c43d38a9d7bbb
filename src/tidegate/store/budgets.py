"""The budgets of requests that all nodes share: of a credential, or of the API of a source.

Owns the protocol `Budgets`, which `sqlite/budgets.py` and `postgres/budgets.py` implement. Knows no HTTP. The clock is
that of the store, so nodes with wrong clocks agree. Invariant: over any period, all nodes together send at most the
rate times the period, plus one second's worth. Crash: what a process reserved and did not send is lost to the budget.
"""

from __future__ import annotations

from typing import Protocol


class Budgets(Protocol):
    """Schedules by name: `credential/NAME` or `source/NAME`."""

    async def reserve(self, name: str, per_second: float, patience_seconds: float) -> float:
        """Reserve one request: seconds until it may leave. A wait above `patience_seconds` reserves nothing."""
        ...

    async def hold(self, name: str, seconds: float) -> None:
        """Let nothing leave for so long: the other side asked for it."""
        ...
