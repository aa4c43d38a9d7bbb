"""`tidegate poll` prints what a run found, what it cost, what ended it, and everything it could not use."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tidegate.cli.pull import print_report
from tidegate.pull import PollReport
from tidegate.pull.run import RunFinding

PLAIN = PollReport("pol_1", "shop", "orders", "poll", 2, 2, 150, 1, 2, 0, False, 1_500_000, ended_by="empty_page")


def lines_of(capsys: pytest.CaptureFixture[str], **changed: Any) -> list[str]:
    print_report(msgspec.to_builtins(msgspec.structs.replace(PLAIN, **changed)))
    return capsys.readouterr().out.splitlines()


def test_the_first_line_has_the_changes_and_the_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(capsys) == [
        "pol_1: 1 created, 2 updated (2 requests, 2 pages, 150 records, 1.5 s)",
        "  ended by: empty page",
    ]


def test_rows_that_could_not_be_read_are_counted_and_shown_with_their_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples = ["no key at 'id'; the row has: uid", "the row is a number"]
    found = RunFinding("rows_skipped", "rows skipped", 3, samples, "set primary_key")
    lines = lines_of(capsys, unreadable=3, findings=[found])
    assert "3 unreadable rows" in lines[0]
    assert lines[2:] == ["  rows skipped (3); set primary_key", *(f"    {sample}" for sample in samples)]


def test_a_run_that_was_held_says_until_when_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, error="page 3: 429", ended_by="", held_seconds=90.0, held_reason="the source answered 429")
    assert "before it stopped" in lines[0]
    assert lines[1] == "  held for 90 s: the source answered 429"


def test_a_resumed_and_retried_run_and_a_snapshot_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(lines_of(capsys, resumed=True, retries=2, waited_seconds=3.0, snapshot=True))
    for said in ("resumed at the page", "retried 2 times, 3 s in all", "these records make no events"):
        assert said in text
