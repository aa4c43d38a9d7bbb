"""Quantiles of a few samples. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile; None for an empty list."""
    if not ordered:
        return None
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[min(len(ordered), max(1, rank)) - 1]
