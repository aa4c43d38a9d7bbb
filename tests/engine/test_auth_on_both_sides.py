"""A credential looks the same on the wire whether a source or a destination uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.gateway.running import publish, running, until
from support.receiver.scripted import ScriptedServer, answer

JSON = answer(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]")

CREDENTIALS = [
    ({"type": "bearer", "token": "t0k+/="}, "authorization", "Bearer t0k+/="),
    ({"type": "http_basic", "username": "ü", "password": "p:p"}, "authorization", "Basic w7w6cDpw"),
    ({"type": "api_key", "name": "X-Key", "api_key": "k k"}, "x-key", "k k"),
    ({"type": "api_key", "name": "sid", "api_key": "a+/=", "location": "cookie"}, "cookie", "sid=a+/="),
    ({"type": "api_key", "name": "sid", "api_key": "a;b c", "location": "cookie"}, "cookie", "sid=a%3Bb%20c"),
]
FILE = """
[sources.app.publish]
[sources.shop.api]
base_url = "http://127.0.0.1:{port}"
auth = {auth}
[sources.shop.resources.orders]
path = "/orders"
[destinations.crm]
url = "http://127.0.0.1:{port}/hook"
auth = {auth}
[routes.r]
from = "app"
to = "crm"
"""


def toml(table: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"


@pytest.mark.parametrize(("auth", "header", "value"), CREDENTIALS)
async def test_both_sides_send_the_same_header(tmp_path: Path, auth: dict[str, str], header: str, value: str) -> None:
    async with (
        ScriptedServer(JSON) as server,
        running(tmp_path, FILE.format(port=server.port, auth=toml(auth))) as gateway,
    ):
        await gateway.pull.pull("shop", "orders", None, [], max_age=None, no_cache=False, if_none_match=None)
        await publish(gateway, source="app")
        await until(lambda: len(server.requests) == 2)
        assert [request.headers[header] for request in server.requests] == [value, value]


async def test_both_sides_send_the_same_parameter(tmp_path: Path) -> None:
    auth = {"type": "api_key", "name": "to ken", "api_key": "a&b=ü", "location": "query"}

    async with (
        ScriptedServer(JSON) as server,
        running(tmp_path, FILE.format(port=server.port, auth=toml(auth))) as gateway,
    ):
        await gateway.pull.pull("shop", "orders", None, [], max_age=None, no_cache=False, if_none_match=None)
        await publish(gateway, source="app")
        await until(lambda: len(server.requests) == 2)
        assert [request.line.split()[1].partition("?")[2] for request in server.requests] == [
            "to%20ken=a%26b%3D%C3%BC"
        ] * 2
