"""One socket of the POST client: writes a request, reads its answer within limits, and reports the end to its owner.

Owns the protocol state of one connection (asyncio callbacks around httptools); the pool, time limits and results
belong to `post.py`. It may not know what is sent or why.

Invariants: one request at a time, never a second before the first has ended; every request ends exactly once,
by `Owner.ended` or `Owner.unanswered`, whatever bytes arrive; the memory for an answer is bounded by `HEAD_LIMIT` and
the two body limits. The status decides the outcome as soon as the headers are complete: a body that is cut, endless or
malformed changes the error text and closes the socket, never the outcome. Crash: nothing is kept; the store decides
what is sent again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

import httptools

from tidegate.core.model import Outcome
from tidegate.rules.outbound.addresses import Target

HEAD_LIMIT = 64 * 1024  # bytes before the headers are complete, including 1xx answers
HEADER_LIMIT = 256  # headers of one answer
_WRITE_SLICE = 64 * 1024


class Pending:
    """One request under way, from `send` until `done` or `abort`."""

    __slots__ = (
        "body", "connection", "deadline", "done", "head", "keep_headers", "owner", "reused", "started", "target",
        "task", "timeout_seconds",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        target: Target,
        head: bytes,
        body: bytes,
        timeout_seconds: float,
        done: Callable[[Any], None],
        keep_headers: bool,
    ) -> None:
        self.owner: Owner | None = owner  # None after the request has ended
        self.target = target
        self.head = head
        self.body = body
        self.timeout_seconds = timeout_seconds
        self.done = done
        self.keep_headers = keep_headers
        self.started = 0.0  # monotonic
        self.deadline = 0.0  # monotonic, of the current phase
        self.reused = False  # the socket has answered a request before
        self.connection: Connection | None = None  # None: connecting
        self.task: asyncio.Task[None] | None = None  # the task that connects

    def abort(self) -> None:
        """Abort the request; `done` is not called. Does nothing after the end."""
        if self.owner is not None:
            self.owner.aborted(self)


class Owner(Protocol):
    """Receives the events of connections: opened, lost, request ended, or a reused socket closed without an answer."""

    def opened(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...
    def ended(self, pending: Pending, outcome: Outcome, error: str, reusable: bool) -> None: ...
    def unanswered(self, pending: Pending) -> None: ...
    def aborted(self, pending: Pending) -> None: ...


class Connection(asyncio.Protocol):
    """A connection; idle while `pending` is None."""

    __slots__ = (
        "body_bytes", "body_kept", "body_limit", "body_parts", "born", "closed", "complete", "fault", "final",
        "generation", "headers", "idle_since", "keep_alive", "owner", "parser", "paused", "pending", "pool",
        "read_limit", "received", "status", "trailing", "transport", "unsent",
    )  # fmt: skip

    def __init__(self, owner: Owner, body_limit: int, read_limit: int) -> None:
        self.owner = owner
        self.body_limit = body_limit
        self.read_limit = read_limit
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anything else is called
        self.parser: Any = httptools.HttpResponseParser(self)
        self.pending: Pending | None = None
        self.closed = False
        self.paused = False
        self.unsent: memoryview | None = None  # the rest of a large body
        self.pool = ""
        self.generation = 0  # of the guard that passed the address
        self.born = 0.0
        self.idle_since = 0.0
        self.reset()

    def reset(self) -> None:
        """Clear the last answer."""
        self.received = 0  # bytes of this answer, including framing
        self.status = 0
        self.final = False  # the headers of the final answer (not 1xx) are complete
        self.complete = False
        self.trailing = False  # bytes arrived after the answer
        self.keep_alive = False
        self.fault = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body_parts: list[bytes] = []
        self.body_kept = 0
        self.body_bytes = 0

    # -- the request ---------------------------------------------------------------------------------------

    def begin(self, pending: Pending) -> None:
        """Write the request. The connection must be idle and reset."""
        self.pending = pending
        pending.connection = self
        body = pending.body
        size = len(body)
        start = (pending.target.method, pending.target.request_tail, pending.head, b"content-length: %d\r\n\r\n" % size)
        if size <= _WRITE_SLICE:
            self.transport.write(b"".join((*start, body)))
            return
        self.transport.write(b"".join(start))
        self.unsent = memoryview(body)
        self._push()

    def _push(self) -> None:
        """Write slices of a large body as long as the transport accepts them."""
        while self.unsent is not None and not self.paused and not self.transport.is_closing():
            self.transport.write(self.unsent[:_WRITE_SLICE])
            self.unsent = self.unsent[_WRITE_SLICE:] or None

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._push()

    # -- the answer ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        pending = self.pending
        if pending is None:  # unsolicited bytes, which would be read as the next answer
            self.transport.abort()
            return
        self.received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # an internal error: the loop reports it and closes the socket
        except httptools.HttpParserUpgrade:
            self.fault = "it switches to a protocol that was not requested"
        except httptools.HttpParserError as error:
            self.fault = str(error)[:200]
        if self.complete:
            clean = self.keep_alive and not self.trailing and not self.fault and self.unsent is None
            clean = clean and not self.transport.get_write_buffer_size()
            if clean and 200 <= self.status < 300:  # the usual end, a short way around _end
                self.pending = None
                self.owner.ended(pending, Outcome.OK, "", True)
            else:
                self._end_by_status("", clean)
        elif self.fault:
            if self.final:
                self._end_by_status(f"the body of the answer is malformed: {self.fault}")
            else:
                self._end(Outcome.BAD_ANSWER, f"the answer is not HTTP: {self.fault}")
        elif not self.final:
            if self.received > HEAD_LIMIT:
                self._end(Outcome.BAD_ANSWER, f"the headers of the answer have more than {HEAD_LIMIT} bytes")
        elif self.received > self.read_limit + HEAD_LIMIT or self.body_bytes >= self.read_limit:
            self._end_by_status(f"the answer was cut after {self.body_bytes} bytes")

    def end_overdue(self) -> None:
        """End the request, because its time limit has passed."""
        pending = self.pending
        assert pending is not None
        limit = f"{pending.timeout_seconds:g} s"
        if self.final:
            self._end_by_status(f"the body of the answer did not end within {limit}")
        elif self.received:
            self._end(Outcome.TIMEOUT, f"the headers of the answer did not end within {limit}")
        else:
            self._end(Outcome.TIMEOUT, f"no answer within {limit}")

    def _end_by_status(self, error: str, reusable: bool = False) -> None:
        if 200 <= self.status < 300:
            self._end(Outcome.OK, error, reusable)
        else:
            self._end(Outcome.HTTP_ERROR, error or f"answered {self.status}", reusable)

    def _end(self, outcome: Outcome, error: str, reusable: bool = False) -> None:
        pending = self.pending
        assert pending is not None
        self.pending = None
        if not reusable:
            self.unsent = None
            # Not close(), which would wait for a peer that does not read, or for its TLS close message.
            self.transport.abort()
        self.owner.ended(pending, outcome, error, reusable)

    # -- called by httptools inside feed_data --------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self.trailing = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self.parser.get_status_code()
        if len(self.headers) > HEADER_LIMIT:
            self.fault = f"more than {HEADER_LIMIT} headers"
        elif status < 100:
            self.fault = f"status {status}"
        elif status >= 200:
            self.keep_alive = self.parser.should_keep_alive()
            # llhttp accepts 0.9 and 2.0. Neither is ever kept alive, so the check costs nothing for 1.1.
            if not self.keep_alive and self.parser.get_http_version() not in ("1.0", "1.1"):
                self.fault = f"version {self.parser.get_http_version()}"
                return
            self.status = status
            self.final = True

    def on_body(self, part: bytes) -> None:
        if self.complete:
            return
        self.body_bytes += len(part)
        left = self.body_limit - self.body_kept
        if left > 0:
            part = part[:left]
            self.body_parts.append(part)
            self.body_kept += len(part)

    def on_message_complete(self) -> None:
        if self.final:
            self.complete = True
        else:  # 1xx: the final answer follows
            self.headers.clear()

    # -- the socket ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.closed:
            self.transport.abort()
        else:
            self.owner.opened(self)

    def give_up(self) -> None:
        """Close it, because the connect was canceled or another address was faster.

        The loop may still call `connection_made` and never `connection_lost`: uvloop closes the socket of a canceled
        connect without that call.
        """
        self.closed = True
        if self.transport is not None:
            self.transport.abort()
            self.owner.lost(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self.unsent = None
        self.owner.lost(self)
        pending = self.pending
        if pending is None:
            return
        if self.final:
            self._end_by_status("" if self._until_close() else f"the answer was cut after {self.body_bytes} bytes")
        elif self.received == 0 and pending.reused:
            # The receiver closed an idle socket while the request was written. This is not a failed delivery.
            self.pending = None
            self.owner.unanswered(pending)
        elif isinstance(error, ssl.SSLError):
            self._end(Outcome.TLS, f"TLS failed: {error.reason or 'closed'}")
        else:
            how = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
            when = "within the headers of the answer" if self.received else "before an answer"
            self._end(Outcome.RESET, f"closed {when}{how}")

    def _until_close(self) -> bool:
        """Whether closing the socket is the regular end of this body (RFC 9112 section 6.3, case 8)."""
        for name, value in self.headers:
            lower = name.lower()
            if lower == b"content-length" or (lower == b"transfer-encoding" and value.lower().endswith(b"chunked")):
                return False
        return True
