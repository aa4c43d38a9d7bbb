"""Promise 2: every accepted event is, for every route that wants it, delivered or visibly exhausted or canceled.

Under load, with filters, events that no route wants, a flaky and a dead destination, cancels, retries, replays and a
restart in between, every snapshot of the counters must balance against what was published until its offset, worked out
here independently. Then one of each thing that moves the counters by hand, a replay by wider routes, and an expiry;
after each, every delivery's own state must add up to the counters.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any

from support.gateway.deployment import Deployment
from support.gateway.running import publish, until
from support.receiver.scripted import ScriptedServer
from tidegate.core.errors import Conflict
from tidegate.core.model import DeliveryState, Outcome
from tidegate.deliver import ReplayQuery
from tidegate.query.schemas import Stats
from tidegate.query.stats import snapshot

EVENTS = 600
NAMES = ("all", "large", "dead")


def configuration(flaky: ScriptedServer, dead: ScriptedServer, large: str = 'from = "shop"', least: int = 300) -> str:
    return f"""
[sources.shop.publish]
[sources.crm.publish]
[sources.quiet.publish]
[destinations.all]
url = "http://127.0.0.1:{flaky.port}/all"
retry = ["20ms", "20ms", "20ms"]
[destinations.large]
url = "http://127.0.0.1:{flaky.port}/large"
retry = ["20ms"]
[destinations.dead]
url = "http://127.0.0.1:{dead.port}/"
retry = ["10m"]
[routes.everything]
from = ["shop", "crm"]
to = ["all"]
[routes.large]
{large}
to = ["large", "dead"]
filter = {{ data = {{ n = {{ "$gte" = {least} }} }} }}
"""


class Published:
    """What this test published, by offset: the independent side of the counters."""

    def __init__(self) -> None:
        self.by_offset: dict[int, tuple[str, int]] = {}

    def expected(self, upto: int) -> dict[str, Counter[str]]:
        found = {name: Counter[str]() for name in NAMES}
        for offset, (source, n) in self.by_offset.items():
            if offset > upto:
                continue
            found["all"]["owed"] += source != "quiet"
            if source == "shop":
                for name in ("large", "dead"):
                    found[name]["owed" if n >= 300 else "filtered"] += 1
        return found

    def sources(self, upto: int) -> Counter[str]:
        return Counter(source for offset, (source, _) in self.by_offset.items() if offset <= upto)


def add_up(stats: Stats, published: Published) -> None:
    """What holds at every instant, whatever was published and replayed."""
    sources, totals = published.sources(stats.at_offset), stats.totals
    assert {name: one.accepted for name, one in stats.sources.items()} == {n: sources[n] for n in stats.sources}
    assert totals.accepted == sources.total()
    assert totals.unrouted == stats.sources["quiet"].unrouted == sources["quiet"]
    for part in ("filtered", "delivered", "pending", "exhausted", "canceled"):
        assert getattr(totals, part) == sum(getattr(one, part) for one in stats.destinations.values()), part
    for name, one in stats.destinations.items():
        assert one.pending >= 0, name
        assert one.accepted == one.filtered + one.delivered + one.pending + one.exhausted + one.canceled, name


async def check(gateway: Any, published: Published) -> None:
    stats = await snapshot(gateway)
    if any(offset not in published.by_offset for offset in range(1, stats.at_offset + 1)):
        return  # the publisher does not know its newest offset yet
    add_up(stats, published)
    for name, expected in published.expected(stats.at_offset).items():
        one = stats.destinations[name]
        assert one.filtered == expected["filtered"], name
        assert one.accepted - one.filtered == expected["owed"], name


async def disturb(gateway: Any, published: Published, chance: random.Random) -> None:
    offset = chance.choice(list(published.by_offset))
    number = gateway.active.destinations[chance.choice(["all", "large", "dead"])].number
    view = (await gateway.deliver.states([(offset, number)])).get((offset, number))
    if view is None:
        return
    try:
        if view.state is DeliveryState.PENDING and chance.random() < 0.5:
            await gateway.deliver.cancel(offset, number)
        else:
            await gateway.deliver.retry(offset, number)
    except Conflict:
        pass  # it was sent meanwhile


async def load(gateway: Any, published: Published, chance: random.Random, count: int) -> None:
    async def one() -> None:
        n = chance.randrange(600)
        source = chance.choice(["shop", "shop", "crm", "crm", "quiet"])
        offset = await publish(gateway, json.dumps({"n": n}).encode(), source=source)
        published.by_offset[offset] = (source, n)

    for step in range(count // 6):
        await asyncio.gather(*(one() for _ in range(6)))
        await check(gateway, published)
        if step % 3 == 0:
            await disturb(gateway, published, chance)


async def states(gateway: Any, published: Published, name: str) -> Counter[str]:
    number = gateway.active.destinations[name].number
    views = await gateway.deliver.states([(offset, number) for offset in published.by_offset])
    for view in views.values():
        if view.state is DeliveryState.DELIVERED:
            assert Outcome.OK in [attempt.outcome for attempt in view.attempts]
    return Counter(view.state.value for view in views.values())


async def account(gateway: Any, published: Published) -> dict[str, Counter[str]]:
    """Every delivery's own state against the counters of its destination; the states by destination.

    A probe of a dead destination may end in between, so it is looked at until nothing moved during the look.
    """
    for _ in range(20):
        await gateway.deliver.settler.flush()
        stats = await snapshot(gateway)
        found = {name: await states(gateway, published, name) for name in NAMES}
        if (await snapshot(gateway)).destinations == stats.destinations:
            break
    assert stats.at_offset == max(published.by_offset)
    add_up(stats, published)
    for name, one in found.items():
        counted = stats.destinations[name]
        for state in ("delivered", "exhausted", "canceled"):
            assert one[state] == getattr(counted, state), (name, state)
        assert one["pending"] + one["sending"] == counted.pending, name
    return found


async def quiet(gateway: Any, published: Published) -> bool:
    """Nothing is under way to the destinations that answer, and no replay walks."""
    if any(one.finished_at_us is None for one in await gateway.store.deliveries.replays()):
        return False
    found = await states(gateway, published, "all") + await states(gateway, published, "large")
    return not found["pending"] and not found["sending"]


async def move_by_hand(gateway: Any, published: Published) -> None:
    """Cancel one, take it back, retry one that was delivered: each moves the counters by exactly one."""
    number = gateway.active.destinations["dead"].number
    shop = [offset for offset, (source, n) in published.by_offset.items() if source == "shop" and n >= 300]
    views = await gateway.deliver.states([(offset, number) for offset in shop])
    unread = max(offset for (offset, _), view in views.items() if view.state is DeliveryState.PENDING)
    before = (await account(gateway, published))["dead"]
    await gateway.deliver.cancel(unread, number)
    assert (await account(gateway, published))["dead"]["canceled"] == before["canceled"] + 1
    await gateway.deliver.retry(unread, number)
    assert (await account(gateway, published))["dead"]["canceled"] == before["canceled"]
    every = gateway.active.destinations["all"].number
    views = await gateway.deliver.states([(offset, every) for offset in published.by_offset])
    again = next(offset for (offset, _), view in views.items() if view.state is DeliveryState.DELIVERED)
    await gateway.deliver.retry(again, every)
    await until(lambda: quiet(gateway, published), 40)
    await account(gateway, published)


async def replay_by_wider_routes(gateway: Any, published: Published) -> None:
    """Deliveries that the routes of then did not want enter the counters, and no longer count as filtered."""
    then = published.expected(max(published.by_offset))["large"]
    await gateway.deliver.replay(ReplayQuery(destination="large"))
    await until(lambda: quiet(gateway, published), 40)
    await account(gateway, published)
    one = (await snapshot(gateway)).destinations["large"]
    kinds = Counter((source, n // 100) for source, n in published.by_offset.values())
    once_filtered = kinds["shop", 2]
    crm = sum(count for (source, hundreds), count in kinds.items() if source == "crm" and hundreds >= 2)
    assert once_filtered > 5 and crm > 20
    assert one.filtered == then["filtered"] - once_filtered
    assert one.accepted - one.filtered == then["owed"] + once_filtered + crm


async def test_the_counters_balance_at_every_snapshot_and_every_delivery_is_accounted_for(
    deployment: Deployment,
) -> None:
    chance = random.Random(7)
    published = Published()

    async def flaky(reader: Any, writer: Any, request: Any) -> None:
        status = b"200 OK" if chance.random() < 0.7 else b"500 X"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")

    async def dead(reader: Any, writer: Any, request: Any) -> None:
        writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")

    async with ScriptedServer(flaky) as one, ScriptedServer(dead) as two:
        toml = configuration(one, two)
        async with deployment.running(toml) as gateway:
            await load(gateway, published, chance, EVENTS // 2)
        async with deployment.running(toml) as gateway:
            await check(gateway, published)
            await load(gateway, published, chance, EVENTS // 2)
            await gateway.deliver.replay(ReplayQuery(destination="large", state="exhausted"))

            async def checked_and_quiet() -> bool:
                await check(gateway, published)
                return await quiet(gateway, published)

            await until(checked_and_quiet, 40)
            await check(gateway, published)
            await account(gateway, published)
            await move_by_hand(gateway, published)
        async with deployment.running(configuration(one, two, 'from = ["shop", "crm"]', 200)) as gateway:
            await replay_by_wider_routes(gateway, published)
            waiting = (await account(gateway, published))["dead"]
            assert waiting["pending"] > 50
            await gateway.deliver.expire(max(published.by_offset))
            expired = (await account(gateway, published))["dead"]
            assert expired["exhausted"] == waiting["pending"] + waiting["exhausted"]
            assert expired["pending"] == 0
