"""Merges the answers to our own writes into the records, so that readers see a change at once and polls find it known.

Owns the way from a stored answer to the record writer, on the node that polls the source. Knows no HTTP. Invariants: an
answer is stored before it is merged, and marked after; merging it twice changes nothing; a failure here never fails the
write, because the next poll brings the change. Crash: what was answered and not merged is merged at the next start, and
before each poll.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.pull.own_writes import expected
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import Applied
from tidegate.rules.sync.answers import copy_of_answer
from tidegate.rules.sync.changes import Copy
from tidegate.store import ANSWERED, MERGED, Operations, PendingWrite

log = logging.getLogger("tidegate.pull")
AT_ONCE = 100  # answers in one commit
PATIENCE_SECONDS = 5.0  # a write does not wait longer for its merge; the resource goes on with it


class AnswerMerger:
    """The answers to writes of one resource."""

    def __init__(self, writer: RecordWriter, operations: Operations, clock: Clock) -> None:
        self._writer = writer
        self._operations = operations
        self._clock = clock
        self._lock = asyncio.Lock()

    async def merge(self) -> None:
        """Merge every answer that is stored and not merged. Raises the errors of the store."""
        async with self._lock:
            writes = await self._operations.writes(self._writer.source, self._writer.name, ANSWERED)
            batch: dict[str, tuple[PendingWrite, Copy]] = {}
            for write in writes:
                copy = self._copy(write)
                if copy is None:
                    self._writer.counts.one("answer.left")
                    await self._mark(write)
                    continue
                if copy.key in batch or len(batch) >= AT_ONCE:
                    await self._apply(batch)
                    batch = {}
                batch[copy.key] = write, copy
            if batch:
                await self._apply(batch)

    def _copy(self, write: PendingWrite) -> Copy | None:
        """Its instants are of the clock of the node that wrote; a clock that is ahead must not hide later polls."""
        ahead = max(0, write.answered_at_us - self._clock.now_us())
        return copy_of_answer(
            write.answer, self._writer.resource, write.sent_at_us - ahead, write.answered_at_us - ahead
        )

    async def _apply(self, batch: dict[str, tuple[PendingWrite, Copy]]) -> None:
        writer = self._writer
        writer.webhooks += 1  # as for a webhook: a list that was requested before may be older
        copies = [copy for _, copy in batch.values()]
        writes = {key: expected(write) for key, (write, _) in batch.items()}
        self._count(await writer.apply(copies, writes=writes, etag=None, last_modified=None))
        for write, _ in batch.values():
            await self._mark(write)

    def _count(self, applied: Applied) -> None:
        counted = ("changed", applied.changes), ("same", applied.same), ("older", applied.older), ("left", applied.left)
        for result, times in counted:
            self._writer.counts.one(f"answer.{result}", times)

    async def _mark(self, write: PendingWrite) -> None:
        await self._operations.put_write(msgspec.structs.replace(write, state=MERGED), 0)


class KeepsRecords(Protocol):
    """The engine of a resource."""

    async def merge_answers(self) -> None: ...


class AnswerPlaces:
    """Brings an answer to the node that keeps the records of its resource."""

    def __init__(
        self,
        engine_of: Callable[[str, str], KeepsRecords | None],
        partition_elsewhere: Callable[[str, str], int | None],
        ask: Callable[[int, bytes], Awaitable[bytes]],
    ) -> None:
        """`partition_elsewhere`: that of a resource with records which another node keeps; else None."""
        self._engine_of = engine_of
        self._partition_elsewhere = partition_elsewhere
        self._ask = ask

    async def merge(self, source: str, resource: str) -> None:
        """Returns when the answers of the resource are in the records, or when it has to wait for its next poll."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if not await self.merge_here(source, resource):
                    await self._merge_elsewhere(source, resource)
        except (TidegateError, TimeoutError) as error:
            log.info("%s/%s: an answer is merged later: %s", source, resource, error or "no answer in time")

    def keeps(self, source: str, resource: str) -> bool:
        """Whether this node keeps the records of the resource."""
        return self._engine_of(source, resource) is not None

    async def merge_here(self, source: str, resource: str) -> bool:
        """False when this node does not keep the records of the resource."""
        engine = self._engine_of(source, resource)
        if engine is None:
            return False
        await engine.merge_answers()
        return True

    async def _merge_elsewhere(self, source: str, resource: str) -> None:
        partition = self._partition_elsewhere(source, resource)
        if partition is not None:
            await self._ask(partition, msgspec.json.encode([source, resource, None]))
