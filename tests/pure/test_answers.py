"""Success statuses and conditions on the body of a response: what counts as delivered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tidegate.core.model import Outcome
from tidegate.kinds.answers import reader_of


def answer(status: int | None, body: bytes = b"", outcome: Outcome = Outcome.OK):
    return SimpleNamespace(outcome=outcome, status=status, error="", retry_after="", body=body)


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
