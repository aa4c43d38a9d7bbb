"""aiohttp behind our guard: a resolver and a socket factory that ask the dialer about every address.

Owns the only place where an aiohttp session is made. It is imported by `client.py` at the first request and
never at start, because aiohttp takes half a second of CPU to load. Invariant: the socket factory judges the
very address the socket is then connected to, so a URL with a literal address (which skips the resolver) and
a name that changes its answer are refused alike. Nothing here survives a crash.
"""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tidegate.outbound.dialer import Dialer, Guard, sockaddr_text

_SOCKETS = 256  # at once, over all sources
_IDLE_SECONDS = 15.0


class GuardedResolver(AbstractResolver):
    """Names by the dialer: its cache, and only addresses that may be called. Blocked or DialFailed otherwise."""

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
        """The dialer belongs to others."""


def guarded_socket(guard: Guard, info: Any) -> socket.socket:
    """A socket for one address as `getaddrinfo` gives it; Blocked before it exists when the guard refuses."""
    family, kind, protocol, _, address = info
    guard.check(sockaddr_text(address), address[1])
    return socket.socket(family, kind, protocol)


def make_session(dialer: Dialer) -> aiohttp.ClientSession:
    """No cookies, no proxies, no automatic decoding, no netrc; must be called on the loop."""
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
