"""How many bytes a request takes: decided from its head, before anything of it is believed. Pure, no sockets.

Owns the limits of a head, which combinations of framing fields are refused, and the reading of chunked bodies. May not
know connections or answers. Invariant: every byte of a connection belongs to exactly one request, whatever the head
asks for (RFC 9112 section 6.3); an `Upgrade` never changes where a body ends. What is ambiguous is refused, because a
proxy in front of the gateway might read it the other way (request smuggling).
"""

from __future__ import annotations

import re
from enum import Enum

HEAD_LIMIT_BYTES = 64 * 1024
HEAD_FIELDS = 200
LINE_LIMIT_BYTES = 8 * 1024  # of a chunk's size line with its extensions, and of one trailer
FRAMING_RATIO = 9  # framing bytes allowed per body byte: a chunk of one byte takes six
FRAMING_BYTES = 64 * 1024  # and on top of that, for the whole body

HEAD_END = b"\r\n\r\n"
FRAMING_FIELDS = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))
_HTTP2 = b"PRI * HTTP/2.0"
_TLS_RECORD = b"\x16\x03"
OTHER_PROTOCOLS = frozenset((_HTTP2[1:2], _TLS_RECORD[1:2]))  # the second byte of what `other_protocol` names
_ABSOLUTE = re.compile(rb"https?://[^/?#@]+(?:[/?]|\Z)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")


class BadFraming(Exception):
    """This request cannot be read, and neither can what follows it: answer with `status` and close."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint


def other_protocol(beginning: bytes) -> BadFraming | None:
    """The first bytes of a connection are not HTTP/1: what they are, and what to do; None when they may be HTTP/1."""
    if beginning.startswith(_TLS_RECORD):
        return BadFraming(
            400, "tls_on_plain_port", "this port speaks plain HTTP, and the client began TLS", "use http://, or a proxy"
        )
    if beginning.startswith(_HTTP2):
        return BadFraming(
            505, "http2_not_supported", "HTTP/2 without TLS is not supported", "use HTTP/1.1 (curl: --http1.1)"
        )
    return None


def check_head_size(head: bytes) -> None:
    """Raises BadFraming (431) for a complete head that is too long or has too many fields."""
    if len(head) > HEAD_LIMIT_BYTES or head.count(b"\n") > HEAD_FIELDS + 2:
        raise head_too_large()


def head_too_large() -> BadFraming:
    return BadFraming(
        431,
        "head_too_large",
        f"the head of the request is over {HEAD_LIMIT_BYTES >> 10} KiB or has over {HEAD_FIELDS} fields",
        "send fewer or shorter headers",
    )


def is_own_target(target: bytes) -> bool:
    """Whether a target is a path, or a URL of HTTP (RFC 9112 section 3.2). The parser takes any scheme for a URL, and
    a proxy in front of the gateway may take it for something else.
    """
    return target[:1] == b"/" or target == b"*" or _ABSOLUTE.match(target) is not None


class BodyKind(Enum):
    LENGTH = "length"
    CHUNKED = "chunked"


def body_of(fields: list[tuple[bytes, bytes]], version: str, method: str) -> tuple[BodyKind, int]:
    """How the body ends: (LENGTH, bytes) or (CHUNKED, 0).

    `fields`: those of `FRAMING_FIELDS` as they came, names in lower case. Raises BadFraming.
    """
    named: dict[bytes, list[bytes]] = {name: [] for name in FRAMING_FIELDS}
    for name, value in fields:
        named[name].append(value.strip())
    _check_host(named[b"host"], version)
    if method == "CONNECT":
        raise BadFraming(405, "connect_not_supported", "this is not a proxy: CONNECT is not supported")
    if any(value.lower() != b"100-continue" for value in named[b"expect"]):
        raise BadFraming(417, "expectation_failed", "the only expectation that can be met is 100-continue")
    codings, lengths = named[b"transfer-encoding"], named[b"content-length"]
    if codings:
        return _chunked(codings, lengths, version)
    if not lengths:
        return BodyKind.LENGTH, 0
    length = lengths[0]
    if len(lengths) > 1 or not length.isdigit() or len(length) > 18:
        raise BadFraming(400, "invalid_length", "Content-Length must be given once, as a decimal number")
    return BodyKind.LENGTH, int(length)


def _check_host(hosts: list[bytes], version: str) -> None:
    if len(hosts) > 1:
        raise BadFraming(400, "several_hosts", "the request has several Host headers", "send exactly one")
    if version == "1.1" and not hosts:
        raise BadFraming(400, "host_missing", "an HTTP/1.1 request needs a Host header")


def _chunked(codings: list[bytes], lengths: list[bytes], version: str) -> tuple[BodyKind, int]:
    if lengths:
        raise BadFraming(400, "ambiguous_length", "the request has both Content-Length and Transfer-Encoding")
    if version == "1.0":
        raise BadFraming(400, "chunked_in_http_1_0", "HTTP/1.0 has no Transfer-Encoding")
    if len(codings) > 1 or codings[0].lower() != b"chunked":
        raise BadFraming(400, "unknown_transfer_encoding", "the only transfer encoding that can be read is chunked")
    return BodyKind.CHUNKED, 0


def _too_much_framing() -> BadFraming:
    return BadFraming(400, "framing_too_large", "the chunks of the body have too many bytes around them")


_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


class ChunkedBody:
    """Reads a chunked body (RFC 9112 section 7.1). Extensions and trailers are read, bounded and dropped."""

    __slots__ = ("_chunk", "_framing", "_line", "_state", "finished")

    def __init__(self) -> None:
        self.finished = False
        self._state = _SIZE
        self._chunk = 0  # bytes of the current chunk that are still to come
        self._line = b""  # the beginning of a line that is not complete
        self._framing = FRAMING_BYTES  # bytes of framing that may still come

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """(parts of the body, what follows the body). Call until `finished`. Raises BadFraming."""
        parts: list[bytes] = []
        if self._line:
            data, self._line = self._line + data, b""
        at, end = 0, len(data)
        while at < end and not self.finished:
            if self._state == _DATA:
                part = data[at : at + self._chunk]
                parts.append(part)
                at += len(part)
                self._chunk -= len(part)
                self._framing = min(self._framing + FRAMING_RATIO * len(part), FRAMING_BYTES)
                if not self._chunk:
                    self._state = _DATA_END
                continue
            stop = data.find(b"\r\n", at, at + LINE_LIMIT_BYTES)
            if stop < 0:
                if end - at >= LINE_LIMIT_BYTES or end - at > self._framing:
                    raise _too_much_framing()
                self._line = data[at:]  # its end has not come yet
                return parts, b""
            self._framing -= stop + 2 - at
            if self._framing < 0:
                raise _too_much_framing()
            self._on_line(data[at:stop])
            at = stop + 2
        return parts, data[at:]

    def _on_line(self, line: bytes) -> None:
        if self._state == _SIZE:
            match = _CHUNK_SIZE.fullmatch(line)
            if match is None:
                raise BadFraming(400, "invalid_chunk", "the size of a chunk is not a hexadecimal number")
            self._chunk = int(match[1], 16)
            self._state = _DATA if self._chunk else _TRAILERS
        elif self._state == _DATA_END:
            if line:
                raise BadFraming(400, "invalid_chunk", "a chunk is longer than its size says")
            self._state = _SIZE
        elif not line:
            self.finished = True
        elif _TRAILER.fullmatch(line) is None:
            raise BadFraming(400, "invalid_trailer", "a trailer is not a header field")
