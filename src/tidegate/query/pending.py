"""The pending deliveries of a destination, oldest first.

Reads upwards from the oldest deferred delivery and from the committed offset of the lane, so the cost depends on what
is shown, not on the backlog. A delivery that was settled meanwhile is left out.
"""

from __future__ import annotations

import msgspec

from tidegate.core.model import DeferredState, DeliveryState
from tidegate.query import deliveries, events
from tidegate.query.context import ReadContext
from tidegate.query.schemas import DeliverySchema

_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)
_SLICE = 64  # extra offsets to read, as some may be settled ahead


class PendingDelivery(msgspec.Struct, frozen=True):
    """An open delivery and when its event was received."""

    delivery: DeliverySchema
    received_at: str


async def oldest(gateway: ReadContext, destination: str, limit: int) -> list[PendingDelivery]:
    """At most `limit` open deliveries of a destination by offset, ascending. NotFound for an unknown name."""
    number = deliveries.destination_number(gateway, destination)
    rows = await gateway.store.deliveries.deferred(
        destination=number, states=(DeferredState.PENDING, DeferredState.BLOCKED), limit=limit
    )
    offsets = {row.offset for row in rows} | set(await _owed(gateway, number, limit + _SLICE))
    pairs = [(offset, number) for offset in sorted(offsets)]
    views = await gateway.deliver.states(pairs) if pairs else {}
    still_open = [views[pair] for pair in pairs if pair in views and views[pair].state in _OPEN][:limit]
    came = {
        event.offset: event.received_at_us for event in await gateway.store.log.read([v.offset for v in still_open])
    }
    forms = await deliveries.schemas_of(gateway, [view for view in still_open if view.offset in came])
    at = [came[view.offset] for view in still_open if view.offset in came]
    return [PendingDelivery(form, events.instant(at_us)) for form, at_us in zip(forms, at, strict=False)]


async def _owed(gateway: ReadContext, number: int, limit: int) -> list[int]:
    """Offsets after the lane's committed offset that have no row of their own."""
    standing = await gateway.store.deliveries.load()
    lane = next((one for one in standing.lanes if one.destination == number), None)
    committed_offset = lane.committed_offset if lane is not None else None
    if committed_offset is None:
        committed_offset = standing.high_water_mark_of(number)
    head = gateway.store.log.published_offset
    audiences = gateway.store.log.audiences()
    only = [one.number for one in audiences.values() if any(d == number for d, _ in one.wanted)]
    if committed_offset >= head or not only:
        return []
    return [offset for offset, _ in await gateway.store.log.scan(committed_offset, head, limit, only)]
