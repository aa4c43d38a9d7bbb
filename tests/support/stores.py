"""Every store that must pass the conformance suite, each as a factory that opens it on a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from support.postgres.server import database_for
from tidegate.core.errors import NotFound
from tidegate.core.model import NewEvent, Origin
from tidegate.store import Settlement, Store
from tidegate.store.postgres import open_postgres
from tidegate.store.sqlite import open_sqlite

T = TypeVar("T")
Opener = Callable[[Path], Awaitable[Store]]


async def open_on_postgres(folder: Path) -> Store:
    """On the database that stands for `folder`, made at the first use."""
    return await open_postgres(database_for(folder))


STORES: dict[str, Opener] = {"sqlite": open_sqlite, "postgres": open_on_postgres}


class AllOffered:
    """Holds partitions and has nothing to send: what it takes is at the furthest offset. Answers calls with an echo."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.partitions: frozenset[int] = frozenset()

    async def take(self, partitions: frozenset[int]) -> None:
        high_water_marks = (await self._store.deliveries.load(partitions)).high_water_marks
        await self._store.deliveries.settle(Settlement(max(high_water_marks.values()), [], taken=tuple(partitions)))
        self.partitions |= partitions

    async def leave(self, partitions: frozenset[int]) -> None:
        self.partitions -= partitions

    def lost(self) -> None:
        self.partitions = frozenset()

    async def answer(self, call: bytes) -> bytes:
        if call == b"fail":
            raise NotFound("there is no such thing")
        return b"answer to " + call


def with_store(opener: Opener, path: Path, work: Callable[[Any], Awaitable[T]], *, started: bool = True) -> T:
    """Run `work(store)` on a loop of its own with an open store; `started`: as a node that holds every partition."""

    async def main() -> T:
        store = await opener(path)
        try:
            if started:
                await store.leases.start(AllOffered(store))
            return await work(store)
        finally:
            await store.leases.stop()
            await store.close()

    return asyncio.run(main())


async def audience(store: Any, source: str = "shop", wanted: tuple[tuple[int, int], ...] = ((1, 1),)) -> int:
    return (await store.log.audience(source, tuple(r for _, r in wanted), wanted, ())).number


def event(audience: int, body: bytes = b"{}", **more: Any) -> NewEvent:
    values: dict[str, Any] = {"source": "shop", "type": "order.created", "origin": Origin.WEBHOOK, "received_at_us": 1}
    values.update(more)
    return NewEvent(audience=audience, body=body, **values)
