"""The list of destinations, and one of them: its health, its settings, its pending deliveries and dead letters.

Owns the view models of both pages. Reads through `query/`; shows no secret.
"""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.config.checks import names_of
from tidegate.core import spec as config
from tidegate.core.errors import NotFound
from tidegate.core.findings import Finding
from tidegate.dashboard import badges, formatting
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import lists, summaries
from tidegate.dashboard.pages.actions import LastTest, last_test
from tidegate.dashboard.pages.summaries import DestinationSummary
from tidegate.kinds import kind_of
from tidegate.query import deliveries, pending, render_failures, stats
from tidegate.query.schemas import DeliverySchema
from tidegate.runtime import ActiveDestination

SHOWN = 20


class Reason(Struct, kw_only=True):
    """Why deliveries do not flow: a sentence without its full stop, an instant that ends it, and the remedy."""

    text: str = ""
    at: str | None = None
    remedy: str = ""


class DeliveryRow(Struct, kw_only=True):
    """One delivery of the destination in a list."""

    event: str
    event_type: str
    source: str
    icon: str
    label: str
    attempts: int
    next_attempt_at: str | None
    last_at: str | None


class RouteLine(Struct, kw_only=True):
    name: str
    label: str


class DestinationPage(Struct, kw_only=True):
    """Everything that the template shows."""

    summary: DestinationSummary
    reason: Reason
    in_flight: str
    settings: list[tuple[str, str]]
    pending: list[DeliveryRow]
    oldest_at: str | None
    dead: list[DeliveryRow]
    routes: list[RouteLine]
    test: LastTest | None
    findings: list[Finding]  # what cannot be rendered, by cause


async def show_list(context: PageContext, request: Request) -> Response:
    snapshot = await stats.snapshot(context.gateway)
    known = context.gateway.active.destinations
    shown = {name: summaries.destination(context.gateway, one, snapshot) for name, one in known.items()}
    bad = sum(1 for one in shown.values() if one.icon in ("exhausted", "paused", "retry"))
    state = f"{formatting.plural(bad, 'needs', 'need')} attention" if bad else "all healthy"
    names, pager = lists.paged(list(known), request)
    return context.templates.response(
        request,
        "destinations.html",
        section="destinations",
        destinations=[shown[name] for name in names],
        subline=f"{formatting.plural(len(known), 'destination')}, {state}.",
        pager=pager,
    )


async def show(context: PageContext, request: Request) -> Response:
    """`/destinations/NAME`."""
    gateway, name = context.gateway, request.path_params["name"]
    live = gateway.active.destinations.get(name)
    if live is None:
        raise NotFound(f"there is no destination {name[:80]!r}")
    snapshot = await stats.snapshot(gateway)
    summary = summaries.destination(gateway, live, snapshot)
    waiting = await pending.oldest(gateway, name, SHOWN) if summary.pending else []
    dead: list[DeliverySchema] = []
    if summary.exhausted:
        dead = (await deliveries.list_deliveries(gateway, destination=name, state="exhausted", limit=SHOWN)).data
    shown = view(summary, live)
    shown.pending = [row_of(one.delivery) for one in waiting]
    shown.oldest_at = waiting[0].received_at if waiting else None
    shown.dead = [row_of(one) for one in dead]
    shown.routes = [
        RouteLine(name=route.name, label=_route_label(route.spec))
        for route in gateway.active.routes.values()
        if name in names_of(route.spec.to)
    ]
    shown.test = last_test(gateway, live.number)
    if summary.exhausted:
        rendered = await render_failures.findings(gateway, snapshot)
        shown.findings = [one for one in rendered if one.name == name]
    undo = _undo(name, request.query_params.get("done", ""))
    return context.templates.response(request, "destination.html", section="destinations", view=shown, undo=undo)


def _undo(name: str, done: str) -> tuple[str, str] | None:
    """(action, label) of the button that takes back what was just done."""
    if done == "paused":
        return f"/destinations/{name}/resume", f"Resume {name}"
    return (f"/destinations/{name}/pause", f"Pause {name} again") if done == "resumed" else None


def view(summary: DestinationSummary, live: ActiveDestination) -> DestinationPage:
    """The page without its lists. Pure."""
    in_flight = f"{formatting.count(summary.in_flight)} in flight" if summary.in_flight else "none in flight"
    return DestinationPage(
        summary=summary,
        reason=_reason(summary, live.pause_reason),
        in_flight=in_flight if summary.pending else "up to date with the log",
        settings=_settings(live.spec),
        pending=[],
        oldest_at=None,
        dead=[],
        routes=[],
        test=None,
        findings=[],
    )


def _reason(summary: DestinationSummary, pause_reason: str) -> Reason:
    if summary.paused:
        text, remedy = {
            "gone": ("The destination answered 410 Gone", "correct its `url`, then resume it"),
            "left_file": (
                "The destination is no longer in the configuration file",
                "put it back, or delete it with its pending deliveries: tidegate config apply --prune",
            ),
        }.get(pause_reason, ("Paused by an operator", "deliveries stay pending until you resume it"))
        return Reason(text=text, at=summary.paused_at, remedy=remedy)
    if summary.circuit_open:
        text = formatting.sentence(summary.failure) + " Only probes are sent"
        text += ", the next" if summary.probe_at else "; one is in flight"
        return Reason(text=text, at=summary.probe_at, remedy=summary.remedy)
    if summary.hold_until:
        return Reason(text="The destination sent Retry-After. Deliveries continue", at=summary.hold_until)
    if summary.pending and summary.retrying:
        failed = f": {summary.failure}" if summary.failure else ""
        return Reason(text=f"All pending deliveries wait for a retry{failed}", remedy=summary.remedy)
    return Reason()


def _settings(spec: config.Destination) -> list[tuple[str, str]]:
    return [
        ("Type", kind_of(spec).title),
        ("Concurrency", formatting.plural(spec.concurrency, "request")),
        ("Rate", spec.rate or "no limit"),
        ("Timeout", spec.timeout),
        ("Retry schedule", ", ".join(spec.retry) or "no retries"),
        ("Give up after", spec.give_up_after),
        ("Ordering key", spec.ordered_by or "none"),
        *kind_of(spec).settings(spec),
        *_connection(spec),
    ]


def _connection(spec: config.Destination) -> list[tuple[str, str]]:
    options = kind_of(spec).connect_options(spec)
    if options is None:
        return []
    found = [("Certificate authority", "own")] if options.ca else []
    found += [("Client certificate", "shown in the TLS handshake")] if options.certificate is not None else []
    proxy = options.proxy
    return found + ([("Proxy", f"{proxy.scheme}://{proxy.host}:{proxy.port}")] if proxy is not None else [])


def _route_label(spec: config.Route) -> str:
    wanted = []
    if isinstance(spec.types, list):
        wanted.append("types " + ", ".join(spec.types))
    if isinstance(spec.changes, list):
        wanted.append("changes of " + ", ".join(spec.changes))
    text = f"from {', '.join(names_of(spec.from_))}: {'; '.join(wanted) or 'all events'}"
    text += ", filtered" if spec.filter else ""
    text += ", transformed" if spec.transform is not None else ""
    return text if spec.enabled else f"{text} (disabled)"


def row_of(one: DeliverySchema) -> DeliveryRow:
    exhausted = one.state == "exhausted"
    badge = badges.of_dead_letter(one) if exhausted else badges.of_delivery(one.state, len(one.attempts))
    return DeliveryRow(
        event=one.event,
        event_type=one.event_type[:120],
        source=one.source,
        icon=badge.icon,
        label=badge.label,
        attempts=len(one.attempts),
        next_attempt_at=one.next_attempt_at,
        last_at=one.attempts[-1].started_at if one.attempts else None,
    )
