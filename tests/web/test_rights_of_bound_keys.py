"""A key that is limited to a source reaches nothing of another: every row of the route table, with foreign names.

The calls are generated from the table. A new row with a path or query parameter that `FOREIGN` does not know fails
here, until somebody says what names a foreign thing there.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from support.gateway.api import Api, Reply, Served, served
from support.gateway.running import until
from tidegate.api.endpoint import Entry
from tidegate.api.keys import SCOPES
from tidegate.api.routes import PREFIX, TABLE
from tidegate.query import feeds, stream

MARKER = "belongs-to-shop-7731"
TOML = """
[sources.crm.publish]
[sources.crm.webhook]
verify = "none"
[sources.shop.publish]
[sources.shop.webhook]
verify = "none"
[sources.shop.api]
base_url = "http://127.0.0.1:9"
[sources.shop.resources.orders]
path = "/orders"
version = "v"
webhook = { types = ["order"] }
[destinations.d]
url = "http://127.0.0.1:9/"
[routes.r]
from = "*"
to = "d"
"""
BODIES: dict[str, Any] = {
    "/feeds/{name}/ack": None,  # the newest cursor, filled in by the test
    "/events": {"source": "shop", "type": "order", "data": 1},
    "/sources/{name}/trigger": {"type": "order"},
    "/conflicts/{id}/resolve": {"use": "current"},
}
READ_PAGES = ("/events", "/deliveries", "/feeds", "/sources/shop", "/records/shop/orders", "/destinations")


async def _foreign(gate: Served) -> dict[str, list[str]]:
    """What names a thing of shop, by the parameter that takes it."""
    body = msgspec.json.encode({"type": "order", "id": MARKER, "v": 1, "note": MARKER})
    assert (await gate.api("POST", "/in/shop", body)).status == 202

    async def known() -> bool:
        return bool((await gate.api.get("/records/shop/orders"))["data"])

    await until(known)
    event = (await gate.api.get("/events?source=shop"))["data"][-1]["id"]
    delivery = (await gate.api.get(f"/deliveries?event={event}"))["data"][0]["id"]
    page = await gate.api.get("/feeds/of-all")
    await gate.api.post("/feeds/of-all/ack", {"cursor": page["next_cursor"]})
    shop = await gate.key("read", "ack", sources=("shop",))
    await shop.post("/feeds/of-shop/ack", {"cursor": page["next_cursor"]})
    await (await gate.key("read", "ack", sources=("crm", "shop"))).post(
        "/feeds/of-both/ack", {"cursor": page["next_cursor"]}
    )
    BODIES["/feeds/{name}/ack"] = {"cursor": page["next_cursor"]}
    cursors = [page["next_cursor"], (await gate.api.get("/events?limit=1"))["next_cursor"] or ""]
    return {
        "name": ["shop"],
        "feeds.name": ["of-all", "of-shop", "of-both"],
        "id": [event, delivery],
        "source": ["shop"],
        "resource": ["orders"],
        "operation": ["create"],
        "code": ["destination.failing"],
        "key": [MARKER],
        "event": [event],
        "destination": ["d"],
        "last_event_id": [event[:-1] + "0"],
        "cursor": cursors,
        "type": ["order"],
        "q": [MARKER],
        "origin": ["webhook"],
        "since": ["1h"],
        "until": ["0s"],
        "updated_since": ["1h"],
        "healed": ["true", "false"],
        "as_of": ["0s"],
        "deleted": ["true"],
        "all": ["true"],
        "order": ["asc", "desc"],
        "state": ["pending"],
        "limit": ["100"],
        "window": ["1h"],
        "format": ["html", "markdown"],
    }


def _paths(entry: Entry, foreign: dict[str, list[str]]) -> list[str]:
    """Every path of the row with foreign names, bare and with each of its parameters."""
    names = re.findall(r"\{(\w+)\}", entry.path)
    kind = entry.path.split("/")[1]
    paths = []
    for values in itertools.product(*(foreign.get(f"{kind}.{name}") or foreign[name] for name in names)):
        path = entry.path
        for name, value in zip(names, values, strict=True):
            path = path.replace(f"{{{name}}}", value)
        paths.append(path)
        for parameter in entry.query:
            paths += [f"{path}?{urlencode({parameter.name: value})}" for value in foreign[parameter.name]]
    return paths


async def _call(api: Api, entry: Entry, path: str) -> Reply:
    """A stream is read for a moment, long enough for what it resumes."""
    if entry.media == "text/event-stream":
        async with api.http.get(api.url + PREFIX + path, headers={"Authorization": f"Bearer {api.key}"}) as answer:
            read = b""
            while b"still" not in read and b"data:" not in read:
                try:
                    read += await asyncio.wait_for(answer.content.readany(), 0.2)
                except TimeoutError:
                    break
            return Reply(answer.status, {}, read)
    return await api(entry.method, PREFIX + path, BODIES.get(entry.path, {}) if entry.request is not None else None)


async def _state(gate: Served) -> list[Any]:
    return [await gate.api.get(path) for path in READ_PAGES]


def _stable(state: list[Any]) -> bytes:
    """Without what changes by itself: attempts go on, and clocks too."""
    text = msgspec.json.encode(state).decode()
    text = re.sub(
        r'"(\w+_at|age_seconds|next_attempt_at|due_at|attempts|last_error|cause|state|status)":[^,}\]]*', "", text
    )
    return text.encode()


async def test_no_call_of_a_bound_key_shows_or_changes_what_belongs_to_another_source(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        foreign = await _foreign(gate)
        await gate.api("POST", "/api/v1/destinations/d/pause")
        bound = await gate.key(*(scope for scope in SCOPES if scope != "admin"), sources=("crm",))
        before = _stable(await _state(gate))
        called = 0
        for entry in TABLE:
            for path in _paths(entry, foreign) if entry.bound else [re.sub(r"\{\w+\}", "shop", entry.path)]:
                answer = await _call(bound, entry, path)
                called += 1
                shown = f"{entry.method} {path}: {answer.status} {answer.body[:300]!r}"
                assert entry.bound or answer.status == 403, shown
                named = "?" not in path and ("{" in entry.path or entry.method != "GET")
                assert not named or answer.status in (403, 404, 422), shown
                assert MARKER.encode() not in answer.body.replace(path.encode(), b""), shown
                assert _stable(await _state(gate)) == before, shown
        assert called > 80, called


async def test_a_stream_of_a_bound_key_carries_no_event_of_another_source(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        bound = await gate.key("read", sources=("crm",))
        headers = {"Authorization": f"Bearer {bound.key}"}
        first = (await gate.api.post("/events", {"source": "shop", "type": "a", "data": MARKER}))["id"]
        async with bound.http.get(f"{bound.url}/api/v1/events/stream?last_event_id={first}", headers=headers) as answer:
            await gate.api.post("/events", {"source": "shop", "type": "a", "data": MARKER})
            mine = (await gate.api.post("/events", {"source": "crm", "type": "a", "data": "mine"}))["id"]
            read = b""
            async with asyncio.timeout(10):
                while mine.encode() not in read:
                    read += await answer.content.readany()
            assert MARKER.encode() not in read


async def test_a_feed_belongs_to_the_sources_of_its_first_acknowledgment(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        crm = await gate.key("read", "ack", sources=("crm",))
        reader = await gate.key("read", sources=("crm",))
        made = [
            (await gate.api.post("/events", {"source": source, "type": "a", "data": 1}))["id"]
            for source in ("crm", "shop", "crm")
        ]
        start = (await crm.get("/feeds/f?limit=1"))["next_cursor"]
        refused = await reader("POST", "/api/v1/feeds/f/ack", {"cursor": start})
        assert (refused.status, refused.json()["code"]) == (403, "forbidden"), "reading is not acknowledging"
        assert (await crm.post("/feeds/f/ack", {"cursor": start}))["sources"] == ["crm"]
        for caller in (crm, reader, gate.api, await gate.key("read", sources=("crm", "shop"))):
            assert [one["id"] for one in (await caller.get("/feeds/f"))["data"]] == made[2:], "of its sources only"
        other = await gate.key("read", "ack", sources=("shop",))
        for method, path in (("GET", "/f"), ("POST", "/f/ack"), ("DELETE", "/f")):
            body = {"cursor": start} if method == "POST" else None
            assert (await other(method, "/api/v1/feeds" + path, body)).status == 403, (method, path)
        assert [(await one.get("/feeds"))["data"] for one in (other,)] == [[]]
        assert [one["name"] for one in (await crm.get("/feeds"))["data"]] == ["f"]
        assert (await crm("DELETE", "/api/v1/feeds/f")).status == 204
        assert (await crm("DELETE", "/api/v1/feeds/f")).status == 404


async def test_the_feeds_of_one_key_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_FEEDS", 3)
    async with served(tmp_path, TOML) as gate:
        greedy, modest = await gate.key("read", "ack"), await gate.key("read", "ack")
        cursor = {"cursor": (await gate.api.get("/feeds/f"))["next_cursor"]}
        answers = [await greedy("POST", f"/api/v1/feeds/f{number}/ack", cursor) for number in range(4)]
        assert [one.status for one in answers] == [200, 200, 200, 409]
        assert answers[3].json()["code"] == "too_many_feeds"
        assert (await greedy("POST", "/api/v1/feeds/f0/ack", cursor)).status == 200, "those it has still move"
        assert (await modest("POST", "/api/v1/feeds/g/ack", cursor)).status == 200
        assert (await greedy("DELETE", "/api/v1/feeds/f0")).status == 204
        assert (await greedy("POST", "/api/v1/feeds/f4/ack", cursor)).status == 200


async def test_one_key_cannot_take_the_streams_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_OF_ONE_KEY", 2)

    async with served(tmp_path, TOML) as gate:
        greedy, modest = await gate.key("read"), await gate.key("read")
        async with contextlib.AsyncExitStack() as stack:
            answers = []
            for caller in (greedy, greedy, greedy, modest):
                headers = {"Authorization": f"Bearer {caller.key}"}
                opened = caller.http.get(f"{caller.url}/api/v1/events/stream", headers=headers)
                answers.append((await stack.enter_async_context(opened)).status)
            assert answers == [200, 200, 503, 200]
