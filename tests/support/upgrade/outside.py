"""What surrounds the stored installations of `tests/data/upgrade`: their receivers and their source, on loopback.

The maker of the data uses the receivers as they begin (most of them fail); the upgrade tests set `healthy` and see
what is delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.receiver.scripted import Request, ScriptedServer


class Source:
    """The API of `shop`: three lists and single orders. Paths in `broken` answer 500."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {
            f"o{n}": {"id": f"o{n}", "total": n * 10, "updated_at": f"2026-11-20T10:00:0{n}Z"} for n in range(1, 5)
        }
        self.customers: dict[str, dict[str, Any]] = {
            f"c{n}": {"id": f"c{n}", "name": f"Customer {n}", "updated_at": f"2026-11-20T11:00:0{n}Z"}
            for n in range(1, 6)
        }
        self.prices: dict[str, dict[str, Any]] = {f"p{n}": {"id": f"p{n}", "note": "\0"} for n in range(1, 4)}
        self.broken = {"/orders/o2"}
        self.requests: list[Request] = []

    def as_left(self) -> None:
        """The state that the maker of the data left the source in, but for what was broken."""
        self.orders["o1"]["total"], self.orders["o1"]["updated_at"] = 150, "2026-11-20T10:00:09Z"
        self.orders["o4"] = {"id": "o4", "total": 45, "updated_at": "2026-11-22T10:00:00Z"}
        self.customers["c1"] |= {"name": "Ann B", "updated_at": "2026-11-21T08:00:00Z"}
        self.prices["p1"]["amount"] = 12
        del self.orders["o3"], self.customers["c5"], self.customers["c4"], self.prices["p2"], self.prices["p3"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        self.requests.append(request)
        target = urlsplit(request.line.split(" ")[1])
        status, value = self._answer(target.path, parse_qs(target.query))
        body = json.dumps(value).encode()
        etag = _etag(body)
        if request.headers.get("if-none-match") == etag:
            writer.write(f"HTTP/1.1 304 X\r\netag: {etag}\r\n\r\n".encode())
            return
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\netag: {etag}\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def etag(self, path: str) -> str:
        """Of the present answer."""
        return _etag(json.dumps(self._answer(path, {})[1]).encode())

    def _answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if path in self.broken:
            return 500, {"error": "broken"}
        name, _, key = path.strip("/").partition("/")
        items: dict[str, dict[str, Any]] = getattr(self, name)
        if key:
            return (200, items[key]) if key in items else (404, {})
        since = query.get("since", [""])[0]
        return 200, {name: [one for one in items.values() if one.get("updated_at", "") >= since]}


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:8]}"'


class Receivers:
    """Every destination, one path each. `arrived`: (path, request) in order."""

    def __init__(self, *, healthy: bool) -> None:
        self.healthy = healthy
        self.arrived: list[tuple[str, Request]] = []
        self._seen: set[str] = set()

    def ids(self, path: str) -> list[str]:
        """The `webhook-id` of each request to a path, in order."""
        return [request.headers["webhook-id"] for one, request in self.arrived if one == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        path = request.line.split(" ")[1]
        self.arrived.append((path, request))
        status = 200 if self.healthy else self._status(path, request)
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nan\n".encode())

    def _status(self, path: str, request: Request) -> int:
        if path == "/flaky":
            first = request.headers["webhook-id"] not in self._seen
            self._seen.add(request.headers["webhook-id"])
            return 500 if first else 200
        if path == "/ledger":
            return 500 if b'"fail":true' in request.body.replace(b" ", b"") else 200
        return {"/down": 503, "/partner": 500, "/gone": 410, "/leaver": 500}.get(path, 200)


class Outside:
    """Both, with the replacements for the addresses in `tidegate.toml`."""

    def __init__(self, receivers: Receivers, source: Source, addresses: dict[str, str]) -> None:
        self.receivers = receivers
        self.source = source
        self.addresses = addresses


@contextlib.asynccontextmanager
async def outside_systems(*, healthy: bool) -> AsyncIterator[Outside]:
    receivers, source = Receivers(healthy=healthy), Source()
    async with ScriptedServer(receivers.serve) as outside, ScriptedServer(source.serve) as api:
        yield Outside(receivers, source, {"@FAR@": outside.url, "@API@": api.url, "@DEAD@": "http://127.0.0.1:9"})
