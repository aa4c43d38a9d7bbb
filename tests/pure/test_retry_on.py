"""What each outcome means for its delivery and for the destination."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.core.model import Outcome
from tidegate.core.spec import DEFAULT_RETRY_ON
from tidegate.rules.outbound.retry_on import Blame, parse_retry_on, read_attempt

NO_ANSWER = [
    Outcome.TIMEOUT, Outcome.REFUSED, Outcome.BLOCKED, Outcome.RESET, Outcome.BAD_ANSWER, Outcome.TLS, Outcome.DNS,
]  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_delivers(status):
    meaning = read_attempt(Outcome.OK, status)
    assert (meaning.follow, meaning.blame) == ("delivered", Blame.NONE)


def test_a_destination_with_success_statuses_of_its_own_has_only_those():
    ok = frozenset({200, 302})
    assert read_attempt(Outcome.HTTP_ERROR, 302, success_statuses=ok).follow == "delivered"
    assert read_attempt(Outcome.OK, 204, success_statuses=ok).follow == "retry"


def test_a_body_that_cannot_be_rendered_is_exhausted_at_once_and_says_nothing_about_the_destination():
    meaning = read_attempt(Outcome.RENDER, None)
    assert (meaning.follow, meaning.blame) == ("exhausted", Blame.NOT_SENT)


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_answers_about_one_delivery_are_retried_and_do_not_count_against_the_destination(status):
    meaning = read_attempt(Outcome.HTTP_ERROR, status)
    assert (meaning.follow, meaning.blame) == ("retry", Blame.DELIVERY)


@pytest.mark.parametrize("status", [301, 401, 402, 403, 404, 405, 408, 429, 500, 502, 503, 504, 100, 999])
def test_other_answers_count_against_the_destination(status):
    meaning = read_attempt(Outcome.HTTP_ERROR, status)
    assert (meaning.follow, meaning.blame, meaning.answered) == ("retry", Blame.DESTINATION, True)
    assert meaning.throttled is (status == 429)


@pytest.mark.parametrize("outcome", NO_ANSWER)
def test_no_answer_counts_against_the_destination(outcome):
    meaning = read_attempt(outcome, None)
    assert (meaning.follow, meaning.blame, meaning.answered) == ("retry", Blame.DESTINATION, False)
    assert meaning.timed_out is (outcome is Outcome.TIMEOUT)


def test_410_disables_the_destination_whatever_retry_on_says():
    assert read_attempt(Outcome.HTTP_ERROR, 410, parse_retry_on(["4xx"])).follow == "disable"


@pytest.mark.parametrize(
    ("values", "retried", "exhausted"),
    [
        (["5xx", 429], [500, 503, 429], [404, 422, 301]),
        (["4xx"], [400, 404, 429], [500]),
        ([], [], [500, 404, 422, 429]),
        ([" 5XX "], [500], [404]),
    ],
)
def test_retry_on_names_the_statuses_that_are_tried_again(values, retried, exhausted):
    rule = parse_retry_on(values)
    assert {read_attempt(Outcome.HTTP_ERROR, status, rule).follow for status in retried} <= {"retry"}
    assert {read_attempt(Outcome.HTTP_ERROR, status, rule).follow for status in exhausted} <= {"exhausted"}


def test_retry_on_names_failures_without_an_answer():
    rule = parse_retry_on(["timeout"])
    assert read_attempt(Outcome.TIMEOUT, None, rule).follow == "retry"
    assert read_attempt(Outcome.TLS, None, rule).follow == "exhausted"
    assert read_attempt(Outcome.DNS, None, parse_retry_on(["connection"])).follow == "retry"


@pytest.mark.parametrize("value", ["6xx", "2xx", 200, 299, 600, "always", "", True, "render", 4.5])
def test_a_value_that_is_not_a_failure_is_refused_by_name(value):
    with pytest.raises(ConfigError, match="not a failure that can be retried") as caught:
        parse_retry_on([value], "$.destinations.crm.retry_on")
    assert repr(value) in caught.value.message
    assert caught.value.path == "$.destinations.crm.retry_on"


@given(st.sampled_from(list(Outcome)), st.none() | st.integers(0, 999))
def test_by_default_everything_but_what_was_not_sent_and_410_is_tried_again(outcome, status):
    meaning = read_attempt(outcome, status, parse_retry_on(DEFAULT_RETRY_ON))
    answered = outcome in (Outcome.OK, Outcome.HTTP_ERROR)
    if outcome in (Outcome.RENDER, Outcome.CONFLICT):
        assert meaning.follow == "exhausted"
    elif outcome is Outcome.OK and (status is None or 200 <= status < 300):
        assert meaning.follow == "delivered"
    elif answered and status == 410:
        assert meaning.follow == "disable"
    else:
        assert meaning.follow == "retry"
