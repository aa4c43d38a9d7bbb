"""Requests and responses for fuzzing: valid ones, changed by structure and by raw bytes, from a seed."""

from __future__ import annotations

import random

SMALL = (b"", b"x", b'{"a": 1}', b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n", b"0\r\n\r\n", b"\r\n", b"y" * 300)
FIELDS = (
    b"Host: b", b"Content-Length: 5", b"Content-Length: 0", b"content-length:5", b"Content-Length: 5, 5",
    b"Content-Length: +5", b"Content-Length: 0x5", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
    b"transfer-encoding: gzip, chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked",
    b"Connection: close", b"Connection: keep-alive, Upgrade", b"Connection: upgrade", b"Upgrade: websocket",
    b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Expect: 100-continue", b"Expect: x", b"X: y",
    b"X-Long: " + b"z" * 200, b" folded", b"\tfolded", b"NoColon", b": empty", b"X: a\x00b", b"X: \xff\xfe",
)  # fmt: skip
LINES = (
    b"POST /in/a HTTP/1.1", b"GET / HTTP/1.1", b"PUT /x HTTP/1.1", b"POST http://h/in/a HTTP/1.1",
    b"POST /in/a HTTP/1.0", b"OPTIONS * HTTP/1.1", b"CONNECT h:1 HTTP/1.1", b"POST  /in/a HTTP/1.1",
    b"PRI * HTTP/2.0", b"POST /a\tb HTTP/1.1",
)  # fmt: skip
TOKENS = (b"\r\n", b"\n", b"\r", b"\x00", b":", b";", b" ", b"0", b"chunked", b"\r\n\r\n", b"\xff", b"HTTP/1.1", b"5")
STATUSES = (b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 100 Continue", b"HTTP/1.1 503 No", b"HTTP/2.0 200 OK",
            b"HTTP/1.1 101 Switch", b"HTTP/1.0 200 OK", b"HTTP/1.1 99 x", b"hello")  # fmt: skip
ANSWER_FIELDS = (*FIELDS, b"Retry-After: 5", b"Content-Encoding: gzip", b"Content-Length: 99999999999999999999")


def chunked(body: bytes, chance: random.Random) -> bytes:
    out = b""
    while body:
        size = chance.randint(1, max(1, len(body)))
        out += b"%x%s\r\n%s\r\n" % (size, chance.choice((b"", b"", b";a=1")), body[:size])
        body = body[size:]
    return out + b"0\r\n" + chance.choice((b"", b"", b"x: 1\r\n")) + b"\r\n"


def message(chance: random.Random, first: tuple[bytes, ...], fields: tuple[bytes, ...]) -> bytes:
    """One message whose framing is right most of the time."""
    body = chance.choice(SMALL)
    head = [chance.choice(first) if chance.random() < 0.3 else first[0]]
    if chance.random() < 0.95:
        head.append(b"Host: a")
    framing = chance.random()
    if framing < 0.45:
        head.append(b"Content-Length: %d" % len(body))
    elif framing < 0.85:
        head.append(b"Transfer-Encoding: chunked")
        body = chunked(body, chance)
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        head.insert(chance.randint(1, len(head)), chance.choice(fields))
    return b"\r\n".join((*head, b"", b"")) + body


def stream(chance: random.Random, *, answers: bool = False) -> bytes:
    """What one connection carries: some messages, and often a change of a few raw bytes."""
    first, fields = (STATUSES, ANSWER_FIELDS) if answers else (LINES, FIELDS)
    data = b"".join(message(chance, first, fields) for _ in range(chance.randint(1, 3)))
    if chance.random() < 0.5:
        raw = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(raw) + 1)
            raw[at : at + chance.choice((0, 0, 1, 3))] = chance.choice(TOKENS)
        data = bytes(raw)
    return data


def cuts(data: bytes, chance: random.Random) -> list[bytes]:
    """The bytes as reads of a socket: mostly one, else a few, seldom many."""
    kind = chance.random()
    if kind < 0.6 or len(data) < 2:
        return [data]
    places = sorted(chance.sample(range(1, len(data)), min(len(data) - 1, 3 if kind < 0.95 else 25)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
