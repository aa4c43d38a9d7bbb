"""`reconcile = "auto"` of one resource: measures what its webhooks missed, and keeps the interval that follows from it.

Owns the reading of the rollups and the plan in the engine state; the choice is that of `rules/measure/reconciling.py`.
Knows no requests. Invariant: an interval never changes without a log line, a finding and a row of the plan's history.
Crash: the plan is stored with the end of the run that made it, and what was measured is in the rollups.
"""

from __future__ import annotations

import logging

from tidegate.config.spec import ApiInput
from tidegate.core.clock import Clock, rfc3339
from tidegate.core.figures import IntervalChange, ResourceFigures
from tidegate.core.rollups import RESOURCE, minute_of
from tidegate.core.units import per_second, seconds
from tidegate.pull.engine_state import EngineState, ReconcilePlan
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import Run
from tidegate.rules.measure import wording
from tidegate.rules.measure.measured import missed_of, sums_of
from tidegate.rules.measure.reconciling import (
    WINDOWS_SECONDS,
    ReconcileInterval,
    ReconcileRule,
    Window,
    choose,
    first_interval,
)
from tidegate.rules.measure.reconciling import Run as MeanRun
from tidegate.rules.sync.spec import AUTO, Resource
from tidegate.store import Rollups

log = logging.getLogger("tidegate.pull")
CHANGES_KEPT = 10
WEIGHT = 0.2  # of the last run in the means of requests and seconds


def rule_of(resource: Resource, api: ApiInput | None = None) -> ReconcileRule | None:
    """What a resource and its source ask for; None unless `reconcile` is "auto"."""
    if resource.reconcile != AUTO:
        return None
    return ReconcileRule(
        shortest=seconds(resource.reconcile_min),
        longest=seconds(resource.reconcile_max),
        max_delay=None if resource.max_delay is None else seconds(resource.max_delay),
        call_price=None if api is None else api.price_per_call,
        delay_price=None if resource.delay_price is None else resource.delay_price / 3600,
        budget=1 / per_second(api.rate) if api is not None and api.rate is not None else 0.0,
    )


class Reconciling:
    """Of one resource."""

    def __init__(self, rollups: Rollups, clock: Clock, writer: RecordWriter, rule: ReconcileRule | None) -> None:
        self._rollups = rollups
        self._clock = clock
        self._writer = writer
        self._rule = rule
        self._label = f"{writer.source}/{writer.name}"

    @property
    def every(self) -> float | None:
        """The present interval in seconds; None unless it is chosen here."""
        if self._rule is None:
            return None
        plan = self._writer.engine_state.reconcile
        wanted = first_interval(self._rule) if plan is None else plan.every
        return min(max(wanted, self._rule.shortest), max(self._rule.longest, self._rule.shortest))

    async def after(self, run: Run, took_seconds: float) -> None:
        """A reconciliation has ended well: choose the next interval. Raises the store's errors."""
        every = self.every
        if self._rule is None or every is None:
            return
        before = self._writer.engine_state.reconcile or ReconcilePlan(requests=run.requests, seconds=took_seconds)
        plan = ReconcilePlan(
            every=every,
            since_us=before.since_us or self._clock.now_us(),
            requests=before.requests + WEIGHT * (run.requests - before.requests),
            seconds=before.seconds + WEIGHT * (took_seconds - before.seconds),
            changes=before.changes,
        )
        found = choose(self._rule, await self._windows(), every, MeanRun(max(1.0, plan.requests), plan.seconds))
        plan.reason, plan.clamped = found.reason, found.clamped
        self._move(plan, found)
        self._writer.engine_state.reconcile = plan

    def _move(self, plan: ReconcilePlan, found: ReconcileInterval) -> None:
        if found.clamped:
            self._writer.health.note("reconcile_interval_clamped", found.clamped)
        if abs(found.every - plan.every) < 0.5:
            return
        text = f"{wording.span(plan.every)} to {wording.span(found.every)}: {found.reason}"
        log.info("resource %s: the interval of reconciliation changes from %s", self._label, text)
        self._writer.health.note("reconcile_interval_changed", f"from {text}")
        now_us = self._clock.now_us()
        plan.changes = [*plan.changes, (now_us, plan.every, found.every, found.reason)][-CHANGES_KEPT:]
        plan.every, plan.since_us = found.every, now_us

    async def _windows(self) -> list[Window]:
        """What was measured, the longest window first."""
        now_us = self._clock.now_us()
        until, began_us = minute_of(now_us) + 1, self._writer.statistics.since_us
        windows = []
        for length in WINDOWS_SECONDS:
            since = until - int(length // 60)
            rows = await self._rollups.read(since, until, scope=RESOURCE, subject=self._label)
            missed, changes = missed_of(sums_of(rows))
            covered = max(1.0, min(length, (now_us - began_us) / 1_000_000))
            windows.append(Window(covered, changes, missed))
        return windows


def show(figures: ResourceFigures, resource: Resource, state: EngineState) -> None:
    """The plan in the figures of the resource, also on a node that does not run it."""
    rule = rule_of(resource)
    if rule is None:
        return
    plan = state.reconcile
    figures.reconcile_auto = True
    figures.reconcile_every_seconds = round(first_interval(rule) if plan is None else plan.every, 3)
    if plan is None:
        figures.reconcile_reason = "no reconciliation has ended yet"
        return
    figures.reconcile_reason = plan.reason
    figures.reconcile_since = rfc3339(plan.since_us)
    figures.reconcile_changes = [
        IntervalChange(at=rfc3339(at) or "", before_seconds=round(old, 3), after_seconds=round(new, 3), reason=reason)
        for at, old, new, reason in plan.changes
    ]
