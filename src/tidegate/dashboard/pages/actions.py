"""The buttons of the pages: pause, resume, test, retry, cancel, replay, theme. A POST, then 303 to the page before.

`page_context.py` has checked the session and its CSRF token. Every action is a command of an engine; nothing is changed
here. The result of a test is kept in memory for the page that shows it, the last one of each destination. Crash: those
results are lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.core import ids
from tidegate.core.model import Attempt, Outcome
from tidegate.dashboard import formatting
from tidegate.dashboard.page_context import PageContext, field, own_path, see_other
from tidegate.dashboard.render import THEME_COOKIE
from tidegate.deliver import ReplayQuery
from tidegate.query import deliveries, events

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

_TESTS_KEPT = 200
_tests: dict[tuple[str, int], Attempt] = {}  # (instance, destination number) -> the result of its last test


class LastTest(Struct, kw_only=True):
    """The result of the last test of a destination."""

    ok: bool
    label: str
    error: str
    duration: str
    body: str


async def pause(context: PageContext, request: Request) -> Response:
    name = request.path_params["name"]
    await context.gateway.editor.pause(name)
    return see_other(own_path(field(request, "back"), f"/destinations/{name}"), "paused")


async def resume(context: PageContext, request: Request) -> Response:
    name = request.path_params["name"]
    await context.gateway.editor.resume(name)
    return see_other(own_path(field(request, "back"), f"/destinations/{name}"), "resumed")


async def test(context: PageContext, request: Request) -> Response:
    name = request.path_params["name"]
    attempt = await context.gateway.deliver.test(name)
    while len(_tests) >= _TESTS_KEPT:
        del _tests[next(iter(_tests))]
    _tests[context.gateway.store.log.instance, attempt.destination] = attempt
    ok = attempt.outcome is Outcome.OK
    return see_other(f"/destinations/{name}", "test-ok" if ok else "test-failed")


def last_test(gateway: Gateway, number: int) -> LastTest | None:
    """The last test of a destination in this process, within ten minutes."""
    attempt = _tests.get((gateway.store.log.instance, number))
    if attempt is None or gateway.clock.now_us() - attempt.started_at_us > 600_000_000:
        return None
    return LastTest(
        ok=attempt.outcome is Outcome.OK,
        label=str(attempt.status) if attempt.status else attempt.outcome.name.lower().replace("_", " "),
        error=attempt.error,
        duration=formatting.milliseconds(attempt.duration_us / 1000),
        body=attempt.answer_body[:600].decode("utf-8", "replace"),
    )


async def retry(context: PageContext, request: Request) -> Response:
    view = await deliveries.view_of(context.gateway, request.path_params["id"])
    await context.gateway.deliver.retry(view.offset, view.destination)
    return see_other(own_path(field(request, "back"), _event_path(context, view.offset)), "retried")


async def cancel(context: PageContext, request: Request) -> Response:
    view = await deliveries.view_of(context.gateway, request.path_params["id"])
    await context.gateway.deliver.cancel(view.offset, view.destination)
    return see_other(own_path(field(request, "back"), _event_path(context, view.offset)), "canceled")


def _event_path(context: PageContext, offset: int) -> str:
    return f"/events/{ids.event_id(context.gateway.store.log.instance, offset)}"


async def replay_event(context: PageContext, request: Request) -> Response:
    """Replay all deliveries of one event, by the routes of today."""
    event = await events.event_by_id(context.gateway, request.path_params["id"])
    path = _event_path(context, event.offset)
    await context.gateway.deliver.replay(ReplayQuery(event=path.rpartition("/")[2]))
    return see_other(path, "replayed")


async def replay_dead(context: PageContext, request: Request) -> Response:
    """Replay the dead letters of one destination."""
    name = request.path_params["name"]
    await context.gateway.deliver.replay(ReplayQuery(destination=name, state="exhausted"))
    return see_other(f"/destinations/{name}", "replayed")


async def theme(context: PageContext, request: Request) -> Response:
    """The theme switch for a browser without scripts; with them the cookie is set in the page."""
    answer = see_other(own_path(field(request, "back"), "/"))
    wanted = field(request, "theme")
    if wanted in ("light", "dark"):
        secure = request.url.scheme == "https"
        answer.set_cookie(THEME_COOKIE, wanted, max_age=31_536_000, samesite="strict", secure=secure)
    return answer
