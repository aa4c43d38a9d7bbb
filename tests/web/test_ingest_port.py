"""The port for webhooks alone: only `/in/SOURCE` reaches a source there, by either way of the edge."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.gateway.api import served
from support.gateway.running import until
from tidegate.process.edge.server import bind, make_server

TOML = """
[sources.shop.webhook]
verify = "none"
"""
ELSEWHERE = [
    "/shop", "/xx/shop", "/IN/shop", "/admin/in/shop", "/in//shop", "/in/in/shop", "//in/shop", "/in/shop/more",
    "/in/../in/shop", "/in/shop%2Fmore", "/in/", "/in", "/", "/api/v1/events", "/livez/in/shop", "/in;/shop",
]  # fmt: skip


@pytest.mark.parametrize("body", [b"{}", b"x" * 70_000], ids=["short way", "usual way"])
async def test_no_other_path_reaches_a_source(body: bytes, tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        listener = bind("127.0.0.1", 0)
        server = make_server(gate.gateway.ingress, direct=(b"/in/", gate.gateway.ingress.direct))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        host, port = listener.getsockname()[:2]
        try:
            for path in [*ELSEWHERE, "/in/shop"]:
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(body)))
                writer.write(body)
                status = int((await reader.readline()).split()[1])
                writer.close()
                assert status == (202 if path == "/in/shop" else 404), path
            assert len((await gate.api.get("/events"))["data"]) == 1
        finally:
            server.should_exit = True
            await serving
