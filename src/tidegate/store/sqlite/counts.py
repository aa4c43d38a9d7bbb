"""The counts of accepted events on SQLite: of each audience, and the rollups of each source.

Counting in the transaction of each group costs two statements and two pages, as much as an index of the events. So the
sums of the published events are kept here and written for a thousand events at a time, in one transaction with the
value 'counted', the offset up to which they are. Invariant: stored counts are exactly those of the events up to
'counted'; readers add the events after it (the views `uncounted` and `uncounted_minutes`), so every count is exact at
every moment. Crash: the sums are gone, and the next start counts the events after 'counted' from the log.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

import apsw

from tidegate.core.model import Event, Origin
from tidegate.core.rollups import MINUTE_US, SOURCE, RollupRow
from tidegate.store.sqlite.engine import Engine, insert_many, sql

COUNT_EVERY = 1000  # events


class AcceptedCounts:
    """Used on the event loop, except `count_stored`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("log")
        self._add_rollups = sql("rollups")["add"]
        self._sums = _Sums()
        self._writing: asyncio.Future[None] | None = None

    def add(self, events: Sequence[Event]) -> None:
        """These were published, in their order."""
        self._sums.add(events)
        if self._sums.events >= COUNT_EVERY and self._writing is None:
            self._write()

    async def flush(self) -> None:
        """Count everything that was published. TidegateError when the store cannot write."""
        while self._sums.events or self._writing is not None:
            writing = self._writing or self._write()
            await asyncio.shield(writing)
            if self._writing is writing:  # it ended in this turn of the loop, and `done` runs in the next
                await asyncio.sleep(0)

    def _write(self) -> asyncio.Future[None]:
        sums, self._sums = self._sums, _Sums()

        def work(connection: apsw.Connection) -> None:
            counts = [(times, number) for number, times in sums.audiences.items()]
            connection.executemany(self._sql["count_audience"], counts)
            insert_many(connection, self._add_rollups, sums.rollups())
            connection.execute(self._sql["put_counted"], (sums.upto,))

        def done(future: asyncio.Future[None]) -> None:
            self._writing = None
            if future.exception() is not None:  # readers count them meanwhile
                sums.absorb(self._sums)
                self._sums = sums

        self._writing = self._engine.write(work)
        self._writing.add_done_callback(done)
        return self._writing

    def count_stored(self, connection: apsw.Connection, head: int) -> None:
        """Count the events of the log after 'counted'. Only before the first `add`."""
        for query in ("count_audiences", "count_minutes"):
            connection.execute(self._sql[query])
        connection.execute(self._sql["put_counted"], (head,))


class _Sums:
    """Of some successive events; `upto` is the offset of the last one."""

    def __init__(self) -> None:
        self.events = 0
        self.upto = 0
        self.audiences: Counter[int] = Counter()
        self._minutes: dict[tuple[int, str, Origin], list[int]] = {}

    def add(self, events: Sequence[Event]) -> None:
        self.events += len(events)
        self.upto = events[-1].offset
        self.audiences.update(map(_audience, events))
        for alike in [events] if _are_alike(events) else [[event] for event in events]:
            first = alike[0]
            key = (first.received_at_us // MINUTE_US, first.source, first.origin)
            self._add(key, len(alike), sum(map(len, map(_body, alike))))

    def absorb(self, later: _Sums) -> None:
        """Add what came after these."""
        self.events += later.events
        self.upto = max(self.upto, later.upto)
        self.audiences.update(later.audiences)
        for key, sums in later._minutes.items():
            self._add(key, *sums)

    def _add(self, key: tuple[int, str, Origin], times: int, total: int) -> None:
        found = self._minutes.setdefault(key, [0, 0])
        found[0] += times
        found[1] += total

    def rollups(self) -> list[RollupRow]:
        return [
            RollupRow(minute, SOURCE, source, f"accepted.{origin.value}", *sums)
            for (minute, source, origin), sums in self._minutes.items()
        ]


_audience, _body = attrgetter("audience"), attrgetter("body")
_input, _received = attrgetter("source", "origin"), attrgetter("received_at_us")


def _are_alike(events: Sequence[Event]) -> bool:
    """Whether all came in the same minute by the same way, as nearly all that are written together."""
    if len(set(map(_input, events))) != 1:
        return False
    times: list[int] = list(map(_received, events))
    return min(times) // MINUTE_US == max(times) // MINUTE_US
