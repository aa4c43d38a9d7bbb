"""The overview: is everything flowing, and if not, what and since when.

One snapshot of the books, the health of every sender, the last dozen events and the last refusals at the door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tidegate.answer import events, stats
from tidegate.answer.events import EventFilter
from tidegate.clock import rfc3339
from tidegate.dashboard import words
from tidegate.dashboard.charts import FlowLane, bounded, flow_map
from tidegate.dashboard.pages import health, lists
from tidegate.dashboard.render import SECURITY_HEADERS
from tidegate.dashboard.room import Room

if TYPE_CHECKING:
    from tidegate.gateway import Gateway

RECENT = 8
TROUBLES = 6
REFUSALS = 8
_HOUR_US = 3_600_000_000


async def page(room: Room, request: Request) -> Response:
    """`/`; with `?part=live` only what moves, for the page's own script."""
    view = await gather(room.gateway)
    if request.query_params.get("part") == "live":
        return HTMLResponse(room.pages.text("overview_live.html", **view), headers=SECURITY_HEADERS)
    return room.pages.page(request, "overview.html", room="overview", **view)


async def gather(gateway: Gateway) -> dict[str, Any]:
    snapshot = await stats.snapshot(gateway)
    found = await events.walk(gateway.store.log, EventFilter(), limit=RECENT)
    rows = await lists.rows(gateway, found.events)
    refusals = await gateway.store.settings.refusals(limit=REFUSALS)
    destinations = [health.destination(gateway, one, snapshot) for one in gateway.live.destinations.values()]
    sources = [health.source(one, snapshot, "") for one in gateway.live.sources.values()]
    return view(
        totals=snapshot.totals,
        sources=sources,
        destinations=destinations,
        events=rows,
        refusals=[
            {"at": rfc3339(one.at_us), "source": one.source, "reason": one.reason, "detail": one.detail}
            for one in refusals
            if gateway.clock.now_us() - one.at_us < 24 * _HOUR_US
        ],
    )


def view(
    *,
    totals: Any,
    sources: list[dict[str, Any]],
    destinations: list[dict[str, Any]],
    events: list[dict[str, Any]],
    refusals: list[dict[str, Any]],
) -> dict[str, Any]:
    """Everything the template needs, from plain figures. Pure."""
    troubles = [trouble for one in destinations for trouble in _troubles(one)]
    lanes_in = bounded([lane for one in sources for lane in source_lanes(one)], "sources", "/sources")
    lanes_out = bounded([destination_lane(one) for one in destinations], "destinations", "/destinations")
    settled = totals.delivered + totals.exhausted + totals.cancelled
    urgent = [one for one in troubles if one["sign"] == "exhausted"]
    return {
        "totals": totals,
        "headline": _headline(len(troubles), totals.accepted),
        "mood": "exhausted" if urgent else "retry" if troubles else "delivered" if totals.accepted else "pending",
        "subline": f"{words.plural(len(sources), 'source')} in, {words.plural(len(destinations), 'destination')} out.",
        "last_at": events[0]["received_at"] if events else None,
        "troubles": sorted(troubles, key=lambda one: one["sign"] != "exhausted")[:TROUBLES],
        "troubles_more": max(0, len(troubles) - TROUBLES),
        "routed_words": _routed(totals),
        "delivered_share": f"{words.percent(totals.delivered / settled)} of what is settled"
        if settled
        else "nothing sent yet",
        "waiting_words": "owed and not settled yet" if totals.pending else "everything is settled",
        "lanes_in": lanes_in,
        "lanes_out": lanes_out,
        "flow_wide": Markup(flow_map(lanes_in, lanes_out, events=totals.accepted)),  # noqa: S704 - escaped by the chart
        "flow_narrow": Markup(flow_map(lanes_in, lanes_out, events=totals.accepted, narrow=True)),  # noqa: S704
        "events": events,
        "refusals": refusals,
    }


def _routed(totals: Any) -> str:
    if totals.unrouted:
        return f"{words.plural(totals.unrouted, 'was', 'were')} wanted by no route"
    return "each was wanted by a route" if totals.accepted else "nothing has come yet"


def _headline(troubles: int, accepted: int) -> str:
    if troubles:
        return f"{words.plural(troubles, 'thing needs', 'things need')} attention"
    return "Everything is flowing" if accepted else "Ready, and nothing has come yet"


def _troubles(one: dict[str, Any]) -> list[dict[str, Any]]:
    """What an operator should look at, the urgent before the rest."""
    name, waiting = one["name"], words.plural(one["pending"], "delivery waits", "deliveries wait")
    found = []
    if one["paused"]:
        found.append(_trouble("paused", one["word"], f"{name} is not sent to. {waiting}.", one["paused_at"], name))
    elif one["circuit_open"]:
        said = f" Last: {one['last_error']}." if one["last_error"] else ""
        found.append(
            _trouble(
                "exhausted", "not answering", f"{name} has refused or failed.{said} {waiting}.", one["circuit_at"], name
            )
        )
    elif one["hold_until"]:
        found.append(_trouble("retry", "asked us to wait", f"{name} sent Retry-After. {waiting}.", None, name))
    if one["exhausted"]:
        letters = words.plural(one["exhausted"], "delivery was", "deliveries were")
        found.append(
            _trouble("exhausted", "dead letters", f"{letters} given up for {name} and can be replayed.", None, name)
        )
    return found


def _trouble(sign: str, word: str, text: str, since: str | None, name: str) -> dict[str, Any]:
    href = f"/destinations/{name}"
    return {"sign": sign, "word": word, "words": text, "since": since, "href": href, "action": f"Open {name}"}


def source_lanes(one: dict[str, Any]) -> list[FlowLane]:
    """A lane a way: a source that is both told and asked has two."""
    href = f"/events?source={one['name']}"
    lanes = []
    inlets = {inlet["way"] for inlet in one["inlets"]}
    if "push" in inlets or one["pushed"]:
        told = ", ".join(inlet["words"].split(",")[0] for inlet in one["inlets"] if inlet["way"] == "push")
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
        f"asked on demand {words.plural(pulls, 'time')}" if pulls else "nothing came yet" if inlets else "no inlet"
    )
    return lanes or [FlowLane(one["name"], "pull", 0, nothing, href)]


def destination_lane(one: dict[str, Any]) -> FlowLane:
    text = f"{words.count(one['delivered'])} delivered"
    if one["pending"]:
        text += f", {words.count(one['pending'])} waiting"
    if one["exhausted"]:
        text += f", {words.count(one['exhausted'])} dead"
    gap = "paused" if one["paused"] else "exhausted" if one["circuit_open"] else ""
    tone = (
        "off"
        if one["paused"]
        else "fail"
        if one["circuit_open"] or one["exhausted"]
        else "wait"
        if one["pending"]
        else ""
    )
    href = f"/destinations/{one['name']}"
    return FlowLane(one["name"], "push", one["delivered"], text, href, gap, tone, one["pending"])
