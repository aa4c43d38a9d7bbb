"""The client for pulls against real servers: origins, redirects, bounds, errors and the guard at the socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.receiver.post_client import NamedDialer
from support.receiver.scripted import OK, Request, Script, ScriptedServer, TestAuthority, answer, silence
from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked, ConfigError, UpstreamError, UpstreamTimeout
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient, PullResponse
from tidegate.rules.outbound.addresses import AllowList, parse_allow

LOOPBACK = parse_allow(["127.0.0.1/32"])
KEY = {"Authorization": "Bearer s3cret"}
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return asyncio.run if request.param == "asyncio" else uvloop.run


async def get(client: PullClient, url: str, method: str = "GET", **options: Any) -> PullResponse:
    options = {"headers": KEY, "timeout_seconds": 5.0} | options
    return await client.request(method, url, **options)


def check(
    run: Run,
    script: Script,
    test: Callable[[ScriptedServer, PullClient], Awaitable[None]],
    *,
    allow: AllowList = LOOPBACK,
    tls: TestAuthority | None = None,
) -> None:
    async def main() -> None:
        dialer = Dialer(Guard(allow), Clock(), tls=tls and tls.client())
        client = PullClient(dialer, Clock())
        async with ScriptedServer(script, tls=tls and tls.server()) as receiver:
            await test(receiver, client)
            await client.close()
            await dialer.close()

    run(main())


def redirect(status: int, location: str) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()


# -- asking ----------------------------------------------------------------------------------------------


def test_what_is_asked_and_what_is_answered(run: Run) -> None:
    sent = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nX-Two: 1\r\nx-two: \xe9\r\ncontent-length: 4\r\n\r\n\x00\xffab'

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        response = await get(
            client,
            receiver.url + "/orders?a=%2F",
            params=[("updated_since", "2026-01-01T00:00:00+00:00"), ("q", "ü &")],
        )
        assert (response.status, response.body) == (200, b"\x00\xffab")
        assert response.headers == [("etag", '"a"'), ("x-two", "1"), ("x-two", "é"), ("content-length", "4")]
        assert response.sent_at_us < response.received_at_us
        (request,) = receiver.requests
        assert (
            request.line == "GET /orders?a=%2F&updated_since=2026-01-01T00%3A00%3A00%2B00%3A00&q=%C3%BC%20%26 HTTP/1.1"
        )
        assert request.headers["authorization"] == "Bearer s3cret"
        assert request.headers["accept-encoding"] == "gzip, deflate, br, zstd"
        assert request.headers["user-agent"].startswith("tidegate/")

    check(run, answer(sent), test)


@pytest.mark.parametrize("status", [204, 304, 404, 429, 500])
def test_every_status_is_an_answer(run: Run, status: int) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        assert (await get(client, receiver.url)).status == status

    check(
        run,
        answer(b"HTTP/1.1 %d X\r\nretry-after: 3\r\n%b\r\n" % (status, b"content-length: 0\r\n" * (status > 399))),
        test,
    )


def test_a_body_is_posted(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        await get(client, receiver.url + "/token", "POST", body=b"grant_type=x")
        assert receiver.requests[0].body == b"grant_type=x"

    check(run, answer(OK), test)


def test_cookies_are_not_kept(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        await get(client, receiver.url)
        await get(client, receiver.url)
        assert "cookie" not in receiver.requests[1].headers
        assert receiver.connections == 1

    check(run, answer(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"), test)


def test_proxies_and_netrc_of_the_environment_are_ignored(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login joe password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        assert (await get(client, receiver.url, headers={})).status == 200
        assert "authorization" not in receiver.requests[0].headers

    check(run, answer(OK), test)


def test_aiohttp_is_not_loaded_before_the_first_request() -> None:
    code = (
        "import sys, tidegate.outbound.http, tidegate.outbound.post;"
        "sys.exit('aiohttp' in sys.modules or 'idna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- origins and redirects -------------------------------------------------------------------------------


def test_a_redirect_on_the_same_origin_is_followed_with_its_headers(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(OK if request.line.startswith("GET /new?x=1 ") else redirect(302, "/new?x=1#part"))

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        assert (await get(client, receiver.url + "/old", params=[("page", "2")])).body == b"ok"
        assert receiver.requests[1].headers["authorization"] == "Bearer s3cret"

    check(run, script, test)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_not_followed(run: Run, status: int) -> None:
    async def main() -> None:
        client = PullClient(Dialer(Guard(LOOPBACK), Clock()), Clock())
        async with (
            ScriptedServer(answer(OK)) as other,
            ScriptedServer(answer(redirect(status, other.url + "/?k=s3cret"))) as receiver,
        ):
            for location_origins in (frozenset[str](), frozenset({receiver.url})):
                with pytest.raises(UpstreamError) as caught:
                    await get(client, receiver.url, origins=location_origins)
                assert (caught.value.code, caught.value.upstream_status) == ("foreign_origin", status)
                assert "s3cret" not in caught.value.message
            assert other.connections == 0
        await client.close()

    run(main())


def test_a_redirect_between_a_source_s_own_origins_drops_the_headers(run: Run) -> None:
    async def main() -> None:
        client = PullClient(Dialer(Guard(LOOPBACK), Clock()), Clock())
        async with (
            ScriptedServer(answer(OK)) as other,
            ScriptedServer(answer(redirect(302, other.url + "/file"))) as receiver,
        ):
            response = await get(
                client, receiver.url, params=[("key", "s3cret")], origins=frozenset({receiver.url, other.url})
            )
            assert response.status == 200
            assert other.requests[0].line == "GET /file HTTP/1.1"
            assert "authorization" not in other.requests[0].headers
            with pytest.raises(UpstreamError):
                await get(client, receiver.url, "POST", body=b"x", origins=frozenset({receiver.url, other.url}))
            assert len(other.requests) == 1
        await client.close()

    run(main())


def test_headers_do_not_come_back_after_a_detour_over_another_origin(run: Run) -> None:
    async def main() -> None:
        client = PullClient(Dialer(Guard(LOOPBACK), Clock()), Clock())

        async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
            writer.write(redirect(302, receiver.url + "/end"))

        async def away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
            writer.write(OK if "/end" in request.line else redirect(302, other.url))

        async with ScriptedServer(back) as other, ScriptedServer(away) as receiver:
            await get(client, receiver.url, origins=frozenset({receiver.url, other.url}))
            assert "authorization" not in receiver.requests[1].headers
        await client.close()

    run(main())


def test_a_url_outside_the_source_s_origins_is_never_asked(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamError) as caught:
            await get(client, receiver.url + "/?k=s3cret", origins=frozenset({"https://shop.example.com"}))
        assert caught.value.code == "foreign_origin"
        assert "s3cret" not in caught.value.message
        assert receiver.connections == 0

    check(run, answer(OK), test)


def test_redirects_end_after_three(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamError, match="more than 3 times"):
            await get(client, receiver.url)
        assert len(receiver.requests) == 4

    check(run, answer(redirect(302, "/again")), test)


@pytest.mark.parametrize("location", ["ftp://x/", "javascript:alert(1)", "http://a:b@127.0.0.1/", "http://["])
def test_a_redirect_to_nonsense_is_an_upstream_error(run: Run, location: str) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamError):
            await get(client, receiver.url)
        assert len(receiver.requests) == 1

    check(run, answer(redirect(302, location)), test)


def test_a_post_is_redirected_only_by_307_and_308(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        path = request.line.split()[1]
        writer.write(OK if path == "/end" else redirect(int(path[1:]), "/end"))

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        assert (await get(client, receiver.url + "/307", "POST", body=b"x")).status == 200
        assert (receiver.requests[1].line, receiver.requests[1].body) == ("POST /end HTTP/1.1", b"x")
        for status in (301, 302, 303):
            with pytest.raises(UpstreamError, match="redirects a POST"):
                await get(client, f"{receiver.url}/{status}", "POST", body=b"x")
        assert [r.line.split()[1] for r in receiver.requests].count("/end") == 1

    check(run, script, test)


# -- the guard -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:7f00:1]", "rebound.test"])
def test_a_blocked_address_gets_no_packet(run: Run, host: str) -> None:
    async def main() -> None:
        found = ["127.0.0.1", "::1"]
        dialer = NamedDialer(Guard(AllowList()), Clock(), {"localhost": found, "rebound.test": found})
        client = PullClient(dialer, Clock())
        async with ScriptedServer(answer(OK)) as receiver:
            with pytest.raises(Blocked, match="loopback"):
                await get(client, f"http://{host}:{receiver.port}/?k=s3cret")
            assert receiver.connections == 0
        await client.close()

    run(main())


def test_a_redirect_to_a_blocked_address_is_refused_at_its_own_socket(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(Blocked, match="metadata"):
            await get(client, receiver.url, origins=frozenset({receiver.url, "http://169.254.169.254"}))

    check(run, answer(redirect(302, "http://169.254.169.254/latest")), test)


def test_the_socket_is_checked_though_the_resolver_was_passed(run: Run) -> None:
    """The last line: an address that reaches the socket factory unseen is refused there."""

    async def main() -> None:
        from tidegate.outbound.guarded import make_session

        dialer = Dialer(Guard(AllowList()), Clock())
        async with ScriptedServer(answer(OK)) as receiver, make_session(dialer) as session:
            with pytest.raises(Blocked):
                await session.get(receiver.url)
            assert receiver.connections == 0

    run(main())


def test_stricter_rules_hold_for_sockets_that_are_open_already(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        await get(client, receiver.url)
        client._dialer.guard.update(allow=AllowList())
        with pytest.raises(Blocked):
            await get(client, receiver.url)
        assert len(receiver.requests) == 1

    check(run, answer(OK), test)


# -- bounds ----------------------------------------------------------------------------------------------


def packed(data: bytes, encoding: str = "gzip") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        encoding.encode(),
        len(data),
        data,
    )


def test_gzip_is_unpacked_and_its_headers_taken_away(run: Run) -> None:
    body = json.dumps([{"id": number} for number in range(100_000)]).encode()

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        response = await get(client, receiver.url)
        assert response.body == body
        assert response.headers == []

    check(run, answer(packed(gzip.compress(body[:7]) + gzip.compress(body[7:]))), test)


@pytest.mark.parametrize("extra", [0, 1])
def test_the_bound_holds_to_the_byte_plain_and_unpacked(run: Run, extra: int) -> None:
    body = b"x" * (100_000 + extra)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        plain = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        writer.write(packed(gzip.compress(body)) if "gzip" in request.line else plain)

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        for path in ("/plain", "/gzip"):
            if extra:
                with pytest.raises(UpstreamError) as caught:
                    await get(client, receiver.url + path, max_bytes=100_000)
                assert caught.value.code == "upstream_too_large"
            else:
                assert (await get(client, receiver.url + path, max_bytes=100_000)).body == body

    check(run, script, test)


def test_a_bomb_is_stopped_at_the_bound(run: Run) -> None:
    squeezer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(200)) + squeezer.flush()
    assert len(bomb) < 300_000

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamError) as caught:
            await get(client, receiver.url, max_bytes=1 << 20)
        assert caught.value.code == "upstream_too_large"

    check(run, answer(packed(bomb)), test)


def test_an_endless_gzip_of_nothing_is_stopped_too(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")
        while not writer.is_closing():
            writer.write(gzip.compress(b"") * 1000)
            await writer.drain()

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamError) as caught:
            await get(client, receiver.url, max_bytes=100_000)
        assert caught.value.code == "upstream_too_large"

    check(run, script, test)


# -- errors ----------------------------------------------------------------------------------------------

BROKEN = [
    (b"", "closed before an answer"),
    (b"garbage\r\n\r\n", "is not HTTP"),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", "is not HTTP"),
    (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nok", "is not HTTP"),
    (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "is not HTTP"),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "ends early"),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "is not HTTP"),
    (packed(gzip.compress(b"hello", mtime=0)[:-4]), "ends early"),
    (packed(b"hello"), "is not gzip"),
    (packed(b"hello" * 20, "br"), "is not br"),
    (packed(b"hello", "compress"), "not asked for"),
]


@pytest.mark.parametrize(("sent", "words"), BROKEN)
def test_a_broken_answer_is_an_upstream_error_that_names_the_host(run: Run, sent: bytes, words: str) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamError) as caught:
            await get(client, receiver.url + "/?k=s3cret")
        assert words in caught.value.message
        assert caught.value.message.startswith("127.0.0.1")
        assert "s3cret" not in caught.value.message
        assert not isinstance(caught.value, UpstreamTimeout)

    check(run, answer(sent, close=True), test)


@pytest.mark.parametrize("letter", [b"\x01", b"\x7f", b"\x0b", b"\x1b"])
def test_a_header_with_a_control_letter_is_left_out(run: Run, letter: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-kept: \xc3\x80\t1\r\nlink: <a" + letter + b"b>\r\n\r\nok"

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        try:
            response = await get(client, receiver.url)
        except UpstreamError as refused:
            assert "is not HTTP" in refused.message
        else:
            assert response.headers == [("content-length", "2"), ("x-kept", "\xc3\x80\t1")]

    check(run, answer(head), test)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"])
def test_the_limit_holds_for_headers_and_body(run: Run, sent: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(sent)
        await silence(reader, writer, request)

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamTimeout) as caught:
            await get(client, receiver.url + "/?k=s3cret", timeout_seconds=0.1)
        assert (caught.value.status, caught.value.message) == (504, "127.0.0.1 did not answer within 0.1 s")

    check(run, script, test)


def test_nothing_listening_no_name_and_no_url(run: Run) -> None:
    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        with pytest.raises(UpstreamError, match=r"127\.0\.0\.1 port 1: refused"):
            await get(client, "http://127.0.0.1:1/?k=s3cret")
        with pytest.raises(UpstreamError, match=r"no address for nowhere\.invalid"):
            await get(client, "http://nowhere.invalid/?k=s3cret")
        with pytest.raises(ConfigError):
            await get(client, "file:///etc/passwd")

    check(run, answer(OK), test)


def test_tls_is_verified(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)

    async def test(receiver: ScriptedServer, client: PullClient) -> None:
        assert (await get(client, receiver.url)).status == 200
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's handshake fails too
        stranger = PullClient(Dialer(Guard(LOOPBACK), Clock()), Clock())
        with pytest.raises(UpstreamError, match="certificate refused"):
            await get(stranger, receiver.url)
        await stranger.close()
        assert len(receiver.requests) == 1

    check(run, answer(OK), test, tls=authority)
