"""Sums that are kept between reads are those of one read of the whole window, however it moves on."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from support.gateway.running import until
from tidegate.core.errors import StoreBusy
from tidegate.core.rollups import RESOURCE, RollupRow
from tidegate.query import advice, warm_up
from tidegate.query import window_sums as subject
from tidegate.query.window_sums import GROWING_MINUTES, Span, warm, window_sums


class Rows:
    """Rollups in memory; `scanned` counts the minutes that were read."""

    def __init__(self) -> None:
        self.rows: list[RollupRow] = []
        self.scanned = 0

    async def read(self, since: int, upto: int, *, prefix: str | None = None, **_: Any) -> list[RollupRow]:
        await asyncio.sleep(0)  # as a thread of the readers: others go on
        self.scanned += max(0, upto - since)
        sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in self.rows:
            if since <= row.minute < upto and row.metric.startswith(prefix or ""):
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


@pytest.mark.parametrize("seed", range(3))
async def test_windows_that_were_summed_up_together_are_those_of_one_read_each(seed: int) -> None:
    chance, made = Random(seed), Gateway()
    gateway: Any = made
    now = 50_000
    made.rollups.rows = [
        RollupRow(
            chance.randrange(now - 43_200, now), RESOURCE, chance.choice("ab"), chance.choice(["x", "gap.y"]), 2, 3
        )
        for _ in range(400)
    ]
    spans = {"24h": Span(now - 1440, now), "7d": Span(now - 10_080, now), "30d": Span(now - 43_200, now)}
    await warm(gateway, [*spans.items(), ("30d", spans["30d"]._replace(prefix="gap."))])
    assert made.rollups.scanned <= 43_200, "one pass over the minutes, not one for each window"
    made.rollups.scanned = 0
    kept = {name: summed(await window_sums(gateway, name, *one)) for name, one in spans.items()}
    gaps = summed(await window_sums(gateway, "30d", now - 43_200, now, "gap."))
    assert made.rollups.scanned <= 4 * GROWING_MINUTES, "only the minutes that still grow"
    for name, one in spans.items():
        assert kept[name] == summed(await made.rollups.read(one.since, one.until))
    assert gaps == {key: found for key, found in kept["30d"].items() if key[1] == "gap.y"}


async def test_somebody_who_waits_for_the_sums_ends_the_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "PAUSE_SECONDS", 1000.0)
    gateway: Any = Gateway()
    task = asyncio.ensure_future(warm(gateway, [("7d", Span(0, 10_080))]))
    reader = asyncio.ensure_future(window_sums(gateway, "7d", 0, 10_080))
    await asyncio.wait_for(asyncio.gather(task, reader), 30)


async def test_a_window_that_is_kept_is_read_while_another_one_is_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway: Any = Gateway()
    await window_sums(gateway, "24h", 8640, 10_080)
    going_on, slow = asyncio.Event(), gateway.rollups.read

    async def read(since: int, until: int, **more: Any) -> list[RollupRow]:
        if until - since > 2 * GROWING_MINUTES:
            await going_on.wait()
        found: list[RollupRow] = await slow(since, until, **more)
        return found

    monkeypatch.setattr(gateway.rollups, "read", read)
    task = asyncio.ensure_future(warm(gateway, [("7d", Span(0, 10_080))]))
    await asyncio.sleep(0)
    await asyncio.wait_for(window_sums(gateway, "24h", 8641, 10_081), 30)
    assert not task.done()
    going_on.set()
    await task


class Sources:
    """The sources of a configuration; `looks` counts how often they were asked for."""

    def __init__(self, *sources: Any) -> None:
        self._sources = sources
        self.looks = 0

    def values(self) -> tuple[Any, ...]:
        self.looks += 1
        return self._sources


@pytest.mark.parametrize("error", [StoreBusy("busy"), RuntimeError("a defect")])
async def test_the_background_goes_on_after_a_failure_and_reads_nothing_without_resources(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    calls: list[Any] = []

    async def fails(gateway: Any) -> None:
        calls.append(gateway)
        raise error

    monkeypatch.setattr(advice, "warm", fails)
    monkeypatch.setattr(warm_up, "AGAIN_SECONDS", 0.001)
    source = SimpleNamespace(spec=SimpleNamespace(resources={}))
    sources = Sources(source)
    gateway: Any = SimpleNamespace(active=SimpleNamespace(sources=sources))
    one = warm_up.WarmUp(gateway)
    one.start()
    await until(lambda: sources.looks > 2)
    assert calls == []
    source.spec.resources["orders"] = object()
    await until(lambda: len(calls) > 2)
    await one.stop()
