"""All findings in one list: states of destinations and resources, and what the process reported.

Owns the one place where `GET /doctor`, `tidegate doctor`, the pages and `explain` read findings. States (a circuit that
is open, dead letters, polls that fail) are derived from the active configuration, the counters and the senders'
health each time; what engines reported comes from the ring (`core/findings.py`). Changes nothing. Crash: states are
there again after a restart, the ring is empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tidegate.core import units
from tidegate.core.clock import rfc3339, to_datetime
from tidegate.core.figures import ResourceFigures
from tidegate.core.finding_codes import CODES
from tidegate.core.findings import RANK, Finding, finding, mask
from tidegate.query import certificates
from tidegate.query.context import Health, ReadContext
from tidegate.query.schemas import DestinationCounters, Stats
from tidegate.rules.outbound import causes
from tidegate.runtime import ActiveDestination
from tidegate.store import Rejection

REJECTIONS_READ = 200
DAY_US = 86_400_000_000


def findings(gateway: ReadContext, stats: Stats) -> list[Finding]:
    """Findings about destinations, resources and the process, the most severe first."""
    found: list[Finding] = []
    for live in gateway.active.destinations.values():
        counters = stats.destinations.get(live.name) or DestinationCounters()
        found += of_destination(live, gateway.deliver.health(live.number), counters)
    for source in gateway.active.sources.values():
        for name in source.spec.resources:
            place = f"{source.name}/{name}"
            found += of_resource(place, stats.resources.get(place) or ResourceFigures())
    return by_severity([*found, *certificates.findings(gateway), *gateway.findings.listed()])


def by_severity(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda one: RANK[one.severity])


def of_destination(live: ActiveDestination, health: Health, counters: DestinationCounters) -> list[Finding]:
    """At most two: its state, and its dead letters where the state does not name them. Pure."""
    found = _state(live, health, counters)
    if counters.exhausted and not any(one.code == "destination_failing" for one in found):  # first things first
        used = f"{_deliveries(counters.exhausted)} used all attempts."
        found.append(finding("dead_letters", _subject(live), used))
    return found


def _state(live: ActiveDestination, health: Health, counters: DestinationCounters) -> list[Finding]:
    subject = _subject(live)
    pending = f"{_deliveries(counters.pending)} pending"
    if live.paused_at_us is not None:
        code, why = _PAUSES.get(live.pause_reason, _PAUSES["operator"])
        return [finding(code, subject, f"{why}. {pending}.", since=rfc3339(live.paused_at_us))]
    remedy = causes.what_to_do(health.outcome, health.status) or None
    if health.failing:
        exhausted = f", {counters.exhausted:,} exhausted" if counters.exhausted else ""
        summary = f"{_capital(failure(health))}. {pending}{exhausted}."
        since = rfc3339(health.opened_at_us)
        return [finding("destination_failing", subject, summary, remedy, failing_word(health), since)]
    if health.hold_until_us is not None:
        until = f"{to_datetime(health.hold_until_us):%Y-%m-%d %H:%M:%S} UTC"
        return [finding("destination_rate_limited", subject, f"Asked for a pause until {until}. {pending}.")]
    if retrying(live, health):
        why = f"{_capital(failure(health))}. " if health.outcome else ""
        return [finding("destination_retrying", subject, f"{why}{pending}, waiting for a retry.", remedy)]
    return []


_PAUSES = {  # reason -> (code, what happened)
    "operator": ("destination_paused", "Paused by an operator"),
    "gone": ("destination_stopped", "Answered 410 Gone"),
    "left_file": ("destination_left_file", "No longer in the configuration file"),
}


def retrying(live: ActiveDestination, health: Health) -> bool:
    """Whether all pending deliveries wait for a retry: none is in flight, and none succeeded in the last minute.

    The circuit opens after many failures. A quiet destination has few, and would be called healthy while each fails.
    """
    paced = live.spec.rate is not None and units.per_second(live.spec.rate) * 60 < 1  # they may wait for the rate
    return bool(health.waiting and not health.in_flight and not health.rate_per_minute and not paced)


def failing_word(health: Health) -> str:
    """The label of a failing destination: `answers 404` or `not answering`."""
    return f"answers {health.status}" if health.status is not None else "not answering"


def failure(health: Health) -> str:
    """How the last attempt ended, with the error's text where it says more than the outcome."""
    detail = f" ({health.last_error})" if health.last_error and health.status is None else ""
    return f"{causes.why(health.outcome or 'http_error', health.status)}{detail}"


def of_resource(place: str, figures: ResourceFigures) -> list[Finding]:
    """`place` is SOURCE/RESOURCE. Pure."""
    if figures.failing_since is None:
        return []
    summary = f"{_capital(figures.last_error or 'no reason was stored')}."
    remedy = figures.last_remedy or None
    return [finding("polls_failing", f"resource:{place}", summary, remedy, since=figures.failing_since)]


async def rejections(gateway: ReadContext) -> list[Finding]:
    """Rejected requests of the last day by source and reason, the most frequent first."""
    after = gateway.clock.now_us() - DAY_US
    kept = await gateway.store.settings.rejections(limit=REJECTIONS_READ)
    return of_rejections([one for one in kept if one.at_us > after])


def of_rejections(kept: list[Rejection]) -> list[Finding]:
    """`kept`: newest first. Pure."""
    found = []
    for (source, reason), count in Counter((one.source, one.reason) for one in kept).most_common():
        same = [one for one in kept if (one.source, one.reason) == (source, reason)]
        code = f"rejected_{reason}" if f"rejected_{reason}" in CODES else "rejected_other"
        one = finding(code, f"source:{source}", CODES[code].meaning)
        one.count = count
        one.first_at, one.last_at = rfc3339(same[-1].at_us), rfc3339(same[0].at_us)
        detail = [same[0].detail] if same[0].detail else []
        one.samples = [mask(text) for text in ([reason] * (code == "rejected_other") + detail)]
        found.append(one)
    return found


def _subject(live: ActiveDestination) -> str:
    return f"destination:{live.name}"


def _deliveries(number: int) -> str:
    return f"{number:,} {'delivery' if number == 1 else 'deliveries'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
