"""The list of sources with their inputs and what each resource costs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidegate.dashboard import formatting as words
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import health, lists
from tidegate.query import stats


async def page(context: PageContext, request: Request) -> Response:
    snapshot = await stats.snapshot(context.gateway)
    public = context.gateway.active.settings.gateway.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    known = context.gateway.active.sources
    names, turn = lists.turned(list(known), request)
    rows = [health.source(known[name], snapshot, public) for name in names]
    subline = f"{words.plural(len(known), 'outside system')}, told by webhook, form and publish, or asked by API."
    return context.pages.page(request, "sources.html", section="sources", sources=rows, subline=subline, turn=turn)
