"""A credential looks the same on the wire whether a source or a destination uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.gateway.running import publish, running, until
from support.receiver.proxying import ConnectProxy
from support.receiver.scripted import ScriptedServer, TestAuthority, answer

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


async def test_both_sides_use_the_authority_the_certificate_and_the_proxy(tmp_path: Path) -> None:
    """The whole way from the file: a server that wants a certificate and a token, behind a proxy with a password."""
    authority = TestAuthority(tmp_path / "pki")
    (tmp_path / "gateway").mkdir()
    for name, text in zip(("client.pem", "client.key"), authority.pair(), strict=True):
        (tmp_path / "gateway" / name).write_text(text)
    (tmp_path / "gateway" / "ca.pem").write_text(authority.pem)
    async with (
        ScriptedServer(JSON, tls=authority.server(clients=authority)) as server,
        ConnectProxy(authorization="Basic dTpw") as proxy,
    ):
        beside = '{ type = "bearer", token = "t" }'
        auth = '{ type = "mtls", certificate = "${file:client.pem}", private_key = "${file:client.key}", auth = %s }'
        way = f'ca = "${{file:ca.pem}}"\nproxy = {{ url = "{proxy.url}", username = "u", password = "p" }}'
        text = FILE.replace("http:", "https:").format(port=server.port, auth=f"{auth % beside}\n{way}")
        async with running(tmp_path / "gateway", text) as gateway:
            await gateway.pull.pull("shop", "orders", None, [], max_age=None, no_cache=False, if_none_match=None)
            await publish(gateway, source="app")
            await until(lambda: len(server.requests) == 2)
        assert [request.headers["authorization"] for request in server.requests] == ["Bearer t"] * 2
        assert proxy.asked == [f"127.0.0.1:{server.port}"] * 2
        data = b"".join(path.read_bytes() for path in (tmp_path / "gateway" / "data").rglob("*") if path.is_file())
        assert b"PRIVATE KEY" not in data and b"dTpw" not in data, "the store has them sealed only"
