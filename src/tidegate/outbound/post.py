"""The POST client for deliveries, with callbacks instead of tasks, reused sockets, and one sweep instead of timers.

Owns the pool of idle sockets, the requests in flight with their time limits, and the results. It may not know events,
destinations or retries. It follows no redirects, keeps no cookies, decodes no encodings, reads no proxy settings and
never pipelines. Why it exists: docs/decisions/0002-own-post-client.md.

Invariants: `done` is called exactly once per `send`, never inside it, and not after `abort` or `close`; the number of
idle sockets is limited in total, so ten thousand destinations do not hold ten thousand sockets; when a reused socket
closes before the first byte of an answer, the request is sent again on a new socket and does not fail. Crash: nothing
is kept; requests in flight are sent again with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked
from tidegate.core.model import Outcome
from tidegate.outbound.connection import Connection, Pending
from tidegate.outbound.dial_failed import DialFailed
from tidegate.outbound.dialer import Dialer
from tidegate.rules.outbound.addresses import Target
from tidegate.rules.outbound.certificates import why_rejected

__all__ = ["Pending", "PostClient", "PostResult", "PostStats", "SentRequest"]

_SWEEP_SECONDS = 0.1
_SHORTAGE_SECONDS = 0.5  # until the next dial, after this machine had no file or socket
_IDLE_SWEEP_SECONDS = 1.0
_MAX_AGE_SECONDS = 300.0  # an older socket is not reused, so that DNS changes take effect
_KEPT_HEADER_BYTES = 4096
_RETRY_AFTER_CHARACTERS = 128


class SentRequest(msgspec.Struct, frozen=True):
    """A request that a transport made itself, for the record of the attempt. `line`: method and address."""

    head: bytes
    body: bytes
    line: str
    fixed: int = 0
    standard: bool = False
    harmless: bool = False


class PostResult(msgspec.Struct, gc=False):
    """How a request ended. `headers` is JSON of [name, value] pairs, at most 4 KiB; b"" for 2xx unless kept."""

    outcome: Outcome
    status: int | None  # None: no answer
    error: str  # what went wrong; "" for a complete answer with 2xx
    headers: bytes
    retry_after: str  # the first Retry-After as written, "" is none
    body: bytes  # the first bytes of the answer, never decoded
    body_bytes: int  # size of the body as far as it was read
    duration_us: int  # from send to the end
    reused: bool  # the socket had answered a request before
    sent: SentRequest | None = None  # where the transport made the request itself


class PostStats(msgspec.Struct, frozen=True):
    open: int  # sockets, including idle ones
    idle: int
    in_flight: int  # requests, including those that are connecting


class PostClient:
    """One per process, used on one event loop.

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
        on_shortage: Callable[[str], None] = lambda _error: None,
    ) -> None:
        """`on_shortage` is called with the error when this machine has no file, socket or memory for a request."""
        self._dialer = dialer
        self._guard = dialer.guard
        self._monotonic = clock.monotonic
        self._now_us = clock.now_us
        self._idle_limit = idle_limit
        self._idle_seconds = idle_seconds
        self._connect_seconds = connect_seconds
        self._body_limit = body_limit
        self._read_limit = read_limit
        self._on_shortage = on_shortage
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # oldest first
        self._stacks: dict[str, list[Connection]] = {}  # idle ones by pool, newest last
        self._in_flight: dict[Pending, None] = {}
        self._dialing: set[asyncio.Task[None]] = set()
        self._soonest = 0.0  # no deadline is earlier
        self._timer: asyncio.TimerHandle | None = None
        self._fast = False  # the timer has the interval for requests in flight
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
        """Start a POST. `done` is called with the result later, on the loop.

        `head`: the header lines after host, each ended by CRLF, without the blank line and without
        content-length. ValueError when it holds a blank line; RuntimeError after `close`.
        """
        if self._closing:
            raise RuntimeError("the POST client is closed")
        if head and (head[-2:] != b"\r\n" or b"\r\n\r\n" in head or head[0] == 13):
            raise ValueError("head is not a sequence of header lines")
        pending = Pending(self, target, head, body, timeout_seconds, done, keep_headers)
        pending.started = now = self._monotonic()
        self._in_flight[pending] = None
        connection = self._take(target.pool)
        if connection is None:
            pending.deadline = now + min(self._connect_seconds, timeout_seconds)
            self._dial(pending)
        else:
            pending.reused = True
            pending.deadline = now + timeout_seconds
            connection.begin(pending)
        if pending.deadline < self._soonest:
            self._soonest = pending.deadline
        if not self._fast:
            self._schedule(True)
        return pending

    def stats(self) -> PostStats:
        return PostStats(len(self._open), len(self._idle), len(self._in_flight))

    async def close(self) -> None:
        """Abort the requests in flight (without `done`), close every socket and wait until all are closed."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for pending in list(self._in_flight):
            pending.abort()
        for connection in list(self._open):
            connection.transport.abort()
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
        connection: Connection | None = None
        try:
            transport, connection = await self._dialer.connect(lambda: self._new_connection(made), pending.target)
        except Blocked as error:
            self._fail(pending, Outcome.BLOCKED, error.message)
            return
        except DialFailed as error:
            if error.local:
                self._wait_for_resources(pending, error.message)
            else:
                self._fail(pending, error.outcome, error.message)
            return
        finally:
            for other in made:
                if other is not connection:
                    other.give_up()
        pending.task = None
        if pending.owner is None:  # it ended in the same step of the loop
            transport.abort()
            return
        if connection.closed:
            self._fail(pending, Outcome.RESET, "closed before an answer")
            return
        connection.pool = pending.target.pool
        connection.generation = generation
        connection.born = self._monotonic()
        pending.deadline = pending.started + pending.timeout_seconds
        connection.begin(pending)

    def _wait_for_resources(self, pending: Pending, error: str) -> None:
        """Dial again in a moment: this machine lacks files, sockets or memory, and the destination got no attempt.

        Idle sockets are closed, so that their files are free for it.
        """
        self._on_shortage(error)
        for connection in list(self._idle):
            self._evict(connection)
        pending.task = None
        pending.deadline = float("inf")
        asyncio.get_running_loop().call_later(_SHORTAGE_SECONDS, self._dial_again, pending)

    def _dial_again(self, pending: Pending) -> None:
        if pending.owner is not None and not self._closing:
            pending.started = now = self._monotonic()
            pending.deadline = now + min(self._connect_seconds, pending.timeout_seconds)
            self._soonest = min(self._soonest, pending.deadline)
            self._dial(pending)

    def _new_connection(self, made: list[Connection]) -> Connection:
        made.append(Connection(self, self._body_limit, self._read_limit))
        return made[-1]

    def _fail(self, pending: Pending, outcome: Outcome, error: str) -> None:
        """End a request that has no socket."""
        if pending.owner is not None:
            duration = int((self._monotonic() - pending.started) * 1_000_000)
            self._finish(pending, PostResult(outcome, None, error, b"", "", b"", 0, duration, False))

    # -- the pool ------------------------------------------------------------------------------------------

    def _take(self, pool: str) -> Connection | None:
        """The idle socket that was used last, because the receiver is least likely to have closed it."""
        stack = self._stacks.get(pool)
        while stack:
            connection = stack.pop()
            del self._idle[connection]
            if not connection.transport.is_closing():
                if connection.generation == self._guard.generation:
                    return connection
                connection.transport.abort()
        return None

    def _keep(self, connection: Connection, now: float) -> None:
        if self._closing or now - connection.born > _MAX_AGE_SECONDS or connection.generation != self._guard.generation:
            connection.transport.abort()
            return
        connection.reset()
        connection.idle_since = now
        self._idle[connection] = None
        stack = self._stacks.get(connection.pool)
        if stack is None:
            stack = self._stacks[connection.pool] = []
        stack.append(connection)
        if len(self._idle) > self._idle_limit:
            self._evict(next(iter(self._idle)))

    def _evict(self, connection: Connection) -> None:
        self._forget(connection)
        connection.transport.abort()

    def _forget(self, connection: Connection) -> None:
        """Remove a socket from the pool. The oldest is first in its stack, so this is fast."""
        if connection in self._idle:
            del self._idle[connection]
            stack = self._stacks[connection.pool]
            stack.remove(connection)
            if not stack:
                del self._stacks[connection.pool]

    # -- events of connections (Owner) ---------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._forget(connection)
        if self._empty is not None and not self._open and not self._empty.done():
            self._empty.set_result(None)

    def ended(self, pending: Pending, outcome: Outcome, error: str, reusable: bool) -> None:
        connection = pending.connection
        assert connection is not None
        now = self._monotonic()
        ok = outcome is Outcome.OK
        headers = connection.headers if connection.final else []
        options = pending.target.options
        if outcome in (Outcome.RESET, Outcome.TLS) and options is not None and options.certificate is not None:
            error += why_rejected(options.certificate.certificate, self._now_us())
        result = PostResult(
            outcome,
            connection.status or None,
            error,
            _kept_headers(headers) if headers and (not ok or pending.keep_headers) else b"",
            "" if ok else _retry_after(headers),
            b"".join(connection.body_parts),
            connection.body_bytes,
            int((now - pending.started) * 1_000_000),
            pending.reused,
        )
        if reusable:
            self._keep(connection, now)
        self._finish(pending, result)

    def unanswered(self, pending: Pending) -> None:
        """A reused socket closed without an answer: send the request again on a new one, which is never `reused`."""
        pending.reused = False
        pending.connection = None
        now = self._monotonic()
        pending.deadline = min(now + self._connect_seconds, pending.started + pending.timeout_seconds)
        self._soonest = min(self._soonest, pending.deadline)
        if self._closing:
            self.aborted(pending)
        else:
            self._dial(pending)

    def aborted(self, pending: Pending) -> None:
        self._in_flight.pop(pending, None)
        connection, task = pending.connection, pending.task
        pending.owner = pending.connection = pending.task = None
        if task is not None:
            task.cancel()
        if connection is not None:
            connection.pending = None
            connection.transport.abort()

    def _finish(self, pending: Pending, result: PostResult) -> None:
        del self._in_flight[pending]
        pending.owner = pending.connection = pending.task = None
        try:
            pending.done(result)
        except Exception as error:  # noqa: BLE001 - an error of one caller must not stop the sweep or another socket
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
        """End overdue requests and close sockets idle for too long. Scans the requests only when one can be due."""
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
        if pending.connection is not None:
            pending.connection.end_overdue()
            return
        if pending.task is not None:
            pending.task.cancel()
        limit = min(self._connect_seconds, pending.timeout_seconds)
        self._fail(pending, Outcome.TIMEOUT, f"no connection after {limit:g} s")


def _kept_headers(headers: list[tuple[bytes, bytes]]) -> bytes:
    """JSON of the headers that fit into 4 KiB, in order; the values of cookies are redacted."""
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
            return value.decode("latin-1").strip()[:_RETRY_AFTER_CHARACTERS]
    return ""
