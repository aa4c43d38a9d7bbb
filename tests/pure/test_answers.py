"""Success statuses and conditions on the body of a response: what counts as delivered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tidegate.core.model import Outcome
from tidegate.kinds.answers import reader_of


def answer(status: int | None, body: bytes = b"", outcome: Outcome = Outcome.OK, retry_after: str = ""):
    return SimpleNamespace(outcome=outcome, status=status, error="", retry_after=retry_after, body=body)


@pytest.mark.parametrize(
    ("ok", "status", "wanted"),
    [
        ([], 200, Outcome.OK),
        ([], 299, Outcome.OK),
        ([], 302, Outcome.HTTP_ERROR),
        ([200, 409], 409, Outcome.OK),
        ([200, 409], 200, Outcome.OK),
        ([200, 409], 202, Outcome.HTTP_ERROR),
        ([302], 302, Outcome.OK),
        ([200], None, Outcome.TIMEOUT),
    ],
)
def test_success_is_2xx_or_the_statuses_that_are_named(ok, status, wanted):
    outcome = Outcome.TIMEOUT if status is None else Outcome.OK
    assert reader_of(ok, {})(answer(status, outcome=outcome), 0).outcome is wanted


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"ok": true}', None),
        (b'{"ok": false, "error": "quota"}', "ok"),
        (b"{}", "ok"),
        (b"<html>", "not JSON"),
        (b"[1]", "object"),
        (b"", "not JSON"),
    ],
)
def test_a_200_with_an_error_in_its_body_is_a_failure_with_the_reason(body, why):
    result = reader_of([], {"ok": True})(answer(200, body), 0)
    assert (result.outcome is Outcome.OK) == (why is None)
    if why:
        assert "`ok_body`" in result.detail
        assert why in result.detail


def test_the_body_is_read_of_successes_only():
    result = reader_of([], {"ok": True})(answer(503, b'{"ok": true}'), 0)
    assert (result.outcome, result.status) == (Outcome.HTTP_ERROR, 503)


@pytest.mark.parametrize(
    ("status", "body", "header", "wait", "detail"),
    [
        (429, b'{"extras": {"wait_seconds": 7}}', "", 7, ""),
        (503, b'{"extras": {"wait_seconds": 7.5}}', "", 7.5, ""),
        (429, b'{"extras": {"wait_seconds": 7}}', "3", 3, ""),
        (500, b'{"extras": {"wait_seconds": 7}}', "", None, ""),
        (200, b'{"extras": {"wait_seconds": 7}}', "", None, ""),
        (429, b'{"extras": {"wait_seconds": "soon"}}', "", None, "neither seconds nor an instant"),
        (429, b"{}", "", None, ""),
        (429, b"<html>", "", None, ""),
    ],
)
@pytest.mark.parametrize("ok", [[], [200, 409]])
def test_a_wait_in_the_body_is_waited_for(ok, status, body, header, wait, detail):
    result = reader_of(ok, {}, "extras.wait_seconds")(answer(status, body, retry_after=header), 0)
    assert result.retry_after == wait
    assert detail in result.detail and bool(detail) == bool(result.detail)


def test_a_wait_in_the_body_that_nobody_named_is_in_the_error():
    result = reader_of([], {})(answer(429, b'{"retry_after": 7}'), 0)
    assert result.retry_after is None
    assert "retry_after = 7" in result.detail and "set `retry_after_path`" in result.detail
