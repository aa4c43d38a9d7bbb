"""Writes what pulls on demand did into the rollups, every ten seconds: they have no transaction of their own.

Owns what was written already. Knows no cache: it reads the counts of each resource, which only grow. Crash: the counts
of the last ten seconds are lost, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.rollups import RESOURCE, RollupRow, minute_of
from tidegate.pull.on_demand import PullCounts, Target
from tidegate.store import Rollups

EVERY_SECONDS = 10.0


class PullCountsWriter:
    """`targets` gives the resources as they are configured now."""

    def __init__(self, rollups: Rollups, clock: Clock, targets: Callable[[], Iterable[Target]]) -> None:
        self._rollups = rollups
        self._clock = clock
        self._targets = targets
        self._written: dict[str, PullCounts] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="pull-counts")

    async def stop(self) -> None:
        """Write what is left, as far as the store answers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            with contextlib.suppress(TidegateError):
                await self.write()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            with contextlib.suppress(TidegateError):  # the next time writes them too
                await self.write()

    async def write(self) -> None:
        """Write what came since the last time. Raises what the store raises."""
        minute = minute_of(self._clock.now_us())
        now: dict[str, PullCounts] = {}
        rows: list[RollupRow] = []
        for target in self._targets():
            name = f"{target.source.name}/{target.name}"
            counts = now[name] = msgspec.structs.replace(target.counts)
            rows += _rows(minute, name, self._written.get(name) or PullCounts(), counts)
            used = target.source.usage.take()  # by pulls, where no poll has taken it
            rows += [RollupRow(minute, RESOURCE, name, metric, 1, total) for metric, total in used]
        if rows:
            await self._rollups.add(rows)
        self._written.update(now)


def _rows(minute: int, name: str, before: PullCounts, after: PullCounts) -> list[RollupRow]:
    asked = after.requests - before.requests
    found = {
        "pull.hit": (after.hits - before.hits, 0),
        "pull.shared": (after.shared - before.shared, 0),
        "pull.asked": (asked, 0),
        "pull.not_modified": (after.not_modified - before.not_modified, 0),
        "pull.stale": (after.stale - before.stale, 0),
        "request.on_demand": (asked, after.bytes - before.bytes),
    }
    return [RollupRow(minute, RESOURCE, name, metric, *counted) for metric, counted in found.items() if any(counted)]
