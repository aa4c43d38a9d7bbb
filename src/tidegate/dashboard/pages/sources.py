"""The list of sources with their inlets and what each resource costs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidegate.answer import stats
from tidegate.dashboard import words
from tidegate.dashboard.pages import health
from tidegate.dashboard.room import Room


async def page(room: Room, request: Request) -> Response:
    snapshot = await stats.snapshot(room.gateway)
    public = room.gateway.live.settings.gateway.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    rows = [health.source(one, snapshot, public) for one in room.gateway.live.sources.values()]
    subline = f"{words.plural(len(rows), 'outside system')} that tell or are asked."
    return room.pages.page(request, "sources.html", room="sources", sources=rows, subline=subline)
