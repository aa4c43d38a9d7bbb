"""Every store that must pass the conformance suite, each as a factory that opens it on a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from tidegate.model import NewEvent, Origin
from tidegate.store import Store
from tidegate.store.sqlite import open_sqlite

T = TypeVar("T")
Opener = Callable[[Path], Awaitable[Store]]

STORES: dict[str, Opener] = {"sqlite": open_sqlite}


def with_store(opener: Opener, path: Path, work: Callable[[Any], Awaitable[T]]) -> T:
    """Run `work(store)` on a loop of its own with an open store."""

    async def main() -> T:
        store = await opener(path)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(main())


async def audience(store: Any, source: str = "shop", wanted: tuple[tuple[int, int], ...] = ((1, 1),)) -> int:
    return (await store.log.audience(source, tuple(r for _, r in wanted), wanted, ())).number


def event(audience: int, body: bytes = b"{}", **more: Any) -> NewEvent:
    values: dict[str, Any] = {"source": "shop", "type": "order.created", "origin": Origin.WEBHOOK, "received_at_us": 1}
    values.update(more)
    return NewEvent(audience=audience, body=body, **values)
