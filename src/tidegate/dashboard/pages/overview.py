"""The overview: whether all systems are healthy, and if not, what is wrong, since when and what to do.

Owns the view model of this page. Reads one snapshot of the counters, the findings, the last events and the last
rejected requests. `view` is pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tidegate.core.finding_codes import Severity
from tidegate.core.findings import Finding
from tidegate.dashboard import badges, formatting
from tidegate.dashboard.charts import FlowLane, bounded, flow_map
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import lists, summaries
from tidegate.dashboard.pages.lists import EventRow
from tidegate.dashboard.pages.summaries import DestinationSummary, SourceSummary
from tidegate.dashboard.render import SECURITY_HEADERS
from tidegate.query import events, feeding, stats
from tidegate.query.all_findings import all_findings
from tidegate.query.events import EventFilter, instant
from tidegate.query.schemas import RejectionSchema, Totals

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

RECENT = 8
FINDINGS = 5
REJECTIONS = 8
_DAY_US = 86_400_000_000


class FindingLine(Struct, kw_only=True):
    """A finding as a line: badge, sentence, remedy, and the page to open."""

    icon: str
    label: str
    text: str
    remedy: str
    since: str | None
    href: str
    action: str


class Overview(Struct, kw_only=True):
    """Everything that the template shows."""

    totals: Totals
    headline: str
    mood: str
    subline: str
    last_at: str | None
    findings: list[FindingLine]
    findings_more: int
    routed: str
    delivered_share: str
    pending: str
    lanes_in: list[FlowLane]
    lanes_out: list[FlowLane]
    flow_wide: str
    flow_narrow: str
    events: list[EventRow]
    rejections: list[RejectionSchema]


class Snapshot(Struct, kw_only=True):
    """What the overview is made from. `updated`: unrouted events that updated a record; `nodes`: partitions by node."""

    totals: Totals
    sources: list[SourceSummary]
    destinations: list[DestinationSummary]
    events: list[EventRow]
    findings: list[Finding]
    rejections: list[RejectionSchema]
    updated: int = 0
    nodes: Sequence[int] = ()


async def show(context: PageContext, request: Request) -> Response:
    """`/`; with `?part=live` only what changes, for the page's own script."""
    shown = view(await gather(context.gateway))
    if request.query_params.get("part") == "live":
        return HTMLResponse(context.templates.text("overview_live.html", view=shown), headers=SECURITY_HEADERS)
    return context.templates.response(request, "overview.html", section="overview", view=shown)


async def gather(gateway: Gateway) -> Snapshot:
    counted = await stats.snapshot(gateway)
    found = await events.walk(gateway.store.log, EventFilter(), limit=RECENT)
    now_us = gateway.clock.now_us()
    return Snapshot(
        totals=counted.totals,
        sources=[summaries.source(one, counted, "") for one in gateway.active.sources.values()],
        destinations=[summaries.destination(gateway, one, counted) for one in gateway.active.destinations.values()],
        events=await lists.event_rows(gateway, found.events),
        findings=await all_findings(gateway, counted),
        rejections=[
            RejectionSchema(instant(one.at_us), one.source, one.reason, one.detail, one.remote)
            for one in await gateway.store.settings.rejections(limit=REJECTIONS)
            if now_us - one.at_us < _DAY_US
        ],
        updated=feeding.unrouted_updates(counted),
        nodes=[node.partitions for node in await gateway.store.leases.nodes()],
    )


def view(seen: Snapshot) -> Overview:
    totals = seen.totals
    urgent = [one for one in seen.findings if one.severity is not Severity.NOTICE]
    quiet = [one for one in urgent if one.muted_until or one.acknowledged_at]
    lines = [_line(one) for one in (*(one for one in urgent if one not in quiet), *quiet)]
    lanes_in = bounded([lane for one in seen.sources for lane in source_lanes(one)], "sources", "/sources")
    lanes_out = bounded([destination_lane(one) for one in seen.destinations], "destinations", "/destinations")
    finished = totals.delivered + totals.exhausted + totals.canceled
    share = f"{formatting.percent(totals.delivered / finished)} of finished deliveries" if finished else ""
    return Overview(
        totals=totals,
        headline=_headline(len(lines) - len(quiet), totals.accepted),
        mood=_mood([one for one in seen.findings if one not in quiet], totals.accepted),
        subline=_subline(seen),
        last_at=seen.events[0].received_at if seen.events else None,
        findings=lines[:FINDINGS],
        findings_more=max(0, len(lines) - FINDINGS),
        routed=_routed(totals.accepted, totals.unrouted, min(seen.updated, totals.unrouted)),
        delivered_share=share or "no deliveries yet",
        pending="deliveries not finished yet" if totals.pending else "all deliveries are finished",
        lanes_in=lanes_in,
        lanes_out=lanes_out,
        flow_wide=Markup(flow_map(lanes_in, lanes_out, events=totals.accepted)),  # noqa: S704 - escaped by the chart
        flow_narrow=Markup(flow_map(lanes_in, lanes_out, events=totals.accepted, narrow=True)),  # noqa: S704
        events=seen.events,
        rejections=seen.rejections,
    )


def _subline(seen: Snapshot) -> str:
    plural = formatting.plural
    text = f"{plural(len(seen.sources), 'source')} in, {plural(len(seen.destinations), 'destination')} out."
    return text + nodes_label(seen.nodes)


def nodes_label(partitions: Sequence[int]) -> str:
    """With several nodes: how many, and how they share the work. `partitions`: this node's first."""
    if len(partitions) < 2:
        return ""
    return f" {len(partitions)} nodes: this one has {partitions[0]} of {sum(partitions)} partitions."


def _mood(found: Sequence[Finding], accepted: int) -> str:
    """The icon beside the headline."""
    if any(one.severity is Severity.ERROR for one in found):
        return "exhausted"
    if any(one.severity is Severity.WARNING for one in found):
        return "retry"
    return "delivered" if accepted else "pending"


def _routed(accepted: int, unrouted: int, updated: int) -> str:
    """Where all events went. `updated` of the unrouted ones are webhooks that updated a record."""
    if not accepted:
        return "none received yet"
    lost = unrouted - updated
    if not updated:
        return f"{formatting.count(lost)} without a route" if lost else "all routed"
    parts = [f"{formatting.count(accepted - unrouted)} routed", f"{formatting.count(updated)} updated a record"]
    return ", ".join(parts + [f"{formatting.count(lost)} without a route"] * bool(lost))


def _headline(findings: int, accepted: int) -> str:
    if findings:
        return f"{formatting.plural(findings, 'finding needs', 'findings need')} attention"
    return "All systems healthy" if accepted else "Ready for the first event"


def _line(one: Finding) -> FindingLine:
    badge = badges.of_finding(one)
    hrefs = {"destination": (f"/destinations/{one.name}", one.name), "resource": ("/sources", "sources")}
    href, place = hrefs.get(one.kind, ("/sources" if one.kind == "source" else "", one.name))
    return FindingLine(
        icon=badge.icon,
        label=badge.label,
        text=f"{one.name}: {one.summary}" + _decided(one),
        remedy=one.remedy,
        since=one.first_at,
        href=href,
        action=f"Open {place}",
    )


def _decided(one: Finding) -> str:
    return " (muted)" if one.muted_until else " (acknowledged)" if one.acknowledged_at else ""


def source_lanes(one: SourceSummary) -> list[FlowLane]:
    """One lane for each way: a source with webhooks and polls has two."""
    href = f"/events?source={one.name}"
    lanes = []
    ways = {input.way for input in one.inputs}
    if "push" in ways or one.pushed:
        inputs = ", ".join(input.label.split(",")[0] for input in one.inputs if input.way == "push")
        text = f"{formatting.plural(one.pushed, 'event')} by {inputs or 'push'}"
        lanes.append(FlowLane(one.name, "push", one.pushed, text, href))
    if one.requests or one.pulled or any(resource.polled for resource in one.resources):
        text = f"{formatting.plural(one.pulled, 'change')} in {formatting.plural(one.requests or 0, 'request')}"
        lanes.append(FlowLane(one.name, "pull", one.pulled, text, href))
    return lanes or [FlowLane(one.name, "pull", 0, _idle(one), href)]


def _idle(one: SourceSummary) -> str:
    pulls = sum(resource.pulls for resource in one.resources)
    if pulls:
        return f"pulled on demand {formatting.plural(pulls, 'time')}"
    return "no events yet" if one.inputs else "no input"


def destination_lane(one: DestinationSummary) -> FlowLane:
    text = f"{formatting.count(one.delivered)} delivered"
    if one.pending:
        text += f", {formatting.count(one.pending)} pending"
    if one.exhausted:
        text += f", {formatting.count(one.exhausted)} dead"
    gap = "paused" if one.paused else "exhausted" if one.circuit_open else ""
    if one.paused:
        tone = "off"
    elif one.circuit_open or one.exhausted:
        tone = "fail"
    else:
        tone = "wait" if one.pending else ""
    return FlowLane(one.name, "push", one.delivered, text, f"/destinations/{one.name}", gap, tone, one.pending)
