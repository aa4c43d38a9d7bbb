"""Hostile requests to a webhook address over raw sockets, row by row: none is more than an answer.

Each row sends bytes and names the statuses that are right. While all rows run, another sender is never kept waiting, no
answer is a 5xx but for a body that is too slow, and what was refused is not in the log. The other parts of this promise
have files of their own: slow and idle connections (`web/test_connections.py`, `test_server_edge.py`), framing
(`web/test_edge_cases.py`, `pure/test_framing.py`), memory (`web/test_half_open_bodies.py`), random bytes
(`test_fuzzed_http.py`, `test_hostile_input_is_an_answer.py`).
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from support.cli.command import Served
from support.cli.subprocesses import call

TOML = """
[sources.open.webhook]
verify = "none"
type_path = "type"
max_body = "64KiB"
[sources.signed.webhook]
verify = "stripe"
secret = "whsec_x"
[sources.std.webhook]
verify = "standard-webhooks"
secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
[sources.unset.webhook]
verify = "github"
[sources.twin.webhook]
verify = "none"
[sources.leads.form]
[destinations.d]
url = "https://127.0.0.1:9/"
[routes.r]
from = "open"
to = "d"
filter = { data = { a = { b = 1 } } }
"""
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
NONE = 0  # no answer: the gateway closed the connection
ACCEPTED, BAD = {200, 202}, {400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 422, 431, 501}


class Row(NamedTuple):
    """`wants`: the status of the first answer; `answers`: how many answers there may be."""

    data: bytes
    wants: set[int]
    answers: int = 1


def post(path: str, body: bytes, *heads: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", *heads, f"content-length: {len(body)}", "connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(size: int, count: int) -> bytes:
    chunk = b"%x\r\n" % size + b" " * size + b"\r\n"
    head = b"POST /in/open HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    return head + chunk * count + b"0\r\n\r\n"


def stripe(body: bytes, at: int, key: bytes = b"whsec_x") -> str:
    return f"stripe-signature: t={at},v1=" + hmac.new(key, b"%d." % at + body, hashlib.sha256).hexdigest()


NOW = int(time.time())
HEAD = "POST /in/open HTTP/1.1"
BODY = b'{"id":"evt_1"}'
GOOD = stripe(BODY, NOW)

ROWS = {
    # bodies by size and length
    "no byte": Row(post("/in/open", b""), ACCEPTED),
    "one byte": Row(post("/in/open", b"x"), ACCEPTED),
    "exactly the limit": Row(post("/in/open", b" " * 65536), ACCEPTED),
    "one over the limit": Row(post("/in/open", b" " * 65537), {413}),
    "a length of a gigabyte": Row(raw(HEAD, "host: x", "content-length: 1073741824"), {413}),
    "chunks without a length": Row(chunked(1000, 10), ACCEPTED),
    "chunks over the limit": Row(chunked(1000, 70), {413}),
    "chunks of one byte": Row(chunked(1, 3000), ACCEPTED | {400, 413}),
    "a length that is a word": Row(raw(HEAD, "host: x", "content-length: ten", body=b"x"), {400}),
    "a negative length": Row(raw(HEAD, "host: x", "content-length: -1"), {400}),
    "an expectation that nobody knows": Row(raw(HEAD, "host: x", "expect: 200-ok", "content-length: 1", "connection: close", body=b"x"), ACCEPTED | {417}),
    # JSON
    "depth": Row(post("/in/open", b"[" * 30000 + b"]" * 30000, "content-type: application/json"), ACCEPTED),
    "NaN and Infinity": Row(post("/in/open", b'{"a":NaN,"b":-Infinity}'), ACCEPTED),
    "1e999 and 10,000 digits": Row(post("/in/open", b'{"a":1e999,"b":' + b"9" * 10000 + b"}"), ACCEPTED),
    "a key twice": Row(post("/in/open", b'{"type":"a","type":"b"}'), ACCEPTED),
    "bytes beyond UTF-8": Row(post("/in/open", b'{"type":"\xff\xfe"}'), ACCEPTED),
    "a lone surrogate and U+0000": Row(post("/in/open", b'{"type":"\\ud800","k":"\\u0000"}'), ACCEPTED),
    # compressed
    "a bomb": Row(post("/in/open", gzip.compress(b" " * 50_000_000), "content-encoding: gzip", "content-type: application/json"), ACCEPTED | {413}),
    "compressed twice": Row(post("/in/open", gzip.compress(gzip.compress(b"{}")), "content-encoding: gzip, gzip"), ACCEPTED | {415}),
    "no gzip": Row(post("/in/open", b"{}", "content-encoding: gzip"), ACCEPTED),
    "cut gzip": Row(post("/in/open", gzip.compress(b"x" * 1000)[:-9], "content-encoding: gzip"), ACCEPTED),
    # smuggling
    "two lengths": Row(raw(HEAD, "host: x", "content-length: 4", "content-length: 5", body=b"abcde"), {400}),
    "length and chunks": Row(raw(HEAD, "host: x", "content-length: 4", "transfer-encoding: chunked", body=b"0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"), {400}),
    "chunks of another name": Row(raw(HEAD, "host: x", "transfer-encoding: xchunked", body=b"0\r\n\r\n"), {400, 501}),
    "two hosts": Row(raw(HEAD, "host: x", "host: y", "content-length: 0"), {400}),
    "a folded line": Row(raw(HEAD, "host: x", "x-a: 1", " 2", "content-length: 0"), {400}),
    "a bare line feed": Row(b"POST /in/open HTTP/1.1\nhost: x\ncontent-length: 0\n\n", {400, NONE}),
    "a blank before the colon": Row(raw(HEAD, "host: x", "content-length : 0"), {400}),
    "NUL in a header": Row(raw(HEAD, "host: x", "x-a: a\0b", "content-length: 0"), {400}),
    "a header whose name begins with a colon": Row(raw(HEAD, "host: x", ":test: 1", "content-length: 0"), {400}),
    "a request for another authority": Row(raw("POST http://evil.example/in/open HTTP/1.1", "host: x", "content-length: 0", "connection: close"), ACCEPTED | BAD),
    "h2c": Row(raw(HEAD, "host: x", "connection: upgrade, http2-settings, close", "upgrade: h2c", "http2-settings: AAMAAABk", "content-length: 2", body=b"{}"), ACCEPTED | {400}),
    # multipart
    "a million parts": Row(post("/in/open", b"--b\r\n\r\n\r\n" * 6000, "content-type: multipart/form-data; boundary=b"), ACCEPTED),
    "a part with a long head": Row(post("/in/open", b"--b\r\nx: " + b"y" * 30000 + b"\r\n\r\n\r\n--b--", "content-type: multipart/form-data; boundary=b"), ACCEPTED),
    "no boundary": Row(post("/in/open", b"--b\r\n\r\n1\r\n--b--", "content-type: multipart/form-data"), ACCEPTED),
    "data before the boundary": Row(post("/in/open", b"junk\r\n--b\r\n\r\n1\r\n--b--", "content-type: multipart/form-data; boundary=b"), ACCEPTED),
    "JSON that imitates an upload": Row(post("/in/leads", b'{"f":{"filename":"/etc/passwd","bytes":1}}', "content-type: application/json"), ACCEPTED),
    "a form of files": Row(post("/in/leads", b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n1\r\n--b--\r\n', "content-type: multipart/form-data; boundary=b"), {415}),
    # signatures
    "an old signature": Row(post("/in/signed", BODY, stripe(BODY, NOW - 4000)), {401}),
    "a time in the future": Row(post("/in/signed", BODY, stripe(BODY, NOW + 4000)), {401}),
    "half a signature": Row(post("/in/signed", BODY, GOOD[:-32]), {401}),
    "an empty signature": Row(post("/in/signed", BODY, f"stripe-signature: t={NOW},v1="), {401}),
    "only an unknown version": Row(post("/in/signed", BODY, GOOD.replace("v1=", "v0=")), {401}),
    "a hundred signatures": Row(post("/in/signed", BODY, GOOD + (",v1=" + "0" * 64) * 100), {401}),
    "another key": Row(post("/in/signed", BODY, stripe(BODY, NOW, b"other")), {401}),
    "the empty key": Row(post("/in/signed", BODY, stripe(BODY, NOW, b"")), {401}),
    "no secret is configured": Row(post("/in/unset", BODY, "x-hub-signature-256: sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()), {401}),
    "an entry without a comma": Row(post("/in/std", BODY, "webhook-id: a", f"webhook-timestamp: {NOW}", "webhook-signature: v1"), {401}),
    "a signature of nothing": Row(post("/in/std", BODY, "webhook-id: a", f"webhook-timestamp: {NOW}", "webhook-signature: v1,"), {401}),
    # paths
    "dots": Row(post("/in/../in/open", b"{}"), {404}),
    "encoded dots": Row(post("/in/%2e%2e/in/open", b"{}"), {404}),
    "an encoded NUL": Row(post("/in/open%00", b"{}"), {404}),
    "a very long path": Row(post("/in/" + "a" * 30000, b"{}"), {404, 414, 431}),
    "capitals": Row(post("/in/OPEN", b"{}"), {404}),
    "an unknown source": Row(post("/in/nobody", b"{}"), {404}),
    "two slashes": Row(post("//in/open", b"{}"), {404, 405}),
}  # fmt: skip


def send(address: tuple[str, int], data: bytes, *, ends: bool = False) -> bytes:
    """What comes back until the gateway closes the connection, or says nothing for a second. `ends`: nothing follows."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.settimeout(10 if b"close" in data[:2000] else 1.5)
        received = b""
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionResetError, BrokenPipeError, TimeoutError):
            pass
        return received


class Place(NamedTuple):
    gate: Served
    answers: dict[str, bytes]
    slowest: float
    stored: list[dict[str, Any]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Served(tmp_path_factory.mktemp("hostile"), TOML) as gate:
        parts = urlsplit(gate.url)
        address = (str(parts.hostname), int(parts.port or 0))
        waits: list[float] = []
        going = threading.Event()

        def other() -> None:
            while not going.is_set():
                begin = time.monotonic()
                assert call(f"{gate.url}/in/twin", data=b'{"type":"other"}').status == 202
                waits.append(time.monotonic() - begin)
                time.sleep(0.01)

        sender = threading.Thread(target=other)
        sender.start()
        with ThreadPoolExecutor(8) as pool:
            found = dict(
                zip(
                    ROWS,
                    pool.map(lambda row: send(address, row.data, ends=NONE in row.wants), ROWS.values()),
                    strict=True,
                )
            )
        going.set()
        sender.join()
        headers = {"authorization": f"Bearer {gate.key}"}
        stored: list[dict[str, Any]] = []
        for source in ("open", "signed", "std", "unset", "leads"):
            stored += call(f"{gate.url}/api/v1/events?limit=500&source={source}", headers=headers).json["data"]
        yield Place(gate, found, max(waits), stored)


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_request_has_its_answer(place: Place, name: str) -> None:
    row, received = ROWS[name], place.answers[name]
    statuses = [int(code) for code in STATUS.findall(received)]
    assert (statuses[0] if statuses else NONE) in row.wants, received[:300]
    assert len(statuses) <= row.answers, "no second request was read out of it"


def test_nobody_else_waits_and_nothing_is_stored_that_was_refused(place: Place) -> None:
    assert place.slowest < 2.0
    accepted = sum(int(STATUS.findall(one)[0]) in ACCEPTED for one in place.answers.values() if STATUS.findall(one))
    assert len(place.stored) == accepted
    assert not [line for line in place.gate.log if '"level":"error"' in line]


def test_a_hundred_copies_of_one_id_are_one_event_and_another_source_has_its_own(place: Place) -> None:
    parts = urlsplit(place.gate.url)
    address = (str(parts.hostname), int(parts.port or 0))
    copies = [post("/in/open", b'{"type":"copy"}', "webhook-id: c-1")] * 100
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda data: send(address, data), copies))
    ids = {json.loads(one.rpartition(b"\r\n\r\n")[2])["id"] for one in answers}
    assert len(ids) == 1
    other = send(address, post("/in/twin", b'{"type":"copy"}', "webhook-id: c-1"))
    assert json.loads(other.rpartition(b"\r\n\r\n")[2])["id"] not in ids
    changed = send(address, post("/in/open", b'{"type":"copy","n":2}', "webhook-id: c-1"))
    assert json.loads(changed.rpartition(b"\r\n\r\n")[2])["id"] not in ids
