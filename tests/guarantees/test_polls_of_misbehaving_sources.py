"""Promise 7 against sources that misbehave at random: every final state is found, no change is invented or repeated.

Each seed makes a source (`support/upstream/misbehaving.py`) that limits, fails, lags, repeats and contradicts itself,
and that changes between and during polls. Afterwards the change events must be a true history of its rows, the records
must be its rows once it has been quiet, and everything that was planted must be reported by its code. Time is moved,
not waited for.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.upstream.misbehaving import Misbehaving
from support.upstream.polled import Polled, polled

RUNS = int(os.environ.get("TIDEGATE_POLL_RUNS", "200"))
SLICE = 25
ROUNDS = 6
TRIES = 40


async def poll_until_done(one: Polled) -> None:
    """As the schedule does: again after a failure, not before the source allows it."""
    for _ in range(TRIES):
        report = await one.poll(ok=False)
        if not report.error:
            return
        one.clock.advance(report.held_seconds + 5)
    raise AssertionError(f"no run finished: {report.error}")


async def life(one: Polled, source: Misbehaving) -> None:
    source.change()
    for _ in range(ROUNDS):
        for _ in range(source.random.randrange(5)):
            source.change()
            one.clock.advance(source.random.random() * 20)
        one.clock.advance(source.random.choice([1, 60, 900]))
        await poll_until_done(one)
        await one.settled()
    source.quiet = True
    for _ in range(4):
        one.clock.advance(4000)  # beyond all holds, and two scans confirm a delete
        await poll_until_done(one)
        await one.settled()


async def check(one: Polled, source: Misbehaving) -> None:
    places: dict[str, int] = {}
    for kind, key, data in await one.changes():
        if key not in source.history:
            assert key in ("twice", "future") and kind == "created", f"invented: {kind} {key}"
            continue
        states = source.history[key]
        at = places.get(key, -1)
        if kind == "deleted":
            found = next((i for i in range(at + 1, len(states)) if states[i] is None), None)
        else:
            text = json.dumps(data, sort_keys=True)
            found = next((i for i in range(at + 1, len(states)) if states[i] == text), None)
        assert found is not None, f"{kind} {key} {data} is not a later state than number {at} of {states}"
        places[key] = found
    records = await one.records()
    live = {key: row for key, row in records.items() if key not in ("twice", "future")}
    if source.deletes == "none":
        live = {key: row for key, row in live.items() if key in source.rows}
    if source.deletes == "second_scan" and (source.unreadable is not None or source.beyond == "400"):
        # Unreadable rows, or an end that may be a limit: missing twice proves nothing then.
        live = {key: row for key, row in live.items() if key in source.rows}
    assert live == source.rows, f"records are {live}, rows are {source.rows}"
    noted = set(one.engine.statistics()["s/r"].findings)
    assert source.planted <= noted, f"not reported: {source.planted - noted}"


async def one_life(path: Path, seed: int) -> None:
    async with polled(path, lambda _: []) as one:
        source = Misbehaving(seed, one.clock)
        one.client.server_ahead_us = source.skew_us
        one.client.answer = source
        one.configure(source.resource())
        try:
            await life(one, source)
            await check(one, source)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {source}: {error}") from error


@pytest.mark.parametrize("first", range(0, RUNS, SLICE))
async def test_nothing_is_missed_invented_or_taken_back(tmp_path: Path, first: int) -> None:
    for seed in range(first, min(RUNS, first + SLICE)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        await one_life(folder, seed)
