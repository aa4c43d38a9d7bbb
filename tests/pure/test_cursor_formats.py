"""Cursors in every format: the lag is subtracted exactly, the future is clamped, and a number alone has no unit."""

from __future__ import annotations

import pytest

from tidegate.core.clock import parse_instant
from tidegate.rules.sync import incremental, instants
from tidegate.rules.sync.instants import InstantFormat

NOW = parse_instant("2026-11-24T12:00:00Z")
S = NOW // 1_000_000

# text, a minute earlier
FORMATS = [
    ("2026-11-24T11:50:00Z", "2026-11-24T11:49:00Z"),
    ("2026-11-24T11:50:00.123Z", "2026-11-24T11:49:00.123Z"),
    ("2026-11-24T11:50:00.123456Z", "2026-11-24T11:49:00.123456Z"),
    ("2026-11-24T11:50:00.1234567Z", "2026-11-24T11:49:00.1234560Z"),
    ("2026-11-24T11:50:00.123456789+00:00", "2026-11-24T11:49:00.123456000+00:00"),
    ("2026-11-24T13:50:00+02:00", "2026-11-24T13:49:00+02:00"),
    ("2026-11-24T00:00:30-0500", "2026-11-23T23:59:30-0500"),
    ("2026-11-24T11:50:00+00", "2026-11-24T11:49:00+00"),
    ("2026-11-24 11:50:00", "2026-11-24 11:49:00"),
    ("2026-11-24 11:50:00 UTC", "2026-11-24 11:49:00 UTC"),
    ("2026-11-24T11:50", "2026-11-24T11:49"),
    ("2026-11-24T11:50Z", "2026-11-24T11:49Z"),
    ("2026/11/24 11:50:00", "2026/11/24 11:49:00"),
    ("20261124T115000Z", "20261124T114900Z"),
    ("2026-11-24", "2026-11-23"),
    ("Tue, 24 Nov 2026 11:50:00 GMT", "Tue, 24 Nov 2026 11:49:00 GMT"),
    (f"/Date({S * 1000})/", f"/Date({S * 1000 - 60_000})/"),
    (f"/Date({S * 1000}+0100)/", f"/Date({S * 1000 - 60_000}+0100)/"),
    (str(S), str(S - 60)),
    (str(S * 1000), str(S * 1000 - 60_000)),
    (str(S * 10**6), str(S * 10**6 - 60 * 10**6)),
    (str(S * 10**9), str(S * 10**9 - 60 * 10**9)),
    (f"{S}.123456", f"{S - 60}.123456"),
    (f"{S}.5", f"{S - 60}.5"),
]


@pytest.mark.parametrize(("text", "earlier"), FORMATS, ids=[row[0] for row in FORMATS])
def test_the_lag_is_subtracted_in_the_format_of_the_cursor(text: str, earlier: str) -> None:
    form = instants.detect([text], NOW)
    assert form is not None
    assert incremental.start(text, 60.0, form) == incremental.Start(earlier)
    at_us = instants.read_as(text, form)
    assert at_us is not None
    if "789" not in text and "4567Z" not in text:  # finer than a microsecond is rounded down
        assert instants.write(at_us, text, form) == text


@pytest.mark.parametrize("text", ["abc", "9-aa", "12/31/2026 10:00", "2026-11-24 09:59 AM", "17", "v10", ""])
def test_a_lag_that_cannot_be_subtracted_is_said(text: str) -> None:
    assert incremental.start(text, 60.0, instants.detect([text], NOW)) == incremental.Start(text, lag_ignored=True)
    assert incremental.start(text, 0.0, None) == incremental.Start(text)


@pytest.mark.parametrize(
    ("name", "text", "earlier"),
    [
        ("%d.%m.%Y %H:%M", "24.11.2026 11:50", "24.11.2026 11:49"),
        ("%m/%d/%Y %I:%M %p", "11/24/2026 11:50 AM", "11/24/2026 11:49 AM"),
        ("date", "2026-11-24", "2026-11-23"),
        ("epoch_s", "17", "0"),
        ("epoch_ms", "1000000", "940000"),
    ],
)
def test_a_declared_format_is_used_without_evidence(name: str, text: str, earlier: str) -> None:
    assert incremental.start(text, 60.0, incremental.format_of(name, [], NOW)).value == earlier


def test_text_is_a_format_that_is_never_a_time() -> None:
    assert incremental.format_of("text", ["2026-11-24T00:00:00Z"], NOW) is None


# value of a row of the year 2100, what the cursor becomes
FUTURE = [
    ("2100-01-01T00:00:00Z", "2026-11-24T11:59:58Z", "2026-11-24T11:00:00Z"),
    ("2100-01-01 00:00:00 UTC", "2026-11-24 11:59:58 UTC", "2026-11-24 11:00:00 UTC"),
    ("2100-01-01", "2026-11-24", "2026-11-20"),
    ("4102444800", str(S - 2), str(S - 3600)),
    ("4102444800000", str((S - 2) * 1000), str((S - 3600) * 1000)),
    ("4102444800000000", str((S - 2) * 10**6), str((S - 3600) * 10**6)),
    ("4102444800.000000", f"{S - 2}.000000", f"{S - 3600}.000000"),
    ("/Date(4102444800000)/", f"/Date({(S - 2) * 1000})/", f"/Date({(S - 3600) * 1000})/"),
    ("Fri, 01 Jan 2100 00:00:00 GMT", "Tue, 24 Nov 2026 11:59:58 GMT", "Tue, 24 Nov 2026 11:00:00 GMT"),
]


@pytest.mark.parametrize(("future", "ceiling", "past"), FUTURE, ids=[row[0] for row in FUTURE])
def test_the_cursor_never_passes_the_time_of_the_source(future: str, ceiling: str, past: str) -> None:
    form = incremental.format_of("auto", [None, past, future], NOW)
    advanced = incremental.advance(None, future, NOW, form)
    assert advanced == incremental.Advance(ceiling, clamped=future)
    assert incremental.advance(ceiling, past, NOW, form).cursor == ceiling, "and it never goes back"


def test_a_row_of_the_last_second_is_not_reported_as_the_future() -> None:
    form = instants.detect(["2026-11-24T11:59:59Z"], NOW)
    assert incremental.advance(None, "2026-11-24T11:59:59Z", NOW, form) == incremental.Advance("2026-11-24T11:59:58Z")


@pytest.mark.parametrize("counter", ["17", "123456", "1999999999", "6000000000000", "99999999999999999999"])
def test_a_number_that_is_not_in_the_past_in_any_unit_is_a_counter(counter: str) -> None:
    form = incremental.format_of("auto", [None, counter], NOW)
    assert form is None
    assert incremental.advance("5", counter, NOW, form).cursor == counter


@pytest.mark.parametrize(
    ("text", "kind"),
    [(str(S), "epoch_s"), (str(S * 1000), "epoch_ms"), (str(S * 10**6), "epoch_us"), (str(S * 10**9), "epoch_ns")],
)
def test_the_unit_of_a_number_follows_from_the_time_of_the_source(text: str, kind: str) -> None:
    assert instants.detect([text], NOW) == InstantFormat(kind)
    assert instants.detect([text], NOW - 400 * instants.DAY_US) is None, "a year before, the same number proves nothing"


@pytest.mark.parametrize(
    ("highest", "met_twice", "disturbed"),
    [
        (str(S - 3600), True, False),
        (str(S - 1), False, True),
        ("17", True, True),
        ("17", False, False),  # a counter has no clock: the walk itself shows whether rows moved
        (None, True, False),
    ],
)
def test_numbered_pages_may_have_moved_when_a_row_changed_since_the_walk_began(
    highest: str | None, met_twice: bool, disturbed: bool
) -> None:
    form = instants.detect([highest or ""], NOW)
    assert incremental.disturbed(highest, NOW, form, moved=met_twice) is disturbed
