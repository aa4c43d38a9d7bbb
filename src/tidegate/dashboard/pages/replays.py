"""Replays: what runs and what ran, a form that counts first, a question, and a button that ends one while it runs.

Owns `/replays`. Counting is a dry run and changes nothing, so it is a GET. `line_of` and `words_of` are pure. Keeps
nothing; jobs are in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.parameters import instant
from tidegate.core.errors import BadRequest
from tidegate.dashboard import formatting
from tidegate.dashboard.page_context import PageContext, field, see_other
from tidegate.deliver import ReplayQuery
from tidegate.query import replays
from tidegate.query.schemas import ReplaySchema

COUNT_SECONDS = 10.0
LINES = 30
NAMES = 100
STATES = ("exhausted", "pending", "delivered", "canceled")
FIELDS = ("source", "destination", "type", "state", "since", "until")


class ReplayLine(Struct, kw_only=True):
    """One job. `done`: the share of its span that is read, 1 at the end."""

    id: str
    selection: str
    created_at: str
    matched: int
    reopened: int
    done: float
    icon: str
    label: str
    running: bool


class ReplaysPage(Struct, kw_only=True):
    """`counted`: what the selection matches now; None when nothing is selected yet."""

    lines: list[ReplayLine]
    running: bool
    sources: list[str]
    destinations: list[str]
    states: tuple[str, ...]
    asked: dict[str, str]
    counted: int | None
    selection: str


async def show(context: PageContext, request: Request) -> Response:
    """`/replays?destination=...&state=...`: with a selection, it is counted and the question is asked."""
    gateway = context.gateway
    asked = {name: request.query_params.get(name, "").strip()[:200] for name in FIELDS}
    counted = None
    if any(asked.values()):
        query = _query(asked, gateway.clock.now_us(), dry_run=True)
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                counted = (await gateway.deliver.replay(query)).matched
        except TimeoutError:
            hint = "select a shorter time, or count with: tidegate replay --dry-run"
            raise BadRequest(f"counting takes longer than {COUNT_SECONDS:g} s", hint=hint) from None
    lines = [line_of(one) for one in (await replays.list_replays(gateway))[:LINES]]
    page = ReplaysPage(
        lines=lines,
        running=any(one.running for one in lines),
        sources=sorted(gateway.active.sources)[:NAMES],
        destinations=sorted(gateway.active.destinations)[:NAMES],
        states=STATES,
        asked=asked,
        counted=counted,
        selection=words_of({name: value for name, value in asked.items() if value}),
    )
    return context.templates.response(request, "replays.html", section="events", view=page)


async def start(context: PageContext, request: Request) -> Response:
    """Start what the question was about."""
    asked = {name: field(request, name).strip()[:200] for name in FIELDS}
    await context.gateway.deliver.replay(_query(asked, context.gateway.clock.now_us(), dry_run=False))
    return see_other("/replays", "replayed")


async def cancel(context: PageContext, request: Request) -> Response:
    await context.gateway.deliver.cancel_replay(request.path_params["id"])
    return see_other("/replays", "replay-canceled")


def _query(asked: Mapping[str, str], now_us: int, *, dry_run: bool) -> ReplayQuery:
    at: Callable[[str], int | None] = lambda name: instant(name, asked[name], now_us) if asked[name] else None  # noqa: E731
    return ReplayQuery(
        source=asked["source"] or None,
        destination=asked["destination"] or None,
        types=[asked["type"]] if asked["type"] else None,
        state=asked["state"] or None,
        since_us=at("since"),
        until_us=at("until"),
        dry_run=dry_run,
    )


def line_of(one: ReplaySchema) -> ReplayLine:
    running = one.finished_at is None
    stopped = "canceled" if one.cause == "canceled" else "exhausted"
    icon = "sending" if running else stopped if one.cause else "delivered"
    return ReplayLine(
        id=one.id,
        selection=words_of(one.query),
        created_at=one.created_at,
        matched=one.matched,
        reopened=one.reopened,
        done=1.0 if not running else min(1.0, one.committed_offset / max(one.upto, 1)),
        icon=icon,
        label="running" if running else one.cause or "finished",
        running=running,
    )


def words_of(query: Mapping[str, Any]) -> str:
    """`exhausted deliveries to crm, of type order.*`: a selection in words."""
    what = f"{query['state']} deliveries" if query.get("state") in STATES else "deliveries"
    types = query.get("types") or ([query["type"]] if query.get("type") else [])
    parts = [
        f"of {query['source']}" if query.get("source") else "",
        f"to {query['destination']}" if query.get("destination") else "",
        f"of type {', '.join(types)}" if types else "",
        f"of event {formatting.cut(query['event'])}" if query.get("event") else "",
        f"since {query['since']}" if query.get("since") else "",
        f"until {query['until']}" if query.get("until") else "",
    ]
    return " ".join([what, *(part for part in parts if part)])
