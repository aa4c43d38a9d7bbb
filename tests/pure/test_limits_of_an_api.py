"""What an API says about its rate limit in ways of its own is understood like 429 and the usual headers."""

from __future__ import annotations

import pytest

from support.gateway.sample_config import rejections
from tidegate.rules.sync.limits import Limits, said
from tidegate.rules.sync.upstream_rate_limit import UpstreamRateLimit

NOW_US = 1_764_000_000_000_000
THROTTLED = b'{"errors":[{"extensions":{"code":"THROTTLED"}}],"wait":{"seconds":7}}'
GRAPHQL = Limits(body_path="errors.*.extensions.code", body_values=["THROTTLED"], wait_path="wait.seconds")
EXTRAS = Limits(wait_path="extras.wait_seconds")
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
        (EXTRAS, 429, b'{"errors":["slow"],"extras":{"wait_seconds":41}}', [], 41),
        (EXTRAS, 429, b'{"errors":["slow"],"extras":{"wait_seconds":"41"}}', [], 41),
        (EXTRAS, 429, b'{"errors":["slow"],"extras":{"wait_seconds":41}}', [("Retry-After", "5")], 5),
        (EXTRAS, 429, b'{"errors":["slow"],"extras":{"wait_seconds":0.00001}}', [], 0.00001),
        (EXTRAS, 429, b'{"errors":["slow"]}', [], 1),
        (EXTRAS, 429, b"<html>", [], 1),
        (EXTRAS, 429, b'{"extras":{"wait_seconds":41}}' + b" " * 70_000, [], 1),
        (EXTRAS, 429, b'{"extras":{"wait_seconds":1000000}}', [], 86_400),
        (EXTRAS, 429, b'{"extras":{"wait_seconds":"2025-11-24T16:00:30Z"}}', [], 30),
        (EXTRAS, 200, b'{"extras":{"wait_seconds":41}}', [], 0),
        (EXTRAS, 500, b'{"extras":{"wait_seconds":41}}', [], 0),
        (Limits(wait_path="errors.*.wait"), 429, b'{"errors":[{"m":1},{"wait":9}]}', [], 9),
        (Limits(wait_path="retryAfter", wait_unit="ms"), 429, b'{"retryAfter":2500}', [], 2.5),
        (Limits(statuses=[403], wait_path="w"), 403, b'{"w":8}', [], 8),
        (Limits(statuses=[403], wait_path="w"), 429, b'{"w":8}', [], 8),
        (Limits(remaining_header="x-left", reset_header="x-new"), 200, b"", [("x-left", "0"), ("X-New", "30")], 30),
        (Limits(usage_header="x-calls", reset_header="x-t"), 200, b"", [("X-Calls", "api=40/40"), ("x-t", "9")], 9),
        (Limits(usage_header="x-calls", reset_header="x-t"), 200, b"", [("X-Calls", "39/40"), ("x-t", "9")], 0),
        (Limits(remaining_header="x-left"), 200, b"", [("x-left", "many")], 0),
    ],
)  # fmt: skip
def test_a_limit_that_is_said_in_another_way_holds_the_next_request(limits, status, body, headers, seconds):
    assert held(limits, status, body, headers) == pytest.approx(seconds)


def notes(limits: Limits | None, body: bytes, headers: list[tuple[str, str]] | None = None) -> list[tuple[str, str]]:
    return UpstreamRateLimit().observe(429, headers or [], 0.0, NOW_US, said(limits, 429, headers or [], body))


@pytest.mark.parametrize("value", [b'"soon"', b"true", b"-5", b"[]", b"1e30"])
def test_what_is_at_the_named_place_and_is_no_time_is_reported(value):
    assert [code for code, _ in notes(EXTRAS, b'{"extras":{"wait_seconds":' + value + b"}}")] == [
        "rate_limit_unreadable"
    ]


@pytest.mark.parametrize(
    ("body", "sample"),
    [
        (b'{"retry_after": 2.5}', "retry_after = 2.500000"),
        (b'{"errors": ["slow"], "extras": {"wait_seconds": 7}}', "extras.wait_seconds = 7"),
        (b'{"errors": [{"extensions": {"retry_in_seconds": 9}}]}', "errors.*.extensions.retry_in_seconds = 9"),
        (b'{"retry_after": "soon"}', None),
        (b'{"a": {"b": {"c": {"d": {"e": {"retry_after": 1}}}}}}', None),
        (b"[" + b'{"x": 1},' * 300 + b'{"retry_after": 1}]', None),
        (b"[" * 3000 + b"]" * 3000, None),
        (b"slow down", None),
    ],
)  # fmt: skip
def test_a_wait_in_the_body_that_nobody_named_is_reported_and_not_taken(body, sample):
    assert notes(None, body) == ([] if sample is None else [("rate_limit_in_body", sample)])
    assert notes(None, body, [("Retry-After", "1")]) == [], "the header says it"


SOURCE = '[sources.s.api]\nbase_url = "https://s.example.com"\n[sources.s.api.limits]\n'


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ('body_path = "code"', "body_path", "needs the values that mean the limit"),
        ("body_values = [7]", "body_values", "needs the field that has them"),
        ('body_contains = ["slow"]', "body_contains", "needs statuses"),
        ('wait_unit = "ms"', "wait_unit", "needs the field that has the time"),
        ('wait_path = "["', "wait_path", "write a name in quotes or a number"),
        ('wait = "2d"', "wait", "out of range"),
    ],
)
def test_keys_that_mean_nothing_are_rejected(keys, key, message):
    error, hint = rejections(SOURCE + keys + "\n")
    assert message in error and f"at $.sources.s.api.limits.{key} (t.toml:4)" in error
    assert hint.startswith("hint: ")
