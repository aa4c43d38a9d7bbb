"""Leases on SQLite: one process locks the directory, so it holds every partition until it ends.

Implements `store.Leases`. Knows no database. After a crash the kernel has freed the lock, and the next process holds
everything.
"""

from __future__ import annotations

import time

from tidegate.core.errors import StoreBusy
from tidegate.store import FOREVER_US, PARTITIONS, Holder, Node


class SqliteLeases:
    """Implements `store.Leases`."""

    fence = 1

    def __init__(self, node: str) -> None:
        self.held: frozenset[int] = frozenset()
        self._node = node
        self._started_at_us = time.time_ns() // 1000
        self._holder: Holder | None = None

    async def start(self, holder: Holder) -> None:
        self._holder = holder
        self.held = frozenset(range(PARTITIONS))
        await holder.take(self.held)

    async def stop(self) -> None:
        self.held = frozenset()

    async def ask(self, partition: int, call: bytes) -> bytes:
        if self._holder is None:
            raise StoreBusy("the gateway is starting", retry_after_seconds=1)
        return await self._holder.answer(call)

    def publish_status(self, status: bytes) -> None:
        """Does nothing: no other node reads it."""

    async def nodes(self) -> list[Node]:
        return [Node(self._node, self.fence, len(self.held), self._started_at_us, FOREVER_US)]
