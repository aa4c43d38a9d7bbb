"""Retry-After, the schedule, and what each answer means."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.clock import parse_http_date
from tidegate.core.model import Outcome
from tidegate.rules.outbound.retry import Verdict, next_attempt, parse_retry_after

NOW = 1_800_000_000_000_000  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("9" * 32, float("9" * 32)),
        ("9" * 33, None),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Friday, 15-Jan-27 08:01:00 GMT", 60.0),
        ("Fri Jan 15 08:01:00 2027", 60.0),
        ("Fri, 15 Jan 2027 09:01:00 +0100", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 15 Jan 99999 07:00:00 GMT", None),
        ("", None),
        ("soon", None),
        ("1e9", None),
        ("inf", None),
        ("nan", None),
        ("\u0661", None),
        ("0x10", None),
        ("1, 2", None),
        ("5;" * 10_000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, wanted):
    assert parse_retry_after(value, NOW) == wanted


@pytest.mark.parametrize("text", ["Fri Jan 15 08:01:00 2027", "Fri, 15 Jan 2027 08:01:00 -0000"])
def test_a_date_without_a_zone_is_utc_wherever_this_machine_stands(text, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_http_date(text) == NOW + 60_000_000
        assert parse_retry_after(text, NOW) == 60.0
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(max_size=80) | st.text(alphabet="0123456789 :,-+GMTJanFri.", max_size=64))
def test_retry_after_never_raises_and_is_finite(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


SCHEDULE = (5.0, 300.0, 1800.0)


def after(tries=1, outcome=Outcome.HTTP_ERROR, status=500, retry_after=None, cap=3600.0, jitter=0.5, schedule=SCHEDULE):
    return next_attempt(schedule, tries, outcome, status, retry_after, cap, NOW, jitter)


def due(seconds):
    return NOW + round(seconds * 1_000_000)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"outcome": Outcome.OK, "status": 200}, Verdict("delivered")),
        ({"outcome": Outcome.OK, "status": 299, "tries": 9}, Verdict("delivered")),
        ({"status": 199}, Verdict("retry", due(5))),
        ({"status": 301}, Verdict("retry", due(5))),
        ({"outcome": Outcome.OK, "status": 301}, Verdict("retry", due(5))),
        ({"status": 404}, Verdict("retry", due(5))),
        ({"status": 410}, Verdict("disable")),
        ({"status": 410, "tries": 4}, Verdict("disable")),
        ({"tries": 2}, Verdict("retry", due(300))),
        ({"tries": 3}, Verdict("retry", due(1800))),
        ({"tries": 4}, Verdict("exhausted")),
        ({"schedule": ()}, Verdict("exhausted")),
        ({"outcome": Outcome.TIMEOUT, "status": None}, Verdict("retry", due(5))),
        ({"outcome": Outcome.RENDER, "status": None}, Verdict("retry", due(5))),
        ({"jitter": 0.0}, Verdict("retry", due(4))),
        ({"jitter": 0.75}, Verdict("retry", due(5.5))),
        ({"status": 429}, Verdict("retry", due(5))),
        ({"status": 429, "retry_after": 60.0}, Verdict("retry", due(60), 60.0)),
        ({"status": 503, "retry_after": 60.0, "tries": 2}, Verdict("retry", due(300), 60.0)),
        ({"status": 429, "retry_after": 1e31}, Verdict("retry", due(3600), 3600.0)),
        ({"status": 429, "retry_after": 60.0, "tries": 4}, Verdict("exhausted", None, 60.0)),
        ({"status": 500, "retry_after": 60.0}, Verdict("retry", due(5))),
    ],
)
def test_the_verdict_on_a_try(told, wanted):
    assert after(**told) == wanted


@given(
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 3),
    st.sampled_from([429, 503, 500, 404]),
    st.none() | st.floats(0, 1e6),
)
def test_no_try_comes_earlier_than_asked_or_outside_the_jitter(jitter, tries, status, retry_after):
    verdict = after(tries=tries, status=status, retry_after=retry_after, jitter=jitter)
    wait = (verdict.due_at_us - NOW) / 1_000_000
    assert wait >= SCHEDULE[tries - 1] * 0.8 - 1e-6
    if verdict.hold_seconds is None:
        assert wait <= SCHEDULE[tries - 1] * 1.2 + 1e-5
    else:
        assert verdict.due_at_us >= NOW + verdict.hold_seconds * 1_000_000 - 1
        assert verdict.hold_seconds <= 3600


@given(st.lists(st.floats(0.1, 100), max_size=10))
def test_n_waits_give_n_and_one_tries(waits):
    tries = 1
    while after(tries=tries, schedule=tuple(waits)).kind == "retry":
        tries += 1
    assert tries == len(waits) + 1
