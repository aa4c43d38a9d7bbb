"""How far a counted share can be trusted: its 95% interval. Pure.

Owns Wilson's interval, for shares that are shown beside others (empty polls), and the exact one of Clopper and Pearson
(1934), for rare losses where a bound must hold (missed webhooks). The exact bounds are quantiles of beta distributions,
found by bisection of the regularized incomplete beta function, which is computed as a continued fraction (DLMF 8.17.22,
modified Lentz). Errors: ValueError for counts that cannot be.
"""

from __future__ import annotations

import math

import msgspec

_Z = 1.959963984540054  # the 0.975 quantile of the normal distribution
_TAIL = 0.025
_TINY = 1e-300


class Share(msgspec.Struct, frozen=True):
    """`part` of `whole`, with the bounds between which the true share lies. `estimate` is None without any."""

    part: int
    whole: int
    estimate: float | None
    low: float
    high: float


def wilson(part: int, whole: int) -> Share:
    """The interval of Wilson (1927): from 0 to 1 when nothing was counted."""
    _possible(part, whole)
    if not whole:
        return Share(part, whole, None, 0.0, 1.0)
    share, square = part / whole, _Z * _Z
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    half = _Z * math.sqrt(share * (1 - share) / whole + square / (4 * whole * whole)) / (1 + square / whole)
    low = 0.0 if part == 0 else max(0.0, middle - half)
    high = 1.0 if part == whole else min(1.0, middle + half)
    return Share(part, whole, share, low, high)


def clopper_pearson(part: int, whole: int) -> Share:
    """The exact interval: it covers the true share at least 95 times of 100."""
    _possible(part, whole)
    if not whole:
        return Share(part, whole, None, 0.0, 1.0)
    low = _quantile(_TAIL, part, whole - part + 1) if part else 0.0
    high = _quantile(1 - _TAIL, part + 1, whole - part) if part < whole else 1.0
    return Share(part, whole, part / whole, low, high)


def _possible(part: int, whole: int) -> None:
    if not 0 <= part <= whole:
        raise ValueError(f"{part} of {whole} is not a share")


def _quantile(wanted: float, a: float, b: float) -> float:
    """Where the distribution function of beta(a, b) is `wanted`."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _beta(middle, a, b) < wanted else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1 - _beta(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _not_zero(1 + step * d)
            c = _not_zero(1 + step / c)
            value *= c * d
        if abs(c * d - 1) < 1e-13:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
