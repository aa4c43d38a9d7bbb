"""The list of sources with their inlets and what each resource costs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidegate.dashboard import formatting as words
from tidegate.dashboard.page_context import Room
from tidegate.dashboard.pages import health, lists
from tidegate.query import stats


async def page(room: Room, request: Request) -> Response:
    snapshot = await stats.snapshot(room.gateway)
    public = room.gateway.live.settings.gateway.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    known = room.gateway.live.sources
    names, turn = lists.turned(list(known), request)
    rows = [health.source(known[name], snapshot, public) for name in names]
    subline = f"{words.plural(len(known), 'outside system')}, told by webhook, form and publish, or asked by API."
    return room.pages.page(request, "sources.html", room="sources", sources=rows, subline=subline, turn=turn)
