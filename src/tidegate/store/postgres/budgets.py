"""Budgets on PostgreSQL, shared by all nodes: one row for each, and one statement for each request.

Implements `store.Budgets` with the arithmetic of `rules/outbound/request_budget.py`, by the clock of the server. Crash:
a request that was reserved and not sent is lost to the budget.
"""

from __future__ import annotations

from tidegate.rules.outbound.request_budget import burst_seconds
from tidegate.store.postgres.engine import Engine, sql


class PostgresBudgets:
    """Implements `store.Budgets`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("budgets")

    async def reserve(self, name: str, per_second: float, patience_seconds: float) -> float:
        burst, gap = burst_seconds(per_second), 1 / per_second
        wait = await self._engine.work.fetchval(self._sql["reserve"], name, gap, burst, patience_seconds)
        if wait is None:
            wait = await self._engine.work.fetchval(self._sql["wait"], name, burst)
            wait = max(wait or 0.0, patience_seconds + gap)  # it was too long a moment ago
        return max(0.0, float(wait))

    async def hold(self, name: str, seconds: float) -> None:
        await self._engine.work.execute(self._sql["hold"], name, seconds)
