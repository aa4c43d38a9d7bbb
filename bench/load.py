"""The load and the receiver, each a process of its own, so that their CPU is not the gateway's.

    python -m bench.load post URL --seconds S [--connections C] [--rate R] [--count N] [--ids random] [--types T]
    python -m bench.load get URL --seconds S [--connections C] [--key KEY]
    python -m bench.load sink --port N

`post` sends 1 KiB events signed by Standard Webhooks over keep-alive connections, closed loop, at a rate, or `--count`
of them; `get` asks for one address over and over. Both print one JSON line: answers by status, seconds, latencies.
`sink` answers 200 to every POST at once; GET /count tells how many came, /late the milliseconds from the `sent_at_ns`
in the body to the arrival, and any other GET is an item of 1 KiB, as a source's API gives it. A POST to /fail is
answered 500 for every fifth event, and one to /slow 200 after 30 s; neither is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any
from urllib.parse import urlsplit

import httptools

BODY_BYTES = 1024
SLOW_SECONDS = 30.0
PAD = "x" * BODY_BYTES


class Poster(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.future: asyncio.Future[int] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_result(self.parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_result(0)


class Signed:
    """Makes requests: 1 KiB of JSON, a new id and a signature each. Ids count up, or are random."""

    def __init__(self, path: str, host: str, secret: str, random_ids: bool = False, types: int = 0) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n".encode()
        self._key = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), digestmod=hashlib.sha256)
        self._run = time.time_ns()
        self._number = 0
        self._random = random_ids
        self._types = types

    def make(self) -> bytes:
        self._number += 1
        name = f"msg_{os.urandom(12).hex()}" if self._random else f"msg_{self._run}_{self._number}"
        now = int(time.time())
        kind = f"group{self._number % self._types}" if self._types else "order.created"
        start = (
            f'{{"type":"{kind}","sent_at_ns":{time.monotonic_ns()},"number":{self._number},'
            f'"data":{{"id":"{name}","pad":"'
        )
        body = f'{start}{PAD[: BODY_BYTES - len(start) - 3]}"}}}}'.encode()
        signer = self._key.copy()
        signer.update(f"{name}.{now}.".encode() + body)
        signature = base64.b64encode(signer.digest()).decode()
        return (
            self._head
            + f"webhook-id: {name}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: v1,{signature}\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )


class Got:
    """Makes the same GET over and over."""

    def __init__(self, path: str, host: str, key: str) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\r\n".encode()

    def make(self) -> bytes:
        return self._request


async def drive(options: argparse.Namespace) -> None:
    url = urlsplit(options.url)
    requests: Signed | Got
    if options.command == "post":
        requests = Signed(url.path, url.netloc, options.secret, options.ids == "random", options.types)
    else:
        requests = Got(url.path, url.netloc, options.key)
    loop = asyncio.get_running_loop()
    statuses: dict[int, int] = {}
    latencies: list[float] = []
    started = time.perf_counter()
    end = started + options.seconds
    left = options.count or 1 << 60
    gap = options.connections / options.rate if options.rate else 0.0

    async def one(number: int) -> None:
        nonlocal left
        _, poster = await loop.create_connection(Poster, url.hostname, url.port)
        due = started + gap * number / options.connections
        while True:
            if gap:
                due += gap
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            at = time.perf_counter()
            if at > end or left == 0:
                poster.transport.close()
                return
            left -= 1
            poster.future = loop.create_future()
            poster.transport.write(requests.make())
            status = await poster.future
            statuses[status] = statuses.get(status, 0) + 1
            latencies.append(time.perf_counter() - at)
            if status == 0:
                _, poster = await loop.create_connection(Poster, url.hostname, url.port)

    await asyncio.gather(*(one(number) for number in range(options.connections)))
    if not latencies:
        raise SystemExit(
            f"no request was sent within {options.seconds:g} s: measure for longer, or on a quieter machine"
        )
    latencies.sort()
    report = {
        "statuses": statuses,
        "seconds": time.perf_counter() - started,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }
    print(json.dumps(report))


ITEM = json.dumps({"id": 1, "state": "paid", "note": PAD[:980]}).encode()


class Sink(asyncio.Protocol):
    """Answers 200 at once and counts."""

    count = 0
    late_ms: list[float] = []  # noqa: RUF012 - shared by all connections on purpose

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url = b""
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        answer = ITEM
        if self.parser.get_method() == b"POST":
            answer = b"{}"
            if self.url == b"/slow":
                asyncio.get_running_loop().call_later(SLOW_SECONDS, self._answer, answer)
                return
            if self.url == b"/fail" and self._field(b"number") % 5 == 0:
                self._answer(answer, b"500 No")
                return
            Sink.count += 1
            sent = self._field(b"sent_at_ns")
            if sent:
                Sink.late_ms.append((time.monotonic_ns() - sent) / 1e6)
        elif self.url == b"/count":
            answer = json.dumps({"count": Sink.count}).encode()
        elif self.url == b"/late":
            late = sorted(Sink.late_ms) or [0.0]
            answer = json.dumps(
                {"n": len(late), "p50_ms": late[len(late) // 2], "p99_ms": late[int(len(late) * 0.99)]}
            ).encode()
            Sink.late_ms = []
        self._answer(answer)

    def _field(self, name: bytes) -> int:
        """A number of the body; 0 when it is not there."""
        at = self.body.find(b'"%b":' % name)
        return int(self.body[at + len(name) + 3 : self.body.index(b",", at)]) if at >= 0 else 0

    def _answer(self, body: bytes, status: bytes = b"200 OK") -> None:
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        self.transport.write(head + body)


async def sink(options: argparse.Namespace) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", options.port, backlog=2048)
    print(f"ready http://127.0.0.1:{options.port}", flush=True)
    await server.serve_forever()


def main() -> None:
    import uvloop

    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("post", "get"):
        one = commands.add_parser(command)
        one.add_argument("url")
        one.add_argument("--seconds", type=float, default=4)
        one.add_argument("--connections", type=int, default=64)
        one.add_argument("--rate", type=float, default=0)
        one.add_argument("--count", type=int, default=0)
        one.add_argument("--types", type=int, default=0)
        one.add_argument("--ids", choices=["counted", "random"], default="counted")
        one.add_argument("--secret", default="whsec_" + base64.b64encode(b"b" * 32).decode())
        one.add_argument("--key", default="")
    receiver = commands.add_parser("sink")
    receiver.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(sink(options) if options.command == "sink" else drive(options))


if __name__ == "__main__":
    main()
