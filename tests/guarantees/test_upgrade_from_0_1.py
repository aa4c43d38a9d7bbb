"""Promise 10 for the upgrade from 0.1: a store that the real 0.1 wrote opens, shows the same under the new names, and
continues from where it was. Nodes of both releases cannot run on one store.

The stores are in `tests/data/upgrade/0.1`; its README says how they were made. They were killed with two replays under
way. Clocks of these tests begin when that was, so that sessions and retries are as old as they were then.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from support.gateway.api import Api
from support.gateway.running import until
from support.postgres.server import contents, server
from support.upgrade.checks import (
    DAY_US,
    MINUTE_US,
    RELEASE,
    Installation,
    check_callers,
    check_counters,
    check_deliveries,
    check_events,
    check_resources,
    check_the_rest,
    everything,
    replays_done,
    settled,
)
from support.upgrade.data import configuration
from support.upgrade.outside import Outside, outside_systems
from tidegate.core.clock import Clock
from tidegate.core.errors import StoreBroken
from tidegate.store.migrate_store import move
from tidegate.store.sql import migrations

STEPS = 2  # schema steps that 0.1 knows
EARLIER = str(Path(__file__).with_name("planted_earlier_release.py"))


@pytest.fixture(autouse=True)
def named_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test names its store; the variable that moves other tests to PostgreSQL has no effect here."""
    monkeypatch.delenv("TIDEGATE_TEST_STORE", raising=False)


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    return Installation(tmp_path, request.param)


async def test_a_store_of_0_1_shows_the_same_under_the_new_names(installation: Installation) -> None:
    await installation.restore()
    seen = installation.seen
    assert await installation.version() == (STEPS, STEPS)
    async with outside_systems(healthy=True) as outside:
        outside.source.as_left()
        async with installation.served(outside) as gateway:
            await replays_done(gateway.api)
            await settled(gateway.api, "crm")
            await check_events(gateway.api, seen)
            await check_deliveries(gateway.api, seen)
            await check_counters(gateway.api, seen)
            await check_resources(gateway.api, seen)
            await check_the_rest(gateway.api, seen)
            await check_callers(gateway, seen)
            prices = await gateway.gateway.store.records.state("shop", "prices")
            assert prices.etag == outside.source.etag("/prices")
        async with installation.served(outside, 2 * MINUTE_US) as gateway:  # and once more, now without a migration
            await check_events(gateway.api, seen)
            await check_counters(gateway.api, seen)
    version, oldest_reader = await installation.version()
    assert version == migrations(installation.store)[-1][0]
    assert oldest_reader > STEPS


# -- what continues ----------------------------------------------------------------------------------------


async def deliver_what_is_pending(api: Api, outside: Outside, seen: dict[str, Any]) -> None:
    """A day later the retries are due; what is paused, blocked by its key or exhausted follows when it may."""
    await settled(api, "down", "ledger", "dead")
    for name in ("held", "gone"):
        assert (await api("POST", f"/api/v1/destinations/{name}/resume")).status == 200
    await settled(api, "held", "gone")
    for row in seen["deliveries"]:
        event, destination, state = row[:3]
        if destination in ("ledger", "held", "gone") and state == "pending":
            assert event in outside.receivers.ids(f"/{destination}"), row
        if state in ("cancelled", "exhausted") and destination in ("held", "dead", "old", "partner"):
            assert event not in outside.receivers.ids(f"/{destination}"), row
    bodies = [json.loads(request.body)["data"] for path, request in outside.receivers.arrived if path == "/ledger"]
    numbers = [body["n"] for body in bodies if body["n"] < 4]
    assert numbers == [1, 2, 3], "the key's order"
    exhausted = (await api.get("/deliveries?destination=partner&state=exhausted"))["data"]
    await api.post(f"/deliveries/{exhausted[0]['id']}/retry")
    await until(lambda: exhausted[0]["event"] in outside.receivers.ids("/partner"))


async def deliver_with_both_secrets(api: Api, outside: Outside, seen: dict[str, Any]) -> None:
    """A destination of the API keeps its backlog and its secrets, the one before the rotation too, at a new address."""
    url = outside.addresses["@FAR@"] + "/billing"
    assert (await api("PUT", "/api/v1/destinations/billing", {"url": url, "retry": ["1d"]})).status == 200
    for one in (await api.get("/deliveries?destination=billing&state=pending"))["data"]:
        await api.post(f"/deliveries/{one['id']}/retry")
    await settled(api, "billing")
    owed = [row[0] for row in seen["deliveries"] if row[1] == "billing"]
    assert sorted(outside.receivers.ids("/billing")) == sorted(owed) != []
    request = next(request for path, request in outside.receivers.arrived if path == "/billing")
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    secrets = seen["secrets"]["billing"]
    assert len(secrets["older"]) == 1
    assert request.headers["webhook-signature"].split(" ") == [
        "v1," + base64.b64encode(hmac.digest(base64.b64decode(one[len("whsec_") :]), signed, hashlib.sha256)).decode()
        for one in (secrets["secret"], *secrets["older"])
    ]


async def poll(api: Api, name: str) -> Any:
    report = await api.post(f"/sources/shop/resources/{name}/poll")
    assert not report["error"], report
    return report


async def continue_polling(api: Api, outside: Outside, seen: dict[str, Any]) -> None:
    """From the cursor that was kept; records count on; the order that waited is fetched."""
    source = outside.source
    source.customers["c6"] = {"id": "c6", "name": "New", "updated_at": "2026-11-23T08:00:00Z"}
    source.customers["c1"] |= {"name": "Ann C", "updated_at": "2026-11-23T09:00:00Z"}
    report = await poll(api, "customers")
    assert "/customers?since=2026-11-21T08:00:00Z" in [
        one.line.split(" ")[1].replace("%3A", ":") for one in source.requests
    ]
    assert (report["records_seen"], report["created"], report["updated"], report["deleted"]) == (2, 1, 1, 0)
    number = next(one["number"] for one in seen["records"]["customers"] if one["key"] == "c1")
    assert (await api.get("/records/shop/customers/c1"))["number"] == number + 1
    report = await poll(api, "prices")
    assert (report["records_seen"], report["created"], report["updated"], report["deleted"]) == (1, 0, 0, 0)
    assert (await api.get("/stats"))["resources"]["shop/prices"]["failing_since"] is None
    source.broken.clear()

    async def fetched() -> bool:
        return bool((await api.get("/stats"))["resources"]["shop/orders"]["waiting_for_fetch"] == 0)

    await until(fetched, 90)


async def scan_again(api: Api) -> None:
    """A record that one scan of 0.1 missed is deleted by the next scan, one that was deleted stays so."""
    report = await poll(api, "customers")
    assert report["deleted"] == 1
    records = {one["key"]: one for one in await everything(api, "/records/shop/customers?deleted=true")}
    assert {key for key, one in records.items() if one["deleted"]} == {"c4", "c5"}


async def test_a_store_of_0_1_continues_from_where_it_was(installation: Installation) -> None:
    await installation.restore()
    seen = installation.seen
    async with outside_systems(healthy=True) as outside:
        outside.source.as_left()
        async with installation.served(outside) as gateway:
            await deliver_with_both_secrets(gateway.api, outside, seen)
        async with installation.served(outside, 2 * DAY_US) as gateway:
            await deliver_what_is_pending(gateway.api, outside, seen)
            await continue_polling(gateway.api, outside, seen)
        async with installation.served(outside, 3 * DAY_US, **{"@SCAN@": "10s"}) as gateway:
            await scan_again(gateway.api)
            await settled(gateway.api, "leaver")
            owed = [row[0] for row in seen["deliveries"] if row[1] == "leaver"]
            assert sorted(outside.receivers.ids("/leaver")) == sorted(owed) != []
            offset = (await gateway.api.get("/stats"))["at_offset"]
            made = await gateway.api.post("/events", {"source": "app", "type": "invoice.paid", "data": {"n": 9}})
            assert (await gateway.api.get(f"/events/{made['id']}"))["offset"] > offset
            await settled(gateway.api, *(await gateway.api.get("/stats"))["destinations"])
            totals = (await gateway.api.get("/stats"))["totals"]
            assert totals["pending"] == 0
            assert totals["canceled"] == seen["stats"]["totals"]["cancelled"] - 1


async def test_a_store_of_0_1_moves_to_postgresql_once_this_release_has_opened_it(tmp_path: Path) -> None:
    installation = Installation(tmp_path, "sqlite")
    await installation.restore()
    database = server().new_database(migrated=False)

    async def move_it() -> Any:
        return await move(installation.deployment.data, database, lambda *_: None, Clock())

    with pytest.raises(StoreBroken) as refused:
        await move_it()
    assert refused.value.code == "schema_too_old"
    async with outside_systems(healthy=True) as outside:
        outside.source.as_left()
        async with installation.served(outside) as gateway:
            await replays_done(gateway.api)
            await settled(gateway.api, "crm")
        await move_it()
        installation.deployment.database = database
        async with installation.served(outside, 2 * MINUTE_US) as gateway:
            await check_events(gateway.api, installation.seen)
            await check_deliveries(gateway.api, installation.seen)
            await check_counters(gateway.api, installation.seen)
            await check_resources(gateway.api, installation.seen)
            await check_callers(gateway, installation.seen)


# -- both releases at once -------------------------------------------------------------------------------


async def refused(installation: Installation, outside: Outside, *program: str) -> str:
    """What a program says that does not start on the store."""
    toml = configuration(RELEASE, outside)
    node = installation.deployment.process(toml, program, {"TIDEGATE_STEPS": str(STEPS)})
    with pytest.raises(AssertionError) as said:
        await node.start()
    return str(said.value)


async def test_a_release_with_the_schema_of_0_1_refuses_the_upgraded_store(installation: Installation) -> None:
    await installation.restore()
    async with outside_systems(healthy=True) as outside:
        async with installation.served(outside):
            pass
        assert (await installation.version())[1] > STEPS
        assert "schema_newer" in await refused(installation, outside, EARLIER)


async def test_this_release_does_not_upgrade_a_database_beside_a_running_node_of_0_1(tmp_path: Path) -> None:
    installation = Installation(tmp_path, "postgres")
    database = installation.deployment.database
    assert database is not None

    async def lease_of_the_old_node(until: str) -> None:
        connection = await asyncpg.connect(database)
        try:
            assert await connection.execute(f"UPDATE tidegate.nodes SET lease_expires_at = {until}") == "UPDATE 1"
        finally:
            await connection.close()

    await installation.restore()
    await lease_of_the_old_node("clock_timestamp() + interval '1 hour'")
    before = await contents(database)
    async with outside_systems(healthy=True) as outside:
        assert "older_nodes_run" in await refused(installation, outside, "-m", "tidegate")
        assert await contents(database) == before
        await lease_of_the_old_node("clock_timestamp()")
        async with installation.served(outside) as gateway:
            await replays_done(gateway.api)
        assert (await installation.version())[0] > STEPS
