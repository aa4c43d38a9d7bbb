"""The alerts: what is reported now, who acknowledged or muted it, and the last system events.

Owns the view of this page and its three actions, which are those of the API. Keeps nothing.
"""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.alerts import marks
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.dashboard import formatting
from tidegate.dashboard.page_context import PageContext, field, see_other
from tidegate.dashboard.pages import lists
from tidegate.dashboard.pages.lists import EventRow
from tidegate.query import events
from tidegate.query.alerts import AlertList, AlertSchema, list_alerts
from tidegate.query.events import EventFilter
from tidegate.rules.alerts.kinds import SYSTEM_TYPES

RECENT = 20
BY = "dashboard"
SPANS = (("1h", "for 1 hour"), ("1d", "for 1 day"), ("7d", "for 7 days"), ("forever", "without an end"))


class AlertLine(Struct, kw_only=True):
    """An alert as a row. `state`: firing, acknowledged or muted; `icon` and `label` are its badge."""

    alert: AlertSchema
    icon: str
    label: str
    decided: str
    until: str | None


class AlertsPage(Struct, kw_only=True):
    """Everything that the template shows."""

    subline: str
    lines: list[AlertLine]
    mutes: list[tuple[str, str, str | None, str]]  # type, subject, until, by whom and why
    events: list[EventRow]
    routed: bool  # whether a route takes system events


async def show(context: PageContext, request: Request) -> Response:
    """`/alerts`."""
    gateway = context.gateway
    recent = await events.walk(gateway.store.log, EventFilter(source=SYSTEM_SOURCE), limit=RECENT)
    shown = view(await list_alerts(gateway))
    shown.events = await lists.event_rows(gateway, recent.events)
    shown.routed = any(
        gateway.active.decision_today(SYSTEM_SOURCE, type_, dict, None).considered for type_ in SYSTEM_TYPES
    )
    return context.templates.response(request, "alerts.html", section="alerts", view=shown, spans=SPANS)


def view(found: AlertList) -> AlertsPage:
    """The page without its events. Pure."""
    firing = sum(one.state == "firing" for one in found.data)
    text = f"{formatting.plural(firing, 'alert')} firing, {len(found.data) - firing} acknowledged or muted."
    return AlertsPage(
        subline=text if found.enabled else "Alerts are off: [alerts] enabled = false in the configuration file.",
        lines=[_line(one) for one in found.data],
        mutes=[(one.type, one.subject, one.until, _by(one.by, one.note)) for one in found.mutes],
        events=[],
        routed=True,
    )


def _line(one: AlertSchema) -> AlertLine:
    icon = {"error": "exhausted", "warning": "retry"}.get(one.severity, "pending")
    decided = "" if one.state == "firing" else f"{one.state}{_by(one.by, one.note)}"
    return AlertLine(
        alert=one,
        icon="filtered" if one.state != "firing" else icon,
        label=one.label,
        decided=decided,
        until=one.muted_until if one.state == "muted" else None,
    )


def _by(by: str, note: str) -> str:
    return (f" by {by}" if by else "") + (f": {note}" if note else "")


async def acknowledge(context: PageContext, request: Request) -> Response:
    await marks.acknowledge(context.gateway, field(request, "type"), field(request, "subject"), BY)
    return see_other("/alerts", "acknowledged")


async def mute(context: PageContext, request: Request) -> Response:
    span = field(request, "for") or "1h"
    await marks.mute(context.gateway, field(request, "type"), field(request, "subject"), span, (BY, ""))
    return see_other("/alerts", "muted")


async def unmute(context: PageContext, request: Request) -> Response:
    await marks.unmute(context.gateway, field(request, "type"), field(request, "subject"), BY)
    return see_other("/alerts", "unmuted")
