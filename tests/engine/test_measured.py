"""What is measured is what happened: polls, delays, webhooks and deliveries against a source that knows the truth."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import counters, publish, running, until
from support.receiver.scripted import ScriptedServer
from support.upstream.functions import Reply, ScriptedPull, scripted
from support.upstream.pull import PullSetup, pull_setup
from tidegate.core.clock import rfc3339
from tidegate.core.errors import BadRequest
from tidegate.core.measured import ResourceMeasured
from tidegate.core.quantiles import quantile
from tidegate.core.rollups import RESOURCE, RollupRow, minute_of
from tidegate.query import measured as query
from tidegate.rules.measure.measured import Covered, looks_of, measure, sums_of
from tidegate.store import HOURS_KEPT, MINUTES_KEPT

EVER = 1 << 40
ITEMS = {"path": "/items", "primary_key": "id"}


async def figures(store: Any, name: str = "shop/items") -> ResourceMeasured:
    return measure(await store.rollups.read(0, EVER), Covered(86_400.0)).resources[name]


class Truth:
    """Records that change at random; a poll sees the latest state of each."""

    def __init__(self, seed: int, *, versions: bool) -> None:
        self.chance = random.Random(seed)
        self.versions = versions
        self.rows: dict[str, dict[str, Any]] = {str(n): {"id": str(n), "n": 0} for n in range(40)}
        self.next_us = 0
        self.seen: dict[str, int] = {}  # record -> when its latest unseen change was

    def answer(self, now_us: int) -> list[dict[str, Any]]:
        while self.next_us and self.next_us <= now_us:
            row = self.rows[str(self.chance.randrange(40))]
            row["n"] += 1
            if self.versions:
                row["updated_at"] = rfc3339(self.next_us)
            self.seen[row["id"]] = self.next_us
            self.next_us += int(self.chance.expovariate(1 / 90) * 1e6)
        return list(self.rows.values())

    def take(self) -> dict[str, int]:
        seen, self.seen = self.seen, {}
        return seen


async def polled(place: ScriptedPull, truth: Truth, polls: int) -> tuple[list[float], int]:
    """(delay of each change that a poll saw, number of polls that saw none)."""
    await place.poll()
    truth.next_us = place.clock.now_us()
    delays: list[float] = []
    empty = 0
    for _ in range(polls):
        place.clock.advance(60)
        await place.poll()
        seen = truth.take()
        empty += not seen
        delays += [(place.clock.now_us() - at) / 1e6 for at in seen.values()]
    return sorted(delays), empty


@pytest.mark.parametrize("versions", [True, False], ids=["known", "bounded"])
async def test_empty_share_and_delays_are_those_of_the_source(tmp_path: Path, versions: bool) -> None:
    truth = Truth(3, versions=versions)
    rule = {**ITEMS, "initial": "snapshot", **({"version": "updated_at"} if versions else {})}
    place: ScriptedPull
    async with scripted(tmp_path, lambda _: truth.answer(place.clock.now_us()), items=rule) as place:
        delays, empty = await polled(place, truth, polls=240)
        found = await figures(place.store)
    assert found.polls.empty.share == pytest.approx(empty / 240, abs=0.02)
    assert (found.polls.snapshot, found.polls.failed, found.changes) == (1, 0, len(delays))
    assert found.requests.total == found.requests.polls == 241
    assert found.requests.per_change == pytest.approx(241 / len(delays), rel=1e-3)
    for share, given in ((0.5, found.delay.p50), (0.95, found.delay.p95)):
        assert given.seconds == pytest.approx(quantile(delays, share), rel=0.1)
        assert given.low is not None and given.high is not None
        assert given.low <= given.seconds <= given.high and (given.low == given.high) == versions
    assert found.delay.bounded == (0 if versions else len(delays))


async def test_each_way_to_find_nothing_and_each_kind_of_request_is_counted(tmp_path: Path) -> None:
    answers: list[Any] = [
        [{"id": "1"}],  # the snapshot
        [],
        Reply([{"id": "1"}], headers={"ETag": '"a"', "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "15"}),
        Reply(status=304),
        Reply(status=500),
        Reply([{"id": "1"}]),  # the retry
        Reply(status=403),
    ]
    async with scripted(tmp_path, lambda _: answers.pop(0), items={**ITEMS, "initial": "snapshot"}) as place:
        for _ in range(5):
            place.clock.advance(100)
            await place.poll()
        await place.poll(ok=False)
        found = await figures(place.store)
        rows = await place.store.rollups.read(0, EVER)
    assert not answers
    polls = found.polls
    assert (polls.snapshot, polls.empty_list, polls.unchanged, polls.not_modified, polls.failed) == (1, 1, 2, 1, 1)
    assert (found.requests.polls, found.requests.retries, found.requests.total) == (6, 1, 7)
    assert found.rate_limit.used == 0.85
    assert polls.empty.share == 1.0 and found.requests.per_change is None
    looks = looks_of(sums_of(rows))
    assert sum(times for _, _, times in looks) == 4 and all(95 < gap < 110 and not one for gap, one, _ in looks)


async def test_pages_are_counted_apart_from_the_polls_that_they_belong_to(tmp_path: Path) -> None:
    def answer(asked: Any) -> Any:
        page = int(asked.params.get("page", "1"))
        return [{"id": str(page * 10 + n)} for n in range(2)] if page < 3 else []

    rule = {**ITEMS, "paginator": {"type": "page_number"}}
    async with scripted(tmp_path, answer, items=rule) as place:
        await place.poll()
        await place.poll()
        found = await figures(place.store)
    assert (found.requests.polls, found.requests.pages, found.polls.finished) == (2, 4, 2)


async def test_what_was_not_committed_is_not_counted(tmp_path: Path) -> None:
    async with scripted(tmp_path, lambda _: [{"id": "1"}], items=ITEMS) as place:
        await place.poll()
        before = await figures(place.store)
        place.clock._now_us -= 7_200_000_000  # a clock that went back
        await place.poll()
        await place.restart()
        await place.poll()
        after = await figures(place.store)
    assert (before.polls.finished, after.polls.finished, after.requests.total) == (1, 3, 3)
    assert before.changes == after.changes == 1


FEED = {"types": ["orders/*"], "key": "id", "deleted_types": ["orders/deleted"]}


def test_lost_late_repeated_and_overtaken_webhooks(tmp_path: Path) -> None:
    """Of 100 changes 10 lose their webhook, which comes late for 3 of them; 5 come twice and 2 in the wrong order."""

    async def work(one: PullSetup) -> None:
        await one.poll()
        old = one.shop.put("x", amount=1)
        await one.webhook(one.shop.put("x", amount=2), "orders/updated")
        older = one.shop.put("x", amount=3)
        await one.webhook(one.shop.put("x", amount=4), "orders/updated")
        for late in (old, older):
            await one.webhook(late, "orders/updated")
        lost = []
        for number in range(100):
            record = one.shop.put(str(number), amount=number)
            if number % 10 == 0:
                lost.append(record)
                continue
            for _ in range(2 if number % 20 == 7 else 1):
                await one.webhook(record, "orders/updated")
        await one.settle()
        await one.poll()
        for record in lost[:3]:
            await one.webhook(record, "orders/updated")
        await one.settle()
        hooks = (await figures(one.store, "shop/orders")).webhooks
        assert (hooks.received, hooks.changed, hooks.healed) == (2 + 2 + 95 + 3, 92, 10)
        assert (hooks.late, hooks.repeated, hooks.out_of_order) == (3, 5, 2)
        assert (hooks.missed.part, hooks.missed.whole) == (7, 102)
        assert hooks.missed.low is not None and hooks.missed.high is not None
        assert hooks.missed.low < 0.07 < hooks.missed.high
        assert hooks.missing_for.samples == 10

    async def main() -> None:
        async with pull_setup(tmp_path, webhook=FEED, reconcile="1d", initial="events") as one:
            await work(one)

    asyncio.run(main())


TOML = """
[sources.shop.webhook]
verify = "none"
[sources.shop.publish]
[sources.shop.api]
base_url = "{url}"
price_per_call = 0.5
[sources.shop.resources.items]
path = "/items"
primary_key = "id"
poll = "1d"
cache = "1m"
[destinations.crm]
url = "{url}/hook"
retry = ["1ms", "1ms", "1ms"]
[routes.all]
from = "shop"
to = "crm"
"""


async def test_deliveries_and_pulls_of_a_running_gateway(tmp_path: Path) -> None:
    fails = [2]

    async def script(_: Any, writer: Any, request: Any) -> None:
        failed = "/hook" in request.line and fails[0] > 0
        fails[0] -= failed
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: 2\r\n\r\n[]" % (b"500 No" if failed else b"200 OK"))

    async with ScriptedServer(script) as server, running(tmp_path, TOML.format(url=server.url)) as gateway:
        for _ in range(3):
            await gateway.pull.pull("shop", "items", None, [], max_age=None, no_cache=False, if_none_match=None)
        await gateway.pull._pull_counts.write()
        await gateway.pull._pull_counts.write()  # what was written is not written again
        for number in range(5):
            await publish(gateway, b"%d" % number)
        await until(lambda: counters_are(gateway, delivered=5))
        await gateway.maintenance.run_once()
        for window in query.WINDOWS:
            made = await query.measured(gateway, window)
            item, crm, shop = made.resources["shop/items"], made.destinations["crm"], made.sources["shop"]
            assert (item.pulls.hits, item.saved, item.requests.on_demand) == (2, 2, 1)
            assert item.requests.cost == shop.requests.cost == item.requests.total * 0.5
            assert (crm.delivered, crm.failed, crm.retried, crm.attempts) == (5, 2, 2, 7)
            assert (crm.bytes_out, crm.delay.samples, crm.pending_mean) == (5, 5, 0.0)
            assert crm.delay.p95.seconds is not None and crm.delay.p95.seconds < 5
            assert (shop.accepted, shop.accepted_by_origin, shop.bytes_in) == (5, {"publish": 5}, 5)
            assert made.since is not None and made.covered_seconds < 120
        with pytest.raises(BadRequest, match="1h, 24h, 7d, 30d"):
            await query.measured(gateway, "2h")
        (latest,) = (await query.timeline(gateway)).resources["shop/items"]
        assert (latest.pulls, latest.requests) == (3, 1 + latest.polls)
        assert await query.looks_by_hour_of_week(gateway, "shop/items") == {}


async def counters_are(gateway: Any, **wanted: int) -> bool:
    found = (await counters(gateway))["crm"]
    return all(found[name] == value for name, value in wanted.items())


async def test_old_minutes_become_hours_and_old_hours_go(tmp_path: Path) -> None:
    async with running(tmp_path, "") as gateway:
        now = minute_of(gateway.clock.now_us())
        ages = {"minute": 60, "hour": MINUTES_KEPT + 90, "gone": HOURS_KEPT * 60 + 90}
        rows = [RollupRow(now - age, RESOURCE, "a/b", f"look.{name}", 1) for name, age in ages.items()]
        await gateway.store.rollups.add(rows)
        await gateway.maintenance.run_once()
        found = {row.metric: row.minute for row in await gateway.store.rollups.read(0, EVER, every=1, scope=RESOURCE)}
        assert found == {"look.minute": now - 60, "look.hour": (now - MINUTES_KEPT - 90) // 60 * 60}
