"""Clients that do not read, read too slowly or send without end are cut, and memory is bounded in every state."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway.process import GatewayProcess, free_port
from support.gateway.running import until
from tidegate.process.edge.protocol import StrictProtocol
from tidegate.process.edge.reading import READ_RATE, READ_SECONDS
from tidegate.process.edge.server import bind, make_server

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
PART = b"x" * 65536


class App:
    """Answers with `parts` parts, and notes what it could send and whether it learned that the client is gone."""

    def __init__(self, parts: int, *, length: bool) -> None:
        self.parts = parts
        self.length = length
        self.sent = 0
        self.gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()

        watcher = asyncio.create_task(watch())
        size = [(b"content-length", b"%d" % (self.parts * len(PART)))] if self.length else []
        await send({"type": "http.response.start", "status": 200, "headers": size})
        while self.sent < self.parts and not self.gone.is_set():
            await send({"type": "http.response.body", "body": PART, "more_body": True})
            self.sent += 1
        await send({"type": "http.response.body", "body": b""})
        if self.gone.is_set():
            await watcher
        watcher.cancel()


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[socket.socket, StrictProtocol]]:
    """A client with a small buffer that sent GET, and its connection at the server."""
    listener = bind("127.0.0.1", 0)
    server = make_server(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, listener.getsockname()[:2])
        await loop.sock_sendall(client, GET)
        await until(lambda: any(one.cycle for one in server.server_state.connections))
        (one,) = server.server_state.connections
        assert isinstance(one, StrictProtocol)
        try:
            yield client, one
        finally:
            client.close()
            server.should_exit = True
            await task


async def _end_of(client: socket.socket) -> bool:
    """Whether the connection ended, by what the kernel still has for the client."""
    try:
        async with asyncio.timeout(10):
            while await asyncio.get_running_loop().sock_recv(client, 1 << 20):
                pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("length", [True, False], ids=["ordinary answer", "stream"])
async def test_a_client_that_reads_nothing_is_cut_and_little_is_held_for_it(length: bool) -> None:
    app = App(2000, length=length)  # 125 MiB
    async with served(app) as (client, one):
        await until(lambda: one.transport.get_write_buffer_size() > 0)
        sent = -1
        while sent != app.sent:  # until the app has to wait
            sent = app.sent
            await asyncio.sleep(0.05)
        assert one.transport.get_write_buffer_size() <= 4 * len(PART)
        for _ in range(READ_SECONDS - 3):  # the server sweeps too
            one.sweep()
        assert not one.transport.is_closing()
        for _ in range(6):
            one.sweep()
        await asyncio.wait_for(app.gone.wait(), 10)
        assert await _end_of(client)
        assert app.sent < app.parts


async def test_a_client_that_reads_an_ordinary_answer_too_slowly_is_cut() -> None:
    app = App(2000, length=True)
    async with served(app) as (client, one):
        await until(lambda: one.transport.get_write_buffer_size() > 0)
        for _ in range(2 * READ_SECONDS + 2):
            with contextlib.suppress(BlockingIOError):
                client.recv(READ_RATE // 4)
            await asyncio.sleep(0)
            one.sweep()
        assert one.transport.is_closing()
        await asyncio.wait_for(app.gone.wait(), 10)


async def test_a_client_that_reads_slowly_and_steadily_gets_all_of_a_long_answer() -> None:
    app = App(100, length=False)
    async with served(app) as (client, one):
        read = 0
        while read < app.parts * len(PART):
            since = read
            while read < since + 8 * READ_RATE and read < app.parts * len(PART):
                part = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 2 * READ_RATE), 10)
                read += len(part)
            one.sweep()
            assert one._answered or not one.transport.is_closing(), read


# -- memory of a whole gateway, state by state ---------------------------------------------------------------------

TOML = """
[sources.shop.webhook]
verify = "none"
max_body = "64KiB"
"""
AUTH = "GET /api/v1/events/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer KEY\r\n\r\n"
HEADER = b"x-" + b"y" * 65000 + b": z\r\n"
FLOODS: dict[str, tuple[str, bytes]] = {
    "a head that does not end": ("GET / HTTP/1.1\r\n", HEADER),
    "a head after an answered request": ("GET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n", HEADER),
    "a head behind a stream that is not read": (AUTH + "GET / HTTP/1.1\r\n", HEADER),
    "requests behind a stream that is not read": (AUTH, b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n" * 1500),
    "requests whose answers are not read": ("", b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n" * 1500),
    "a body that is too large": ("POST /in/shop HTTP/1.1\r\nhost: a\r\ncontent-length: 900000000\r\n\r\n", PART),
    "chunks of a body that is too large": (
        "POST /in/shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        b"10000\r\n" + PART + b"\r\n",
    ),
    "an extension of a chunk": ("POST /in/shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;x=", PART),
    "trailers": ("POST /in/shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", HEADER),
    "after a request that was rejected": ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", PART),
}
CONNECTIONS = 8
FLOOD_BYTES = 40 << 20
MAX_GROWTH_KIB = 40 << 10  # of all eight, which send 320 MiB


def _peak_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("the system does not say")


async def _flood(port: int, first: bytes, again: bytes) -> int:
    """How much the gateway let in, within a few seconds."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        sent = 0
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(3):
                await loop.sock_sendall(client, first)
                while sent < FLOOD_BYTES:
                    await loop.sock_sendall(client, again)
                    sent += len(again)
        return sent


async def test_what_one_client_sends_or_does_not_read_never_costs_much_memory(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.toml"
    file.write_text(TOML)
    gateway = await GatewayProcess(file, tmp_path / "data", free_port()).start()
    try:
        for name, (first, again) in FLOODS.items():
            before = _peak_kib(gateway.pid)
            head = first.replace("KEY", gateway.key).encode()
            await asyncio.gather(*(_flood(gateway.port, head, again) for _ in range(CONNECTIONS)))
            growth = _peak_kib(gateway.pid) - before
            print(f"{name}: {growth} KiB")
            assert growth < MAX_GROWTH_KIB, (name, growth)
        assert gateway.running
    finally:
        await gateway.end(15)
