"""The POST client for deliveries: callbacks instead of tasks, kept sockets, one sweep instead of timers.

Owns the pool of idle sockets, the requests in flight with their time limits, and the making of results. It may
not know events, destinations or retries, and follows no redirects, keeps no cookies, decodes no encodings,
reads no proxy settings and never pipelines. Why it exists: docs/decisions/0002-own-post-client.md.

Invariants: `done` is called exactly once per `send`, never inside it, and not after `abort` or `close`; idle
sockets are limited in all, so ten thousand destinations do not hold ten thousand sockets; a reused socket that
dies before the first byte of an answer costs no failure: the request goes out at once on a new one. After a
crash nothing of this exists; what was in flight is sent again with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked
from tidegate.core.model import Outcome
from tidegate.outbound.connection import Connection, Pending
from tidegate.outbound.dialer import Dialer, DialFailed
from tidegate.rules.outbound.addresses import Target

__all__ = ["Pending", "PostClient", "PostResult", "PostStats"]

_SWEEP_SECONDS = 0.1
_IDLE_SWEEP_SECONDS = 1.0
_MAX_AGE_SECONDS = 300.0  # then a socket is not kept on, so that a changed name is followed
_KEPT_HEADER_BYTES = 4096
_RETRY_AFTER_LETTERS = 128


class PostResult(msgspec.Struct, gc=False):
    """How a request ended. `headers` is a JSON list of [name, value], at most 4 KiB, b"" for 2xx unless asked for."""

    outcome: Outcome
    status: int | None  # None: no answer
    error: str  # in words; "" when an answer came whole and was 2xx
    headers: bytes
    retry_after: str  # the first Retry-After as written, "" is none
    body: bytes  # the first bytes, as sent (never decoded)
    body_bytes: int  # as far as it was read
    duration_us: int  # from send to the end
    reused: bool  # the socket had answered before


class PostStats(msgspec.Struct, frozen=True):
    open: int  # sockets, idle ones included
    idle: int
    in_flight: int  # requests, those that connect included


class PostClient:
    """One per process, on the loop it is first used on.

    `body_limit`: bytes of an answer's body that are kept. `read_limit`: bytes that are read before the answer
    is cut and its socket closed.
    """

    def __init__(
        self,
        dialer: Dialer,
        clock: Clock,
        *,
        idle_limit: int = 256,
        idle_seconds: float = 30.0,
        connect_seconds: float = 10.0,
        body_limit: int = 4096,
        read_limit: int = 1024 * 1024,
    ) -> None:
        self._dialer = dialer
        self._guard = dialer.guard
        self._monotonic = clock.monotonic
        self._idle_limit = idle_limit
        self._idle_seconds = idle_seconds
        self._connect_seconds = connect_seconds
        self._body_limit = body_limit
        self._read_limit = read_limit
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # oldest first
        self._stacks: dict[str, list[Connection]] = {}  # idle ones by origin, newest last
        self._in_flight: dict[Pending, None] = {}
        self._dialing: set[asyncio.Task[None]] = set()
        self._soonest = 0.0  # no deadline lies before it
        self._timer: asyncio.TimerHandle | None = None
        self._fast = False  # the timer runs at the pace for requests in flight
        self._closing = False
        self._empty: asyncio.Future[None] | None = None  # waits for the last socket to close

    def send(
        self,
        target: Target,
        head: bytes,
        body: bytes,
        timeout_seconds: float,
        done: Callable[[PostResult], None],
        *,
        keep_headers: bool = False,
    ) -> Pending:
        """Starts a POST; `done` gets the result later, on the loop.

        `head`: the header lines after host, each ended by CRLF, without the blank line and without
        content-length. ValueError when it holds a blank line; RuntimeError after `close`.
        """
        if self._closing:
            raise RuntimeError("the POST client is closed")
        if head and (head[-2:] != b"\r\n" or b"\r\n\r\n" in head or head[0] == 13):
            raise ValueError("head is no sequence of header lines")
        pending = Pending(self, target, head, body, timeout_seconds, done, keep_headers)
        pending.started = now = self._monotonic()
        self._in_flight[pending] = None
        wire = self._take(target.origin)
        if wire is None:
            pending.deadline = now + min(self._connect_seconds, timeout_seconds)
            self._dial(pending)
        else:
            pending.reused = True
            pending.deadline = now + timeout_seconds
            wire.begin(pending)
        if pending.deadline < self._soonest:
            self._soonest = pending.deadline
        if not self._fast:
            self._schedule(True)
        return pending

    def stats(self) -> PostStats:
        return PostStats(len(self._open), len(self._idle), len(self._in_flight))

    async def close(self) -> None:
        """Cuts off what is in flight (without `done`), closes every socket and waits for that."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for pending in list(self._in_flight):
            pending.abort()
        for wire in list(self._open):
            wire.transport.abort()
        if self._dialing:
            await asyncio.wait(list(self._dialing))
        if self._open:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty

    # -- connecting ----------------------------------------------------------------------------------------

    def _dial(self, pending: Pending) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(pending))
        pending.task = task
        self._dialing.add(task)
        task.add_done_callback(self._dialing.discard)

    async def _connect(self, pending: Pending) -> None:
        generation = self._guard.generation
        made: list[Connection] = []
        wire: Connection | None = None
        try:
            transport, wire = await self._dialer.connect(lambda: self._new_wire(made), pending.target)
        except Blocked as error:
            self._fail(pending, Outcome.BLOCKED, error.message)
            return
        except DialFailed as error:
            self._fail(pending, error.outcome, error.message)
            return
        finally:
            for other in made:
                if other is not wire:
                    other.give_up()
        pending.task = None
        if pending.owner is None:  # ended in the same step of the loop
            transport.abort()
            return
        if wire.closed:
            self._fail(pending, Outcome.RESET, "closed before an answer")
            return
        wire.origin = pending.target.origin
        wire.generation = generation
        wire.born = self._monotonic()
        pending.deadline = pending.started + pending.timeout_seconds
        wire.begin(pending)

    def _new_wire(self, made: list[Connection]) -> Connection:
        made.append(Connection(self, self._body_limit, self._read_limit))
        return made[-1]

    def _fail(self, pending: Pending, outcome: Outcome, error: str) -> None:
        """Ends a request that never reached a socket."""
        if pending.owner is not None:
            duration = int((self._monotonic() - pending.started) * 1_000_000)
            self._finish(pending, PostResult(outcome, None, error, b"", "", b"", 0, duration, False))

    # -- the pool ------------------------------------------------------------------------------------------

    def _take(self, origin: str) -> Connection | None:
        """The idle socket that was used last: the least likely to have been closed over there."""
        stack = self._stacks.get(origin)
        while stack:
            wire = stack.pop()
            del self._idle[wire]
            if not wire.transport.is_closing():
                if wire.generation == self._guard.generation:
                    return wire
                wire.transport.abort()
        return None

    def _keep(self, wire: Connection, now: float) -> None:
        if self._closing or now - wire.born > _MAX_AGE_SECONDS or wire.generation != self._guard.generation:
            wire.transport.abort()
            return
        wire.reset()
        wire.idle_since = now
        self._idle[wire] = None
        stack = self._stacks.get(wire.origin)
        if stack is None:
            stack = self._stacks[wire.origin] = []
        stack.append(wire)
        if len(self._idle) > self._idle_limit:
            self._evict(next(iter(self._idle)))

    def _evict(self, wire: Connection) -> None:
        self._forget(wire)
        wire.transport.abort()

    def _forget(self, wire: Connection) -> None:
        """Takes a socket out of the pool; the oldest stands first in its stack, so this is short."""
        if wire in self._idle:
            del self._idle[wire]
            stack = self._stacks[wire.origin]
            stack.remove(wire)
            if not stack:
                del self._stacks[wire.origin]

    # -- told by the wires ---------------------------------------------------------------------------------

    def opened(self, wire: Connection) -> None:
        self._open.add(wire)

    def lost(self, wire: Connection) -> None:
        self._open.discard(wire)
        self._forget(wire)
        if self._empty is not None and not self._open and not self._empty.done():
            self._empty.set_result(None)

    def ended(self, pending: Pending, outcome: Outcome, error: str, reusable: bool) -> None:
        wire = pending.wire
        assert wire is not None
        now = self._monotonic()
        ok = outcome is Outcome.OK
        headers = wire.headers if wire.final else []
        result = PostResult(
            outcome,
            wire.status or None,
            error,
            _kept_headers(headers) if headers and (not ok or pending.keep_headers) else b"",
            "" if ok else _retry_after(headers),
            b"".join(wire.body_parts),
            wire.body_bytes,
            int((now - pending.started) * 1_000_000),
            pending.reused,
        )
        if reusable:
            self._keep(wire, now)
        self._finish(pending, result)

    def unanswered(self, pending: Pending) -> None:
        """A kept socket died under a request: once more, on a new one, which is never `reused`."""
        pending.reused = False
        pending.wire = None
        now = self._monotonic()
        pending.deadline = min(now + self._connect_seconds, pending.started + pending.timeout_seconds)
        self._soonest = min(self._soonest, pending.deadline)
        if self._closing:
            self.aborted(pending)
        else:
            self._dial(pending)

    def aborted(self, pending: Pending) -> None:
        self._in_flight.pop(pending, None)
        wire, task = pending.wire, pending.task
        pending.owner = pending.wire = pending.task = None
        if task is not None:
            task.cancel()
        if wire is not None:
            wire.pending = None
            wire.transport.abort()

    def _finish(self, pending: Pending, result: PostResult) -> None:
        del self._in_flight[pending]
        pending.owner = pending.wire = pending.task = None
        try:
            pending.done(result)
        except Exception as error:  # noqa: BLE001 - a caller's fault must not end the sweep or another's socket
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a done callback of the POST client failed", "exception": error}
            )

    # -- the sweep -----------------------------------------------------------------------------------------

    def _schedule(self, fast: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fast = fast
        delay = _SWEEP_SECONDS if fast else _IDLE_SWEEP_SECONDS
        self._timer = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep(self) -> None:
        """Ends what is overdue, closes what is idle too long. Looks at every request only when one may be due."""
        now = self._monotonic()
        if now >= self._soonest:
            overdue = [pending for pending in self._in_flight if pending.deadline <= now]
            for pending in overdue:
                self._end_overdue(pending)
            self._soonest = min((pending.deadline for pending in self._in_flight), default=float("inf"))
        while self._idle:
            oldest = next(iter(self._idle))
            if now - oldest.idle_since < self._idle_seconds:
                break
            self._evict(oldest)
        if not self._idle:
            self._stacks.clear()
        self._timer = None
        self._fast = False
        if not self._closing and (self._in_flight or self._idle):
            self._schedule(bool(self._in_flight))

    def _end_overdue(self, pending: Pending) -> None:
        if pending.owner is None:  # a done callback of this sweep aborted it
            return
        if pending.wire is not None:
            pending.wire.end_overdue()
            return
        if pending.task is not None:
            pending.task.cancel()
        limit = min(self._connect_seconds, pending.timeout_seconds)
        self._fail(pending, Outcome.TIMEOUT, f"no connection within {limit:g} s")


def _kept_headers(headers: list[tuple[bytes, bytes]]) -> bytes:
    """JSON of those headers, in order, that fit 4 KiB; the values of cookies are left out."""
    kept: list[tuple[str, str]] = []
    out = b"[]"
    for name, value in headers:
        text = "[redacted]" if name.lower() == b"set-cookie" else value.decode("latin-1")
        kept.append((name.decode("latin-1"), text))
        encoded = msgspec.json.encode(kept)
        if len(encoded) <= _KEPT_HEADER_BYTES:
            out = encoded
        else:
            kept.pop()
    return out


def _retry_after(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name.lower() == b"retry-after":
            return value.decode("latin-1").strip()[:_RETRY_AFTER_LETTERS]
    return ""
