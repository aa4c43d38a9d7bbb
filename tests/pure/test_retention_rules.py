"""Which sources are refused when the log is full of events that somebody is owed."""

from __future__ import annotations

import pytest

from tidegate.rules.retention import by_destination, by_source, divide, over_share

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


WEIGHTS = {("shop", ()): 20, ("shop", (1,)): 5, ("shop", (1, 2)): 30, ("shop", (2,)): 60, ("crm", (3,)): 10}


def test_what_only_held_destinations_are_owed_is_kept_apart_from_the_rest() -> None:
    assert by_source(WEIGHTS) == {"shop": 115, "crm": 10}
    assert by_destination(WEIGHTS) == {1: 35, 2: 90, 3: 10}
    found = divide(WEIGHTS, 120)  # an equal part of the size is 40
    assert found.held == {1: 35, 2: 90}
    assert by_source(found.apart) == {"shop": 95}
    assert found.rest == {("shop", ()): 20, ("crm", (3,)): 10}
    assert divide({**WEIGHTS, ("crm", (1, 3)): 50}, 175).rest[("crm", (1, 3))] == 50, "also owed to 3, which takes"


def test_nothing_is_held_while_all_of_it_fits_and_somebody_is_when_owed_events_alone_do_not() -> None:
    assert divide(WEIGHTS, 125).held == {}
    for destinations in range(1, 9):
        weights = {("shop", (n,)): 101 // destinations + 1 for n in range(destinations)}
        assert by_source(divide(weights, 100).rest) == {}
