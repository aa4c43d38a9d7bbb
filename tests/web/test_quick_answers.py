"""A cached pull that is answered inside the parser is answered like any other, over real sockets.

`Cookie: x=1` changes nothing of an answer; what sends a request the usual way here is a parameter that `quick` does
not take: an empty query (`?`). So the same pull is compared with itself on both ways.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from support.gateway.api import ADMIN, Served, served
from support.receiver.scripted import OK, ScriptedServer, answer
from tidegate.api import quick_answers
from tidegate.api.app import App
from tidegate.api.keys import REFRESH_SECONDS, Grant, Keyring
from tidegate.api.quick_answers import QuickAnswers
from tidegate.core.clock import ManualClock
from tidegate.process.edge.plain_request import PlainReader

TOML = """
[sources.shop.api]
base_url = "{url}"
[sources.shop.resources.orders]
path = "/orders"
item_path = "/orders/{{id}}"
cache = "1h"
"""
VARIES = re.compile(rb"(x-request-id|date|cache-status): [^\r]*")


@asynccontextmanager
async def gateway_with_cache(folder: Path) -> AsyncIterator[tuple[Served, ScriptedServer]]:
    async with ScriptedServer(answer(OK)) as server, served(folder, TOML.format(url=server.url)) as gate:
        for path in ("orders", "orders/7"):
            assert (await gate.api("GET", f"/api/v1/pull/shop/{path}")).status == 200
        yield gate, server


async def raw(gate: Served, target: str, *lines: str, key: str | None = ADMIN, method: str = "GET") -> bytes:
    """The bytes of one response, on a connection of its own."""
    port = int(gate.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines]
    if key is not None:
        head.append(f"Authorization: Bearer {key}")
    writer.write("\r\n".join([*head, "", ""]).encode("latin-1"))
    whole = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = re.search(rb"content-length: (\d+)", whole)
    if length is not None and method != "HEAD":
        whole += await asyncio.wait_for(reader.readexactly(int(length[1])), 10)
    writer.close()
    return whole


def same(one: bytes, other: bytes) -> bool:
    return VARIES.sub(b"", one) == VARIES.sub(b"", other)


@pytest.mark.parametrize("path", ["/api/v1/pull/shop/orders", "/api/v1/pull/shop/orders/7"])
async def test_both_ways_answer_a_cached_pull_with_the_same_bytes(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bytes] = []
    usual_way = App._pull

    async def watched(app: App, scope: Any, receive: Any, send: Any) -> None:
        taken.append(scope["query_string"])
        await usual_way(app, scope, receive, send)

    async with gateway_with_cache(tmp_path) as (gate, server):
        monkeypatch.setattr(App, "_pull", watched)
        quick = await raw(gate, path)
        assert taken == [], "no ASGI app was called"
        usual = await raw(gate, path + "?")
        assert taken == [b""]
        assert quick.startswith(b"HTTP/1.1 200 OK\r\ndate: ") and quick.count(b"content-length") == 1
        assert same(quick, usual), (quick, usual)
        assert b"hit" in quick and len(server.requests) == 2


async def test_rights_are_checked_before_the_cache_is_looked_at(tmp_path: Path) -> None:
    path = "/api/v1/pull/shop/orders"
    async with gateway_with_cache(tmp_path) as (gate, _):
        read, bound, other = (
            await gate.key("read"),
            await gate.key("pull", sources=("shop",)),
            await gate.key("pull", sources=("elsewhere",)),
        )
        expected = {None: 401, "tg_" + "b" * 43: 401, read.key: 403, other.key: 403, bound.key: 200, ADMIN: 200}
        for key, status in expected.items():
            assert (await raw(gate, path, key=key)).startswith(b"HTTP/1.1 %d " % status), status
        await gate.api("DELETE", "/api/v1/keys/test%20pull")
        wrong = await raw(gate, path, "Authorization: Bearer " + ADMIN, key="tg_" + "b" * 43)
        assert wrong.startswith(b"HTTP/1.1 401 "), "of two keys the usual way decides"


async def test_a_request_that_comes_again_is_not_parsed_and_its_key_is_checked_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, parsed, kept = "/api/v1/pull/shop/orders/7", [], []
    read, again = PlainReader.read, QuickAnswers.again

    def reading(reader: PlainReader, data: bytes) -> Any:
        parsed.append(data)
        return read(reader, data)

    def repeating(quick: QuickAnswers, data: bytes) -> Any:
        kept.append(len(quick._calls))
        return again(quick, data)

    monkeypatch.setattr(PlainReader, "read", reading)
    monkeypatch.setattr(QuickAnswers, "again", repeating)
    monkeypatch.setattr(quick_answers, "KEPT_REQUESTS", 3)
    async with gateway_with_cache(tmp_path) as (gate, server):
        made = await gate.key("pull", sources=("shop",))
        parsed.clear()
        first, second = await raw(gate, path, key=made.key), await raw(gate, path, key=made.key)
        assert same(first, second) and len(parsed) == 1 and len(server.requests) == 2
        assert first != second, "each has a request id of its own"
        for number in range(6):
            assert (await raw(gate, path, f"X-N: {number}")).startswith(b"HTTP/1.1 200 ")
        assert max(kept) == 3
        await raw(gate, path, key=made.key)
        (listed,) = [one for one in await gate.context.keyring.all() if one.name.endswith(" pull")]
        await gate.api("DELETE", f"/api/v1/keys/{listed.id}")
        assert (await raw(gate, path, key=made.key)).startswith(b"HTTP/1.1 401 ")


async def test_a_key_that_expires_is_refused_though_its_request_is_known(tmp_path: Path) -> None:
    clock = ManualClock(1_800_000_000_000_000)
    ring = Keyring(cast("Any", None), clock)
    ring._read_at = clock.monotonic()
    grant = Grant("one", frozenset(("pull",)), expires_at_us=clock.now_us() + 2_000_000)
    assert ring.still_holds(grant, ring.epoch) and not ring.still_holds(grant, ring.epoch + 1)
    clock.advance(2)
    assert not ring.still_holds(grant, ring.epoch)
    lasting = Grant("two", frozenset(("pull",)))
    assert ring.still_holds(lasting, ring.epoch)
    clock.advance(REFRESH_SECONDS)
    assert not ring.still_holds(lasting, ring.epoch), "the keys have to be read again"


USUAL = {
    "a condition": ("GET", "/api/v1/pull/shop/orders", ("If-None-Match: *",), b"HTTP/1.1 "),
    "no-cache": ("GET", "/api/v1/pull/shop/orders", ("Cache-Control: no-cache",), b"HTTP/1.1 200 "),
    "an age": ("GET", "/api/v1/pull/shop/orders?max_age=0", (), b"HTTP/1.1 200 "),
    "another method": ("HEAD", "/api/v1/pull/shop/orders", (), b"HTTP/1.1 200 "),
    "an unknown resource": ("GET", "/api/v1/pull/shop/nothing", (), b"HTTP/1.1 404 "),
    "another address": ("GET", "/api/v1/pull/shop/orders/7/8", (), b"HTTP/1.1 404 "),
    "an empty segment": ("GET", "/api/v1/pull/shop//", (), b"HTTP/1.1 404 "),
}


@pytest.mark.parametrize("name", USUAL)
async def test_what_is_more_than_a_cached_copy_takes_the_usual_way(tmp_path: Path, name: str) -> None:
    method, target, lines, beginning = USUAL[name]
    async with gateway_with_cache(tmp_path) as (gate, _):
        assert (await raw(gate, target, *lines, method=method)).startswith(beginning)


async def test_a_gateway_that_is_leaving_closes_the_connection_after_a_cached_pull(tmp_path: Path) -> None:
    async with gateway_with_cache(tmp_path) as (gate, _):
        kept = await raw(gate, "/api/v1/pull/shop/orders")
        closing = await raw(gate, "/api/v1/pull/shop/orders", "Connection: close")
        assert b"connection: close" not in kept and b"connection: close" in closing
