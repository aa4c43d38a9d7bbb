"""Promise 2: every accepted event is, for every route that wants it, delivered or visibly exhausted or cancelled.

Under load, with filters, a flaky and a dead destination, cancels, retries, replays and a restart in between, every
snapshot of the books must balance against what was published until its offset, worked out here independently, and at
the end each delivery's own state must add up to the counters.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any

from support.farside import FarSide
from support.homes import Home
from support.running import publish, run, until
from tidegate.answer.stats import balance
from tidegate.deliver import ReplayQuery
from tidegate.errors import Conflict
from tidegate.model import DeliveryState, Outcome

EVENTS = 600


def configuration(flaky: FarSide, dead: FarSide) -> str:
    return f"""
[sources.shop.publish]
[sources.crm.publish]
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
from = "*"
to = ["all"]
[routes.large]
from = "shop"
to = ["large", "dead"]
filter = {{ data = {{ n = {{ "$gte" = 300 }} }} }}
"""


class Published:
    """What this test published, by offset: the independent side of the books."""

    def __init__(self) -> None:
        self.by_offset: dict[int, tuple[str, int]] = {}

    def expected(self, upto: int) -> dict[str, Counter[str]]:
        found = {name: Counter[str]() for name in ("all", "large", "dead")}
        for offset, (source, n) in self.by_offset.items():
            if offset > upto:
                continue
            found["all"]["owed"] += 1
            if source == "shop":
                for name in ("large", "dead"):
                    found[name]["owed" if n >= 300 else "filtered"] += 1
        return found


async def check(gateway: Any, published: Published) -> None:
    books = await gateway.store.deliveries.books()
    stats = balance(books, gateway.live.destination_names)
    if any(offset not in published.by_offset for offset in range(1, books.head + 1)):
        return  # the publisher has not been told of its newest offset yet
    for name, expected in published.expected(books.head).items():
        one = stats.destinations.get(name)
        if one is None:
            assert not expected["owed"]
            continue
        assert one.pending >= 0
        assert one.filtered == expected["filtered"], name
        assert one.delivered + one.pending + one.exhausted + one.cancelled == expected["owed"], name
        assert one.accepted == expected["owed"] + expected["filtered"], name


async def disturb(gateway: Any, published: Published, chance: random.Random) -> None:
    offset = chance.choice(list(published.by_offset))
    number = gateway.live.destinations[chance.choice(["all", "large", "dead"])].number
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
        source = chance.choice(["shop", "crm"])
        offset = await publish(gateway, json.dumps({"n": n}).encode(), source=source)
        published.by_offset[offset] = (source, n)

    for step in range(count // 6):
        await asyncio.gather(*(one() for _ in range(6)))
        await check(gateway, published)
        if step % 3 == 0:
            await disturb(gateway, published, chance)


async def states(gateway: Any, published: Published, name: str) -> Counter[str]:
    number = gateway.live.destinations[name].number
    views = await gateway.deliver.states([(offset, number) for offset in published.by_offset])
    for view in views.values():
        if view.state is DeliveryState.DELIVERED:
            assert Outcome.OK in [attempt.outcome for attempt in view.attempts]
    return Counter(view.state.value for view in views.values())


def test_the_books_balance_at_every_snapshot_and_every_delivery_is_accounted_for(home: Home) -> None:
    async def main() -> None:
        chance = random.Random(7)
        published = Published()

        async def flaky(reader: Any, writer: Any, request: Any) -> None:
            status = b"200 OK" if chance.random() < 0.7 else b"500 X"
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")

        async def dead(reader: Any, writer: Any, request: Any) -> None:
            writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")

        async with FarSide(flaky) as one, FarSide(dead) as two:
            toml = configuration(one, two)
            async with home.running(toml) as gateway:
                await load(gateway, published, chance, EVENTS // 2)
                gateway.deliver.grace_seconds = 0.1
            async with home.running(toml) as gateway:
                await check(gateway, published)
                await load(gateway, published, chance, EVENTS // 2)
                job = await gateway.deliver.replay(ReplayQuery(destination="large", state="exhausted"))

                async def quiet() -> bool:
                    await check(gateway, published)
                    (kept,) = [one for one in await gateway.store.deliveries.replays() if one.id == job.id]
                    if kept.finished_at_us is None:
                        return False
                    found = await states(gateway, published, "all") + await states(gateway, published, "large")
                    return not found["pending"] and not found["sending"]

                await until(quiet, 40)
                await gateway.deliver.settler.flush()
                await check(gateway, published)
                stats = balance(await gateway.store.deliveries.books(), gateway.live.destination_names)
                for name in ("all", "large", "dead"):
                    counted = stats.destinations[name]
                    found = await states(gateway, published, name)
                    assert found["delivered"] == counted.delivered, name
                    assert found["exhausted"] == counted.exhausted, name
                    assert found["cancelled"] == counted.cancelled, name
                    assert found["pending"] + found["sending"] == counted.pending, name
                gateway.deliver.grace_seconds = 0.1

    run(main)
