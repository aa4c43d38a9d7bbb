"""The hot requests of a connection, answered without a task: cached pulls and received webhooks.

Owns which requests take the short way: plain ones (`plain_request.py`) in one read, on a connection that stays open. A
GET may have its whole answer from `quick`; a POST below a prefix may be taken by `direct`, which calls `answer` now or
later. Everything else takes the usual way of the base class. Both ways answer alike: the tests run over sockets on
each. Crash: nothing here is durable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from tidegate.process.edge.plain_request import PlainReader
from tidegate.process.edge.protocol import StrictProtocol

log = logging.getLogger("tidegate.serve")

Answer = tuple[bytes, bytes]
"""(status line, what follows the server's own headers)"""


class Quick(Protocol):
    """Answers GETs while they are read. None: the usual way."""

    def again(self, data: bytes) -> Answer | None:
        """By the bytes of a whole request, if the same ones were answered before."""
        ...

    def answer(self, target: bytes, headers: Mapping[bytes, bytes], data: bytes) -> Answer | None:
        """`headers`: by lower-case name."""
        ...


# (scope, headers by lower-case name, body, connection) -> whether it took the request; then it calls `answer` or
# `again` of the connection, once
Take = Callable[[MutableMapping[str, Any], Mapping[bytes, bytes], bytes, "FastProtocol"], bool]
# (beginning of the targets, function)
Direct = tuple[bytes, Take]

_G = ord("G")
DIRECT_BYTES = 64 * 1024  # larger bodies take the usual way


class FastProtocol(StrictProtocol):
    """`config.quick` and `config.direct` say what takes the short way."""

    def connection_made(self, transport: Any) -> None:
        # Before the connection is admitted: it may have to give way at once.
        quick: Quick | None = getattr(self.config, "quick", None)
        direct: Direct | None = getattr(self.config, "direct", None)
        self._quick = quick
        self._start, self._direct = direct or (b"", lambda scope, named, body, connection: False)
        self._short = (b"GET /",) * (quick is not None) + (b"POST " + self._start,) * (direct is not None)
        self._plain = PlainReader()
        self._whole: bytes | None = None  # the request that `direct` has taken
        self._closes = False  # after the answer that is under way
        self._server_headers: tuple[object, bytes] = (None, b"")
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """A plain request that begins here, on a connection that can be answered, may take the short way."""
        if (
            self._whole is None
            and data.startswith(self._short)
            and not (self._rest or self._left or self._chunks or self._lingering)
            and not StrictProtocol._is_busy(self)
            and not (self.flow.write_paused or self.transport.is_closing())
            and (self._answer(data) if data[0] == _G else self._take(data))
        ):
            return
        StrictProtocol.data_received(self, data)

    def _is_busy(self) -> bool:
        return self._whole is not None or StrictProtocol._is_busy(self)

    def _answer(self, data: bytes) -> bool:
        """Whether `quick` had the answer; then it is written."""
        quick = self._quick
        if quick is None or "leaving" in self.server_state.__dict__:
            return False
        answer = quick.again(data)
        if answer is None:
            request = self._plain.read(data)
            answer = None if request is None else quick.answer(request[0], request[2], data)
            if answer is None:
                return False
        status, rest = answer
        self._write(status + self._own_headers() + rest)
        return True

    def _take(self, data: bytes) -> bool:
        """Whether `direct` took the request; then it is under way, or done."""
        request = self._plain.read(data)
        if request is None:
            return False
        target, fields, named, body = request
        if len(body) > DIRECT_BYTES or b"%" in target:
            return False
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http", "method": "POST", "path": path.decode("latin-1"), "raw_path": path, "query_string": query,
            "headers": fields, "client": self.client,
        }  # fmt: skip
        self._whole = data
        try:
            if self._direct(scope, named, body, self):
                return True
        except Exception:  # the usual way meets it again, and reports it
            log.exception("a request could not be taken without a task")
        self._whole = None
        return False

    def answer(self, status: int, rest: bytes, *, closes: bool = False) -> None:
        """Answer the request that `direct` took, in one piece, and read on. `rest`: header lines, an empty line, the
        body. `closes`: the header lines say that the connection closes.
        """
        self._whole = None
        if self._lingering or self.transport.is_closing():
            return
        if not closes and (self._closes or "leaving" in self.server_state.__dict__):
            rest, closes = b"connection: close\r\n" + rest, True
        self._write(STATUS_LINE[status] + self._own_headers() + rest)
        if closes:
            self.transport.close()
        elif self._rest:  # of what a client sent before it had this answer; reading pauses when it is much
            if self.flow.read_paused:
                self.flow.resume_reading()
            self.loop.call_soon(self._go_on)

    def again(self) -> None:
        """Run the request that `direct` took the usual way, from the beginning."""
        data, self._whole = self._whole or b"", None
        if not (self.transport.is_closing() or self._lingering):
            data, self._rest = data + self._rest, b""
            self._consume(data)

    def _own_headers(self) -> bytes:
        """The headers of the server, which makes a new list of them each second."""
        headers = self.server_state.default_headers
        if self._server_headers[0] is not headers:
            self._server_headers = (headers, b"".join([b"%s: %s\r\n" % pair for pair in headers]))
        return self._server_headers[1]

    def _write(self, answer: bytes) -> None:
        self._joined.written += len(answer)
        self.transport.write(answer)
        self.server_state.total_requests += 1
        self._answered = True
        self._sweeps = 0

    def shutdown(self) -> None:
        """The server stops: an answer that is under way is still written, and then the connection closed."""
        if self._whole is not None:
            self._closes = True
        else:
            super().shutdown()
