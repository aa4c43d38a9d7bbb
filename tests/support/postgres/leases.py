"""Nodes that share leases on a PostgreSQL database of their own; each is ended in any case.

Bounds on times are those of the promise, times SLOW: a busy machine is not a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg

from support.faults.cuttable_connection import Connection
from support.postgres.node import ChildNode, Node
from support.postgres.server import server
from tidegate.core.errors import TidegateError
from tidegate.store import PARTITIONS

SLOW = 5.0


class Cluster:
    """Nodes on a database of their own, ended in any case."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._ends: list[Callable[[], Any]] = []

    async def node(self, name: str, url: str | None = None) -> Node:
        node = Node(url or self.url, name)
        self._ends.append(node.stop)
        return await node.start()

    async def child(self, name: str, skew_seconds: int = 0) -> ChildNode:
        child = await ChildNode.start(self.url, name, skew_seconds)
        self._ends.append(child.end)
        return child

    async def wire(self) -> tuple[Connection, str]:
        wire = await Connection(server().port).start()
        self._ends.insert(0, wire.stop)  # ended last: what hangs on it ends before
        return wire, self.url.replace(f":{server().port}/", f":{wire.port}/")

    async def rows(self, text: str, *values: Any) -> list[Any]:
        connection = await self.connection()
        try:
            return [tuple(row) for row in await connection.fetch(text, *values)]
        finally:
            await connection.close()

    async def connection(self) -> Any:
        return await asyncpg.connect(self.url, server_settings={"search_path": "tidegate"})

    async def end(self) -> None:
        for end in reversed(self._ends):
            with contextlib.suppress(TidegateError):
                await end()


@contextlib.asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    url = server().new_database()
    made = Cluster(url)
    try:
        yield made
    finally:
        await made.end()
        server().drop_database(url)


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float) -> float:
    """Wait until it is true, at most `seconds` times SLOW; returns how long it took."""
    began = time.monotonic()
    while not (seen := true()) or (not isinstance(seen, bool) and not await seen):
        assert time.monotonic() - began < seconds * SLOW, "it did not come to be in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def everything(node: Node) -> bool:
    return len(node.holder.partitions) == PARTITIONS == len(node.leases.held)
