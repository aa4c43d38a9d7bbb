"""Rows of events with the signs of their deliveries: what the overview and the list of events share.

Reads through `query/` and the deliver engine only. A row shows at most five deliveries (the event's page
has all), and foreign names share a bounded room: a page stays under 60 KB. Longer lists of names are turned by
page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.requests import Request

from tidegate.core import ids
from tidegate.core.model import Event
from tidegate.dashboard import badges as signs
from tidegate.dashboard import formatting as words
from tidegate.dashboard import payload
from tidegate.query import events, feeding

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

SHOWN = 5
TURN = 25  # destinations or sources on a page
FOREIGN = 5_000  # bytes that types and keys of a page share


async def rows(gateway: Gateway, found: Sequence[Event]) -> list[dict[str, Any]]:
    """One dict an event, in the order given."""
    audiences = gateway.store.log.audiences()
    wanted = {one.offset: [d for d, _ in audiences[one.audience].wanted] for one in found}
    pairs = [(offset, number) for offset, numbers in wanted.items() for number in numbers[:SHOWN]]
    views = await gateway.deliver.states(pairs) if pairs else {}
    names = gateway.active.destination_names
    out = []
    space = payload.Space(FOREIGN)
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
                "type": space.take(one.type, 120),
                "key": space.take(one.key, 48) if one.key else None,
                "origin": one.origin.value,
                "received_at": events.instant(one.received_at_us),
                "deliveries": deliveries,
                "told": told(deliveries),
                "fed": ", ".join(feeding.fed(gateway.active, one)[:2]) if not deliveries else "",
                "more": max(0, len(wanted[one.offset]) - SHOWN),
            }
        )
    return out


class Turn(NamedTuple):
    """One page of a list that is short enough to be cut in memory. `before` and `after` are addresses or ""."""

    words: str
    before: str
    after: str


def turned(names: Sequence[str], request: Request) -> tuple[Sequence[str], Turn]:
    """The names of the page that `?page=N` asks for (from 1; anything else is the first), and the ways on."""
    asked = request.query_params.get("page", "")
    last = max(1, -(-len(names) // TURN))
    number = min(int(asked), last) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 7 else 1
    number = max(number, 1)
    first = (number - 1) * TURN
    shown = names[first : first + TURN]
    path = request.url.path
    return shown, Turn(
        f"{words.count(first + 1)} to {words.count(first + len(shown))} of {words.count(len(names))}",
        f"{path}?page={number - 1}" if number > 1 else "",
        f"{path}?page={number + 1}" if number < last else "",
    )


def told(deliveries: Sequence[dict[str, Any]]) -> str:
    """The signs of a row in words: `crm: delivered, mail: pending`."""
    return ", ".join(f"{one['destination']}: {one['state']}" for one in deliveries)
