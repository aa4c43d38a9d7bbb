"""One page of the log, read in slices, so that a search with few matches returns a short page instead of taking long.

Knows no routes and no permissions. Each slice takes two statements: one finds where a number of rows ends, the other
reads the matching rows. A trim between the two makes a page shorter, never wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tidegate.core.model import Event, Origin
from tidegate.store import EventPage, EventQuery
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.text import escape, escape_some
from tidegate.store.rows import ORIGIN_NUMBER

FIRST_SLICE = 256
LARGEST_SLICE = 4096
END = 1 << 62

Make = Callable[[Sequence[Any]], Awaitable[list[Event]]]


async def page(engine: Engine, query: EventQuery, make: Make) -> EventPage:
    texts = sql("log")
    way = ("_key" if query.key is not None else "") + ("_up" if query.ascending else "_down")
    key = () if query.key is None else (escape(query.key),)
    filters = _filters(query)
    edge = (query.after or 0) if query.ascending else (query.before or END)
    found: list[Event] = []
    looked, size = 0, max(FIRST_SLICE, query.limit)
    while True:
        size = min(size, query.scan_limit - looked)
        count, last = await engine.requested.fetchrow(texts["slice" + way], edge, size, *key)
        if count == 0:
            return EventPage(tuple(found), edge if query.ascending else 0, False)
        bounds = (edge, last) if query.ascending else (last, edge)
        rows = await engine.requested.fetch(texts["fit" + way], *bounds, query.limit - len(found), *filters, *key)
        found.extend(await make(rows))
        edge, looked = last, looked + count
        if len(found) == query.limit:
            edge = found[-1].offset
        if len(found) == query.limit or looked >= query.scan_limit:
            return await _ended(engine, texts["slice" + way], EventPage(tuple(found), edge, True), key, query.ascending)
        size = min(size * 4, LARGEST_SLICE)


async def _ended(engine: Engine, text: str, full: EventPage, key: tuple[str, ...], ascending: bool) -> EventPage:
    """Of a page that is full or reached the scan limit: whether there is anything beyond it."""
    count, _ = await engine.requested.fetchrow(text, full.edge, 1, *key)
    return full if count else EventPage(full.events, full.edge if ascending else 0, False)


def _filters(query: EventQuery) -> tuple[Any, ...]:
    return (
        query.source,
        escape_some(query.type),
        ORIGIN_NUMBER[Origin(query.origin)] if query.origin else None,
        query.since_us,
        query.until_us,
        query.text.encode() if query.text else None,
        query.healed,
    )
