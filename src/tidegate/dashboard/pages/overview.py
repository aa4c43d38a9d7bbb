"""The overview: is everything flowing, and if not, what and since when.

One snapshot of the counters, the health of every sender, the last dozen events and the last rejections at the door.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tidegate.core.clock import rfc3339
from tidegate.dashboard import formatting as words
from tidegate.dashboard.charts import FlowLane, bounded, flow_map
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import health, lists
from tidegate.dashboard.render import SECURITY_HEADERS
from tidegate.query import events, feeding, stats
from tidegate.query import health as troubles
from tidegate.query.events import EventFilter
from tidegate.query.health import URGENT, Trouble
from tidegate.query.schemas import Totals

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

RECENT = 8
TROUBLES = 5
REFUSALS = 8
_HOUR_US = 3_600_000_000
_SIGNS = {"failing": "exhausted", "dead_letters": "exhausted", "paused": "paused", "waiting": "retry"}


async def page(context: PageContext, request: Request) -> Response:
    """`/`; with `?part=live` only what moves, for the page's own script."""
    view = await gather(context.gateway)
    if request.query_params.get("part") == "live":
        return HTMLResponse(context.pages.text("overview_live.html", **view), headers=SECURITY_HEADERS)
    return context.pages.page(request, "overview.html", section="overview", **view)


async def gather(gateway: Gateway) -> dict[str, Any]:
    snapshot = await stats.snapshot(gateway)
    found = await events.walk(gateway.store.log, EventFilter(), limit=RECENT)
    rows = await lists.rows(gateway, found.events)
    rejections = await gateway.store.settings.rejections(limit=REFUSALS)
    destinations = [health.destination(gateway, one, snapshot) for one in gateway.active.destinations.values()]
    sources = [health.source(one, snapshot, "") for one in gateway.active.sources.values()]
    return view(
        nodes=[node.partitions for node in await gateway.store.leases.nodes()],
        totals=snapshot.totals,
        fed=feeding.fed_unrouted(snapshot),
        sources=sources,
        destinations=destinations,
        events=rows,
        troubles=troubles.find(gateway, snapshot),
        rejections=[
            {"at": rfc3339(one.at_us), "source": one.source, "reason": one.reason, "detail": one.detail}
            for one in rejections
            if gateway.clock.now_us() - one.at_us < 24 * _HOUR_US
        ],
    )


def nodes_words(partitions: Sequence[int]) -> str:
    """Where there are several nodes: how many, and whether they share the work. `partitions`: this one's first."""
    if len(partitions) < 2:
        return ""
    return f" {len(partitions)} nodes: this one holds {partitions[0]} of {sum(partitions)} partitions."


def view(
    *,
    totals: Totals,
    sources: list[dict[str, Any]],
    destinations: list[dict[str, Any]],
    events: list[dict[str, Any]],
    troubles: list[Trouble],
    rejections: list[dict[str, Any]],
    fed: int = 0,
    nodes: Sequence[int] = (),
) -> dict[str, Any]:
    """Everything the template needs, from plain figures. Pure."""
    shown = [_shown(one) for one in troubles]
    lanes_in = bounded([lane for one in sources for lane in source_lanes(one)], "sources", "/sources")
    lanes_out = bounded([destination_lane(one) for one in destinations], "destinations", "/destinations")
    settled = totals.delivered + totals.exhausted + totals.canceled
    urgent = any(one.state in URGENT for one in troubles)
    return {
        "totals": totals,
        "headline": _headline(len(troubles), totals.accepted),
        "mood": "exhausted" if urgent else "retry" if troubles else "delivered" if totals.accepted else "pending",
        "subline": f"{words.plural(len(sources), 'source')} in, {words.plural(len(destinations), 'destination')} out."
        + nodes_words(nodes),
        "last_at": events[0]["received_at"] if events else None,
        "troubles": shown[:TROUBLES],
        "troubles_more": max(0, len(troubles) - TROUBLES),
        "routed_words": _routed(totals.accepted, totals.unrouted, min(fed, totals.unrouted)),
        "delivered_share": f"{words.percent(totals.delivered / settled)} of what is settled"
        if settled
        else "nothing sent yet",
        "waiting_words": "owed and not settled yet" if totals.pending else "everything is settled",
        "lanes_in": lanes_in,
        "lanes_out": lanes_out,
        "flow_wide": Markup(flow_map(lanes_in, lanes_out, events=totals.accepted)),  # noqa: S704 - escaped by the chart
        "flow_narrow": Markup(flow_map(lanes_in, lanes_out, events=totals.accepted, narrow=True)),  # noqa: S704
        "events": events,
        "rejections": rejections,
    }


def _routed(accepted: int, unrouted: int, fed: int) -> str:
    """What became of all events: `fed` of the unrouted are webhooks that moved a record, which is no fault."""
    if not accepted:
        return "nothing has come yet"
    lost = unrouted - fed
    if not fed:
        return f"{words.plural(lost, 'was', 'were')} wanted by no route" if lost else "each was wanted by a route"
    parts = [f"{words.count(accepted - unrouted)} went by a route", f"{words.count(fed)} fed a record"]
    return ", ".join(parts + [f"{words.count(lost)} wanted by neither"] * bool(lost))


def _headline(troubles: int, accepted: int) -> str:
    if troubles:
        return f"{words.plural(troubles, 'thing needs', 'things need')} attention"
    return "Everything is flowing" if accepted else "Ready, and nothing has come yet"


def _shown(one: Trouble) -> dict[str, Any]:
    """A trouble as a line: sign, sentence, what to do, and where to go."""
    return {
        "sign": _SIGNS[one.state],
        "word": one.word,
        "words": f"{one.name}: {one.what}.",
        "hint": one.hint,
        "since": one.since,
        "href": f"/destinations/{one.name}" if one.kind == "destination" else "/sources",
        "action": f"Open {one.name}" if one.kind == "destination" else "Open sources",
    }


def source_lanes(one: dict[str, Any]) -> list[FlowLane]:
    """A lane a way: a source that is both told and asked has two."""
    href = f"/events?source={one['name']}"
    lanes = []
    inputs = {input["way"] for input in one["inputs"]}
    if "push" in inputs or one["pushed"]:
        told = ", ".join(input["words"].split(",")[0] for input in one["inputs"] if input["way"] == "push")
        lanes.append(
            FlowLane(
                one["name"], "push", one["pushed"], f"{words.plural(one['pushed'], 'event')} by {told or 'push'}", href
            )
        )
    if one["requests"] or one["pulled"] or any(resource["asked"] for resource in one["resources"]):
        text = f"{words.plural(one['pulled'], 'change')} in {words.plural(one['requests'] or 0, 'request')}"
        lanes.append(FlowLane(one["name"], "pull", one["pulled"], text, href))
    pulls = sum(resource["pulls"] for resource in one["resources"])
    nothing = (
        f"asked on demand {words.plural(pulls, 'time')}" if pulls else "nothing came yet" if inputs else "no input"
    )
    return lanes or [FlowLane(one["name"], "pull", 0, nothing, href)]


def destination_lane(one: dict[str, Any]) -> FlowLane:
    text = f"{words.count(one['delivered'])} delivered"
    if one["pending"]:
        text += f", {words.count(one['pending'])} waiting"
    if one["exhausted"]:
        text += f", {words.count(one['exhausted'])} dead"
    gap = "paused" if one["paused"] else "exhausted" if one["circuit_open"] else ""
    if one["paused"]:
        tone = "off"
    elif one["circuit_open"] or one["exhausted"]:
        tone = "fail"
    else:
        tone = "wait" if one["pending"] else ""
    href = f"/destinations/{one['name']}"
    return FlowLane(one["name"], "push", one["delivered"], text, href, gap, tone, one["pending"])
