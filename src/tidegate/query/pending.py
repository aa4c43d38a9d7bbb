"""What a destination will be sent next: its open deliveries, the oldest first.

Walks upwards from the oldest exception and from the lane's own position, so it costs what it shows and not the
backlog. Reads the store and the deliver engine; a delivery that was settled meanwhile is left out.
"""

from __future__ import annotations

import msgspec

from tidegate.core.model import DeferredState, DeliveryState
from tidegate.query import deliveries, events
from tidegate.query.context import ReadContext
from tidegate.query.schemas import DeliverySchema

_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)
_SLICE = 64  # offsets looked at beyond what is asked for, as some may be settled ahead


class Waiting(msgspec.Struct, frozen=True):
    """An open delivery and when its event was received."""

    delivery: DeliverySchema
    received_at: str


async def oldest(gateway: ReadContext, destination: str, limit: int) -> list[Waiting]:
    """At most `limit` open deliveries of a destination by offset, ascending. NotFound for an unknown name."""
    number = deliveries.destination_number(gateway, destination)
    rows = await gateway.store.deliveries.deferred(
        destination=number, states=(DeferredState.PENDING, DeferredState.BLOCKED), limit=limit
    )
    offsets = {row.offset for row in rows} | set(await _unread(gateway, number, limit + _SLICE))
    pairs = [(offset, number) for offset in sorted(offsets)]
    views = await gateway.deliver.states(pairs) if pairs else {}
    still_open = [views[pair] for pair in pairs if pair in views and views[pair].state in _OPEN][:limit]
    came = {
        event.offset: event.received_at_us for event in await gateway.store.log.read([v.offset for v in still_open])
    }
    forms = await deliveries.forms(gateway, [view for view in still_open if view.offset in came])
    at = [came[view.offset] for view in still_open if view.offset in came]
    return [Waiting(form, events.instant(at_us)) for form, at_us in zip(forms, at, strict=False)]


async def _unread(gateway: ReadContext, number: int, limit: int) -> list[int]:
    """Offsets that the lane owes and has no row for, from its position on."""
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
