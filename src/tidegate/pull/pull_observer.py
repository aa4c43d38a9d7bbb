"""What pulls on demand show of records that are kept: an item newer than its record is a change found by a pull.

Owns what waits to be compared, bounded in number and size: a pull never waits for it, and what finds no room is left
to the next poll. Knows no HTTP. Invariant: the records are written only when there is a change, so that pulls that
show nothing new cost one look at a record. Crash: what waits is lost, and the next poll finds it.
"""

from __future__ import annotations

import asyncio

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.model import Origin
from tidegate.pull.fetch import Fetcher
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.sources import PullResponse
from tidegate.rules.sync.merge import Verdict, judge
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
        self._heard = asyncio.Event()

    def show(self, key: str, response: PullResponse) -> None:
        """A pull of the item `key` was answered by the source."""
        if len(self._waiting) < MAX_WAITING and len(response.body) <= MAX_BODY_BYTES:
            self._waiting[key] = response
            self._heard.set()

    async def run(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
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
                continue  # the caller has his answer; that it is no record is for a poll to say
        known = await self._records.known(self._writer.source, self._writer.name, [copy.key for copy in copies])
        news = [copy for copy in copies if judge(known.get(copy.key), copy, can_fetch=False) is Verdict.STORE]
        if news:
            await self._writer.apply(news)
