"""The ask door with everything real around it: the store on disk, the HTTP client, a source on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from support.gateway.running import until
from support.postgres.server import chosen
from support.stores import AllOffered
from support.upstream.orders import EPOCH, Upstream
from tidegate.config.spec import ApiInput, Source
from tidegate.core.clock import Clock, ManualClock
from tidegate.core.model import Event, NewEvent, Origin
from tidegate.outbound.credentials import Credentials
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.outbound.rate_budgets import RateBudgets
from tidegate.pull import PullEngine
from tidegate.rules.outbound.addresses import parse_allow
from tidegate.rules.sync.spec import Resource
from tidegate.store import PARTITIONS, EventQuery
from tidegate.store.postgres import open_postgres
from tidegate.store.sqlite import open_sqlite


class StepClock(ManualClock):
    """Every look is a millisecond later than the one before, so that "before" and "after" are exact."""

    def now_us(self) -> int:
        self.advance(0.001)
        return super().now_us()


def rates(store: Any) -> Credentials:
    """No credentials; the rates of sources are kept, as in a gateway."""
    return Credentials(None, RateBudgets(store.budgets))


class NoRoutes:
    """The routing decision of a gateway without routes: every event has the empty audience of its source."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._numbers: dict[str, int] = {}

    def decide(self, source: str, type_: str, view: Callable[[], dict[str, Any]], resource: str, /) -> int | None:
        assert view()["change"]["resource"] == resource
        return self._numbers.get(source)

    async def decide_slow(self, source: str, type_: str, view: Callable[[], dict[str, Any]], resource: str, /) -> int:
        self._numbers[source] = (await self._store.log.audience(source, (), (), ())).number
        return self._numbers[source]

    async def decide_own(
        self, source: str, type_: str, view: Callable[[], dict[str, Any]], resource: str, chain: Sequence[str], /
    ) -> int:
        return await self.decide_slow(source, type_, view, resource)

    @property
    def written(self) -> NoRoutes:
        """Which records operations write to: none."""
        return self

    def targets(self, source: str, resource: str, audience: int, /) -> None:
        return None


class PullSetup:
    """One gateway's ask door over `shop/orders`."""

    def __init__(self, store: Any, shop: Upstream, client: PullClient, clock: Clock) -> None:
        self.store = store
        self.shop = shop
        self.clock = clock
        self.client = client
        self.router = NoRoutes(store)
        self._last_webhook = 0
        self.engine = PullEngine(store, self.router, client, clock, credentials=rates(store))

    def configure(self, api: dict[str, Any] | None = None, **resource: Any) -> None:
        values = {
            "path": "/orders",
            "item_path": "/orders/{id}",
            "data_selector": "orders",
            "paginator": {"type": "header_link"},
            **({"version": "updated_at"} if self.shop.versions else {}),
            **resource,
        }
        source = Source(
            api=msgspec.convert({"base_url": self.shop.url, **(api or {})}, ApiInput),
            resources={"orders": msgspec.convert({k: v for k, v in values.items() if v is not None}, Resource)},
        )
        self.engine.configure({"shop": source})

    async def start(self) -> None:
        """As a gateway that holds every partition."""
        await self.engine.start()
        await self.engine.take(frozenset(range(PARTITIONS)))

    async def restart(self) -> None:
        """A new engine over the same store, as after a crash: nothing in memory stays."""
        sources = self.engine._sources
        await self.engine.stop()
        self.engine = PullEngine(self.store, self.router, self.client, self.clock, credentials=rates(self.store))
        self.engine.configure(sources)
        await self.start()

    async def poll(self, *, ok: bool = True) -> Any:
        report = await self.engine.poll_now("shop", "orders")
        assert not ok or report.error == "", report
        return report

    async def webhook(self, record: Any, type_: str = "orders/updated", *, at_us: int | None = None) -> int:
        """A webhook of the shop enters the log; the answer is its offset."""
        number = (await self.store.log.audience("shop", (), (), ())).number
        at_us = self.clock.now_us() if at_us is None else at_us
        event = NewEvent("shop", type_, Origin.WEBHOOK, at_us, number, json.dumps(record).encode(), "application/json")
        offset = (await self.store.log.append([event]))[0].offset
        if type_.startswith("orders"):
            self._last_webhook = offset
        return int(offset)

    async def settle(self) -> None:
        """Until the feed has applied every webhook of the orders and nothing waits to be fetched."""
        engine = self.engine._engines[("shop", "orders")]

        def done() -> bool:
            writer = engine.writer
            return (
                writer.state.committed_offset >= self._last_webhook
                and not writer.engine_state.dirty
                and not writer._lock.locked()
            )

        await until(done, every_seconds=0.002)

    async def events(self) -> list[Event]:
        return list((await self.store.log.page(EventQuery(ascending=True, limit=100_000))).events)

    async def changes(self) -> list[dict[str, Any]]:
        """Change events in the order of the log: kind, key, origin, data and what `change` says."""
        return [
            {
                "kind": event.type.partition(".")[2],
                "key": event.key,
                "origin": event.origin.value,
                "data": json.loads(event.body),
                **json.loads(event.change),
            }
            for event in await self.events()
            if event.change
        ]

    async def kinds(self) -> list[tuple[str, str | None, str]]:
        return [(one["kind"], one["key"], one["origin"]) for one in await self.changes()]

    async def records(self) -> dict[str, Any]:
        """Records that are not deleted, parsed, by key."""
        return {one.key: json.loads(one.body) for one in await self.store.records.page("shop", "orders", limit=100_000)}


@asynccontextmanager
async def pull_setup(
    path: Path, /, *, clock: Clock | None = None, started: bool = True, api: dict[str, Any] | None = None, **how: Any
) -> AsyncIterator[PullSetup]:
    """`how`: keys of Upstream (page_size, versions, validators), the rest is the resource's configuration."""
    shop = Upstream(**{name: how.pop(name) for name in ("page_size", "versions", "validators") if name in how})
    clock = clock or StepClock(int(EPOCH.timestamp()) * 1_000_000)
    database = chosen(path, None)
    store: Any = await (open_sqlite(path) if database is None else open_postgres(database))
    if database is not None:
        await store.leases.start(AllOffered(store))
    client = PullClient(Dialer(Guard(parse_allow(["127.0.0.1/32"])), clock), clock)
    try:
        async with shop:
            one = PullSetup(store, shop, client, clock)
            one.configure(api, **how)
            if started:
                await one.start()
            try:
                yield one
            finally:
                await one.engine.stop()
    finally:
        await client.close()
        await store.close()


ORDER_WEBHOOKS: dict[str, Any] = {"types": ["orders/*"], "key": "id", "deleted_types": ["orders/deleted"]}


def with_webhooks(path: Path, work: Callable[[PullSetup], Awaitable[None]], **how: Any) -> None:
    """Run `work` with orders that webhooks update, reconciled by polls, after the first poll."""
    values: dict[str, Any] = {"webhook": ORDER_WEBHOOKS, "reconcile": "1d", "initial": "events", **how}

    async def main() -> None:
        async with pull_setup(path, **values) as one:
            await one.poll()
            await work(one)

    asyncio.run(main())
