"""The hot requests of a connection, answered without a task: cached pulls and received webhooks.

Owns which requests take the short way: HTTP/1.1 on a connection that stays open, the body in the same read as its
head. A GET may have its whole answer from `quick`; a POST below a prefix may be taken by `direct`, which calls `answer`
now or later. Everything else takes the usual way of the base class. Both ways answer alike: the tests run over sockets
on each. Crash: nothing here is durable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from tidegate.process.edge.framing import BadFraming
from tidegate.process.edge.protocol import StrictProtocol

log = logging.getLogger("tidegate.serve")

# (target, headers by lower-case name) -> (status line, what follows the server's own headers), or None
Quick = Callable[[bytes, Mapping[bytes, bytes]], tuple[bytes, bytes] | None]
# (scope, headers by lower-case name, body, connection) -> whether it took the request; then it calls `answer` or
# `again` of the connection, once
Take = Callable[[MutableMapping[str, Any], Mapping[bytes, bytes], bytes, "FastProtocol"], bool]
# (beginning of the targets, function)
Direct = tuple[bytes, Take]

DIRECT_BYTES = 64 * 1024  # larger bodies take the usual way


class FastProtocol(StrictProtocol):
    """`config.quick` and `config.direct` say what takes the short way."""

    def connection_made(self, transport: Any) -> None:
        # Before the connection is admitted: it may have to give way at once.
        self._quick: Quick | None = getattr(self.config, "quick", None)
        self._direct: Direct | None = getattr(self.config, "direct", None)
        self._whole: bytes | None = None  # the body of the request that `direct` has taken
        self._closes = False  # after the answer that is under way
        self._server_headers: tuple[object, bytes] = (None, b"")
        super().connection_made(transport)

    def _is_busy(self) -> bool:
        return self._whole is not None or StrictProtocol._is_busy(self)

    def _at_once(self, method: bytes, named: dict[bytes, bytes], body: bytes) -> bool:
        if (
            not self._keep_alive
            or self.flow.write_paused
            or self.transport.is_closing()
            or "leaving" in self.server_state.__dict__
        ):
            return False
        if method == b"GET":
            return not body and self._answer(self._quick, named)
        return len(body) <= DIRECT_BYTES and self._take(self._direct, named, body)

    def _answer(self, quick: Quick | None, named: dict[bytes, bytes]) -> bool:
        """Whether `quick` had the answer; then it is written."""
        answer = quick(self.url, named) if quick is not None else None
        if answer is None:
            return False
        status, rest = answer
        self._write(status + self._own_headers() + rest)
        return True

    def _take(self, direct: Direct | None, named: dict[bytes, bytes], body: bytes) -> bool:
        """Whether `direct` took the request; then it is under way, or done."""
        url = self.url
        if direct is None or not url.startswith(direct[0]) or b"%" in url:
            return False
        path, _, query = url.partition(b"?")
        scope = {
            "type": "http", "method": "POST", "path": path.decode("latin-1"), "raw_path": path, "query_string": query,
            "headers": self.headers, "client": self.client,
        }  # fmt: skip
        self._whole = body
        try:
            taken = direct[1](scope, named, body, self)
        except Exception:  # the usual way meets it again, and reports it
            log.exception("a request could not be taken without a task")
            taken = False
        if not taken:
            self._whole = None
        return taken

    def answer(self, status: int, rest: bytes, *, closes: bool = False) -> None:
        """Answer the request that `direct` took, in one piece, and read on. `rest`: header lines, an empty line, the
        body. `closes`: the header lines say that the connection closes.
        """
        self._whole = None
        if self.transport.is_closing() or self._lingering:
            return
        if not closes and (self._closes or "leaving" in self.server_state.__dict__):
            rest, closes = b"connection: close\r\n" + rest, True
        self._write(STATUS_LINE[status] + self._own_headers() + rest)
        if closes:
            self.transport.close()
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self._rest:
            self.loop.call_soon(self._go_on)

    def again(self) -> None:
        """Run the request that `direct` took the usual way, from the beginning."""
        body, self._whole = self._whole or b"", None
        if self.transport.is_closing():
            return
        try:
            self._start_task()
        except BadFraming as error:
            self._reject(error)
            return
        self._add_to_body(body)
        self._end_body()

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
