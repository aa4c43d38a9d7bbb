"""The list of destinations, and one of them: is it well, how far behind, what is sent next and when."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tidegate.config.checks import names_of
from tidegate.core import spec as config
from tidegate.core.errors import NotFound
from tidegate.dashboard import badges as signs
from tidegate.dashboard import formatting as words
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import health, lists
from tidegate.dashboard.pages.actions import last_test
from tidegate.kinds import kind_of
from tidegate.query import deliveries, stats
from tidegate.query import pending as queue
from tidegate.query.schemas import DeliverySchema
from tidegate.runtime import ActiveDestination

SHOWN = 20


async def page(context: PageContext, request: Request) -> Response:
    snapshot = await stats.snapshot(context.gateway)
    known = context.gateway.active.destinations
    looks = [health.destination(context.gateway, one, snapshot)["sign"] for one in known.values()]
    bad = sum(1 for look in looks if look in ("exhausted", "paused", "retry"))
    subline = f"{words.plural(len(known), 'receiver')}, {f'{bad} of them not well' if bad else 'all well'}."
    names, turn = lists.turned(list(known), request)
    return context.pages.page(
        request,
        "destinations.html",
        section="destinations",
        destinations=[health.destination(context.gateway, known[name], snapshot) for name in names],
        subline=subline,
        turn=turn,
    )


async def one(context: PageContext, request: Request) -> Response:
    """`/destinations/NAME`."""
    gateway, name = context.gateway, request.path_params["name"]
    live = gateway.active.destinations.get(name)
    if live is None:
        raise NotFound(f"there is no destination {name[:80]!r}")
    snapshot = await stats.snapshot(gateway)
    shown = health.destination(gateway, live, snapshot)
    waiting = await queue.oldest(gateway, name, SHOWN) if shown["pending"] else []
    dead = []
    if shown["exhausted"]:
        dead = (await deliveries.page(gateway, destination=name, state="exhausted", limit=SHOWN)).data
    return context.pages.page(
        request,
        "destination.html",
        section="destinations",
        d=view(shown, live),
        waiting=[_row(one.delivery) for one in waiting],
        oldest_at=waiting[0].received_at if waiting else None,
        undo=_undo(name, request.query_params.get("done", "")),
        dead=[_row(one) for one in dead],
        routes=[
            {"name": route.name, "words": _route_words(route.spec)}
            for route in gateway.active.routes.values()
            if name in names_of(route.spec.to)
        ],
        test=last_test(gateway, live.number),
    )


def _undo(name: str, done: str) -> tuple[str, str] | None:
    """(action, word) that takes back what was just done."""
    if done == "paused":
        return f"/destinations/{name}/resume", f"Resume {name}"
    return (f"/destinations/{name}/pause", f"Pause {name} again") if done == "resumed" else None


def view(shown: dict[str, Any], live: ActiveDestination) -> dict[str, Any]:
    why, why_at, meaning = "", None, ""
    if shown["paused"]:
        why, meaning = {
            "gone": ("It answered 410 Gone", "It is not sent to until it is resumed."),
            "left_file": ("It left the configuration file", "Its backlog is kept until config apply --prune."),
        }.get(live.pause_reason, ("Paused by a person", "Events keep waiting for it."))
        why_at = shown["paused_at"]
    elif shown["circuit_open"]:
        why, why_at, meaning = words.sentence(shown["fails"]), shown["probe_at"], shown["advice"]
        why += " One delivery at a time goes out as a probe, the next" if why_at else " A probe is on its way now"
    elif shown["hold_until"]:
        why, why_at = "It asked us to wait (Retry-After). Sending goes on", shown["hold_until"]
    elif shown["pending"] and shown["retrying"]:
        failed = f": {shown['fails']}" if shown["fails"] else ""
        why, meaning = f"What waits, waits for a retry{failed}", shown["advice"]
    flying = f"{words.count(shown['in_flight'])} on their way now" if shown["in_flight"] else "none on its way now"
    if not shown["pending"]:
        flying = "it is up to date with the log"
    return {
        **shown,
        "why": why,
        "why_at": why_at,
        "meaning": meaning,
        "sending_words": flying,
        "settings": _settings(live.spec),
    }


def _settings(spec: config.Destination) -> list[tuple[str, str]]:
    return [
        ("Type", kind_of(spec).title),
        ("At once", words.plural(spec.concurrency, "request")),
        ("Rate", spec.rate or "no limit"),
        ("Timeout", spec.timeout),
        ("Waits between tries", ", ".join(spec.retry) or "none: one try"),
        ("Gives up after", spec.give_up_after),
        ("In order by", spec.ordered_by or "no order asked for"),
        *kind_of(spec).settings(spec),
    ]


def _route_words(spec: config.Route) -> str:
    wanted = []
    if isinstance(spec.types, list):
        wanted.append("types " + ", ".join(spec.types))
    if isinstance(spec.changes, list):
        wanted.append("changes of " + ", ".join(spec.changes))
    text = f"from {', '.join(names_of(spec.from_))}: {'; '.join(wanted) or 'everything that comes in'}"
    text += ", filtered" if spec.filter else ""
    text += ", transformed" if spec.transform is not None else ""
    return text if spec.enabled else f"{text} (off)"


def _row(one: DeliverySchema) -> dict[str, Any]:
    sign = signs.delivery(one.state, len(one.attempts))
    return {
        "event": one.event,
        "event_type": one.event_type[:120],
        "source": one.source,
        "sign": sign.sign,
        "word": signs.cause(one)[:80] if one.state == "exhausted" else sign.word,
        "attempts": one.attempts,
        "next_attempt_at": one.next_attempt_at,
        "last_at": one.attempts[-1].started_at if one.attempts else None,
    }
