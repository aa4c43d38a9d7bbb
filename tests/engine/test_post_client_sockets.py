"""The sockets of the POST client: which are kept, when time ends a request, and that nothing leaks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import until
from support.receiver.post_client import Run, check, make, post
from support.receiver.scripted import OK, Request, ScriptedServer, TestAuthority, answer, silence
from tidegate.core.clock import ManualClock
from tidegate.core.model import Outcome
from tidegate.outbound.post import PostClient, PostResult
from tidegate.rules.outbound.addresses import parse_target

# -- kept sockets ----------------------------------------------------------------------------------------


def test_a_kept_socket_that_dies_before_an_answer_costs_no_failure(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        if request.number == 2:
            writer.close()
        else:
            writer.write(OK)

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        assert not (await post(client, receiver.url)).reused
        result = await post(client, receiver.url, b"second")
        assert (result.outcome, result.reused) == (Outcome.OK, False)
        assert [(r.connection, r.body) for r in receiver.requests] == [(1, b"hello"), (1, b"second"), (2, b"second")]

    check(run, script, test)


def test_a_kept_socket_that_dies_twice_is_a_failure_the_second_time(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        if request.body == b"second":
            writer.close()
        else:
            writer.write(OK)

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        await post(client, receiver.url)
        result = await post(client, receiver.url, b"second")
        assert result.outcome is Outcome.RESET
        assert len(receiver.requests) == 3

    check(run, script, test)


def test_a_kept_socket_that_dies_within_an_answer_is_a_failure(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        if request.number == 2:
            writer.write(b"H")
            writer.close()
        else:
            writer.write(OK)

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        await post(client, receiver.url)
        assert (await post(client, receiver.url)).outcome is Outcome.RESET
        assert len(receiver.requests) == 2

    check(run, script, test)


def test_bytes_nobody_asked_for_close_a_kept_socket(run: Run) -> None:
    speak = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(OK)
        if request.connection == 1:
            await speak.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned")

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        await post(client, receiver.url)
        assert client.stats().idle == 1
        speak.set()
        await until(lambda: client.stats().open == 0)
        assert (await post(client, receiver.url)).body == b"ok"

    check(run, script, test)


def test_two_requests_never_share_a_socket_at_one_time(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        await asyncio.sleep(0)
        assert not reader._buffer  # type: ignore[attr-defined]  # a second request would stand here
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(request.body), request.body))

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        bodies = [b"%d" % number for number in range(300)]

        async def worker(mine: list[bytes]) -> None:
            for body in mine:
                assert (await post(client, receiver.url, body)).body == body

        await asyncio.gather(*[worker(bodies[start::30]) for start in range(30)])
        assert sorted(r.body for r in receiver.requests) == sorted(bodies)
        assert receiver.connections <= 30

    check(run, script, test)


def test_idle_sockets_are_limited_in_all_and_the_oldest_goes_first(run: Run) -> None:
    async def main() -> None:
        client = make(idle_limit=2)
        async with (
            ScriptedServer(answer(OK)) as one,
            ScriptedServer(answer(OK)) as two,
            ScriptedServer(answer(OK)) as three,
        ):
            for receiver in (one, two, three):
                await post(client, receiver.url)
            await until(lambda: one.open == 0)
            assert client.stats().idle == 2
            assert (await post(client, three.url)).reused
            assert (await post(client, two.url)).reused
            assert not (await post(client, one.url)).reused
            await client.close()

    run(main())


def test_an_idle_socket_is_closed_after_its_time(run: Run) -> None:
    clock = ManualClock()

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        await post(client, receiver.url)
        clock.advance(29)
        assert (await post(client, receiver.url)).reused
        clock.advance(31)
        await until(lambda: receiver.open == 0)
        assert client.stats().open == 0

    check(run, answer(OK), test, clock=clock)


def test_a_socket_is_not_kept_for_ever_so_that_a_changed_name_is_followed(run: Run) -> None:
    clock = ManualClock()

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        for _ in range(18):  # six minutes of steady use
            await post(client, receiver.url)
            clock.advance(20)
        assert receiver.connections == 2

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

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        waiting = asyncio.ensure_future(post(client, receiver.url, seconds=20.0))
        await until(lambda: any(wire.received >= len(sent) for wire in client._open) and bool(receiver.requests))
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
        assert (result.outcome, result.error) == (Outcome.TIMEOUT, "no connection after 10 s")
        await until(lambda: not accepted)  # the half-made socket was closed
        await client.close()
        server.close()

    run(main())


# -- abort and close -------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", ["http", "https"])
def test_a_request_that_is_cut_at_any_step_of_its_dialing_leaves_no_socket(run: Run, tmp_path: Path, over: str) -> None:
    async def main() -> None:
        authority = TestAuthority(tmp_path)
        client = make(tls=authority.client())
        async with ScriptedServer(silence, tls=authority.server() if over == "https" else None) as receiver:
            for steps in range(60):
                pending = client.send(parse_target(receiver.url), b"", b"x", 5, lambda result: None)
                for _ in range(steps):
                    await asyncio.sleep(0)
                pending.abort()
            await until(lambda: client.stats().open == 0 and receiver.open == 0)
            await asyncio.wait_for(client.close(), 10)

    run(main())


def test_abort_cuts_the_request_off_and_tells_nobody(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        results: list[PostResult] = []
        pending = client.send(parse_target(receiver.url), b"", b"hello", 5.0, results.append)
        await until(lambda: len(receiver.requests) == 1)
        pending.abort()
        pending.abort()
        assert client.stats().in_flight == 0
        await until(lambda: receiver.open == 0)
        connecting = client.send(parse_target(receiver.url), b"", b"hello", 5.0, results.append)
        connecting.abort()
        await until(lambda: client.stats().open == 0 and not client._dialing)
        assert results == []

    check(run, silence, test)


def test_abort_after_the_end_harms_nobody(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        results: list[PostResult] = []
        first = client.send(parse_target(receiver.url), b"", b"1", 5.0, results.append)
        await until(lambda: len(results) == 1)
        second = asyncio.ensure_future(post(client, receiver.url))
        await asyncio.sleep(0)
        first.abort()  # its socket is the second's now
        assert (await second).outcome is Outcome.OK

    check(run, answer(OK), test)


def test_close_ends_what_is_in_flight_without_a_result(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        results: list[PostResult] = []
        for _ in range(5):
            client.send(parse_target(receiver.url), b"", b"hello", 5.0, results.append)
        await until(lambda: len(receiver.requests) == 5)
        client.send(parse_target(receiver.url), b"", b"hello", 5.0, results.append)
        await client.close()
        assert results == []
        with pytest.raises(RuntimeError):
            client.send(parse_target(receiver.url), b"", b"hello", 5.0, results.append)

    check(run, silence, test)


def test_a_callback_that_fails_is_reported_and_harms_no_other_request(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

        def fail(_: PostResult) -> None:
            raise ZeroDivisionError

        client.send(parse_target(receiver.url), b"", b"hello", 5.0, fail)
        await until(lambda: len(reports) == 1)
        assert isinstance(reports[0]["exception"], ZeroDivisionError)
        assert (await post(client, receiver.url)).reused

    check(run, answer(OK), test)


def test_a_callback_may_send_the_next_request(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        results: list[PostResult] = []

        def again(result: PostResult) -> None:
            results.append(result)
            if len(results) < 50:
                client.send(parse_target(receiver.url), b"", b"hello", 5.0, again)

        client.send(parse_target(receiver.url), b"", b"hello", 5.0, again)
        await until(lambda: len(results) == 50)
        assert receiver.connections == 1

    check(run, answer(OK), test)
