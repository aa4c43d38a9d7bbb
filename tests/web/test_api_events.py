"""Events, feeds and the stream: pages by offset, nothing lost or doubled while the log grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from support.gateway.api import Api, Served, served
from support.gateway.running import publish
from tidegate.query import stream

TOML = """
[sources.crm.publish]
[sources.shop.publish]
"""


async def ids_of(api: Api, path: str) -> tuple[list[str], list[int]]:
    """All pages of a list: (ids, sizes of the pages)."""
    ids: list[str] = []
    sizes = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api.get(path + (f"&cursor={cursor}" if cursor else ""))
        ids += [one["id"] for one in page["data"]]
        sizes.append(len(page["data"]))
        cursor = page["next_cursor"]
    return ids, sizes


async def fill(gate: Served, count: int, **more: Any) -> list[str]:
    events = [{"source": "crm", "type": "t", "data": {"n": n}, **more} for n in range(count)]
    return [one["id"] for one in (await gate.api.post("/events", events))["data"]]


async def test_pages_go_down_to_the_oldest_event_and_end(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        made = await fill(gate, 150)
        ids, sizes = await ids_of(gate.api, "/events?limit=40")
        assert ids == made[::-1]
        assert sizes == [40, 40, 40, 30]
        assert (await ids_of(gate.api, "/events?limit=500"))[0] == made[::-1]


async def test_pages_taken_while_events_come_neither_miss_nor_repeat(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        before = await fill(gate, 120)
        going = True

        async def append() -> None:
            while going:
                await fill(gate, 5)

        appending = asyncio.create_task(append())
        down, _ = await ids_of(gate.api, "/events?limit=7")
        going = False
        await appending
        assert down[-120:] == before[::-1]
        assert len(set(down)) == len(down)
        assert down == sorted(down, reverse=True)


async def test_ascending_pages_follow_the_log_and_always_give_a_cursor(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        cursor = (await gate.api.get("/events?order=asc&source=crm"))["next_cursor"]
        seen: list[str] = []
        made: list[str] = []
        for _ in range(20):
            made += await fill(gate, 9)
            await publish(gate.gateway, source="shop")
            page = await gate.api.get(f"/events?order=asc&source=crm&limit=6&cursor={cursor}")
            seen += [one["id"] for one in page["data"]]
            cursor = page["next_cursor"]
        while page["data"]:
            page = await gate.api.get(f"/events?order=asc&source=crm&cursor={cursor}")
            seen += [one["id"] for one in page["data"]]
            cursor = page["next_cursor"]
        assert seen == made


async def test_filters_narrow_by_every_part_and_times(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        (first,) = await fill(gate, 1, key="k1")
        first_at = (await gate.api.get(f"/events/{first}"))["received_at"]
        await publish(gate.gateway, b'{"name":"needle"}', source="shop", type="u")
        last = (await gate.api.get("/events?limit=1"))["data"][0]
        for query, expected in (
            ("source=shop", [last["id"]]),
            ("type=u", [last["id"]]),
            ("key=k1", [first]),
            ("q=needle", [last["id"]]),
            ("origin=webhook", []),
            ("origin=publish", [last["id"], first]),
            (f"since={last['received_at']}", [last["id"]]),
            (f"until={last['received_at']}", [first]),
            (f"since={first_at}&until={last['received_at']}", [first]),
            ("since=1h", [last["id"], first]),
            ("until=1h", []),
            (f"since={last['received_at'].replace('Z', '+00:00')}", [last["id"]]),
        ):
            assert [one["id"] for one in (await gate.api.get(f"/events?{query}"))["data"]] == expected, query
            up = await gate.api.get(f"/events?{query}&order=asc")
            assert [one["id"] for one in up["data"]] == expected[::-1], query


async def test_a_page_of_heavy_events_is_short_and_has_a_cursor(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        body = msgspec.json.encode("x" * 1_000_000)
        for _ in range(10):
            await publish(gate.gateway, body, source="crm")
        for order in ("desc", "asc"):
            page = await gate.api.get(f"/events?order={order}")
            assert 1 < len(page["data"]) < 10
            assert page["next_cursor"] is not None
        ids, sizes = await ids_of(gate.api, "/events?limit=500")
        assert len(set(ids)) == len(ids) == 10 and max(sizes) < 10


async def test_wrong_parameters_are_refused_with_400_and_a_code(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        other = (await gate.api.get("/events?order=asc"))["next_cursor"]
        for query, code in (
            ("limit=0", "bad_request"),
            ("limit=501", "bad_request"),
            ("limit=1e2", "bad_request"),
            ("limit=%D9%A1", "bad_request"),
            ("limit=5&limit=5", "bad_request"),
            ("sorce=crm", "unknown_parameter"),
            ("cursor=nonsense", "bad_cursor"),
            ("cursor=%00", "bad_cursor"),
            (f"cursor={other}", "bad_cursor"),  # of the ascending list
            ("cursor=Yjk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "bad_cursor"),
            ("since=yesterday", "bad_request"),
            ("since=9999999999d", "bad_request"),
            ("origin=carrier-pigeon", "bad_request"),
            ("order=random", "bad_request"),
            ("q=%ff", "bad_request"),
        ):
            answer = await gate.api("GET", f"/api/v1/events?{query}")
            assert (answer.status, answer.json()["code"]) == (400, code), query
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_an_id_that_names_nothing_is_404_whatever_it_spells(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        (event,) = await fill(gate, 1)
        for wrong in (
            "evt_x",
            event[:-1] + "9",
            event[:-13] + "z" * 13,
            "aaaaaa".join(event.split(event[4:10])),
            "%00",
        ):
            for path in (f"/events/{wrong}", f"/events/{wrong}/raw", f"/explain/{wrong}", f"/deliveries/{wrong}"):
                answer = await gate.api("GET", "/api/v1" + path)
                assert (answer.status, answer.json()["code"]) == (404, "not_found"), path


async def test_raw_gives_the_bytes_as_they_came_and_lets_no_browser_run_them(tmp_path: Path) -> None:
    async with served(tmp_path, TOML + '[sources.pages.webhook]\nverify = "none"\n') as gate:
        body = b"<script>alert(1)</script>\x00\xff"
        offset = await publish(gate.gateway, body, source="crm")
        event = (await gate.api.get("/events"))["data"][0]
        assert event["offset"] == offset and event["data"] is None and event["body_bytes"] == len(body)
        answer = await gate.api("GET", f"/api/v1/events/{event['id']}/raw")
        assert answer.body == body
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["content-disposition"].startswith("attachment")
        html = {"content-type": "text/html; charset=utf-7"}
        page = (await gate.api("POST", "/in/pages", b"<b>", headers=html)).json()["id"]
        shown = await gate.api("GET", f"/api/v1/events/{page}/raw")
        assert (shown.body, shown.headers["content-type"]) == (b"<b>", "application/octet-stream")
        head = await gate.api("HEAD", f"/api/v1/events/{event['id']}/raw")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(body)))


# -- publishing and bodies -------------------------------------------------------------------------------


async def test_an_event_that_came_again_with_other_volatile_fields_is_marked_wherever_it_is_shown(
    tmp_path: Path,
) -> None:
    toml = '[sources.shop.webhook]\nverify = "none"\ndedupe.volatile = ["n"]\n[destinations.d]\n'
    toml += 'url = "http://127.0.0.1:9/"\n[routes.r]\nfrom = "shop"\nto = "d"\n'
    async with served(tmp_path, toml) as gate:
        first, again = [
            (await gate.api("POST", "/in/shop", body, headers={"webhook-id": "d-1"})).json()["id"]
            for body in (b'{"n":1}', b'{"n":2}')
        ]
        assert again == first
        (delivery,) = (await gate.api.get(f"/deliveries?event={first}"))["data"]
        assert (await gate.api.get(f"/events/{first}"))["differs"] is True
        assert [one["differs"] for one in (await gate.api.get("/events"))["data"]] == [True]
        for thing in (first, delivery["id"]):
            assert (await gate.api.get(f"/explain/{thing}"))["event"]["differs"] is True


async def test_bodies_are_bounded_and_strict(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        for method, path, body, expected in (
            ("POST", "/events", b"x" * ((1 << 20) + 1), (413, "body_too_large")),
            ("POST", "/replays", b"x" * ((1 << 20) + 1), (413, "body_too_large")),
            ("POST", "/replays", b"{", (400, "bad_request")),
            ("POST", "/replays", b'{"sorce": "crm"}', (400, "bad_request")),
            ("POST", "/replays", b"[" * 100_000, (400, "bad_request")),
            ("POST", "/replays", b'{"source": "\xff"}', (400, "bad_request")),
            ("POST", "/events", b'{"source": "crm"}', (400, "bad_request")),
            ("POST", "/events", b"[]", (400, "bad_request")),
            ("POST", "/events", b'{"source": "nope", "type": "t", "data": 1}', (404, "not_found")),
            ("PUT", "/sources/new", b"[1]", (400, "bad_request")),
            ("PUT", "/sources/new", b"[" * 100_000, (400, "bad_request")),
        ):
            answer = await gate.api(method, "/api/v1" + path, body)
            assert (answer.status, answer.json()["code"]) == expected, (path, body[:40], answer.body)
        assert (await gate.api.get("/events"))["data"] == []


async def test_a_wrong_method_is_405_with_allow(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        answer = await gate.api("DELETE", "/api/v1/events")
        assert (answer.status, answer.json()["code"]) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD, POST"


# -- feeds -----------------------------------------------------------------------------------------------


async def test_a_feed_can_start_at_an_instant(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        await fill(gate, 3)
        assert (await gate.api.post("/feeds/now/ack", {"since": "0s"}))["committed_offset"] == 3
        assert (await gate.api.post("/feeds/hour/ack", {"since": "1h"}))["committed_offset"] == 0
        made = await fill(gate, 2)
        assert [one["id"] for one in (await gate.api.get("/feeds/now"))["data"]] == made
        assert (await gate.api.post("/feeds/now/ack", {"since": "1h"}))["committed_offset"] == 3, "never back"
        for wrong in ({}, {"cursor": "YTA", "since": "1h"}, {"since": "soon"}):
            assert (await gate.api("POST", "/api/v1/feeds/now/ack", wrong)).status == 400


async def test_an_edited_copy_may_be_any_json(tmp_path: Path) -> None:
    toml = TOML + '[destinations.d]\nurl = "http://127.0.0.1:1/"\n'
    async with served(tmp_path, toml) as gate:
        (event,) = await fill(gate, 1)
        for body in ({"n": 5}, [1], "text", None):
            answer = await gate.api.post(f"/events/{event}/replay", {"destination": "d", "body": body})
            assert (await gate.api.get(f"/events/{answer['event']}"))["data"] == body
        request = await gate.api.post(f"/events/{event}/request", {"body": {"n": 6}, "headers": {"x-a": "b"}})
        assert (msgspec.json.decode(request["body"])["data"], request["signed"]) == ({"n": 6}, False)
        assert msgspec.json.decode((await gate.api.get(f"/events/{event}/request"))["body"])["data"] == {"n": 0}


async def test_a_feed_gives_everything_once_acked_and_moves_only_by_ack(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        made = await fill(gate, 25)
        seen: list[str] = []
        while page := await gate.api.get("/feeds/worker?limit=10"):
            again = await gate.api.get("/feeds/worker?limit=10")
            assert again == page  # reading moves nothing
            if not page["data"]:
                break
            seen += [one["id"] for one in page["data"]]
            await gate.api.post("/feeds/worker/ack", {"cursor": page["next_cursor"]})
        assert seen == made
        first = (await gate.api.get("/feeds/other?limit=1"))["next_cursor"]
        committed_offset = (await gate.api.post("/feeds/worker/ack", {"cursor": first}))["committed_offset"]
        assert committed_offset == 25  # never back
    async with served(tmp_path, TOML) as gate:
        made = await fill(gate, 1)
        assert [one["id"] for one in (await gate.api.get("/feeds/worker"))["data"]] == made


async def test_a_feed_behind_the_retention_gets_the_oldest_cursor(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        made = await fill(gate, 10)
        page = await gate.api.get("/feeds/worker?limit=2")
        await gate.api.post("/feeds/worker/ack", {"cursor": page["next_cursor"]})
        assert await gate.gateway.store.log.trim(2, 100) == 2
        assert len((await gate.api.get("/feeds/worker"))["data"]) == 8  # what is gone was worked off
        assert await gate.gateway.store.log.trim(5, 100) == 3
        answer = await gate.api("GET", "/api/v1/feeds/worker")
        assert (answer.status, answer.json()["code"]) == (410, "feed_expired")
        await gate.api.post("/feeds/worker/ack", {"cursor": answer.json()["oldest_cursor"]})
        assert [one["id"] for one in (await gate.api.get("/feeds/worker"))["data"]] == made[5:]
        assert [one["id"] for one in (await gate.api.get("/feeds/new"))["data"]] == made[5:]
        await gate.gateway.store.log.trim(10, 100)  # nothing is left
        assert (await gate.api("GET", "/api/v1/feeds/worker")).json()["code"] == "feed_expired"


async def test_an_ack_beyond_the_end_of_the_log_or_of_a_bad_name_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        ahead = "YTk5OQ"  # a999
        for path, body in (
            ("/feeds/worker/ack", {"cursor": ahead}),
            ("/feeds/worker/ack", {"cursor": ""}),
            ("/feeds/worker/ack", {}),
            ("/feeds/No%20Name/ack", {"cursor": "YTA"}),
        ):
            assert (await gate.api("POST", "/api/v1" + path, body)).status == 400, (path, body)
        assert await gate.gateway.store.settings.feed("worker") is None


# -- the stream ------------------------------------------------------------------------------------------


async def messages(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    """Server-sent events as their fields; comments and empty ones are left out."""
    fields: dict[str, str] = {}
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if line == b"\n":
            if "data" in fields:
                yield fields
            fields = {}
        elif name:
            fields[name] = value


def follow(gate: Served, last: str | None = None, query: str = "") -> Any:
    headers = {"Authorization": f"Bearer {gate.api.key}"}
    if last is not None:
        headers["Last-Event-ID"] = last
    return gate.api.http.get(f"{gate.url}/api/v1/events/stream{query}", headers=headers)


async def test_a_stream_that_resumes_misses_nothing_and_repeats_nothing_while_events_come(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        made = await fill(gate, 300)
        going = True

        async def append() -> None:
            while going:
                made.extend(await fill(gate, 3))

        appending = asyncio.create_task(append())
        seen: list[str] = []
        last = made[9]
        for _ in range(4):  # cut and resumed in the midst
            async with follow(gate, last) as answer:
                async for message in messages(answer):
                    seen.append(message["id"])
                    if len(seen) % 150 == 0:
                        break
            last = seen[-1]
        going = False
        await appending
        assert seen == made[10 : 10 + len(seen)] and len(seen) == 600


async def test_a_stream_gives_only_what_is_asked_for_from_now_on(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        await fill(gate, 5)
        async with follow(gate, query="?source=shop&type=u") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            await answer.content.readline()  # it is open
            await fill(gate, 3)
            await publish(gate.gateway, source="shop", type="t")
            await publish(gate.gateway, b'{"n": "\\n"}', source="shop", type="u")
            message = await anext(messages(answer))
            event = msgspec.json.decode(message["data"])
            assert (event["source"], event["type"], event["data"]) == ("shop", "u", {"n": "\n"})
            assert message["id"] == event["id"]


async def test_a_stream_resumed_past_the_retention_names_the_oldest_event(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        made = await fill(gate, 10)
        await gate.gateway.store.log.trim(5, 100)
        async with follow(gate, made[1]) as answer:
            shown = messages(answer)
            gap = await anext(shown)
            assert gap["event"] == "expired"
            assert msgspec.json.decode(gap["data"]) == {"oldest": made[5]}
            assert [(await anext(shown))["id"] for _ in range(5)] == made[5:]


async def test_a_last_event_id_of_another_log_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate, follow(gate, "evt_nonsense") as answer:
        assert answer.status == 400


async def test_a_client_that_reads_too_slowly_has_to_reconnect_and_its_memory_is_bounded(tmp_path: Path) -> None:
    async def _ready(chunks: AsyncIterator[bytes], gate: Served) -> AsyncIterator[bytes]:
        """One small event through the stream: it is live."""
        await publish(gate.gateway, source="crm")
        yield await anext(chunks)

    async with served(tmp_path, TOML) as gate:
        opened = gate.context.hub.open(stream.EventFilter(), last_event_id=None, allowed=None)
        chunks = opened.chunks()
        assert (await anext(chunks)).startswith(b"retry")
        await anext(_ready(chunks, gate))
        body = msgspec.json.encode("x" * 500_000)
        for _ in range(stream.QUEUE_BYTES // 500_000 + 2):
            await publish(gate.gateway, body, source="crm")
        rest = [chunk async for chunk in chunks]
        assert rest == [stream.RECONNECT]
        assert len(gate.context.hub) == 0


async def test_streams_end_when_the_gateway_stops_so_that_it_stops_at_once(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        async with follow(gate) as answer:
            await answer.content.readline()
            gate.gateway.stopping.set()
            message = await asyncio.wait_for(anext(messages(answer)), 5)
            assert message["event"] == "reconnect"
        assert len(gate.context.hub) == 0


async def test_more_streams_than_allowed_are_refused_for_now(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS", 1)
    async with served(tmp_path, TOML) as gate, follow(gate) as first:
        await first.content.readline()
        async with follow(gate) as second:
            assert second.status == 503
            assert "retry-after" in second.headers
