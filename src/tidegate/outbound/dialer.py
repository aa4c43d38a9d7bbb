"""Opens every outgoing socket: resolves the name, checks every address, and connects to a checked address.

Owns the guard over `rules/outbound/addresses.py` and the order of the steps; names are looked up by `resolver.py`, TLS
contexts come from `tls.py`, tunnels through a proxy from `tunnel.py`. It may not know what is sent. Invariants: no
socket is connected to an address that `Guard` did not pass in this process, a proxy's address included; a name is never
given to the socket layer, so a name that resolves differently between check and use (DNS rebinding) does not get around
the guard; behind a proxy the guard checks the target too, and the proxy gets the checked address, unless the proxy is
configured to resolve names. Proxy settings of the environment are ignored. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked
from tidegate.core.model import Outcome
from tidegate.outbound.dial_failed import DialFailed, is_local, translate
from tidegate.outbound.resolver import NameNotResolved, Resolver, sockaddr_text, system_query
from tidegate.outbound.tls import TlsContexts
from tidegate.outbound.tunnel import ConnectAnswer, TunnelRefused, open_tunnel, shown, start_inside
from tidegate.rules.outbound.addresses import AllowList, Target, blocked_reason
from tidegate.rules.outbound.connect_options import ConnectOptions, ProxyAddress

_P = TypeVar("_P", bound=asyncio.BaseProtocol)
Place = tuple[str, int]  # host and port, as errors name them

_NEXT_ADDRESS_SECONDS = 0.3  # RFC 8305 section 5: delay before the next address is tried in parallel
_PLAIN = ConnectOptions()
_MAX_TUNNELS = 2  # addresses of a target that a proxy is asked for
_MAX_ADDRESSES = 6  # tried per name, so that an answer with thousands does not cause thousands of connects


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
            raise translate(error, f"{ip} port 9", False) from None
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
        self._contexts = TlsContexts(tls)
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
        """A connected transport (after the TLS handshake for https) and its protocol, as `target.options` say.

        Raises Blocked, or DialFailed with its outcome. Only the TLS handshake has a time limit; the caller cancels the
        call at its own limit, which closes the socket.
        """
        options = target.options or _PLAIN
        if options.proxy is not None:
            return await self._connect_through(options.proxy, factory, target)
        addresses = await self.resolve(target.host, target.port)
        context = await self._context(target, options)
        return await self._connect_any(factory, (target.host, target.port), addresses, context)

    async def _context(self, target: Target, options: ConnectOptions) -> ssl.SSLContext | None:
        return await self.tls(options) if target.scheme == "https" else None

    async def tls(self, options: ConnectOptions | None = None) -> ssl.SSLContext:
        """The context for TLS with the authorities and the client certificate of the options."""
        options = options or _PLAIN
        return await self._contexts.get(options.ca, options.certificate)

    async def _connect_any(
        self, factory: Callable[[], _P], place: Place, addresses: list[str], context: ssl.SSLContext | None
    ) -> tuple[asyncio.Transport, _P]:
        if len(addresses) == 1:
            return await self._connect_one(factory, place, addresses[0], context)
        return await _first_of([self._connect_one(factory, place, ip, context) for ip in addresses])

    async def _connect_one(
        self, factory: Callable[[], _P], place: Place, ip: str, context: ssl.SSLContext | None
    ) -> tuple[asyncio.Transport, _P]:
        loop = asyncio.get_running_loop()
        host, port = place
        try:
            if context is None:
                transport, protocol = await loop.create_connection(factory, ip, port)
            else:
                transport, protocol = await loop.create_connection(
                    factory, ip, port, ssl=context, server_hostname=host, ssl_handshake_timeout=30.0
                )
        except OSError as error:
            raise translate(error, f"{host} port {port}", context is not None) from None
        except UnicodeError:  # the TLS layer encodes the name again, by older rules
            raise DialFailed(f"{host}: no certificate can be valid for this name", Outcome.TLS) from None
        peer = transport.get_extra_info("peername")
        if peer is not None and sockaddr_text(peer) != ip:  # never expected: the loop does not resolve a literal
            transport.abort()
            raise _blocked("not_an_address", sockaddr_text(peer), port, host)
        return transport, protocol

    # -- through a proxy -----------------------------------------------------------------------------------

    async def _connect_through(
        self, proxy: ProxyAddress, factory: Callable[[], _P], target: Target
    ) -> tuple[asyncio.Transport, _P]:
        """As `connect`, by a tunnel. The target is checked first, so that a blocked one is never named to the proxy."""
        hosts = await self._asked_for(proxy, target)
        context = await self._context(target, target.options or _PLAIN)
        for number, host in enumerate(hosts, 1):
            try:
                return await self._tunnel(proxy, target, host, context, factory)
            except TunnelRefused as error:
                if not error.unreachable or number == len(hosts):
                    raise
        raise AssertionError("there is always a host")

    async def _tunnel(
        self, proxy: ProxyAddress, target: Target, host: str, context: ssl.SSLContext | None, factory: Callable[[], _P]
    ) -> tuple[asyncio.Transport, _P]:
        transport, answer = await self._reach(proxy)
        where = shown(proxy)
        try:
            await open_tunnel(
                transport, answer, proxy, f"[{host}]:{target.port}" if ":" in host else f"{host}:{target.port}"
            )
            where = f"{target.host} port {target.port} through {where}"
            return await start_inside(transport, factory, context, target.host)
        except OSError as error:
            transport.abort()
            raise translate(error, where, context is not None and "through" in where) from None
        except BaseException:
            transport.abort()
            raise

    async def _reach(self, proxy: ProxyAddress) -> tuple[asyncio.Transport, ConnectAnswer]:
        """A socket to the proxy, whose own address the guard checks like any other."""
        try:
            addresses = await self.resolve(proxy.host, proxy.port)
            context = await self._contexts.get(proxy.ca, None) if proxy.scheme == "https" else None
            return await self._connect_any(ConnectAnswer, (proxy.host, proxy.port), addresses, context)
        except Blocked as error:
            raise Blocked(f"the proxy {error.message}", hint=error.hint) from None
        except DialFailed as error:
            raise DialFailed(f"the proxy {error.message}", error.outcome, local=error.local) from None

    async def _asked_for(self, proxy: ProxyAddress, target: Target) -> list[str]:
        """The hosts to ask the proxy for, one after the other. Raises Blocked when the guard blocks the target.

        A proxy that resolves names itself gets the name. One that this machine can resolve too is checked all the same.
        """
        try:
            found = await self.resolve(target.host, target.port)
        except DialFailed as error:
            if not proxy.resolves or error.local:
                raise
            return [target.host]
        if proxy.resolves:
            return [target.host]
        return sorted(found, key=lambda ip: ":" in ip)[:_MAX_TUNNELS]  # IPv4 first: many proxies have only that

    async def close(self) -> None:
        """Cancel the lookups and clear the cache."""
        self._resolver.close()


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


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()


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
