"""Own authority, client certificate and proxy on real sockets, for both clients: deliveries (POST) and pulls."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.gateway.running import until
from support.receiver.post_client import NamedDialer, Run, post_to
from support.receiver.proxying import ConnectProxy
from support.receiver.scripted import OK, Request, ScriptedServer, TestAuthority, answer
from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.model import Outcome
from tidegate.core.spec import Proxy
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.outbound.post import PostClient
from tidegate.outbound.tls import client_context
from tidegate.rules.outbound.addresses import parse_allow, parse_target, with_options
from tidegate.rules.outbound.connect_options import ClientCertificate, ConnectOptions
from tidegate.rules.outbound.proxies import connect_options

LOOPBACK = ["127.0.0.1/32"]
NAMES = {"localhost": ["127.0.0.1"], "proxy.test": ["127.0.0.1"], "private.test": ["10.1.2.3"]}
Send = Callable[[str, ConnectOptions | None], Awaitable[str]]
"""(URL, options) -> "200", or what went wrong in words."""


class Both:
    """The two clients behind one face."""

    def __init__(self, kind: str, dialer: Dialer) -> None:
        self.post, self.pull = PostClient(dialer, Clock()), PullClient(dialer, Clock())
        self.kind = kind
        self.outcome: Outcome | None = None

    async def send(self, url: str, options: ConnectOptions | None) -> str:
        if self.kind == "post":
            result = await post_to(self.post, with_options(parse_target(url), options))
            self.outcome = result.outcome
            return str(result.status) if result.status else result.error
        try:
            client = self.pull if options is None else self.pull.through(options)
            return str((await client.request("GET", url, headers={}, timeout_seconds=5.0)).status)
        except TidegateError as error:
            return error.message


class BlockingServer:
    """A TLS server as OpenSSL makes one: it sends an alert when it rejects a certificate. asyncio's sends none."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self.answered = 0

    def __enter__(self) -> BlockingServer:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the socket is closed at the end
            while True:
                accepted, _ = self._socket.accept()
                with accepted, contextlib.suppress(OSError):
                    with self._context.wrap_socket(accepted, server_side=True) as secure:
                        secure.recv(65536)
                        secure.sendall(OK)
                        self.answered += 1


@pytest.fixture(params=["post", "pull"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def both(kind: str, allow: list[str] | None = None) -> AsyncIterator[Both]:
    dialer = NamedDialer(Guard(parse_allow(allow or LOOPBACK)), Clock(), NAMES)
    clients = Both(kind, dialer)
    try:
        yield clients
    finally:
        await clients.post.close()
        await clients.pull.close()
        await dialer.close()
    assert clients.post.stats().open == 0


def with_certificate(ca: str, pair: tuple[str, str]) -> ConnectOptions | None:
    return connect_options(ca, "", ClientCertificate(*pair))


# -- own authority ---------------------------------------------------------------------------------------


def test_only_an_own_authority_accepts_its_server(run: Run, kind: str, tmp_path: Path) -> None:
    ours, other = TestAuthority(tmp_path), TestAuthority(tmp_path / "other")

    async def main() -> None:
        async with ScriptedServer(answer(OK), tls=ours.server()) as server, both(kind) as clients:
            assert await clients.send(server.url, connect_options(ours.pem, "")) == "200"
            for options in (None, connect_options(other.pem, "")):
                assert "certificate" in await clients.send(server.url, options)
            assert len(server.requests) == 1, "a socket with other options is never shared"
            assert await clients.send(server.url, connect_options(other.pem + ours.pem, "")) == "200"

    run(main())


def test_the_certificate_of_the_server_itself_is_an_authority(run: Run, kind: str, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    context = authority.server()
    pinned = (tmp_path / "localhost1.pem").read_text().partition("-----BEGIN CERTIFICATE")
    pinned_pem = pinned[1] + pinned[2]

    async def main() -> None:
        async with ScriptedServer(answer(OK), tls=context) as server, both(kind) as clients:
            assert await clients.send(server.url, connect_options(pinned_pem, "")) == "200"

    run(main())


# -- client certificate ----------------------------------------------------------------------------------


def test_a_client_certificate_opens_a_server_that_wants_one(run: Run, kind: str, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    good, late = authority.pair(), authority.pair(host="late.test", days=-1)
    stranger = TestAuthority(tmp_path / "other").pair()

    async def main() -> None:
        with BlockingServer(authority.server(clients=authority)) as server:
            async with both(kind) as clients:
                assert await clients.send(server.url, with_certificate(authority.pem, good)) == "200"
                said = await clients.send(server.url, connect_options(authority.pem, ""))
                assert "REQUIRED" in said or "closed before an answer" in said
                said = await clients.send(server.url, with_certificate(authority.pem, late))
                assert "the client certificate expired on 20" in said
                said = await clients.send(server.url, with_certificate(authority.pem, stranger))
                assert said.endswith("; the server may not accept the client certificate")
                if kind == "post":
                    assert clients.outcome in (Outcome.TLS, Outcome.RESET)
        assert server.answered == 1

    run(main())


def test_a_redirect_to_another_origin_does_not_show_the_certificate(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    shown: list[object] = []

    async def away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        shown.append(writer.get_extra_info("peercert"))
        writer.write(OK)

    async def main() -> None:
        wanting = authority.server(host="localhost", clients=authority)
        wanting.verify_mode = wanting.verify_mode.__class__.CERT_OPTIONAL
        async with ScriptedServer(away, tls=wanting) as other:
            there = other.url.replace("127.0.0.1", "localhost").encode()
            redirect = b"HTTP/1.1 302 Found\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % there
            async with (
                ScriptedServer(answer(redirect), tls=authority.server(clients=authority)) as server,
                both("pull") as clients,
            ):
                client = clients.pull.through(with_certificate(authority.pem, authority.pair()))
                origins = frozenset({server.url, there.decode()})
                response = await client.request("GET", server.url, headers={}, timeout_seconds=5.0, origins=origins)
        assert response.status == 200 and not any(shown)

    run(main())


# -- proxy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", ["http", "https"])
@pytest.mark.parametrize("to_proxy", ["http", "https"])
def test_a_proxy_gets_the_checked_address_and_no_request(
    run: Run, kind: str, tmp_path: Path, over: str, to_proxy: str
) -> None:
    authority = TestAuthority(tmp_path)
    tls = authority.server() if over == "https" else None
    proxy_tls = TestAuthority(tmp_path / "proxy")

    async def main() -> None:
        async with (
            ScriptedServer(answer(OK), tls=tls) as server,
            ConnectProxy(tls=proxy_tls.server() if to_proxy == "https" else None) as proxy,
            both(kind) as clients,
        ):
            spec = Proxy(url=proxy.url, ca=proxy_tls.pem if to_proxy == "https" else "")
            options = connect_options(authority.pem if tls else "", spec)
            url = server.url.replace("127.0.0.1", "localhost") + "/secret-path"
            for _ in range(2):
                assert await clients.send(url, options) == "200"
            assert proxy.asked == [f"127.0.0.1:{server.port}"], "one tunnel, kept for the second request"
            assert (b"secret-path" in proxy.passed) == (over == "http")
            assert b"secret" not in b"".join(proxy.heads)
            assert server.requests[0].headers["host"] == f"localhost:{server.port}"
        await until(lambda: server.open == 0 and proxy.open == 0)

    run(main())


def test_a_client_certificate_goes_through_the_proxy_to_the_target(run: Run, kind: str, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)

    async def main() -> None:
        async with (
            ScriptedServer(answer(OK), tls=authority.server(clients=authority)) as server,
            ConnectProxy() as proxy,
            both(kind) as clients,
        ):
            certificate = ClientCertificate(*authority.pair())
            assert await clients.send(server.url, connect_options(authority.pem, proxy.url, certificate)) == "200"
            said = await clients.send(server.url, connect_options("", proxy.url, certificate))
            assert "certificate not accepted" in said or "certificate refused" in said
            assert len(proxy.asked) == 2

    run(main())


def test_credentials_of_the_proxy_go_to_the_proxy_alone(run: Run, kind: str) -> None:
    async def main() -> None:
        async with (
            ScriptedServer(answer(OK)) as server,
            ConnectProxy(authorization="Basic dTpodXNo") as proxy,
            both(kind) as clients,
        ):
            good = Proxy(url=proxy.url, username="u", password="hush")
            assert await clients.send(server.url, connect_options("", good)) == "200"
            assert "authorization" not in server.requests[0].head.decode().lower()
            said = await clients.send(server.url, connect_options("", proxy.url))
            assert said == f"the proxy 127.0.0.1 port {proxy.port} wants a user and password (407)"
            wrong = msgspec.structs.replace(good, password="other")
            said = await clients.send(server.url, connect_options("", wrong))
            assert said == f"the proxy 127.0.0.1 port {proxy.port} does not accept its user and password (407)"

    run(main())


@pytest.mark.parametrize(
    ("url", "resolve", "said"),
    [
        ("http://169.254.169.254/latest", "here", "metadata"),
        ("http://169.254.169.254/latest", "proxy", "metadata"),
        ("http://10.1.2.3/", "proxy", "private"),
        ("http://private.test/", "here", "private"),
        ("http://private.test/", "proxy", "private"),
        ("http://unknown.test/", "here", "unknown.test"),
    ],
)
def test_the_guard_checks_the_target_behind_a_proxy(run: Run, kind: str, url: str, resolve: Any, said: str) -> None:
    async def main() -> None:
        async with ConnectProxy() as proxy, both(kind) as clients:
            options = connect_options("", Proxy(url=proxy.url, resolve=resolve))
            assert said in await clients.send(url, options)
            assert proxy.heads == [], "the proxy gets nothing"

    run(main())


def test_a_proxy_that_resolves_gets_a_name_that_this_machine_does_not_know(run: Run, kind: str) -> None:
    async def main() -> None:
        async with ScriptedServer(answer(OK)) as server, both(kind) as clients:
            async with ConnectProxy(leads_to=("127.0.0.1", server.port)) as proxy:
                options = connect_options("", Proxy(url=proxy.url, resolve="proxy"))
                assert await clients.send("http://unknown.test:8080/", options) == "200"
                assert proxy.asked == ["unknown.test:8080"]

    run(main())


def test_the_address_of_the_proxy_must_be_allowed(run: Run, kind: str) -> None:
    async def main() -> None:
        async with (
            ScriptedServer(answer(OK)) as server,
            ConnectProxy() as proxy,
            both(kind, [f"127.0.0.1/32:{server.port}"]) as it,
        ):
            said = await it.send(server.url, connect_options("", f"http://proxy.test:{proxy.port}"))
            assert said == f"the proxy proxy.test resolves to 127.0.0.1 port {proxy.port}: loopback address"
            assert proxy.heads == []

    run(main())


def test_a_proxy_that_fails_says_so(run: Run, kind: str) -> None:
    async def main() -> None:
        async with ScriptedServer(answer(OK)) as server, both(kind) as clients:
            async with ConnectProxy(refuses=[403], greets=b"x") as proxy:
                options = connect_options("", proxy.url)
                where = f"the proxy 127.0.0.1 port {proxy.port}"
                assert (
                    await clients.send(server.url, options)
                    == f"{where} answered 403 to CONNECT 127.0.0.1:{server.port}"
                )
                assert "bytes of its own" in await clients.send(server.url, options)
            assert await clients.send(server.url, options) == f"{where}: refused"
            async with ScriptedServer(answer(b"SSH-2.0-x\r\n\r\n")) as none:
                said = await clients.send(server.url, connect_options("", none.url))
                assert said == f"the proxy 127.0.0.1 port {none.port} does not answer CONNECT with HTTP"
            assert server.requests == []

    run(main())


def test_an_address_that_the_proxy_cannot_reach_is_followed_by_the_next(run: Run, kind: str) -> None:
    async def main() -> None:
        async with ScriptedServer(answer(OK)) as server, both(kind, ["127.0.0.0/8", "::1/128"]) as clients:
            NAMES["two.test"] = ["::1", "127.0.0.1"]
            async with ConnectProxy(refuses=[502], leads_to=("127.0.0.1", server.port)) as proxy:
                assert await clients.send(f"http://two.test:{server.port}/", connect_options("", proxy.url)) == "200"
                assert proxy.asked == [f"127.0.0.1:{server.port}", f"[::1]:{server.port}"], "IPv4 first"

    run(main())


def test_a_proxy_that_does_not_answer_ends_at_the_time_limit(run: Run) -> None:
    async def main() -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with both("post") as clients:
            target = with_options(parse_target("http://localhost:9/"), connect_options("", f"http://127.0.0.1:{port}"))
            result = await post_to(clients.post, target, seconds=0.3)
            assert (result.outcome, result.error) == (Outcome.TIMEOUT, "no connection after 0.3 s")
        server.close()

    run(main())


def test_no_private_key_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    real = ssl.SSLContext.load_cert_chain

    def watching(self: ssl.SSLContext, certificate: Any, key: Any, password: Any) -> None:
        seen.append(Path(key).read_text())
        real(self, certificate, key, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watching)
    client_context("", ClientCertificate(*TestAuthority(tmp_path).pair()))
    assert len(seen) == 1 and seen[0].startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert not list(tmp_path.glob("tidegate-*"))
