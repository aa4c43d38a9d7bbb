"""From what the gateway sees of itself to the list of states that are worth a system event.

Owns the thresholds of `[alerts]` and the sentences of the kinds that have no finding of their own. Pure: findings,
counters and figures in, signals out. May not know what was reported before; `decide.py` does. Invariants: deliveries of
system events are not in the numbers that it is given, so that an alert is never about an alert; one cause gives one
signal, so the backlog of a destination that is failing or paused is not reported on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from tidegate.core import units
from tidegate.core.clock import parse_instant, to_datetime
from tidegate.core.figures import ResourceFigures
from tidegate.core.finding_codes import CODES
from tidegate.core.findings import Finding
from tidegate.core.spec import Alerts
from tidegate.rules.alerts.kinds import KIND_OF_CODE
from tidegate.rules.alerts.quiet import quiet_us, usual_wait_us
from tidegate.rules.alerts.state import Activity, Evidence
from tidegate.rules.measure.wording import span

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
ENDS_BELOW = 2  # a backlog has ended when it is below half of its threshold


class Signal(Struct, kw_only=True):
    """A state that holds now. `total`: of a number that grows, how large it is; `enough`: from which growth on."""

    type: str
    subject: str
    since_us: int
    evidence: Evidence
    fingerprint: str = ""
    total: int = 0
    enough: int = 1
    windowed: bool = False  # `total` is of the last hour only
    waits: bool = False  # it holds, but not for long enough to begin


class DestinationSeen(Struct, kw_only=True):
    """Deliveries of one destination without those of system events.

    `before`: what was pending `backlog_growing_for` ago, when the backlog was above its threshold since then.
    """

    pending: int = 0
    exhausted: int = 0
    before: int | None = None


class RejectedSeen(Struct, frozen=True):
    """One rejected request."""

    at_us: int
    source: str
    reason: str
    detail: str


class Observation(Struct, kw_only=True):
    """The gateway at one moment. `nodes` is None on a store with one process."""

    now_us: int
    findings: Sequence[Finding] = ()
    destinations: Mapping[str, DestinationSeen] = {}
    sources: Mapping[str, int] = {}  # name -> events accepted
    pushing: frozenset[str] = frozenset()  # sources that send by themselves
    resources: Mapping[str, ResourceFigures] = {}
    rejected: Sequence[RejectedSeen] = ()
    nodes: Mapping[str, str] | None = None  # id -> what is known of it


def signals(
    seen: Observation, alerts: Alerts, activity: Mapping[str, Activity], active: frozenset[str]
) -> list[Signal]:
    """All states that hold. `active`: "TYPE SUBJECT" of alerts that last, for those that end later than they begin."""
    found = [*_of_findings(seen, alerts)]
    stopped = {one.subject for one in found if one.type in ("destination.failing", "destination.paused")}
    found += _exhausted(seen, alerts)
    found += _backlogs(seen, alerts, stopped, active)
    found += _quiet(seen, alerts, activity)
    found += _of_resources(seen, alerts)
    found += _rejected(seen, alerts)
    return found


def _of_findings(seen: Observation, alerts: Alerts) -> Iterator[Signal]:
    """Kinds that are a finding as it is: `doctor` and the pages show the same sentence."""
    wait = {
        "destination.failing": units.seconds(alerts.destination_failing_after),
        "poll.failing": units.seconds(alerts.poll_failing_after),
        "credential.failing": CREDENTIAL_FAILING_SECONDS,
    }
    for one in seen.findings:
        type_ = KIND_OF_CODE.get(one.code, "")
        if type_ in _OWN:  # numbers that grow are read from the counters
            continue
        if not type_ or (one.code in _OF_DELIVERIES and not _owes(seen, one.name)):
            continue
        since_us = parse_instant(one.first_at) if one.first_at else seen.now_us
        yield Signal(
            type=type_,
            subject=one.subject,
            since_us=since_us,
            fingerprint=f"{one.code} {one.title}",
            waits=seen.now_us - since_us < wait.get(type_, 0.0) * 1e6,
            evidence=Evidence(
                f"{_subject(one.subject)}: {one.summary}",
                one.remedy,
                one.severity.value,
                {"finding": one.code, "title": one.title, **_figures(seen, one)},
            ),
        )


CREDENTIAL_FAILING_SECONDS = 60.0
_OWN = frozenset(
    {"delivery.exhausted", "rows.skipped", "webhooks.missed", "requests.rejected", "backlog.growing", "source.quiet"}
)
# States that deliveries bring about. When only system events wait for the destination, it stays on the page.
_OF_DELIVERIES = frozenset({"destination_failing", "destination_stopped"})


def _owes(seen: Observation, name: str) -> bool:
    return bool((seen.destinations.get(name) or DestinationSeen()).pending)


def _figures(seen: Observation, one: Finding) -> dict[str, int]:
    if one.kind != "destination" or one.name not in seen.destinations:
        return {}
    found = seen.destinations[one.name]
    return {"pending": found.pending, "exhausted": found.exhausted}


def _exhausted(seen: Observation, alerts: Alerts) -> Iterator[Signal]:
    for name, one in seen.destinations.items():
        if one.exhausted <= 0:
            continue
        remedy = CODES["dead_letters"].remedy.replace("{name}", name)
        yield Signal(
            type="delivery.exhausted",
            subject=f"destination:{name}",
            since_us=seen.now_us,
            total=one.exhausted,
            enough=alerts.delivery_exhausted,
            evidence=Evidence(
                f"Destination {name}: {_many(one.exhausted, 'delivery', 'deliveries')} used all attempts.",
                remedy,
                "error",
                {"exhausted": one.exhausted, "pending": one.pending},
            ),
        )


def _backlogs(seen: Observation, alerts: Alerts, stopped: set[str], active: frozenset[str]) -> Iterator[Signal]:
    for name, one in seen.destinations.items():
        subject = f"destination:{name}"
        if subject in stopped:
            continue
        lasts = f"backlog.growing {subject}" in active
        begins = one.before is not None and one.pending > one.before
        if not begins and not (lasts and one.pending * ENDS_BELOW >= alerts.backlog):
            continue
        grew = f", {one.before:,} of them {alerts.backlog_growing_for} ago" if one.before is not None else ""
        yield Signal(
            type="backlog.growing",
            subject=subject,
            since_us=seen.now_us,
            evidence=Evidence(
                f"Destination {name}: {one.pending:,} deliveries are pending{grew}.",
                f"raise `concurrency` or `rate` of [destinations.{name}], or find out why it is slow:"
                f" tidegate test {name}",
                "warning",
                {"pending": one.pending, "pending_before": one.before},
            ),
        )


def _quiet(seen: Observation, alerts: Alerts, activity: Mapping[str, Activity]) -> Iterator[Signal]:
    for name in seen.sources:
        one = activity.get(name)
        if one is None:
            continue
        wait_us = _wait_us(name, one, seen, alerts)
        silent = quiet_us(one, wait_us, seen.now_us)
        if silent is None or wait_us is None:
            continue
        last = f"{to_datetime(one.last_us):%Y-%m-%d %H:%M} UTC"
        yield Signal(
            type="source.quiet",
            subject=f"source:{name}",
            since_us=one.last_us,
            evidence=Evidence(
                f"Source {name}: no event since {last}; {span(wait_us / 1e6)} without one is unusual.",
                f"check the sender's log of deliveries and its address for {name}; set the wait in [alerts.quiet]",
                "warning",
                {"silent_seconds": silent // 1_000_000, "expected_within_seconds": wait_us // 1_000_000},
            ),
        )


def _wait_us(name: str, activity: Activity, seen: Observation, alerts: Alerts) -> int | None:
    given = alerts.quiet.get(name)
    if given is not None:
        return int(units.seconds(given) * 1e6)
    given = alerts.source_quiet_after
    if given == "off" or not activity.accepted:  # a source that never sent anything is not set up yet
        return None
    if given == "auto":  # polls that find nothing say nothing
        return usual_wait_us(activity, seen.now_us) if name in seen.pushing else None
    return int(units.seconds(given) * 1e6)


def _of_resources(seen: Observation, alerts: Alerts) -> Iterator[Signal]:
    for place, figures in seen.resources.items():
        rows = figures.findings.get("rows_skipped")
        if rows is not None and rows.first_at != rows.last_at and _recent(rows.last_at, seen.now_us):
            yield Signal(
                type="rows.skipped",
                subject=f"resource:{place}",
                since_us=parse_instant(rows.first_at) if rows.first_at else seen.now_us,
                total=rows.count,
                enough=alerts.rows_skipped,
                evidence=Evidence(
                    f"Resource {place}: {_many(rows.count, 'row', 'rows')} could not be read and"
                    f" {'has' if rows.count == 1 else 'have'} no record.",
                    CODES["rows_skipped"].remedy.replace("{name}", place),
                    "warning",
                    {"rows": rows.count, "samples": list(rows.samples)},
                ),
            )
        missed = max(figures.healed, figures.by_origin.get("reconcile", 0))  # of earlier versions, only the latter
        if missed:
            yield Signal(
                type="webhooks.missed",
                subject=f"resource:{place}",
                since_us=seen.now_us,
                total=missed,
                enough=alerts.webhooks_missed,
                evidence=Evidence(
                    f"Resource {place}: polls found {_many(missed, 'change', 'changes')} that no webhook had"
                    f" reported{_longest(figures)}.",
                    f"check the deliveries of the provider to /in/{place.partition('/')[0]}: tidegate advise",
                    "warning",
                    {
                        "missed": missed,
                        "by_webhook": figures.by_origin.get("webhook", 0),
                        "longest_missed_for_seconds": figures.healed_longest_seconds,
                        "last_healed_at": figures.last_healed_at,
                        "samples": list(figures.healed_samples),
                    },
                ),
            )


def _longest(figures: ResourceFigures) -> str:
    """How long the worst of the healed changes was missing, at most."""
    longest = figures.healed_longest_seconds
    return "" if longest is None else f", missing for up to {span(longest)}"


def _rejected(seen: Observation, alerts: Alerts) -> Iterator[Signal]:
    after_us = seen.now_us - HOUR_US
    by_source: dict[str, list[RejectedSeen]] = {}
    for one in seen.rejected:
        if one.at_us > after_us:
            # The name of an unknown source is the sender's choice, so it is not a subject.
            name = one.source if one.source in seen.sources else "unknown"
            by_source.setdefault(name, []).append(one)
    for name, same in by_source.items():
        if len(same) < alerts.requests_rejected:
            continue
        reasons: dict[str, int] = {}
        for one in same:
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
        first = max(reasons, key=lambda reason: reasons[reason])
        row = CODES.get(f"rejected_{first}", CODES["rejected_other"])
        yield Signal(
            type="requests.rejected",
            subject=f"source:{name}",
            since_us=min(one.at_us for one in same),
            total=len(same),
            enough=alerts.requests_rejected,
            windowed=True,
            evidence=Evidence(
                f"Source {name}: {len(same):,} requests were rejected within an hour, most of them: {row.title}.",
                row.remedy.replace("{name}", name),
                "warning",
                {"rejected": len(same), "reasons": reasons},
            ),
        )


def _recent(at: str | None, now_us: int) -> bool:
    return at is not None and now_us - parse_instant(at) < DAY_US


def _subject(subject: str) -> str:
    kind, _, name = subject.partition(":")
    return f"{kind[:1].upper()}{kind[1:]} {name}"


def _many(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
