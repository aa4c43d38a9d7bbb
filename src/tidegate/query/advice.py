"""Advice for each resource: what it costs and brings, what to set instead, and why.

Owns the way from figures and configuration to a `Case`; the decision itself is `rules/measure/advise.py`. Reads only.
A clock that went back or counters without a start make an empty window, which is advised as "not enough data".
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.config import edits
from tidegate.config.spec import Source
from tidegate.core import units
from tidegate.core.clock import parse_instant
from tidegate.core.figures import DelayFigures, ResourceFigures
from tidegate.query.context import ReadContext
from tidegate.query.schemas import AdviceSchema, ApplySchema, SettingSchema
from tidegate.rules.measure.advice import WORDS, Advice, Case
from tidegate.rules.measure.advise import advise
from tidegate.rules.measure.observed import Delays, Observed, Offers, Setting, Wishes
from tidegate.rules.sync.spec import Resource
from tidegate.runtime import ActiveSource

__all__ = ["WORDS", "all_resources", "case_of", "one_resource", "schema_of"]

_PUSHED = ("webhook", "publish")
_FOUND = ("poll", "reconcile")


async def all_resources(gateway: ReadContext, allowed: frozenset[str] | None = None) -> list[AdviceSchema]:
    """One for each configured resource, by name; of the sources `allowed`, None: of all."""
    await gateway.pull.refresh()
    figures = gateway.pull.statistics()
    now_us = gateway.clock.now_us()
    expected = webhook_delay(figures)
    return [
        _advised(source, resource, figures, now_us, expected)
        for name, source in sorted(gateway.active.sources.items())
        for resource in sorted(source.spec.resources)
        if allowed is None or name in allowed
    ]


async def one_resource(gateway: ReadContext, source: ActiveSource, resource: str) -> AdviceSchema:
    """The advice for one resource of a source that has it."""
    await gateway.pull.refresh()
    figures = gateway.pull.statistics()
    return _advised(source, resource, figures, gateway.clock.now_us(), webhook_delay(figures))


def _advised(
    source: ActiveSource, resource: str, figures: Mapping[str, ResourceFigures], now_us: int, expected: Delays
) -> AdviceSchema:
    name = f"{source.name}/{resource}"
    case = case_of(source.spec, resource, figures.get(name) or ResourceFigures(), now_us, expected)
    return schema_of(source, resource, case, advise(case))


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
        undo=False,
    )


# -- the case --------------------------------------------------------------------------------------------


def case_of(spec: Source, resource: str, figures: ResourceFigures, now_us: int, expected: Delays) -> Case:
    """Pure. `expected`: the delay of webhooks on this gateway, for a resource that has none yet."""
    own = spec.resources[resource]
    receives = spec.webhook is not None or spec.publish is not None
    return Case(
        observed=observed_of(figures, now_us),
        setting=setting_of(own),
        offers=Offers(
            api=spec.api is not None,
            webhooks=receives,
            receives=receives,
            webhook_delay=expected,
            types=(f"{resource.removesuffix('s')}*",),
        ),
        wishes=Wishes(
            max_delay_seconds=units.seconds(own.max_delay) if own.max_delay is not None else None,
            price_per_call=spec.api.price_per_call if spec.api is not None else None,
            delay_price=own.delay_price,
        ),
    )


def setting_of(resource: Resource) -> Setting:
    return Setting(
        poll_seconds=units.seconds(resource.poll) if resource.poll is not None else None,
        scheduled=bool(resource.schedule),
        reconcile_seconds=units.seconds(resource.reconcile) if resource.reconcile is not None else None,
        cache_seconds=units.seconds(resource.cache),
        webhook=resource.webhook is not None,
        scans_for_deletes=resource.deletes.mode == "scan",
    )


def observed_of(figures: ResourceFigures, now_us: int) -> Observed:
    """From the counters of a resource, which start at `since`."""
    seconds = (now_us - parse_instant(figures.since)) / 1_000_000 if figures.since is not None else 0.0
    pushed = sum(figures.by_origin.get(one, 0) for one in _PUSHED)
    polls = max(0, figures.polls - figures.failed_polls)
    return Observed(
        seconds=max(0.0, seconds),
        requests=figures.requests,
        polls=polls,
        empty_polls=min(figures.empty_polls, polls),
        polled=max(0, figures.changes - pushed),
        pushed=pushed,
        webhooks=figures.webhooks,
        poll_delay=_most_sampled([figures.staleness_by_origin.get(one) for one in _FOUND]),
        webhook_delay=_most_sampled([figures.staleness_by_origin.get(one) for one in _PUSHED]),
        reads=figures.pulls,
        read_hits=figures.pull_hits,
        read_requests=figures.pull_requests,
        failing=(figures.last_error or "no reason is known") if figures.failing_since is not None else "",
    )


def webhook_delay(figures: Mapping[str, ResourceFigures]) -> Delays:
    """The delay of the webhooks of all resources, as that of the one with the most samples."""
    found = [_most_sampled([one.staleness_by_origin.get(way) for way in _PUSHED]) for one in figures.values()]
    return max(found, key=lambda one: one.samples, default=Delays())


def _most_sampled(ways: list[DelayFigures | None]) -> Delays:
    """Of the ways with samples, the one with the most."""
    found = [Delays(one.p50_seconds, one.p99_seconds, one.samples) for one in ways if one is not None]
    return max(found, key=lambda one: one.samples, default=Delays())
