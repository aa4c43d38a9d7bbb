"""Keeps the disk bounded: deletes events by age and size, deletes old delivery ids, and gives up on dead destinations.

Owns the schedule and the order of these steps. May not know how deliveries are settled. Invariants: an event with open
deliveries is never deleted; deliveries past the retention age are first settled as exhausted (`expired`), which the
counters and the log show, and then the events are deleted in small slices. The size never ends a delivery: settled
events are deleted around those that are owed, those of unverified sources first. What only held destinations are owed
counts in a size of its own, the backlog. When only owed events are left, or the backlog is full, the sources over their
share are refused and not polled (`rules/retention.py`). Dead letters are deleted with their event; counters stay.
Crash: every step is a transaction of its own, and the next run continues.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import msgspec

from tidegate.core import units
from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.retention.rollups import RollupMaintenance
from tidegate.retention.unused_credentials import UnusedCredentials
from tidegate.rules.retention import Divided, Weights, by_source, divide, over_share
from tidegate.runtime import ActiveConfiguration
from tidegate.store import Store

EVERY_SECONDS = 60.0
LOOK_SECONDS = 5.0  # how often the size is read in between
GROWTH = 20  # a log over its size that has grown by 1/20 of it is not left alone until the next minute
TRIM_SLICE = 500
WEIGH_SLICE = 2000
THIN_BYTES = 2 << 20  # of bodies deleted in one transaction
EVENT_BYTES = 300  # what an event takes beside its body, about
OVER_SHARE = "over_share"  # the small value with the sources that are refused
TRIMS = 0  # the partition whose holder trims
log = logging.getLogger("tidegate.maintenance")


class OpenDeliveries(Protocol):
    """The part of the deliver engine that maintenance uses."""

    async def expire(self, upto: int, cause: str = "expired") -> None: ...
    async def give_up(self) -> None: ...
    async def owed_from(self) -> int: ...


class Maintenance:
    """Runs `run_once` every minute, and earlier while the log grows fast above its size."""

    def __init__(
        self,
        store: Store,
        active: ActiveConfiguration,
        deliver: OpenDeliveries,
        clock: Clock,
        findings: Findings | None = None,
    ) -> None:
        self.over_share: frozenset[str] = frozenset()  # sources whose new events are refused
        self._findings = findings or Findings(clock)
        self._owed_too_much: set[str] = set()  # destinations that hold most of the log
        self._used = 0
        self._fitted = 0  # bytes in use after the last run
        self._seen = 0  # the last offset at the last run
        self._apart = 0  # bytes of the last run that held destinations are owed
        self._reusable = 0  # bytes that were deleted and that the store still counts as used
        self.rollups = RollupMaintenance(store, active)
        self._store = store
        self._active = active
        self._deliver = deliver
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._forgotten_at_us = 0
        self._unused = UnusedCredentials(store, active, clock)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="maintenance")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._until_due()
                await self.run_once()
            except TidegateError as error:
                log.warning("maintenance stopped early: %s (%s)", error.message, error.code)
            except Exception:  # an internal error must not stop retention
                log.exception("maintenance failed; the next run is in %g s", EVERY_SECONDS)

    async def _until_due(self) -> None:
        for _ in range(max(1, int(EVERY_SECONDS / LOOK_SECONDS))):
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(TidegateError):  # the run reports it
                if TRIMS not in self._store.leases.held:
                    await self._read_over_share()
                elif await self._grows_fast():
                    return

    async def _grows_fast(self) -> bool:
        size = units.size_bytes(self._active.settings.retention.size)
        used = (await self._store.facts()).used_bytes - self._reusable - self._apart
        return used > size and used + self._apart - self._fitted > size // GROWTH

    async def run_once(self) -> int:
        """Expire and delete events past their age or beyond the size. Returns the number of deleted events.

        Every node expires the deliveries of its own lanes. The node that holds partition 0 deletes events, never beyond
        the first open delivery of any lane.
        """
        retention = self._active.settings.retention
        now = self._clock.now_us()
        await self._deliver.give_up()
        cutoff = await self._cutoff(now - int(units.seconds(retention.events) * 1e6))
        if cutoff:
            if await self._deliver.owed_from() <= cutoff:
                log.warning("pending deliveries up to offset %d are past retention and settled as expired", cutoff)
            await self._deliver.expire(cutoff)
        if TRIMS not in self._store.leases.held:
            await self._read_over_share()
            return 0
        trimmed = await self._trim(min(cutoff, await self._deliver.owed_from() - 1)) if cutoff else 0
        trimmed += await self._fit(units.size_bytes(retention.size), units.size_bytes(retention.backlog))
        await self._read_over_share()
        await self.rollups.run(now)
        if now - self._forgotten_at_us > 3600 * 1_000_000:
            self._forgotten_at_us = now
            await self._store.log.forget_dedupe(now - int(units.seconds(retention.dedupe) * 1e6))
            await self._unused.run()
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

    # -- size --------------------------------------------------------------------------------------------

    async def _fit(self, size: int, backlog: int) -> int:
        """Delete settled events until what is not kept apart fits again. Returns their number."""
        used = (await self._store.facts()).used_bytes
        appended = await self._appended()
        if used < self._used:  # a store that frees space later has freed it now
            self._reusable = max(0, self._reusable - (self._used - used))
        else:  # what was appended and took no new space is in space that was free
            self._reusable = max(0, self._reusable - max(0, appended - (used - self._used)))
        divided = Divided({}, {}, {})
        if used - self._reusable > size:
            weights = await self._weigh()
            divided = divide(_in_proportion(weights, used - self._reusable), size)
        self._apart = sum(divided.apart.values())
        excess = used - self._reusable - self._apart - size
        thinned, freed = 0, 0
        if excess > 0:
            wanted = excess + size // 10
            for sources in (self._unverified(), None):
                count, count_bytes = await self._thin(wanted - freed, sources)
                thinned, freed = thinned + count, freed + count_bytes
            now_used = (await self._store.facts()).used_bytes
            self._reusable += max(0, freed - max(0, used - now_used)) if now_used - self._apart > size else 0
            used = now_used
        self._used, self._fitted = used, used - self._reusable
        if excess - freed > 0:  # all that is left is owed
            divided = divide(_in_proportion(await self._weigh(), used - self._reusable), size)
        self._name_holders(divided.held)
        over = over_share(by_source(divided.rest), size) if excess - freed > 0 else []
        over += [one for one in over_share(by_source(divided.apart), backlog) if one not in over]
        if over or self.over_share:
            await self._store.settings.value(OVER_SHARE, put=msgspec.json.encode(over))
        return thinned

    async def _thin(self, wanted: int, sources: frozenset[str] | None) -> tuple[int, int]:
        """(events, bytes) that were deleted, oldest first, until about `wanted` bytes are free."""
        thinned, freed, after = 0, 0, 0
        while freed < wanted and (sources is None or sources):
            done = await self._store.log.thin(after, TRIM_SLICE, min(wanted - freed, THIN_BYTES), sources)
            if done.upto is None:
                break
            after, thinned = done.upto, thinned + done.events
            freed += done.body_bytes + done.events * EVENT_BYTES
            await asyncio.sleep(0)
        return thinned, freed

    def _unverified(self) -> frozenset[str]:
        """Sources whose events anybody can send."""
        specs = {name: source.spec for name, source in self._active.sources.items()}
        return frozenset(
            name
            for name, spec in specs.items()
            if spec.form is not None or (spec.webhook is not None and spec.webhook.verify == "none")
        )

    async def _appended(self) -> int:
        """Bytes of the bodies that came since the last run, as far as they matter: while freed space may be reused."""
        after, self._seen = self._seen, self._store.log.published_offset
        return sum((await self._weigh(after)).values()) if self._reusable else 0

    async def _weigh(self, after: int | None = 0) -> Weights:
        """Bytes of bodies by source and the destinations that are owed them."""
        found: Counter[tuple[str, tuple[int, ...]]] = Counter()
        while after is not None:
            some = await self._store.log.weigh(after, WEIGH_SLICE)
            found.update(some.weights)
            after = some.upto
            await asyncio.sleep(0)
        return dict(found)

    def _name_holders(self, found: Mapping[int, int]) -> None:
        """A destination that takes nothing fills the log: the operator must know which, before anybody is refused."""
        names = {destination.number: name for name, destination in self._active.destinations.items()}
        held = {names[number]: owed for number, owed in found.items() if number in names}
        for name in self._owed_too_much - held.keys():
            self._findings.resolve("destination_owed_much", f"destination:{name}")
        for name, owed in held.items():
            self._findings.report("destination_owed_much", f"destination:{name}", f"{owed >> 20} MiB")
        self._owed_too_much = set(held)

    async def _read_over_share(self) -> None:
        """The node that deletes decides; every node refuses."""
        stored = await self._store.settings.value(OVER_SHARE)
        over = frozenset(msgspec.json.decode(stored, type=list[str]) if stored else ())
        for source in self.over_share - over:
            self._findings.resolve("source_over_share", f"source:{source}")
        self.over_share = over
        for source in over:
            self._findings.report("source_over_share", f"source:{source}")


def _in_proportion(bodies: Weights, used: int) -> Weights:
    """Bytes on disk for bytes of bodies: what is stored beside them is shared out in proportion."""
    total = sum(bodies.values()) or 1
    return {key: count * used // total for key, count in bodies.items()}
