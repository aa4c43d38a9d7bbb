"""Advice: should this resource be polled, polled less often, or fed by webhooks? A word, and the figures behind it.

Decides from what polling cost and found, by a few plain thresholds; below 20 changes it says that it does not know.
Reads statistics only.
"""

from __future__ import annotations

from typing import Any

from tidegate.core import units
from tidegate.core.clock import parse_instant
from tidegate.core.spec import Resource
from tidegate.query.context import ReadContext
from tidegate.query.schemas import AdviceSchema

WORDS = ("not_enough_data", "not_polled", "polls_fail", "keep", "poll_less_often", "poll_more_often", "prefer_webhook")
ENOUGH_CHANGES = 20
SURE_CHANGES = 100
MOSTLY_EMPTY = 0.95  # of 20 polls, 19 found nothing
RARELY_EMPTY = 0.30  # most polls find something, so changes wait for the next one
COSTLY_REQUESTS = 50.0  # requests for each change found


async def all_resources(gateway: ReadContext) -> list[AdviceSchema]:
    """One for each configured resource, by name."""
    await gateway.pull.refresh()
    counted = gateway.pull.statistics()
    now = gateway.clock.now_us()
    return [
        advise(f"{name}/{resource}", spec, counted.get(f"{name}/{resource}", {}), now)
        for name, source in sorted(gateway.active.sources.items())
        for resource, spec in sorted(source.spec.resources.items())
    ]


def advise(name: str, spec: Resource, counted: dict[str, Any], now_us: int) -> AdviceSchema:
    """`counted` is the resource's part of `GET /stats`."""
    changes = int(counted.get("changes") or 0)
    word, reason = _decide(spec, counted, changes)
    return AdviceSchema(
        resource=name,
        advice=word,
        reason=reason,
        confidence="none" if changes < ENOUGH_CHANGES else "low" if changes < SURE_CHANGES else "good",
        changes_per_hour=_rate(counted.get("since"), changes, now_us),
        empty_share=counted.get("empty_share"),
        staleness_p50_seconds=counted.get("staleness_p50_seconds"),
        staleness_p99_seconds=counted.get("staleness_p99_seconds"),
        poll_every_seconds=units.seconds(spec.poll) if spec.poll is not None else None,
    )


def _decide(spec: Resource, counted: dict[str, Any], changes: int) -> tuple[str, str]:
    if counted.get("failing_since") is not None:
        return "polls_fail", f"its last poll failed: {counted.get('last_error')}"
    if spec.poll is None:
        return "not_polled", "no poll is configured, so nothing is known of its changes"
    if changes < ENOUGH_CHANGES:
        return "not_enough_data", f"changes seen so far: {changes}, and {ENOUGH_CHANGES} are needed"
    empty, cost = counted.get("empty_share"), counted.get("requests_per_change")
    if cost is not None and cost > COSTLY_REQUESTS:
        return "prefer_webhook", f"{cost:.0f} requests were made for each change found"
    if empty is not None and empty > MOSTLY_EMPTY:
        return "poll_less_often", f"{empty:.0%} of polls found nothing"
    if empty is not None and empty < RARELY_EMPTY and spec.webhook is None:
        return "poll_more_often", f"only {empty:.0%} of polls found nothing, so changes wait; a webhook would not"
    return "keep", "polls find changes often enough for what they cost"


def _rate(since: str | None, changes: int, now_us: int) -> float | None:
    """Changes an hour since the engine began to count; None within the first minute."""
    if since is None:
        return None
    counted_us = now_us - parse_instant(since)
    return round(changes * 3_600_000_000 / counted_us, 3) if counted_us >= 60_000_000 else None
