"""The engine of system events on real stores: it reports once, is durable, and never reports its own deliveries."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.gateway.alerting import data, settled, step, system_events, types
from support.gateway.deployment import DEPLOYMENTS, Deployment
from support.gateway.process import Receiver, free_port
from support.gateway.running import publish
from tidegate.core import ids
from tidegate.core.clock import ManualClock
from tidegate.core.errors import TidegateError
from tidegate.process.gateway import Gateway
from tidegate.query import explain
from tidegate.vault import KEY_FILE

SECRET = 'secret = "whsec_' + "A" * 32 + '"\n'


@pytest.fixture(params=["sqlite", "postgres"])
def deployed(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    return DEPLOYMENTS[request.param](tmp_path)


def toml(dead: int, ops: int, *, alerts: str = "", also: str = "") -> str:
    """`shop` goes to `crm`, which is dead, and system events go to `ops`."""
    return f"""
[alerts]
{alerts}
[sources.shop.publish]
[destinations.crm]
url = "http://127.0.0.1:{dead}/crm"
retry = ["1m", "1m"]
give_up_after = "2h"
{SECRET}
[destinations.ops]
url = "http://127.0.0.1:{ops}/ops"
retry = ["1m", "5m"]
give_up_after = "2h"
{SECRET}
[routes.events]
from = "shop"
to = "crm"
[routes.alerts]
from = "tidegate"
to = ["ops"{also}]
"""


async def fail(gateway: Gateway, count: int = 12) -> None:
    """Events for a dead destination, until its circuit is open."""
    for _ in range(count):
        await publish(gateway)
    for _ in range(4):
        await step(gateway, 70)
        if await types(gateway):
            return


async def test_a_failing_destination_is_reported_to_another_one_with_evidence(deployed: Deployment) -> None:
    async with Receiver().open() as ops, deployed.running(toml(free_port(), ops.port), ManualClock()) as gateway:
        await fail(gateway)
        await step(gateway, 15)
        assert await types(gateway) == ["destination.failing"]
        (event,) = await system_events(gateway)
        assert data(event)["evidence"]["pending"] == 12
        assert event.key == "destination:crm"
        assert len(ops.arrived) == 1
        assert b"destination.failing" in ops.arrived[0][1]


async def test_a_restart_neither_repeats_nor_forgets(deployed: Deployment) -> None:
    clock = ManualClock()
    async with Receiver().open() as ops:
        config = toml(free_port(), ops.port)
        async with deployed.running(config, clock) as gateway:
            await fail(gateway)
        for _ in range(2):
            async with deployed.running(config, clock) as gateway:
                for _ in range(4):
                    await step(gateway, 20)
                assert await types(gateway) == ["destination.failing"]
        async with Receiver().open() as crm:
            repaired = toml(crm.port, ops.port)
            async with deployed.running(repaired, clock) as gateway:
                for _ in range(8):
                    await step(gateway, 70)
                assert Counter(await types(gateway)) == {"destination.failing": 1, "destination.recovered": 1}
                assert len(ops.arrived) == 2


@pytest.mark.parametrize("where", ["before the append", "after the append"])
async def test_a_round_that_is_cut_off_is_ended_by_the_next_one_without_a_second_event(
    deployed: Deployment, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    config = toml(free_port(), free_port())
    async with deployed.running(config, clock) as gateway:
        real = gateway.store.log.append

        async def cut(events: Any, strict: bool = False) -> Any:
            if events[0].source == "tidegate":
                if where == "after the append":
                    await real(events, strict)
                raise TidegateError("cut off")
            return await real(events, strict)

        monkeypatch.setattr(gateway.store.log, "append", cut)
        with pytest.raises(TidegateError, match="cut off"):
            await fail(gateway)
        monkeypatch.undo()
    async with deployed.running(config, clock) as gateway:
        assert await step(gateway, 15) == 1
        assert await step(gateway, 15) == 0
        assert await types(gateway) == ["destination.failing"]


async def test_an_event_that_was_decided_is_appended_although_its_cause_ended_before_the_restart(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, config = ManualClock(), toml(free_port(), free_port())
    async with deployed.running(config, clock) as gateway:
        await step(gateway, 15)
        await gateway.editor.pause("crm")

        async def cut(*_: Any) -> Any:
            raise TidegateError("cut off")

        monkeypatch.setattr(gateway.store.log, "append", cut)
        with pytest.raises(TidegateError, match="cut off"):
            await step(gateway, 15)
        monkeypatch.undo()
        await gateway.editor.resume("crm")
    async with deployed.running(config, clock) as gateway:
        assert await step(gateway, 15) == 2
        assert await types(gateway) == ["destination.paused", "destination.resumed"]


async def test_an_alert_about_a_destination_of_alerts_goes_to_the_others_only(deployed: Deployment) -> None:
    async with (
        Receiver().open() as ops,
        deployed.running(toml(free_port(), ops.port, also=', "crm"'), ManualClock()) as gateway,
    ):
        await fail(gateway)
        (event,) = await system_events(gateway)
        audience = gateway.store.log.audiences()[event.audience]
        assert [number for number, _ in audience.wanted] == [gateway.active.destinations["ops"].number]
        explained = await explain.explain(gateway, ids.event_id(gateway.store.log.instance, event.offset))
        decision = next(one for one in explained.routes if one.route == "alerts")
        assert decision.destinations == ["ops"]
        assert "crm gets no alert about itself" in decision.reason


async def test_a_dead_destination_of_alerts_makes_no_events_for_a_day(deployed: Deployment) -> None:
    """Everything is dead: the destination of events and both destinations of alerts, which also get events."""
    config = toml(free_port(), free_port(), also=', "crm"') + '[routes.more]\nfrom = "shop"\nto = "ops"\n'
    async with deployed.running(config, ManualClock()) as gateway:
        for _ in range(12):
            await publish(gateway)
        for _ in range(24 * 6):
            await gateway.deliver.give_up()
            await step(gateway, 600)
        found = Counter((event.type, data(event)["state"], event.key) for event in await system_events(gateway))
        # The users' events: failing once and repeated after a day at most, and their dead letters once.
        for destination in ("destination:crm", "destination:ops"):
            assert found[("destination.failing", "firing", destination)] <= 1
            assert found[("delivery.exhausted", "firing", destination)] == 1
        assert sum(found.values()) <= 8, found
        exhausted = [event for event in await system_events(gateway) if event.type == "delivery.exhausted"]
        assert {data(event)["count"] for event in exhausted} == {12}, "dead letters of alerts are not counted"


async def test_a_destination_that_only_gets_alerts_makes_no_events_when_it_is_dead(deployed: Deployment) -> None:
    async with Receiver().open() as crm, deployed.running(toml(crm.port, free_port()), ManualClock()) as gateway:
        for turn in range(40):  # forty pauses and their ends, which nobody can deliver
            await (gateway.editor.resume if turn % 2 else gateway.editor.pause)("crm")
            await step(gateway, 3600)
        for _ in range(24):
            await step(gateway, 3600)
        assert set(await types(gateway)) == {"destination.paused", "destination.resumed"}
        assert len(await types(gateway)) == 40
        health = gateway.deliver.health(gateway.active.destinations["ops"].number)
        assert health.failing or health.last_error, "doctor shows its failure"


async def test_dead_letters_name_some_of_their_events(deployed: Deployment) -> None:
    async with Receiver().open() as ops, deployed.running(toml(free_port(), ops.port), ManualClock()) as gateway:
        await gateway.alerts.run_once()  # the watch begins
        offset = await publish(gateway)
        for _ in range(6):
            await step(gateway, 120)
        event = next(one for one in await system_events(gateway) if one.type == "delivery.exhausted")
        (sample,) = data(event)["evidence"]["samples"]
        assert sample["event"] == ids.event_id(gateway.store.log.instance, offset)
        assert sample["cause"] == "connection refused"


async def test_star_routes_feeds_and_the_stream_leave_system_events_out(deployed: Deployment) -> None:
    from tidegate.query import feeds
    from tidegate.query.events import EventFilter

    config = (
        toml(free_port(), free_port())
        + '[destinations.all]\nurl = "http://127.0.0.1:9/"\n[routes.star]\nfrom = "*"\nto = "all"\n'
    )
    async with deployed.running(config, ManualClock()) as gateway:
        await fail(gateway)
        event = (await system_events(gateway))[0]
        number = gateway.active.destinations["all"].number
        audience = gateway.store.log.audiences()[event.audience]
        assert number not in dict(audience.wanted)
        assert number not in audience.filtered
        left = EventFilter(consumer=True)
        named = EventFilter(consumer=True, source="tidegate")
        assert not left.matches(event)
        assert named.matches(event)
        shown = await feeds.read(gateway, "one", limit=100, wanted=left)
        assert {one.source for one in shown.data} == {"shop"}
        assert [one.type for one in (await feeds.read(gateway, "two", limit=100, wanted=named)).data] == [
            "destination.failing",
            "destination.failing",
        ]


async def test_alerts_that_are_off_make_no_events(deployed: Deployment) -> None:
    config = toml(free_port(), free_port(), alerts="enabled = false")
    async with deployed.running(config, ManualClock()) as gateway:
        await fail(gateway, 12)
        assert await types(gateway) == []


async def test_findings_of_another_part_are_watched(deployed: Deployment) -> None:
    from tidegate.core.findings import Finding, finding

    async with deployed.running(toml(free_port(), free_port()), ManualClock()) as gateway:
        dead = [finding("credential_dead", "credential:hubspot", "The refresh token was revoked.")]

        async def credentials() -> list[Finding]:
            return dead

        gateway.alerts.watch(credentials)
        await step(gateway, 15)
        dead.clear()
        await step(gateway, 15)
        assert await types(gateway) == ["credential.dead", "credential.recovered"]


async def test_of_two_nodes_one_reports_and_the_other_goes_on_when_it_stops(tmp_path: Path) -> None:
    from support.postgres.server import server

    database, clock = server().new_database(), ManualClock()
    config = toml(free_port(), free_port())
    one, two = (Deployment(tmp_path / name, database) for name in ("one", "two"))
    async with one.running(config, clock) as first:
        await first.alerts.run_once()
        two.data.mkdir(parents=True)
        shutil.copy(one.data / KEY_FILE, two.data / KEY_FILE)
        async with two.running(config, clock) as second:
            for _ in range(200):
                if first.alerts._held != second.alerts._held and second.store.leases.held:
                    break
                await asyncio.sleep(0.05)
            assert first.alerts._held != second.alerts._held
            for _ in range(12):
                await publish(first)
            for _ in range(4):
                for gateway in (first, second):
                    await settled(gateway)
                await asyncio.sleep(1.2)  # nodes publish the health of their senders once a second
                clock.advance(70)
                for gateway in (first, second):
                    for sender in list(gateway.deliver.senders.values()):
                        sender.pump()
                    await settled(gateway)
                await asyncio.gather(first.alerts.run_once(), second.alerts.run_once())
            assert Counter(await types(first)) == {"node.joined": 1, "destination.failing": 1}
        for _ in range(100):
            if len(first.store.leases.held) == 64:
                break
            await asyncio.sleep(0.05)
        await step(first, 15)
        assert Counter(await types(first)) == {"node.joined": 1, "destination.failing": 1, "node.left": 1}


async def test_a_dead_credential_is_reported_by_the_store_whatever_node_noticed_it(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the node that refreshes has a finding in its memory."""
    from tidegate.query import credentials
    from tidegate.query.credentials import CredentialSchema

    dead = CredentialSchema(
        "hubspot", "credential", "oauth2_refresh_token", "dead", message="It was revoked.", next="x"
    )

    async def listed(_: Any) -> list[CredentialSchema]:
        return [dead]

    monkeypatch.setattr(credentials, "list_credentials", listed)
    async with deployed.running(toml(free_port(), free_port()), ManualClock()) as gateway:
        await step(gateway, 15)
        dead.state = "ready"
        await step(gateway, 15)
        events = await system_events(gateway)
        assert [(event.type, event.key) for event in events] == [
            ("credential.dead", "credential:hubspot"),
            ("credential.recovered", "credential:hubspot"),
        ]


async def test_the_engine_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.alerts.engine.EVERY_SECONDS", 0.05)
    async with Deployment(tmp_path).running(toml(free_port(), free_port())) as gateway:
        await gateway.editor.pause("crm")
        for _ in range(100):
            if await types(gateway):
                break
            await asyncio.sleep(0.05)
        assert await types(gateway) == ["destination.paused"]


async def test_a_failing_round_does_not_end_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.alerts.engine.EVERY_SECONDS", 0.05)
    async with Deployment(tmp_path).running(toml(free_port(), free_port())) as gateway:
        real, calls = gateway.store.facts, []

        async def facts() -> Any:
            calls.append(1)
            if len(calls) < 3:
                raise ValueError("broken once" if len(calls) == 1 else "broken twice")
            return await real()

        monkeypatch.setattr(gateway.store, "facts", facts)
        await gateway.editor.pause("crm")
        for _ in range(100):
            if await types(gateway):
                break
            await asyncio.sleep(0.05)
        assert await types(gateway) == ["destination.paused"]
