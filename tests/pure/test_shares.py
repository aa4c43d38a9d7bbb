"""The interval of a counted share covers the truth as often as it says."""

from __future__ import annotations

import math

import pytest

from tidegate.rules.measure.shares import exact


def chance_of(part: int, whole: int, share: float) -> float:
    return math.comb(whole, part) * share**part * (1 - share) ** (whole - part)


@pytest.mark.parametrize("whole", [1, 20, 100])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.97])
def test_the_exact_interval_covers_at_least_95_of_100(whole: int, share: float) -> None:
    covered = 0.0
    for part in range(whole + 1):
        bounds = exact(part, whole)
        if bounds.low <= share <= bounds.high:
            covered += chance_of(part, whole, share)
    assert covered >= 0.95


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (0, 0, 0, 1),
        (0, 300, 0, 0.01222),
        (300, 300, 0.98778, 1),
        (3, 2897, 0.0002136, 0.003023),
        (1, 2, 0.01258, 0.98742),
    ],
)
def test_the_exact_interval_is_that_of_the_tables(part: int, whole: int, low: float, high: float) -> None:
    bounds = exact(part, whole)
    assert (bounds.low, bounds.high) == (pytest.approx(low, rel=1e-3), pytest.approx(high, rel=1e-3))


def test_ten_million_looks_have_an_interval() -> None:
    bounds = exact(9_999_990, 10_000_000)
    assert 0.999997 < bounds.low < 0.999999 < bounds.high < 1


@pytest.mark.parametrize(("part", "whole"), [(-1, 5), (6, 5)])
def test_a_share_beyond_its_whole_is_refused(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        exact(part, whole)
