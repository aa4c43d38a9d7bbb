"""Advice for each resource: what it costs and brings, what to set instead, and why.

Owns the way from figures and configuration to a `Case`; the decision itself is `rules/measure/advise.py`. Reads only.
A clock that went back or counters without a start make an empty window, which is advised as "not enough data".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from msgspec import Struct

from tidegate.config import edits
from tidegate.config.spec import Source
from tidegate.core import units
from tidegate.core.figures import ResourceFigures
from tidegate.core.measured import Delay, Measured, ResourceMeasured
from tidegate.core.rollups import RESOURCE, RollupRow, minute_of
from tidegate.providers.shape import load_provider
from tidegate.query import measured
from tidegate.query.context import ReadContext
from tidegate.query.schemas import AdviceSchema, ApplySchema, SettingSchema
from tidegate.query.shadow import one_shadow
from tidegate.query.window_sums import GROWING_MINUTES
from tidegate.rules.measure.advice import WORDS, Advice, Case, Evidence
from tidegate.rules.measure.advise import advise
from tidegate.rules.measure.estimate import Looks
from tidegate.rules.measure.measured import OWN
from tidegate.rules.measure.observed import (
    DAY_SECONDS,
    HOUR_SECONDS,
    HOURS_OF_WEEK,
    Delays,
    Hour,
    Observed,
    Offers,
    Setting,
    Wishes,
    looked_seconds,
)
from tidegate.rules.sync.shadow import main_of
from tidegate.rules.sync.spec import Resource
from tidegate.runtime import ActiveSource

__all__ = ["WORDS", "all_resources", "case_of", "one_resource", "schema_of", "warm"]

WINDOW = "7d"
_PUSHED = ("webhook", "publish")
_FOUND = ("poll", "reconcile")
_AUTO = "auto"  # an interval that follows the changes
_MONDAY_HOURS = 4 * 24  # 1970-01-01 was a Thursday
PROFILE_DAYS = 15


class Past(Struct):
    """The hours of two weeks up to the minute `until`, by SOURCE/RESOURCE, each with its first minute."""

    until: int
    hours: dict[str, list[tuple[int, Hour]]]


class Figures(Struct, frozen=True):
    """Everything that is read once for all resources."""

    now: Mapping[str, ResourceFigures]
    measured: Measured
    day: Measured  # of the last 24 hours
    looks: Mapping[str, list[Looks]]
    hours: Mapping[str, list[Hour]]
    webhook_delay: Delays


_past: WeakKeyDictionary[ReadContext, Past] = WeakKeyDictionary()


async def read_figures(gateway: ReadContext, window: str = WINDOW) -> Figures:
    """The figures of a window, and the past behind the estimates. BadRequest for an unknown window."""
    made = await measured.measured(gateway, window)
    day = made if window == "24h" else await measured.measured(gateway, "24h")
    looks = await measured.looks_of_all(gateway)
    return Figures(gateway.pull.statistics(), made, day, looks, await _hours_of_all(gateway), webhook_delay(made))


async def warm(gateway: ReadContext) -> None:
    """Read what advice sums up, so that the first reader after a start does not wait for it."""
    await measured.warm_windows(gateway)
    await _hours_of_all(gateway)


async def _hours_of_all(gateway: ReadContext) -> dict[str, list[Hour]]:
    """By SOURCE/RESOURCE. Hours that are over do not change, so each is read once."""
    until = (minute_of(gateway.clock.now_us()) - GROWING_MINUTES) // 60 * 60
    since = until - PROFILE_DAYS * 24 * 60
    past = _past.get(gateway)
    if past is None or not since < past.until <= until:
        past = Past(since, {})
    while past.until < until:  # a day at a time, so that other reads get their turn
        upto = min(until, past.until + 24 * 60)
        kinds = [await _hourly(gateway, kind, past.until, upto) for kind in ("look.", "change.")]
        came = hours_of(*kinds)
        hours = {
            name: [one for one in (*past.hours.get(name, ()), *came.get(name, ())) if one[0] >= since]
            for name in past.hours.keys() | came.keys()
        }
        past = _past[gateway] = Past(upto, hours)
    return {name: [hour for _, hour in found] for name, found in past.hours.items()}


async def _hourly(gateway: ReadContext, prefix: str, since: int, until: int) -> list[RollupRow]:
    return await gateway.store.rollups.read(since, until, every=60, scope=RESOURCE, prefix=prefix)


def hours_of(looks: list[RollupRow], changes: list[RollupRow]) -> dict[str, list[tuple[int, Hour]]]:
    """By SOURCE/RESOURCE, the hours in which it was polled, each with its first minute. Pure."""
    counts: dict[tuple[str, int], list[int]] = {}
    for row in looks:
        result = row.metric.partition(".")[2]
        if result not in ("failed", "snapshot"):
            one = counts.setdefault((row.subject, row.minute), [0, 0, 0])
            one[0] += row.times
            one[1] += row.times if result == "found" else 0
    for row in changes:
        if row.metric != f"change.{OWN}" and (row.subject, row.minute) in counts:
            counts[row.subject, row.minute][2] += row.times
    found: dict[str, list[tuple[int, Hour]]] = {}
    for (subject, minute), (polls, with_change, changed) in sorted(counts.items()):
        hour = (minute // 60 - _MONDAY_HOURS) % HOURS_OF_WEEK
        found.setdefault(subject, []).append((minute, Hour(hour, polls, min(with_change, polls), changed)))
    return found


async def all_resources(
    gateway: ReadContext, allowed: frozenset[str] | None = None, window: str = WINDOW
) -> list[AdviceSchema]:
    """One for each configured resource, by name; of the sources `allowed`, None: of all."""
    figures = await read_figures(gateway, window)
    return [
        await _advised(gateway, source, resource, figures)
        for name, source in sorted(gateway.active.sources.items())
        for resource in sorted(source.spec.resources)
        if allowed is None or name in allowed
    ]


async def one_resource(gateway: ReadContext, source: ActiveSource, resource: str, window: str = WINDOW) -> AdviceSchema:
    """The advice for one resource of a source that has it."""
    return await _advised(gateway, source, resource, await read_figures(gateway, window))


async def _advised(gateway: ReadContext, source: ActiveSource, resource: str, figures: Figures) -> AdviceSchema:
    own = main_of(source.spec.resources[resource])
    keeps = own.polls or own.webhook is not None
    records = await gateway.store.records.count(source.name, resource) if keeps else None
    case = case_of(source.name, source.spec, resource, figures, records)
    said = schema_of(source, resource, case, advise(case))
    if source.spec.resources[resource].shadow is not None:
        both = await one_shadow(gateway, source.name, source.spec, resource)
        said.evidence = [Evidence(name="Both ways at once", text=" ".join(both.sentences)), *said.evidence]
    return said


def schema_of(source: ActiveSource, resource: str, case: Case, advice: Advice) -> AdviceSchema:
    """As the API sends it, with the change of the configuration."""
    return AdviceSchema(
        resource=f"{source.name}/{resource}",
        recommendation=advice.recommendation,
        label=advice.label,
        every_seconds=advice.every_seconds,
        reason=advice.reason,
        sentence=advice.sentence,
        confidence=advice.confidence,
        confidence_reason=advice.confidence_reason,
        would_change=advice.would_change,
        measured_seconds=round(case.observed.seconds, 3),
        evidence=advice.evidence,
        assumptions=advice.assumptions,
        interval=advice.interval,
        now=advice.now,
        after=advice.after,
        apply=_apply(source, resource, advice),
        undo=source.owner == "api" and resource in source.followed,
        curve=advice.curve,
    )


def _apply(source: ActiveSource, resource: str, advice: Advice) -> ApplySchema | None:
    before = edits.current(source.spec, resource, advice.edits)
    lines = edits.toml_lines(source.name, resource, before, advice.edits)
    if not lines:
        return None
    return ApplySchema(
        owner=source.owner,
        settings=[
            SettingSchema(key=key, before=before[key], after=value)
            for key, value in advice.edits.items()
            if before[key] != value
        ],
        toml=lines,
        ready=not advice.needs,
        needs=advice.needs,
    )


# -- the case --------------------------------------------------------------------------------------------


def case_of(source: str, spec: Source, resource: str, figures: Figures, records: int | None = None) -> Case:
    """Pure."""
    own, name = main_of(spec.resources[resource]), f"{source}/{resource}"
    receives = spec.webhook is not None or spec.publish is not None
    pushed = own.webhook is not None and receives
    return Case(
        observed=observed_of(name, figures, records, pushed=pushed),
        setting=setting_of(own, pushed=pushed, reconciled=_reconciled(figures.now.get(name))),
        offers=offers_of(spec, resource, figures.webhook_delay),
        wishes=Wishes(
            max_delay_seconds=units.seconds(own.max_delay) if own.max_delay is not None else None,
            price_per_call=spec.api.price_per_call if spec.api is not None else None,
            delay_price=own.delay_price,
        ),
    )


def _reconciled(now: ResourceFigures | None) -> float | None:
    """The present interval of a resource whose reconciliations follow what webhooks miss."""
    return now.reconcile_every_seconds if now is not None and now.reconcile_auto else None


def setting_of(resource: Resource, *, pushed: bool, reconciled: float | None = None) -> Setting:
    """`pushed`: webhooks update it, that is the resource names them and the source receives some. `reconciled`: the
    present interval in seconds, where it follows what webhooks miss.
    """
    return Setting(
        poll_seconds=None if resource.poll in (None, _AUTO) else units.seconds(resource.poll),
        adaptive=resource.poll == _AUTO,
        scheduled=bool(resource.schedule),
        reconcile_seconds=reconciled if resource.reconcile in (None, _AUTO) else units.seconds(resource.reconcile),
        reconciles_by_itself=resource.reconcile == _AUTO,
        cache_seconds=units.seconds(resource.cache),
        webhook=pushed,
        shadow=resource.shadow is not None,
        scans_for_deletes=resource.deletes.mode == "scan",
    )


def offers_of(spec: Source, resource: str, expected: Delays) -> Offers:
    """`expected`: the delay of webhooks on this gateway, for a resource that has none yet."""
    own = spec.resources[resource].webhook
    receives = spec.webhook is not None or spec.publish is not None
    provider = load_provider(spec.api.provider) if spec.api is not None and spec.api.provider else None
    known = sorted({one.type for one in provider.samples}) if provider is not None else []
    return Offers(
        api=spec.api is not None,
        webhooks=receives or own is not None or bool(provider is not None and provider.schemes),
        receives=receives,
        described=own is not None,
        webhook_delay=expected,
        types=tuple(one for one in known if one.startswith(resource.removesuffix("s"))),
    )


def observed_of(name: str, figures: Figures, records: int | None, *, pushed: bool) -> Observed:
    """The figures of one resource. Of a resource with webhooks, `polled` are the changes that those missed."""
    now = figures.now.get(name) or ResourceFigures()
    seen = figures.measured.resources.get(name) or ResourceMeasured()
    by_webhook = sum(seen.changes_by_origin.get(one, 0) for one in _PUSHED)
    missed = seen.webhooks.missed
    polled = max(0, seen.changes - by_webhook - seen.changes_by_origin.get(OWN, 0))
    if pushed and missed.whole:
        polled, by_webhook = missed.part, missed.whole - missed.part
    looks = figures.looks.get(name, [])
    day = figures.day.resources.get(name) or ResourceMeasured()
    return Observed(
        seconds=seen.covered_seconds if math.isfinite(seen.covered_seconds) else 0.0,
        requests=seen.requests.total - seen.requests.on_demand,
        polls=seen.polls.empty.whole,
        runs=seen.requests.polls,
        empty_polls=seen.polls.empty.part,
        polled=polled,
        pushed=by_webhook,
        webhooks=seen.webhooks.received,
        poll_delay=_most_sampled([seen.delay_by_origin.get(one) for one in _FOUND]),
        webhook_delay=_most_sampled([seen.delay_by_origin.get(one) for one in _PUSHED]),
        fetch_seconds=seen.polls.took_mean_seconds,
        limit_used=day.rate_limit.used,
        limit_polls_per_day=_polls_per_day(day),
        throttled_seconds=seen.rate_limit.throttled_seconds,
        reads=seen.pulls.total,
        read_hits=seen.pulls.hits + seen.pulls.shared,
        read_requests=seen.requests.on_demand,
        records=records,
        looks=tuple(looks),
        hours=_hours(figures.hours.get(name, []), looks),
        failing=(now.last_error or "no reason is known") if now.failing_since is not None else "",
    )


def _polls_per_day(day: ResourceMeasured) -> float:
    seconds = day.covered_seconds
    return day.polls.empty.whole * DAY_SECONDS / seconds if seconds > 0 and math.isfinite(seconds) else 0.0


def _hours(hours: list[Hour], looks: list[Looks]) -> tuple[Hour, ...]:
    """The hours, where it is polled at least once in each; else an hour says nothing of its own changes."""
    count = sum(one.count for one in looks)
    return tuple(hours) if count and looked_seconds(looks) / count <= HOUR_SECONDS else ()


def webhook_delay(made: Measured) -> Delays:
    """The delay of the webhooks of all resources, as that of the one with the most samples."""
    ways = [one.delay_by_origin.get(way) for one in made.resources.values() for way in _PUSHED]
    return _most_sampled(ways)


def _most_sampled(ways: list[Delay | None]) -> Delays:
    """Of the ways with samples, the one with the most."""
    found = [Delays(one.p50.seconds, one.p99.seconds, one.samples) for one in ways if one is not None]
    return max(found, key=lambda one: one.samples, default=Delays())
