"""Which sources are refused when the log is full of events that somebody is owed."""

from __future__ import annotations

import pytest

from tidegate.rules.retention import over_share

CASES = {
    "all together fit": ({"a": 60, "b": 30}, []),
    "one source fills it": ({"a": 150}, ["a"]),
    "one of two sends more than half": ({"a": 90, "b": 20}, ["a"]),
    "small sources are never refused": ({"a": 500, "b": 30, "c": 1}, ["a"]),
    "two of three, largest first": ({"a": 60, "b": 90, "c": 5}, ["b", "a"]),
    "nothing is stored": ({}, []),
}


@pytest.mark.parametrize(("used", "refused"), CASES.values(), ids=CASES.keys())
def test_a_source_over_its_share_is_refused_only_when_all_together_do_not_fit(used, refused) -> None:
    assert over_share(used, 100) == refused
