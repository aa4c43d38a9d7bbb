"""What receivers do to a gateway, over real sockets, and what must come of it: one table, one gateway, all at once.

Each row is a destination of its own. It gets one event; the row says how the attempts end and what becomes of the
delivery. Beside them a healthy destination gets a steady stream, which none of them may delay, and at the end no
request is in flight, no socket of theirs is open, and what was kept of their answers is bounded.

What other tests show of bad receivers: every kind of answer at the client (`tests/engine/test_post_client.py`), sockets
that the receiver closes between requests (`test_post_client_sockets.py`), redirects and addresses
(`test_post_client_addresses.py`), TLS (`test_connect_options.py`), many dead destinations beside healthy ones
(`bench/`), and outages, flapping and poison events (`test_failing_destinations.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.gateway.deployment import Deployment
from support.gateway.running import publish, until
from support.receiver.scripted import OK, Request, Script, ScriptedServer, answer, silence
from tidegate.core.model import Attempt, DeliveryState, DeliveryView, Outcome
from tidegate.process.gateway import Gateway

TIMEOUT_SECONDS = 0.8
DELIVERED, EXHAUSTED, PENDING = DeliveryState.DELIVERED, DeliveryState.EXHAUSTED, DeliveryState.PENDING
Writer = asyncio.StreamWriter


@dataclass
class Row:
    """`ends`: (outcome, status) of every attempt. `said`: part of the error. `waits`: seconds between two attempts."""

    name: str
    script: Script
    ends: tuple[Outcome, int | None]
    state: DeliveryState = EXHAUSTED
    said: str = ""
    waits: tuple[float, float] | None = None


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *lines, "")).encode()


def after(seconds: float, *parts: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: Writer, request: Request) -> None:
        await asyncio.sleep(seconds)
        writer.write(b"".join(parts))

    return script


def trickle(first: bytes, unit: bytes) -> Script:
    """Writes `first`, then `unit` again and again, slowly."""

    async def script(reader: asyncio.StreamReader, writer: Writer, request: Request) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(unit)
            await asyncio.sleep(0.05)

    return script


def flood(first: bytes, unit: bytes) -> Script:
    """Writes `first`, then `unit` as fast as the reader takes it, without an end."""

    async def script(reader: asyncio.StreamReader, writer: Writer, request: Request) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(unit)
            await writer.drain()
            await asyncio.sleep(0)

    return script


def reset_after(sent: bytes) -> Script:
    """Writes the bytes, then ends the connection with a reset."""

    async def script(reader: asyncio.StreamReader, writer: Writer, request: Request) -> None:
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.02)
        there = writer.get_extra_info("socket")
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return script


def status(line: str, *lines: str) -> Script:
    text = "".join(f"{one}\r\n" for one in (f"HTTP/1.1 {line}", *lines, "content-length: 0", ""))
    return answer(text.encode())


_pack = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB = _pack.compress(b"\0" * (32 << 20)) + _pack.flush()
CHUNKED = head("transfer-encoding: chunked")
ERROR, BROKEN, GONE = Outcome.HTTP_ERROR, Outcome.BAD_ANSWER, Outcome.RESET
DONE = (Outcome.OK, 200)
# Seconds: the schedule's 0.4 s; 1 s that a 429 without a wait is held; Retry-After of 2 s; the cap of 3 s.
SHORT, HELD, LONG, CAPPED = (0.3, 1.5), (1.0, 2.2), (2.0, 3.2), (3.0, 4.3)

ROWS = [
    # slow and silent
    Row("accepts and never answers", silence, (Outcome.TIMEOUT, None), said="no answer within"),
    Row("answers 200 after the time limit", after(1.2, OK), (Outcome.TIMEOUT, None), said="no answer within"),
    Row("one byte of the head at a time", trickle(b"HTTP/1.1 200 OK\r\nx: ", b"y"), (Outcome.TIMEOUT, None),
        said="the headers of the answer did not end"),
    Row("one byte of the body at a time", trickle(head(), b"y"), DONE, DELIVERED, said="did not end within"),
    Row("one byte of an error's body at a time", trickle(b"HTTP/1.1 500 No\r\n\r\n", b"y"), (ERROR, 500)),
    # too much
    Row("an endless body", flood(head(), b"x" * 65536), DONE, DELIVERED, said="the answer was cut"),
    Row("a body of 10 GB", flood(head("content-length: 10000000000"), b"x" * 65536), DONE, DELIVERED, said="cut"),
    Row("an endless header", flood(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 65536), (BROKEN, None), said="headers"),
    Row("100,000 headers", answer(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n"), (BROKEN, None)),
    Row("endless interim answers", flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), (BROKEN, None)),
    Row("a compression bomb", answer(head("content-encoding: gzip", f"content-length: {len(BOMB)}") + BOMB), DONE,
        DELIVERED),
    Row("endless trailers", flood(CHUNKED + b"0\r\n", b"x: y\r\n" * 1000), DONE, DELIVERED),
    Row("endless extensions of a chunk", flood(CHUNKED + b"1;", b"e" * 65536), DONE, DELIVERED),
    # not HTTP
    Row("another protocol", answer(b"SSH-2.0-OpenSSH_9.9\r\n"), (BROKEN, None), said="not HTTP"),
    Row("a body without a head (HTTP/0.9)", answer(b"<html>hello</html>", close=True), (BROKEN, None)),
    Row("two lengths", answer(head("content-length: 2", "content-length: 3") + b"ok!"), (BROKEN, None)),
    Row("a negative length", answer(head("content-length: -2") + b"ok"), (BROKEN, None)),
    Row("a length and chunks", answer(head("content-length: 2", "transfer-encoding: chunked") + b"0\r\n\r\n"),
        (BROKEN, None)),
    Row("NUL in a header", answer(b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n"), (BROKEN, None)),
    Row("a header line without a name", answer(b"HTTP/1.1 200 OK\r\n: b\r\n\r\n"), (BROKEN, None)),
    Row("lines that end with LF alone", answer(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok"), (BROKEN, None)),
    Row("switches protocols (101)", answer(b"HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        (BROKEN, None)),
    Row("closes at once", answer(b"", close=True), (GONE, None), said="closed before an answer"),
    Row("resets at once", reset_after(b""), (GONE, None)),
    *(Row(f"resets after {size} bytes of the head", reset_after(OK[:size]), (GONE, None)) for size in (1, 9, 16, 30)),
    Row("resets within the body", reset_after(head("content-length: 10") + b"abc"), DONE, DELIVERED, said="cut"),
    Row("closes within the body", answer(head("content-length: 10") + b"abc", close=True), DONE, DELIVERED, said="cut"),
    Row("a chunk whose size is not a number", answer(CHUNKED + b"zz\r\n"), DONE, DELIVERED, said="malformed"),
    # redirects
    *(
        Row(f"redirects ({code})", status(f"{code} Moved", "location: http://127.0.0.1:1/elsewhere"), (ERROR, code))
        for code in (301, 302, 303, 307, 308)
    ),
    Row("redirects to itself", status("302 Found", "location: /"), (ERROR, 302)),
    Row("redirects to a metadata address", status("302 Found", "location: http://169.254.169.254/"), (ERROR, 302)),
    # successes
    *(Row(f"answers {code}", status(f"{code} Fine"), (Outcome.OK, code), DELIVERED) for code in (201, 202, 204, 206)),
    Row("200 with the text of an error", answer(head("content-length: 5") + b"error"), DONE, DELIVERED),
    # asks for time
    *(
        Row(f"{code} with Retry-After {value[:40]!r}", status(f"{code} Later", f"retry-after: {value}"), (ERROR, code),
            PENDING if code == 429 else EXHAUSTED, waits=waits)
        for code, values in {
            # A 429 spends no try of the schedule, and is held for a second when it names no time.
            429: {"2": LONG, "0": HELD, "-1": HELD, "1e99": HELD, "NaN": HELD, "": HELD},
            503: {
                "2": LONG, "0": SHORT, "-1": SHORT, "1e99": SHORT, "NaN": SHORT, "soon": SHORT, "9" * 200: SHORT,
                "9" * 30: CAPPED, "Fri, 31 Dec 9999 23:59:59 GMT": CAPPED, "Sun, 06 Nov 1994 08:49:37 GMT": SHORT,
                "2\r\nretry-after: 60": LONG,
            },
        }.items()
        for value, waits in values.items()
    ),
    # for good
    Row("410", status("410 Gone"), (ERROR, 410), PENDING),
]  # fmt: skip


def test_the_table_has_no_name_twice() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


async def by_path(reader: asyncio.StreamReader, writer: Writer, request: Request) -> None:
    await ROWS[int(request.line.split()[1].removeprefix("/"))].script(reader, writer, request)


def configuration(bad: str, good: str) -> str:
    lines = ["[sources.shop.publish]", "[destinations.good]", f'url = "{good}"']
    for number, row in enumerate(ROWS):
        retry = "3s" if row.state is DELIVERED else "400ms"
        lines += [f"[destinations.d{number}]", f'url = "{bad}/{number}"', f'timeout = "{TIMEOUT_SECONDS * 1000:g}ms"']
        lines += [f'retry = ["{retry}"]', 'retry_after_cap = "3s"']
    everyone = json.dumps(["good", *(f"d{number}" for number in range(len(ROWS)))])
    lines += ["[routes.all]", 'from = "shop"', 'types = ["bad"]', f"to = {everyone}"]
    return "\n".join([*lines, "[routes.good]", 'from = "shop"', 'types = ["good"]', 'to = "good"', ""])


async def seen(gateway: Gateway, offset: int, number: int) -> DeliveryView:
    destination = gateway.active.destinations[f"d{number}"].number
    return (await gateway.deliver.states([(offset, destination)]))[offset, destination]


def first_wait(view: DeliveryView) -> float:
    """Seconds from the end of the first attempt to the second one."""
    first, second = view.attempts[:2]
    return (second.started_at_us - first.started_at_us - first.duration_us) / 1e6


def settled(row: Row, view: DeliveryView) -> bool:
    return view.state is row.state and len(view.attempts) > (row.waits is not None)


def check_attempts(row: Row, view: DeliveryView) -> None:
    assert view.state is row.state, view
    for attempt in view.attempts:
        assert (attempt.outcome, attempt.status) == row.ends, attempt
        assert row.said in attempt.error, attempt.error
        assert attempt.duration_us < (TIMEOUT_SECONDS + 0.7) * 1e6, "the time limit ends it"
        check_bounds(attempt)
    if row.waits is not None:
        low, high = row.waits
        assert low <= first_wait(view) <= high, first_wait(view)
    if row.state is EXHAUSTED:
        assert len(view.attempts) == 2, "one wait in the schedule gives two tries"


def check_bounds(attempt: Attempt) -> None:
    assert len(attempt.answer_body) <= 4096 and len(attempt.answer_headers) <= 4096 and len(attempt.error) <= 500
    assert attempt.answer_bytes < 4 << 20, "it stops reading"


async def test_a_bad_receiver_is_an_outcome_and_delays_nobody(new_deployment: Callable[[], Deployment]) -> None:
    arrived: list[float] = []

    async def count(reader: asyncio.StreamReader, writer: Writer, request: Request) -> None:
        arrived.append(asyncio.get_running_loop().time())
        writer.write(b"HTTP/1.1 204 No\r\n\r\n")

    async with ScriptedServer(by_path) as bad, ScriptedServer(count) as good:
        async with new_deployment().running(configuration(bad.url, good.url)) as gateway:
            offset = await publish(gateway, type="bad")
            published = await stream_of_good(gateway, 60, every_seconds=0.03)
            await until(lambda: len(arrived) >= 61)
            views = [await once_settled(gateway, offset, number, row) for number, row in enumerate(ROWS)]
            failed = []
            for row, view in zip(ROWS, views, strict=True):
                try:
                    check_attempts(row, view)
                except AssertionError as error:
                    failed.append(f"{row.name}: {str(error)[:300]}")
            assert not failed, "\n".join(failed)
            assert all(b"webhook-id" in one.head for one in bad.requests)
            assert len({one.headers["webhook-id"] for one in bad.requests}) == 1, "each attempt has the same id"
            delays = [at - sent for sent, at in zip(published, arrived[-60:], strict=True)]
            assert sorted(delays)[-4] < 0.5, f"the healthy destination waited {sorted(delays)[-5:]}"
            assert gateway.active.destinations[f"d{len(ROWS) - 1}"].pause_reason == "gone"
            await until(lambda: gateway.post.stats().in_flight == 0, 15)


async def stream_of_good(gateway: Gateway, events: int, every_seconds: float) -> list[float]:
    published = []
    for _ in range(events):
        published.append(asyncio.get_running_loop().time())
        await publish(gateway, type="good")
        await asyncio.sleep(every_seconds)
    return published


async def once_settled(gateway: Gateway, offset: int, number: int, row: Row) -> DeliveryView:
    views: list[Any] = []

    async def there() -> bool:
        views.append(await seen(gateway, offset, number))
        return settled(row, views[-1])

    with contextlib.suppress(AssertionError):  # the check says what is wrong with it
        await until(there, 8, every_seconds=0.1)
    return views[-1]
