"""aiohttp behind the guard: a resolver and a socket factory that check every address with the dialer.

Owns the only place that makes an aiohttp session. `http.py` imports it at the first request and not at the start,
because aiohttp takes half a second of CPU to load. It may not know what is requested. Invariant: the socket factory
checks the address that the socket is connected to, so a URL with a literal address (which skips the resolver) and a
name that resolves differently the second time are blocked too. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.resolver import sockaddr_text
from tidegate.rules.outbound.addresses import parse_target, with_options
from tidegate.rules.outbound.connect_options import ConnectOptions

_SOCKETS = 256  # open at once, for all sources together
_IDLE_SECONDS = 15.0


class GuardedResolver(AbstractResolver):
    """Resolves with the dialer's cache, to addresses that may be called. Raises Blocked or DialFailed otherwise."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port,
                family=socket.AF_INET6 if ":" in ip else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for ip in await self._dialer.resolve(host, port)
        ]

    async def close(self) -> None:
        """Does nothing: the dialer is shared."""


def guarded_socket(guard: Guard, info: Any) -> socket.socket:
    """A socket for one address from `getaddrinfo`. Raises Blocked first when the guard does not allow the address."""
    family, kind, protocol, _, address = info
    guard.check(sockaddr_text(address), address[1])
    return socket.socket(family, kind, protocol)


class TunnelConnector(aiohttp.BaseConnector):
    """Connections that the dialer makes, for options with a proxy.

    aiohttp's own proxies would be asked for names, so what the guard checked would not be what is connected to.
    """

    def __init__(self, dialer: Dialer, options: ConnectOptions) -> None:
        super().__init__(limit=_SOCKETS, keepalive_timeout=_IDLE_SECONDS)
        self._dialer = dialer
        self._options = options

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as aiohttp calls it
    ) -> ResponseHandler:
        async with asyncio.timeout(timeout.sock_connect):
            target = with_options(parse_target(str(req.url.origin())), self._options)
            _, protocol = await self._dialer.connect(self._factory, target)
        return protocol


def make_session(dialer: Dialer, options: ConnectOptions | None = None) -> aiohttp.ClientSession:
    """No cookies, no proxies of aiohttp's, no automatic decoding, no netrc; must be called on the loop."""
    connector: aiohttp.BaseConnector
    if options is not None and options.proxy is not None:
        connector = TunnelConnector(dialer, options)
    else:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(dialer),
            socket_factory=lambda info: guarded_socket(dialer.guard, info),
            use_dns_cache=False,
            limit=_SOCKETS,
            keepalive_timeout=_IDLE_SECONDS,
        )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        raise_for_status=False,
    )
