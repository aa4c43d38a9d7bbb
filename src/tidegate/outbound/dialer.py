"""Opens every outgoing socket: resolves the name, checks every address, and connects to a checked address.

Owns the guard over `rules/outbound/addresses.py`, the TLS context and the translation of errors before a request; names
are looked up by `resolver.py`. It may not know what is sent. Invariants: no socket is connected to an address that
`Guard` did not pass in this process; a name is never given to the socket layer, so a name that resolves differently
between check and use (DNS rebinding) does not get around the guard. Proxy settings of the environment are ignored,
because a proxy would choose the addresses itself. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked, UpstreamError, UpstreamTimeout
from tidegate.core.model import Outcome
from tidegate.outbound.resolver import NameNotResolved, Resolver, sockaddr_text, system_query
from tidegate.rules.outbound.addresses import AllowList, Target, blocked_reason

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

_NEXT_ADDRESS_SECONDS = 0.3  # RFC 8305 section 5: delay before the next address is tried in parallel
_MAX_ADDRESSES = 6  # tried per name, so that an answer with thousands does not cause thousands of connects


# What the kernel answers when this machine, and not the destination, lacks something.
_LOCAL = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class DialFailed(UpstreamError):
    """No usable socket. `outcome` is DNS, REFUSED, TLS or TIMEOUT. No byte of the request was sent.

    `local`: this machine lacked a file, a socket or memory, so nothing is known of the destination.
    """

    def __init__(self, message: str, outcome: Outcome, *, local: bool = False) -> None:
        late = outcome is Outcome.TIMEOUT
        super().__init__(message, code=UpstreamTimeout.code if late else None, status=504 if late else None)
        self.outcome = outcome
        self.local = local


class Guard:
    """Checks addresses. `generation` grows when the rules change, so that pools can drop older sockets."""

    def __init__(self, allow: AllowList, own: frozenset[tuple[str, int]] = frozenset()) -> None:
        self._allow = allow
        self._own = own
        self.generation = 0

    def update(self, *, allow: AllowList | None = None, own: frozenset[tuple[str, int]] | None = None) -> None:
        """Set new rules, or the addresses that the gateway listens on, for every connect from now on."""
        before = (self._allow, self._own)
        self._allow = self._allow if allow is None else allow
        self._own = self._own if own is None else own
        if (self._allow, self._own) != before:  # most configuration changes do not change them
            self.generation += 1

    def blocked_reason(self, ip: str, port: int) -> str | None:
        """None when the address may be called, else the reason; see `addresses.blocked_reason`."""
        word = blocked_reason(ip, port, self._allow, self._own)
        if word is not None:
            return word
        if any(p == port and host in ("0.0.0.0", "::") for host, p in self._own) and _is_this_machine(ip):  # noqa: S104
            return "own_listener"
        return None

    def check(self, ip: str, port: int, host: str = "") -> None:
        """Raise Blocked unless the address may be called. `host` is the name that resolved to it, for the message."""
        word = self.blocked_reason(ip, port)
        if word is not None:
            raise _blocked(word, ip, port, host)


def _blocked(word: str, ip: str, port: int, host: str) -> Blocked:
    name = "" if host in ("", ip) else f"{host} resolves to "
    hint = "use another host; this address is always blocked" if word in _NEVER else None
    return Blocked(f"{name}{ip} port {port}: {word} address", hint=hint)


_NEVER = ("metadata", "own_listener", "not_an_address")


def _is_this_machine(ip: str) -> bool:
    """Whether the kernel routes `ip` to this machine. Connecting a datagram socket shows it and sends nothing."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((ip, 9))
            return bool(probe.getsockname()[0] == ip)
    except OSError as error:
        if is_local(error):  # not known, and the real connect may find what is missing here
            raise translate(error, ip, 9, False) from None
        return False  # there is no route, so the real connect fails too


class Dialer:
    """Resolves, checks, connects. One per process."""

    def __init__(
        self,
        guard: Guard,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self.guard = guard
        self._tls = tls
        self._resolver = resolver or Resolver(clock)

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of `host` that may be called, at most six, in the order to try.

        Blocked when all of them are blocked, DialFailed (DNS) when there is none. A cached answer is checked again each
        time, because the rules may have changed.
        """
        found = await self._lookup(host)
        passed, word, seen = [], "", ""
        for ip in found[:_MAX_ADDRESSES]:
            reason = self.guard.blocked_reason(ip, port)
            if reason is None:
                passed.append(ip)
            elif not word:
                word, seen = reason, ip
        if not passed:
            raise _blocked(word, seen, port, host)
        return passed

    async def _lookup(self, host: str) -> list[str]:
        if _is_literal(host):
            return [host]
        try:
            return await self._resolver.lookup(host)
        except NameNotResolved as error:
            raise DialFailed(error.message, Outcome.DNS, local=is_local(error.error)) from None

    async def connect(self, factory: Callable[[], _P], target: Target) -> tuple[asyncio.Transport, _P]:
        """A connected transport (after the TLS handshake for https) and its protocol.

        Raises Blocked, or DialFailed with its outcome. Only the TLS handshake has a time limit; the caller cancels the
        call at its own limit, which closes the socket.
        """
        addresses = await self.resolve(target.host, target.port)
        context = await self.tls() if target.scheme == "https" else None
        if len(addresses) == 1:
            return await self._connect_one(factory, target, addresses[0], context)
        return await _first_of([self._connect_one(factory, target, ip, context) for ip in addresses])

    async def _connect_one(
        self, factory: Callable[[], _P], target: Target, ip: str, context: ssl.SSLContext | None
    ) -> tuple[asyncio.Transport, _P]:
        loop = asyncio.get_running_loop()
        try:
            if context is None:
                transport, protocol = await loop.create_connection(factory, ip, target.port)
            else:
                transport, protocol = await loop.create_connection(
                    factory, ip, target.port, ssl=context, server_hostname=target.host, ssl_handshake_timeout=30.0
                )
        except OSError as error:
            raise translate(error, target.host, target.port, context is not None) from None
        except UnicodeError:  # the TLS layer encodes the name again, by older rules
            raise DialFailed(f"{target.host}: no certificate can be valid for this name", Outcome.TLS) from None
        peer = transport.get_extra_info("peername")
        if peer is not None and sockaddr_text(peer) != ip:  # never expected: the loop does not resolve a literal
            transport.abort()
            raise _blocked("not_an_address", sockaddr_text(peer), target.port, target.host)
        return transport, protocol

    async def tls(self) -> ssl.SSLContext:
        """The context for TLS 1.2 or newer with the system's authorities, made once, in a thread (it reads files)."""
        if self._tls is None:
            context = await asyncio.get_running_loop().run_in_executor(None, _client_tls)
            self._tls = self._tls or context
        return self._tls

    async def close(self) -> None:
        """Cancel the lookups and clear the cache."""
        self._resolver.close()


def _client_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@functools.cache
def addresses_of(host: str) -> list[str]:
    """The addresses of this machine that a server on `host` listens on: `host` itself, or what the name means here.

    Blocks on the lookup of a name. A name without an address gives none: nothing can listen on it.
    """
    if _is_literal(host):
        return [host]
    try:
        found = system_query(host)
    except OSError:
        return []
    return list(dict.fromkeys(sockaddr_text(info[4]) for info in found))


def is_local(error: OSError | None) -> bool:
    """Whether this machine lacked what a connection needs."""
    return error is not None and not isinstance(error, ssl.SSLError) and error.errno in _LOCAL


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()


def translate(error: OSError, host: str, port: int, tls: bool) -> DialFailed:
    """The error for a failed connect, by its type. With TLS, a reset or abort happened in the handshake."""
    where = f"{host} port {port}"
    if is_local(error):
        return DialFailed(f"{where}: {error.strerror or 'no local resources'}", Outcome.REFUSED, local=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return DialFailed(f"{where}: certificate not accepted: {error.verify_message}", Outcome.TLS)
    if isinstance(error, ssl.SSLError):
        return DialFailed(f"{where}: TLS failed: {error.reason or 'closed in the handshake'}", Outcome.TLS)
    if tls and isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return DialFailed(f"{where}: closed in the TLS handshake", Outcome.TLS)
    if isinstance(error, TimeoutError):
        return DialFailed(f"{where}: the connect timed out", Outcome.TIMEOUT)
    reason = "refused" if isinstance(error, ConnectionRefusedError) else (error.strerror or type(error).__name__)
    return DialFailed(f"{where}: {reason}", Outcome.REFUSED)


_R = TypeVar("_R")


async def _first_of(attempts: list[Coroutine[Any, Any, tuple[asyncio.Transport, _R]]]) -> tuple[asyncio.Transport, _R]:
    """The result of the first attempt that succeeds, started one after another with a delay. Raises the first error
    when all fail.
    """
    waiting = list(reversed(attempts))
    running: set[asyncio.Task[tuple[asyncio.Transport, _R]]] = set()
    failure: BaseException | None = None
    won: asyncio.Task[tuple[asyncio.Transport, _R]] | None = None
    try:
        while won is None and (waiting or running):
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop()))
            done, running = await asyncio.wait(
                running,
                timeout=_NEXT_ADDRESS_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                if task.exception() is not None:
                    failure = failure or task.exception()
                elif won is None:
                    won = task
                else:
                    task.result()[0].abort()
    finally:
        for attempt in waiting:
            attempt.close()
        for task in running:
            task.cancel()
            task.add_done_callback(_drop)
    if won is None:
        assert failure is not None
        raise failure
    return won.result()


def _drop(task: asyncio.Task[tuple[asyncio.Transport, _R]]) -> None:
    """Close an attempt that had connected before it was canceled."""
    if not task.cancelled() and task.exception() is None:
        task.result()[0].abort()
