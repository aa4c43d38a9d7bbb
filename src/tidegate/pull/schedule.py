"""When a resource polls next: intervals with jitter, cron, earlier retries after a failure, and holds of the source.

Owns the due times of polls and reconciles in memory. Knows no requests. Invariants: a failed run is retried sooner than
its schedule, and never before the time that the source named; progress resets the backoff. Crash: the due times follow
from the instants of the last runs in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tidegate.config.spec import ApiInput
from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.model import Origin
from tidegate.core.units import per_second, seconds
from tidegate.pull.reconciling import rule_of
from tidegate.rules.measure.adaptive import AdaptivePolls, AdaptiveRule
from tidegate.rules.measure.hours import Looked
from tidegate.rules.measure.reconciling import first_interval
from tidegate.rules.sync.cron import following
from tidegate.rules.sync.spec import AUTO, Resource

RETRY_FIRST_SECONDS = 5.0  # after a failure: 5, 10, 20 ... and never later than the schedule
START_SPREAD_SECONDS = 2.0  # polls that are due at a start are spread over this long
NEW_SPREAD_SECONDS = 0.3  # the first poll of a new resource


class Cron(NamedTuple):
    """A cron expression and its time zone."""

    expression: str
    zone: str


Every = float | Cron | AdaptiveRule


class Schedule:
    """Of one resource. `every`: seconds, a cron expression or `poll = "auto"`, by the origin of the runs."""

    def __init__(self, clock: Clock, every: Mapping[Origin, Every]) -> None:
        self.every = dict(every)
        self.adaptive: AdaptivePolls | None = None
        self.next_at_us: int | None = None
        self._clock = clock
        self._due_us: dict[Origin, int] = {}
        self._failures = 0

    def begin(self, last_us: Mapping[Origin, int | None], looked: Looked | None = None) -> None:
        """From the instants of the last runs, and what they found by hour of the week."""
        now_us = self._clock.now_us()
        rule = self.every.get(Origin.POLL)
        self.adaptive = AdaptivePolls(rule, looked) if isinstance(rule, AdaptiveRule) else None
        for origin, every in self.every.items():
            before = last_us.get(origin)
            if isinstance(every, Cron):
                # A run that was due while the gateway was down comes at once. A new resource begins at once too.
                due_us = now_us if before is None else max(now_us, following(*every, before))
                self._due_us[origin] = due_us
                continue
            longest = START_SPREAD_SECONDS if before is not None else NEW_SPREAD_SECONDS
            wait = self._wait(every, (before or now_us) / 1e6) if isinstance(every, AdaptiveRule) else every
            spread = self._clock.random() * min(longest, wait * 0.1)
            due_us = now_us if before is None else max(now_us, before + int(wait * 1_000_000))
            self._due_us[origin] = due_us + int(spread * 1_000_000)
        self.next_at_us = min(self._due_us.values(), default=None)

    def ran(
        self, origin: Origin, error: TidegateError | None, *, progress: bool, at_least_seconds: float = 0.0
    ) -> None:
        """A run has ended. `progress`: it read a page that no run had read before.

        `at_least_seconds`: the shortest time to the next run that the source asked for.
        """
        if error is None or progress:
            self._failures = 0
        if error is not None:
            self._failures += 1
        every = self.every.get(origin)
        if every is None:
            return
        now_us = self._clock.now_us()
        if isinstance(every, Cron):
            wait = (following(*every, now_us) - now_us) / 1_000_000
        elif isinstance(every, AdaptiveRule):
            wait = self._wait(every, now_us / 1e6)
        else:
            wait = every * (0.9 + 0.2 * self._clock.random())
        wait = max(wait, at_least_seconds)
        if error is not None:
            wait = min(wait, RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, 20))
            wait = max(wait, error.retry_after_seconds or 0.0)
        self._due_us[origin] = now_us + int(wait * 1_000_000)
        self.next_at_us = min(self._due_us.values())

    def see(self, found: int, took_seconds: float, requests: int) -> None:
        """A poll has ended, found so many changes and made so many requests."""
        if self.adaptive is not None:
            self.adaptive.see(self._clock.now_us() / 1e6, found, took_seconds, requests)

    @property
    def clamped(self) -> tuple[str, ...]:
        """What the bounds of `poll = "auto"` do not allow."""
        return self.adaptive.plan.clamped if self.adaptive is not None else ()

    def _wait(self, rule: AdaptiveRule, at: float) -> float:
        return self.adaptive.wait(at, self._clock.random()) if self.adaptive is not None else rule.shortest

    def next(self) -> tuple[Origin, float] | None:
        """(what runs next, seconds until then); None when nothing is scheduled."""
        if not self._due_us:
            return None
        origin = min(self._due_us, key=lambda one: self._due_us[one])
        return origin, (self._due_us[origin] - self._clock.now_us()) / 1_000_000


def intervals_of(resource: Resource, api: ApiInput | None = None) -> dict[Origin, Every]:
    """What a resource's `poll`, `schedule` and `reconcile` say, with the rate and the price of its source."""
    every: dict[Origin, Every] = {}
    if resource.schedule:
        every[Origin.POLL] = Cron(resource.schedule, resource.timezone)
    elif resource.poll == AUTO:
        every[Origin.POLL] = AdaptiveRule(
            shortest=seconds(resource.poll_min),
            longest=seconds(resource.poll_max),
            max_delay=None if resource.max_delay is None else seconds(resource.max_delay),
            call_price=None if api is None else api.price_per_call,
            delay_price=None if resource.delay_price is None else resource.delay_price / 3600,
            budget=1 / per_second(api.rate) if api is not None and api.rate is not None else 0.0,
        )
    elif resource.poll is not None:
        every[Origin.POLL] = seconds(resource.poll)
    if resource.reconcile not in (None, AUTO):
        every[Origin.RECONCILE] = seconds(resource.reconcile)
    elif (rule := rule_of(resource, api)) is not None:
        every[Origin.RECONCILE] = first_interval(rule)  # `pull/reconciling.py` chooses the next ones
    return every
