"""Both ways of a resource at once, against a source whose losses and delays are known: the result states the truth,
nothing is emitted or changed by the way that measures, a restart keeps the figures, and the end ends its requests."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from support.gateway.running import until
from support.upstream.functions import ScriptedPull, scripted
from tidegate.config.checks import check_config
from tidegate.config.load import convert
from tidegate.config.problems import Problems
from tidegate.config.spec import Config, Source
from tidegate.core.clock import rfc3339
from tidegate.query.shadow import ShadowSchema, compared
from tidegate.rules.measure.shadow import POLL, WEBHOOK
from tidegate.store import ANSWERED, PendingWrite

ITEMS = {"path": "/items", "version": "updated_at", "webhook": {"types": ["item.*"]}, "initial": "snapshot"}
API = {"base_url": "https://shop.example", "price_per_call": 0.01}
CHANGES, LOST, POLL_SECONDS, HOOK_SECONDS = 100, 12, 60, 2


class World:
    """A source whose records change at known times, with webhooks of which some are lost."""

    def __init__(self, **shadow: Any) -> None:
        self.shadow = {"wait": "10m", **shadow}
        self.rows: dict[str, dict[str, Any]] = {"first": {"id": "first", "updated_at": "2026-01-01T00:00:00Z"}}
        self.requests = 0

    def answer(self, _: object) -> list[dict[str, Any]]:
        self.requests += 1
        return [dict(one) for one in self.rows.values()]

    @property
    def resource(self) -> dict[str, Any]:
        own = {"poll": "1d"} if self.shadow["way"] == "webhook" else {"poll": None}
        return {**ITEMS, **own, "shadow": self.shadow}

    @property
    def hooked(self) -> str:
        return "items~shadow" if self.shadow["way"] == "webhook" else "items"

    @property
    def polled(self) -> str:
        return "items" if self.shadow["way"] == "webhook" else "items~shadow"

    async def poll(self, place: ScriptedPull) -> None:
        engine = place.engine._engines["shop", self.polled]
        assert (await engine.poll()).error == ""

    async def runs(self, place: ScriptedPull, lost: set[int], numbers: range) -> list[float]:
        """Changes, one a minute at a random second, each polled at the end of its minute; the true differences."""
        chance, later = Random(numbers.start), []
        for number in numbers:
            wait = chance.uniform(1, POLL_SECONDS - HOOK_SECONDS - 1)
            place.clock.advance(wait)
            row = {"id": f"r{number}", "updated_at": rfc3339(place.clock.now_us()), "n": number}
            self.rows[row["id"]] = row
            place.clock.advance(HOOK_SECONDS)
            if number not in lost:
                await place.webhook(self.hooked, "item.created", row)
                later.append(POLL_SECONDS - HOOK_SECONDS - wait)
            place.clock.advance(POLL_SECONDS - HOOK_SECONDS - wait)
            await self.poll(place)
        return later

    async def result(self, place: ScriptedPull) -> ShadowSchema:
        spec = convert({"api": API, "webhook": {"verify": "none"}, "resources": {"items": self.resource}}, Source)
        states = [await place.store.records.state("shop", name) for name in ("items", "items~shadow")]
        return compared("shop", spec, "items", (states[0], states[1]), place.clock.now_us())

    async def settle(self, place: ScriptedPull) -> None:
        place.clock.advance(700)
        await self.poll(place)
        place.clock.advance(700)
        await place.engine._comparisons["shop", "items"].step()
        for name in ("items", "items~shadow"):
            await place.engine._engines["shop", name].writer.save()


@pytest.mark.parametrize("way", ["webhook", "poll"])
async def test_a_known_loss_and_known_delays_are_stated_and_the_way_that_measures_does_nothing_else(
    tmp_path: Path, way: str
) -> None:
    world = World(way=way)
    lost = set(Random(4).sample(range(CHANGES), LOST))
    async with scripted(tmp_path, world.answer, items=world.resource) as place:
        await world.poll(place)
        place.clock.advance(1)
        await world.poll(place)
        later = await world.runs(place, lost, range(CHANGES // 2))
        await world.settle(place)
        half = await world.result(place)
        await place.restart()
        again = await world.result(place)
        assert (again.pairs, again.ways[1].missed, again.webhook_first) == (
            half.pairs, half.ways[1].missed, half.webhook_first)  # fmt: skip
        later += await world.runs(place, lost, range(CHANGES // 2, CHANGES))
        await world.settle(place)
        one = await world.result(place)
        kinds = await place.kinds()
        records = await place.records()
        origins = {record.origin.value for record in await place.store.records.page("shop", "items", limit=500)}

    poll, webhook = one.ways
    assert (one.pairs, webhook.missed, webhook.of, poll.missed) == (CHANGES - LOST, LOST, CHANGES, 0)
    assert webhook.missed_share.low is not None and webhook.missed_share.high is not None
    assert webhook.missed_share.low < LOST / CHANGES < webhook.missed_share.high
    late = one.poll_later_seconds
    assert late.low is not None and late.high is not None
    assert late.low <= sorted(later)[len(later) // 2] <= late.high and late.high - late.low < 25
    assert (one.sooner, one.more_complete, one.cheaper) == (WEBHOOK, POLL, WEBHOOK)
    assert poll.requests == world.requests and webhook.requests == 0 and poll.cost_per_day
    assert poll.bytes > 0 and webhook.webhooks == CHANGES - LOST
    assert one.state == "measuring" and (one.undecided, one.left_out) == (0, 0)
    # The way that measures made no event and no record.
    assert len(kinds) == len({key for _, key in kinds})
    expected = CHANGES if way == "webhook" else CHANGES - LOST
    assert len(kinds) == expected and len(records) == expected + (way == "webhook")
    assert origins == ({"poll"} if way == "webhook" else {"webhook"})
    text = " ".join(one.sentences)
    assert "Webhooks are sooner" in text and "webhooks missed 12 of 100 changes" in text, text
    assert "polls are more complete" in text and "Webhooks are cheaper" in text, text


async def write(place: ScriptedPull, row: dict[str, Any], answer: dict[str, Any]) -> None:
    """An operation made `row`; its answer is merged into the records."""
    at, put = place.clock.now_us(), place.store.operations.put_write
    fields = [json.dumps(one).encode() for one in ({"n": row["n"]}, answer)]
    made = PendingWrite(f"w{at}", "shop", "items", row["id"], *fields, "evt_1", b"[]", at, ANSWERED, at, at)
    await put(made, 0)
    assert await place.engine.answers.merge_here("shop", "items")


@pytest.mark.parametrize(("way", "own"), [("webhook", 4), ("poll", 0)])
async def test_what_our_own_writes_made_is_not_missed_by_polls(tmp_path: Path, way: str, own: int) -> None:
    """The answer has the version, an older one, or none: only in the last case a poll still finds a change."""
    world = World(way=way)
    async with scripted(tmp_path, world.answer, items={**world.resource, "ignore": ["updated_at"]}) as place:
        await world.poll(place)
        place.clock.advance(1)
        await world.poll(place)
        for number in range(6):
            before = rfc3339(place.clock.now_us())
            place.clock.advance(5)
            row = {"id": f"w{number}", "updated_at": rfc3339(place.clock.now_us()), "n": number}
            world.rows[row["id"]] = row
            answer = {"id": row["id"], "n": number}
            await write(place, row, (row, {**row, "updated_at": before}, answer)[number % 3])
            place.clock.advance(HOOK_SECONDS)
            await place.webhook(world.hooked, "item.created", row)
            place.clock.advance(5)
            await world.poll(place)
        await world.runs(place, {52}, range(50, 54))
        await world.settle(place)
        one = await world.result(place)
    poll, webhook = one.ways
    assert (poll.missed, webhook.missed, one.own_writes, one.pairs) == (0, 1, own, 9 - own)
    assert one.undecided == 0


async def test_the_end_ends_its_requests_also_after_a_restart_and_is_a_finding(tmp_path: Path) -> None:
    world = World(way="poll", poll="1s", duration="1h")
    async with scripted(tmp_path, world.answer, items=world.resource) as place:
        await until(lambda: world.requests > 0)
        comparison = place.engine._comparisons["shop", "items"]
        place.clock.advance(3595)
        await until(lambda: place.clock.advance(1) or comparison.over, every_seconds=0.3)
        asked = world.requests
        assert (await world.result(place)).state == "ended"
        assert "shadow_ended" in {one.code for one in place.engine._findings.listed()}
        await place.restart()
        await until(lambda: place.engine._comparisons["shop", "items"].over)
        place.clock.advance(86_400)
        await place.webhook("items", "item.created", {"id": "r1", "updated_at": "2026-02-01T00:00:00Z"})
        assert list(await place.records()) == ["r1"]
        assert world.requests == asked, "a day later, and with time for more"


async def test_another_comparison_begins_with_its_own_figures(tmp_path: Path) -> None:
    world = World(way="poll")
    async with scripted(tmp_path, world.answer, items=world.resource) as place:
        await world.poll(place)
        place.clock.advance(1)
        await world.poll(place)
        await world.runs(place, set(), range(3))
        await world.settle(place)
        assert (await world.result(place)).pairs == 3
        world.shadow["duration"] = "2d"
        place.resources["items"] = world.resource | {"poll": None}
        await place.restart()
        assert (await world.result(place)).pairs == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"version": ""}, "by the version of its record"),
        ({"webhook": None}, "this resource has no webhook"),
        ({"poll": None}, "the resource is not polled"),
        ({"reconcile": "1h"}, "they only measure"),
        ({"shadow": {"way": "poll"}}, "is polled already"),
        ({"shadow": {"way": "webhook", "duration": "31d"}}, "duration"),
        ({"shadow": {"way": "webhook", "wait": "0s"}}, "wait"),
    ],
)
def test_a_shadow_that_cannot_measure_is_named_by_check(changes: dict[str, Any], named: str) -> None:
    items = {**ITEMS, "poll": "5m", "shadow": {"way": "webhook"}, **changes}
    items = {key: value for key, value in items.items() if value is not None}
    source = {"webhook": {"verify": "none"}, "api": API, "resources": {"items": items}}
    problems = Problems()
    check_config(convert({"sources": {"shop": source}}, Config), problems)
    found = [error.message for _, error in problems._found]
    assert any(named in one for one in found) or any(named in error.path for _, error in problems._found), found
