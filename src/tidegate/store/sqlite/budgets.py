"""Budgets beside an embedded store: one process has it, so they are in its memory. Implements `store.Budgets`.

Crash: the next process starts with a full burst of one second.
"""

from __future__ import annotations

import time

from tidegate.rules.outbound.request_budget import RequestBudget


class SqliteBudgets:
    """Implements `store.Budgets`."""

    def __init__(self) -> None:
        self._budgets: dict[str, RequestBudget] = {}

    async def reserve(self, name: str, per_second: float, patience_seconds: float) -> float:
        return self._of(name).reserve(per_second, patience_seconds, time.monotonic())

    async def hold(self, name: str, seconds: float) -> None:
        self._of(name).hold(seconds, time.monotonic())

    def _of(self, name: str) -> RequestBudget:
        return self._budgets.setdefault(name, RequestBudget())
