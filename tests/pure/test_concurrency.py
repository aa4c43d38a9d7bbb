"""How many requests a destination gets at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.model import Outcome
from tidegate.rules.outbound.concurrency import AdaptiveConcurrency
from tidegate.rules.outbound.retry_on import read_attempt

OK = read_attempt(Outcome.OK, 200)
TIMEOUT = read_attempt(Outcome.TIMEOUT, None)
ERROR = read_attempt(Outcome.HTTP_ERROR, 500)
THROTTLED = read_attempt(Outcome.HTTP_ERROR, 429)


def after(limit: AdaptiveConcurrency, *meanings, now: float = 0.0) -> AdaptiveConcurrency:
    for meaning in meanings:
        limit.on_result(meaning, now, 0.5)
    return limit


def test_it_starts_at_the_maximum_and_success_does_not_raise_it_above():
    limit = after(AdaptiveConcurrency(8), *[OK] * 100)
    assert (limit.limit, limit.retry_limit) == (8, 4)


def test_a_round_of_timeouts_halves_it_down_to_one():
    limit = after(AdaptiveConcurrency(8), *[TIMEOUT] * 8)
    assert limit.limit == 4
    after(limit, *[TIMEOUT] * 100)
    assert (limit.limit, limit.retry_limit) == (1, 1)


def test_health_raises_it_again_by_one_a_round():
    limit = after(AdaptiveConcurrency(8), *[TIMEOUT] * 100, *[OK] * 3)
    assert limit.limit == 2
    after(limit, *[OK] * 60)
    assert limit.limit == 8


def test_other_failures_leave_it_alone():
    assert after(AdaptiveConcurrency(8), *[ERROR] * 100).limit == 8


def test_while_some_requests_succeed_timeouts_leave_a_quarter():
    limit = AdaptiveConcurrency(16)
    for _ in range(200):
        after(limit, TIMEOUT, TIMEOUT, TIMEOUT, OK)
    assert limit.limit == 4


def test_one_timeout_in_a_hundred_costs_nothing():
    limit = AdaptiveConcurrency(64)
    for _ in range(50):
        after(limit, TIMEOUT, *[OK] * 99)
    assert limit.limit == 64


def test_after_a_recovery_a_few_go_through_and_each_round_doubles():
    limit = AdaptiveConcurrency(64)
    limit.slow_start()
    assert limit.limit == 2
    assert after(limit, OK, OK).limit == 4
    assert after(limit, *[OK] * 4).limit == 8
    assert after(limit, *[OK] * 100).limit == 64


def test_a_timeout_ends_the_slow_start():
    limit = AdaptiveConcurrency(64)
    limit.slow_start()
    after(limit, *[OK] * 6, TIMEOUT)
    assert after(limit, OK, OK, OK).limit == 8


def test_a_429_without_retry_after_holds_for_longer_each_time_until_a_success():
    limit, holds, now = AdaptiveConcurrency(8), [], 0.0
    for _ in range(7):
        limit.on_result(THROTTLED, now, 0.5)
        holds.append(limit.hold_until - now)
        now = limit.hold_until
    assert holds == [1, 2, 4, 8, 16, 30, 30]
    limit.on_result(OK, now, 0.5)
    limit.on_result(THROTTLED, now, 0.5)
    assert limit.hold_until - now == 1.0


def test_several_429_at_a_time_are_one_hold():
    limit = after(AdaptiveConcurrency(8), *[THROTTLED] * 8, now=10.0)
    assert limit.hold_until == 11.0


def test_a_429_with_retry_after_adds_no_hold_of_its_own():
    limit = AdaptiveConcurrency(8)
    limit.on_result(THROTTLED, 5.0, 0.5, hold_is_known=True)
    assert limit.hold_until == 0.0


@pytest.mark.parametrize(("maximum", "limit"), [(16, 16), (2, 2)])
def test_another_maximum_applies_at_once_when_the_limit_was_not_cut(maximum, limit):
    one = AdaptiveConcurrency(8)
    one.configure(maximum)
    assert one.limit == limit


def test_a_limit_that_was_cut_stays_cut_under_a_larger_maximum():
    one = after(AdaptiveConcurrency(8), *[TIMEOUT] * 100)
    one.configure(64)
    assert one.limit == 1


@given(
    st.integers(1, 1024),
    st.lists(st.sampled_from(["ok", "timeout", "error", "429", "slow"]), max_size=200),
    st.integers(1, 1024),
)
def test_the_limit_is_always_between_one_and_the_maximum(maximum, steps, changed):
    limit = AdaptiveConcurrency(maximum)
    meanings = {"ok": OK, "timeout": TIMEOUT, "error": ERROR, "429": THROTTLED}
    for number, step in enumerate(steps):
        if step == "slow":
            limit.slow_start()
        else:
            limit.on_result(meanings[step], float(number), 0.5)
        if number == 100:
            limit.configure(changed)
            maximum = changed
        assert 1 <= limit.limit <= maximum
        assert 1 <= limit.retry_limit <= max(1, limit.limit // 2)
