"""All recommendations of "API or webhook?" at once: a page that shows what changes, one button, and its undo.

Owns the requests of that page. Each resource is changed by the editor on its own, as its own button does it: one that
fails changes nothing, is named with its reason, and stops no other. Crash: those before it are applied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.core.errors import TidegateError
from tidegate.dashboard.comparison.everything import Everything, everything
from tidegate.dashboard.page_context import PageContext, field, see_other
from tidegate.query import advice
from tidegate.runtime.followed_advice import follow, undo

PATH = "/api-or-webhook/all"


class Failed(Struct, kw_only=True):
    """A resource that was not changed, and why."""

    resource: str
    message: str
    hint: str


async def show(context: PageContext, request: Request) -> Response:
    return _page(context, request, await _read(context))


async def apply(context: PageContext, request: Request) -> Response:
    """Apply what the person read. When any of it is other advice by now, nothing is applied."""
    found = await _read(context)
    if field(request, "digest") != found.digest:
        return see_other(PATH, "advice-changed")
    editor = context.gateway.editor
    wanted = {one.resource: one.settings for one in found.ready}

    async def change(source: str, resource: str) -> None:
        await follow(editor, source, resource, wanted[f"{source}/{resource}"])

    return await _each(context, request, list(wanted), change, "advice-all-applied")


async def undo_all(context: PageContext, request: Request) -> Response:
    """Undo the applied advice that the person read."""
    found = await _read(context)
    if field(request, "digest") != found.undo_digest:
        return see_other(PATH, "advice-changed")

    async def change(source: str, resource: str) -> None:
        await undo(context.gateway.editor, source, resource)

    return await _each(context, request, found.undoable, change, "advice-all-undone")


async def _each(
    context: PageContext,
    request: Request,
    names: Sequence[str],
    change: Callable[[str, str], Awaitable[None]],
    done: str,
) -> Response:
    failed = []
    for name in names:
        source, _, resource = name.partition("/")
        try:
            await change(source, resource)
        except TidegateError as error:
            failed.append(Failed(resource=name, message=error.message, hint=error.hint))
    if not failed:
        return see_other(PATH, done)
    return _page(context, request, await _read(context), failed, len(names) - len(failed))


async def _read(context: PageContext) -> Everything:
    return everything(await advice.all_resources(context.gateway))


def _page(
    context: PageContext, request: Request, view: Everything, failed: Sequence[Failed] = (), changed: int = 0
) -> Response:
    status = 409 if failed else 200
    return context.templates.response(
        request, "compare_all.html", section="compare", status=status, view=view, failed=failed, changed=changed
    )
