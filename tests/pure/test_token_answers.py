"""What answers of token services mean: tokens, errors with any status, and clocks that are off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.auth.tokens import Paths, Token, TokenAnswer, TokenError, TokenErrorKind, captured, read_answer

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
JSON = [("content-type", "application/json")]


def read(
    body: Any, status: int = 200, headers: Any = JSON, last: Token | None = None, **paths: Any
) -> Token | TokenError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(TokenAnswer(status, headers, raw), Paths(**paths), last, NOW)


def test_a_token_is_read_from_json_a_form_and_a_path() -> None:
    found = read({"access_token": "a", "expires_in": 3600, "refresh_token": "r", "scope": "x y"})
    assert found == Token("a", NOW, NOW + 3600, "r", ("x", "y"))
    form = read(b"access_token=a&scope=x%2Cy&token_type=bearer", headers=[("content-type", "text/plain")])
    assert form == Token("a", NOW, None, "", ("x", "y"))
    deep = read({"data": {"token": "a", "until": "2027-01-15T09:00:00Z"}}, token="data.token", expires="data.until")
    assert deep == Token("a", NOW, NOW + 3600)


def test_what_an_answer_leaves_out_is_kept_from_the_last_token() -> None:
    last = Token("old", 1.0, 2.0, "refresh", ("x",), {"instance_url": "https://na1.example.com"})
    assert read({"access_token": "new"}, last=last) == Token("new", NOW, None, "refresh", ("x",), last.captured)


@pytest.mark.parametrize(
    ("body", "status", "kind", "code"),
    [
        ({"error": "invalid_grant"}, 400, TokenErrorKind.GRANT, "invalid_grant"),
        ({"error": "bad_refresh_token"}, 200, TokenErrorKind.GRANT, "bad_refresh_token"),
        ({"ok": False, "error": "token_expired"}, 200, TokenErrorKind.GRANT, "token_expired"),
        ({"error": "invalid_client"}, 401, TokenErrorKind.CLIENT, "invalid_client"),
        ({"error": {"code": 400, "message": "x"}}, 400, TokenErrorKind.CLIENT, "400"),
        ({"message": "no"}, 403, TokenErrorKind.CLIENT, "http_403"),
        ({"error": "temporarily_unavailable"}, 400, TokenErrorKind.LATER, "temporarily_unavailable"),
        ({}, 503, TokenErrorKind.LATER, "http_503"),
        ({"error": "slow"}, 429, TokenErrorKind.LATER, "slow"),
        ({}, 200, TokenErrorKind.LATER, "no_token"),
        ({"access_token": 7}, 200, TokenErrorKind.LATER, "no_token"),
        ({"access_token": "a\r\nX: 1"}, 200, TokenErrorKind.LATER, "token_unusable"),
        ({"access_token": "a" * 20_000}, 200, TokenErrorKind.LATER, "token_unusable"),
        (b"<html>", 200, TokenErrorKind.LATER, "token_unreadable"),
        (b"[1]", 200, TokenErrorKind.LATER, "token_unreadable"),
        (b"\xff\xfe", 200, TokenErrorKind.LATER, "token_unreadable"),
        (b"[" * 100_000, 200, TokenErrorKind.LATER, "token_unreadable"),
        (b"", 502, TokenErrorKind.LATER, "http_502"),
    ],
)
def test_an_error_is_recognized_whatever_its_status(body: Any, status: int, kind: TokenErrorKind, code: str) -> None:
    found = read(body, status)
    assert isinstance(found, TokenError) and (found.kind, found.code) == (kind, code)


def test_a_clock_that_is_off_is_named_in_the_error() -> None:
    headers = [*JSON, ("date", "Fri, 15 Jan 2027 07:50:00 GMT")]
    found = read({"error": "invalid_grant", "error_description": "expired"}, 400, headers)
    assert isinstance(found, TokenError) and "this machine's clock is 600 s ahead of the service's" in found.detail
    right = read({"error": "invalid_grant"}, 400, [*JSON, ("date", "Fri, 15 Jan 2027 08:00:20 GMT")])
    assert isinstance(right, TokenError) and "clock" not in right.detail


def test_an_instant_is_measured_against_the_services_own_clock() -> None:
    headers = [*JSON, ("date", "Fri, 15 Jan 2027 07:00:00 GMT")]  # an hour behind ours
    found = read({"access_token": "a", "expires_in": "2027-01-15T07:30:00Z"}, 200, headers)
    assert isinstance(found, Token) and found.expires_at == NOW + 1800


def test_only_scalars_that_fit_into_a_url_are_captured() -> None:
    fields = {
        "id": 7,
        "url": "https://a.example.com",
        "on": True,
        "evil": "a\r\nb",
        "deep": {"x": "y"},
        "long": "x" * 9000,
    }
    names = ["id", "url", "on", "evil", "deep", "long", "deep.x", "gone"]
    assert captured(fields, names) == {"id": "7", "url": "https://a.example.com", "x": "y"}
