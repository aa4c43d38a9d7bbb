"""Schedules: the next run in a time zone, over both clock changes, and errors that say what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidegate.core.clock import to_datetime
from tidegate.rules.sync.cron import check_cron, following, shortest_gap_seconds


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "next_"),
    [
        ("*/5 * * * *", "UTC", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("*/5 * * * *", "UTC", "2026-01-01T00:04:59.999999", "2026-01-01T00:05:00"),
        ("0 6 * * 1-5", "UTC", "2026-01-02T06:00:00", "2026-01-05T06:00:00"),  # Friday to Monday
        ("0 6 * * *", "Europe/Berlin", "2026-01-01T00:00:00", "2026-01-01T05:00:00"),
        ("0 6 * * *", "Europe/Berlin", "2026-07-01T00:00:00", "2026-07-01T04:00:00"),
        ("0 6 * * *", "America/New_York", "2026-01-01T00:00:00", "2026-01-01T11:00:00"),
        ("@daily", "Asia/Kolkata", "2026-01-01T00:00:00", "2026-01-01T18:30:00"),
        ("0 0 L * *", "UTC", "2026-02-01T00:00:00", "2026-02-28T00:00:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        # 2026-03-29 02:30 does not exist in Berlin: the run comes right after the change.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-29T01:00:00"),
        # 2026-10-25 02:30 comes twice in Berlin: the run comes once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00", "2026-10-25T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-26T01:30:00"),
        # Every half hour goes on through both hours.
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-25T01:00:00"),
    ],
)
def test_the_next_run_is_after_the_instant_and_in_the_zone(expression: str, zone: str, after: str, next_: str) -> None:
    assert to_datetime(following(expression, zone, us(after))) == to_datetime(us(next_))


@pytest.mark.parametrize(
    ("expression", "zone", "words"),
    [
        ("60 * * * *", "UTC", "bad minute"),
        ("* * * *", "UTC", "5 fields"),
        ("* * * * * *", "UTC", "5 fields"),
        ("", "UTC", "5 fields"),
        ("@reboot", "UTC", "5 fields"),
        ("0 0 30 2 *", "UTC", "bad day-of-month"),
        ("0 0 * * *", "Europe/Berlim", "not a time zone"),
        ("0 0 * * *", "../etc/passwd", "not a time zone"),
        ("0 0 * * *", "", "not a time zone"),
    ],
)
def test_a_schedule_that_cannot_work_is_an_error_that_says_why(expression: str, zone: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_cron(expression, zone)


@pytest.mark.parametrize(
    ("expression", "seconds"), [("* * * * *", 60), ("0,1 6 * * *", 60), ("0 */6 * * *", 21600), ("@weekly", 604800)]
)
def test_the_shortest_gap_is_what_the_bound_of_an_interval_is_compared_with(expression: str, seconds: float) -> None:
    assert shortest_gap_seconds(expression, "UTC", us("2026-01-01T00:00:00")) == seconds
