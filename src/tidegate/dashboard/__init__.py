"""The dashboard: pages over the same functions as the API, as routes for the gateway's app.

Owns HTML, style and the few scripts. Knows no SQL and keeps nothing but the last test of each destination. Everything
reads and works without scripts; every page carries a strict Content-Security-Policy; a payload is always shown as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate.core.errors import NotFound
from tidegate.dashboard.page_context import PageContext, PageHandler, guarded
from tidegate.dashboard.pages import (
    actions,
    alerts,
    compare,
    compare_all,
    conflicts,
    connect,
    delivery,
    destinations,
    edit,
    event,
    events,
    login,
    overview,
    replays,
    sources,
)
from tidegate.outbound.consent import CALLBACK

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

_PAGES: tuple[tuple[str, PageHandler], ...] = (
    ("/", overview.show),
    ("/events", events.show_list),
    ("/events/{id}", event.show),
    ("/events/{id}/edit", edit.show),
    ("/deliveries/{id}", delivery.show),
    ("/deliveries/{id}/request", delivery.plain),
    ("/replays", replays.show),
    ("/destinations", destinations.show_list),
    ("/destinations/{name}", destinations.show),
    ("/sources", sources.show_list),
    ("/connect", connect.show_list),
    ("/connect/{name}", connect.show),
    ("/connect/{name}/start", connect.start),
    ("/api-or-webhook", compare.show),
    ("/api-or-webhook/all", compare_all.show),
    ("/alerts", alerts.show),
    ("/conflicts", conflicts.show),
)
_ACTIONS: tuple[tuple[str, PageHandler], ...] = (
    ("/destinations/{name}/pause", actions.pause),
    ("/destinations/{name}/resume", actions.resume),
    ("/destinations/{name}/test", actions.test),
    ("/destinations/{name}/replay", actions.replay_dead),
    ("/events/{id}/replay", actions.replay_event),
    ("/events/{id}/review", edit.review),
    ("/events/{id}/send", edit.send),
    ("/replays/start", replays.start),
    ("/replays/{id}/cancel", replays.cancel),
    ("/deliveries/{id}/retry", actions.retry),
    ("/deliveries/{id}/cancel", actions.cancel),
    ("/api-or-webhook/all/apply", compare_all.apply),
    ("/api-or-webhook/all/undo", compare_all.undo_all),
    ("/api-or-webhook/{source}/{resource}/apply", compare.apply),
    ("/api-or-webhook/{source}/{resource}/undo", compare.undo),
    ("/alerts/acknowledge", alerts.acknowledge),
    ("/alerts/mute", alerts.mute),
    ("/alerts/unmute", alerts.unmute),
    ("/conflicts/{id}/resolve", conflicts.resolve),
    ("/logout", login.leave),
)


def make_routes(gateway: Gateway) -> list[Route]:
    """Routes of the dashboard. Put them last: the final one answers every other path with the error page.

    They expect the API's context at `scope["tidegate"]` (sessions and host names), as the app puts it there.
    """
    context = PageContext(gateway)
    routes = [Route("/static/{hash}/{name}", context.assets.serve, methods=["GET"])]
    routes += [Route(path, guarded(context, page), methods=["GET"]) for path, page in _PAGES]
    routes += [
        Route(path, guarded(context, page, large=page in (edit.review, edit.send)), methods=["POST"])
        for path, page in _ACTIONS
    ]
    routes += [
        Route("/login", guarded(context, login.show, public=True), methods=["GET"]),
        Route("/login", guarded(context, login.enter, public=True), methods=["POST"]),
        Route(CALLBACK, guarded(context, connect.callback, public=True), methods=["GET"]),
        Route("/theme", guarded(context, actions.theme, public=True), methods=["POST"]),
        Route("/{path:path}", guarded(context, _nowhere), methods=["GET"]),
    ]
    return routes


async def _nowhere(context: PageContext, request: Request) -> Response:
    raise NotFound(f"there is no page {request.url.path[:120]}", hint="start at the overview: /")


__all__ = ["make_routes"]
