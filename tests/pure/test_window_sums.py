"""Sums that are kept between reads are those of one read of the whole window, however it moves on."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from tidegate.core.rollups import RESOURCE, RollupRow
from tidegate.query import window_sums as subject
from tidegate.query.window_sums import GROWING_MINUTES, window_sums


class Rows:
    """Rollups in memory; `scanned` counts the minutes that were read."""

    def __init__(self) -> None:
        self.rows: list[RollupRow] = []
        self.scanned = 0

    async def read(self, since: int, until: int, **_: Any) -> list[RollupRow]:
        self.scanned += max(0, until - since)
        sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in self.rows:
            if since <= row.minute < until:
                found = sums[row.scope, row.subject, row.metric]
                found[0] += row.times
                found[1] += row.total
        return [RollupRow(0, *key, *found) for key, found in sums.items()]


class Gateway:
    def __init__(self) -> None:
        self.store = self
        self.rollups = Rows()


def summed(rows: list[RollupRow]) -> dict[tuple[str, str], tuple[int, int]]:
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        before = sums.get((row.subject, row.metric), (0, 0))
        sums[row.subject, row.metric] = before[0] + row.times, before[1] + row.total
    return sums


@pytest.mark.parametrize("seed", range(5))
async def test_a_window_that_moves_has_the_sums_of_a_new_one(seed: int) -> None:
    chance, gateway, now = Random(seed), Gateway(), 10_000
    for _ in range(60):
        now += chance.choice([0, 1, 7, 60, 500, 3000])
        for _ in range(chance.randrange(8)):
            late = chance.randrange(GROWING_MINUTES)
            row = RollupRow(now - late, RESOURCE, chance.choice("ab"), chance.choice("xy"), chance.randrange(1, 5), 3)
            gateway.rollups.rows.append(row)
        made: Any = gateway
        kept = await window_sums(made, "24h", now + 1 - 1440, now + 1)
        assert summed(kept) == summed(await gateway.rollups.read(now + 1 - 1440, now + 1))


async def test_after_the_first_read_only_the_ends_are_read() -> None:
    made: Any = Gateway()
    await window_sums(made, "30d", 0, 43_200)
    made.rollups.scanned = 0
    for minute in range(1, 31):
        await window_sums(made, "30d", minute, 43_200 + minute)
    assert made.rollups.scanned <= 30 * (2 + GROWING_MINUTES)


async def test_a_clock_that_goes_back_reads_the_window_from_the_start() -> None:
    made: Any = Gateway()
    made.rollups.rows.append(RollupRow(500, RESOURCE, "a", "x", 1))
    assert summed(await window_sums(made, "1h", 1000, 1060)) == {}
    assert summed(await window_sums(made, "1h", 480, 540)) == {("a", "x"): (1, 0)}
    assert len(subject._windows[made].kept) == 1
