"""How far a counted share can be trusted: its 95% interval. Pure.

Owns the share with its bounds, which are those of `proportions.interval`. Errors: ValueError for counts that cannot be.
"""

from __future__ import annotations

import msgspec

from tidegate.rules.measure import proportions


class Proportion(msgspec.Struct, frozen=True):
    """`part` of `whole`, with the bounds between which the true share lies. `estimate` is None without any."""

    part: int
    whole: int
    estimate: float | None
    low: float
    high: float


def exact(part: int, whole: int) -> Proportion:
    """It covers the true share at least 95 times of 100."""
    low, high = proportions.interval(part, whole)
    return Proportion(part, whole, part / whole if whole else None, low, high)
