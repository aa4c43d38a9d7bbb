"""How far a counted share can be trusted: its 95% interval. Pure.

Owns Wilson's interval (1927), for shares that are shown beside others (empty polls). The exact one, for rare losses
where a bound must hold (missed webhooks), is `proportions.interval`. Errors: ValueError for counts that cannot be.
"""

from __future__ import annotations

import math

import msgspec

from tidegate.rules.measure import proportions

_Z = 1.959963984540054  # the 0.975 quantile of the normal distribution


class Proportion(msgspec.Struct, frozen=True):
    """`part` of `whole`, with the bounds between which the true share lies. `estimate` is None without any."""

    part: int
    whole: int
    estimate: float | None
    low: float
    high: float


def wilson(part: int, whole: int) -> Proportion:
    """The interval is from 0 to 1 when nothing was counted."""
    if not 0 <= part <= whole:
        raise ValueError(f"{part} of {whole} is not a share")
    if not whole:
        return Proportion(part, whole, None, 0.0, 1.0)
    share, square = part / whole, _Z * _Z
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    half = _Z * math.sqrt(share * (1 - share) / whole + square / (4 * whole * whole)) / (1 + square / whole)
    low = 0.0 if part == 0 else max(0.0, middle - half)
    high = 1.0 if part == whole else min(1.0, middle + half)
    return Proportion(part, whole, share, low, high)


def exact(part: int, whole: int) -> Proportion:
    """It covers the true share at least 95 times of 100."""
    low, high = proportions.interval(part, whole)
    return Proportion(part, whole, part / whole if whole else None, low, high)
