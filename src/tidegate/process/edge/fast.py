"""The hot requests of a connection, answered without a task: cached pulls and received webhooks.

Owns which requests take the short way: HTTP/1.1 on a connection that stays open, the body in the same read as its
head. A GET may have its whole answer from `quick`; a POST below a prefix is run by `direct`, an app that is stepped by
hand (`taskless.py`). Everything else takes the usual way of the base class, and so does a request that turns out to
need a task. Both ways answer alike: the tests run over sockets on each. Crash: nothing here is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from tidegate.process.edge.framing import BadFraming
from tidegate.process.edge.protocol import StrictProtocol
from tidegate.process.edge.taskless import Exchange

# (target, headers with names in lower case) -> (status line, what follows the server's own headers), or None
Quick = Callable[[bytes, list[tuple[bytes, bytes]]], tuple[bytes, bytes] | None]
# (beginning of the targets, app)
Direct = tuple[bytes, Callable[..., Coroutine[Any, Any, None]]]

DIRECT_BYTES = 64 * 1024  # larger bodies take the usual way


class FastProtocol(StrictProtocol):
    """`config.quick` and `config.direct` say what takes the short way."""

    def connection_made(self, transport: Any) -> None:
        # Before the connection is admitted: it may have to give way at once.
        self._quick: Quick | None = getattr(self.config, "quick", None)
        self._direct: Direct | None = getattr(self.config, "direct", None)
        self._exchange: Exchange | None = None
        self._closes = False  # after the exchange that is under way
        super().connection_made(transport)

    def _is_busy(self) -> bool:
        return self._exchange is not None or StrictProtocol._is_busy(self)

    def _at_once(self, method: str, body: bytes) -> bool:
        if method == "GET":
            return not body and self._answer(self._quick)
        if method == "POST":
            return len(body) <= DIRECT_BYTES and self._run(self._direct, body)
        return False

    def _is_plain(self) -> bool:
        return (
            self._keep_alive
            and not self.flow.write_paused
            and self.parser.get_http_version() == "1.1"
            and not self.server_state.__dict__.get("leaving")
            and not self.transport.is_closing()
            and all(name != b"expect" for name, _ in self._framing)
        )

    def _answer(self, quick: Quick | None) -> bool:
        """Whether `quick` had the answer; then it is written."""
        if quick is None or not self._is_plain():
            return False
        answer = quick(self.url, self.headers)
        if answer is None:
            return False
        status, rest = answer
        self._write(status + self._own_headers() + rest)
        return True

    def _run(self, direct: Direct | None, body: bytes) -> bool:
        """Whether the request is one for `direct`; then it is under way, or done."""
        if direct is None or not self.url.startswith(direct[0]) or b"%" in self.url or not self._is_plain():
            return False
        path, _, query = self.url.partition(b"?")
        scope = {
            "type": "http", "method": "POST", "path": path.decode("latin-1"), "raw_path": path, "query_string": query,
            "headers": self.headers, "client": self.client, "server": self.server, "scheme": self.scheme,
            "http_version": "1.1", "root_path": "",
        }  # fmt: skip
        self._exchange = Exchange(body, self._finish, self._run_in_task)
        self._exchange.run(direct[1], scope)
        return True

    def _finish(self, exchange: Exchange) -> None:
        """Write the answer in one piece, and read on."""
        self._exchange = None
        if self.transport.is_closing():
            return
        lines = b"".join([b"%s: %s\r\n" % pair for pair in exchange.headers])
        closes = b"connection: close\r\n" in lines
        if self._closes and not closes:
            lines += b"connection: close\r\n"
        self._write(STATUS_LINE[exchange.status] + self._own_headers() + lines + b"\r\n" + exchange.body)
        if closes or self._closes:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self._rest:
            self.loop.call_soon(self._go_on)

    def _run_in_task(self, exchange: Exchange) -> None:
        """The usual way after all, from the beginning."""
        self._exchange = None
        if self.transport.is_closing():
            return
        try:
            self._start_task()
        except BadFraming as error:
            self._reject(error)
            return
        self._add_to_body(exchange.whole)
        self._end_body()

    def _own_headers(self) -> bytes:
        return b"".join([b"%s: %s\r\n" % pair for pair in self.server_state.default_headers])

    def _write(self, answer: bytes) -> None:
        self._joined.written += len(answer)
        self.transport.write(answer)
        self.server_state.total_requests += 1
        self._answered = True
        self._sweeps = 0

    def shutdown(self) -> None:
        """The server stops: an answer that is under way is still written, and then the connection closed."""
        if self._exchange is not None:
            self._closes = True
        else:
            super().shutdown()
