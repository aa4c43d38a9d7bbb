"""Log lines: nobody outside can forge one, hide in one, or fill a disk with them."""

from __future__ import annotations

import json
import logging

import pytest

from tidegate.logs import LINES, SECONDS, Bounded, JsonLines, PlainLines


def record(
    message: str, *values: object, level: int = logging.WARNING, at: float = 0.0, name: str = "a"
) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "", 0, message, values, None)
    made.created = 1_700_000_000.0 + at
    return made


@pytest.mark.parametrize("hostile", ["x\n12:00:00 ERROR   a: forged", "\x1b[2Jx", "a\u202eb", "\ud800", "\U000e0041"])
def test_text_from_outside_begins_no_line_and_hides_nothing(hostile: str) -> None:
    for formatter in (JsonLines(), PlainLines()):
        made = record("%s failed", hostile)
        made.extra_field = hostile
        line = formatter.format(made)
        assert line.isprintable() and "\n" not in line
    assert json.loads(JsonLines().format(made))["message"].endswith(" failed")


def test_of_one_kind_a_bounded_number_of_lines_is_written_and_the_rest_is_counted() -> None:
    bounded = Bounded()
    passed = [one for n in range(1000) if bounded.filter(one := record("store: %s", n, at=n / 1000))]
    assert len(passed) == LINES
    assert "left out for 10 s" in PlainLines().format(passed[-1])
    assert json.loads(JsonLines().format(passed[-1]))["more"].startswith("more lines of this kind")
    after = record("store: %s", "x", at=SECONDS + 1)
    assert bounded.filter(after)
    assert json.loads(JsonLines().format(after))["left_out"] == 1000 - LINES
    assert f"{1000 - LINES} more of this kind" in PlainLines().format(after)
    again = record("store: %s", "x", at=2 * SECONDS + 2)
    assert bounded.filter(again) and "left_out" not in again.__dict__


def test_other_kinds_and_what_operators_do_are_not_left_out() -> None:
    bounded = Bounded()
    for n in range(LINES * 3):
        bounded.filter(record("one", at=0))
        assert bounded.filter(record("PUT /api/v1/routes/%s", n, level=logging.INFO))
    assert bounded.filter(record("another"))
    assert bounded.filter(record("one", name="b"))


def test_the_memory_for_counting_is_bounded() -> None:
    bounded = Bounded()
    for n in range(5000):
        bounded.filter(record(f"text {n}"))
    assert len(bounded._kinds) <= 501
