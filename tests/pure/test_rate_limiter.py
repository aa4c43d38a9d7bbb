"""How fast a destination is sent to (rules.pace)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.rules.outbound.rate_limiter import RateLimiter


def test_without_a_rate_nothing_waits():
    pace = RateLimiter(0.0, 5.0)
    assert [pace.take(5.0) for _ in range(1000)] == [0.0] * 1000


def test_the_first_goes_at_once_and_the_next_waits_its_turn():
    pace = RateLimiter(4.0, 10.0)
    assert pace.take(10.0) == 0.0
    assert pace.take(10.0) == pytest.approx(0.25)
    assert pace.take(10.2) == pytest.approx(0.05)
    assert pace.take(10.25) == 0.0


def test_rest_saves_up_a_tenth_of_a_second_and_no_more():
    pace = RateLimiter(50.0, 0.0)
    spent = 0
    while pace.take(100.0) == 0.0:
        spent += 1
    assert spent == 5


def test_a_changed_rate_holds_at_once():
    pace = RateLimiter(1.0, 0.0)
    assert pace.take(0.0) == 0.0
    pace.configure(0.0)
    assert pace.take(0.0) == 0.0


@given(st.floats(0.1, 1000.0), st.lists(st.floats(0.0, 2.0), max_size=200))
def test_over_any_time_no_more_leave_than_the_rate_and_one_burst(rate, waits):
    pace, now, spent = RateLimiter(rate, 0.0), 0.0, 0
    for wait in waits:
        now += wait
        while spent < 10_000 and pace.take(now) == 0.0:
            spent += 1
    assert spent <= now * rate + max(1.0, rate / 10) + 1e-6
