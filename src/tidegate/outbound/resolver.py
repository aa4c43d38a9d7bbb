"""Names to addresses: lookups in threads of their own, with fairness between names and a short cache.

Owns the threads that call `getaddrinfo`, their bound, and the cache. May not know ports, rules or what is sent: the
dialer checks every address, cached ones too. Invariants: at most `WORKERS` lookups run, one per name; a hanging name
holds one thread and delays no name that was fast before (`lookup_order`). Threads are daemons, as a lookup cannot be
interrupted: one that hangs does not delay the end of the process. Nothing here survives a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from tidegate.core.clock import Clock
from tidegate.core.errors import UpstreamError
from tidegate.rules.outbound.lookup_order import LookupOrder

WORKERS = 32
CACHE_SECONDS = 5.0
CACHE_NAMES = 4096
LOOKUP_SECONDS = 10.0  # a caller waits no longer
SLOW_SECONDS = 1.0  # a lookup that takes longer is not fast
MAX_WAITING = 4096

Query = Callable[[str], list[Any]]  # what `socket.getaddrinfo` returns for a name


class NameNotResolved(UpstreamError):
    """There is no address. `error` is what the system said, None when there was no answer in time."""

    def __init__(self, message: str, error: OSError | None = None) -> None:
        super().__init__(message)
        self.error = error


def system_query(host: str) -> list[Any]:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


class Resolver:
    """One per process. Use it on one loop."""

    def __init__(
        self,
        clock: Clock,
        *,
        query: Query = system_query,
        workers: int = WORKERS,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._query = query
        self._order = LookupOrder(workers)
        self._cache: OrderedDict[str, tuple[float, list[str]]] = OrderedDict()
        self._lookups: dict[str, asyncio.Future[list[str]]] = {}
        self._fast: OrderedDict[str, None] = OrderedDict()

    async def lookup(self, host: str) -> list[str]:
        """The addresses of `host`, as text, in the system's order; at least one. NameNotResolved."""
        kept = self._cache.get(host)
        if kept is not None and self._clock.monotonic() - kept[0] < self._cache_seconds:
            return kept[1]
        # One lookup per name, however many callers wait; a caller that is canceled does not cancel it for the others.
        answer = self._lookups.get(host) or self._begin(host)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise NameNotResolved(f"no address for {host}: no answer within {LOOKUP_SECONDS:.0f} s") from None

    def _begin(self, host: str) -> asyncio.Future[list[str]]:
        if len(self._order) >= MAX_WAITING:
            raise NameNotResolved(f"no address for {host}: {MAX_WAITING} names wait to be looked up")
        answer = asyncio.get_running_loop().create_future()
        self._lookups[host] = answer
        self._order.add(host, fast=host in self._fast)
        self._start()
        return answer

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while (host := self._order.next()) is not None:
            slow = loop.call_later(SLOW_SECONDS, self._is_slow, host)
            thread = threading.Thread(target=self._run, args=(loop, host, slow), name=f"resolver {host}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system gives no thread
                slow.cancel()
                self._finish(host, slow, OSError(str(error)))

    def _run(self, loop: asyncio.AbstractEventLoop, host: str, slow: asyncio.TimerHandle) -> None:
        """In a thread."""
        result: list[Any] | Exception
        try:
            result = self._query(host)
        except UnicodeError as error:
            result = error
        except OSError as error:
            result = _no_socket() or error
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(self._finish, host, slow, result)

    def _is_slow(self, host: str) -> None:
        self._order.slow(host)
        self._fast.pop(host, None)
        self._start()

    def _finish(self, host: str, slow: asyncio.TimerHandle, result: list[Any] | Exception) -> None:
        self._order.done(host)
        answer = self._lookups.pop(host, None)
        found = [] if isinstance(result, Exception) else list(dict.fromkeys(sockaddr_text(one[4]) for one in result))
        if found:
            self._remember(host, found, fast=slow.when() > asyncio.get_running_loop().time())
        slow.cancel()
        if answer is not None and not answer.done():
            if found:
                answer.set_result(found)
            else:
                answer.set_exception(_failure(host, result if isinstance(result, Exception) else None))
                answer.exception()  # callers may have gone: mark it as retrieved
        self._start()

    def _remember(self, host: str, found: list[str], *, fast: bool) -> None:
        self._cache.pop(host, None)
        self._cache[host] = (self._clock.monotonic(), found)
        self._fast.pop(host, None)
        if fast:
            self._fast[host] = None
        for kept in (self._cache, self._fast):
            if len(kept) > CACHE_NAMES:
                kept.popitem(last=False)

    def close(self) -> None:
        """Forgets the cache. Lookups that hang end with their thread."""
        self._cache.clear()
        for answer in self._lookups.values():
            answer.cancel()
        self._lookups.clear()


def _no_socket() -> OSError | None:
    """A lookup that failed may have found no file or socket to ask with; the system does not say so."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as error:
        return error
    return None


def _failure(host: str, error: Exception | None) -> NameNotResolved:
    if isinstance(error, OSError):
        return NameNotResolved(f"no address for {host}: {error.strerror or error}", error)
    if error is not None:
        return NameNotResolved(f"no address for {host}: the name cannot be encoded")
    return NameNotResolved(f"no address for {host}")


def sockaddr_text(sockaddr: Any) -> str:
    """The address of a socket address, with its zone, so that the guard sees it."""
    ip = str(sockaddr[0])
    return f"{ip}%{sockaddr[3]}" if len(sockaddr) == 4 and sockaddr[3] and "%" not in ip else ip
