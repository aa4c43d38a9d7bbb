"""A source as a function: a handler answers each request, without a socket. The store and the engine are real."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from support.gateway.running import until
from support.upstream.orders import EPOCH
from support.upstream.pull import NoRoutes, StepClock
from tidegate.config.spec import ApiInput, Source
from tidegate.core.clock import to_datetime
from tidegate.core.model import NewEvent, Origin
from tidegate.outbound.http import PullResponse
from tidegate.pull import PullEngine
from tidegate.rules.sync.spec import Resource
from tidegate.store import PARTITIONS, EventQuery
from tidegate.store.sqlite import open_sqlite


class SentRequest(msgspec.Struct):
    """One request as the source got it. `url` is the path with the query that was in it."""

    method: str
    url: str
    params: dict[str, str]
    headers: dict[str, str]
    body: Any


class Reply(msgspec.Struct):
    """`body`: bytes, or a value that is sent as JSON."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = {}


Handler = Callable[[SentRequest], Any]  # a Reply, or its body


class Script:
    """The client of a source whose answers are the handler's."""

    def __init__(self, clock: StepClock, handler: Handler) -> None:
        self._clock = clock
        self.handler = handler
        self.asked: list[SentRequest] = []

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], params: list[tuple[str, str]],
        body: bytes | None = None, timeout_seconds: float, max_bytes: int = 0, origins: frozenset[str],
    ) -> PullResponse:  # fmt: skip
        sent_at_us = self._clock.now_us()
        parts = urlsplit(url)
        place = parts.path + (f"?{parts.query}" if parts.query else "")
        asked = SentRequest(method, place, dict(params), dict(headers), json.loads(body) if body else None)
        self.asked.append(asked)
        found = self.handler(asked)
        reply = found if isinstance(found, Reply) else Reply(found)
        data = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
        date = format_datetime(to_datetime(self._clock.now_us() // 1_000_000 * 1_000_000), usegmt=True)
        answer = [("date", date), *((name.lower(), value) for name, value in reply.headers.items())]
        return PullResponse(reply.status, answer, data, sent_at_us, self._clock.now_us())


class ScriptedPull:
    """One engine over resources of the source `shop`."""

    def __init__(self, store: Any, script: Script, clock: StepClock, resources: dict[str, Any]) -> None:
        self.store = store
        self.script = script
        self.clock = clock
        self.resources = resources
        self.engine = self._made()

    def _made(self) -> PullEngine:
        engine = PullEngine(self.store, NoRoutes(self.store), self.script, self.clock)
        api = ApiInput(base_url="https://shop.example")
        named = {name: msgspec.convert(one, Resource) for name, one in self.resources.items()}
        engine.configure({"shop": Source(api=api, resources=named)})
        return engine

    async def start(self) -> None:
        await self.engine.start()
        await self.engine.take(frozenset(range(PARTITIONS)))

    async def restart(self) -> None:
        """As after a crash: nothing in memory stays."""
        await self.engine.stop()
        self.engine = self._made()
        await self.start()

    async def poll(self, name: str = "items", *, ok: bool = True) -> Any:
        report = await self.engine.poll_now("shop", name)
        assert not ok or report.error == "", report
        return report

    async def records(self, name: str = "items") -> dict[str, Any]:
        """Records that are not deleted, parsed, by key."""
        page = await self.store.records.page("shop", name, limit=100_000)
        return {one.key: json.loads(one.body) for one in page}

    async def kinds(self) -> list[tuple[str, str | None]]:
        """(type, key) of the change events in the order of the log."""
        events = (await self.store.log.page(EventQuery(ascending=True, limit=100_000))).events
        return [(event.type, event.key) for event in events if event.change]

    async def webhook(self, name: str, type_: str, record: Any) -> None:
        """A webhook of the source enters the log and is applied to a resource."""
        number = (await self.store.log.audience("shop", (), (), ())).number
        body = json.dumps(record).encode()
        event = NewEvent("shop", type_, Origin.WEBHOOK, self.clock.now_us(), number, body, "application/json")
        offset = (await self.store.log.append([event]))[0].offset
        writer = self.engine._engines[("shop", name)].writer
        await until(lambda: writer.state.committed_offset >= offset and not writer._lock.locked(), every_seconds=0.002)

    def state(self, name: str = "items") -> Any:
        return self.engine._engines[("shop", name)].writer.state


@asynccontextmanager
async def scripted(path: Path, handler: Handler, **resources: Any) -> AsyncIterator[ScriptedPull]:
    """`resources`: the configuration of each resource; one that says neither poll nor initial gets both."""
    clock = StepClock(int(EPOCH.timestamp()) * 1_000_000)
    store: Any = await open_sqlite(path)
    defaults = {"poll": "1d", "initial": "events"}
    script = Script(clock, handler)
    place = ScriptedPull(store, script, clock, {name: {**defaults, **one} for name, one in resources.items()})
    try:
        await place.start()
        try:
            yield place
        finally:
            await place.engine.stop()
    finally:
        await store.close()
