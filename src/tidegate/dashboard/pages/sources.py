"""The list of sources with their inputs and the figures of each resource."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidegate.dashboard import formatting
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import lists, summaries
from tidegate.query import stats


async def show_list(context: PageContext, request: Request) -> Response:
    snapshot = await stats.snapshot(context.gateway)
    public = context.gateway.active.settings.gateway.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    known = context.gateway.active.sources
    names, pager = lists.paged(list(known), request)
    rows = [summaries.source(known[name], snapshot, public) for name in names]
    subline = f"{formatting.plural(len(known), 'source')}: webhooks, forms, published events and polled APIs."
    return context.templates.response(
        request, "sources.html", section="sources", sources=rows, subline=subline, pager=pager
    )
