"""Makes the stored installations of an earlier release that the upgrade tests open (`tests/data/upgrade/`).

Runs the real program of that release from a checkout of it, uses every door over HTTP, kills it with two replays under
way, and writes the store as SQL text beside what its API said (`*.json`). The checkout stays as it is:

    python tests/support/upgrade/make_data.py CHECKOUT/src tests/data/upgrade/0.1

It takes about five minutes and overwrites `sqlite.*`, `postgres.*` and `secret.key`. Run it with `tests` on PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import asyncpg

from support.postgres.server import server
from support.upgrade.data import DELIVERY, EVENT, FIRST, configuration, digest, dump_postgres, dump_sqlite
from support.upgrade.outside import Outside, outside_systems

WEBHOOK_SECRET = b"k" * 32  # in tidegate.toml
MASTER = base64.b64encode(b"m" * 32)
SCAN_SECONDS = 11  # a little over the `@SCAN@` of the first configuration
UNFINISHED = "SELECT count(*) FROM {}replays WHERE finished_at IS NULL"
TICKS = 11  # more than open a circuit breaker


class Program:
    """`tidegate serve` of the checkout, and an admin's calls to it."""

    def __init__(self, source: Path, folder: Path, database: str | None) -> None:
        self._environ = {**os.environ, "PYTHONPATH": str(source)}
        self._folder = folder
        self._log = (folder / "log").open("wb")
        self._more = [] if database is None else ["--database", database]
        self.data = folder / "data"
        self.data.mkdir()
        (self.data / "secret.key").write_bytes(MASTER + b"\n")
        self.url = ""

    async def start(self, configuration: str, http: aiohttp.ClientSession) -> None:
        (self._folder / "tidegate.toml").write_text(configuration)
        serve = ["serve", "--config", "tidegate.toml", "--data", "data", "--port", "0", *self._more]
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidegate", *serve,
            cwd=self._folder, env=self._environ, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        assert self._child.stdout is not None
        line = await self._child.stdout.readline()
        assert line.startswith(b"ready "), (self._folder / "log").read_text()
        self.url = line.split()[1].decode()
        self.key = json.loads((self.data / "local.json").read_text())["key"]
        self._http = http

    async def kill(self) -> None:
        self._child.send_signal(signal.SIGKILL)
        await self._child.wait()

    async def reload(self, configuration: str) -> None:
        (self._folder / "tidegate.toml").write_text(configuration)
        await self("POST", "/config", {})

    async def __call__(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self._http.request(method, self.url + "/api/v1" + path, json=body, headers=headers) as answer:
            content = await answer.read()
            assert answer.status < 300, (method, path, answer.status, content)
            return json.loads(content) if content else None

    async def get(self, path: str) -> Any:
        return await self("GET", path)

    async def raw(self, path: str) -> bytes:
        url, headers = self.url + "/api/v1" + path, {"Authorization": f"Bearer {self.key}"}
        async with self._http.get(url, headers=headers) as answer:
            assert answer.status == 200
            return await answer.read()

    async def publish(self, source: str, type: str, data: Any, **more: Any) -> str:
        return str((await self("POST", "/events", {"source": source, "type": type, "data": data, **more}))["id"])

    async def hook(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        plain = ("accept", "accept-encoding", "user-agent")
        async with self._http.post(
            self.url + path, data=body, headers=headers, allow_redirects=False, skip_auto_headers=plain
        ) as answer:
            return answer.status

    async def webhook(self, id: str, type: str, data: Any, *, secret: bytes = WEBHOOK_SECRET) -> int:
        body = json.dumps({"type": type, "data": data}).encode()
        now = int(time.time())
        signature = hmac.digest(secret, f"{id}.{now}.".encode() + body, hashlib.sha256)
        return await self.hook("/in/shop", body, {
            "content-type": "application/json", "webhook-id": id, "webhook-timestamp": str(now),
            "webhook-signature": "v1," + base64.b64encode(signature).decode(),
        })  # fmt: skip


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := await condition()):
        assert time.monotonic() < end, f"not in {seconds} s: {condition}"
        await asyncio.sleep(0.1)
    return value


# -- what is done ----------------------------------------------------------------------------------------


async def receive(gateway: Program, outside: Outside) -> None:
    """The doors in: webhooks, forms, publishing; and what is rejected."""
    order = {"id": "o1", "total": 150, "updated_at": "2026-11-20T10:00:09Z"}
    outside.source.orders["o1"] = order
    assert await gateway.webhook("msg_1", "order.updated", order) in (200, 202)
    assert await gateway.webhook("msg_2", "order.created", {"id": "o9", "total": 5}) in (200, 202)
    outside.source.orders.pop("o3")
    assert await gateway.webhook("msg_3", "order.deleted", {"id": "o3"}) in (200, 202)
    assert await gateway.webhook("msg_2", "order.created", {"id": "o9", "total": 6}) in (200, 202)  # differs
    assert await gateway.webhook("msg_4", "order.refunded", {"id": "o2", "total": 20}) in (200, 202)  # to be fetched
    assert await gateway.webhook("msg_5", "order.updated", order, secret=b"x" * 32) == 401
    assert await gateway.hook("/in/shop", b"{}", {"content-type": "application/json"}) == 401
    assert await gateway.hook("/in/raw", b"x" * 2000, {"content-type": "text/plain"}) == 413
    assert await gateway.hook("/in/raw", b"\x00\xff\xfe raw \r\n", {"content-type": "application/octet-stream"}) in (
        200, 202,
    )  # fmt: skip
    half = b'{"name": "half \\ud83d", "zero": "\\u0000"}'
    assert await gateway.hook("/in/raw", half, {"content-type": "application/json", "webhook-id": "r-\xe9"}) < 300
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert await gateway.hook("/in/leads", b"email=ann%40example.com&note=gr%C3%BC%C3%9Fe", form) < 400
    assert await gateway.hook("/in/leads", b"email=bot%40example.com&website=spam", form) < 400


async def publish(gateway: Program) -> None:
    """Deliveries of every state at the destinations of `app`, ordered by key."""
    await gateway("POST", "/destinations/held/pause")
    for number in range(1, 4):
        await gateway.publish("app", "invoice.paid", {"n": number, "fail": True}, key="k1", id=f"inv-{number}")
    await gateway.publish("app", "invoice.paid", {"n": 4}, key="k2", time="2026-11-20T09:30:00Z")
    await gateway.publish("app", "invoice.open", {"n": 5, "fail": True}, key="k \u20ac")


async def operate(gateway: Program) -> dict[str, Any]:
    """What an operator does: items of the API, deletes, cancels, retries, replays, keys, a login, a feed."""
    await gateway("PUT", "/destinations/billing", {"url": "http://127.0.0.1:9/billing", "retry": ["1d"]})
    await gateway("PUT", "/destinations/old", {"url": "http://127.0.0.1:9/old"})
    await gateway("PUT", "/routes/billing", {"from": "app", "types": ["bill.*"], "to": ["billing", "old"]})
    await gateway("POST", "/destinations/old/pause")
    for number in range(3):
        await gateway.publish("app", "bill.made", {"n": number}, key=f"b{number}")
    await gateway("POST", "/destinations/billing/rotate")
    await gateway("PUT", "/routes/billing", {"from": "app", "types": ["bill.*"], "to": "billing"})
    await gateway("DELETE", "/destinations/old")

    async def given_up() -> bool:
        kept = await gateway.get("/deliveries?state=cancelled&limit=500")
        return len(kept["data"]) == 3

    await until(given_up)
    pending = (await gateway.get("/deliveries?destination=down&state=pending"))["data"]
    for one in pending[:1]:
        await gateway("POST", f"/deliveries/{one['id']}/cancel")
    held = (await gateway.get("/deliveries?destination=held"))["data"]
    await gateway("POST", f"/deliveries/{held[0]['id']}/cancel")
    exhausted = (await gateway.get("/deliveries?destination=partner&state=exhausted"))["data"]
    await gateway("POST", f"/deliveries/{exhausted[0]['id']}/retry")
    for query in ({"destination": "partner", "state": "exhausted"}, {"destination": "audit", "state": "cancelled"}):
        await gateway("POST", "/replays", query)
    return {**await keys(gateway), **await feed(gateway)}


async def keys(gateway: Program) -> dict[str, Any]:
    wanted = (
        {"name": "reader", "scopes": ["read"], "sources": ["shop"]},
        {"name": "publisher", "scopes": ["publish"], "sources": ["app"], "expires_in": "365d"},
        {"name": "operator", "scopes": ["read", "write", "pull"]},
    )
    made = {one["name"]: (await gateway("POST", "/keys", one))["key"] for one in wanted}
    link = await gateway("POST", "/keys/login")
    token = link["path"].partition("token=")[2]
    async with aiohttp.ClientSession() as browser:
        async with browser.post(gateway.url + "/login", data={"token": token}, allow_redirects=False) as answer:
            cookie = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    return {"keys": made, "session": cookie}


async def feed(gateway: Program) -> dict[str, Any]:
    first = await gateway.get("/feeds/warehouse?limit=4")
    await gateway("POST", "/feeds/warehouse/ack", {"cursor": first["next_cursor"]})
    rest = await gateway.get("/feeds/warehouse?limit=500")
    return {"feed": {"position": rest["position"], "events": [one["id"] for one in rest["data"]]}}


async def change_the_source(gateway: Program, outside: Outside) -> None:
    """Polls that find changes, deletes, nothing, too many deletes, and a source that fails."""
    customers, prices = outside.source.customers, outside.source.prices

    async def poll(*resources: str) -> None:
        for name in resources:
            await gateway("POST", f"/sources/shop/resources/{name}/poll")

    customers["c1"]["name"], customers["c1"]["updated_at"] = "Ann B", "2026-11-21T08:00:00Z"
    await poll("customers", "prices")
    await gateway.get("/pull/shop/orders/o4")
    outside.source.orders["o4"] = {"id": "o4", "total": 45, "updated_at": "2026-11-22T10:00:00Z"}
    await gateway("GET", "/pull/shop/orders/o4")
    for gone in ("c5", "c4"):
        await asyncio.sleep(SCAN_SECONDS)
        del customers[gone]
        if gone == "c4":
            del prices["p2"], prices["p3"]
        await poll("customers", "prices")
    prices["p1"]["amount"] = 12
    await poll("prices")
    outside.source.broken.add("/prices")
    await poll("prices")


# -- what is written down --------------------------------------------------------------------------------


async def everything(gateway: Program, path: str) -> list[Any]:
    join, cursor, found = "&" if "?" in path else "?", "", []
    while True:
        page = await gateway.get(f"{path}{join}limit=500{cursor}")
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def expected(gateway: Program) -> dict[str, Any]:
    """What the API says of all that is kept, in that release's words; bodies as their SHA-256."""
    events = [await event_row(gateway, one["id"]) for one in await everything(gateway, "/events")]
    return {
        "made_at_us": time.time_ns() // 1000,
        "events": events,
        "deliveries": [delivery_row(one) for one in await everything(gateway, "/deliveries")],
        "stats": await gateway.get("/stats"),
        "records": {
            name: await everything(gateway, f"/records/shop/{name}?deleted=true")
            for name in ("orders", "customers", "prices")
        },
        "rejections": (await gateway.get("/refusals?limit=100"))["data"],
        "replays": await everything(gateway, "/replays"),
        "destinations": [
            pick(one, "name", "owner", "paused_at", "pause_reason")
            for one in await everything(gateway, "/destinations")
        ],
        "secrets": {name: await gateway.get(f"/destinations/{name}/secret") for name in ("crm", "billing", "dead")},
    }


async def event_row(gateway: Program, id: str) -> list[Any]:
    """The members named in EVENT, then digests of `headers`, of `change` and of the bytes as they came."""
    whole, raw = await gateway.get(f"/events/{id}"), await gateway.raw(f"/events/{id}/raw")
    return [*(whole[name] for name in EVENT), digest(whole["headers"]), digest(whole["change"]), digest(raw)]


def delivery_row(one: dict[str, Any]) -> list[Any]:
    """The members named in DELIVERY, then the outcome of each attempt."""
    return [*(one[name] for name in DELIVERY), [attempt["outcome"] for attempt in one["attempts"]]]


def pick(whole: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: whole[name] for name in names}


# -- the whole -------------------------------------------------------------------------------------------


async def make(source: Path, folder: Path, database: str | None) -> dict[str, Any]:
    """One installation in `folder`, killed with two replays under way; what it showed before."""
    program = Program(source, folder, database)
    async with outside_systems(healthy=False) as outside, aiohttp.ClientSession() as http:
        await program.start(configuration("0.1", outside, FIRST, leaver=True), http)
        try:
            for number in range(TICKS):
                await program.publish("ticks", "tick", {"n": number})
            await until(lambda: polled(program))
            await receive(program, outside)
            await publish(program)
            await change_the_source(program, outside)
            await program.reload(configuration("0.1", outside))
            done = await operate(program)
            await until(lambda: quiet(program), 240)
            seen = {**await expected(program), **done}
            queries = (
                {"destination": "down", "state": "cancelled"},
                {
                    "destination": "crm",
                    "state": "delivered",
                    "since": seen["events"][-TICKS - 1][EVENT.index("received_at")],
                },
            )
            began = await asyncio.gather(*(program("POST", "/replays", query) for query in queries))
        finally:
            await program.kill()
    return {**seen, "unfinished": began}


async def polled(gateway: Program) -> bool:
    resources = (await gateway.get("/stats"))["resources"]
    return len(resources) == 3 and all(one["scans"] for one in resources.values())


async def quiet(gateway: Program) -> bool:
    """Nothing moves any more: `dead` was given up, replays are done, what is pending waits for a day."""
    stats = await gateway.get("/stats")
    replays = (await gateway.get("/replays"))["data"]
    return (
        stats["destinations"]["dead"]["exhausted"] == TICKS
        and stats["destinations"]["late"]["delivered"] > 0
        and all(one["finished_at"] for one in replays)
        and len((await gateway.get("/refusals"))["data"]) == 4
    )


def write(folder: Path, store: str, sql: str, seen: dict[str, Any]) -> None:
    (folder / f"{store}.sql").write_text(sql)
    (folder / f"{store}.json").write_text(as_lines(seen))


def as_lines(seen: dict[str, Any]) -> str:
    """JSON with an event or a delivery a line."""
    text = json.dumps(seen, separators=(",", ":"), ensure_ascii=False)
    lines = re.sub(r'(?<=[\]\[}],)(?=[\["{])|(?<=:\[)(?=\[)', "\n", text) + "\n"
    assert json.loads(lines) == json.loads(text), "a string looks like the border of two rows"
    return lines


def check_unfinished(count: int) -> None:
    assert count == 2, f"{count} of 2 replays were under way at the kill; run it again"


def make_sqlite(source: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        seen = asyncio.run(make(source, Path(name), None))
        file = Path(name) / "data" / "tidegate.db"
        check_unfinished(apsw.Connection(str(file)).execute(UNFINISHED.format("")).get)
        write(folder, "sqlite", dump_sqlite(file), seen)


def make_postgres(source: Path, folder: Path) -> None:
    url = server().new_database(migrated=False)

    async def unfinished() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval(UNFINISHED.format("tidegate.")))
        finally:
            await connection.close()

    with tempfile.TemporaryDirectory() as name:
        seen = asyncio.run(make(source, Path(name), url))
    check_unfinished(asyncio.run(unfinished()))
    write(folder, "postgres", dump_postgres(server(), url), seen)


def main() -> None:
    source, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    stores = sys.argv[3:] or ["sqlite", "postgres"]
    (folder / "secret.key").write_bytes(MASTER + b"\n")
    for store in stores:
        {"sqlite": make_sqlite, "postgres": make_postgres}[store](source, folder)


if __name__ == "__main__":
    main()
