"""What was measured, from sums of rollup rows. Pure.

Owns how metrics (`core/rollups.py`) become figures (`core/measured.py`). Sums are all it needs, so minutes, hours and
nodes merge by addition before they come here, in any order. Invariant: what has nothing to divide by is None, never 0
or NaN; a count that contradicts another one, as after a clock that went back, is cut to what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tidegate.core.histogram import Histogram, quantile_of
from tidegate.core.measured import (
    Delay,
    DestinationMeasured,
    Measured,
    Polls,
    Pulls,
    Quantile,
    RateLimit,
    Requests,
    ResourceMeasured,
    Share,
    SourceMeasured,
    Webhooks,
)
from tidegate.core.rollups import DESTINATION, RESOURCE, SOURCE, RollupRow
from tidegate.rules.measure.proportions import interval
from tidegate.rules.sync.shadow import is_shadow

ENOUGH_FOR_P99 = 100
SPREAD = 21  # values that stand for a delay of which only a bound is known
TWENTIETHS = 20
DAY_SECONDS = 86_400.0
SHORTEST_SECONDS = 60.0  # figures a day need at least so much

KINDS = ("polls", "pages", "reconcile", "fetch_backs", "retries", "on_demand")
LOOKED = ("poll", "reconcile")  # origins of changes that a look found
OWN = "write"  # origin of changes that our own operations made: no request was needed to find them
WAYS = {"pull": LOOKED, "push": ("webhook", "publish")}
LOOKS = ("found", "not_modified", "unchanged", "empty_list")

Sums = Mapping[str, tuple[int, int]]  # metric -> (times, total)


class Covered(msgspec.Struct, frozen=True):
    """How much of a window was measured, by SOURCE/RESOURCE where it differs from `seconds`."""

    seconds: float
    resources: Mapping[str, float] = {}


def measure(rows: Iterable[RollupRow], covered: Covered, prices: Mapping[str, float] | None = None) -> Measured:
    """The figures of every subject that has a row. `prices`: of one request, by source."""
    subjects: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for row in rows:
        sums = subjects.setdefault((row.scope, row.subject), {})
        before = sums.get(row.metric, (0, 0))
        sums[row.metric] = before[0] + row.times, before[1] + row.total
    made = Measured(covered_seconds=round(covered.seconds, 3))
    by_source: dict[str, list[Sums]] = {}
    for (scope, subject), sums in sorted(subjects.items()):
        if scope == RESOURCE:
            source = subject.partition("/")[0]
            if is_shadow(subject):  # its requests are real, and its changes are those of the resource beside it
                by_source.setdefault(source, []).append(_asked(sums))
                continue
            by_source.setdefault(source, []).append(sums)
            seconds = covered.resources.get(subject, covered.seconds)
            made.resources[subject] = resource(sums, seconds, (prices or {}).get(source))
        elif scope == DESTINATION:
            made.destinations[subject] = destination(sums)
    for name in sorted(by_source.keys() | {subject for scope, subject in subjects if scope == SOURCE}):
        own = subjects.get((SOURCE, name), {})
        made.sources[name] = source_of(own, by_source.get(name, []), covered.seconds, (prices or {}).get(name))
    every = [sums for found in by_source.values() for sums in found]
    made.delay_by_way = {way: _delay_from(every, origins) for way, origins in WAYS.items()}
    return made


def _asked(sums: Sums) -> Sums:
    return {name: one for name, one in sums.items() if name.startswith(("request.", "throttled", "quota."))}


def resource(sums: Sums, seconds: float, price: float | None = None) -> ResourceMeasured:
    """One resource, from its sums over `seconds`."""
    origins = {origin: times for origin, (times, _) in _part(sums, "change.").items()}
    changes = sum(origins.values())
    pulls = _pulls(sums)
    exact, bound = _histograms(sums, "delay."), _histograms(sums, "bound.")
    return ResourceMeasured(
        covered_seconds=round(seconds, 3),
        changes=changes,
        changes_by_origin=origins,
        changes_per_hour=_rate(changes, seconds, 3600.0),
        requests=requests([sums], changes - origins.get(OWN, 0), seconds, price),
        polls=_polls(sums),
        delay=delay(exact.values(), bound.values()),
        delay_by_origin={
            origin: delay([exact.get(origin, Histogram())], [bound.get(origin, Histogram())])
            for origin in sorted(exact.keys() | bound.keys())
        },
        webhooks=_webhooks(sums, origins.get("webhook", 0)),
        pulls=pulls,
        rate_limit=_rate_limit([sums]),
        saved=pulls.hits + pulls.shared,
        saved_bodies=pulls.not_modified + _times(sums, "look.not_modified"),
    )


def source_of(own: Sums, resources: list[Sums], seconds: float, price: float | None = None) -> SourceMeasured:
    """One source, from its own sums and those of its resources."""
    accepted = _part(sums=own, prefix="accepted.")
    by_origin = {origin: times for origin, (times, _) in accepted.items()}
    doubled = _times(own, "doubled")
    changes = sum(times for sums in resources for times, _ in _part(sums, "change.").values())
    own_changes = sum(_times(sums, f"change.{OWN}") for sums in resources)
    return SourceMeasured(
        accepted=sum(by_origin.values()),
        accepted_by_origin=by_origin,
        bytes_in=sum(total for _, total in accepted.values()),
        doubled=share(doubled, doubled + by_origin.get("webhook", 0)),
        changes=changes,
        requests=requests(resources, changes - own_changes, seconds, price),
        rate_limit=_rate_limit(resources),
    )


def destination(sums: Sums) -> DestinationMeasured:
    delivered, bytes_out = sums.get("delivered", (0, 0))
    failed = _times(sums, "failed")
    samples, pending = sums.get("pending", (0, 0))
    return DestinationMeasured(
        delivered=delivered,
        failed=failed,
        retried=_times(sums, "retried"),
        exhausted=_times(sums, "exhausted"),
        attempts=delivered + failed,
        failed_share=share(failed, delivered + failed),
        bytes_out=bytes_out,
        delay=delay([histogram(sums, "delay.")], []),
        pending_mean=round(pending / samples, 3) if samples else None,
    )


def share(part: int, whole: int) -> Share:
    """With its exact interval. A part beyond the whole, as when a window cuts between the two, is cut."""
    part, whole = max(0, min(part, whole)), max(0, whole)
    if whole == 0:
        return Share()
    low, high = interval(part, whole)
    return Share(part=part, whole=whole, share=round(part / whole, 6), low=round(low, 6), high=round(high, 6))


def requests(sums: list[Sums], changes: int, seconds: float, price: float | None = None) -> Requests:
    kinds = {kind: sum(_times(one, f"request.{kind}") for one in sums) for kind in KINDS}
    total = sum(kinds.values())
    per_day = _rate(total, seconds, DAY_SECONDS)
    return Requests(
        total=total,
        bytes_in=sum(one.get(f"request.{kind}", (0, 0))[1] for one in sums for kind in KINDS),
        per_day=per_day,
        per_change=round(total / changes, 4) if changes else None,
        cost=None if price is None else round(total * price, 6),
        cost_per_day=None if price is None or per_day is None else round(per_day * price, 6),
        **kinds,
    )


def histogram(sums: Sums, prefix: str) -> Histogram:
    """The histogram whose metrics are `prefix` and the number of the bucket."""
    found = ((name[len(prefix) :], counted) for name, counted in sums.items() if name.startswith(prefix))
    return Histogram((int(bucket), *counted) for bucket, counted in found if bucket.isdecimal())


def delay(exact: Iterable[Histogram], bounded: Iterable[Histogram]) -> Delay:
    """Of delays that are known, and of those of which only the longest possible one is."""
    known, longest = Histogram(), Histogram()
    for one in exact:
        known.merge(one)
    for one in bounded:
        longest.merge(one)
    samples = known.samples + longest.samples
    if not samples:
        return Delay()
    points, most = known.points(), longest.means()
    spread = [(value * (2 * part + 1) / (2 * SPREAD), times) for value, times in most for part in range(SPREAD)]
    likely = [(value, times * SPREAD) for value, times in points] + spread
    low = points + [(0.0, times) for _, times in most]

    def quantile(wanted: float) -> Quantile:
        return Quantile(
            seconds=_rounded(quantile_of(likely, wanted)),
            low=_rounded(quantile_of(low, wanted)),
            high=_rounded(quantile_of(points + most, wanted)),
        )

    total = sum(value * times for value, times in likely) / SPREAD
    mean = total / samples if longest.samples else known.mean_seconds
    return Delay(
        samples=samples,
        bounded=longest.samples,
        mean_seconds=_rounded(mean),
        p50=quantile(0.5),
        p95=quantile(0.95),
        p99=quantile(0.99) if samples >= ENOUGH_FOR_P99 else Quantile(),
    )


def _polls(sums: Sums) -> Polls:
    counted = {name: _times(sums, f"look.{name}") for name in LOOKS}
    snapshot = _times(sums, "look.snapshot")
    looked = sum(counted.values())
    times, took = sums.get("took", (0, 0))
    return Polls(
        finished=looked + snapshot,
        failed=_times(sums, "look.failed"),
        snapshot=snapshot,
        empty=share(looked - counted["found"], looked),
        took_mean_seconds=round(took / times / 1000, 3) if times else None,
        **counted,
    )


def _webhooks(sums: Sums, changed: int) -> Webhooks:
    counted = {
        name: _times(sums, f"webhook.{name}")
        for name in ("late", "own", "repeated", "out_of_order", "to_fetch", "unreadable")
    }
    received = sum(times for times, _ in _part(sums, "webhook.").values())
    healed, late = _times(sums, "healed"), counted["late"] + _times(sums, "late_hint")
    missed = max(0, healed - late)
    looked = sum(_times(sums, f"look.{name}") for name in LOOKS)
    whole = changed + max(healed, late) if looked else 0
    return Webhooks(
        received=received,
        changed=changed,
        healed=healed,
        missed=share(missed, whole),
        late_share=share(late, whole),
        repeated_share=share(counted["repeated"], received),
        out_of_order_share=share(counted["out_of_order"], received),
        missing_for=_looked_delay(sums) if healed else Delay(),
        **{**counted, "late": late},
    )


def missed_of(sums: Sums) -> tuple[int, int]:
    """(changes that webhooks missed, changes that webhooks or looks found)."""
    found = _webhooks(sums, _times(sums, "change.webhook")).missed
    return found.part, found.whole


def _looked_delay(sums: Sums) -> Delay:
    """Of the changes that looks found."""
    return _delay_from([sums], LOOKED)


def _delay_from(resources: Iterable[Sums], origins: Iterable[str]) -> Delay:
    """Of the changes of several resources that have one of the origins."""
    places = [(sums, origin) for sums in resources for origin in origins]
    exact, bound = ([histogram(sums, f"{kind}.{origin}.") for sums, origin in places] for kind in ("delay", "bound"))
    return delay(exact, bound)


def _pulls(sums: Sums) -> Pulls:
    hits, shared, asked = (_times(sums, f"pull.{name}") for name in ("hit", "shared", "asked"))
    return Pulls(
        total=hits + shared + asked,
        hits=hits,
        shared=shared,
        not_modified=_times(sums, "pull.not_modified"),
        stale=_times(sums, "pull.stale"),
    )


def _rate_limit(sums: list[Sums]) -> RateLimit:
    used = [int(name) for one in sums for name in _part(one, "quota.") if name.isdecimal()]
    waits = [one.get("throttled", (0, 0)) for one in sums]
    return RateLimit(
        used=min(1.0, max(used) / TWENTIETHS) if used else None,
        waits=sum(times for times, _ in waits),
        throttled_seconds=round(sum(total for _, total in waits) / 1000, 3),
    )


def _histograms(sums: Sums, prefix: str) -> dict[str, Histogram]:
    """By origin, of metrics named PREFIX.ORIGIN.BUCKET."""
    origins = {name.partition(".")[0] for name in _part(sums, prefix)}
    return {origin: histogram(sums, f"{prefix}{origin}.") for origin in sorted(origins)}


def _part(sums: Sums, prefix: str) -> dict[str, tuple[int, int]]:
    return {name[len(prefix) :]: counted for name, counted in sorted(sums.items()) if name.startswith(prefix)}


def _times(sums: Sums, metric: str) -> int:
    return sums.get(metric, (0, 0))[0]


def _rate(times: int, seconds: float, of: float) -> float | None:
    return round(times / seconds * of, 4) if seconds >= SHORTEST_SECONDS and math.isfinite(seconds) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def looks_of(sums: Sums) -> list[tuple[float, bool, int]]:
    """(mean gap in seconds, whether they found a change, number) of the looks in each bucket of gaps.

    What `rules/measure/estimate.py` needs to estimate how often a resource changes.
    """
    found: list[tuple[float, bool, int]] = []
    for changed, prefix in ((False, "gap.same."), (True, "gap.changed.")):
        found += [(max(gap, 0.001), changed, times) for gap, times in sorted(histogram(sums, prefix).means())]
    return found


def sums_of(rows: Iterable[RollupRow]) -> dict[str, tuple[int, int]]:
    """Rows of one subject by metric."""
    sums: dict[str, tuple[int, int]] = {}
    for row in rows:
        before: Any = sums.get(row.metric, (0, 0))
        sums[row.metric] = before[0] + row.times, before[1] + row.total
    return sums
