"""What an API says about its rate limit in ways of its own is understood like 429 and the usual headers."""

from __future__ import annotations

import pytest

from tidegate.rules.sync.limits import Limits, said
from tidegate.rules.sync.upstream_rate_limit import UpstreamRateLimit

NOW_US = 1_764_000_000_000_000
THROTTLED = b'{"errors":[{"extensions":{"code":"THROTTLED"}}],"wait":{"seconds":7}}'
GRAPHQL = Limits(body_path="errors.*.extensions.code", body_values=["THROTTLED"], wait_path="wait.seconds")
SECONDARY = Limits(statuses=[403], body_contains=["secondary rate limit"], wait="1m")


def held(limits: Limits, status: int, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> float:
    """Seconds until the next request after one answer; an answer that means the limit is handled as 429."""
    found = said(limits, status, headers or [], body)
    limit = UpstreamRateLimit()
    limit.observe(429 if found.limited else status, headers or [], 0.0, NOW_US, found)
    return limit.wait_seconds(0.0)


@pytest.mark.parametrize(
    ("limits", "status", "body", "headers", "seconds"),
    [
        (GRAPHQL, 200, THROTTLED, [], 7),
        (GRAPHQL, 200, b'{"data":{}}', [], 0),
        (GRAPHQL, 200, b"<html>", [], 0),
        (SECONDARY, 403, b"You have exceeded a secondary rate limit.", [], 60),
        (SECONDARY, 403, b"You have exceeded a secondary rate limit.", [("Retry-After", "5")], 5),
        (SECONDARY, 403, b"Resource not accessible", [], 0),
        (SECONDARY, 200, b"secondary rate limit", [], 0),
        (Limits(statuses=[403]), 403, b"", [], 1),
        (Limits(remaining_header="x-left", reset_header="x-new"), 200, b"", [("x-left", "0"), ("X-New", "30")], 30),
        (Limits(usage_header="x-calls", reset_header="x-t"), 200, b"", [("X-Calls", "api=40/40"), ("x-t", "9")], 9),
        (Limits(usage_header="x-calls", reset_header="x-t"), 200, b"", [("X-Calls", "39/40"), ("x-t", "9")], 0),
        (Limits(remaining_header="x-left"), 200, b"", [("x-left", "many")], 0),
    ],
)  # fmt: skip
def test_a_limit_that_is_said_in_another_way_holds_the_next_request(limits, status, body, headers, seconds):
    assert held(limits, status, body, headers) == pytest.approx(seconds)
