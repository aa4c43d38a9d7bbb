"""A small source of the outside world on loopback: a list of orders with pages, validators, an incremental start and
single items, and a log of every change made to it, so that what a gateway missed, doubled or invented is exact.

Times of the data come from the world's own counter, not from a clock: second after second from `EPOCH`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from support.receiver.scripted import Request, ScriptedServer

EPOCH = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
Answer = tuple[int, dict[str, str], bytes]


class Upstream:
    """`async with Upstream() as shop:`; change it with put/remove, break it with `break_next` and `on_answer`."""

    def __init__(self, *, page_size: int = 1000, versions: bool = True, validators: bool = False) -> None:
        self.page_size = page_size
        self.versions = versions
        self.validators = validators
        self.items: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[str, str]] = []  # (kind, key) of every change
        self.second = 0
        self.date: datetime | None = None  # the Date header; None sends the present of the world
        self.break_next: list[int] = []  # statuses to answer with, one a request
        self.extra: dict[str, str] = {}  # headers of every answer
        self.asked: list[str] = []  # "/orders?page=2", in order
        self.heads: list[dict[str, str]] = []
        # Called with an answer that is made and not sent: what it changes comes after the answer's look at the data.
        self.on_answer: Callable[[str], Awaitable[None]] | None = None
        self._far = ScriptedServer(self._serve)
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Upstream:
        await self._far.__aenter__()
        self.url = self._far.url
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._far.__aexit__(*exc)

    # -- changing the world ------------------------------------------------------------------------------

    def now(self) -> str:
        return (EPOCH + timedelta(seconds=self.second)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def put(self, key: str, *, tick: bool = True, **fields: Any) -> dict[str, Any]:
        """Create or change an item; the answer is the item as it now stands."""
        self.second += 1 if tick else 0
        old = self.items.get(key)
        item = {**(old or {"id": key}), **fields}
        if self.versions:
            item["updated_at"] = self.now()
        self.items[key] = item
        self.log.append(("updated" if old else "created", key))
        return item

    def remove(self, key: str) -> dict[str, Any]:
        self.second += 1
        self.log.append(("deleted", key))
        return self.items.pop(key)

    # -- answering ---------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        target = request.line.split(" ")[1]
        self.asked.append(target)
        self.heads.append(request.headers)
        if self.break_next:
            status, headers, body = self.break_next.pop(0), {}, b'{"error": "broken"}'
        else:
            status, headers, body = self._answer(target, request.headers)
        if self.on_answer is not None:
            await self.on_answer(target)
        date = self.date or EPOCH + timedelta(seconds=self.second)
        lines = {
            "date": format_datetime(date, usegmt=True),
            "content-type": "application/json",
            **headers,
            **self.extra,
            "content-length": str(len(body)),
        }
        if status == 304:
            del lines["content-length"]
        head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    def _answer(self, target: str, headers: dict[str, str]) -> Answer:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        if parts.path != "/orders":
            item = self.items.get(unquote(parts.path.rpartition("/")[2]))
            return (404, {}, b"{}") if item is None else self._validated(headers, json.dumps({"order": item}).encode())
        found = sorted(self.items.values(), key=lambda item: (item.get("updated_at", ""), item["id"]))
        since = query.get("updated_since", "")
        found = [item for item in found if item.get("updated_at", "") >= since]
        page = int(query.get("page", "1"))
        shown = found[(page - 1) * self.page_size : page * self.page_size]
        more: dict[str, str] = {}
        if page * self.page_size < len(found):
            start = f"updated_since={since}&" if since else ""
            more["link"] = f'</orders?{start}page={page + 1}>; rel="next"'
        return self._validated(headers, json.dumps({"orders": shown}).encode(), more)

    def _validated(self, headers: dict[str, str], body: bytes, more: dict[str, str] | None = None) -> Answer:
        if not self.validators:
            return 200, more or {}, body
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("if-none-match") == etag:
            return 304, {"etag": etag}, b""
        return 200, {**(more or {}), "etag": etag}, body
