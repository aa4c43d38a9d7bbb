"""What goes out next: one test for each numbered case, and what must hold for all of them."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tidegate.rules.outbound.circuit_breaker import Permission
from tidegate.rules.outbound.next_send import NextSend, ProbeCandidate, SendState, choose_probe, next_send

FREE = SendState(Permission.ANY, limit=8, retry_limit=4, first_try=True, retry=True)


def choose(now: float = 100.0, **changes) -> NextSend:
    return next_send(msgspec.structs.replace(FREE, **changes), now)


def test_case_1_a_suspended_destination_gets_nothing_not_even_a_manual_retry():
    assert choose(suspended=True, manual=True) == NextSend(None, "suspended")


def test_case_2_a_manual_retry_passes_the_hold_the_breaker_and_the_limit():
    assert choose(manual=True, hold_until=200, permission=Permission.NOTHING, in_flight=8).send == "manual"


def test_case_3_a_hold_lasts_to_its_end():
    assert choose(hold_until=100.5) == NextSend(None, "hold", 100.5)
    assert choose(hold_until=100.0).send is not None


def test_case_4_a_probe_goes_out_whatever_is_in_flight():
    assert choose(permission=Permission.PROBE, in_flight=8).send == "probe"
    assert choose(permission=Permission.PROBE, retry=False).send == "probe"


def test_case_4_without_a_delivery_that_is_due_there_is_no_probe():
    nothing = choose(permission=Permission.PROBE, retry=False, first_try=False, next_due_at=150.0)
    assert nothing == NextSend(None, "breaker", 150.0)


def test_case_5_an_open_breaker_holds_everything_until_the_next_probe():
    assert choose(permission=Permission.NOTHING, next_probe_at=104.0) == NextSend(None, "breaker", 104.0)


def test_case_6_every_slot_is_taken():
    assert choose(in_flight=8) == NextSend(None, "slots")


def test_case_7_a_breaker_that_holds_retries_lets_first_tries_go():
    assert choose(permission=Permission.FIRST_TRIES).send == "first_try"
    held = choose(permission=Permission.FIRST_TRIES, first_try=False, next_probe_at=104.0)
    assert held == NextSend(None, "breaker", 104.0)


def test_case_8_a_due_retry_goes_first_until_retries_hold_half_of_the_slots():
    assert choose(in_flight=3, retries_in_flight=3).send == "retry"
    assert choose(in_flight=4, retries_in_flight=4).send == "first_try"


def test_case_8_with_one_slot_they_take_turns():
    one = {"limit": 1, "retry_limit": 1}
    assert choose(**one, last_was_retry=False).send == "retry"
    assert choose(**one, last_was_retry=True).send == "first_try"
    assert choose(**one, last_was_retry=True, first_try=False).send == "retry"


def test_case_9_first_tries_may_take_every_slot():
    assert choose(retry=False, in_flight=7).send == "first_try"


def test_case_10_half_of_the_slots_is_kept_for_first_tries_that_may_come():
    assert choose(first_try=False, in_flight=4, retries_in_flight=4) == NextSend(None, "slots")


def test_case_11_nothing_is_due():
    assert choose(first_try=False, retry=False, next_due_at=130.0) == NextSend(None, "nothing_due", 130.0)


STATES = st.builds(
    SendState,
    permission=st.sampled_from(list(Permission)),
    limit=st.integers(1, 9),
    retry_limit=st.integers(1, 4),
    in_flight=st.integers(0, 9),
    retries_in_flight=st.integers(0, 4),
    suspended=st.booleans(),
    manual=st.booleans(),
    first_try=st.booleans(),
    retry=st.booleans(),
    last_was_retry=st.booleans(),
    hold_until=st.sampled_from([0.0, 200.0]),
    next_probe_at=st.just(150.0),
    next_due_at=st.sampled_from([None, 120.0]),
)


@given(STATES)
def test_only_what_is_there_is_sent_and_nothing_is_forgotten(state):
    step = next_send(state, 100.0)
    assert step.send != "retry" or (state.retry and state.permission is Permission.ANY)
    assert step.send != "first_try" or (
        state.first_try and state.permission in (Permission.ANY, Permission.FIRST_TRIES)
    )
    assert step.send != "probe" or state.retry or state.first_try
    assert step.send != "manual" or state.manual
    assert (step.reason == "") is (step.send is not None)
    if step.send in ("retry", "first_try"):
        assert state.in_flight < state.limit
    if step.reason == "nothing_due":
        assert not (state.retry or state.first_try)
    if step.wake_at is not None:
        assert step.wake_at > 100.0


CANDIDATES = st.lists(
    st.builds(ProbeCandidate, st.integers(1, 20), st.integers(0, 5)), unique_by=lambda one: one.offset
)


@given(CANDIDATES, st.integers(0, 20))
def test_a_probe_is_the_event_with_the_fewest_attempts_and_not_the_last_one(candidates, last):
    chosen = choose_probe(candidates, last)
    others = [one for one in candidates if one.offset != last]
    if others:
        assert chosen.attempts == min(one.attempts for one in others)
        assert chosen.offset != last
    else:
        assert chosen == (candidates[0] if candidates else None)


def test_a_never_tried_event_is_probed_before_any_retry():
    chosen = choose_probe([ProbeCandidate(3, 1), ProbeCandidate(9, 0), ProbeCandidate(8, 0)], 0)
    assert chosen == ProbeCandidate(8, 0)
