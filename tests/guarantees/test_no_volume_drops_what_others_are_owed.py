"""A flood of one source never ends a delivery of another: settled events go first, then the flood is refused."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from support.gateway.deployment import Deployment
from support.gateway.running import until
from support.receiver.scripted import ScriptedServer, answer

OKAY = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
TOML = """
[retention]
size = "16MiB"
backlog = "2MiB"
[sources.payments.publish]
[sources.flood.webhook]
verify = "none"
[destinations.ledger]
url = "http://127.0.0.1:PORT/ledger"
[destinations.other]
url = "http://127.0.0.1:PORT/other"
[destinations.stuck]
url = "http://127.0.0.1:PORT/stuck"
[routes.payments]
from = "payments"
to = "ledger"
[routes.flood]
from = "flood"
to = "WANTED"
"""
TOML_POLL = """
[sources.shop.api]
base_url = "http://127.0.0.1:PORT"
[sources.shop.resources.orders]
path = "/orders"
primary_key = "id"
poll = "1s"
"""
EVENT = 400_000


def toml(server: ScriptedServer, wanted: str) -> str:
    return TOML.replace("PORT", str(server.port)).replace("WANTED", wanted)


async def flood(gate, count: int, seed: int = 0) -> list[int]:
    """Statuses of `count` events that anybody can send."""
    statuses = []
    for number in range(count):
        body = json.dumps({"type": "t", "x": random.Random(seed + number).randbytes(EVENT // 2).hex()}).encode()
        statuses.append((await gate.api("POST", "/in/flood", body)).status)
    return statuses


async def _fits(gate, embedded: bool) -> bool:
    """Whether the log is within its size after one more run. A database server gives space back later."""
    store = gate.gateway.store
    await gate.gateway.maintenance.run_once()
    weighed = sum((await store.log.weigh(0, 1000)).weights.values())
    return weighed <= 16 << 20 and (not embedded or (await store.facts()).used_bytes <= 16 << 20)


async def test_a_paused_destination_keeps_its_payment_while_a_flood_of_settled_events_is_deleted(
    deployment: Deployment,
) -> None:
    async with (
        ScriptedServer(OKAY) as server,
        deployment.served(TOML.replace("PORT", str(server.port)).replace("WANTED", "other")) as gate,
    ):
        await gate.gateway.editor.pause("ledger")
        paid = (await gate.api.post("/events", {"source": "payments", "type": "paid", "data": 1}))["id"]
        for round_ in range(3):
            assert set(await flood(gate, 30, 100 * round_)) == {202}
            await until(lambda: len(server.requests) == 30 * (round_ + 1))  # noqa: B023
            await gate.gateway.deliver.settler.flush()
            await until(lambda: _fits(gate, deployment.database is None), 20)
        assert not gate.gateway.maintenance.over_share
        assert (await gate.api.get(f"/events/{paid}"))["type"] == "paid"
        (delivery,) = (await gate.api.get(f"/deliveries?event={paid}"))["data"]
        assert delivery["state"] == "pending"
        await gate.gateway.editor.resume("ledger")
        await until(lambda: any("/ledger" in one.line for one in server.requests))


async def test_a_flood_that_is_owed_itself_is_refused_and_nobody_else_is(deployment: Deployment) -> None:
    async with (
        ScriptedServer(OKAY) as server,
        deployment.served(TOML.replace("PORT", str(server.port)).replace("WANTED", "stuck")) as gate,
    ):
        for name in ("ledger", "stuck"):
            await gate.gateway.editor.pause(name)
        paid = (await gate.api.post("/events", {"source": "payments", "type": "paid", "data": 1}))["id"]
        assert set(await flood(gate, 50)) == {202}
        assert await gate.gateway.maintenance.run_once() == 0, "all of it is owed"
        assert gate.gateway.maintenance.over_share == {"flood"}
        assert await flood(gate, 2) == [429, 429]
        refused = await gate.api("POST", "/in/flood", b"{}")
        assert refused.json()["code"] == "source_over_share" and refused.headers["retry-after"] == "60"
        await gate.api.post("/events", {"source": "payments", "type": "paid", "data": 2})
        found = {(one.code, one.subject) for one in gate.gateway.findings.listed()}
        assert {("source_over_share", "source:flood"), ("destination_owed_much", "destination:stuck")} <= found
        (delivery,) = (await gate.api.get(f"/deliveries?event={paid}"))["data"]
        assert delivery["state"] == "pending"
        counted = (await gate.api.get("/stats"))["destinations"]
        assert all(one["exhausted"] == 0 for one in counted.values())
        # Once somebody takes them, the flood is accepted again.
        await gate.gateway.editor.resume("stuck")
        await until(lambda: sum("/stuck" in one.line for one in server.requests) == 50)
        await gate.gateway.deliver.settler.flush()
        assert await gate.gateway.maintenance.run_once() > 0
        assert not gate.gateway.maintenance.over_share
        left = {one.code for one in gate.gateway.findings.listed()}
        assert not {"source_over_share", "destination_owed_much"} & left
        assert await flood(gate, 1) == [202]


async def test_one_paused_destination_does_not_stop_the_healthy_ones_of_its_source(deployment: Deployment) -> None:
    """What the paused one is owed is kept apart, in a size of its own; only when that is full the source is refused."""
    async with ScriptedServer(OKAY) as server:
        text = toml(server, "other").replace('to = "other"', 'to = ["other", "stuck"]').replace("2MiB", "32MiB")
        async with deployment.served(text) as gate:
            maintenance, findings = gate.gateway.maintenance, gate.gateway.findings
            await gate.gateway.editor.pause("stuck")
            for count in (50, 70):  # 20 and 28 MB of bodies, with a size of 16 MiB and a backlog of 32
                sent = count if count == 50 else 20
                assert set(await flood(gate, sent, count)) == {202}
                await until(lambda: len(server.requests) == count)  # noqa: B023
                await gate.gateway.deliver.settler.flush()
                await maintenance.run_once()
                assert not maintenance.over_share
            held = [one.subject for one in findings.listed() if one.code == "destination_owed_much"]
            assert held == ["destination:stuck"]
            listed = await gate.gateway.store.log.scan(0, 1 << 60, 1000)
            assert len(listed) == 70, "what it is owed stays"
            assert set(await flood(gate, 25, 500)) == {202}
            await until(lambda: len(server.requests) == 95)
            await gate.gateway.deliver.settler.flush()
            await maintenance.run_once()
            assert maintenance.over_share == {"flood"}, "the size and the backlog are full"
            assert await flood(gate, 1) == [429]
            await gate.gateway.editor.resume("stuck")
            await until(lambda: sum("/stuck" in one.line for one in server.requests) == 95)
            await gate.gateway.deliver.settler.flush()
            await maintenance.run_once()
            assert not maintenance.over_share
            assert "destination_owed_much" not in {one.code for one in findings.listed()}


async def test_a_flood_is_noticed_before_the_minute_is_over(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.retention.engine.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tidegate.retention.engine.EVERY_SECONDS", 600.0)
    async with ScriptedServer(OKAY) as server, deployment.served(toml(server, "stuck")) as gate:
        await gate.gateway.editor.pause("stuck")
        assert set(await flood(gate, 50)) <= {202, 429}
        await until(lambda: gate.gateway.maintenance.over_share == {"flood"})


async def test_a_source_over_its_share_is_not_polled_until_there_is_space(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.pull.resource.OVER_SHARE_SECONDS", 0.05)
    monkeypatch.setattr("tidegate.retention.engine.LOOK_SECONDS", 600.0)
    page = answer(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]")
    async with ScriptedServer(page) as server, deployment.served(TOML_POLL.replace("PORT", str(server.port))) as gate:
        await until(lambda: len(server.requests) > 0)
        gate.gateway.maintenance.over_share = frozenset({"shop"})
        await until(lambda: "polls_over_share" in {one.code for one in gate.gateway.findings.listed()})
        count = len(server.requests)
        await asyncio.sleep(1.5)
        assert len(server.requests) == count
        gate.gateway.maintenance.over_share = frozenset()
        await until(lambda: len(server.requests) > count)
        assert "polls_over_share" not in {one.code for one in gate.gateway.findings.listed()}
