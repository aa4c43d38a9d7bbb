"""The POST client against real receivers: what is sent, and how every answer ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random

import pytest

from support.gateway.running import until
from support.receiver.post_client import Run, check, make, post
from support.receiver.scripted import OK, Request, ScriptedServer, answer
from tidegate.core.model import Outcome
from tidegate.outbound.post import PostClient
from tidegate.rules.outbound.addresses import parse_target

# -- what is sent ----------------------------------------------------------------------------------------


def test_the_request_arrives_as_it_was_given(run: Run) -> None:
    async def test(server: ScriptedServer, client: PostClient) -> None:
        result = await post(client, server.url + "/hook?a=1", b'{"n":1}')
        assert (result.outcome, result.status, result.body, result.error) == (Outcome.OK, 200, b"ok", "")
        (request,) = server.requests
        assert request.head == (
            b"POST /hook?a=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nx-team: sales\r\ncontent-length: 7\r\n\r\n" % server.port
        )
        assert request.body == b'{"n":1}'
        assert result.duration_us > 0

    check(run, answer(OK), test)


def test_an_empty_body_has_a_length_of_zero(run: Run) -> None:
    async def test(server: ScriptedServer, client: PostClient) -> None:
        await post(client, server.url, b"")
        assert server.requests[0].headers["content-length"] == "0"

    check(run, answer(OK), test)


async def test_a_head_that_could_smuggle_a_request_is_refused() -> None:
    client = make()
    for head in (b"a: b", b"a: b\r\n\r\nPOST / HTTP/1.1\r\n", b"\r\n"):
        with pytest.raises(ValueError, match="header lines"):
            client.send(parse_target("http://127.0.0.1:1/"), head, b"", 1.0, lambda _: None)
    assert client.stats().in_flight == 0


def test_a_large_body_is_written_as_the_receiver_takes_it(run: Run) -> None:
    body = random.Random(1).randbytes(6_000_000)
    waiting: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        digest = hashlib.sha256()
        left = int(request.headers["content-length"])
        while left:
            data = await reader.read(50_000)
            left -= len(data)
            digest.update(data)
            waiting.extend(wire.transport.get_write_buffer_size() for wire in clients[0]._open)
            await asyncio.sleep(0)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n" + digest.hexdigest().encode())

    clients: list[PostClient] = []

    async def test(server: ScriptedServer, client: PostClient) -> None:
        clients.append(client)
        result = await post(client, server.url, body)
        assert result.body.decode() == hashlib.sha256(body).hexdigest()
        assert (await post(client, server.url, body)).reused
        assert max(waiting) < 400_000  # the rest stays where it was: no second copy of a large body

    check(run, script, test, read_body=False)


def test_an_early_answer_ends_a_body_that_is_still_being_written(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await gone.wait()

    gone = asyncio.Event()

    async def test(server: ScriptedServer, client: PostClient) -> None:
        result = await post(client, server.url, b"x" * 20_000_000)
        assert (result.outcome, result.status) == (Outcome.HTTP_ERROR, 413)
        await until(lambda: client.stats().open == 0)  # the rest of the body was not written: it cannot be kept
        gone.set()

    check(run, script, test, read_body=False)


# -- answers ---------------------------------------------------------------------------------------------

GOOD = [
    ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"], b"ok", True),
    ([b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 2\r\n\r\no", b"k"], b"ok", True),
    ([b"HTTP/1.1 202 \r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nt: v\r\n\r\n"], b"ok", True),
    ([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", True),
    ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n", OK], b"ok", True),
    ([b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"], b"ok", False),
    ([b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"], b"ok", False),
    ([OK + b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"], b"ok", False),
    ([OK + b"garbage"], b"ok", False),
    ([OK + b"\x00"], b"ok", False),
    ([b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b"], b"\x1f\x8b", True),
]


@pytest.mark.parametrize(("parts", "body", "kept"), GOOD)
def test_a_success_is_read_to_its_end_and_its_socket_kept_only_when_clean(
    run: Run, parts: list[bytes], body: bytes, kept: bool
) -> None:
    async def test(server: ScriptedServer, client: PostClient) -> None:
        first = await post(client, server.url)
        assert (first.outcome, first.body, first.body_bytes) == (Outcome.OK, body, len(body))
        second = await post(client, server.url)
        assert (second.outcome, second.reused) == (Outcome.OK, kept)
        assert server.connections == (1 if kept else 2)

    check(run, answer(*parts), test)


BAD = [
    (b"garbage\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"\x16\x03\x01\x00\x00" * 10, Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\nx y: z\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 099 Low\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/0.9 200 OK\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/2.0 200 OK\r\n\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 101 Now\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhey", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n", Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, Outcome.BAD_ANSWER, None),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Outcome.OK, 200),  # the status stood already
    (b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n", Outcome.HTTP_ERROR, 500),
    (b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n", Outcome.HTTP_ERROR, 302),
    (b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n", Outcome.HTTP_ERROR, 999),
]


@pytest.mark.parametrize(("sent", "outcome", "status"), BAD)
def test_a_hostile_answer_is_an_outcome(run: Run, sent: bytes, outcome: Outcome, status: int | None) -> None:
    async def test(server: ScriptedServer, client: PostClient) -> None:
        result = await post(client, server.url)
        assert (result.outcome, result.status) == (outcome, status)
        assert result.error
        assert len(server.requests) == 1

    check(run, answer(sent), test)


CUT = [
    (b"", Outcome.RESET, None, True),
    (b"HTTP/1.1 200 OK\r\ncontent-", Outcome.RESET, None, True),
    (b"HTTP/1.1 100 Continue\r\n\r\n", Outcome.RESET, None, True),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", Outcome.OK, 200, True),
    (b"HTTP/1.1 500 No\r\ncontent-length: 5\r\n\r\nok", Outcome.HTTP_ERROR, 500, True),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", Outcome.OK, 200, True),
    (b"HTTP/1.1 200 OK\r\n\r\nok", Outcome.OK, 200, False),  # the close is the regular end here
    (b"HTTP/1.0 200 OK\r\n\r\nok", Outcome.OK, 200, False),
]


@pytest.mark.parametrize(("sent", "outcome", "status", "error"), CUT)
def test_an_answer_that_is_cut_ends_by_what_had_come(
    run: Run, sent: bytes, outcome: Outcome, status: int | None, error: bool
) -> None:
    async def test(server: ScriptedServer, client: PostClient) -> None:
        result = await post(client, server.url)
        assert (result.outcome, result.status, bool(result.error)) == (outcome, status, error)
        assert result.body == (b"ok" if status else b"")
        assert len(server.requests) == 1  # a fresh socket that dies is a failure, not sent again

    check(run, answer(sent, close=True), test)


def test_an_endless_body_is_cut_at_the_bound_and_its_socket_closed(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    async def test(server: ScriptedServer, client: PostClient) -> None:
        result = await post(client, server.url)
        assert result.outcome is Outcome.OK
        assert "cut" in result.error
        assert result.body == b"x" * 1000
        assert 50_000 <= result.body_bytes < 50_000 + 600_000  # one read of the loop beyond it at most
        await until(lambda: server.open == 0)

    check(run, script, test, body_limit=1000, read_limit=50_000)


def test_tiny_chunks_count_with_their_framing(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write((b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 50)
            await writer.drain()

    async def test(server: ScriptedServer, client: PostClient) -> None:
        result = await post(client, server.url)
        assert "cut" in result.error
        assert result.body_bytes < 50_000

    check(run, script, test, read_limit=50_000)


def test_headers_and_retry_after_of_a_failure_are_kept_within_bounds(run: Run) -> None:
    sent = (
        b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nretry-after: 7\r\nset-cookie: sid=s3cret\r\n"
        b"x-big: %b\r\nx-last: \xe9\r\ncontent-length: 0\r\n\r\n" % (b"y" * 5000)
    )

    async def test(server: ScriptedServer, client: PostClient) -> None:
        result = await post(client, server.url)
        assert result.retry_after == "120"
        assert len(result.headers) <= 4096
        assert json.loads(result.headers) == [
            ["Retry-After", "120"],
            ["retry-after", "7"],
            ["set-cookie", "[redacted]"],
            ["x-last", "é"],
            ["content-length", "0"],
        ]

    check(run, answer(sent), test)


def test_headers_of_a_success_are_made_only_when_asked_for(run: Run) -> None:
    async def test(server: ScriptedServer, client: PostClient) -> None:
        assert (await post(client, server.url)).headers == b""
        assert json.loads((await post(client, server.url, keep_headers=True)).headers) == [["content-length", "2"]]

    check(run, answer(OK), test)


def test_cookies_are_not_sent_back(run: Run) -> None:
    async def test(server: ScriptedServer, client: PostClient) -> None:
        await post(client, server.url)
        await post(client, server.url)
        assert "cookie" not in server.requests[1].headers

    check(run, answer(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"), test)


def test_mutated_answers_always_end_and_leave_nothing_behind(run: Run) -> None:
    seed = random.Random(7)
    models = [b"".join(parts) for parts, _, _ in GOOD] + [sent for sent, _, _ in BAD if len(sent) < 2000]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        data = bytearray(seed.choice(models))
        for _ in range(seed.randrange(4)):
            place = seed.randrange(len(data))
            data[place : place + seed.randrange(3)] = seed.choice([b"", b"\r\n", b"\x00", b"0", b"ffff", b":", b"\n"])
        cut = seed.randrange(len(data) + 1)
        writer.write(bytes(data[:cut]))
        await writer.drain()
        writer.write(bytes(data[cut:]))
        writer.close()

    async def test(server: ScriptedServer, client: PostClient) -> None:
        for _ in range(40):
            results = await asyncio.gather(*[post(client, server.url) for _ in range(10)])
            assert all(isinstance(result.outcome, Outcome) for result in results)
            assert all(result.outcome is not Outcome.TIMEOUT for result in results)

    check(run, script, test)
