"""When to poll next, by what earlier polls found: `poll = "auto"`. Pure.

Owns the decision that the pull engine and the simulator share. Polls are made where changes are expected:

- With `max_delay` as few polls as keep the p99 of the delay: of the changes 1 in 100 may wait longer, and that
  allowance is spent on the hours with the fewest changes for each poll that it saves.
- With prices the interval of an hour is sqrt(2 c / (w r)), which costs least: a poll costs c, a change that waits costs
  w per second, and there are r changes per second. With `max_delay` too, the shorter of the two.
- With neither the same shape of intervals, scaled to two polls per change.

Every interval is within `shortest` and `longest`, so a source that slept is looked at now and then (exploration), and
the rate of the source is kept. A look that found far more than expected shortens the next intervals; each look that
finds nothing doubles them again. Knows no clock and no randomness: both are handed in. Crash: `Looked` is the state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tidegate.rules.measure.hours import HOUR_SECONDS, Looked, Rates, hour_of, rates_of, see

LATE_SHARE = 0.01  # of the changes: what p99 leaves
POLLS_PER_CHANGE = 2.0  # without prices and without max_delay
SPREAD = 0.05  # polls are early by up to so much, so that resources do not poll together
_SURPRISING = 1e-3  # probability of what a look found, from which the plan is not believed


class AdaptiveRule(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for, in seconds. `call_price` and `delay_price` (per change and second) go together."""

    shortest: float
    longest: float
    max_delay: float | None = None
    call_price: float | None = None
    delay_price: float | None = None
    budget: float = 0.0  # seconds for each request at the rate of the source; 0: no limit


class Taken(msgspec.Struct, frozen=True):
    """What a poll takes: seconds until it has stored what it found, and requests (pages, retries), which need not be
    a whole number: both are means of the last polls."""

    seconds: float = 0.0
    requests: float = 1.0

    def then(self, seconds: float, requests: float) -> Taken:
        """With one more poll, which counts a tenth."""
        return Taken(self.seconds + 0.1 * (seconds - self.seconds), self.requests + 0.1 * (requests - self.requests))


_TAKEN = Taken()


class Plan(msgspec.Struct, frozen=True):
    """Seconds between polls by hour of the week, and what of the rule could not be kept."""

    intervals: tuple[float, ...]
    clamped: tuple[str, ...] = ()

    @property
    def mean_seconds(self) -> float:
        return math.fsum(self.intervals) / len(self.intervals)

    def after(self, at: float) -> float:
        """The next poll after one at `at`: no change of any hour waits longer than the interval of that hour."""
        due = math.inf
        while at < due:
            due = min(due, at + self.intervals[hour_of(at)])
            at = (at // HOUR_SECONDS + 1) * HOUR_SECONDS
        return due


class AdaptivePolls:
    """Of one resource. `looked` is stored by the caller; everything else is made from it."""

    def __init__(self, rule: AdaptiveRule, looked: Looked | None = None) -> None:
        """ValueError for a shortest interval of 0 or above the longest."""
        if not 0 < rule.shortest <= rule.longest:
            raise ValueError("an interval must be above 0, and the longest one not below the shortest")
        self.rule = rule
        self.looked = looked or Looked()
        self._first_rate = 1 / (POLLS_PER_CHANGE * _first_interval(rule))
        self._quick = 0.0  # seconds between polls while the source is busier than planned; 0: by the plan
        self._planned_hour = 0
        self._looks = self._planned_looks = 0
        self._taken = Taken()
        self.rates = rates_of(self.looked, self._first_rate)
        self.plan = plan(self.rates, rule)

    def see(self, at: float, found: int, fetch_seconds: float = 0.0, requests: int = 1) -> None:
        """Count a look at `at` (seconds since 1970), which took `fetch_seconds` and `requests`. `found`: changes."""
        expected = see(self.looked, self.rates, at, found, 2 * self.rule.longest + HOUR_SECONDS)
        before = self._taken if self._looks else Taken(0.0, requests)
        self._taken = before.then(fetch_seconds, max(1, requests))
        hour = int(at // HOUR_SECONDS)
        self._looks += 1
        if hour != self._planned_hour or (
            (found or self._looks >= 1.1 * self._planned_looks) and math.fsum(self.looked.changes) < 20
        ):
            self._planned_looks = self._looks
            self._planned_hour = hour
            self.rates = rates_of(self.looked, self._first_rate)
            self.plan = plan(self.rates, self.rule, self._taken)
        if expected and found >= 2 and _tail(found, expected) < _SURPRISING:
            self._quick = min(self.plan.intervals)
        elif not found:
            self._quick *= 2

    def wait(self, at: float, chance: float = 0.0) -> float:
        """Seconds from `at` to the next poll. `chance` from 0 to 1 spreads the polls of many resources."""
        wait = self.plan.after(at) - at
        if 0 < self._quick < wait:
            wait = self._quick
        return wait * (1 - SPREAD * chance)


def plan(rates: Rates, rule: AdaptiveRule, taken: Taken = _TAKEN) -> Plan:
    """The intervals of a week. The time that a poll takes is part of the delay; the rate of the source must have room
    for its requests."""
    budget = rule.budget * taken.requests
    least = min(max(rule.shortest, budget), max(rule.longest, budget))
    most = max(rule.longest, least)
    wanted: list[float] = []
    priced = rule.call_price is not None and rule.delay_price is not None
    if rule.max_delay is not None:
        wanted = _bounded(rates.hours, rule.max_delay - taken.seconds, least, most)
    if priced or rule.max_delay is None:
        scale = _scale(rates.hours, rule)
        by_price = [scale / math.sqrt(rate) for rate in rates.hours]
        wanted = [min(pair) for pair in zip(wanted, by_price, strict=True)] if wanted else by_price
    intervals = tuple(min(most, max(least, one)) for one in wanted)
    return Plan(intervals, tuple(_clamped(rule, wanted, taken, least)))


def _bounded(hours: Sequence[float], max_delay: float, least: float, most: float) -> list[float]:
    """The fewest polls with which at most LATE_SHARE of the changes wait longer than `max_delay`.

    A change waits longer with probability 1 - D / T when the interval T is above the bound D. So an hour with the share
    p of the changes adds p (1 - D / T) to what is late and saves 1 - D / T polls: the hours with the smallest p first.
    """
    if not 0 < max_delay < most or max_delay < least:
        return [max_delay] * len(hours)
    total, left = math.fsum(hours), LATE_SHARE
    intervals = [max_delay] * len(hours)
    saved = 1 - max_delay / most
    for rate in sorted(set(hours)):
        places = [place for place in range(len(hours)) if hours[place] == rate]
        share = rate * len(places) / total
        cut = min(saved, left / share)
        for place in places:
            intervals[place] = max_delay / (1 - cut)
        left -= cut * share
        if cut < saved:
            break
    return intervals


def _scale(hours: Sequence[float], rule: AdaptiveRule) -> float:
    """What divided by sqrt(rate) gives the interval of an hour."""
    if rule.call_price is not None and rule.delay_price:
        return math.sqrt(2 * rule.call_price / rule.delay_price)
    if rule.delay_price is not None and rule.call_price is not None:
        return math.inf  # a delay costs nothing
    return math.fsum(math.sqrt(rate) for rate in hours) / (POLLS_PER_CHANGE * math.fsum(hours))


def _clamped(rule: AdaptiveRule, wanted: Sequence[float], taken: Taken, least: float) -> list[str]:
    """What the bounds of the rule do not allow, in a phrase each."""
    shortest = min(wanted)
    found = []
    if shortest < least * 0.999:
        by = "the rate of the source allows" if rule.budget * taken.requests > rule.shortest else "poll_min allows"
        many = f" ({taken.requests:.3g} requests a poll)" if by.startswith("the rate") and taken.requests > 1.05 else ""
        slow = f" (a poll takes {taken.seconds:.3g} s)" if taken.seconds >= 1 else ""
        why = "max_delay" if rule.max_delay is not None else "the rate of changes"
        found.append(
            f"{why} asks for a poll every {max(0.0, shortest):.3g} s{slow}, {by} one every {least:.3g} s{many}"
        )
    if rule.max_delay is not None and rule.max_delay > rule.longest:
        found.append(f"max_delay allows {rule.max_delay:.3g} s between polls, poll_max {rule.longest:.3g} s")
    return found


def _first_interval(rule: AdaptiveRule) -> float:
    """Before anything is known: as far from the shortest as from the longest, or what `max_delay` asks."""
    if rule.max_delay is not None:
        return min(rule.longest, max(rule.shortest, rule.max_delay))
    return math.sqrt(rule.shortest * rule.longest)


def _tail(found: int, expected: float) -> float:
    """The probability of at least so many changes where `expected` are expected, by Poisson."""
    if found > 10 * expected + 20:
        return 0.0
    term, below = math.exp(-min(expected, 700.0)), 0.0
    for number in range(found):
        below += term
        term *= expected / (number + 1)
    return max(0.0, 1 - below)
