"""Keeps the disk bounded: deletes events by age and size, deletes old delivery ids, and gives up on dead destinations.

Owns the schedule and the order of these steps. May not know how deliveries are settled. Invariant: an event with open
deliveries is never deleted; deliveries past the retention age are first settled as exhausted (`expired`), which the
counters and the log show, and then the events are deleted in small slices. Dead letters are deleted with their event;
counters stay. Crash: every step is a transaction of its own, and the next run continues.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

from tidegate.core import units
from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.runtime import ActiveConfiguration
from tidegate.store import Store

EVERY_SECONDS = 60.0
TRIM_SLICE = 500
TRIMS = 0  # the partition whose holder trims
log = logging.getLogger("tidegate.maintenance")


class OpenDeliveries(Protocol):
    """The part of the deliver engine that maintenance uses."""

    async def expire(self, upto: int, cause: str = "expired") -> None: ...
    async def give_up(self) -> None: ...
    async def owed_from(self) -> int: ...


class Maintenance:
    """Runs `run_once` every minute."""

    def __init__(self, store: Store, active: ActiveConfiguration, deliver: OpenDeliveries, clock: Clock) -> None:
        self._store = store
        self._active = active
        self._deliver = deliver
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._forgotten_at_us = 0

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="maintenance")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.run_once()
            except TidegateError as error:
                log.warning("maintenance stopped early: %s (%s)", error.message, error.code)
            except Exception:  # an internal error must not stop retention
                log.exception("maintenance failed; the next run is in %g s", EVERY_SECONDS)

    async def run_once(self) -> int:
        """Expire and delete events past their age or beyond the size. Returns the number of deleted events.

        Every node expires the deliveries of its own lanes. The node that holds partition 0 deletes events, never beyond
        the first open delivery of any lane.
        """
        retention = self._active.settings.retention
        now = self._clock.now_us()
        await self._deliver.give_up()
        cutoff = await self._cutoff(now - int(units.seconds(retention.events) * 1e6))
        cutoff = max(cutoff, await self._oversize(units.size_bytes(retention.size)))
        if cutoff:
            if await self._deliver.owed_from() <= cutoff:
                log.warning("pending deliveries up to offset %d are past retention and settled as expired", cutoff)
            await self._deliver.expire(cutoff)
        if TRIMS not in self._store.leases.held:
            return 0
        trimmed = await self._trim(min(cutoff, await self._deliver.owed_from() - 1)) if cutoff else 0
        if now - self._forgotten_at_us > 3600 * 1_000_000:
            self._forgotten_at_us = now
            await self._store.log.forget_dedupe(now - int(units.seconds(retention.dedupe) * 1e6))
        return trimmed

    async def _trim(self, upto: int) -> int:
        trimmed = 0
        while (count := await self._store.log.trim(upto, TRIM_SLICE)) > 0:
            trimmed += count
            await asyncio.sleep(0)
        return trimmed

    async def _cutoff(self, before_us: int) -> int:
        """The last offset received before an instant; 0 when there is none."""
        oldest = await self._store.log.oldest()
        if oldest is None or oldest[1] >= before_us:
            return 0
        first_kept = await self._store.log.offset_at(before_us)
        return (first_kept - 1) if first_kept is not None else self._store.log.published_offset

    async def _oversize(self, limit_bytes: int) -> int:
        """The last offset of the oldest tenth while the file is larger than allowed; 0 otherwise."""
        used = (await self._store.facts()).used_bytes
        oldest = await self._store.log.oldest()
        if used <= limit_bytes or oldest is None:
            return 0
        return oldest[0] + max(1, (self._store.log.published_offset - oldest[0]) // 10)
