"""The conflicts: two systems changed the same fields of a record, and a person says which value stays.

Owns the view of this page and its one action, which is that of the API. Keeps nothing.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.conflicts import resolve as decide
from tidegate.core.errors import BadRequest
from tidegate.dashboard import formatting
from tidegate.dashboard.page_context import PageContext, field, see_other
from tidegate.query.conflicts import ConflictSchema, list_conflicts

BY = "dashboard"
MAX_SHOWN = 100
MAX_VALUE_CHARACTERS = 200


async def show(context: PageContext, request: Request) -> Response:
    """`/conflicts`."""
    found = (await list_conflicts(context.gateway, every=True))[:MAX_SHOWN]
    held = [one for one in found if one.state == "held"]
    subline = f"{formatting.plural(len(held), 'conflict')} held, {len(found) - len(held)} decided in the last 30 days."
    return context.templates.response(
        request, "conflicts.html", section="alerts", subline=subline, rows=[(one, fields(one)) for one in found]
    )


def fields(one: ConflictSchema) -> list[tuple[str, str, str]]:
    """(field, incoming value, current value) of a conflict."""
    return [(name, _shown(one.incoming.values.get(name)), _shown(value)) for name, value in one.current.values.items()]


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 3] + "..."


async def resolve(context: PageContext, request: Request) -> Response:
    use = field(request, "use")
    if use not in ("incoming", "current"):
        raise BadRequest(f"{use[:40]!r} is neither incoming nor current", hint="load the page again")
    await decide(context.gateway, request.path_params["id"], "incoming" if use == "incoming" else "current", BY)
    return see_other("/conflicts", "conflict-resolved")
