"""When a destination is left alone, what its probes are, and how it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.model import Outcome
from tidegate.rules.outbound.circuit_breaker import (
    EVENTS_TO_OPEN,
    EVENTS_TO_OPEN_EARLY,
    MOST_EVENTS,
    MOST_KNOWN_FAILING,
    SUCCESSES_TO_CLOSE,
    BreakerState,
    CircuitBreaker,
    Permission,
    Sent,
)
from tidegate.rules.outbound.retry_on import AttemptMeaning, read_attempt

OK = read_attempt(Outcome.OK, 200)
REFUSED = read_attempt(Outcome.REFUSED, None)
UNAVAILABLE = read_attempt(Outcome.HTTP_ERROR, 503)
INVALID = read_attempt(Outcome.HTTP_ERROR, 422)
RENDER = read_attempt(Outcome.RENDER, None)
MIDDLE = 0.5  # a jitter that leaves the wait as it is


def result(
    breaker: CircuitBreaker, offset: int, meaning: AttemptMeaning, now: float, first: bool = True, sent: float = -1.0
) -> None:
    breaker.on_result(Sent(offset, first, now if sent < 0 else sent), meaning, now, MIDDLE)


def refused(count: int = EVENTS_TO_OPEN, first: bool = True) -> CircuitBreaker:
    """A breaker after so many distinct events were refused at second 0 and nothing ever succeeded."""
    breaker = CircuitBreaker()
    for offset in range(1, count + 1):
        result(breaker, offset, REFUSED, 0.0, first)
    return breaker


def probe(breaker: CircuitBreaker, offset: int, meaning: AttemptMeaning, first: bool = True) -> float:
    """Send the next probe at its time; returns that time."""
    assert breaker.next_probe_at is not None
    now = breaker.next_probe_at
    assert breaker.permission(now) is Permission.PROBE
    breaker.probe_sent(offset)
    result(breaker, offset, meaning, now, first)
    return now


def test_ten_distinct_events_that_get_no_answer_open_it():
    assert refused(9).state == "closed"
    breaker = refused(10)
    assert (breaker.state, breaker.opened_at, breaker.next_probe_at) == ("open", 0.0, 1.0)
    assert breaker.permission(0.9) is Permission.NOTHING


@pytest.mark.parametrize("meaning", [REFUSED, UNAVAILABLE])
def test_one_event_that_fails_a_thousand_times_does_not_open_it(meaning):
    breaker = CircuitBreaker()
    for second in range(1000):
        result(breaker, 7, meaning, float(second), first=second == 0)
    assert breaker.state == "closed"


def test_a_destination_that_answers_needs_more_events_within_the_first_minute():
    breaker = CircuitBreaker()
    for offset in range(1, EVENTS_TO_OPEN_EARLY):
        result(breaker, offset, UNAVAILABLE, 0.0)
    assert breaker.state == "closed"
    result(breaker, EVENTS_TO_OPEN_EARLY, UNAVAILABLE, 0.0)
    assert breaker.state == "open"


def test_ten_events_are_enough_when_all_have_failed_for_a_minute():
    breaker = CircuitBreaker()
    result(breaker, 1000, OK, 0.0)
    for offset in range(1, 11):
        result(breaker, offset, UNAVAILABLE, offset * 6.0)
        assert breaker.state == "closed"
    result(breaker, 11, UNAVAILABLE, 66.0)
    assert breaker.state == "open"


def test_a_success_of_any_event_resets_the_evidence():
    breaker = CircuitBreaker()
    for offset in range(1, 500):
        result(breaker, offset, OK if offset % 10 == 0 else REFUSED, 0.0)
    assert breaker.state == "closed"


def test_what_concerns_one_delivery_never_opens_it_and_resets_nothing():
    breaker = CircuitBreaker()
    for offset in range(1, 500):
        result(breaker, offset, INVALID if offset % 2 else RENDER, 0.0)
    assert breaker.state == "closed"
    for offset in range(1, 10):
        result(breaker, 1000 + offset, REFUSED, 0.0)
        result(breaker, 2000 + offset, INVALID, 0.0)
    result(breaker, 1010, REFUSED, 0.0)
    assert breaker.state == "open"


def test_a_longer_run_that_a_success_ended_asks_for_more_evidence():
    breaker = CircuitBreaker()
    for offset in range(1, 21):
        result(breaker, offset, UNAVAILABLE, 0.0)
    result(breaker, 100, OK, 1.0)
    assert breaker.events_needed(1.0) == 100
    for offset in range(1000, 1099):
        result(breaker, offset, UNAVAILABLE, 2.0)
    assert breaker.state == "closed"
    result(breaker, 1099, UNAVAILABLE, 2.0)
    assert breaker.state == "open"


def test_healthy_traffic_makes_it_forget_long_runs():
    breaker = CircuitBreaker()
    for offset in range(1, 21):
        result(breaker, offset, UNAVAILABLE, 0.0)
    for offset in range(100, 200):
        result(breaker, offset, OK, 1.0)
    assert breaker.events_needed(1.0) == EVENTS_TO_OPEN_EARLY


def test_an_answer_to_what_was_sent_before_the_outage_does_not_teach_a_long_run():
    breaker = CircuitBreaker()
    for offset in range(1, 29):
        result(breaker, offset, UNAVAILABLE, 10.001, sent=10.0)
    result(breaker, 100, OK, 10.02, sent=9.99)
    assert breaker.events_needed(10.02) == EVENTS_TO_OPEN_EARLY


def test_events_that_failed_beside_successes_are_no_evidence_when_they_fail_again():
    breaker = CircuitBreaker()
    for offset in range(1, 501):
        result(breaker, offset, UNAVAILABLE, float(offset))
        result(breaker, offset + 1000, OK, float(offset))
    for offset in range(1, 501):
        result(breaker, offset, UNAVAILABLE, 1000.0, first=False)
    assert breaker.state == "closed"


def test_a_backlog_of_retries_alone_opens_it_and_first_tries_still_go():
    breaker = refused(first=False)
    assert (breaker.state, breaker.holds_first_tries) == ("open", False)
    assert breaker.permission(0.5) is Permission.FIRST_TRIES
    assert breaker.permission(1.0) is Permission.PROBE
    for offset in range(100, 100 + EVENTS_TO_OPEN):
        result(breaker, offset, REFUSED, 0.5)
    assert breaker.permission(0.6) is Permission.NOTHING


def test_a_first_try_that_succeeds_closes_what_retries_alone_opened():
    breaker = refused(first=False)
    result(breaker, 100, OK, 0.5)
    assert (breaker.state, breaker.opened_at, breaker.permission(0.5)) == ("closed", None, Permission.ANY)


def test_nothing_spends_a_try_while_it_is_open():
    breaker = refused()
    assert not breaker.spends_tries
    probe(breaker, 100, OK)
    assert breaker.spends_tries


def test_waits_between_probes_double_to_thirty_seconds_with_jitter():
    breaker, now, waits = refused(), 0.0, []
    for offset in range(100, 108):
        waits.append(breaker.next_probe_at - now)
        now = probe(breaker, offset, REFUSED)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert breaker.opened_at == 0.0
    for jitter, wait in ((0.0, 24.0), (0.999999, 36.0)):
        at = breaker.next_probe_at
        breaker.probe_sent(200)
        breaker.on_result(Sent(200, True, at), REFUSED, at, jitter)
        assert breaker.next_probe_at - at == pytest.approx(wait, abs=0.001)


def test_a_probe_that_succeeds_half_opens_and_five_successes_close():
    breaker = refused()
    now = probe(breaker, 100, REFUSED)
    assert now == 1.0
    now = probe(breaker, 101, OK)
    assert (breaker.state, breaker.permission(now), breaker.opened_at) == ("half_open", Permission.ANY, 0.0)
    for offset in range(200, 200 + SUCCESSES_TO_CLOSE - 2):
        result(breaker, offset, OK, now)
    assert breaker.state == "half_open"
    result(breaker, 300, OK, now)
    assert (breaker.state, breaker.opened_at) == ("closed", None)


def test_half_open_closes_when_nothing_is_left_to_send():
    breaker = refused()
    probe(breaker, 100, OK)
    breaker.on_idle()
    assert breaker.state == "closed"


def test_half_open_that_only_fails_opens_again_with_the_next_longer_wait_and_the_same_outage():
    breaker = refused()
    probe(breaker, 100, REFUSED)
    now = probe(breaker, 101, OK)
    for offset in range(200, 210):
        assert breaker.state == "half_open"
        result(breaker, offset, REFUSED, now)
    assert (breaker.state, breaker.opened_at) == ("open", 0.0)
    assert breaker.next_probe_at - now == 4.0


def test_failures_of_what_was_sent_before_it_recovered_do_not_open_it_again():
    breaker = refused()
    now = probe(breaker, 100, OK)
    for offset in range(200, 300):
        result(breaker, offset, REFUSED, now + 10, sent=now - 0.1)
    assert breaker.state == "half_open"


def test_a_success_of_what_was_sent_before_it_opened_half_opens_it():
    breaker = refused()
    result(breaker, 77, OK, 0.5, sent=0.0)
    assert breaker.state == "half_open"


def test_a_failure_of_another_than_the_probe_does_not_lengthen_the_wait():
    breaker = refused()
    breaker.probe_sent(100)
    result(breaker, 77, REFUSED, 1.1)
    assert breaker.probe_is_out
    result(breaker, 100, REFUSED, 1.2)
    assert breaker.next_probe_at == pytest.approx(3.2)


def test_a_probe_that_was_not_sent_or_cut_off_is_followed_by_another_at_once():
    breaker = refused()
    breaker.probe_sent(100)
    assert breaker.permission(5.0) is Permission.NOTHING
    breaker.probe_lost(5.0)
    assert breaker.permission(5.0) is Permission.PROBE
    breaker.probe_sent(101)
    result(breaker, 101, RENDER, 6.0)
    assert breaker.permission(6.0) is Permission.PROBE


def test_a_probe_that_is_answered_about_its_delivery_shows_that_the_destination_works():
    breaker = refused()
    probe(breaker, 100, INVALID)
    assert breaker.state == "half_open"


def test_a_test_send_half_opens_it_when_it_succeeds_and_changes_nothing_when_it_fails():
    breaker = refused()
    breaker.on_test_send(False, 0.5)
    assert (breaker.state, breaker.next_probe_at) == ("open", 1.0)
    breaker.on_test_send(True, 0.6)
    assert breaker.state == "half_open"


def test_the_age_of_an_outage_survives_a_restart_and_the_next_probe_is_due_at_once():
    breaker = refused()
    for offset in range(100, 104):
        probe(breaker, offset, REFUSED)
    stored = breaker.export(600.0)
    assert stored == BreakerState(600.0, 16.0, True, 0.0, 103)
    again = CircuitBreaker.restore(stored, 5.0, away_seconds=30.0)
    assert (again.state, again.opened_at, again.last_probe) == ("open", 5.0 - 630.0, 103)
    assert again.permission(5.0) is Permission.PROBE
    again.probe_sent(104)
    result(again, 104, REFUSED, 6.0)
    assert again.next_probe_at == 36.0
    assert again.permission(6.0) is Permission.NOTHING


def test_a_closed_breaker_stores_nothing_unless_it_knows_long_runs():
    assert CircuitBreaker().export(1.0) is None
    assert CircuitBreaker.restore(None, 1.0).state == "closed"
    breaker = CircuitBreaker()
    for offset in range(1, 21):
        result(breaker, offset, UNAVAILABLE, 0.0)
    result(breaker, 100, OK, 1.0)
    again = CircuitBreaker.restore(breaker.export(1.0), 0.0)
    assert (again.state, again.events_needed(0.0)) == ("closed", 100)


def test_its_memory_is_bounded():
    breaker = CircuitBreaker()
    for offset in range(1, 3 * MOST_KNOWN_FAILING):
        result(breaker, offset, UNAVAILABLE, float(offset))
        if offset % 20 == 0:
            result(breaker, offset, OK, float(offset))
    assert len(breaker._known_failing) <= MOST_KNOWN_FAILING
    for offset in range(10**6, 10**6 + 2 * MOST_EVENTS):
        result(breaker, offset, UNAVAILABLE, 10.0**6)
    assert len(breaker._failed) <= MOST_EVENTS
    assert breaker.state == "open"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ok", "refused", "503", "422", "render", "test", "lost", "idle", "restart", "probe"]),
        st.integers(1, 40),
        st.booleans(),
        st.floats(0, 20),
    ),
    max_size=120,
)
MEANINGS = {"ok": OK, "refused": REFUSED, "503": UNAVAILABLE, "422": INVALID, "render": RENDER}


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_it_opens_only_after_ten_distinct_events_failed_with_no_success_between(steps):
    breaker, now, failed = CircuitBreaker(), 0.0, set()
    for what, offset, first, wait in steps:
        now += wait
        before = breaker.state
        if what in MEANINGS:
            failed = failed | {offset} if what in ("refused", "503") else set() if what == "ok" else failed
            result(breaker, offset, MEANINGS[what], now, first)
        elif what == "test":
            breaker.on_test_send(first, now)
        elif what == "lost":
            breaker.probe_lost(now)
        elif what == "idle":
            breaker.on_idle()
        elif what == "restart":
            breaker = CircuitBreaker.restore(breaker.export(now), now)
        elif breaker.permission(now) is Permission.PROBE:
            breaker.probe_sent(offset)
            assert breaker.permission(now) is not Permission.PROBE, "two probes at a time"
        if breaker.state == "open" and before != "open" and what != "restart":
            assert len(failed) >= EVENTS_TO_OPEN
        assert (breaker.opened_at is None) is (breaker.state == "closed")
        assert (breaker.next_probe_at is not None or breaker.probe_is_out) is (breaker.state == "open")
        assert breaker.state == "open" or breaker.permission(now) is Permission.ANY
        assert breaker.spends_tries is (breaker.state != "open")


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.integers(1, EVENTS_TO_OPEN - 1))
@settings(max_examples=100, deadline=None)
def test_it_never_opens_while_one_of_any_ten_events_succeeds(results, longest):
    breaker, run = CircuitBreaker(), 0
    for offset, ok in enumerate(results, 1):
        ok = ok or run >= longest
        run = 0 if ok else run + 1
        result(breaker, offset, OK if ok else REFUSED, offset * 100.0)
        assert breaker.state == "closed"
