"""What answers of a source say about its rate limit: units by plausibility, holds by any status that means one."""

from __future__ import annotations

import pytest

from tidegate.core.clock import parse_instant
from tidegate.rules.sync.upstream_rate_limit import MAX_BLOCK_SECONDS, UpstreamRateLimit, quota, seconds_until

NOW = parse_instant("2026-11-24T12:00:00Z")
S = NOW // 1_000_000

RESETS = [
    (str(S + 30), 30.0), (str((S + 30) * 1000), 30.0), (str((S + 30) * 10**6), 30.0), (str((S + 30) * 10**9), 30.0),
    (f"{S + 30}.5", 30.5), ("30", 30.0), ("30.5", 30.5), ("0", 0.0), ("86400", 86400.0),
    ("2026-11-24T12:00:30Z", 30.0), ("2026-11-24T13:00:30+01:00", 30.0), ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
    (str(S - 10), 0.0), ("2026-11-24T11:00:00Z", 0.0),
    ("6m0s", 360.0), ("1s", 1.0), ("20ms", 0.02), ("1h2m3s", 3723.0),
    ("", None), ("soon", None), ("-5", None), ("1e9", None), ("99999999999", None), (str(S + 10**9), None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), RESETS)
def test_a_reset_is_read_in_the_unit_that_is_plausible(text: str, seconds: float | None) -> None:
    found = seconds_until(text, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


NAMES = [
    "X-RateLimit", "X-Rate-Limit", "RateLimit", "Rate-Limit", "X-App-Rate-Limit", "X-Api-RateLimit",
    "x-ratelimit-requests", "X-RateLimit-User",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_quota_is_read_under_every_usual_name(name: str) -> None:
    assert quota([(f"{name}-Remaining", "0"), (f"{name}-Reset", str(S + 20))], NOW) == (0, 20.0, [])


@pytest.mark.parametrize(
    ("value", "found"),
    [('"default";r=5;t=30', (5, 30.0)), ("limit=100, remaining=0, reset=7", (0, 7.0)), ("x", (None, None))],
)
def test_both_generations_of_the_ietf_fields_are_read(value: str, found: tuple[int | None, float | None]) -> None:
    assert quota([("RateLimit", value)], NOW)[:2] == found


# status, headers, seconds that the source may not be asked
HOLDS = [
    ("429 with seconds", 429, {"Retry-After": "20"}, 20),
    ("429 with a date", 429, {"Retry-After": "Tue, 24 Nov 2026 12:00:20 GMT"}, 20),
    ("429 with an instant in seconds", 429, {"Retry-After": str(S + 20)}, 20),
    ("429 with milliseconds", 429, {"Retry-After-Ms": "1500"}, 1.5),
    ("429 with a reset", 429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str((S + 20) * 1000)}, 20),
    ("429 with a dashed reset", 429, {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(S + 20)}, 20),
    ("429 with a distance", 429, {"X-RateLimit-Reset-After": "2.5"}, 2.5),
    ("429 with nothing", 429, {}, 1),
    ("429 with an unreadable time", 429, {"X-RateLimit-Reset": "later"}, 1),
    ("403 with Retry-After", 403, {"Retry-After": "20", "X-RateLimit-Remaining": "4290"}, 20),
    ("403 without requests left", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(S + 20)}, 20),
    ("403 that is about rights", 403, {}, 0),
    ("403 with requests left", 403, {"X-RateLimit-Remaining": "10", "X-RateLimit-Reset": str(S + 3000)}, 0),
    ("503 with Retry-After", 503, {"Retry-After": "20"}, 20),
    ("503 without", 503, {}, 0),
    ("202 with Retry-After", 202, {"Retry-After": "5"}, 5),
    ("200 without requests left", 200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "20"}, 20),
    ("200 with requests left", 200, {"X-RateLimit-Remaining": "11", "X-RateLimit-Reset": "20"}, 0),
    ("a month is cut to a day", 429, {"Retry-After": "2592000"}, MAX_BLOCK_SECONDS),
]


@pytest.mark.parametrize(("status", "headers", "held"), [row[1:] for row in HOLDS], ids=[row[0] for row in HOLDS])
def test_a_source_is_not_asked_before_the_time_it_names(status: int, headers: dict[str, str], held: float) -> None:
    limit = UpstreamRateLimit()
    limit.observe(status, list(headers.items()), 100.0, NOW)
    assert limit.held_seconds(100.0) == pytest.approx(held)
    assert (limit.reason != "") is (held > 0)


def test_of_two_times_to_wait_the_longer_one_counts() -> None:
    limit = UpstreamRateLimit()
    limit.observe(429, [("Retry-After", "2"), ("retry-after", "20"), ("Retry-After", "soon")], 100.0, NOW)
    assert limit.held_seconds(100.0) == pytest.approx(20.0)


def test_the_date_of_the_answer_is_the_clock_that_counts() -> None:
    """A machine whose clock is an hour behind waits 20 s, not an hour and 20 s."""
    limit = UpstreamRateLimit()
    headers = [("Date", "Tue, 24 Nov 2026 12:00:00 GMT"), ("X-RateLimit-Reset", str(S + 20))]
    limit.observe(429, headers, 100.0, NOW - 3_600_000_000)
    assert limit.held_seconds(100.0) == pytest.approx(20.0)


def test_answers_429_without_a_time_double_the_wait_up_to_a_minute() -> None:
    limit, now, waits = UpstreamRateLimit(), 0.0, []
    for _ in range(8):
        limit.observe(429, [], now, NOW)
        waits.append(limit.held_seconds(now))
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    limit.observe(200, [], now, NOW)
    limit.observe(429, [], now, NOW)
    assert limit.held_seconds(now) == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("Retry-After", "900000")], "rate_limit_cut"),
        ([("Retry-After", "7200")], "rate_limit_long"),
        ([("X-RateLimit-Reset", "later")], "rate_limit_unreadable"),
    ],
)
def test_what_is_cut_long_or_unreadable_is_reported(headers: list[tuple[str, str]], code: str) -> None:
    assert [one for one, _ in UpstreamRateLimit().observe(429, headers, 0.0, NOW)] == [code]


def test_the_last_requests_of_a_quota_are_spread_over_its_time() -> None:
    limit = UpstreamRateLimit()
    limit.observe(200, [("X-RateLimit-Remaining", "4"), ("X-RateLimit-Reset", "20")], 0.0, NOW)
    assert [round(limit.reserve(0.0)) for _ in range(4)] == [0, 5, 10, 15]
