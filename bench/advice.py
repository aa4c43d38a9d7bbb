"""Advice for 100 resources that were polled every minute for 30 days: CPU seconds of a read, in this process.

    python -m bench.run advice

Owns the counts of such a gateway, as rollups of a store in a scratch folder: minutes of two days, hours before. A
gateway sums up the month in the background after its start; the reads after it correct the sums at their ends.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.figures import Options, Row
from tidegate.config.load import convert
from tidegate.config.spec import Source
from tidegate.core.figures import ResourceFigures
from tidegate.core.histogram import bucket_of
from tidegate.core.rollups import RESOURCE, RollupRow, minute_of
from tidegate.query import advice
from tidegate.store.sqlite import open_sqlite

RESOURCES, DAYS = 100, 30
NOW_US = 1_795_600_000_000_000
READS = 5
MOST_SECONDS = 1.0
SPEC = {
    "api": {"base_url": "https://x.example"}, "webhook": {"verify": "none"},
    "resources": {f"r{number}": {"path": "/x", "poll": "1m"} for number in range(10)},
}  # fmt: skip


class _Gateway:
    """What advice reads of a gateway."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.clock = SimpleNamespace(now_us=lambda: NOW_US)
        sources = {
            f"s{number}": SimpleNamespace(name=f"s{number}", owner="file", followed={}, spec=convert(SPEC, Source))
            for number in range(RESOURCES // 10)
        }
        self.active = SimpleNamespace(sources=sources, destinations={})
        self.pull = self

    async def refresh(self) -> None: ...

    def statistics(self) -> dict[str, ResourceFigures]:
        return {_name(number): ResourceFigures() for number in range(RESOURCES)}


def _name(number: int) -> str:
    return f"s{number // 10}/r{number % 10}"


def _rows(chance: random.Random, name: str, minute: int, polls: int) -> list[RollupRow]:
    """What `polls` polls of a minute each count, one in twenty with a change."""
    found = sum(chance.random() < 0.05 for _ in range(polls))
    counted = [
        ("request.polls", polls, polls * 5000),
        ("look.unchanged", polls - found, 0),
        ("took", polls, polls * 300),
    ]
    for one in range(polls):
        bucket = bucket_of(60_000 * chance.uniform(0.9, 1.1))
        counted.append((f"gap.{'changed' if one < found else 'same'}.{bucket}", 1, 60_000))
    for _ in range(found):
        late = int(chance.uniform(1, 60_000))
        counted += [("look.found", 1, 0), ("change.poll", 1, 0), (f"delay.poll.{bucket_of(late)}", 1, late)]
    return [RollupRow(minute, RESOURCE, name, *one) for one in counted]


async def _fill(store: Any) -> None:
    chance, now = random.Random(1), minute_of(NOW_US)
    for number in range(RESOURCES):
        hours = range(DAYS * 24, 48, -1)
        rows = [row for hour in hours for row in _rows(chance, _name(number), (now // 60 - hour) * 60, 60)]
        rows += [row for minute in range(2880, 0, -1) for row in _rows(chance, _name(number), now - minute, 1)]
        for at in range(0, len(rows), 20_000):
            await store.rollups.add(rows[at : at + 20_000])


async def _measure(folder: Path) -> list[float]:
    """CPU seconds of the sums in the background and of each read after them, the readers' threads included."""
    store = await open_sqlite(folder)
    try:
        await _fill(store)
        gateway: Any = _Gateway(store)
        spent = []
        for read in (advice.warm, *[advice.all_resources] * (READS + 1)):
            before = time.process_time()
            await read(gateway)
            spent.append(time.process_time() - before)
        return spent
    finally:
        await store.close()


def advise(options: Options) -> list[Row]:
    """The sums in the background, the first read, and the median of those after it."""
    sums, first, *others = asyncio.run(_measure(options.scratch.fresh()))
    middle = statistics.median(others)
    spread = f"{min(others):.2f} to {max(others):.2f} s"
    return [
        Row("counts of 100 resources, 30 days, summed up after a start", f"{sums:.1f} s of CPU", "in the background"),
        Row("advice for 100 resources, 30 days: first read after that", f"{first:.2f} s of CPU", "one read",
            f"under {MOST_SECONDS:g} s", first < MOST_SECONDS),
        Row("the same: later reads", f"{middle:.2f} s of CPU", spread, f"under {MOST_SECONDS:g} s",
            middle < MOST_SECONDS),
    ]  # fmt: skip


FIGURES = {"advice": advise}
