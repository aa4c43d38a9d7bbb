"""The two forms of Retry-After."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.clock import parse_http_date
from tidegate.rules.outbound.retry_after import parse_retry_after

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
def test_a_date_without_a_zone_is_utc_whatever_the_zone_of_this_machine(text, monkeypatch):
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
