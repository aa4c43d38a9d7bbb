"""The state of deliveries, put together from what is kept: lane, exceptions, ranges and attempts.

A delivery is no row on the happy path, so its state is worked out, in this order: in flight, an exception row,
still owed by the lane, a delivered attempt, a bulk settlement over it. What is finished is settled first (a flush of
20 ms at most), so memory and disk never tell two stories.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.model import (
    Attempt,
    DeliveryState,
    DeliveryView,
    Exceptional,
    ExceptionState,
    Outcome,
    RangeSettlement,
)

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine

Pair = tuple[int, int]

_OF_EXCEPTION = {
    ExceptionState.PENDING: DeliveryState.PENDING,
    ExceptionState.PARKED: DeliveryState.PENDING,
    ExceptionState.EXHAUSTED: DeliveryState.EXHAUSTED,
    ExceptionState.CANCELLED: DeliveryState.CANCELLED,
}


async def delivery_states(engine: DeliverEngine, pairs: Sequence[Pair]) -> dict[Pair, DeliveryView]:
    """Views by (offset, destination); a pair that is no delivery is missing."""
    await engine.settler.flush()
    offsets = sorted({offset for offset, _ in pairs})
    deliveries = engine.store.deliveries
    rows = await deliveries.exceptions(offsets=offsets, limit=100_000)
    exceptions = {(row.offset, row.destination): row for row in rows}
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
        exception = exceptions.get(pair)
        if not revision and exception is None and not attempts[pair]:
            continue
        found[pair] = _view(engine, pair, revision, exception, attempts[pair])
    return found


def _view(
    engine: DeliverEngine, pair: Pair, revision: int, exception: Exceptional | None, attempts: list[Attempt]
) -> DeliveryView:
    offset, destination = pair
    delivered_at = next((a.started_at_us + a.duration_us for a in attempts if a.outcome is Outcome.OK), None)
    state, cause, due = _state(engine, pair, exception, delivered_at is not None)
    if exception is not None and exception.route:
        revision = exception.route
    return DeliveryView(offset, destination, state, cause, tuple(attempts), due, delivered_at, revision)


def _state(
    engine: DeliverEngine, pair: Pair, exception: Exceptional | None, delivered: bool
) -> tuple[DeliveryState, str, int | None]:
    offset, destination = pair
    sender = engine.senders.get(destination)
    if sender is not None and offset in sender.flights:
        return DeliveryState.SENDING, "", None
    if exception is not None:
        state = _OF_EXCEPTION[exception.state]
        due = exception.due_at_us if exception.state is ExceptionState.PENDING else None
        return state, exception.cause, due
    if sender is not None and sender.lane.is_open(offset):
        return DeliveryState.PENDING, "", None
    if not delivered:
        one = _range(engine.ranges, offset, destination)
        if one is not None:
            return one.state, one.cause, None
    return DeliveryState.DELIVERED, "", None


def _range(ranges: Sequence[RangeSettlement], offset: int, destination: int) -> RangeSettlement | None:
    for one in ranges:
        if one.destination == destination and one.after < offset <= one.upto:
            return one
    return None
