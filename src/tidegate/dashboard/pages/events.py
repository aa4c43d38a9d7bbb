"""The list of events: filters, search, pages by cursor, and the rows that are added live."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tidegate.core import units
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import lists
from tidegate.dashboard.render import SECURITY_HEADERS
from tidegate.query import cursors, events
from tidegate.query.events import EventFilter

PAGE = 25
NEW_ROWS = 50  # at most, in one request for live rows
SPANS = (
    ("5m", "in the last 5 min"),
    ("1h", "in the last hour"),
    ("1d", "in the last day"),
    ("7d", "in the last 7 days"),
)
_FIELDS = ("q", "source", "type", "key", "origin", "within", "healed")


async def show_list(context: PageContext, request: Request) -> Response:
    """`/events`; with `?after=OFFSET` only rows that are newer, for the page's own script."""
    query = request.query_params
    given = {name: query.get(name, "").strip()[:200] for name in _FIELDS}
    wanted = _filter(given, context.gateway.clock.now_us())
    log = context.gateway.store.log
    after = query.get("after", "")
    if after:
        newest = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
        fresh = await events.walk(log, wanted, limit=NEW_ROWS, after=newest)
        rows = await lists.event_rows(context.gateway, list(reversed(fresh.events)))
        return HTMLResponse(context.templates.text("rows.html", events=rows), headers=SECURITY_HEADERS)
    events.check_origin(wanted.origin)
    cursor = query.get("cursor") or None
    found = await events.walk(log, wanted, limit=PAGE, before=cursors.decode_offset(cursors.BEFORE, cursor))
    kept = {name: value for name, value in given.items() if value}
    older = {**kept, "cursor": cursors.encode_offset(cursors.BEFORE, found.edge)}
    return context.templates.response(
        request,
        "events.html",
        section="events",
        events=await lists.event_rows(context.gateway, found.events),
        f=given,
        filtered=bool(kept) or cursor is not None,
        follow="" if cursor else "/events?" + urlencode(kept),
        older="/events?" + urlencode(older) if found.more else "",
        sources=[*sorted(context.gateway.active.sources), SYSTEM_SOURCE],
        origins=events.ORIGINS,
        spans=SPANS,
    )


def _filter(given: dict[str, str], now_us: int) -> EventFilter:
    within = given["within"] if given["within"] in {value for value, _ in SPANS} else ""
    return EventFilter(
        source=given["source"] or None,
        type=given["type"] or None,
        key=given["key"] or None,
        origin=given["origin"] or None,
        since_us=now_us - int(units.seconds(within) * 1_000_000) if within else None,
        text=given["q"] or None,
        healed=True if given["healed"] else None,
    )
