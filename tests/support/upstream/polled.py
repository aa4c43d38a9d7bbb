"""A resource that is polled from a scripted source, without sockets and without waiting.

The source is a function from a request to an answer; the clock is moved by every wait, so that an hour of retries takes
no time. Everything else is real: the store on disk, the engine, the rules.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from support.gateway.running import until
from support.upstream.pull import NoRoutes, StepClock
from tidegate.config.spec import ApiInput, Source
from tidegate.core.clock import to_datetime
from tidegate.core.findings import Findings
from tidegate.core.model import NewEvent, Origin
from tidegate.pull import PollReport, PullEngine
from tidegate.rules.sync.spec import Resource
from tidegate.store import PARTITIONS, EventQuery
from tidegate.store.sqlite import open_sqlite

BASE = "https://api.example.com"
START_US = 1_795_600_000_000_000


class SentRequest(msgspec.Struct, frozen=True):
    """A request as the source sees it."""

    path: str
    query: dict[str, str]
    pairs: list[tuple[str, str]]
    headers: dict[str, str]
    method: str
    body: Any
    at_us: int


class Answered(msgspec.Struct, frozen=True):
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    sent_at_us: int
    received_at_us: int


Answer = Any  # JSON; bytes; (status, JSON or bytes); (status, JSON or bytes, headers); or an exception to raise


class ScriptedClient:
    """A `PullClient`: asks the script."""

    def __init__(self, clock: StepClock) -> None:
        self.clock = clock
        self.answer: Callable[[SentRequest], Answer] = lambda _: []
        self.asked: list[SentRequest] = []
        self.server_ahead_us = 0

    async def request(self, method: str, url: str, **how: Any) -> Answered:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True) + list(how["params"])
        body = json.loads(how["body"]) if how.get("body") else None
        sent_us = self.clock.now_us()
        asked = SentRequest(parts.path, dict(pairs), pairs, dict(how["headers"]), method, body, sent_us)
        self.asked.append(asked)
        answer = self.answer(asked)
        if isinstance(answer, Exception):
            raise answer
        status, content, headers = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        date = to_datetime(self.clock.now_us() + self.server_ahead_us).strftime("%a, %d %b %Y %H:%M:%S GMT")
        lines = {"date": date, "content-type": "application/json", **headers}
        return Answered(status, list(lines.items()), data, sent_us, self.clock.now_us())


class Polled:
    """`s/r`, polled by hand."""

    def __init__(self, store: Any, clock: StepClock) -> None:
        self.store = store
        self.clock = clock
        self.findings = Findings(clock)
        self.client = ScriptedClient(clock)
        self.router = NoRoutes(store)
        self._sources: dict[str, Source] = {}
        self._last_offset = 0
        self.engine = self._made()

    def _made(self) -> PullEngine:
        return PullEngine(self.store, self.router, self.client, self.clock, findings=self.findings)

    def configure(self, resource: dict[str, Any], api: dict[str, Any] | None = None) -> None:
        found = msgspec.convert({"path": "/rows", "poll": "30d", **resource}, Resource)
        made = Source(api=msgspec.convert({"base_url": BASE, **(api or {})}, ApiInput), resources={"r": found})
        self._sources = {"s": made}
        self.engine.configure(self._sources)

    async def start(self) -> None:
        await self.engine.start()
        await self.engine.take(frozenset(range(PARTITIONS)))

    async def restart(self) -> None:
        """A new engine over the same store, as after a crash: nothing in memory stays."""
        await self.engine.stop()
        self.engine = self._made()
        self.engine.configure(self._sources)
        await self.start()

    async def poll(self, *, ok: bool = True) -> PollReport:
        report = await self.engine.poll_now("s", "r")
        assert not ok or report.error == "", report
        return report

    async def webhook(self, type_: str, record: Any) -> None:
        """A webhook of the source enters the log and is applied."""
        number = (await self.store.log.audience("s", (), (), ())).number
        event = NewEvent(
            "s", type_, Origin.WEBHOOK, self.clock.now_us(), number, json.dumps(record).encode(), "application/json"
        )
        offset = (await self.store.log.append([event]))[0].offset
        engine = self.engine._engines[("s", "r")]
        await until(lambda: engine.writer.state.committed_offset >= offset, every_seconds=0.002)

    async def settled(self) -> None:
        """Until no record waits to be fetched."""
        writer = self.engine._engines[("s", "r")].writer
        await until(lambda: not writer.engine_state.dirty and not writer._lock.locked(), every_seconds=0.002)

    async def changes(self) -> list[tuple[str, str | None, Any]]:
        """(kind, key, data) of each change event, in the order of the log."""
        page = await self.store.log.page(EventQuery(ascending=True, limit=100_000))
        return [(one.type.partition(".")[2], one.key, json.loads(one.body)) for one in page.events if one.change]

    async def kinds(self) -> list[tuple[str, str | None]]:
        return [(kind, key) for kind, key, _ in await self.changes()]

    async def records(self) -> dict[str, Any]:
        """Live records by key."""
        return {one.key: json.loads(one.body) for one in await self.store.records.page("s", "r", limit=100_000)}

    def codes(self) -> set[str]:
        """Codes of the findings about the resource."""
        return {one.code for one in self.findings.listed()}


@asynccontextmanager
async def polled(
    path: Path, answer: Callable[[SentRequest], Answer], *, api: dict[str, Any] | None = None, **resource: Any
) -> AsyncIterator[Polled]:
    """A started engine. Its first poll by the schedule is still to come, so `poll` waits for it or comes before it."""
    clock = StepClock(START_US)
    store = await open_sqlite(path)
    one = Polled(store, clock)
    one.client.answer = answer
    one.configure(resource, api)
    try:
        await one.start()
        try:
            yield one
        finally:
            await one.engine.stop()
    finally:
        await store.close()
