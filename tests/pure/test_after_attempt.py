"""Which attempt spends a try, when the next one is due, and when a delivery is exhausted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.model import Outcome
from tidegate.rules.outbound.after_attempt import (
    FREE_ATTEMPTS,
    DeliveryTries,
    NextStep,
    RetryPolicy,
    after_attempt,
    hold_of,
)
from tidegate.rules.outbound.retry_on import AttemptMeaning, parse_retry_on, read_attempt

NOW = 1_800_000_000_000_000
POLICY = RetryPolicy((5.0, 300.0, 1800.0))
ERROR = read_attempt(Outcome.HTTP_ERROR, 500)
THROTTLED = read_attempt(Outcome.HTTP_ERROR, 429)
SECOND = 1_000_000


def step(before: DeliveryTries, meaning: AttemptMeaning, hold: float | None = None, jitter: float = 0.5) -> NextStep:
    return after_attempt(POLICY, before, meaning, hold, NOW, jitter)


def test_a_schedule_of_three_waits_gives_four_tries():
    seen, tries = [], 0
    while True:
        following = step(DeliveryTries(tries, tries), ERROR)
        tries += following.spent
        if following.kind != "retry":
            break
        seen.append((following.due_at_us - NOW) / SECOND)
    assert (seen, tries, following.kind) == ([5, 300, 1800], 4, "exhausted")


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 4.0), (0.5, 5.0), (0.999999, 6.0)])
def test_waits_are_spread_over_80_to_120_percent(jitter, wait):
    following = step(DeliveryTries(), ERROR, jitter=jitter)
    assert (following.due_at_us - NOW) / SECOND == pytest.approx(wait, abs=0.001)


def test_an_empty_schedule_is_one_try():
    assert after_attempt(RetryPolicy(()), DeliveryTries(), ERROR, None, NOW, 0.5).kind == "exhausted"


def test_success_and_410_end_it():
    assert step(DeliveryTries(), read_attempt(Outcome.OK, 200)).kind == "delivered"
    assert step(DeliveryTries(), read_attempt(Outcome.HTTP_ERROR, 410)).kind == "disable"


def test_a_render_failure_is_exhausted_at_once():
    assert step(DeliveryTries(), read_attempt(Outcome.RENDER, None)).kind == "exhausted"


def test_what_an_open_breaker_let_through_spends_no_try_and_is_due_again_at_once():
    assert step(DeliveryTries(7, 3, spends_try=False), ERROR) == NextStep("retry", NOW, False)


def test_an_outage_exhausts_nothing_even_when_retry_on_leaves_it_out():
    meaning = read_attempt(Outcome.HTTP_ERROR, 500, parse_retry_on(["timeout"]))
    assert step(DeliveryTries(0, 0, spends_try=False), meaning).kind == "retry"
    assert step(DeliveryTries(0, 0), meaning).kind == "exhausted"


def test_a_probe_that_is_answered_about_its_delivery_waits_as_after_a_try_and_spends_none():
    following = step(DeliveryTries(2, 1, spends_try=False), read_attempt(Outcome.HTTP_ERROR, 422))
    assert following == NextStep("retry", NOW + 5 * SECOND, False)


def test_a_429_spends_no_try_until_a_delivery_had_many_free_attempts():
    following = step(DeliveryTries(3, 3), THROTTLED)
    assert (following.kind, following.spent) == ("retry", False)
    assert SECOND <= following.due_at_us - NOW <= 1.2 * SECOND
    assert step(DeliveryTries(FREE_ATTEMPTS + 3, 3), THROTTLED).kind == "exhausted"


def test_no_try_comes_before_the_instant_the_destination_asked_for():
    assert step(DeliveryTries(), ERROR, hold=60.0).due_at_us == NOW + 60 * SECOND
    assert step(DeliveryTries(), THROTTLED, hold=60.0).due_at_us >= NOW + 60 * SECOND


def test_only_429_and_503_hold_and_never_longer_than_the_cap():
    assert hold_of(429, 30.0, 3600.0) == 30.0
    assert hold_of(503, 1e9, 3600.0) == 3600.0
    assert hold_of(500, 30.0, 3600.0) is None
    assert hold_of(429, None, 3600.0) is None


@given(
    st.lists(st.floats(0, 1e6), max_size=8),
    st.integers(0, 12),
    st.integers(0, 40),
    st.booleans(),
    st.sampled_from(list(Outcome)),
    st.floats(0, 0.999),
)
def test_every_attempt_is_followed_by_exactly_one_step_that_is_not_in_the_past(
    waits, tries, free, spends, outcome, jitter
):
    meaning = read_attempt(outcome, 429 if outcome is Outcome.HTTP_ERROR else None)
    before = DeliveryTries(tries + free, tries, spends)
    following = after_attempt(RetryPolicy(tuple(waits)), before, meaning, None, NOW, jitter)
    assert (following.due_at_us is not None) is (following.kind == "retry")
    if following.due_at_us is not None:
        assert following.due_at_us >= NOW
    if not spends:
        assert not following.spent or following.kind in ("delivered", "disable")
