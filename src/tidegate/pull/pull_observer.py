"""Compares items that pulls on demand returned with the records: a newer item is a change found by a pull.

Owns the items to be compared, bounded in number and size: a pull never waits for the comparison, and the next poll
finds what did not fit. Knows no HTTP. Invariant: records are written only when there is a change, so a pull without
one costs one read of a record. Crash: items not yet compared are lost, and the next poll finds the change.
"""

from __future__ import annotations

import asyncio

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.model import Origin
from tidegate.pull.fetch import Fetcher
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.sources import PullResponse
from tidegate.rules.sync.merge import MergeDecision, MergeRule, merge
from tidegate.store import Records

MAX_WAITING = 32
MAX_BODY_BYTES = 1 << 20


class PullObserver:
    """Compares items that pulls have brought with the records of one resource."""

    def __init__(self, writer: RecordWriter, records: Records, fetcher: Fetcher, clock: Clock) -> None:
        self._writer = writer
        self._records = records
        self._fetcher = fetcher
        self._clock = clock
        self._waiting: dict[str, PullResponse] = {}
        self._wake = asyncio.Event()

    def observe(self, key: str, response: PullResponse) -> None:
        """The source answered a pull of the item `key`."""
        if len(self._waiting) < MAX_WAITING and len(response.body) <= MAX_BODY_BYTES:
            self._waiting[key] = response
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, {}
            try:
                await self._compare(waiting)
            except TidegateError as error:
                self._writer.statistics.failed(error.message, self._clock.now_us())

    async def _compare(self, shown: dict[str, PullResponse]) -> None:
        copies = []
        for key, response in shown.items():
            try:
                copies.append(self._fetcher.read(key, response, Origin.PULL))
            except (TidegateError, ValueError):
                continue  # the caller has the answer; a poll reports an item that cannot be read
        known = await self._records.known(self._writer.source, self._writer.name, [copy.key for copy in copies])
        rule = MergeRule(can_fetch=False, version_kind=self._writer.resource.version_kind)
        wanted = (MergeDecision.STORE, MergeDecision.REPLACE)
        news = [copy for copy in copies if merge(known.get(copy.key), copy, rule) in wanted]
        if news:
            await self._writer.apply(news)
