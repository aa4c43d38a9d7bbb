"""The settler: results of many senders, made durable together a few dozen times a second.

Owns what is collected for the next settle. May not know senders or events. Invariant: one settlement is under way at a
time, and results that come meanwhile are collected for the next. A settle is due 20 ms after the first result (longer
where nodes share a server), and 0.5 s after the log moved without one, so that a start does not read again what no
route wanted.

Failure: when the store is busy, the same settlement is tried again (it is idempotent), and senders stop when their
windows are full; when the store is broken, the gateway stops. A settlement that is fenced changed nothing: everything
collected is dropped, because another node sends it now. Crash: what was sent and not settled is sent again, with the
same id and attempt number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from tidegate.core.errors import Fenced, StoreBusy, TidegateError
from tidegate.core.model import Attempt, Deferred, RangeSettlement
from tidegate.deliver.counts import DeliveryCounts
from tidegate.deliver.lane import LaneCursor
from tidegate.store import Deliveries, Settlement

IDLE_SECONDS = 0.5
BUSY_SECONDS = 0.5


class Settler:
    """Collects and settles.

    `high_water_mark` gives the offset up to which every lane was offered everything, `fence` the fencing token of the
    lease. `after` is called with the destinations of a settlement that is durable, `fenced` when the lease is lost.
    """

    def __init__(self, deliveries: Deliveries, high_water_mark: Callable[[], int], fence: Callable[[], int]) -> None:
        self._deliveries = deliveries
        self._high_water_mark = high_water_mark
        self._fence = fence
        self._settled_high_water_mark = 0
        self._lanes: dict[int, LaneCursor] = {}
        self._attempts: list[Attempt] = []
        self._deferred: dict[tuple[int, int], Deferred] = {}
        self._closed: dict[tuple[int, int], None] = {}
        self._ranges: list[RangeSettlement] = []
        self._heads: list[tuple[int, bytes]] = []
        self._taken: list[int] = []
        self._left: list[tuple[int, int]] = []
        self.counts = DeliveryCounts()
        self._timer: asyncio.TimerHandle | None = None
        self._soon = False
        self._task: asyncio.Task[TidegateError | None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._failed: TidegateError | None = None
        self.after: Callable[[Iterable[int]], None] = lambda destinations: None
        self.fenced: Callable[[], None] = lambda: None

    # -- collecting --------------------------------------------------------------------------------------

    def lane(self, lane: LaneCursor) -> None:
        self._lanes[lane.destination] = lane

    def attempt(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)

    def head(self, number: int, head: bytes) -> None:
        """A head of requests that was not kept yet. The settle of the attempt stores it; twice changes nothing."""
        self._heads.append((number, head))

    def put(self, one: Deferred) -> None:
        key = (one.destination, one.offset)
        self._closed.pop(key, None)
        self._deferred[key] = one

    def close(self, destination: int, offset: int) -> None:
        key = (destination, offset)
        self._deferred.pop(key, None)
        self._closed[key] = None

    def range(self, one: RangeSettlement) -> None:
        self._ranges.append(one)

    def taken(self, partitions: Iterable[int]) -> None:
        """From the next settle on, these partitions are at the high-water mark."""
        self._taken.extend(partitions)

    def left(self, partitions: Iterable[tuple[int, int]]) -> None:
        """(partition, high-water mark) of partitions that this node has left."""
        self._left.extend(partitions)

    def due(self) -> None:
        """There is a result: settle soon."""
        if self._task is not None or self._soon:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._soon = True
        self._timer = asyncio.get_running_loop().call_later(self._deliveries.settle_seconds, self._start)

    def moved(self) -> None:
        """Only the log moved: settle within half a second."""
        if self._timer is None and self._task is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._start)

    @property
    def dirty(self) -> bool:
        return self._task is not None or self._collected

    @property
    def _collected(self) -> bool:
        return bool(
            self._attempts or self._deferred or self._closed or self._lanes or self._ranges or self._taken or self._left
        )

    # -- settling ----------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._timer = None
        self._soon = False
        if self._task is None and self._failed is None:
            self._task = asyncio.get_running_loop().create_task(self._settle(), name="settle")

    async def _settle(self) -> TidegateError | None:
        """Carry one settlement to its end. Returns the error when it did not become durable."""
        waiters, self._waiters = self._waiters, []
        lanes, self._lanes = self._lanes, {}
        rows = [lane.make_row() for lane in lanes.values()]
        settlement = Settlement(
            self._high_water_mark(),
            [row for row, _ in rows],
            self._attempts,
            list(self._deferred.values()),
            list(self._closed),
            self._ranges,
            self._taken,
            self._left,
            self._heads,
            self._fence(),
            self.counts.take(),
        )
        self._empty()
        error = await self._store_it(settlement)
        self._task = None
        if isinstance(error, Fenced):
            if settlement.fence == self._fence():
                self.fenced()
        else:
            self._failed = error
        self._settled_high_water_mark = settlement.high_water_mark
        for lane, (_, count) in zip(lanes.values(), rows, strict=True):
            lane.unsettled -= count
        for waiter in waiters:
            if not waiter.done():
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)
        if error is not None:
            if self._collected:  # under a lease that was taken meanwhile
                self.due()
            return error
        self.after(lanes)
        if self._waiters or self._collected:
            self.due()
        elif self._high_water_mark() > self._settled_high_water_mark:
            self.moved()
        return None

    def _empty(self) -> None:
        self._attempts, self._deferred, self._closed, self._ranges = [], {}, {}, []
        self._taken, self._left, self._heads = [], [], []

    async def _store_it(self, settlement: Settlement) -> TidegateError | None:
        """Returns None when it is stored, and the error when it cannot be."""
        while True:
            try:
                await self._deliveries.settle(settlement)
            except StoreBusy:
                if settlement.fence != self._fence():
                    return Fenced("the lease of this settle was lost before it was stored")
                await asyncio.sleep(BUSY_SECONDS)
            except TidegateError as error:
                return error
            else:
                return None

    def forget(self) -> None:
        """The lease is lost: nothing that was collected may be written."""
        self._empty()
        self.counts.take()
        self._lanes = {}
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(Fenced("this node lost its lease before the settle"))

    async def flush(self) -> None:
        """Return when everything collected until now is durable. Raises what the store raised."""
        if self._failed is not None:
            raise self._failed
        if not self.dirty:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._task is not None and not self._collected:
            error = await asyncio.shield(self._task)
            if error is not None:
                raise error
            return
        self._waiters.append(waiter)
        if self._task is None:
            if self._timer is not None:
                self._timer.cancel()
            self._start()
        await waiter
