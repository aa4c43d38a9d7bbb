"""A share with its exact interval: how often something happened of so many times. Pure.

Owns the interval of Clopper and Pearson (The Use of Confidence or Fiducial Limits, 1934): its ends are quantiles of the
beta distribution, so it covers the true share at least as often as it says, for any number of times, also when nothing
or everything happened. The beta distribution is the continued fraction of Numerical Recipes (section 6.4, Lentz), its
quantile Newton's method within a bracket. Errors: ValueError for counts that are negative or greater than the whole.
"""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95
_STEPS = 60  # a handful is enough
_TERMS = 10_000  # of the continued fraction; it needs about the square root of the counts
_TINY = 1e-300
_NORMAL = NormalDist()
_PRECISION = 1e-12
_CLOSE = 1e-9  # of an end of an interval, which is shown with six digits


def interval(part: int, whole: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """(low, high) of the share `part / whole`; (0, 1) when nothing was counted."""
    if not 0 <= part <= whole:
        raise ValueError(f"{part} of {whole} is not a share")
    if whole == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if part == 0 else _quantile(tail, part, whole - part + 1)
    high = 1.0 if part == whole else _quantile(1 - tail, part + 1, whole - part)
    return low, high


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, _not_zero(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            step = d * c
            value *= step
        if abs(step - 1) < _PRECISION:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _quantile(share: float, a: float, b: float) -> float:
    """Newton's steps, and half of the bracket where one would leave it."""
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    mean = a / (a + b)
    near = mean + _NORMAL.inv_cdf(share) * math.sqrt(mean * (1 - mean) / (a + b + 1))
    low, high, at = 0.0, 1.0, near if 0 < near < 1 else mean
    for _ in range(_STEPS):
        value = beta_cdf(at, a, b)
        low, high = (at, high) if value < share else (low, at)
        slope = math.exp((a - 1) * math.log(at) + (b - 1) * math.log1p(-at) - log_beta)
        wanted = at - (value - share) / slope if slope > 0 else low
        if not low < wanted < high:
            wanted = (low + high) / 2
        if abs(wanted - at) <= _CLOSE * wanted:
            return wanted
        at = wanted
    return at
