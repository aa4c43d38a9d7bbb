"""A budget lets a burst of one second go, and then the rate; too long a wait reserves nothing."""

from __future__ import annotations

import random

import pytest

from tidegate.rules.outbound.request_budget import RequestBudget


@pytest.mark.parametrize(("per_second", "at_once"), [(0.5, 1), (1.0, 1), (10.0, 10)])
def test_a_burst_is_one_second_and_at_least_one_request(per_second: float, at_once: int) -> None:
    budget = RequestBudget()
    waits = [budget.reserve(per_second, 3600, 100.0) for _ in range(at_once + 2)]
    assert waits == pytest.approx([0.0] * at_once + [1 / per_second, 2 / per_second])


def test_over_any_period_the_rate_and_one_burst_are_kept() -> None:
    chance, budget, now = random.Random(3), RequestBudget(), 0.0
    left = []
    for _ in range(500):
        now += chance.choice([0.0, 0.0, 0.05, 0.4])
        left.append(now + budget.reserve(10.0, 3600, now))
    assert left == sorted(left)
    for first in range(0, 500, 7):
        for last in range(first, 500, 11):
            assert last - first + 1 <= 10 + 10 * (left[last] - left[first]) + 1e-6


def test_a_wait_beyond_the_patience_reserves_nothing() -> None:
    budget = RequestBudget()
    assert budget.reserve(1.0, 0.5, 0.0) == 0.0
    assert [budget.reserve(1.0, 0.5, 0.0) for _ in range(3)] == [1.0] * 3


def test_a_hold_lets_nothing_leave_and_goes_on_at_the_rate() -> None:
    budget = RequestBudget()
    budget.hold(5.0, 0.0)
    assert [budget.reserve(1.0, 60, 0.0) for _ in range(2)] == pytest.approx([5.0, 6.0])
