"""What a row of a poll costs: 10,000 rows in one page, unchanged and changed.

The source is a thread of the bench, so only the gateway is metered. The floor is what no comparison can do without:
cut the rows out of the page, parse each, write it in canonical form and hash it.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from bench.figures import Options, Row, note
from bench.processes import ADMIN_KEY, free_port, gateway

ROWS = 10_000
UNCHANGED = 4  # polls of a round
CHANGED = 3
CONFIG = """
[egress]
allow = ["127.0.0.1/32"]
[sources.shop.api]
base_url = "http://127.0.0.1:{port}"
[sources.shop.resources.rows]
path = "/rows"
poll = "30d"
version = "updated_at"
"""


def page(step: int) -> bytes:
    """About 240 bytes a row; all rows differ from those of another step."""
    return json.dumps([_row(number, step) for number in range(ROWS)]).encode()


def _row(number: int, step: int) -> dict[str, Any]:
    return {
        "id": number,
        "updated_at": f"2026-10-{1 + number % 28:02}T10:{step:02}:{number % 60:02}.{number % 1000:03}Z",
        "name": f"customer {number}",
        "email": f"c{number}@example.com",
        "tags": ["a", "b"],
        "address": {"city": "Berlin", "zip": str(number)},
        "total": number / 7,
        "step": step,
    }


@contextmanager
def source(pages: list[bytes]) -> Iterator[int]:
    """A server that answers the last of `pages` to every request; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(pages[-1])))
            self.end_headers()
            self.wfile.write(pages[-1])

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def floor_seconds(body: bytes) -> float:
    """CPU seconds to parse and hash the rows of a page."""
    began = time.process_time()
    encode = msgspec.json.Encoder(order="deterministic").encode
    for raw in msgspec.json.decode(body, type=list[msgspec.Raw]):
        hashlib.blake2b(encode(msgspec.json.decode(raw)), digest_size=16).digest()
    return time.process_time() - began


def _poll(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/api/v1/sources/shop/resources/rows/poll"
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, b"{}", headers), timeout=60) as answer:
        report: dict[str, Any] = json.load(answer)
    if report["error"] or report["records_seen"] != ROWS:
        raise SystemExit(f"the poll failed: {report}")
    return report


def _round(options: Options) -> list[tuple[float, float]]:
    """(seconds of the gateway, of the floor) for 10,000 rows: unchanged, and changed."""
    pages = [page(0)]
    with source(pages) as origin:
        port = free_port()
        folder = options.scratch.fresh()
        with gateway(folder, CONFIG.format(port=origin), port, options.database) as process:
            _poll(port)  # the first makes no changes
            found = []
            for polls, updated in ((UNCHANGED, 0), (CHANGED, ROWS)):
                spent = base = 0.0
                for _ in range(polls):
                    if updated:
                        pages.append(page(len(pages)))
                    base += floor_seconds(pages[-1])
                    before = process.cpu_seconds()
                    if _poll(port)["updated"] != updated:
                        raise SystemExit("the poll did not find what changed")
                    spent += process.cpu_seconds() - before
                found.append((spent / polls, base / polls))
    return found


def polls(options: Options) -> list[Row]:
    """Rows of a poll for each CPU second, against parsing and hashing the same page."""
    rounds = [_round(options) for _ in range(options.rounds)]
    rows = []
    for what, measured in zip(("unchanged", "changed"), zip(*rounds, strict=True), strict=True):
        ratios = [base / spent for spent, base in measured]
        each = statistics.median(spent for spent, _ in measured) / ROWS
        note(f"{what}: {1 / each:,.0f} rows a CPU second")
        figure = f"{statistics.median(ratios):.2f} of the floor, {1e6 * each:.0f} us each"
        rows.append(Row(f"a row of a poll, {what}", figure, f"{min(ratios):.2f} to {max(ratios):.2f}"))
    return rows


FIGURES = {"polls": polls}
