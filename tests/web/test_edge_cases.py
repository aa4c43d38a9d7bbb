"""Edge cases of HTTP/1.1, each with its answer, over a real socket: nothing is read as two requests, or as none.

The app of these tests answers with method, path and body of what it was handed, so an answer shows what was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.gateway.running import until
from tidegate.process.edge.framing import HEAD_FIELDS, HEAD_LIMIT_BYTES
from tidegate.process.edge.server import bind, make_server

POST = b"POST /in/shop HTTP/1.1\r\nHost: a\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
BODY = b'{"a": 1}'
LENGTH = b"Content-Length: 8\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n"
AS_CHUNKS = b"3\r\n" + BODY[:3] + b"\r\n5;ext=1\r\n" + BODY[3:] + b"\r\n0\r\n\r\n"
READ = b"POST /in/shop " + BODY


# A request of `/in/` that comes in one read runs without a task (`direct`), others by uvicorn: both answer alike.
WAYS = {"usual": False, "direct": True}
way = {"direct": False}


@pytest.fixture(params=WAYS, autouse=True)
def either_way(request: pytest.FixtureRequest) -> None:
    way["direct"] = WAYS[request.param]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    answer = b"<" + scope["method"].encode() + b" " + scope["raw_path"] + b" " + body + b">"
    head = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


def take(scope: Any, named: Any, body: bytes, connection: Any) -> bool:
    """What `echo` answers, without a task, in a later turn of the loop."""
    answer = b"<" + scope["method"].encode() + b" " + scope["raw_path"] + b" " + body + b">"
    asyncio.get_running_loop().call_soon(connection.answer, 200, b"content-length: %d\r\n\r\n" % len(answer) + answer)
    return True


@contextlib.asynccontextmanager
async def edge(app: Any = echo) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    listener = bind("127.0.0.1", 0)
    server = make_server(app, direct=(b"/in/", take) if way["direct"] else None)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    reader, writer = await asyncio.open_connection(*listener.getsockname()[:2], limit=1 << 20)
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await task


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, also when it is reset."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            got += data
    return got


def exchange(*pieces: bytes) -> tuple[list[int], list[bytes]]:
    """(statuses, what the app was handed) after the pieces were sent and the connection ended."""

    async def go() -> bytes:
        async with edge() as (reader, writer):
            with contextlib.suppress(ConnectionError):  # what cannot be read may end the connection at any piece
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
            return await asyncio.wait_for(everything(reader), 10)

    got = asyncio.run(go())
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", got)], re.findall(rb"<(.*?)>", got, re.DOTALL)


UPGRADES = {
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "anything": b"connection: keep-alive, upgrade\r\nupgrade: foo/2\r\n",
    "empty": b"Connection: upgrade\r\nUpgrade:\r\n",
}


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("body", [LENGTH + b"\r\n" + BODY, CHUNKS + b"\r\n" + AS_CHUNKS], ids=["length", "chunked"])
def test_an_upgrade_is_ignored_and_its_body_read_as_usual(name: str, body: bytes) -> None:
    assert exchange(POST + UPGRADES[name] + body + NEXT) == ([200, 200], [READ, b"GET /next "])


def test_the_body_of_an_upgrade_is_never_the_next_request() -> None:
    hidden = b"POST /in/other HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    whole = POST + UPGRADES["websocket"] + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden + NEXT
    for pieces in ((whole,), tuple(whole[i : i + 7] for i in range(0, len(whole), 7))):
        assert exchange(*pieces) == ([200, 200], [b"POST /in/shop " + hidden, b"GET /next "])


ANSWERS = {
    "plain": (POST + LENGTH + b"\r\n" + BODY, [200], [READ]),
    "chunked": (POST + CHUNKS + b"\r\n" + AS_CHUNKS, [200], [READ]),
    "trailers": (POST + CHUNKS + b"\r\n8\r\n" + BODY + b"\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n", [200], [READ]),
    "leading empty lines": (b"\r\n\r\n" + POST + LENGTH + b"\r\n" + BODY, [200], [READ]),
    "absolute form of another scheme": (
        b"POST xyz://a/in/shop HTTP/1.1\r\nHost: a\r\n" + LENGTH + b"\r\n" + BODY,
        [400],
        [],
    ),
    "absolute form with a user": (
        b"POST http://a@b/in/shop HTTP/1.1\r\nHost: a\r\n" + LENGTH + b"\r\n" + BODY,
        [400],
        [],
    ),
    "absolute form": (b"POST http://a/in/shop HTTP/1.1\r\nHost: a\r\n" + LENGTH + b"\r\n" + BODY, [200], [READ]),
    "expect": (POST + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n" + BODY, [100, 200], [READ]),
    "repeated field": (POST + b"X-A: 1\r\nX-A: 2\r\n" + LENGTH + b"\r\n" + BODY, [200], [READ]),
    "no body": (POST + b"\r\n", [200], [b"POST /in/shop "]),
    "other expectation": (POST + b"Expect: 200-ok\r\n" + LENGTH + b"\r\n" + BODY, [417], []),
    "two hosts": (POST + b"Host: b\r\n" + LENGTH + b"\r\n" + BODY, [400], []),
    "the same host twice": (POST + b"Host: a\r\n" + LENGTH + b"\r\n" + BODY, [400], []),
    "no host": (b"POST /in/shop HTTP/1.1\r\n" + LENGTH + b"\r\n" + BODY, [400], []),
    "two lengths": (POST + LENGTH + b"Content-Length: 9\r\n\r\n" + BODY, [400], []),
    "the same length twice": (POST + LENGTH + LENGTH + b"\r\n" + BODY, [400], []),
    "length and chunked": (POST + LENGTH + CHUNKS + b"\r\n" + AS_CHUNKS, [400], []),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n" + BODY, [400], []),
    "length with a sign": (POST + b"Content-Length: +8\r\n\r\n" + BODY, [400], []),
    "length with a comma": (POST + b"Content-Length: 8, 8\r\n\r\n" + BODY, [400], []),
    "huge length": (POST + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY, [400], []),
    "gzip coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + AS_CHUNKS, [400], []),
    "chunked twice": (POST + CHUNKS + CHUNKS + b"\r\n" + AS_CHUNKS, [400], []),
    "unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n" + AS_CHUNKS, [400], []),
    "folded field": (POST + b"X-A: 1\r\n 2\r\n" + LENGTH + b"\r\n" + BODY, [400], []),
    "blank before the colon": (POST + b"Content-Length : 8\r\n\r\n" + BODY, [400], []),
    "NUL in a value": (POST + b"X-A: a\x00b\r\n" + LENGTH + b"\r\n" + BODY, [400], []),
    "chunk size in C": (POST + CHUNKS + b"\r\n0x8\r\n" + BODY + b"\r\n0\r\n\r\n", [400], []),
    "blank behind a chunk size": (POST + CHUNKS + b"\r\n8 \r\n" + BODY + b"\r\n0\r\n\r\n", [400], []),
    "chunk too long": (POST + CHUNKS + b"\r\n7\r\n" + BODY + b"\r\n0\r\n\r\n", [400], []),
    "bare line feeds in chunks": (POST + CHUNKS + b"\r\n8\n" + BODY + b"\n0\n\n\r\n", [400], []),
    "connect": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", [405], []),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505], []),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 80, [400], []),
    "no http": (b"hello\r\n\r\n", [400], []),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [200], [b"OPTIONS * "]),
    "unicode path": ("GET /\u00e9 HTTP/1.1\r\nHost: a\r\n\r\n".encode(), [400], []),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_each_edge_case_has_its_answer(name: str) -> None:
    request, statuses, handed = ANSWERS[name]
    good = statuses[-1] == 200
    expected = ([*statuses, 200], [*handed, b"GET /next "]) if good else (statuses, handed)
    # What cannot be read ends the connection: the request behind it is never served.
    assert exchange(request + NEXT) == expected
    assert exchange(*(request[i : i + 5] for i in range(0, len(request), 5)), NEXT) == expected


def test_http_1_0_is_answered_and_closed() -> None:
    assert exchange(b"POST /in/shop HTTP/1.0\r\n" + LENGTH + b"\r\n" + BODY + NEXT) == ([200], [READ])


TOO_LARGE = {
    "one long field": b"X-A: " + b"y" * HEAD_LIMIT_BYTES + b"\r\n",
    "many bytes": b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100)),
    "many fields": b"".join(b"X-%d: 1\r\n" % n for n in range(5000)),
    "one field too many": b"".join(b"X-%d: 1\r\n" % n for n in range(HEAD_FIELDS)),
}


@pytest.mark.parametrize("name", TOO_LARGE)
@pytest.mark.parametrize("state", ["first", "after an answer", "behind a request"])
def test_a_head_that_is_too_large_is_431_in_every_state_and_nothing_behind_it_is_served(name: str, state: str) -> None:
    large = POST + TOO_LARGE[name] + b"\r\n"
    before = POST + LENGTH + b"\r\n" + BODY
    if state == "first":
        assert exchange(large + NEXT) == ([431], [])
    elif state == "after an answer":
        assert exchange(before, large + NEXT) == ([200, 431], [READ])
    else:
        assert exchange(before + large + NEXT) == ([200, 431], [READ])


def test_the_most_that_is_allowed_is_served() -> None:
    fields = b"".join(b"X-%d: 1\r\n" % n for n in range(HEAD_FIELDS - 2))
    assert exchange(POST + fields + LENGTH + b"\r\n" + BODY + NEXT) == ([200, 200], [READ, b"GET /next "])
    padding = b"X-A: " + b"y" * (HEAD_LIMIT_BYTES - len(POST) - len(LENGTH) - 9) + b"\r\n"
    assert exchange(POST + padding + LENGTH + b"\r\n" + BODY + NEXT) == ([200, 200], [READ, b"GET /next "])


async def test_a_request_that_cannot_be_read_gets_a_problem_document_with_a_code() -> None:
    async with edge() as (reader, writer):
        writer.write(POST + b"Host: b\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head and b"connection: close" in head
    assert b'"type": "urn:tidegate:problem:several_hosts"' in body
    assert b'"code": "several_hosts"' in body and b'"hint"' in body
