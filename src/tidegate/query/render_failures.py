"""Deliveries that could not be rendered, by destination and cause: how many, which, and what to correct.

Owns the reading and the grouping. Read from the dead letters of the store, so it is the same on every node and after a
restart. Invariants: a destination has at most MAX_CAUSES findings, and one read looks at MAX_READ dead letters; what is
beyond is counted as "at least". The result is kept until the destination's counters change, so a page that is loaded
again reads nothing. Crash: it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from tidegate.core import ids
from tidegate.core.findings import Finding, finding, mask
from tidegate.core.model import Deferred, DeferredState, Outcome
from tidegate.query.context import ReadContext
from tidegate.query.schemas import DestinationCounters, Stats
from tidegate.runtime import ActiveDestination
from tidegate.store import Log

MAX_CAUSES = 5
MAX_READ = 1000  # dead letters of one destination
MAX_DESTINATIONS = 50
SAMPLES = 3
CAUSE = Outcome.RENDER.name.lower()  # of a dead letter
_PREFIXES = ("RenderFailed: ", "the template could not be rendered: ", "ValueError: ", "TypeError: ")

Key = tuple[int, int, int]  # exhausted, delivered, canceled
_known: WeakKeyDictionary[Log, dict[int, tuple[Key, list[Finding]]]] = WeakKeyDictionary()


class Failure(NamedTuple):
    """One delivery that could not be rendered. `route`: its route, when that has a transform."""

    offset: int
    error: str
    route: str


async def findings(gateway: ReadContext, stats: Stats) -> list[Finding]:
    """Findings `cannot_render` of all destinations that have dead letters."""
    found: list[Finding] = []
    looked = 0
    for live in gateway.active.destinations.values():
        counters = stats.destinations.get(live.name) or DestinationCounters()
        if counters.exhausted and looked < MAX_DESTINATIONS:
            looked += 1
            found += await _of(gateway, live, counters)
    return found


async def _of(gateway: ReadContext, live: ActiveDestination, counters: DestinationCounters) -> list[Finding]:
    kept = _known.setdefault(gateway.store.log, {})
    key = (counters.exhausted, counters.delivered, counters.canceled)
    known = kept.get(live.number)
    if known is None or known[0] != key:
        failures, more = await _failures(gateway, live.number)
        known = kept[live.number] = (key, of_failures(live, failures, more, gateway.store.log.instance))
    return [msgspec.structs.replace(one) for one in known[1]]  # others fill in what people decided


async def _failures(gateway: ReadContext, number: int) -> tuple[list[Failure], bool]:
    """(what could not be rendered, whether there may be more)."""
    rows = await gateway.store.deliveries.deferred(
        destination=number, states=(DeferredState.EXHAUSTED,), limit=MAX_READ
    )
    wanted = [row for row in rows if row.cause == CAUSE]
    attempts = await gateway.store.deliveries.attempts([(row.offset, number) for row in wanted])
    routes = await _routes(gateway, wanted)
    found = [
        Failure(row.offset, last[-1].error, routes[row.offset])
        for row in wanted
        if (last := attempts.get((row.offset, number))) and last[-1].outcome is Outcome.RENDER
    ]
    return found, len(rows) == MAX_READ


async def _routes(gateway: ReadContext, rows: Sequence[Deferred]) -> dict[int, str]:
    """By offset, the name of the route of a delivery, "" when it has no transform."""
    audiences = gateway.store.log.audiences()
    heads = {head.offset: head.audience for head in await gateway.store.log.heads([row.offset for row in rows])}
    found = {}
    for row in rows:
        audience = audiences.get(heads.get(row.offset, 0))
        revision = row.route or (dict(audience.wanted).get(row.destination, 0) if audience is not None else 0)
        transforms = revision and gateway.active.transform(revision) is not None
        found[row.offset] = gateway.active.route_name(revision) if transforms else ""
    return found


def of_failures(live: ActiveDestination, failures: Iterable[Failure], more: bool, instance: str) -> list[Finding]:
    """One finding for each cause, the most frequent first. Pure."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for one in failures:
        groups.setdefault((cause_of(one.error), one.route), []).append(one)
    found = []
    for (cause, route), same in sorted(groups.items(), key=lambda item: -len(item[1]))[:MAX_CAUSES]:
        many = "delivery" if len(same) == 1 else "deliveries"
        part = _part(live) + (f" and the transform of route {route}" if route else "")
        at_least = "at least " if more else ""
        summary = f"{at_least}{len(same):,} {many} cannot be rendered by {part}: {cause}."
        remedy = (
            f"correct {part.replace(' and ', ' or ')}, then: tidegate replay --destination {live.name}"
            " --state exhausted"
        )
        made = finding("cannot_render", f"destination:{live.name}", summary[:1].upper() + summary[1:], remedy)
        made.count = len(same)
        made.samples = [ids.event_id(instance, failure.offset) for failure in same[:SAMPLES]]
        found.append(made)
    return found


def cause_of(error: str) -> str:
    """The error without what all of them say, on one line and without credentials."""
    for prefix in _PREFIXES:
        error = error.removeprefix(prefix)
    return mask(error).rstrip(".") or "no reason was stored"


def _part(live: ActiveDestination) -> str:
    """What of the destination makes the request."""
    for key in ("text", "body"):
        if hasattr(live.spec, key):
            return f"`{key}`"
    return "the destination"


def without_repeats(found: Sequence[Finding], rendered: Sequence[Finding]) -> list[Finding]:
    """`found` with `rendered` in place of what this process reported of the same destinations."""
    subjects = {one.subject for one in rendered}
    return [one for one in found if one.code != "cannot_render" or one.subject not in subjects] + list(rendered)
