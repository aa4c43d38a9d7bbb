"""What is read in one step: the usual form alone, and then as the strict parser reads it."""

from __future__ import annotations

import os
import random
from typing import Any

import httptools
import pytest

from support.faults.fuzzing import TOKENS, stream
from tidegate.process.edge.framing import FRAMING_FIELDS, HEAD_FIELDS, BodyKind, body_of
from tidegate.process.edge.plain_request import PlainReader

INPUTS = min(200_000, 5 * int(os.environ.get("TIDEGATE_FUZZ_INPUTS", "6000")))
BODY = b'{"a": 1}'
LINE = b"POST /in/shop?a=1 HTTP/1.1\r\n"
HEAD = b"Host: a\r\nContent-Length: 8\r\n"


def test_a_usual_request_is_read() -> None:
    fields = [(b"host", b"a"), (b"content-length", b"8"), (b"connection", b"keep-alive"), (b"x-b", b"c: d")]
    data = LINE + HEAD + b"Connection: keep-alive\r\nX-B: c: d\r\n\r\n" + BODY
    reader = PlainReader()
    for _ in range(2):
        assert reader.read(data) == (b"/in/shop?a=1", fields, dict(fields), BODY)
        get = (b"/x", [(b"host", b"a")], {b"host": b"a"}, b"")
        assert reader.read(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n") == get


@pytest.mark.parametrize(
    "data",
    [
        b"",
        LINE + HEAD,
        LINE + HEAD + b"\r\n",
        LINE + HEAD + b"\r\n" + BODY[:-1],
        LINE + HEAD + b"\r\n" + BODY + b"GET",
        LINE + b"Content-Length: 8\r\n\r\n" + BODY,
        LINE + b"Host: a\r\nHost: a\r\nContent-Length: 8\r\n\r\n" + BODY,
        LINE + b"Host: a\r\nContent-Length: 08\r\n\r\n" + BODY,
        LINE + b"Host: a\r\nContent-Length: +8\r\n\r\n" + BODY,
        *(
            LINE + HEAD + field + b"\r\n\r\n" + BODY
            for field in (
                b"Connection: close", b"Connection: keep-alive, upgrade", b"Upgrade: h2c", b"Expect: 100-continue",
                b"Transfer-Encoding: chunked", b"Proxy-Connection: keep-alive", b"X : y", b" X: y", b"X: a\x00b",
                b"X: a\nb", b"X: a\rb", b"X(: y", b": y", b"X",
            )
        ),
        LINE + HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(HEAD_FIELDS)) + b"\r\n" + BODY,
        b"POST /in/shop HTTP/1.0\r\n" + HEAD + b"\r\n" + BODY,
    ],
)  # fmt: skip
def test_anything_else_is_left_to_the_parser(data: bytes) -> None:
    reader = PlainReader()
    assert reader.read(data) is None
    assert reader.read(LINE + HEAD + b"\r\n" + BODY) is not None, "the next one is read"


class Parsed:
    """What the strict parser reads of a head."""

    def __init__(self, head: bytes) -> None:
        self.url, self.headers, self.keep_alive = b"", list[tuple[bytes, bytes]](), False
        self.parser: Any = httptools.HttpRequestParser(self)
        self.parser.feed_data(head)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()


def changed(chance: random.Random) -> bytes:
    """A usual request with a few raw bytes changed."""
    raw = bytearray(LINE + HEAD + b"Connection: keep-alive\r\nX-B: c: d\r\n\r\n" + BODY)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(raw))
        put = chance.choice(TOKENS) if chance.random() < 0.5 else bytes([chance.randrange(256)])
        raw[at : at + chance.choice((0, 1, 1, 1, 2))] = put
    return bytes(raw)


def test_what_is_read_here_reads_the_same_in_the_strict_parser() -> None:
    reader, chance, plain = PlainReader(), random.Random(7), 0
    for _ in range(INPUTS):
        data = stream(chance) if chance.random() < 0.3 else changed(chance)
        found = reader.read(data)
        if found is None:
            continue
        plain += 1
        target, fields, named, body = found
        parsed = Parsed(data[: len(data) - len(body)])
        framing = [field for field in parsed.headers if field[0] in FRAMING_FIELDS]
        assert (parsed.url, parsed.headers) == (target, fields), data
        assert parsed.keep_alive and parsed.parser.get_http_version() == "1.1" and named == dict(fields), data
        assert body_of(framing, "1.1", "POST") == (BodyKind.LENGTH, len(body)), data
    assert plain > INPUTS // 20, "nothing was compared"
