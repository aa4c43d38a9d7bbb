"""Rows of events with the signs of their deliveries: what the overview and the list of events share.

Reads through `answer/` and the deliver engine only. A row shows at most six deliveries; the event's page has all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tidegate import ids
from tidegate.answer import events
from tidegate.dashboard import signs
from tidegate.model import Event

if TYPE_CHECKING:
    from tidegate.gateway import Gateway

SHOWN = 6


async def rows(gateway: Gateway, found: Sequence[Event]) -> list[dict[str, Any]]:
    """One dict an event, in the order given."""
    audiences = gateway.store.log.audiences()
    wanted = {one.offset: [d for d, _ in audiences[one.audience].wanted] for one in found}
    pairs = [(offset, number) for offset, numbers in wanted.items() for number in numbers[:SHOWN]]
    views = await gateway.deliver.states(pairs) if pairs else {}
    names = gateway.live.destination_names
    out = []
    for one in found:
        deliveries = []
        for number in wanted[one.offset][:SHOWN]:
            view = views.get((one.offset, number))
            if view is not None:
                sign = signs.delivery(view.state.value, len(view.attempts))
                deliveries.append({"sign": sign.sign, "state": sign.word, "destination": names.get(number, "?")})
        out.append(
            {
                "id": ids.event_id(gateway.store.log.instance, one.offset),
                "offset": one.offset,
                "source": one.source,
                "type": one.type[:120],
                "key": one.key[:48] if one.key else None,
                "origin": one.origin.value,
                "received_at": events.instant(one.received_at_us),
                "deliveries": deliveries,
                "more": max(0, len(wanted[one.offset]) - SHOWN),
            }
        )
    return out
