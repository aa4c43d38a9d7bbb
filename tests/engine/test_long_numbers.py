"""Decimals with more digits than a float has keep them on every way through the gateway, on both stores."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.gateway.api import Served, served
from support.gateway.running import until
from support.postgres.server import database_for
from support.receiver.scripted import Request, ScriptedServer

LONG = "12345678901234567890.123456789012345678"
NEXT = LONG[:-1] + "9"  # the same float
ALMOST_ONE = "0.99999999999999999999"

TOML = """
[sources.shop.api]
base_url = "{url}"
[sources.shop.resources.orders]
path = "/orders"
poll = "1h"
initial = "events"
[sources.shop.operations.write]
path = "/written"
json = {{ amount = "{{{{ data.amount }}}}", text = "is {{{{ data.amount }}}}", was = "{{{{ change.before.amount }}}}" }}
[sources.hook.webhook]
verify = "none"
[sources.hook.publish]
[destinations.raw]
url = "{url}/raw"
[destinations.envelope]
url = "{url}/envelope"
body = "envelope"
[destinations.write]
type = "operation"
operation = "shop/write"
[routes.all]
from = "*"
to = ["raw", "envelope"]
[routes.picked]
from = "hook"
types = ["picked"]
transform = {{ pick = ["data.amount"] }}
to = "write"
[routes.updated]
from = "shop"
changes = ["orders"]
filter = {{ change = {{ before = {{ amount = {{ "$gt" = 1 }} }} }} }}
to = "write"
"""


class Upstream:
    """A source with one order, and whatever is sent to it, as text."""

    def __init__(self) -> None:
        self.amount = LONG
        self.bodies: dict[str, list[str]] = {}
        self.server = ScriptedServer(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        method, path, _ = request.line.split(" ")
        self.bodies.setdefault(path, []).append(request.body.decode())
        shown = (
            f'[{{"id": 1, "amount": {self.amount}, "price": {ALMOST_ONE}}}]'
            if method == "GET"
            else request.body.decode()
        )
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(shown)}\r\n\r\n{shown}".encode()
        )


async def text(gate: Served, path: str) -> str:
    answer = await gate.api("GET", f"/api/v1{path}")
    assert answer.status == 200, answer.body
    return answer.body.decode()


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_a_long_decimal_of_a_record_keeps_its_digits(tmp_path: Path, store: str) -> None:
    upstream = Upstream()
    database = database_for(tmp_path) if store == "postgres" else None
    async with upstream.server, served(tmp_path, TOML.format(url=upstream.server.url), database=database) as gate:
        await until(lambda: len(upstream.bodies.get("/raw", [])) == 1)
        before = (await gate.api.get("/events?source=shop"))["data"][0]["received_at"]
        upstream.amount = NEXT
        await gate.api.post("/sources/shop/resources/orders/poll")
        await until(lambda: upstream.bodies.get("/written"))
        await until(lambda: len(upstream.bodies["/raw"]) == len(upstream.bodies["/envelope"]) == 2)

        assert f'"amount":{NEXT},"id":1,"price":{ALMOST_ONE}' in await text(gate, "/records/shop/orders")
        assert f'"amount":{NEXT}' in await text(gate, "/records/shop/orders/1")
        assert f'"amount":{LONG}' in await text(gate, f"/records/shop/orders?as_of={before}")
        assert f'"amount":{LONG}' in await text(gate, f"/records/shop/orders/1?as_of={before}")
        event = await text(gate, "/events?source=shop&type=orders.updated")
        assert f'"before":{{"amount":{LONG}' in event and f'"data":{{"amount":{NEXT}' in event
        assert '"fields":["amount"]' in event, "the price did not change"
        for path in ("/raw", "/envelope"):
            assert f'"amount":{LONG}' in upstream.bodies[path][0] and f'"amount":{NEXT}' in upstream.bodies[path][1]
        assert upstream.bodies["/written"] == [f'{{"amount":{NEXT},"text":"is {NEXT}","was":{LONG}}}']


async def test_a_long_decimal_of_an_event_keeps_its_digits(tmp_path: Path) -> None:
    upstream = Upstream()
    body = f'{{"type":"picked","amount":{LONG},"price":10.50}}'.encode()
    async with upstream.server, served(tmp_path, TOML.format(url=upstream.server.url)) as gate:
        assert (await gate.api("POST", "/in/hook", body)).status == 202
        published = f'{{"source":"hook","type":"picked","data":{{"amount":{LONG}}}}}'.encode()
        assert (await gate.api("POST", "/api/v1/events", published)).status == 202
        call = await gate.api("POST", "/api/v1/call/shop/write", f'{{"data":{{"amount":{LONG}}}}}'.encode())
        assert f'"amount":{LONG},"text":"is {LONG}"' in call.body.decode()
        await until(lambda: len(upstream.bodies.get("/written", [])) == 3)
        await until(lambda: len(upstream.bodies.get("/envelope", [])) == 2)
        assert all(f'"amount":{LONG},"text":"is {LONG}"' in one for one in upstream.bodies["/written"])
        assert f'"amount":{LONG},"price":10.50' in upstream.bodies["/envelope"][0]
        assert f'"amount":{LONG},"price":10.50' in await text(gate, "/events?source=hook&limit=2")
