"""Loads deferred deliveries from the table into a backlog: due retries, and what is blocked behind a key.

Owns both ways of loading: `load_deferred` at a takeover, and `DeferredReader` when memory ran out of retries while the
table has more. May not know what is sent or when. Of an unordered destination the earliest retries are loaded; of an
ordered one all rows, because order needs them. Invariant: a row may be out of date by the time it is read, so whatever
memory already had stays as it is. Failure: given to the sender, which tries again a second later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from tidegate.core.errors import TidegateError
from tidegate.core.model import Deferred, DeferredState
from tidegate.deliver.backlog import Backlog
from tidegate.deliver.deferred import FAR_US, LOAD_LIMIT
from tidegate.deliver.flight import Flight
from tidegate.deliver.ports import Ports
from tidegate.store import Deliveries

OPEN = (DeferredState.PENDING, DeferredState.BLOCKED)


async def load_deferred(deliveries: Deliveries, backlog: Backlog, *, ordered: bool) -> None:
    """Fill a new, suspended backlog. Raises what the store raises."""
    if not ordered:
        rows = await _earliest(deliveries, backlog)
        backlog.deferred.loaded(rows)
        _adopt(backlog, rows)
        return
    after = 0
    while True:
        rows = await deliveries.deferred(
            destination=backlog.lane.destination, states=OPEN, after=after, limit=LOAD_LIMIT
        )
        _adopt(backlog, rows)
        if len(rows) < LOAD_LIMIT:
            return
        after = rows[-1].offset


class DeferredReader:
    """Loads more retries. `arrived` is called after a load, `failed` when the store could not be read."""

    def __init__(
        self,
        ports: Ports,
        backlog: Backlog,
        flights: Mapping[int, Flight],
        arrived: Callable[[], None],
        failed: Callable[[TidegateError], None],
    ) -> None:
        self._ports = ports
        self._backlog = backlog
        self._flights = flights
        self._arrived = arrived
        self._failed = failed
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read(), name="load deferred")

    async def _read(self) -> None:
        try:
            async with self._backlog.lock:  # what a command does to a row meanwhile would be undone
                await self._load()
        except TidegateError as error:
            self._failed(error)
            return
        finally:
            self._reading = None
        self._arrived()

    async def _load(self) -> None:
        deferred = self._backlog.deferred
        deferred.begin_load()
        before = self._flights.keys() | deferred.known.keys()  # these may end while their old rows are read
        try:
            await self._ports.settler.flush()
            rows = await _earliest(self._ports.deliveries, self._backlog)
        except TidegateError:
            deferred.overflow = True  # the table still has more
            raise
        deferred.loaded(rows)
        _adopt(self._backlog, (row for row in rows if row.offset not in before))


async def _earliest(deliveries: Deliveries, backlog: Backlog) -> list[Deferred]:
    return await deliveries.deferred(destination=backlog.lane.destination, due_before_us=FAR_US, limit=LOAD_LIMIT)


def _adopt(backlog: Backlog, rows: Iterable[Deferred]) -> None:
    """Take PENDING and BLOCKED rows into memory."""
    for one in rows:
        if one.state is DeferredState.PENDING:
            backlog.deferred.add(one)
            if one.key:
                backlog.key_queues.open(one.key, blocked=True)
        elif one.state is DeferredState.BLOCKED:
            backlog.key_queues.open(one.key, blocked=True).behind.append(one.offset)
