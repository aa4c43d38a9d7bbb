"""Reads a request of the form that nearly every client writes, in one step; anything else is left to `protocol.py`.

Owns what counts as plain: HTTP/1.1 with one `Host`, no field twice, none that says how the connection or the body ends
but `Content-Length` and `Connection: keep-alive`, the whole body there and nothing behind it. The same strict parser
reads both ways; here its callbacks are the methods of a dictionary and a list, which costs a third. Crash: nothing is
kept.
"""

from __future__ import annotations

import httptools

from tidegate.process.edge.framing import HEAD_END, HEAD_FIELDS

Field = tuple[bytes, bytes]
Plain = tuple[bytes, list[Field], dict[bytes, bytes], bytes]
"""(target, fields with lower-case names, the same by name, body)"""

_HEAD_BYTES = 16 * 1024
_VERSION = b" HTTP/1.1"
_OTHER = frozenset((b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade", b"expect"))
_KEEP_ALIVE = frozenset((b"connection",))


class PlainReader:
    """For the requests of one connection, each of which may also be read by another parser."""

    __slots__ = ("_fields", "_parser", "_targets", "on_header", "on_url")

    def __init__(self) -> None:
        self._fields: dict[bytes, bytes] = {}
        self._targets: list[bytes] = []
        self.on_header = self._fields.setdefault
        self.on_url = self._targets.append
        self._parser = httptools.HttpRequestParser(self)

    def read(self, data: bytes) -> Plain | None:
        """The request that `data` is, or None."""
        end = data.find(HEAD_END, 0, _HEAD_BYTES)
        line = data.find(b"\r\n")
        count = data.count(b"\n", 0, end)
        if end < 0 or count > HEAD_FIELDS or data[line - len(_VERSION) : line] != _VERSION:
            return None
        fields, targets = self._fields, self._targets
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._start_over()
            return None
        named = {name.lower(): value for name, value in fields.items()}
        body = data[end + len(HEAD_END) :]
        if (
            len(named) != count  # each line of the head is a field of its own
            or len(targets) != 1
            or b"host" not in named
            or named.get(b"content-length", b"0") != b"%d" % len(body)
            or not (_OTHER.isdisjoint(named) or _keeps_alive(named))
        ):
            self._start_over()
            return None
        target = targets[0]
        fields.clear()
        targets.clear()
        return target, list(named.items()), named, body

    def _start_over(self) -> None:
        """Where the parser is after what is not plain is not known."""
        self._fields.clear()
        self._targets.clear()
        self._parser = httptools.HttpRequestParser(self)


def _keeps_alive(named: dict[bytes, bytes]) -> bool:
    return named.get(b"connection", b"").lower() == b"keep-alive" and _OTHER & named.keys() == _KEEP_ALIVE
