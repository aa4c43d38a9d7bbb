"""How often something changes in each hour of the week, learned from looks. Pure.

Owns what is kept of the looks (seconds observed and changes found for each hour of the week, UTC) and the rates made of
it. Hours next to each other whose rates do not differ are pooled, by the likelihood ratio of two Poisson rates; then
weekdays likewise, as factors of the hours. So a week with nothing special in it has one rate, and noise makes no
pattern. A weak prior of half a change, at the rate of all hours together, fills in what was not observed.

Invariants: a look divides what it found among the hours of its gap by what was expected of each; what one look may
count is bounded, so that an import of thousands of rows teaches no pattern; old looks fade with a half-life of four
weeks. Knows no clock: times are handed in, in seconds since 1970. Crash: the state is stored by the caller; a look
that was not stored is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

HOURS = 168
HOUR_SECONDS = 3600.0
_FIRST_HOUR = 72  # 1970-01-01 was a Thursday; hour 0 of the week is Monday 00:00
_HALF_LIFE_HOURS = 4 * HOURS
_PRIOR_CHANGES = 0.5
_DIFFERENT = 14.0  # likelihood ratio from which two rates differ: of about 300 pairs of equal ones, 5% reach it
_LEAST_FACTOR = 1e-3


class Looked(msgspec.Struct, omit_defaults=True):
    """What is kept of all looks of one resource. `misfit` and `looks` measure how far changes come in bursts."""

    seconds: list[float] = []  # observed, by hour of the week; empty before the first look
    changes: list[float] = []  # found
    last_at: float = 0.0  # the last look; 0 before the first one
    faded_hour: int = 0
    misfit: float = 0.0
    looks: float = 0.0


class Rates(msgspec.Struct, frozen=True):
    """Changes per second. `hours`: by hour of the week, equal where hours are pooled. `mean`: over the week."""

    hours: tuple[float, ...]
    mean: float
    dispersion: float = 1.0  # 1: at random; more: in bursts

    def expected(self, start: float, end: float) -> float:
        """Changes between two instants."""
        return math.fsum(self.hours[hour] * seconds for hour, seconds in spans(start, end))


def hour_of(at: float) -> int:
    """The hour of the week of an instant, 0 to 167, UTC; hour 0 begins on Monday at 00:00."""
    return (int(at // HOUR_SECONDS) + _FIRST_HOUR) % HOURS


def spans(start: float, end: float) -> list[tuple[int, float]]:
    """(hour of the week, seconds in it) of the time between two instants, at most a week of it."""
    end = min(end, start + HOURS * HOUR_SECONDS)
    found: list[tuple[int, float]] = []
    while start < end:
        until = min(end, (start // HOUR_SECONDS + 1) * HOUR_SECONDS)
        found.append((hour_of(start), until - start))
        start = until
    return found


def see(looked: Looked, rates: Rates, at: float, found: int, longest_gap: float) -> float:
    """Count a look that found so many changes; the number of changes that `rates` expected.

    The first look, one after a gap beyond `longest_gap` (the gateway was down) and one whose clock went back only set
    the time: what they found belongs to no hour.
    """
    before, looked.last_at = looked.last_at, at
    if not before or not 0 < at - before <= longest_gap:
        return 0.0
    if not looked.seconds:
        looked.seconds, looked.changes = [0.0] * HOURS, [0.0] * HOURS
        looked.faded_hour = int(at // HOUR_SECONDS)
    _fade(looked, int(at // HOUR_SECONDS))
    parts = spans(before, at)
    expected = math.fsum(rates.hours[hour] * seconds for hour, seconds in parts)
    counted = min(found, expected + 4 * math.sqrt(expected) + 4)
    for hour, seconds in parts:
        looked.seconds[hour] = round(looked.seconds[hour] + seconds, 1)
        if counted:
            share = rates.hours[hour] * seconds / expected
            looked.changes[hour] = round(looked.changes[hour] + counted * share, 3)
    if expected > 0:
        looked.misfit += min(found, 2 * counted) ** 2 / expected - 2 * counted + expected
        looked.looks += 1
    return expected


def rates_of(looked: Looked, first_rate: float) -> Rates:
    """`first_rate`: changes per second to begin with, of the weight of half a change."""
    observed, found = math.fsum(looked.seconds), math.fsum(looked.changes)
    mean = (found + _PRIOR_CHANGES) / (observed + _PRIOR_CHANGES / first_rate)
    if not found:
        return Rates((mean,) * HOURS, mean)
    bursts = max(1.0, (looked.misfit + 20) / (looked.looks + 20))
    factors, hours = [1.0] * 7, [mean] * 24
    for _ in range(2):
        weighted = [math.fsum(factors[day] * looked.seconds[day * 24 + hour] for day in range(7)) for hour in range(24)]
        changes = [math.fsum(looked.changes[hour::24]) for hour in range(24)]
        hours = _pooled(changes, weighted, mean, bursts)
        daily = [math.fsum(hours[hour] * looked.seconds[day * 24 + hour] for hour in range(24)) for day in range(7)]
        changes = [math.fsum(looked.changes[day * 24 : day * 24 + 24]) for day in range(7)]
        factors = [max(_LEAST_FACTOR, one) for one in _pooled(changes, daily, 1.0, bursts)]
        if max(factors) == min(factors):
            factors = [1.0] * 7
            break
    return Rates(tuple(hours[hour] * factors[day] for day in range(7) for hour in range(24)), mean, bursts)


def _pooled(changes: Sequence[float], exposure: Sequence[float], mean: float, bursts: float) -> list[float]:
    """The rate of each place on a circle, equal for neighbors that do not differ.

    Begins with every place on its own and joins the two neighbors that differ least, until all differ enough.
    """
    groups = [
        _Group([place], count, seconds) for place, (count, seconds) in enumerate(zip(changes, exposure, strict=True))
    ]
    ratios = [_ratio(groups[at - 1], groups[at]) for at in range(len(groups))]  # of each and the one before
    while len(groups) > 1:
        at = min(range(len(groups)), key=ratios.__getitem__)
        if ratios[at] / bursts > _DIFFERENT:
            break
        one, other = groups[at - 1], groups[at]
        groups[at] = _Group(one.places + other.places, one.count + other.count, one.exposure + other.exposure)
        del groups[at - 1], ratios[at - 1]
        joined = max(at - 1, 0)
        for changed in {joined, (joined + 1) % len(groups)}:
            ratios[changed] = _ratio(groups[changed - 1], groups[changed])
    found = [0.0] * len(changes)
    for group in groups:
        for place in group.places:
            found[place] = (group.count + _PRIOR_CHANGES) / (group.exposure + _PRIOR_CHANGES / mean)
    return found


class _Group:
    """Places on the circle with one rate; `term` is its part of the likelihood."""

    __slots__ = ("count", "exposure", "places", "term")

    def __init__(self, places: list[int], count: float, exposure: float) -> None:
        self.places = places
        self.count = count
        self.exposure = exposure
        self.term = _term(count, exposure) if exposure else 0.0


def _ratio(one: _Group, other: _Group) -> float:
    """Twice the logarithm of the likelihood ratio: two rates against a common one."""
    if not one.exposure or not other.exposure:
        return 0.0
    return 2 * (one.term + other.term - _term(one.count + other.count, one.exposure + other.exposure))


def _term(count: float, exposure: float) -> float:
    return count * math.log(count / exposure) if count > 0 else 0.0


def _fade(looked: Looked, hour: int) -> None:
    """Let old looks count less, once a hour."""
    passed = hour - looked.faded_hour
    if passed <= 0:
        return
    looked.faded_hour = hour
    kept = 0.5 ** (passed / _HALF_LIFE_HOURS)
    looked.seconds = [round(one * kept, 1) for one in looked.seconds]
    looked.changes = [round(one * kept, 3) for one in looked.changes]
    looked.misfit *= kept
    looked.looks *= kept
