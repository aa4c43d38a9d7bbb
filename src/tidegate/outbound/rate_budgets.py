"""The rates that several senders share: of a credential, and of the API of a source, on all nodes of the store.

Owns the wait before a request. May not know requests or credentials. Invariant: a request that waited here was
reserved, so all nodes together stay within the rate. Crash: see `store.Budgets`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.units import per_second

LONGEST_WAIT_SECONDS = 60.0  # of a sender for its turn; then it looks again
UNUSED_SECONDS = 1.0  # a turn that nobody took is given up: it was counted, and counts as sent
AGAIN_SECONDS = 1.0  # after the store could not be asked


class BudgetStore(Protocol):
    """What this needs of `store.Budgets`."""

    async def reserve(self, name: str, per_second: float, patience_seconds: float) -> float: ...
    async def hold(self, name: str, seconds: float) -> None: ...


class RateBudget:
    """One budget. `rate` as configured."""

    def __init__(self, name: str, rate: str, store: BudgetStore) -> None:
        self.name = name
        self.rate = rate
        self._per_second = per_second(rate)
        self._store = store

    async def reserve(self, patience_seconds: float) -> float:
        """Reserve one request: seconds until it may leave. A wait above `patience_seconds` reserves nothing."""
        return await self._store.reserve(self.name, self._per_second, patience_seconds)

    async def hold(self, seconds: float) -> None:
        """The other side wants a pause, on every node."""
        await self._store.hold(self.name, seconds)


class Turns:
    """The turns of one sender in a budget, for code that cannot wait: it is called again when a turn is there."""

    def __init__(self, budget: RateBudget, clock: Clock, wake: Callable[[], None]) -> None:
        self.budget = budget
        self._clock = clock
        self._wake = wake
        self._usable_until = 0.0
        self._task: asyncio.Task[None] | None = None

    def take(self) -> bool:
        """Take a turn. False: `wake` is called when there is one."""
        if self._clock.monotonic() < self._usable_until:
            self._usable_until = 0.0
            return True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._reserve(), name=f"turn {self.budget.name}")
        return False

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _reserve(self) -> None:
        try:
            wait = await self.budget.reserve(LONGEST_WAIT_SECONDS)
        except TidegateError:  # the store is busy: nothing was reserved, or it is lost to the budget
            await self._clock.sleep(AGAIN_SECONDS)
        else:
            await self._clock.sleep(min(wait, LONGEST_WAIT_SECONDS))
            if wait <= LONGEST_WAIT_SECONDS:
                self._usable_until = self._clock.monotonic() + UNUSED_SECONDS
        self._task = None
        self._wake()


class RateBudgets:
    """The budgets of a process, by name."""

    def __init__(self, store: BudgetStore) -> None:
        self._store = store

    def of(self, name: str, rate: str | None) -> RateBudget | None:
        """None without a rate."""
        return RateBudget(name, rate, self._store) if rate else None
