"""Promise 10 for the upgrade from 0.1: a store that the real 0.1 wrote opens, shows the same under the new names, and
goes on from where it was. Nodes of both releases cannot run on one store.

The stores are in `tests/data/upgrade/0.1`; its README says how they were made. They were killed with two replays under
way. Clocks of these tests begin when that was, so that sessions and retries are as old as they were then.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from support.gateway import Api, Served
from support.homes import Home
from support.postgres import contents, server
from support.running import ALLOW, run, until
from support.upgrade_data import (
    DELIVERY,
    EVENT,
    LAST,
    ClockOf,
    configuration,
    digest,
    expected,
    restore_postgres,
    restore_sqlite,
)
from support.upgrade_far import Far, far_sides
from tidegate.store.sql import migrations

RELEASE = "0.1"
STEPS = 2  # schema steps that 0.1 knows
MINUTE_US, DAY_US = 60 * 1_000_000, 86_400 * 1_000_000
STATES = {"cancelled": "canceled"}
FIGURES = {"braked_scans": "scans_stopped_by_ratio"}  # of a resource
EARLIER = str(Path(__file__).with_name("planted_earlier_release.py"))
# Counters of `orders` that move while an order cannot be fetched, which 0.1 left so.
FETCHING = {"requests", "bytes", "requests_per_change", "fetch_backs", "errors", "last_error", "last_error_at"}


class Installation:
    """One restored store. `seen` is what 0.1 showed of it."""

    def __init__(self, folder: Path, store: str) -> None:
        self.home = Home(folder, server().new_database(migrated=False) if store == "postgres" else None)
        self.seen = expected(RELEASE, store)

    async def restore(self) -> None:
        if self.home.database is None:
            restore_sqlite(RELEASE, self.home.data)
        else:
            await restore_postgres(RELEASE, self.home.database, self.home.data)

    @contextlib.asynccontextmanager
    async def served(self, far: Far, later_us: int = MINUTE_US, **values: str) -> AsyncIterator[Served]:
        """This release on it, at an instant after the kill. With `values` the file has the lost destination again."""
        toml = configuration(RELEASE, far, {**LAST, **values}, leaver=bool(values)).replace(ALLOW, "")
        async with self.home.served(toml, ClockOf(self.seen["made_at_us"] + later_us)) as gateway:
            yield gateway

    async def version(self) -> tuple[int, int]:
        """The schema of the store, and the oldest one that a release must know to read it."""
        if self.home.database is None:
            found = int(apsw.Connection(str(self.home.data / "tidegate.db")).execute("PRAGMA user_version").get)
            return found, found
        connection = await asyncpg.connect(self.home.database)
        try:
            return tuple(
                await connection.fetchrow("SELECT max(version), max(oldest_reader) FROM tidegate.schema_version")
            )
        finally:
            await connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    return Installation(tmp_path, request.param)


async def everything(api: Api, path: str) -> list[Any]:
    page = await api.get(f"{path}{'&' if '?' in path else '?'}limit=500")
    found = page["data"]
    while page["next_cursor"] is not None:
        page = await api.get(f"{path}{'&' if '?' in path else '?'}limit=500&cursor={page['next_cursor']}")
        found += page["data"]
    return list(found)


async def replays_done(api: Api) -> None:
    async def done() -> bool:
        return all(one["finished_at"] for one in await everything(api, "/replays"))

    await until(done, 30)


async def settled(api: Api, *names: str) -> None:
    """Nothing is pending at these destinations."""

    async def done() -> bool:
        counters = (await api.get("/stats"))["destinations"]
        return all(counters[name]["pending"] == 0 for name in names)

    await until(done, 30)


# -- what is there ---------------------------------------------------------------------------------------


async def check_events(api: Api, seen: dict[str, Any]) -> None:
    """Every event with its bytes, headers and change as they were, and none besides."""
    rows = []
    for one in await everything(api, "/events"):
        whole = await api.get(f"/events/{one['id']}")
        raw = (await api("GET", f"/api/v1/events/{one['id']}/raw")).body
        named = [whole[name] for name in EVENT]
        rows.append([*named, digest(whole["headers"]), digest(whole["change"]), digest(raw)])
    assert rows == seen["events"]
    assert {row[EVENT.index("origin")] for row in rows} == {"webhook", "form", "publish", "poll", "reconcile", "pull"}


def replayed(seen: dict[str, Any]) -> set[tuple[str, str]]:
    """(event, destination) of the deliveries that the unfinished replays make again."""
    found = set()
    for replay in seen["unfinished"]:
        query, upto = replay["query"], replay["upto"]
        offsets = {row[0]: row[EVENT.index("offset")] for row in seen["events"]}
        for event, destination, state, *_ in seen["deliveries"]:
            if (destination, state) == (query["destination"], query["state"]) and (
                replay["position"] < offsets[event] <= upto
            ):
                found.add((event, destination))
    return found


async def check_deliveries(api: Api, seen: dict[str, Any]) -> None:
    """Each in its state with its cause, attempts and next attempt; those of the replays are delivered (again)."""
    again = replayed(seen)
    after = {}
    for one in await everything(api, "/deliveries"):
        named = [one[name] for name in DELIVERY]
        after[one["event"], one["destination"]] = [*named, [attempt["outcome"] for attempt in one["attempts"]]]
    before = {(row[0], row[1]): [*row[:2], STATES.get(row[2], row[2]), *row[3:]] for row in seen["deliveries"]}
    assert after.keys() == before.keys()
    for pair, row in before.items():
        if pair not in again:
            assert after[pair] == row
            continue
        assert after[pair][DELIVERY.index("state")] == "delivered"
        outcomes = after[pair][-1]
        assert (outcomes[: len(row[-1])], outcomes[-1]) == (row[-1], "ok")
        assert len(outcomes) > len(row[-1])
    states = {row[2] for row in before.values()}
    assert states == {"delivered", "pending", "exhausted", "canceled"}


async def check_counters(api: Api, seen: dict[str, Any]) -> None:
    """The counters as they were, but for what the replays delivered; and they balance."""
    stats = await api.get("/stats")
    canceled = sum(destination == "down" for _, destination in replayed(seen))
    assert canceled == 1
    for name, before in seen["stats"]["destinations"].items():
        wanted = {STATES.get(key, key): value for key, value in before.items()}
        if name == "down":
            wanted["canceled"] -= canceled
            wanted["delivered"] += canceled
        assert stats["destinations"][name] == wanted, name
    for one in stats["destinations"].values():
        states = ("filtered", "delivered", "pending", "exhausted", "canceled")
        assert one["accepted"] == sum(one[state] for state in states)
    assert stats["sources"] == seen["stats"]["sources"]
    for member in ("accepted", "unrouted", "filtered", "pending", "exhausted"):
        assert stats["totals"][member] == seen["stats"]["totals"][member]
    assert stats["totals"]["canceled"] == seen["stats"]["totals"]["cancelled"] - canceled


async def check_resources(api: Api, seen: dict[str, Any]) -> None:
    """Records, and what each resource counted and knows; `scan` figures and the order that waits to be fetched too."""
    stats = (await api.get("/stats"))["resources"]
    for name, before in seen["stats"]["resources"].items():
        moving = {"next_poll_at", "log_position"} | {key for key in before if key.startswith("pull")}
        moving |= FETCHING if name == "shop/orders" else set()
        kept = {FIGURES.get(key, key): value for key, value in before.items() if key not in moving}
        assert {key: stats[name][key] for key in kept} == kept, name
        assert stats[name]["committed_offset"] >= before["log_position"]
    assert stats["shop/orders"]["waiting_for_fetch"] == 1
    assert stats["shop/prices"]["scans_stopped_by_ratio"] == 1
    assert stats["shop/prices"]["failing_since"] is not None
    for name, rows in seen["records"].items():
        after = await everything(api, f"/records/shop/{name}?deleted=true")
        for one in (*after, *rows):
            del one["age_seconds"]
        assert after == rows, name
        assert name == "prices" or any(one["deleted"] for one in rows)


async def check_the_rest(api: Api, seen: dict[str, Any]) -> None:
    """Rejections, replays, destinations with their pauses, secrets, and a routing decision by an old revision."""
    assert (await api.get("/rejections?limit=100"))["data"] == seen["rejections"]
    after = {one["id"]: one for one in await everything(api, "/replays")}
    for one in seen["replays"]:
        one["committed_offset"] = one.pop("position")
        one["query"]["state"] = STATES.get(one["query"]["state"], one["query"]["state"])
        assert after.pop(one["id"]) == one
    for one in seen["unfinished"]:
        ended = after.pop(one["id"])
        assert ended["committed_offset"] == one["upto"]
        assert ended["query"]["state"] == STATES.get(one["query"]["state"], one["query"]["state"])
        assert ended["matched"] == sum(pair[1] == one["query"]["destination"] for pair in replayed(seen)) > 0
    assert not after
    names = {one["name"]: one for one in await everything(api, "/destinations")}
    for before in seen["destinations"]:
        assert {key: names[before["name"]][key] for key in before} == before
    for name, secret in seen["secrets"].items():
        assert await api.get(f"/destinations/{name}/secret") == secret
    event = next(row[0] for row in reversed(seen["events"]) if row[EVENT.index("origin")] == "webhook")
    assert {one["route"] for one in (await api.get(f"/explain/{event}"))["routes"]} >= {"webhooks", "big", "changes"}


async def check_callers(gateway: Served, seen: dict[str, Any]) -> None:
    """Keys with their scopes, sources and ends; the browser that was logged in; a feed's consumer; known ids."""
    api = {name: gateway.api.with_key(key) for name, key in seen["keys"].items()}
    listed = {one["name"]: one for one in await everything(gateway.api, "/keys")}
    assert listed.keys() == api.keys()
    assert (listed["reader"]["sources"], listed["publisher"]["expires_at"] is None) == (["shop"], False)
    assert {one["source"] for one in await everything(api["reader"], "/events")} == {"shop"}
    assert await everything(api["reader"], "/events?source=app") == []
    known = b'{"source": "app", "type": "invoice.paid", "data": {"n": 2, "fail": true}, "key": "k1", "id": "inv-2"}'
    assert (await api["publisher"].post("/events", known))["id"] in {row[0] for row in seen["events"]}
    page = await gateway.api.with_key(None)("GET", "/", headers={"cookie": f"tidegate_session={seen['session']}"})
    assert page.status == 200
    assert (await gateway.api.with_key(None)("GET", "/", headers={"cookie": "tidegate_session=x"})).status != 200
    feed = await api["operator"].get("/feeds/warehouse?limit=500")
    assert feed["committed_offset"] == seen["feed"]["position"]
    assert [one["id"] for one in feed["data"]] == seen["feed"]["events"] != []


def test_a_store_of_0_1_shows_the_same_under_the_new_names(installation: Installation) -> None:
    async def main() -> None:
        await installation.restore()
        seen = installation.seen
        assert await installation.version() == (STEPS, STEPS)
        async with far_sides(healthy=True) as far:
            far.source.as_left()
            async with installation.served(far) as gateway:
                await replays_done(gateway.api)
                await settled(gateway.api, "crm")
                await check_events(gateway.api, seen)
                await check_deliveries(gateway.api, seen)
                await check_counters(gateway.api, seen)
                await check_resources(gateway.api, seen)
                await check_the_rest(gateway.api, seen)
                await check_callers(gateway, seen)
                prices = await gateway.gateway.store.records.state("shop", "prices")
                assert prices.etag == far.source.etag("/prices")
            async with installation.served(far, 2 * MINUTE_US) as gateway:  # and once more, now without a migration
                await check_events(gateway.api, seen)
                await check_counters(gateway.api, seen)
        newest = migrations("sqlite")[-1][0]
        assert await installation.version() == (newest, newest)

    run(main)


# -- what goes on ----------------------------------------------------------------------------------------


async def deliver_what_is_pending(api: Api, far: Far, seen: dict[str, Any]) -> None:
    """A day later the retries are due; what is paused, blocked by its key or exhausted follows when it may."""
    await settled(api, "down", "ledger", "dead")
    for name in ("held", "gone"):
        assert (await api("POST", f"/api/v1/destinations/{name}/resume")).status == 200
    await settled(api, "held", "gone")
    for row in seen["deliveries"]:
        event, destination, state = row[:3]
        if destination in ("ledger", "held", "gone") and state == "pending":
            assert event in far.receivers.ids(f"/{destination}"), row
        if state in ("cancelled", "exhausted") and destination in ("held", "dead", "old", "partner"):
            assert event not in far.receivers.ids(f"/{destination}"), row
    bodies = [json.loads(request.body)["data"] for path, request in far.receivers.arrived if path == "/ledger"]
    numbers = [body["n"] for body in bodies if body["n"] < 4]
    assert numbers == [1, 2, 3], "the key's order"
    exhausted = (await api.get("/deliveries?destination=partner&state=exhausted"))["data"]
    await api.post(f"/deliveries/{exhausted[0]['id']}/retry")
    await until(lambda: exhausted[0]["event"] in far.receivers.ids("/partner"))


async def deliver_with_both_secrets(api: Api, far: Far, seen: dict[str, Any]) -> None:
    """A destination of the API keeps its backlog and its secrets, the one before the rotation too, at a new address."""
    url = far.addresses["@FAR@"] + "/billing"
    assert (await api("PUT", "/api/v1/destinations/billing", {"url": url, "retry": ["1d"]})).status == 200
    for one in (await api.get("/deliveries?destination=billing&state=pending"))["data"]:
        await api.post(f"/deliveries/{one['id']}/retry")
    await settled(api, "billing")
    owed = [row[0] for row in seen["deliveries"] if row[1] == "billing"]
    assert sorted(far.receivers.ids("/billing")) == sorted(owed) != []
    request = next(request for path, request in far.receivers.arrived if path == "/billing")
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


async def go_on_polling(api: Api, far: Far, seen: dict[str, Any]) -> None:
    """From the cursor that was kept; records count on; the order that waited is fetched."""
    source = far.source
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


def test_a_store_of_0_1_goes_on_from_where_it_was(installation: Installation) -> None:
    async def main() -> None:
        await installation.restore()
        seen = installation.seen
        async with far_sides(healthy=True) as far:
            far.source.as_left()
            async with installation.served(far) as gateway:
                await deliver_with_both_secrets(gateway.api, far, seen)
            async with installation.served(far, 2 * DAY_US) as gateway:
                await deliver_what_is_pending(gateway.api, far, seen)
                await go_on_polling(gateway.api, far, seen)
            async with installation.served(far, 3 * DAY_US, **{"@SCAN@": "10s"}) as gateway:
                await scan_again(gateway.api)
                await settled(gateway.api, "leaver")
                owed = [row[0] for row in seen["deliveries"] if row[1] == "leaver"]
                assert sorted(far.receivers.ids("/leaver")) == sorted(owed) != []
                offset = (await gateway.api.get("/stats"))["at_offset"]
                made = await gateway.api.post("/events", {"source": "app", "type": "invoice.paid", "data": {"n": 9}})
                assert (await gateway.api.get(f"/events/{made['id']}"))["offset"] > offset
                await settled(gateway.api, *(await gateway.api.get("/stats"))["destinations"])
                totals = (await gateway.api.get("/stats"))["totals"]
                assert totals["pending"] == 0
                assert totals["canceled"] == seen["stats"]["totals"]["cancelled"] - 1

    run(main)


# -- both releases at once -------------------------------------------------------------------------------


async def refused(installation: Installation, far: Far, *program: str) -> str:
    """What a program says that does not start on the store."""
    toml = configuration(RELEASE, far)
    node = installation.home.process(toml, program, {"TIDEGATE_STEPS": str(STEPS)})
    with pytest.raises(AssertionError) as said:
        await node.start()
    return str(said.value)


def test_a_release_with_the_schema_of_0_1_refuses_the_upgraded_store(installation: Installation) -> None:
    async def main() -> None:
        await installation.restore()
        async with far_sides(healthy=True) as far:
            async with installation.served(far):
                pass
            assert (await installation.version())[1] > STEPS
            assert "schema_newer" in await refused(installation, far, EARLIER)

    asyncio.run(main())


def test_this_release_does_not_upgrade_a_database_beside_a_running_node_of_0_1(tmp_path: Path) -> None:
    installation = Installation(tmp_path, "postgres")
    database = installation.home.database
    assert database is not None

    async def lease_of_the_old_node(until: str) -> None:
        connection = await asyncpg.connect(database)
        try:
            assert await connection.execute(f"UPDATE tidegate.nodes SET lease_expires_at = {until}") == "UPDATE 1"
        finally:
            await connection.close()

    async def main() -> None:
        await installation.restore()
        await lease_of_the_old_node("clock_timestamp() + interval '1 hour'")
        before = await contents(database)
        async with far_sides(healthy=True) as far:
            assert "older_nodes_run" in await refused(installation, far, "-m", "tidegate")
            assert await contents(database) == before
            await lease_of_the_old_node("clock_timestamp()")
            async with installation.served(far) as gateway:
                await replays_done(gateway.api)
            assert (await installation.version())[0] > STEPS

    asyncio.run(main())
