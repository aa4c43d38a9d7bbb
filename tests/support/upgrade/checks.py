"""One stored installation, opened by this release, and what it must show: compared with what its own release showed.

`replayed` names what is not as it was, because a replay that the kill interrupted is finished by this release.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import asyncpg

from support.gateway.api import Api, Served
from support.gateway.deployment import Deployment
from support.gateway.running import ALLOW, until
from support.postgres.server import server
from support.upgrade.data import (
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
from support.upgrade.outside import Outside

RELEASE = "0.1"
MINUTE_US, DAY_US = 60 * 1_000_000, 86_400 * 1_000_000
STATES = {"cancelled": "canceled"}
FIGURES = {"braked_scans": "scans_stopped_by_ratio"}  # of a resource
# Counters of `orders` that move while an order cannot be fetched, which 0.1 left so.
FETCHING = {"requests", "bytes", "requests_per_change", "fetch_backs", "errors", "last_error", "last_error_at"}


class Installation:
    """One restored store. `seen` is what 0.1 showed of it."""

    def __init__(self, folder: Path, store: str) -> None:
        self.deployment = Deployment(folder, server().new_database(migrated=False) if store == "postgres" else None)
        self.store = store
        self.seen = expected(RELEASE, store)

    async def restore(self) -> None:
        if self.deployment.database is None:
            restore_sqlite(RELEASE, self.deployment.data)
        else:
            await restore_postgres(RELEASE, self.deployment.database, self.deployment.data)

    @contextlib.asynccontextmanager
    async def served(self, outside: Outside, later_us: int = MINUTE_US, **values: str) -> AsyncIterator[Served]:
        """This release on it, at an instant after the kill. With `values` the file has the lost destination again."""
        toml = configuration(RELEASE, outside, {**LAST, **values}, leaver=bool(values)).replace(ALLOW, "")
        async with self.deployment.served(toml, ClockOf(self.seen["made_at_us"] + later_us)) as gateway:
            yield gateway

    async def version(self) -> tuple[int, int]:
        """The schema of the store, and the oldest one that a release must know to read it."""
        if self.deployment.database is None:
            found = int(apsw.Connection(str(self.deployment.data / "tidegate.db")).execute("PRAGMA user_version").get)
            return found, found
        connection = await asyncpg.connect(self.deployment.database)
        try:
            return tuple(
                await connection.fetchrow("SELECT max(version), max(oldest_reader) FROM tidegate.schema_version")
            )
        finally:
            await connection.close()


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
        new = [one.pop(member) for one in after for member in ("healed", "as_of")]
        assert new == [None] * len(new)  # 0.1 did not have them
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
        now = await api.get(f"/destinations/{name}/secret")
        assert {key: now[key] for key in secret} == secret
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
