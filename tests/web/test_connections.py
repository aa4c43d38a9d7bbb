"""How many connections are kept: nobody can keep others out, and deliveries and the store keep their files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway.process import GatewayProcess, call, free_port
from support.gateway.running import until
from support.receiver.post_client import LOOPBACK, post
from support.receiver.scripted import OK, ScriptedServer, answer
from tidegate.core.model import Outcome
from tidegate.outbound import dialer
from tidegate.outbound import post as post_module
from tidegate.outbound.post import PostClient
from tidegate.process.edge.admission import Admission, connection_limit
from tidegate.process.edge.server import bind, make_server

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class Guest:
    def __init__(self, idle: float | None) -> None:
        self.idle = idle

    def idle_seconds(self) -> float | None:
        return self.idle


def _admitted(admission: Admission[Guest], address: str, *idle: float | None) -> list[Guest]:
    guests = [Guest(one) for one in idle]
    for guest in guests:
        assert admission.admit(guest, address) is None
    return guests


def test_the_longest_idle_connection_of_the_address_with_the_most_gives_way() -> None:
    admission: Admission[Guest] = Admission(6)
    _admitted(admission, "192.0.2.1", 50.0, 60.0)
    greedy = _admitted(admission, "192.0.2.2", 1.0, 9.0, 9.0, None)
    newcomer = Guest(0.0)
    assert admission.admit(newcomer, "192.0.2.3") is greedy[1], "not the longest idle of all, and the first of two"
    assert len(admission) == 6


def test_a_new_connection_of_the_address_with_the_most_replaces_one_of_its_own() -> None:
    admission: Admission[Guest] = Admission(4)
    own = _admitted(admission, "192.0.2.1", 5.0, 2.0)
    _admitted(admission, "192.0.2.2", 70.0, 70.0)
    assert admission.admit(Guest(0.0), "192.0.2.1") is own[0]


def test_a_busy_connection_gives_way_only_to_an_address_that_has_far_fewer() -> None:
    admission: Admission[Guest] = Admission(5)
    busy = _admitted(admission, "192.0.2.1", None, None, None, None, None)
    assert admission.admit(Guest(0.0), "192.0.2.2") is busy[0]
    admission = Admission(5)
    _admitted(admission, "192.0.2.1", None, None, None)
    _admitted(admission, "192.0.2.2", None, None)
    newcomer = Guest(0.0)
    assert admission.admit(newcomer, "192.0.2.2") is newcomer
    assert admission.admit(newcomer, "192.0.2.1") is newcomer
    assert len(admission) == 5


def test_addresses_of_one_ipv6_network_and_mapped_addresses_count_as_one() -> None:
    admission: Admission[Guest] = Admission(4)
    (v4,) = _admitted(admission, "::ffff:192.0.2.1", 1.0)
    first, *_ = _admitted(admission, "2001:db8::1", 2.0), _admitted(admission, "2001:db8::2", 3.0)
    _admitted(admission, "192.0.2.1", 9.0)
    admission.release(v4)
    _admitted(admission, "192.0.2.9", 90.0)
    assert admission.admit(Guest(0.0), "192.0.2.7") is not first[0]


@pytest.mark.parametrize("open_files", [64, 128, 256, 1024, 4096, 65_536])
def test_files_are_left_for_deliveries_and_the_store(open_files: int) -> None:
    limit = connection_limit(open_files)
    assert 8 <= limit <= 8192
    assert open_files <= 64 or open_files - limit >= 64


@contextlib.asynccontextmanager
async def _served(app: Any, limit: int, direct: Any = None) -> AsyncIterator[tuple[Any, Any]]:
    listener = bind("127.0.0.1", 0)
    gave_way: list[str] = []
    server = make_server(app, admission=Admission(limit, gave_way.append), direct=direct)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    try:
        yield listener.getsockname()[:2], gave_way
    finally:
        server.should_exit = True
        await task


def _open_files() -> list[int]:
    return [int(one.name) for one in Path("/proc/self/fd").iterdir()]


async def _ok(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _connect(address: Any, source: str = "127.0.0.1") -> socket.socket:
    """A connection that is closed with the test's stack."""
    made = socket.socket()
    made.bind((source, 0))
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, tuple(address))
    return made


async def _read(connection: socket.socket, until_bytes: bytes | None = None) -> bytes:
    """Up to some bytes, or to the end of the connection."""
    read = b""
    async with asyncio.timeout(10):
        while until_bytes is None or until_bytes not in read:
            part = await asyncio.get_running_loop().sock_recv(connection, 65536)
            if not part:
                break
            read += part
    return read


async def _send(connection: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, data)


async def test_an_answered_connection_gives_way_in_silence_and_a_fresh_one_with_503() -> None:
    with contextlib.ExitStack() as stack:
        async with _served(_ok, 2) as (address, gave_way):
            kept = stack.enter_context(await _connect(address))
            await _send(kept, GET)
            assert (await _read(kept, b"ok")).startswith(b"HTTP/1.1 200")
            fresh = stack.enter_context(await _connect(address))
            for expected in (kept, fresh):
                asking = stack.enter_context(await _connect(address))
                await _send(asking, GET)
                assert (await _read(asking, b"ok")).startswith(b"HTTP/1.1 200")
                left = await _read(expected)
                assert left == b"" if expected is kept else left.startswith(b"HTTP/1.1 503")
            assert gave_way == ["127.0.0.1", "127.0.0.1"]


async def test_connections_that_give_way_hold_no_file_even_when_nobody_reads_their_end() -> None:
    with contextlib.ExitStack() as stack:
        async with _served(_ok, 10) as (address, gave_way):
            before = len(_open_files())
            for _ in range(100):
                stack.enter_context(await _connect(address))
            await until(lambda: len(gave_way) == 90)
            await until(lambda: len(_open_files()) <= before + 100 + 10)


async def test_a_connection_whose_first_request_is_on_the_fast_path_gives_way_too() -> None:
    taken: list[Any] = []

    def take(scope: Any, named: Any, body: Any, connection: Any) -> bool:
        taken.append(connection)
        return True

    with contextlib.ExitStack() as stack:
        async with _served(_ok, 3, (b"/in/", take)) as (address, gave_way):
            busy = [stack.enter_context(await _connect(address)) for _ in range(3)]
            for one in busy:
                await _send(one, b"POST /in/a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}")
            await until(lambda: len(taken) == 3)
            other = stack.enter_context(await _connect(address, "127.0.0.2"))
            await _send(other, GET)
            assert (await _read(other, b"ok")).startswith(b"HTTP/1.1 200")
            assert (await _read(busy[0])).startswith(b"HTTP/1.1 503")
            assert gave_way == ["127.0.0.1"]
            for one in taken:
                one.answer(200, b"content-length: 2\r\n\r\nok")
            for one in busy[1:]:
                assert (await _read(one, b"ok")).startswith(b"HTTP/1.1 200")


# -- a whole gateway with few files ---------------------------------------------------------------------------

TOML = """
[egress]
allow = ["127.0.0.1/32"]
[sources.shop.webhook]
verify = "none"
[destinations.d]
url = "http://127.0.0.1:PORT/"
retry = ["0.1s"]
[routes.r]
from = "shop"
to = "d"
"""


async def test_234_idle_connections_of_one_address_keep_out_no_sender_and_no_delivery(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        async with ScriptedServer(answer(OK)) as receiver:
            file = tmp_path / "tidegate.toml"
            file.write_text(TOML.replace("PORT", str(receiver.port)))
            code = (
                "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256));"
                "runpy.run_module('tidegate', run_name='__main__')"
            )
            gateway = await GatewayProcess(file, tmp_path / "data", free_port(), ("-c", code)).start()
            try:
                assert resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE) == (256, 256), "raised at the start"
                place = ("127.0.0.1", gateway.port)
                idle = [stack.enter_context(await _connect(place)) for _ in range(234)]
                for number in range(20):
                    sender = stack.enter_context(await _connect(place, "127.0.0.2"))
                    body = json.dumps({"type": "t", "id": str(number)}).encode()
                    await _send(
                        sender,
                        b"POST /in/shop HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body,
                    )
                    assert (await _read(sender, b"\r\n")).split()[1] == b"202"
                assert len(idle) == 234
                await until(lambda: len(receiver.requests) == 20)
                shown = await call(gateway.url, "/api/v1/deliveries?limit=50", gateway.key)
                assert [(one["state"], len(one["attempts"])) for one in shown["data"]] == [("delivered", 1)] * 20
                doctor = await call(gateway.url, "/api/v1/doctor", gateway.key)
                assert "connections_full" in json.dumps(doctor)
            finally:
                await gateway.end(15)


async def test_a_machine_without_a_free_file_uses_no_attempt_and_sends_as_soon_as_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(post_module, "_SHORTAGE_SECONDS", 0.05)
    shortages: list[str] = []

    async with ScriptedServer(answer(OK)) as receiver:
        from tidegate.core.clock import Clock

        client = PostClient(dialer.Dialer(dialer.Guard(LOOPBACK), Clock()), Clock(), on_shortage=shortages.append)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(_open_files()) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        held: list[Any] = []
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(socket.socket())
            sending = asyncio.ensure_future(post(client, receiver.url + "/", seconds=1.0))
            await until(lambda: len(shortages) >= 3)
            assert not sending.done()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in held:
                one.close()
        assert (await sending).outcome is Outcome.OK
        assert "Too many open files" in shortages[0]
        await client.close()
