"""A tunnel through an HTTP proxy: CONNECT, its answer, and TLS inside (RFC 9110 section 9.3.6).

Owns one tunnel while it is made; `dialer.py` opens the socket to the proxy and has checked both addresses. It may not
know what is sent through. Invariants: nothing but CONNECT reaches the proxy in the clear of an https target; a byte
after the proxy's answer breaks the tunnel, because it would be read as the target's; a tunnel that is not made
closes its socket. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import TypeVar, cast

from tidegate import __version__
from tidegate.core.model import Outcome
from tidegate.outbound.dial_failed import DialFailed
from tidegate.rules.outbound.connect_options import ProxyAddress

_HEAD_LIMIT = 16 * 1024  # bytes of the proxy's answer
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: |\r)")
_UNREACHABLE = (502, 503, 504)  # the proxy could not reach the target

_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class TunnelRefused(DialFailed):
    """The proxy answered CONNECT with an error. `unreachable`: because it could not reach that address."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, Outcome.TIMEOUT if status == 504 else Outcome.REFUSED)
        self.unreachable = status in _UNREACHABLE


class ConnectAnswer(asyncio.Protocol):
    """Reads the head of the proxy's answer. `head` gets it, or an OSError."""

    def __init__(self) -> None:
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.trailing = False  # bytes arrived after the head
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        self.trailing = self.trailing or bool(rest)
        if self.head.done():
            self.trailing = True
        elif end:
            self.head.set_result(head + b"\r\n")
        elif len(self._received) > _HEAD_LIMIT:
            self.head.set_exception(OSError("its answer is too long"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.head.done():
            self.head.set_exception(error if isinstance(error, OSError) else ConnectionResetError())


async def open_tunnel(transport: asyncio.Transport, answer: ConnectAnswer, proxy: ProxyAddress, authority: str) -> None:
    """Ask the proxy for `authority` (host:port). TunnelRefused or OSError when there is no tunnel."""
    lines = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}", f"user-agent: Tidegate/{__version__}"]
    if proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    transport.write("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
    head = await answer.head
    match = _STATUS.match(head)
    status = int(match[1]) if match else 0
    if not 200 <= status < 300:
        raise TunnelRefused(_why_not(proxy, authority, status), status)
    if answer.trailing:
        raise TunnelRefused(f"{shown(proxy)} sends bytes of its own into the tunnel to {authority}", 0)


async def start_inside(
    transport: asyncio.Transport, factory: Callable[[], _P], context: ssl.SSLContext | None, host: str
) -> tuple[asyncio.Transport, _P]:
    """Hand the tunnel over to a new protocol, after the TLS handshake with the target when there is a context."""
    protocol = factory()
    inner: asyncio.Transport | None = transport
    if context is None:
        transport.set_protocol(protocol)
    else:
        loop = asyncio.get_running_loop()
        inner = await loop.start_tls(
            transport, protocol, context, server_hostname=host, ssl_handshake_timeout=30.0
        )  # connection_made is not called for a transport that is upgraded
    assert inner is not None
    protocol.connection_made(cast(asyncio.BaseTransport, inner))
    return inner, protocol


def shown(proxy: ProxyAddress) -> str:
    return f"the proxy {proxy.host} port {proxy.port}"


def _why_not(proxy: ProxyAddress, authority: str, status: int) -> str:
    if status == 407:
        given = "does not accept its user and password" if proxy.authorization else "wants a user and password"
        return f"{shown(proxy)} {given} (407)"
    if status == 0:
        return f"{shown(proxy)} does not answer CONNECT with HTTP"
    return f"{shown(proxy)} answered {status} to CONNECT {authority}"
