"""The edge of HTTP, over real sockets: answers in one piece, silent and slow connections cut, order kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.gateway.running import until
from tidegate.process.edge.protocol import HEAD_SECONDS, KEEP_ALIVE_SECONDS, StrictProtocol
from tidegate.process.edge.server import Server, bind, make_server

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[Server, asyncio.StreamReader, asyncio.StreamWriter]]:
    listener = bind("127.0.0.1", 0)
    server = make_server(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
    try:
        yield server, reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await task


def answer(*parts: bytes, wait: asyncio.Event | None = None, length: int | None = None) -> Any:
    """An app that sends a head, waits when the test says so, and sends the parts."""
    size = sum(len(part) for part in parts) if length is None else length

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        if wait is not None:
            await wait.wait()
        for part in parts[:-1]:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": parts[-1]})

    return app


def protocol(server: Server) -> StrictProtocol:
    (one,) = server.server_state.connections
    assert isinstance(one, StrictProtocol)
    return one


class Wrote:
    """Stands before a transport and counts what is handed to it."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.calls: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)
        self.transport.write(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.calls.append(b"".join(parts))
        self.transport.writelines(parts)

    def close(self) -> None:
        self.transport.close()


async def _connected(server: Server) -> StrictProtocol:
    await until(lambda: server.server_state.connections)
    return protocol(server)


async def test_head_and_body_of_an_answer_leave_in_one_write() -> None:
    async with served(answer(b"hello")) as (server, reader, writer):
        one = await _connected(server)
        wrote = one._joined._transport = Wrote(one.transport)
        for _ in range(3):
            writer.write(GET)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        assert len(wrote.calls) == 3


async def test_a_head_reaches_the_caller_though_the_body_is_not_there_yet() -> None:
    wait = asyncio.Event()
    async with served(answer(b"late", wait=wait)) as (_, reader, writer):
        writer.write(GET)
        assert b"content-length: 4" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        wait.set()
        assert await asyncio.wait_for(reader.readexactly(4), 10) == b"late"


@pytest.mark.parametrize("first", [GET, b""])
async def test_a_head_without_end_is_cut_before_it_takes_room(first: bytes) -> None:
    async with served(answer(b"hello")) as (server, reader, writer):
        writer.write(first)
        if first:
            await reader.readuntil(b"hello")
        one = await _connected(server)
        writer.write(b"GET / HTTP/1.1\r\n")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 and not (one._lingering or one.transport.is_closing()):
                writer.write(b"x-%d: " % sent + b"y" * 8000 + b"\r\n")
                await writer.drain()
                sent += 1
                await asyncio.sleep(0.005)
        assert sent < 32  # of 8 KB each


CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


async def reads(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    assert (b"x-trailer", b"1") not in scope["headers"]
    body = b"%d bytes" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("app", [reads, answer(b"hello")])
@pytest.mark.parametrize(
    ("before", "again"),
    [
        (b"2\r\nok\r\n0\r\n", b"x-a: " + b"y" * 1000 + b"\r\n"),
        (b"2\r\nok\r\n0\r\n", b"a:\r\n" * 200),
        (b"0\r\nx-a: ", b"y" * 1000),
        (b"1;x=", b"y" * 1000),
        (b"", b"1;" + b"y" * 1000 + b"\r\nx\r\n"),
    ],
)
async def test_framing_without_end_is_cut_and_kept_nowhere(app: Any, before: bytes, again: bytes) -> None:
    async with served(app) as (server, _, writer):
        one = await _connected(server)
        writer.write(CHUNKED + before)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 500 and not (one._lingering or one.transport.is_closing()):
                writer.write(again)
                await writer.drain()
                sent += 1
                await asyncio.sleep(0.001)
        assert sent < 400  # of 1 KB each
        assert len(one.scope["headers"]) == 2


async def test_a_body_in_the_smallest_chunks_and_with_a_trailer_is_taken() -> None:
    async with served(reads) as (_, reader, writer):
        for _ in range(2):
            writer.write(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\nx-trailer: 1\r\n\r\n")
            assert (await asyncio.wait_for(reader.readuntil(b"bytes"), 10)).endswith(b"50000 bytes")


@pytest.mark.parametrize("still", [b"", b"x"])
async def test_a_body_that_still_comes_after_the_answer_is_not_waited_for_long(still: bytes) -> None:
    async with served(answer(b"hello")) as (server, reader, writer):
        one = await _connected(server)
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")
        await reader.readuntil(b"hello")
        one._sweeps = 0
        for _ in range(HEAD_SECONDS - 2):
            one.sweep()
            writer.write(still)
        assert not one.transport.is_closing()
        for _ in range(4):
            one.sweep()
        assert one.transport.is_closing()


async def test_parts_of_a_body_arrive_whole_and_in_order() -> None:
    parts = [bytes([65 + n % 26]) * (n * 1000 % 70_000) for n in range(40)]
    async with served(answer(*parts, b"end")) as (_, reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        body = b"".join(parts) + b"end"
        assert await asyncio.wait_for(reader.readexactly(len(body)), 20) == body


@pytest.mark.parametrize(("method", "body"), [(b"GET", b"hello"), (b"HEAD", b"")])
async def test_answers_without_a_body_and_answers_that_close_arrive_whole(method: bytes, body: bytes) -> None:
    ask = GET.replace(b"GET", method)
    async with served(answer(b"hello")) as (_, reader, writer):
        writer.write(ask + ask.replace(b"host: a", b"host: a\r\nconnection: close"))
        whole = await asyncio.wait_for(reader.read(), 10)  # until it is closed
        assert whole.count(b"HTTP/1.1 200") == 2
        assert whole.endswith(b"\r\n\r\n" + body)


async def test_100_continue_is_sent_before_the_body_is_waited_for() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": body})

    async with served(app) as (_, reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert b"100 Continue" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writer.write(b"ok")
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), 10)).startswith(b"HTTP/1.1 200")


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05 if scope["path"] == "/0" else 0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async with served(app) as (_, reader, writer):
        writer.write(b"".join(GET.replace(b"GET /", b"GET /%d" % number) for number in range(5)))
        for number in range(5):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n/%d" % number), 10)


async def test_a_second_request_is_not_even_parsed_before_the_first_is_answered() -> None:
    turn, paths = asyncio.Semaphore(0), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        await turn.acquire()
        await answer(b"hello")(scope, receive, send)

    async with served(app) as (server, reader, writer):
        one = await _connected(server)
        writer.write(b"".join(GET.replace(b"GET /", b"GET /%d" % number) for number in range(50)))
        for number in range(50):
            await until(lambda: len(paths) == number + 1)  # noqa: B023
            assert (paths[-1], one.cycle.response_complete) == (f"/{number}", False)
            turn.release()
            await asyncio.wait_for(reader.readuntil(b"hello"), 10)


async def test_a_client_that_sends_on_without_reading_answers_is_not_read_further() -> None:
    late = asyncio.Event()
    async with served(answer(b"late", wait=late)) as (server, _, writer):
        one = await _connected(server)
        writer.write(GET)
        await until(lambda: one.cycle is not None)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 40_000_000:
                writer.write(GET * 10_000)
                sent += len(GET) * 10_000
                await asyncio.wait_for(writer.drain(), 0.5)
        assert one.flow.read_paused and len(one._rest) < 1024 * 1024
        writer.transport.abort()
        late.set()


async def test_the_body_of_one_that_waited_is_read_on() -> None:
    post = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n"
    async with served(reads) as (_, reader, writer):
        writer.write((post + b"x" * 300_000) * 5)
        for _ in range(5):
            assert (await asyncio.wait_for(reader.readuntil(b"bytes"), 10)).endswith(b"300000 bytes")


@pytest.mark.parametrize("asked_before", [False, True])
async def test_a_silent_connection_is_closed_by_the_sweep_not_by_a_timer(asked_before: bool) -> None:
    limit = KEEP_ALIVE_SECONDS if asked_before else HEAD_SECONDS
    async with served(answer(b"hello")) as (server, reader, writer):
        one = await _connected(server)
        if asked_before:
            writer.write(GET)
            await reader.readuntil(b"hello")
            assert one.timeout_keep_alive_task is None
        one._sweeps = 0  # the server's own sweep may have come
        for _ in range(limit - 2):
            one.sweep()
        assert not one.transport.is_closing()
        for _ in range(3):
            one.sweep()
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_head_that_begins_after_a_long_silence_has_its_full_time() -> None:
    async with served(answer(b"hello")) as (server, reader, writer):
        one = await _connected(server)
        writer.write(GET)
        await reader.readuntil(b"hello")
        for _ in range(KEEP_ALIVE_SECONDS - 5):
            one.sweep()
        writer.write(GET[:10])
        await until(lambda: one._rest)
        for _ in range(HEAD_SECONDS - 3):
            one.sweep()
        writer.write(GET[10:])
        await asyncio.wait_for(reader.readuntil(b"hello"), 10)


async def test_a_slow_answer_is_not_cut_by_the_sweep() -> None:
    wait = asyncio.Event()
    async with served(answer(b"late", wait=wait)) as (server, reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(KEEP_ALIVE_SECONDS * 2):
            protocol(server).sweep()
        wait.set()
        assert await asyncio.wait_for(reader.readexactly(4), 10) == b"late"
