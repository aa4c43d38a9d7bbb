"""Advice for each resource: keep the interval, poll less or more often, or use webhooks, with the figures behind it.

Decides from what polling cost and found, by fixed thresholds. Below 20 changes it says that there is not enough data,
unless a day of polls found nearly nothing, which is evidence of its own.
Reads figures only and changes nothing.
"""

from __future__ import annotations

from tidegate.core import units
from tidegate.core.clock import parse_instant
from tidegate.core.figures import ResourceFigures
from tidegate.query.context import ReadContext
from tidegate.query.schemas import AdviceSchema
from tidegate.rules.measure.estimate import Looks, estimate
from tidegate.rules.sync.spec import Resource

WORDS = ("not_enough_data", "not_polled", "polls_fail", "keep", "poll_less_often", "poll_more_often", "prefer_webhook")
ENOUGH_CHANGES = 20
SURE_CHANGES = 100
MOSTLY_EMPTY = 0.95  # 19 of 20 polls find nothing
RARELY_EMPTY = 0.30  # most polls find something, so changes wait for the next one
ENOUGH_POLLS = 20
DAY_SECONDS = 86_400.0
COSTLY_REQUESTS = 50.0  # requests for each change


async def all_resources(gateway: ReadContext) -> list[AdviceSchema]:
    """One for each configured resource, by name."""
    await gateway.pull.refresh()
    counted = gateway.pull.statistics()
    now = gateway.clock.now_us()
    return [
        advise(f"{name}/{resource}", spec, counted.get(f"{name}/{resource}") or ResourceFigures(), now)
        for name, source in sorted(gateway.active.sources.items())
        for resource, spec in sorted(source.spec.resources.items())
    ]


def advise(name: str, spec: Resource, figures: ResourceFigures, now_us: int) -> AdviceSchema:
    """Pure."""
    changes = figures.changes
    word, reason = _decide(spec, figures, now_us)
    return AdviceSchema(
        resource=name,
        advice=word,
        reason=reason,
        confidence="none" if changes < ENOUGH_CHANGES else "low" if changes < SURE_CHANGES else "good",
        changes_per_hour=_rate(figures.since, changes, now_us),
        empty_share=figures.empty_share,
        staleness_p50_seconds=figures.staleness_p50_seconds,
        staleness_p99_seconds=figures.staleness_p99_seconds,
        poll_every_seconds=units.seconds(spec.poll) if spec.poll is not None else None,
    )


def _decide(spec: Resource, figures: ResourceFigures, now_us: int) -> tuple[str, str]:
    if figures.failing_since is not None:
        return "polls_fail", f"the last poll failed: {figures.last_error}"
    if not spec.polls:
        if spec.reconcile is not None:
            return "not_polled", "webhooks report its changes, and reconciliation finds what they missed"
        if spec.webhook is not None:
            return "not_polled", "webhooks report its changes; set reconcile to find the ones that get lost"
        return "not_polled", "no poll is configured, so its changes are not known"
    waste = _waste(spec, figures, now_us)
    if waste:
        return "poll_less_often", waste
    if figures.changes < ENOUGH_CHANGES:
        return "not_enough_data", f"changes seen so far: {figures.changes}; {ENOUGH_CHANGES} are needed"
    empty, cost = figures.empty_share, figures.requests_per_change
    if cost is not None and cost > COSTLY_REQUESTS:
        return "prefer_webhook", f"polling made {cost:.0f} requests per change"
    if empty is not None and empty > MOSTLY_EMPTY:
        return "poll_less_often", f"{empty:.0%} of polls found nothing"
    if empty is not None and empty < RARELY_EMPTY and spec.webhook is None:
        return (
            "poll_more_often",
            f"only {empty:.0%} of polls found nothing, so changes wait; a webhook has no such delay",
        )
    return "keep", "polls find changes often enough for what they cost"


def _waste(spec: Resource, figures: ResourceFigures, now_us: int) -> str:
    """Polling that found nothing, or hardly anything, for a day: evidence too, although there are few changes."""
    if figures.since is None or figures.changes >= ENOUGH_CHANGES:
        return ""
    seconds = (now_us - parse_instant(figures.since)) / 1_000_000
    polls = figures.polls - figures.failed_polls
    found = polls - figures.empty_polls
    if seconds < DAY_SECONDS or polls < ENOUGH_POLLS or figures.empty_polls < MOSTLY_EMPTY * polls:
        return ""
    gap = seconds / polls
    looks = [Looks(gap, False, figures.empty_polls), *([Looks(gap, True, found)] if found else [])]
    rate = estimate(looks)
    assert rate is not None and rate.high is not None
    days, most = seconds / DAY_SECONDS, rate.high * DAY_SECONDS
    return (
        f"{polls:,} polls in {days:.1f} days found {found or 'nothing'}; with 90% confidence there are at most "
        f"{most:.2g} changes a day"
    )


def _rate(since: str | None, changes: int, now_us: int) -> float | None:
    """Changes an hour since counting started; None within the first minute."""
    if since is None:
        return None
    counted_us = now_us - parse_instant(since)
    return round(changes * 3_600_000_000 / counted_us, 3) if counted_us >= 60_000_000 else None
