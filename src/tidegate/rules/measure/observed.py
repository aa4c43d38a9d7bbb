"""What advice is made from: figures of one resource, its settings, what its source offers, what the user wants.

Owns the input of `advise.py`. Holds no decision beyond "is this number usable": whatever a clock that went back, a gap
or an empty window makes of a figure, it is 0 or None here and never NaN. Durations are seconds, shares numbers from 0
to 1, prices in the user's currency. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from tidegate.rules.measure.estimate import Looks, RateEstimate, dispersion, estimate
from tidegate.rules.measure.measured import SHORTEST_SECONDS

DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3_600.0
HOURS_OF_WEEK = 168
PROFILE_HOURS = 336  # two of each hour of the week
PROFILE_CHANGES = 100
KEPT = 256  # results for equal figures: one advice asks several times, and past hours stay


class Hour(msgspec.Struct, frozen=True):
    """One hour of polls. `hour_of_week`: 0 is Monday 00:00 UTC; `found`: polls with a change."""

    hour_of_week: int
    polls: int
    found: int
    changes: int


class Delays(msgspec.Struct, frozen=True):
    """How late changes were by one way. `p99` means something from 100 samples on."""

    p50: float | None = None
    p99: float | None = None
    samples: int = 0


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured for one resource within `seconds`.

    `polls` are those that came through; reconciliations are polls too. `pushed` are changes that a webhook brought
    first, `polled` those that a poll, a scan or a reconciliation found first.
    """

    seconds: float = 0.0
    requests: int = 0
    polls: int = 0
    runs: int = 0  # polls, and the first and failed ones, which say nothing of changes
    empty_polls: int = 0
    polled: int = 0
    pushed: int = 0
    webhooks: int = 0
    poll_delay: Delays = Delays()
    webhook_delay: Delays = Delays()
    fetch_seconds: float | None = None
    limit_used: float | None = None  # the highest share of the source's rate limit, in the last 24 hours
    limit_polls_per_day: float = 0.0  # how often it was polled in those hours
    throttled_seconds: float = 0.0
    reads: int = 0  # on demand
    read_hits: int = 0
    read_requests: int = 0
    records: int | None = None
    looks: tuple[Looks, ...] = ()
    hours: tuple[Hour, ...] = ()  # of polls at least once an hour
    failing: str = ""  # the error of the last poll

    @property
    def changes(self) -> int:
        return self.polled + self.pushed

    @property
    def found_polls(self) -> int:
        return max(0, self.polls - self.empty_polls)

    @property
    def per_day(self) -> float:
        """What a count is multiplied by to be one of a day; 0 for a window that is too short for such a figure."""
        return DAY_SECONDS / self.seconds if self.seconds >= SHORTEST_SECONDS and math.isfinite(self.seconds) else 0.0

    @property
    def requests_per_poll(self) -> float:
        """Pages, retries and fetch-backs included; at least 1."""
        runs = max(self.polls, self.runs)
        return max(1.0, self.requests / runs) if runs else 1.0


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How the resource is configured now; None where a key is not set."""

    poll_seconds: float | None = None
    scheduled: bool = False  # by a cron expression
    adaptive: bool = False  # the interval follows the changes by itself
    reconcile_seconds: float | None = None
    reconciles_by_itself: bool = False  # the interval follows what webhooks miss
    cache_seconds: float = 0.0
    webhook: bool = False
    shadow: bool = False  # the other way runs beside it, only to measure
    scans_for_deletes: bool = False

    @property
    def polls(self) -> bool:
        return self.poll_seconds is not None or self.scheduled or self.adaptive


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """What the source can do. `webhooks`: it sends them here already, or its provider is known to. `described`: the
    resource says already which webhooks have its records."""

    api: bool = True
    webhooks: bool = False
    receives: bool = False  # the source has a webhook input or accepts published events
    described: bool = False
    webhook_delay: Delays = Delays()  # of other resources on this gateway, for what is expected
    types: tuple[str, ...] = ()  # event types that a subscription would name


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What matters to the user. `delay_price`: of one change that is one hour late."""

    max_delay_seconds: float | None = None
    price_per_call: float | None = None
    delay_price: float | None = None

    @property
    def priced(self) -> bool:
        """Whether there is an optimum: both prices are known and not both are 0."""
        return None not in (self.price_per_call, self.delay_price) and bool(self.price_per_call or self.delay_price)


def limit_of(observed: Observed, setting: Setting) -> float | None:
    """The share of the rate limit that the present interval uses; None when it is not known.

    While some of the last 24 hours had more polls than the interval makes, their limit says nothing of it: an advice
    that was just followed must not be given again.
    """
    if observed.limit_used is None or setting.poll_seconds is None:
        return observed.limit_used
    faster = observed.limit_polls_per_day * setting.poll_seconds > DAY_SECONDS * 1.02
    return None if faster else observed.limit_used


def gap_seconds(observed: Observed, setting: Setting) -> float | None:
    """The mean time between two polls; None when nothing was polled or no time passed."""
    if observed.polls < 1 or not observed.per_day:
        return setting.poll_seconds if observed.polls and setting.poll_seconds else None
    return observed.seconds / observed.polls


def looks_of(observed: Observed, setting: Setting) -> list[Looks]:
    """The looks with their own gaps where those were counted, else all with the mean gap."""
    if observed.looks:
        return list(observed.looks)
    gap = gap_seconds(observed, setting)
    counted = ((False, observed.polls - observed.found_polls), (True, observed.found_polls))
    return [Looks(gap, changed, count) for changed, count in counted if count] if gap is not None else []


def rate_of(observed: Observed, setting: Setting) -> RateEstimate | None:
    """How often there is something to find; None without looks."""
    return _estimate(tuple(looks_of(observed, setting)))


@lru_cache(maxsize=KEPT)
def _estimate(looks: tuple[Looks, ...]) -> RateEstimate | None:
    return estimate(looks)


def looked_seconds(looks: Sequence[Looks]) -> float:
    """The time that looks know about. Hours without a poll are left out, whatever the reason."""
    return math.fsum(one.gap_seconds * one.count for one in looks)


def spread_of(hours: Sequence[Hour]) -> float | None:
    """Variance by mean of the changes in an hour: 1 when they come at random. None for too few hours."""
    return dispersion([hour.changes for hour in hours if hour.polls])


class Profile(msgspec.Struct, frozen=True):
    """Changes by hour of the week: (share of the time, rate per second) for each hour that was seen."""

    rates: tuple[tuple[float, float], ...]
    busy_share: float  # of all changes within the nine busiest hours of the day
    busy_hours: tuple[int, ...]  # hours of the day, UTC


@lru_cache(maxsize=KEPT)
def profile_of(hours: tuple[Hour, ...]) -> Profile | None:
    """None below two weeks of hours or 100 changes. Each hour of the week leans on its hour of the day, by one hour."""
    polled = [hour for hour in hours if hour.polls]
    changes = sum(hour.changes for hour in polled)
    if len(polled) < PROFILE_HOURS or changes < PROFILE_CHANGES:
        return None
    of_week: dict[int, list[int]] = {}
    of_day: dict[int, list[int]] = {}
    for hour in polled:
        of_week.setdefault(hour.hour_of_week % HOURS_OF_WEEK, []).append(hour.changes)
        of_day.setdefault(hour.hour_of_week % 24, []).append(hour.changes)
    means = {hour: sum(counts) / len(counts) for hour, counts in of_day.items()}
    rates = tuple(
        (len(counts) / len(polled), (sum(counts) + means[hour % 24]) / (len(counts) + 1) / HOUR_SECONDS)
        for hour, counts in sorted(of_week.items())
    )
    by_day = {hour: sum(counts) for hour, counts in of_day.items()}
    busiest = sorted(by_day, key=lambda hour: (-by_day[hour], hour))[:9]
    return Profile(rates, sum(by_day[hour] for hour in busiest) / changes, tuple(sorted(busiest)))
