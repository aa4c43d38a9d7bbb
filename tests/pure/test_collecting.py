"""How long appends are kept for one group."""

from __future__ import annotations

import random

import pytest

from tidegate.store.collecting import FULL, GAP_SECONDS, MANY, MOST_SECONDS, Collecting


def after(events: int) -> Collecting:
    """As it is after a commit of so many events."""
    made = Collecting()
    made.committed(events)
    return made


@pytest.mark.parametrize("events", [0, 1, MANY - 1])
def test_while_commits_have_few_events_nothing_is_kept(events: int) -> None:
    collecting = after(events)
    assert not any(collecting.keeps(1.0, count) for count in (1, 2, 5))


def test_what_comes_is_kept_until_there_is_as_much_as_before() -> None:
    collecting = after(30)
    assert collecting.keeps(1.0, 1) and collecting.keeps(1.001, 10) and collecting.keeps(1.002, 29)
    assert not collecting.keeps(1.003, 30)
    assert collecting.keeps(1.004, 1), "a group of its own"


def test_it_is_given_over_when_nothing_more_comes() -> None:
    collecting = after(30)
    assert collecting.keeps(1.0, 5)
    assert not collecting.keeps(1.0 + GAP_SECONDS, 5)


def test_a_full_group_is_not_kept() -> None:
    collecting = after(1000)
    assert collecting.keeps(1.0, FULL - 1)
    assert not collecting.keeps(1.001, FULL)


def test_it_expects_less_after_smaller_commits_and_then_keeps_nothing() -> None:
    collecting = after(64)
    for _ in range(40):
        collecting.committed(1)
    assert collecting.expected < MANY and not collecting.keeps(1.0, 1)


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_kept_longer_than_allowed(seed: int) -> None:
    chance = random.Random(seed)
    collecting, now, count, began = after(1000), 1.0, 0, 1.0
    for _ in range(2000):
        if not count:
            began = now
        count += chance.choice([0, 1, 1, 2]) if count else 1
        if not collecting.keeps(now, count):
            assert now - began <= MOST_SECONDS + GAP_SECONDS
            count = 0
        now += chance.uniform(GAP_SECONDS / 2, GAP_SECONDS)
