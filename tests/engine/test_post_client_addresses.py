"""Where the POST client goes: addresses that are checked, names that change, certificates that are not right."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import until
from support.receiver.post_client import LOOPBACK, NamedDialer, Run, check, make, post
from support.receiver.scripted import OK, ScriptedServer, TestAuthority, answer
from tidegate.core.clock import Clock, ManualClock
from tidegate.core.model import Outcome
from tidegate.outbound.dialer import Guard
from tidegate.outbound.post import PostClient
from tidegate.rules.outbound.addresses import AllowList, parse_allow

# -- addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_a_blocked_address_gets_no_packet(run: Run, host: str) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        result = await post(client, f"http://{host}:{receiver.port}/")
        assert (result.outcome, result.status) == (Outcome.BLOCKED, None)
        assert "loopback" in result.error
        assert receiver.connections == 0

    check(run, answer(OK), test, allow=AllowList())


def test_our_own_listener_is_refused_on_every_address_of_this_machine(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        client._guard.update(own=frozenset({("0.0.0.0", receiver.port)}))
        assert (await post(client, receiver.url)).error.endswith("own_listener address")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
                mine = probe.getsockname()[0]
            except OSError:
                mine = "127.0.0.1"  # a machine without a network
        client._guard.update(allow=parse_allow(["0.0.0.0/0"]))
        assert (await post(client, f"http://{mine}:{receiver.port}/")).outcome is Outcome.BLOCKED
        assert receiver.connections == 0

    check(run, answer(OK), test)


def test_a_name_is_connected_by_the_address_that_was_checked(run: Run) -> None:
    async def main() -> None:
        clock = ManualClock()
        names = {"two.test": ["10.0.0.1", "127.0.0.1"], "flip.test": ["127.0.0.1"], "none.test": ["10.0.0.1"]}
        dialer = NamedDialer(Guard(LOOPBACK), clock, names)
        client = PostClient(dialer, clock)
        async with ScriptedServer(answer(OK)) as receiver:
            assert (await post(client, f"http://two.test:{receiver.port}/")).outcome is Outcome.OK
            assert receiver.requests[0].headers["host"] == f"two.test:{receiver.port}"
            blocked = await post(client, f"http://none.test:{receiver.port}/")
            assert (blocked.outcome, blocked.error) == (
                Outcome.BLOCKED,
                f"none.test resolves to 10.0.0.1 port {receiver.port}: private address",
            )
            await post(client, f"http://flip.test:{receiver.port}/")
            dialer.names["flip.test"] = ["169.254.169.254"]
            clock.advance(31)  # the answer is old, and the idle socket too
            await until(lambda: client.stats().idle == 0)
            assert (await post(client, f"http://flip.test:{receiver.port}/")).outcome is Outcome.BLOCKED
        await client.close()

    run(main())


def test_a_dead_address_of_a_name_gives_way_to_the_next(run: Run) -> None:
    async def main() -> None:
        clock = Clock()
        names = {"two.test": ["127.0.0.9", "127.0.0.1"], "dead.test": ["127.0.0.8", "127.0.0.9"]}
        dialer = NamedDialer(Guard(parse_allow(["127.0.0.0/8"])), clock, names)
        client = PostClient(dialer, clock)
        async with ScriptedServer(answer(OK)) as receiver:
            assert (await post(client, f"http://two.test:{receiver.port}/")).outcome is Outcome.OK
            assert (await post(client, f"http://dead.test:{receiver.port}/")).outcome is Outcome.REFUSED
        await client.close()
        assert client.stats().open == 0

    run(main())


def test_stricter_rules_hold_for_sockets_that_are_open_already(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        assert (await post(client, receiver.url)).outcome is Outcome.OK
        client._guard.update(allow=AllowList())
        assert (await post(client, receiver.url)).outcome is Outcome.BLOCKED
        assert len(receiver.requests) == 1

    check(run, answer(OK), test)


def test_a_change_that_leaves_the_rules_as_they_are_costs_no_socket(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        await post(client, receiver.url)
        client._guard.update(allow=parse_allow(["127.0.0.1/32"]), own=frozenset())
        assert (await post(client, receiver.url)).reused and receiver.connections == 1

    check(run, answer(OK), test)


def test_many_requests_ask_for_a_name_once(run: Run) -> None:
    async def main() -> None:
        asked: list[str] = []

        class Counting(NamedDialer):
            def query(self, host: str) -> list[Any]:
                asked.append(host)
                return super().query(host)

        client = PostClient(Counting(Guard(LOOPBACK), Clock(), {"one.test": ["127.0.0.1"]}), Clock())
        async with ScriptedServer(answer(OK)) as receiver:
            await asyncio.gather(*[post(client, f"http://one.test:{receiver.port}/") for _ in range(20)])
            assert asked == ["one.test"]
            await client.close()

    run(main())


def test_nothing_listening_is_refused_and_an_unknown_name_is_dns(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening
            result = await post(client, f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert result.outcome is Outcome.REFUSED
        assert (await post(client, "http://nowhere.invalid/")).outcome is Outcome.DNS

    check(run, answer(OK), test)


def test_proxy_settings_of_the_environment_are_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def test(receiver: ScriptedServer, client: PostClient) -> None:
        assert (await post(client, receiver.url)).outcome is Outcome.OK

    check(run, answer(OK), test)


# -- TLS -------------------------------------------------------------------------------------------------


def test_tls_delivers_and_keeps_its_socket(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)

    async def main() -> None:
        client = make(tls=authority.client())
        body = random.Random(2).randbytes(1_000_000)
        async with ScriptedServer(answer(OK), tls=authority.server()) as receiver:
            assert (await post(client, receiver.url, body)).outcome is Outcome.OK
            assert (await post(client, receiver.url, b"x")).reused
            assert [r.body for r in receiver.requests] == [body, b"x"]
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
        async with ScriptedServer(answer(OK), tls=authority.server(**server)) as receiver:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the receiver's handshake fails too
            result = await post(client, receiver.url)
            assert result.outcome is Outcome.TLS
            assert reason in result.error
            assert receiver.requests == []
        await client.close()
        assert client.stats().open == 0

    run(main())


def test_an_old_version_of_tls_is_refused(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    old = authority.server()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def main() -> None:
        client = make(tls=authority.client())
        async with ScriptedServer(answer(OK), tls=old) as receiver:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            result = await post(client, receiver.url)
            assert (result.outcome, receiver.requests) == (Outcome.TLS, [])
        await client.close()

    run(main())


def test_an_unknown_authority_and_a_plain_server_are_refused(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)

    async def main() -> None:
        client = make()  # the system's authorities
        async with ScriptedServer(answer(OK), tls=authority.server()) as receiver:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            assert (await post(client, receiver.url)).outcome is Outcome.TLS

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 No\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        assert (await post(client, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")).outcome is Outcome.TLS
        server.close()
        await client.close()

    run(main())
