"""The state of deliveries, put together from what is kept: lane, deferred deliveries, ranges and attempts.

A delivery is no row on the happy path, so its state is worked out, in this order: in flight, an exception row,
still owed by the lane, a delivered attempt, a bulk settlement over it. Of our own shares what is finished is settled
first (a flush of 20 ms at most), so memory and disk never tell two stories. Of a partition that another node holds only
the store is asked, lanes first: what a lane has settled by then, rows and attempts that are read later have too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.core.model import (
    Attempt,
    Deferred,
    DeferredState,
    DeliveryState,
    DeliveryView,
    Outcome,
    RangeSettlement,
)
from tidegate.deliver.lane import LaneCursor
from tidegate.store import Standing, partition_of

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine

Pair = tuple[int, int]

_OF_EXCEPTION = {
    DeferredState.PENDING: DeliveryState.PENDING,
    DeferredState.BLOCKED: DeliveryState.PENDING,
    DeferredState.EXHAUSTED: DeliveryState.EXHAUSTED,
    DeferredState.CANCELED: DeliveryState.CANCELED,
}


async def delivery_states(engine: DeliverEngine, pairs: Sequence[Pair]) -> dict[Pair, DeliveryView]:
    """Views by (offset, destination); a pair that is no delivery is missing."""
    lanes = await _Lanes.of(engine, {destination for _, destination in pairs})
    offsets = sorted({offset for offset, _ in pairs})
    deliveries = engine.store.deliveries
    rows = await deliveries.deferred(offsets=offsets, limit=100_000)
    deferred = {(row.offset, row.destination): row for row in rows}
    attempts = await deliveries.attempts(pairs)
    scanned = dict(await engine.log.scan(offsets[0] - 1, offsets[-1], 1)) if len(offsets) == 1 else {}
    if len(offsets) > 1:
        scanned = {event.offset: event.audience for event in await engine.log.read(offsets)}
    found: dict[Pair, DeliveryView] = {}
    for pair in pairs:
        offset, destination = pair
        audience = engine.log.audiences().get(scanned.get(offset, 0))
        if audience is None:
            continue
        revision = dict(audience.wanted).get(destination, 0)
        exception = deferred.get(pair)
        if not revision and exception is None and not attempts[pair]:
            continue
        found[pair] = _view(lanes, pair, revision, exception, attempts[pair])
    return found


class _Lanes:
    """Where lanes are: those of our partitions in memory, the others as the store has them."""

    def __init__(self, engine: DeliverEngine) -> None:
        self._engine = engine
        self._standing = Standing({}, ())
        self._rows: dict[int, LaneCursor] = {}
        self.ranges: Sequence[RangeSettlement] = engine.ranges

    @classmethod
    async def of(cls, engine: DeliverEngine, destinations: set[int]) -> _Lanes:
        ours = {number for number in destinations if partition_of(number) in engine.partitions}
        if ours:
            await engine.settler.flush()
        lanes = cls(engine)
        theirs = {partition_of(number) for number in destinations - ours}
        if theirs:
            standing = lanes._standing = await engine.store.deliveries.load(theirs)
            lanes._rows = {
                row.destination: LaneCursor(row.destination, standing.high_water_mark_of(row.destination), row)
                for row in standing.lanes
            }
            lanes.ranges = await engine.store.deliveries.ranges()
        return lanes

    def sending(self, pair: Pair) -> bool:
        """Known to the owning node only."""
        sender = self._engine.senders.get(pair[1])
        return sender is not None and pair[0] in sender.flights

    def owed(self, pair: Pair) -> bool:
        offset, number = pair
        sender = self._engine.senders.get(number)
        if sender is not None:
            return sender.lane.is_open(offset)
        row = self._rows.get(number)
        if row is not None and row.stored_offset is not None:
            return row.is_open(offset)
        high_water_mark = self._standing.high_water_marks.get(partition_of(number))
        return high_water_mark is not None and offset > high_water_mark


def _view(
    lanes: _Lanes, pair: Pair, revision: int, exception: Deferred | None, attempts: list[Attempt]
) -> DeliveryView:
    offset, destination = pair
    delivered_at = next((a.started_at_us + a.duration_us for a in attempts if a.outcome is Outcome.OK), None)
    state, cause, due = _state(lanes, pair, exception, delivered_at is not None)
    if exception is not None and exception.route:
        revision = exception.route
    return DeliveryView(offset, destination, state, cause, tuple(attempts), due, delivered_at, revision)


def _state(
    lanes: _Lanes, pair: Pair, exception: Deferred | None, delivered: bool
) -> tuple[DeliveryState, str, int | None]:
    if lanes.sending(pair):
        return DeliveryState.SENDING, "", None
    if exception is not None:
        state = _OF_EXCEPTION[exception.state]
        due = exception.due_at_us if exception.state is DeferredState.PENDING else None
        return state, exception.cause, due
    if lanes.owed(pair):
        return DeliveryState.PENDING, "", None
    if not delivered:
        one = _range(lanes.ranges, *pair)
        if one is not None:
            return one.state, one.cause, None
    return DeliveryState.DELIVERED, "", None


def _range(ranges: Sequence[RangeSettlement], offset: int, destination: int) -> RangeSettlement | None:
    for one in ranges:
        if one.destination == destination and one.after < offset <= one.upto:
            return one
    return None
