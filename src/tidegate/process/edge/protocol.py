"""One HTTP/1 connection, from its first byte to its last: strict framing on top of httptools and uvicorn.

The life of a request, in the order of this file: bytes arrive (`data_received`), collect to a whole head
(`_take_head`), which is checked and parsed (`_begin_request`); its body is cut out by length or by chunks
(`_take_body`) and handed to the ASGI app; the answer leaves in one write (`Joined`); then the next request of the
connection is read (`on_response_complete`). A request that cannot be framed is answered and the connection closed
(`_reject`). Once a second `sweep` cuts what is too slow, in every state.

Owns sockets and the limits of a connection. May not know paths or what is served. Invariants: at most one request of a
connection is under way, so nothing of a later one is parsed, stored or answered early; a connection holds at most one
head, `REST_LIMIT_BYTES` of what follows, and the body parts that the app has not taken. An `Upgrade` is ignored: its
body is read like any other. Crash: nothing here is durable.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tidegate.process.edge.admission import Admission
from tidegate.process.edge.framing import (
    FRAMING_FIELDS,
    HEAD_END,
    HEAD_LIMIT_BYTES,
    OTHER_PROTOCOLS,
    BadFraming,
    BodyKind,
    ChunkedBody,
    body_of,
    check_head_size,
    head_too_large,
    is_own_target,
    other_protocol,
)
from tidegate.process.edge.reading import Reading

FULL_HINT = "send again later, over fewer connections"
HEAD_SECONDS = 10  # for a head to come, and for the rest of a body after its answer
KEEP_ALIVE_SECONDS = 75
LINGER_SECONDS = 2
REST_LIMIT_BYTES = 1024 * 1024  # kept of what follows a request that is not answered yet


class Joined:
    """Where an answer is written: its head and the first part of its body leave in one system call.

    uvicorn writes them one after the other, and each costs as much as verifying the request. What is held leaves with
    the next write, at the end of the answer, or in the next turn of the loop, whichever comes first.
    """

    __slots__ = ("_held", "_loop", "_transport", "is_closing", "written")

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self.is_closing = transport.is_closing
        self.written = 0  # bytes

    def write(self, data: bytes) -> None:
        self.written += len(data)
        held = self._held
        if held is None:
            self._held = data
            self._loop.call_soon(self.flush)
        else:
            self._held = None
            self._transport.writelines((held, data))

    def flush(self) -> None:
        held = self._held
        if held is not None:
            self._held = None
            self._transport.write(held)

    def close(self) -> None:
        self.flush()
        self._transport.close()


class StrictProtocol(HttpToolsProtocol):
    """uvicorn's protocol with its own framing: httptools parses only heads and never reads past one.

    The base class is called by name, not by `super()`, and arms no timer of its own: both show in every request.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._admission: Admission[StrictProtocol] | None = getattr(self.config, "admission", None)
        self._joined = Joined(transport, self.loop)
        self._rest = b""  # came, and belongs to the next request
        self._searched = 0  # bytes of `_rest` that hold no end of a head
        self._left = 0  # bytes of the body that are still to come
        self._chunks: ChunkedBody | None = None
        self._framing: list[tuple[bytes, bytes]] = []  # fields of the request that say how it ends
        self._keep_alive = True
        self._parser: httptools.HttpRequestParser | None = None
        self._sweeps = 0  # seconds of this head, of silence, or since the answer to what is not all here
        self._reading = Reading()
        self._lingering = False  # answered what cannot be read, and waiting for the client to close
        self._dropped = 0
        self._answered = False  # a connection that never sent a request is closed like a slow head
        if self._admission is not None:
            leaving = self._admission.admit(self, self.client[0] if self.client else "")
            if leaving is not None:
                leaving.give_way()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._admission is not None:
            self._admission.release(self)
        super().connection_lost(exc)

    def idle_seconds(self) -> float | None:
        """For `Admission`: None while a request is under way."""
        return None if self._is_busy() or self._left or self._chunks is not None else float(self._sweeps)

    def give_way(self) -> None:
        """Close at once for another connection: what lingers would hold the file that the other needs. A client that
        waits for nothing sees the end of a kept connection; others get 503, as far as no answer has begun.
        """
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        if not self._lingering and (not self._answered or self.idle_seconds() is None):
            self._reject(BadFraming(503, "too_many_connections", "there are too many connections", FULL_HINT))
        self.transport.close()

    # -- bytes arrive ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._discard(data)
            return
        if self._rest:
            data = self._rest + data
            self._rest = b""
        self._consume(data)

    def _consume(self, data: bytes) -> None:
        try:
            while data:
                if self._left or self._chunks is not None:
                    data = self._take_body(data)
                elif self._is_busy():
                    self._keep(data)
                    return
                else:
                    data = self._take_head(data)
        except BadFraming as error:
            self._reject(error)

    def _is_busy(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _keep(self, data: bytes) -> None:
        """For after the answer that is under way. A client that sends much more than a head must wait."""
        self._rest = data
        self._searched = 0
        if len(data) > REST_LIMIT_BYTES:
            self.transport.abort()
        elif len(data) > HEAD_LIMIT_BYTES:
            self.flow.pause_reading()

    # -- a head ------------------------------------------------------------------------------------------

    def _take_head(self, data: bytes) -> bytes:
        """Begin the request whose head is complete; returns what follows the head. Raises BadFraming."""
        if not self._searched:
            data = data.lstrip(b"\r\n")  # RFC 9112 section 2.2: empty lines before a request are ignored
            if not data:
                return data
            self._sweeps = 0
        if data[1:2] in OTHER_PROTOCOLS and (error := other_protocol(data)) is not None:
            raise error
        end = data.find(HEAD_END, max(0, self._searched - 3))
        if end < 0:
            if len(data) > HEAD_LIMIT_BYTES:
                raise head_too_large()
            self._rest, self._searched = data, len(data)
            return b""
        end += len(HEAD_END)
        self._searched = 0
        head = data[:end]
        check_head_size(head)
        self._begin_request(head)
        return data[end:]

    def _begin_request(self, head: bytes) -> None:
        """Start the request of a whole head."""
        # A parser that saw the end of a message takes the next one; else it waits for a body that it is not shown.
        parser = self._parser
        if parser is None:
            parser = httptools.HttpRequestParser(self)
        self.parser, self._parser = parser, None
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            self._parser = None  # ignored: the body is read by what the head says of its length
        except httptools.HttpParserError as error:
            raise BadFraming(400, "invalid_request", "the request is not valid HTTP/1.1") from error
        self._framing = [field for field in self.headers if field[0] in FRAMING_FIELDS]
        kind, length = body_of(self._framing, parser.get_http_version(), parser.get_method().decode("ascii"))
        self._start_task()
        if kind is BodyKind.CHUNKED:
            self._chunks = ChunkedBody()
        elif length:
            self._left = length
        else:
            self._end_body()

    def _start_task(self) -> None:
        """The usual way: a scope and a task of its own for the request, by uvicorn."""
        if not is_own_target(self.url):
            raise BadFraming(400, "invalid_target", "the target of the request is not a path")
        self._make_scope()
        try:
            HttpToolsProtocol.on_headers_complete(self)
        except (httptools.HttpParserInvalidURLError, AttributeError, UnicodeDecodeError) as error:
            raise BadFraming(400, "invalid_target", "the target of the request is not a path") from error
        self.cycle.transport = self._joined  # type: ignore[assignment]  # it needs three of its methods
        if not self._keep_alive or self.server_state.__dict__.get("leaving"):
            self.cycle.keep_alive = False

    def _make_scope(self) -> None:
        """The base class makes it when a message begins, before it is known whether one is needed."""
        url, headers = self.url, self.headers
        HttpToolsProtocol.on_message_begin(self)
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = any(name == b"expect" for name, _ in self._framing)

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The request begins when its framing was checked, not here. The parser forgets `Connection` after a head
        without a body, so that is asked now.
        """
        self._keep_alive = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """The parser sees heads only: it is not asked where a body ends. This one had none."""
        if self._keep_alive:
            self._parser = self.parser

    # -- a body ------------------------------------------------------------------------------------------

    def _take_body(self, data: bytes) -> bytes:
        """Hand the app its part; returns what follows the body. Raises BadFraming."""
        if self._chunks is not None:
            parts, data = self._chunks.feed(data)
            for part in parts:
                self._add_to_body(part)
            if self._chunks.finished:
                self._chunks = None
                self._end_body()
            return data
        part = data[: self._left]
        self._left -= len(part)
        self._add_to_body(part)
        if not self._left:
            self._end_body()
        return data[len(part) :]

    def _add_to_body(self, part: bytes) -> None:
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += part
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def _end_body(self) -> None:
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    # -- answers -----------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """As the base class does, without a timer for the silence that follows: the sweep sees it too."""
        self._joined.flush()
        self._sweeps = 0
        self._answered = True
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.expect_100_continue and self.cycle.more_body:
            self.transport.close()  # the client may never send the body it announced
            return
        self.flow.resume_reading()
        if self._rest:
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._rest and not self.transport.is_closing() and not self._is_busy():
            data, self._rest, self._searched = self._rest, b"", 0
            self._consume(data)

    def _reject(self, error: BadFraming) -> None:
        """Answer what cannot be read and close: where the next request begins is not known."""
        self._rest, self._left, self._chunks = b"", 0, None
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        self._joined.flush()
        kind = f"urn:tidegate:problem:{error.code}"
        problem = {"type": kind, "title": error.message, "status": error.status, "code": error.code}
        if error.hint:
            problem["hint"] = error.hint
        body = json.dumps(problem).encode()
        head = b"content-type: application/problem+json\r\nx-content-type-options: nosniff\r\nconnection: close\r\n"
        length = b"content-length: %d\r\n\r\n" % len(body)
        self._joined.written += len(STATUS_LINE[error.status]) + len(head) + len(length) + len(body)
        self.transport.write(STATUS_LINE[error.status] + head + length + body)
        self._linger()

    def _linger(self) -> None:
        """Close without losing the answer: closing a socket with unread bytes resets it, and the client may never see
        what was written. So what still comes is dropped, for `LINGER_SECONDS` and within `REST_LIMIT_BYTES`.
        """
        self._lingering = True
        self._sweeps = 0
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _discard(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > REST_LIMIT_BYTES:
            self.transport.close()

    # -- time --------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Once a second. A head that does not end, and a body that still comes after its answer, are cut after 10 s, a
        silent connection after 75, an answer that the client does not read after 20 (an answer under way has no other
        limit here: its app keeps the time).
        """
        if self._reading.is_blocked(self.transport, self._joined.written):
            self.transport.abort()
        elif self._lingering:
            self._sweeps += 1
            if self._sweeps > LINGER_SECONDS:
                self.transport.close()
        elif not self._is_busy():
            self._sweeps += 1
            is_silent = self._answered and not (self._rest or self._left or self._chunks)
            if self._sweeps > (KEEP_ALIVE_SECONDS if is_silent else HEAD_SECONDS):
                self.transport.close()
