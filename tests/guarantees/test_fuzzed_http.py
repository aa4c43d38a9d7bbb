"""Any bytes on a connection, in either direction: no crash, no hang, memory flat, never two events from one request.

The edge is compared with an independent parser (h11): of what both read, each request and each body must be the same.
A difference would be a request that a proxy and the gateway see differently. `make proof` sends two million inputs.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import resource
import time
from typing import Any

import h11
import uvicorn

from support.faults.fuzzing import cuts, stream
from tidegate.outbound.connection import Connection, Pending
from tidegate.process.edge.fast import FastProtocol
from tidegate.rules.outbound.addresses import parse_target

INPUTS = int(os.environ.get("TIDEGATE_FUZZ_INPUTS", "6000"))
SLOWEST_SECONDS = 1.0  # of CPU: a busy machine stops the test itself for longer


class Socket:
    """A transport of memory: what was written, and whether it was closed."""

    def __init__(self) -> None:
        self.written = 0
        self.closed = False

    def get_extra_info(self, _: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        assert not self.closed or data
        self.written += len(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        for part in parts:
            self.write(part)

    def close(self) -> None:
        self.closed = True

    abort = close


def by_another_parser(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(method, target, body) of each request that h11 reads to its end, until it reads none."""
    found: list[tuple[bytes, bytes, bytes]] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    request, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return found
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                found.append((bytes(request.method), bytes(request.target), body))
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return found
                connection.start_next_cycle()
            else:
                return found
    except h11.ProtocolError:
        return found


class Edge:
    """Feeds connections to the edge; its app keeps what it was handed."""

    def __init__(self) -> None:
        self.handed: list[tuple[bytes, bytes, bytes]] = []
        self._ways = 0
        self.config = uvicorn.Config(self._app, log_config=None, ws="none", lifespan="off", interface="asgi3")
        self.config.direct = (b"/in/", self._take)  # type: ignore[attr-defined]  # as the gateway has it
        self.config.load()
        self.server = uvicorn.Server(self.config)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.handed.append((scope["method"].encode(), target, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def _take(self, scope: Any, named: Any, body: bytes, connection: Any) -> bool:
        """The short way: answered at once, later, the usual way after all, or not taken."""
        way = self._ways = (self._ways + 1) % 4
        if way == 0:
            return False
        loop = asyncio.get_running_loop()
        if way == 1:
            loop.call_soon(connection.again)
            return True
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.handed.append((scope["method"].encode(), target, body))
        if way == 2:
            connection.answer(200, b"content-length: 0\r\n\r\n")
        else:
            loop.call_soon(connection.answer, 200, b"content-length: 0\r\n\r\n")
        return True

    async def feed(self, pieces: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
        self.handed = []
        protocol = FastProtocol(self.config, self.server.server_state, {})
        socket = Socket()
        protocol.connection_made(socket)
        for piece in pieces:
            if not socket.closed:
                protocol.data_received(piece)
            for _ in range(3):
                await asyncio.sleep(0)
        for _ in range(12):
            await asyncio.sleep(0)
        protocol.sweep()
        protocol.connection_lost(None)
        await asyncio.sleep(0)
        return self.handed


def path_of(target: bytes) -> bytes:
    """The path of a target in absolute form."""
    begins = re.match(rb"https?://[^/?#]*", target, re.IGNORECASE)
    path = target[begins.end() :] if begins else target
    return path if path[:1] in (b"/", b"*") else b"/" + path


async def test_the_edge_reads_what_another_parser_reads() -> None:
    edge, chance, both = Edge(), random.Random(20261130), 0
    warm = 0
    for number in range(INPUTS):
        data = stream(chance)
        began = time.thread_time()
        handed = await edge.feed(cuts(data, chance))
        assert time.thread_time() - began < SLOWEST_SECONDS, data
        other = by_another_parser(data)
        for ours, theirs in zip(handed, other, strict=False):
            assert (ours[0], ours[1], ours[2]) == (theirs[0], path_of(theirs[1]), theirs[2]), (number, data)
            both += 1
        if number == INPUTS // 2:
            warm = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - warm
    assert grown < 32 * 1024, f"{grown} KiB more after the second half"
    assert not edge.server.server_state.connections and len(edge.server.server_state.tasks) < 50
    assert both > INPUTS // 2, "most inputs must be read by both, or nothing was compared"


class Owner:
    """Counts the ends of a request."""

    def __init__(self) -> None:
        self.ends = 0

    def opened(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...

    def ended(self, pending: Pending, outcome: Any, error: str, reusable: bool) -> None:
        self.ends += 1
        assert len(error) < 1000

    def unanswered(self, pending: Pending) -> None:
        self.ends += 1

    def aborted(self, pending: Pending) -> None: ...


def make_connection(owner: Owner) -> Connection:
    connection = Connection(owner, body_limit=1024, read_limit=4096)
    connection.connection_made(Socket())  # type: ignore[arg-type]
    return connection


def test_a_request_of_ours_ends_exactly_once_whatever_the_receiver_sends() -> None:
    target = parse_target("http://127.0.0.1:9/hook")
    chance = random.Random(1130)
    for _ in range(INPUTS):
        owner = Owner()
        connection = make_connection(owner)
        pending = Pending(owner, target, b"", b"{}", 5.0, lambda _: None, False)
        connection.begin(pending)
        data = stream(chance, answers=True)
        began = time.thread_time()
        for piece in cuts(data, chance):
            if connection.transport.is_closing():
                break
            connection.data_received(piece)
        connection.connection_lost(None)
        assert time.thread_time() - began < SLOWEST_SECONDS, data
        assert owner.ends == 1, data
