"""The POST client against real far sides: what is sent, how every answer ends, and that nothing leaks."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.farside import OK, FarSide, Request, TestAuthority, answer, silence
from tidegate.clock import Clock, ManualClock
from tidegate.model import Outcome
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.post import PostClient, PostResult
from tidegate.rules.addresses import AllowList, parse_allow, parse_target

LOOPBACK = parse_allow(["127.0.0.1/32"])
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both loops: they differ in when writes leave and how sockets end."""
    return asyncio.run if request.param == "asyncio" else uvloop.run


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the conditions are those of real sockets
            await asyncio.sleep(0.002)


class NamedDialer(Dialer):
    """Names have the addresses of a table, as a name server would say; the rest is the real dialer."""

    names: dict[str, list[str]]

    async def _ask(self, host: str, port: int) -> list[str]:
        return list(self.names[host])


def make(*, allow: AllowList = LOOPBACK, clock: Clock | None = None, tls: Any = None, **options: Any) -> PostClient:
    clock = clock or Clock()
    return PostClient(Dialer(Guard(allow), clock, tls=tls), clock, **options)


async def post(
    client: PostClient, url: str, body: bytes = b"hello", *, seconds: float = 5.0, **options: Any
) -> PostResult:
    done: asyncio.Future[PostResult] = asyncio.get_running_loop().create_future()
    client.send(parse_target(url), b"x-team: sales\r\n", body, seconds, done.set_result, **options)
    return await done


def check(run: Run, script: Any, test: Callable[[FarSide, PostClient], Awaitable[None]], **options: Any) -> None:
    """Runs a test with one far side and one client; at the end no socket may be left on either side."""
    read_body = options.pop("read_body", True)

    async def main() -> None:
        client = make(**options)
        async with FarSide(script, read_body=read_body) as far:
            await test(far, client)
            await client.close()
            stats = client.stats()
            assert (stats.open, stats.idle, stats.in_flight) == (0, 0, 0)
            await until(lambda: far.open == 0)

    run(main())


# -- what is sent ----------------------------------------------------------------------------------------


def test_the_request_arrives_as_it_was_given(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, far.url + "/hook?a=1", b'{"n":1}')
        assert (result.outcome, result.status, result.body, result.error) == (Outcome.OK, 200, b"ok", "")
        (request,) = far.requests
        assert request.head == (
            b"POST /hook?a=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nx-team: sales\r\ncontent-length: 7\r\n\r\n" % far.port
        )
        assert request.body == b'{"n":1}'
        assert result.duration_us > 0

    check(run, answer(OK), test)


def test_an_empty_body_has_a_length_of_zero(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        await post(client, far.url, b"")
        assert far.requests[0].headers["content-length"] == "0"

    check(run, answer(OK), test)


def test_a_head_that_could_smuggle_a_request_is_refused() -> None:
    async def main() -> None:
        client = make()
        for head in (b"a: b", b"a: b\r\n\r\nPOST / HTTP/1.1\r\n", b"\r\n"):
            with pytest.raises(ValueError, match="header lines"):
                client.send(parse_target("http://127.0.0.1:1/"), head, b"", 1.0, lambda _: None)
        assert client.stats().in_flight == 0

    asyncio.run(main())


def test_a_large_body_is_written_as_the_far_side_takes_it(run: Run) -> None:
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

    async def test(far: FarSide, client: PostClient) -> None:
        clients.append(client)
        result = await post(client, far.url, body)
        assert result.body.decode() == hashlib.sha256(body).hexdigest()
        assert (await post(client, far.url, body)).reused
        assert max(waiting) < 400_000  # the rest stays where it was: no second copy of a large body

    check(run, script, test, read_body=False)


def test_an_early_answer_ends_a_body_that_is_still_being_written(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await gone.wait()

    gone = asyncio.Event()

    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, far.url, b"x" * 20_000_000)
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
    async def test(far: FarSide, client: PostClient) -> None:
        first = await post(client, far.url)
        assert (first.outcome, first.body, first.body_bytes) == (Outcome.OK, body, len(body))
        second = await post(client, far.url)
        assert (second.outcome, second.reused) == (Outcome.OK, kept)
        assert far.connections == (1 if kept else 2)

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
    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, far.url)
        assert (result.outcome, result.status) == (outcome, status)
        assert result.error
        assert len(far.requests) == 1

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
    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, far.url)
        assert (result.outcome, result.status, bool(result.error)) == (outcome, status, error)
        assert result.body == (b"ok" if status else b"")
        assert len(far.requests) == 1  # a fresh socket that dies is a failure, not sent again

    check(run, answer(sent, close=True), test)


def test_an_endless_body_is_cut_at_the_bound_and_its_socket_closed(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, far.url)
        assert result.outcome is Outcome.OK
        assert "cut" in result.error
        assert result.body == b"x" * 1000
        assert 50_000 <= result.body_bytes < 50_000 + 600_000  # one read of the loop beyond it at most
        await until(lambda: far.open == 0)

    check(run, script, test, body_limit=1000, read_limit=50_000)


def test_tiny_chunks_count_with_their_framing(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write((b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 50)
            await writer.drain()

    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, far.url)
        assert "cut" in result.error
        assert result.body_bytes < 50_000

    check(run, script, test, read_limit=50_000)


def test_headers_and_retry_after_of_a_failure_are_kept_within_bounds(run: Run) -> None:
    sent = (
        b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nretry-after: 7\r\nset-cookie: sid=s3cret\r\n"
        b"x-big: %b\r\nx-last: \xe9\r\ncontent-length: 0\r\n\r\n" % (b"y" * 5000)
    )

    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, far.url)
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
    async def test(far: FarSide, client: PostClient) -> None:
        assert (await post(client, far.url)).headers == b""
        assert json.loads((await post(client, far.url, keep_headers=True)).headers) == [["content-length", "2"]]

    check(run, answer(OK), test)


def test_cookies_are_not_sent_back(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        await post(client, far.url)
        await post(client, far.url)
        assert "cookie" not in far.requests[1].headers

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

    async def test(far: FarSide, client: PostClient) -> None:
        for _ in range(40):
            results = await asyncio.gather(*[post(client, far.url) for _ in range(10)])
            assert all(isinstance(result.outcome, Outcome) for result in results)
            assert all(result.outcome is not Outcome.TIMEOUT for result in results)

    check(run, script, test)


# -- kept sockets ----------------------------------------------------------------------------------------


def test_a_kept_socket_that_dies_before_an_answer_costs_no_failure(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        if request.number == 2:
            writer.close()
        else:
            writer.write(OK)

    async def test(far: FarSide, client: PostClient) -> None:
        assert not (await post(client, far.url)).reused
        result = await post(client, far.url, b"second")
        assert (result.outcome, result.reused) == (Outcome.OK, False)
        assert [(r.connection, r.body) for r in far.requests] == [(1, b"hello"), (1, b"second"), (2, b"second")]

    check(run, script, test)


def test_a_kept_socket_that_dies_twice_is_a_failure_the_second_time(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        if request.body == b"second":
            writer.close()
        else:
            writer.write(OK)

    async def test(far: FarSide, client: PostClient) -> None:
        await post(client, far.url)
        result = await post(client, far.url, b"second")
        assert result.outcome is Outcome.RESET
        assert len(far.requests) == 3

    check(run, script, test)


def test_a_kept_socket_that_dies_within_an_answer_is_a_failure(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        if request.number == 2:
            writer.write(b"H")
            writer.close()
        else:
            writer.write(OK)

    async def test(far: FarSide, client: PostClient) -> None:
        await post(client, far.url)
        assert (await post(client, far.url)).outcome is Outcome.RESET
        assert len(far.requests) == 2

    check(run, script, test)


def test_bytes_nobody_asked_for_close_a_kept_socket(run: Run) -> None:
    speak = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(OK)
        if request.connection == 1:
            await speak.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned")

    async def test(far: FarSide, client: PostClient) -> None:
        await post(client, far.url)
        assert client.stats().idle == 1
        speak.set()
        await until(lambda: client.stats().open == 0)
        assert (await post(client, far.url)).body == b"ok"

    check(run, script, test)


def test_two_requests_never_share_a_socket_at_one_time(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        await asyncio.sleep(0)
        assert not reader._buffer  # type: ignore[attr-defined]  # a second request would stand here
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(request.body), request.body))

    async def test(far: FarSide, client: PostClient) -> None:
        bodies = [b"%d" % number for number in range(300)]

        async def worker(mine: list[bytes]) -> None:
            for body in mine:
                assert (await post(client, far.url, body)).body == body

        await asyncio.gather(*[worker(bodies[start::30]) for start in range(30)])
        assert sorted(r.body for r in far.requests) == sorted(bodies)
        assert far.connections <= 30

    check(run, script, test)


def test_idle_sockets_are_limited_in_all_and_the_oldest_goes_first(run: Run) -> None:
    async def main() -> None:
        client = make(idle_limit=2)
        async with FarSide(answer(OK)) as one, FarSide(answer(OK)) as two, FarSide(answer(OK)) as three:
            for far in (one, two, three):
                await post(client, far.url)
            await until(lambda: one.open == 0)
            assert client.stats().idle == 2
            assert (await post(client, three.url)).reused
            assert (await post(client, two.url)).reused
            assert not (await post(client, one.url)).reused
            await client.close()

    run(main())


def test_an_idle_socket_is_closed_after_its_time(run: Run) -> None:
    clock = ManualClock()

    async def test(far: FarSide, client: PostClient) -> None:
        await post(client, far.url)
        clock.advance(29)
        assert (await post(client, far.url)).reused
        clock.advance(31)
        await until(lambda: far.open == 0)
        assert client.stats().open == 0

    check(run, answer(OK), test, clock=clock)


def test_a_socket_is_not_kept_for_ever_so_that_a_changed_name_is_followed(run: Run) -> None:
    clock = ManualClock()

    async def test(far: FarSide, client: PostClient) -> None:
        for _ in range(18):  # six minutes of steady use
            await post(client, far.url)
            clock.advance(20)
        assert far.connections == 2

    check(run, answer(OK), test, clock=clock)


# -- time ------------------------------------------------------------------------------------------------

SLOW = [
    (b"", Outcome.TIMEOUT, None, "no answer within 20 s"),
    (b"HTTP/1.1 200 OK\r\nx: ", Outcome.TIMEOUT, None, "the headers of the answer did not end within 20 s"),
    (
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        Outcome.OK,
        200,
        "the body of the answer did not end within 20 s",
    ),
    (
        b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nok",
        Outcome.HTTP_ERROR,
        500,
        "the body of the answer did not end within 20 s",
    ),
]


@pytest.mark.parametrize(("sent", "outcome", "status", "error"), SLOW)
def test_a_slow_answer_ends_at_the_limit_by_what_had_come(
    run: Run, sent: bytes, outcome: Outcome, status: int | None, error: str
) -> None:
    clock = ManualClock()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(sent)
        await silence(reader, writer, request)

    async def test(far: FarSide, client: PostClient) -> None:
        waiting = asyncio.ensure_future(post(client, far.url, seconds=20.0))
        await until(lambda: any(wire.received >= len(sent) for wire in client._open) and bool(far.requests))
        clock.advance(19.9)
        await asyncio.sleep(0.25)  # two sweeps must find nothing due
        assert not waiting.done()
        clock.advance(0.2)
        result = await waiting
        assert (result.outcome, result.status, result.error) == (outcome, status, error)
        assert 20_000_000 <= result.duration_us < 21_000_000

    check(run, script, test, clock=clock)


def test_a_handshake_that_stalls_ends_at_the_limit_for_connecting(run: Run, tmp_path: Path) -> None:
    clock = ManualClock()

    async def main() -> None:
        accepted: list[asyncio.StreamWriter] = []

        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(writer)
            while await reader.read(1000):
                pass
            accepted.remove(writer)
            writer.close()

        server = await asyncio.start_server(stall, "127.0.0.1", 0)
        client = make(clock=clock, tls=TestAuthority(tmp_path).client())
        waiting = asyncio.ensure_future(
            post(client, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", seconds=60)
        )
        await until(lambda: len(accepted) == 1)
        clock.advance(10.1)
        result = await waiting
        assert (result.outcome, result.error) == (Outcome.TIMEOUT, "no connection within 10 s")
        await until(lambda: not accepted)  # the half-made socket was closed
        await client.close()
        server.close()

    run(main())


# -- abort and close -------------------------------------------------------------------------------------


def test_abort_cuts_the_request_off_and_tells_nobody(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        told: list[PostResult] = []
        pending = client.send(parse_target(far.url), b"", b"hello", 5.0, told.append)
        await until(lambda: len(far.requests) == 1)
        pending.abort()
        pending.abort()
        assert client.stats().in_flight == 0
        await until(lambda: far.open == 0)
        connecting = client.send(parse_target(far.url), b"", b"hello", 5.0, told.append)
        connecting.abort()
        await until(lambda: client.stats().open == 0 and not client._dialing)
        assert told == []

    check(run, silence, test)


def test_abort_after_the_end_harms_nobody(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        told: list[PostResult] = []
        first = client.send(parse_target(far.url), b"", b"1", 5.0, told.append)
        await until(lambda: len(told) == 1)
        second = asyncio.ensure_future(post(client, far.url))
        await asyncio.sleep(0)
        first.abort()  # its socket is the second's now
        assert (await second).outcome is Outcome.OK

    check(run, answer(OK), test)


def test_close_ends_what_is_in_flight_without_a_result(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        told: list[PostResult] = []
        for _ in range(5):
            client.send(parse_target(far.url), b"", b"hello", 5.0, told.append)
        await until(lambda: len(far.requests) == 5)
        client.send(parse_target(far.url), b"", b"hello", 5.0, told.append)
        await client.close()
        assert told == []
        with pytest.raises(RuntimeError):
            client.send(parse_target(far.url), b"", b"hello", 5.0, told.append)

    check(run, silence, test)


def test_a_callback_that_fails_is_reported_and_harms_no_other_request(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

        def fail(_: PostResult) -> None:
            raise ZeroDivisionError

        client.send(parse_target(far.url), b"", b"hello", 5.0, fail)
        await until(lambda: len(reports) == 1)
        assert isinstance(reports[0]["exception"], ZeroDivisionError)
        assert (await post(client, far.url)).reused

    check(run, answer(OK), test)


def test_a_callback_may_send_the_next_request(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        told: list[PostResult] = []

        def again(result: PostResult) -> None:
            told.append(result)
            if len(told) < 50:
                client.send(parse_target(far.url), b"", b"hello", 5.0, again)

        client.send(parse_target(far.url), b"", b"hello", 5.0, again)
        await until(lambda: len(told) == 50)
        assert far.connections == 1

    check(run, answer(OK), test)


# -- addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_a_blocked_address_gets_no_packet(run: Run, host: str) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        result = await post(client, f"http://{host}:{far.port}/")
        assert (result.outcome, result.status) == (Outcome.BLOCKED, None)
        assert "loopback" in result.error
        assert far.connections == 0

    check(run, answer(OK), test, allow=AllowList())


def test_our_own_listener_is_refused_on_every_address_of_this_machine(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        client._guard.update(own=frozenset({("0.0.0.0", far.port)}))
        assert (await post(client, far.url)).error.endswith("own_listener address")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
                mine = probe.getsockname()[0]
            except OSError:
                mine = "127.0.0.1"  # a machine without a network
        client._guard.update(allow=parse_allow(["0.0.0.0/0"]))
        assert (await post(client, f"http://{mine}:{far.port}/")).outcome is Outcome.BLOCKED
        assert far.connections == 0

    check(run, answer(OK), test)


def test_a_name_is_connected_by_the_address_that_was_judged(run: Run) -> None:
    async def main() -> None:
        clock = ManualClock()
        dialer = NamedDialer(Guard(LOOPBACK), clock)
        dialer.names = {"two.test": ["10.0.0.1", "127.0.0.1"], "flip.test": ["127.0.0.1"], "none.test": ["10.0.0.1"]}
        client = PostClient(dialer, clock)
        async with FarSide(answer(OK)) as far:
            assert (await post(client, f"http://two.test:{far.port}/")).outcome is Outcome.OK
            assert far.requests[0].headers["host"] == f"two.test:{far.port}"
            blocked = await post(client, f"http://none.test:{far.port}/")
            assert (blocked.outcome, blocked.error) == (
                Outcome.BLOCKED,
                f"none.test leads to 10.0.0.1 port {far.port}: private address",
            )
            await post(client, f"http://flip.test:{far.port}/")
            dialer.names["flip.test"] = ["169.254.169.254"]
            clock.advance(31)  # the answer is old, and the idle socket too
            await until(lambda: client.stats().idle == 0)
            assert (await post(client, f"http://flip.test:{far.port}/")).outcome is Outcome.BLOCKED
        await client.close()

    run(main())


def test_a_dead_address_of_a_name_gives_way_to_the_next(run: Run) -> None:
    async def main() -> None:
        clock = Clock()
        dialer = NamedDialer(Guard(parse_allow(["127.0.0.0/8"])), clock)
        dialer.names = {"two.test": ["127.0.0.9", "127.0.0.1"], "dead.test": ["127.0.0.8", "127.0.0.9"]}
        client = PostClient(dialer, clock)
        async with FarSide(answer(OK)) as far:
            assert (await post(client, f"http://two.test:{far.port}/")).outcome is Outcome.OK
            assert (await post(client, f"http://dead.test:{far.port}/")).outcome is Outcome.REFUSED
        await client.close()
        assert client.stats().open == 0

    run(main())


def test_stricter_rules_hold_for_sockets_that_are_open_already(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        assert (await post(client, far.url)).outcome is Outcome.OK
        client._guard.update(allow=AllowList())
        assert (await post(client, far.url)).outcome is Outcome.BLOCKED
        assert len(far.requests) == 1

    check(run, answer(OK), test)


def test_many_requests_ask_for_a_name_once(run: Run) -> None:
    async def main() -> None:
        asked: list[str] = []

        class Counting(NamedDialer):
            async def _ask(self, host: str, port: int) -> list[str]:
                asked.append(host)
                await asyncio.sleep(0)
                return ["127.0.0.1"]

        client = PostClient(Counting(Guard(LOOPBACK), Clock()), Clock())
        async with FarSide(answer(OK)) as far:
            await asyncio.gather(*[post(client, f"http://one.test:{far.port}/") for _ in range(20)])
            assert asked == ["one.test"]
            await client.close()

    run(main())


def test_nothing_listening_is_refused_and_an_unknown_name_is_dns(run: Run) -> None:
    async def test(far: FarSide, client: PostClient) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening
            result = await post(client, f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert result.outcome is Outcome.REFUSED
        assert (await post(client, "http://nowhere.invalid/")).outcome is Outcome.DNS

    check(run, answer(OK), test)


def test_proxy_settings_of_the_environment_are_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def test(far: FarSide, client: PostClient) -> None:
        assert (await post(client, far.url)).outcome is Outcome.OK

    check(run, answer(OK), test)


# -- TLS -------------------------------------------------------------------------------------------------


def test_tls_delivers_and_keeps_its_socket(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)

    async def main() -> None:
        client = make(tls=authority.client())
        body = random.Random(2).randbytes(1_000_000)
        async with FarSide(answer(OK), tls=authority.server()) as far:
            assert (await post(client, far.url, body)).outcome is Outcome.OK
            assert (await post(client, far.url, b"x")).reused
            assert [r.body for r in far.requests] == [body, b"x"]
            await client.close()

    run(main())


@pytest.mark.parametrize(
    ("server", "reason"),
    [({"days": -1}, "expired"), ({"host": "other.test"}, "IP address mismatch")],
)
def test_a_certificate_that_is_not_right_is_refused(
    run: Run, tmp_path: Path, server: dict[str, Any], reason: str
) -> None:
    authority = TestAuthority(tmp_path)

    async def main() -> None:
        client = make(tls=authority.client())
        async with FarSide(answer(OK), tls=authority.server(**server)) as far:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the far side's handshake fails too
            result = await post(client, far.url)
            assert result.outcome is Outcome.TLS
            assert reason in result.error
            assert far.requests == []
        await client.close()
        assert client.stats().open == 0

    run(main())


def test_an_unknown_authority_and_a_plain_server_are_refused(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)

    async def main() -> None:
        client = make()  # the system's authorities
        async with FarSide(answer(OK), tls=authority.server()) as far:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            assert (await post(client, far.url)).outcome is Outcome.TLS

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 No\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        assert (await post(client, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")).outcome is Outcome.TLS
        server.close()
        await client.close()

    run(main())
