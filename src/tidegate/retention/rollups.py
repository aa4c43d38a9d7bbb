"""Keeps the rollups small, and samples how many deliveries are pending.

Owns the ages: minutes become part of their hours after two days, hours are deleted after 40 days. Invariant: a count is
in a minute or in an hour, never in both. Crash: every step is a transaction of its own, and the next run continues.
"""

from __future__ import annotations

from tidegate.core.rollups import DESTINATION, HOUR_MINUTES, RollupRow, minute_of
from tidegate.runtime import ActiveConfiguration
from tidegate.store import HOURS_KEPT, MINUTES_KEPT, Store


class RollupMaintenance:
    """Called by the node that trims, about once a minute."""

    def __init__(self, store: Store, active: ActiveConfiguration) -> None:
        self._store = store
        self._active = active

    async def run(self, now_us: int) -> None:
        """Sample pending deliveries, then fold and delete what is old."""
        now = minute_of(now_us)
        await self._sample(now)
        while await self._store.rollups.fold(now - MINUTES_KEPT):
            pass  # each call moves a few minutes
        await self._store.rollups.trim(now - HOURS_KEPT * HOUR_MINUTES)

    async def _sample(self, minute: int) -> None:
        pending = (await self._store.deliveries.counters()).pending()
        live = self._active.destinations
        await self._store.rollups.add(
            [
                RollupRow(minute, DESTINATION, name, "pending", 1, max(0, pending.get(one.number, 0)))
                for name, one in live.items()
            ]
        )
