"""Promises 1 and 3: 2xx only after the event is on disk, kill -9 at any instant loses nothing acknowledged, the same
webhook-id over all attempts, bytes as they came. Promise 7 under kills: no change twice, none missed.

Each round sends under load and kills the gateway at a random instant of receiving and delivering; the data go on from
round to round. At the end every acknowledged event must have arrived, with the id it was acknowledged with. On
PostgreSQL it is the node that is killed; the server goes on. The second test runs the same check on a gateway with a
planted fault (answer before commit) and must find losses. The third kills while polls commit records and changes.
TIDEGATE_KILL_ROUNDS sets the rounds (8 here, 200 in `make proof`; half on PostgreSQL).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from support.gateway.deployment import Deployment
from support.gateway.process import SECRET, GatewayProcess, Receiver, Sender, call
from support.gateway.running import until
from support.upstream.orders import Upstream
from tidegate.core.clock import rfc3339

ROUNDS = int(os.environ.get("TIDEGATE_KILL_ROUNDS", "8"))
SENDERS = 8
SIGNING_SECRET = "whsec_" + "anVkZ2Vq" * 4


def configuration(receiver: int) -> str:
    return (
        f'[egress]\nallow = ["127.0.0.1/32"]\n'
        f'[sources.shop.webhook]\nverify = "standard-webhooks"\nsecret = "{SECRET}"\n'
        f'[destinations.crm]\nurl = "http://127.0.0.1:{receiver}/hook"\nsecret = "{SIGNING_SECRET}"\n'
        f'[routes.all]\nfrom = "shop"\nto = "crm"\n'
    )


async def one_round(gateway: GatewayProcess, name: str, chance: random.Random) -> list[Sender]:
    await gateway.start()
    senders = [Sender(gateway.port, f"{name}-{number}") for number in range(SENDERS)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(sender.run(stop)) for sender in senders]
    await asyncio.sleep(chance.uniform(0.02, 0.5))
    assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
    stop.set()
    await asyncio.gather(*tasks)
    return senders


async def rounds(deployment: Deployment, count: int, program: tuple[str, ...] = ("-m", "tidegate")) -> dict[str, Any]:
    """Run the rounds and check: how many were acknowledged, lost, changed, sent under another id."""
    chance = random.Random(20261124)
    acknowledged: dict[str, tuple[str, bytes]] = {}
    async with Receiver().open() as receiver:
        gateway = deployment.process(configuration(receiver.port), program)
        for number in range(count):
            for sender in await one_round(gateway, f"r{number}", chance):
                acknowledged.update(sender.acknowledged)
        await gateway.start()

        async def quiet() -> bool:
            counters = (await call(gateway.url, "/api/v1/stats", gateway.key))["totals"]
            assert counters["exhausted"] == counters["canceled"] == 0
            return counters["pending"] == 0

        await until(quiet, 60)
        stats = await call(gateway.url, "/api/v1/stats?window=24h", gateway.key)
        counters, measured = stats["totals"], stats["measured"]
        assert await gateway.end(signal.SIGTERM) == 0
    bodies: dict[bytes, set[str]] = {}
    for event_id, body, headers in receiver.arrived:
        Webhook(SIGNING_SECRET).verify(body, headers)
        bodies.setdefault(body, set()).add(event_id)
    return {
        "acknowledged": len(acknowledged),
        "arrived": len(bodies),
        "duplicates": len(receiver.arrived) - len(bodies),
        "lost": [name for name, (_, body) in acknowledged.items() if body not in bodies],
        "other_id": [name for name, (sent, body) in acknowledged.items() if bodies.get(body, {sent}) != {sent}],
        "counters": counters,
        "measured": (measured["sources"]["shop"]["accepted"], measured["destinations"]["crm"]["delivered"]),
    }


async def test_every_acknowledged_event_arrives_under_its_first_id_though_the_gateway_is_killed(
    deployment: Deployment,
) -> None:
    count = ROUNDS if deployment.database is None else -(-ROUNDS // 2)
    found = await rounds(deployment, count)
    print(f"{count} kills: {found}")
    assert found["acknowledged"] > count * 5
    assert found["lost"] == []
    assert found["other_id"] == []
    assert found["counters"]["accepted"] == found["counters"]["delivered"] == found["arrived"]
    assert found["measured"] == (found["arrived"], found["arrived"]), "a count was lost without its fact, or twice"


async def test_the_check_finds_what_an_answer_before_the_commit_loses(deployment: Deployment) -> None:
    planted = str(Path(__file__).with_name("planted_ack_before_commit.py"))
    found = await rounds(deployment, 4, (planted,))
    assert found["lost"]


def polled(shop: str, receiver: int) -> str:
    return f"""
[egress]
allow = ["127.0.0.1/32"]
[sources.shop.api]
base_url = "{shop}"
[sources.shop.resources.orders]
path = "/orders"
item_path = "/orders/{{id}}"
data_selector = "orders"
version = "updated_at"
paginator = {{ type = "header_link" }}
incremental = {{ cursor_path = "updated_at", param = "updated_since", lag = "60s" }}
initial = "events"
poll = "5m"
deletes = {{ mode = "scan", every = "3s", confirm = "get", max_ratio = 1.0 }}
[destinations.crm]
url = "http://127.0.0.1:{receiver}/hook"
secret = "{SIGNING_SECRET}"
[routes.all]
from = "shop"
to = "crm"
changes = ["orders"]
"""


async def change_for_ever(shop: Upstream, chance: random.Random, stop: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        key = str(chance.randrange(40))
        if chance.random() < 0.1 and key in shop.items:
            shop.remove(key)
        else:
            shop.put(key, n=number)
        await asyncio.sleep(0.002)


async def poll_until_killed(gateway: GatewayProcess, ended: list[int]) -> None:
    """Adds to `ended` what each poll found."""
    while True:
        try:
            poll = await call(gateway.url, "/api/v1/sources/shop/resources/orders/poll", gateway.key, "POST")
            ended.append(poll["records_seen"])
        except (OSError, IndexError, ValueError, asyncio.IncompleteReadError):
            return


async def check_counts(gateway: GatewayProcess) -> None:
    """The counts by minute and those for life are of the same commits."""
    stats = await call(gateway.url, "/api/v1/stats?window=24h", gateway.key)
    figures, measured = stats["resources"]["shop/orders"], stats["measured"]["resources"]["shop/orders"]
    polls = measured["polls"]["finished"] + measured["polls"]["failed"]
    counted = (measured["changes"], polls, measured["requests"]["total"])
    assert counted == (figures["changes"], figures["polls"], figures["requests"])


async def polled_rounds(
    deployment: Deployment, count: int
) -> tuple[list[dict[str, Any]], dict[str, Any], Upstream, Receiver]:
    """Kill in the middle of polls of a source that always changes: (changes in order, records, source, receiver)."""
    chance = random.Random(7)
    async with Upstream(page_size=15) as shop, Receiver().open() as receiver:
        gateway = deployment.process(polled(shop.url, receiver.port))
        for _ in range(count):
            await gateway.start()
            stop = asyncio.Event()
            ended: list[int] = []
            tasks = [
                asyncio.create_task(change_for_ever(shop, chance, stop)),
                asyncio.create_task(poll_until_killed(gateway, ended)),
            ]
            await until(lambda ended=ended: sum(ended) >= 40, 60)  # on a slow machine too there is something to lose
            await asyncio.sleep(chance.uniform(0.02, 0.4))
            await gateway.end(signal.SIGKILL)
            stop.set()
            await asyncio.gather(*tasks)
        await gateway.start()
        shop.second += 120
        end = rfc3339(time.time_ns() // 1000) or ""

        async def scanned() -> bool:
            """A scan is due 3 s after the one before, whenever that was: poll until one has seen the end."""
            await call(gateway.url, "/api/v1/sources/shop/resources/orders/poll", gateway.key, "POST")
            await asyncio.sleep(0.2)
            figures = (await call(gateway.url, "/api/v1/stats", gateway.key))["resources"]["shop/orders"]
            return (figures["scanned_at"] or "") > end

        await until(scanned, 60)

        async def quiet() -> bool:
            return (await call(gateway.url, "/api/v1/stats", gateway.key))["totals"]["pending"] == 0

        await until(quiet, 60)
        await check_counts(gateway)
        changes: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await call(gateway.url, f"/api/v1/events?order=asc&limit=500{cursor}", gateway.key)
            changes += page["data"]
            if not page["data"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        page = await call(gateway.url, "/api/v1/records/shop/orders?limit=500", gateway.key)
        assert await gateway.end(signal.SIGTERM) == 0
        return changes, {one["key"]: one["data"] for one in page["data"]}, shop, receiver


async def test_kills_while_polls_commit_miss_no_change_and_make_none_twice(deployment: Deployment) -> None:
    changes, records, shop, receiver = await polled_rounds(deployment, max(4, ROUNDS // 3))
    assert records == shop.items
    by_key: dict[str, list[dict[str, Any]]] = {}
    for event in changes:
        by_key.setdefault(event["key"], []).append(event)
    for key, events in by_key.items():
        assert [event["change"]["number"] for event in events] == list(range(1, len(events) + 1)), key
        versions = [event["change"]["version"] for event in events if not event["type"].endswith("deleted")]
        assert versions == sorted(set(versions)), key
        alive = False
        for event in events:
            kind = event["type"].partition(".")[2]
            assert alive == (kind != "created"), key
            alive = kind != "deleted"
        assert alive == (key in shop.items)
    assert len(changes) > 100
    assert {event["id"] for event in changes} == {id_ for id_, _, _ in receiver.arrived}
