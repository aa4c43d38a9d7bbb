"""From real polls through the rollups to the advice: polling for nothing is answered after a day, and changes count."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.upstream.functions import ScriptedPull, scripted
from tidegate.config.load import convert
from tidegate.config.spec import Source
from tidegate.core.figures import ResourceFigures
from tidegate.core.rollups import RESOURCE
from tidegate.query import advice as reading
from tidegate.rules.measure.advice import Advice
from tidegate.rules.measure.advise import advise
from tidegate.rules.measure.estimate import Looks
from tidegate.rules.measure.measured import Covered, looks_of, measure, sums_of
from tidegate.rules.measure.observed import Delays

NAME = "shop/items"
ITEMS = {"path": "/items", "primary_key": "id"}
SHOP = convert(
    {"api": {"base_url": "https://shop.example.com"}, "resources": {"items": {**ITEMS, "poll": "5m"}}}, Source
)


async def advised(place: ScriptedPull, seconds: float) -> Advice:
    rows = await place.store.rollups.read(0, 1 << 40, scope=RESOURCE)
    made = measure(rows, Covered(seconds))
    looks = {NAME: [Looks(*one) for one in looks_of(sums_of(rows))]}
    figures = reading.Figures({NAME: ResourceFigures()}, made, made, looks, {}, Delays())
    return advise(reading.case_of("shop", SHOP, "items", figures))


async def test_a_day_of_polls_that_find_nothing_is_enough_and_a_change_is_evidence(tmp_path: Path) -> None:
    row = {"id": "1", "n": 0}
    place: ScriptedPull
    async with scripted(tmp_path, lambda _: [dict(row)], items={**ITEMS, "initial": "snapshot"}) as place:
        await place.poll()
        for _ in range(290):
            place.clock.advance(300)
            await place.poll()
        early = await advised(place, 80_000)
        assert early.recommendation == "not_enough_data" and "a day of empty polls" in early.reason
        quiet = await advised(place, 290 * 300)
        assert (quiet.recommendation, quiet.edits, quiet.confidence) == ("poll_every", {"poll": "30m"}, "medium")
        assert quiet.reason.startswith("290 polls in 1 d found nothing; with 90% confidence there are at most 2.")
        assert quiet.now.empty_share == 1.0 and quiet.now.requests_per_day is not None
        assert 285 < quiet.now.requests_per_day < 292
        row["n"] = 1
        place.clock.advance(300)
        await place.poll()
        changed = await advised(place, 291 * 300)
        assert "99.66% of the polls found nothing" in changed.reason and changed.now.empty_share == 0.9966


async def test_the_time_that_a_poll_takes_is_measured_and_part_of_the_expected_delay(tmp_path: Path) -> None:
    """Ten polls of 20 s; the snapshot, which took longer, does not count."""
    place: ScriptedPull
    asked: list[object] = []

    def answer(request: object) -> list[dict[str, object]]:
        place.clock.advance(20 if asked else 300)
        asked.append(request)
        return [{"id": "1", "n": place.clock.now_us()}]

    async with scripted(tmp_path, answer, items={**ITEMS, "initial": "snapshot"}) as place:
        for _ in range(10):
            await place.poll()
        rows = await place.store.rollups.read(0, 1 << 40, scope=RESOURCE)
        assert measure(rows, Covered(3000.0)).resources[NAME].polls.took_mean_seconds == pytest.approx(20, abs=0.1)
        found = next(one for one in (await advised(place, 86_400.0)).curve if one.poll_every_seconds == 60.0)
        assert found.delay_p50_seconds == pytest.approx(50, abs=0.1)
        assert found.delay_p99_seconds == pytest.approx(79.4, abs=0.1)
