"""Rows of events with the badges of their deliveries, and lists that are cut into pages.

Owns what the overview and the list of events share. Reads through `query/` and the deliver engine only. A row shows at
most five deliveries (the event's page has all), and foreign names share a bounded number of bytes, so a page stays
under 60 KB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from starlette.requests import Request

from tidegate.core import ids
from tidegate.core.model import Event
from tidegate.dashboard import badges, formatting, payload
from tidegate.query import events, feeding

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

SHOWN = 5
LIST_PAGE = 25  # destinations or sources on a page
FOREIGN = 5_000  # bytes that types and keys of a page share


class DeliveryDot(Struct, kw_only=True):
    """One delivery in a row: an icon, and its label for people who cannot see it."""

    icon: str
    label: str
    destination: str


class EventRow(Struct, kw_only=True):
    """One event in a list. `more`: deliveries beyond those that are shown; `updates`: records it updated."""

    id: str
    offset: int
    source: str
    type: str
    key: str | None
    origin: str
    received_at: str
    deliveries: list[DeliveryDot]
    updates: str
    more: int

    @property
    def label(self) -> str:
        """`crm: delivered, mail: pending`."""
        return ", ".join(f"{one.destination}: {one.label}" for one in self.deliveries)


async def event_rows(gateway: Gateway, found: Sequence[Event]) -> list[EventRow]:
    """One row an event, in the order given."""
    audiences = gateway.store.log.audiences()
    wanted = {one.offset: [d for d, _ in audiences[one.audience].wanted] for one in found}
    pairs = [(offset, number) for offset, numbers in wanted.items() for number in numbers[:SHOWN]]
    views = await gateway.deliver.states(pairs) if pairs else {}
    names = gateway.active.destination_names
    rows = []
    space = payload.Space(FOREIGN)
    for one in found:
        deliveries = []
        for number in wanted[one.offset][:SHOWN]:
            view = views.get((one.offset, number))
            if view is not None:
                badge = badges.of_delivery(view.state.value, len(view.attempts))
                destination = names.get(number, "?")
                deliveries.append(DeliveryDot(icon=badge.icon, label=badge.label, destination=destination))
        updates = "" if deliveries else ", ".join(feeding.updated_resources(gateway.active, one)[:2])
        rows.append(
            EventRow(
                id=ids.event_id(gateway.store.log.instance, one.offset),
                offset=one.offset,
                source=one.source,
                type=space.take(one.type, 120),
                key=space.take(one.key, 48) if one.key else None,
                origin=one.origin.value,
                received_at=events.instant(one.received_at_us),
                deliveries=deliveries,
                updates=updates,
                more=max(0, len(wanted[one.offset]) - SHOWN),
            )
        )
    return rows


class Pager(NamedTuple):
    """Where a page of a list is. `before` and `after` are addresses or ""."""

    label: str
    before: str
    after: str


def paged(names: Sequence[str], request: Request) -> tuple[Sequence[str], Pager]:
    """The names of the page that `?page=N` asks for (from 1; anything else is the first), and the pager."""
    asked = request.query_params.get("page", "")
    last = max(1, -(-len(names) // LIST_PAGE))
    number = min(int(asked), last) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 7 else 1
    number = max(number, 1)
    first = (number - 1) * LIST_PAGE
    shown = names[first : first + LIST_PAGE]
    path, count = request.url.path, formatting.count
    return shown, Pager(
        f"{count(first + 1)} to {count(first + len(shown))} of {count(len(names))}",
        f"{path}?page={number - 1}" if number > 1 else "",
        f"{path}?page={number + 1}" if number < last else "",
    )
