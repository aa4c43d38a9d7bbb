"""How often something changes, by looks that found a change or found none. Pure.

Owns the estimate of a Poisson rate from looks with unequal gaps, and its interval. A look after a gap of g seconds
finds at least one change with probability 1 - exp(-r g), so the likelihood of a rate r is a product over all looks. The
rate is its maximum, found by bisection of its derivative; the interval is where the likelihood ratio stays within the
quantile of chi-square (Wilks). Two cases have a bound on one side only: when no look found anything, the rate is below
the bound; when every look did, it is above it. Both are evidence, and the first one is the costliest to pay for.

Checked against the estimator of Cho and Garcia-Molina for equal gaps (Estimating Frequency of Change, 2003), which is
-ln((n - X + 0.5) / (n + 0.5)) / T. Assumes that changes do not come in bursts; `dispersion` says how far that is true.
Errors: ValueError for a gap or a count that is not positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

CONFIDENCE = 0.90
_CHI_SQUARE = 2.705543454  # its 0.90 quantile with one degree of freedom
_STEPS = 200
_MOST = 700.0  # exp(-700) is still a number


class Looks(msgspec.Struct, frozen=True):
    """`count` looks after a gap of `gap_seconds` each. `changed`: they found at least one change."""

    gap_seconds: float
    changed: bool
    count: int = 1


class RateEstimate(msgspec.Struct, frozen=True):
    """Changes per second. `rate` is None when only a bound is known; `low` is 0 or `high` is None then."""

    rate: float | None
    low: float
    high: float | None
    looks: int
    changed: int

    @property
    def bound(self) -> str:
        """ "upper": nothing was ever found. "lower": every look found something. "": both sides are known."""
        if self.rate is not None:
            return ""
        return "upper" if self.changed == 0 else "lower"


def estimate(looks: Sequence[Looks]) -> RateEstimate | None:
    """The rate by all looks, with its 90% interval; None without looks."""
    for one in looks:
        if not (one.gap_seconds > 0 and math.isfinite(one.gap_seconds)) or one.count < 1:
            raise ValueError(f"a look needs a gap and a count above 0, not {one.gap_seconds!r} and {one.count!r}")
    quiet = math.fsum(one.gap_seconds * one.count for one in looks if not one.changed)
    gaps: dict[float, int] = {}  # many looks have the same gap
    for one in looks:
        if one.changed:
            gaps[one.gap_seconds] = gaps.get(one.gap_seconds, 0) + one.count
    found = list(gaps.items())
    total = sum(one.count for one in looks)
    changed = sum(count for _, count in found)
    if not looks:
        return None
    if not found:
        return RateEstimate(None, 0.0, -math.log(1 - CONFIDENCE) / quiet, total, 0)
    if quiet == 0:
        low = _root(lambda rate: _all_changed(rate, found) - math.log(1 - CONFIDENCE), found)
        return RateEstimate(None, low, None, total, changed)
    rate = _root(lambda one: quiet - math.fsum(count * _pull(one, gap) for gap, count in found), found)
    best = _likelihood(rate, quiet, found)
    wanted = best - _CHI_SQUARE / 2
    low = _between(lambda one: _likelihood(one, quiet, found) - wanted, rate * 1e-9, rate)
    high = _between(lambda one: wanted - _likelihood(one, quiet, found), rate, _above(rate, wanted, quiet, found))
    return RateEstimate(rate, low, high, total, changed)


def dispersion(counts: Sequence[int]) -> float | None:
    """Variance by mean of the changes in equal windows: 1 for Poisson, more for bursts. None for fewer than 10."""
    if len(counts) < 10 or not any(counts):
        return None
    mean = math.fsum(counts) / len(counts)
    return math.fsum((one - mean) ** 2 for one in counts) / (len(counts) - 1) / mean


def _pull(rate: float, gap: float) -> float:
    """The derivative of ln(1 - exp(-r g)): how strongly a look that found something asks for a higher rate."""
    power = rate * gap
    return gap / math.expm1(power) if power < _MOST else 0.0


def _all_changed(rate: float, found: Sequence[tuple[float, int]]) -> float:
    return math.fsum(count * _log_found(rate * gap) for gap, count in found)


def _log_found(power: float) -> float:
    """ln(1 - exp(-power)), also where the power is tiny."""
    return math.log(-math.expm1(-power))


def _likelihood(rate: float, quiet: float, found: Sequence[tuple[float, int]]) -> float:
    return _all_changed(rate, found) - rate * quiet


def _root(rising: Callable[[float], float], found: Sequence[tuple[float, int]]) -> float:
    """Where a function that rises with the rate is 0."""
    low = high = 1 / max(gap for gap, _ in found)
    while rising(low) > 0 and low > 1e-300:
        low /= 8
    while rising(high) < 0 and high < 1e300:
        high *= 8
    return _between(rising, low, high)


def _above(rate: float, wanted: float, quiet: float, found: Sequence[tuple[float, int]]) -> float:
    high = rate * 2
    while _likelihood(high, quiet, found) > wanted and high < 1e300:
        high *= 2
    return high


def _between(rising: Callable[[float], float], low: float, high: float) -> float:
    """Bisection between a value where `rising` is below 0 and one where it is above."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
