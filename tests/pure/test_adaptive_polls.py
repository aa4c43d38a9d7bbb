"""Polls that follow the changes: what they save on a day with busy hours, and what they cost where nothing repeats."""

from __future__ import annotations

import math
from random import Random

import pytest

from tidegate.rules.measure.adaptive import AdaptivePolls, AdaptiveRule, plan
from tidegate.rules.measure.hours import Looked
from tidegate.rules.measure.policies import parse_policy
from tidegate.rules.measure.simulation import Terms, run
from tidegate.rules.measure.traces import diurnal, poisson

DAY = 86_400.0
SEEDS = range(1, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_the_requests_at_equal_p95_delay_when_changes_come_in_nine_hours_of_the_day(seed: int) -> None:
    trace = diurnal(4 / 3600, 28 * DAY, Random(seed))
    adaptive = run(parse_policy("adaptive:1m..6h"), trace, Random(seed))
    assert adaptive.delay_p95_seconds is not None
    fixed = run(parse_policy(f"poll:{adaptive.delay_p95_seconds / 0.95:.0f}s"), trace, Random(seed))
    assert fixed.delay_p95_seconds == pytest.approx(adaptive.delay_p95_seconds, rel=0.1)
    assert adaptive.requests <= fixed.requests / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_at_most_a_tenth_more_requests_at_equal_p95_delay_when_changes_are_spread_evenly(seed: int) -> None:
    trace = poisson(4 / 3600, 28 * DAY, Random(seed))
    adaptive = run(parse_policy("adaptive:1m..6h,max_delay=15m"), trace, Random(seed))
    assert adaptive.delay_p95_seconds is not None
    fixed = run(parse_policy(f"poll:{adaptive.delay_p95_seconds / 0.95:.0f}s"), trace, Random(seed))
    assert adaptive.requests <= fixed.requests * 1.1


@pytest.mark.parametrize("seed", SEEDS)
def test_max_delay_bounds_the_p99_and_saves_half_too(seed: int) -> None:
    """Over twelve weeks: while the hours are learned, changes at an unusual one may wait longer."""
    trace = diurnal(20 / 3600, 84 * DAY, Random(seed))
    adaptive = run(parse_policy("adaptive:1m..6h,max_delay=15m"), trace, Random(seed))
    assert adaptive.delay_p99_seconds is not None and adaptive.delay_p99_seconds <= 15 * 60 * 1.05
    fixed = run(parse_policy("poll:15m"), trace, Random(seed))
    assert adaptive.requests <= fixed.requests / 2


def test_what_the_bounds_do_not_allow_is_named() -> None:
    polls = AdaptivePolls(AdaptiveRule(shortest=60.0, longest=3600.0, max_delay=5.0))
    made = plan(polls.rates, polls.rule)
    assert min(made.intervals) == 60.0 and "max_delay asks for a poll every 5 s" in made.clamped[0]
    wide = plan(polls.rates, AdaptiveRule(shortest=60.0, longest=3600.0, max_delay=86_400.0))
    assert max(wide.intervals) <= 3600.0 and "max_delay allows" in wide.clamped[0]


def test_a_poll_of_several_pages_waits_until_the_rate_of_the_source_has_room_for_all_of_them() -> None:
    """2 requests a minute and 6 pages: every 3 minutes, though 30 s would do for one page."""
    polls, at = AdaptivePolls(AdaptiveRule(shortest=10.0, longest=3600.0, max_delay=20.0, budget=30.0)), 4 * DAY
    assert polls.wait(at) == pytest.approx(30.0)
    for _ in range(50):
        polls.see(at := at + 180.0, 1, 2.0, requests=6)
    assert polls.wait(at) == pytest.approx(180.0)
    assert polls.plan.clamped == (
        "max_delay asks for a poll every 18 s (a poll takes 1.97 s), the rate of the source allows one every 180 s "
        "(6 requests a poll)",
    )
    for _ in range(100):
        polls.see(at := at + 180.0, 1, 2.0, requests=1)
    assert polls.wait(at) < 31


def test_every_wait_is_within_the_bounds_whatever_was_found() -> None:
    chance = Random(7)
    polls = AdaptivePolls(AdaptiveRule(shortest=30.0, longest=7200.0))
    at = 4 * DAY
    for _ in range(2000):
        wait = polls.wait(at, chance.random())
        assert 30.0 * 0.95 <= wait <= 7200.0 and math.isfinite(wait)
        at += wait
        polls.see(at, chance.choice([0, 0, 0, 1, 50]))


def test_what_was_learned_is_its_state() -> None:
    polls, at = AdaptivePolls(AdaptiveRule(shortest=60.0, longest=3600.0)), 4 * DAY
    for _ in range(500):
        at += polls.wait(at)
        polls.see(at, 1 if 9 <= at % DAY / 3600 < 17 else 0)
    again = AdaptivePolls(polls.rule, polls.looked)
    assert again.plan.intervals == pytest.approx(polls.plan.intervals, rel=0.2)
    assert Looked() == Looked() != polls.looked


@pytest.mark.parametrize("bounds", [(0.0, 60.0), (60.0, 30.0), (-1.0, 60.0)])
def test_bounds_without_a_meaning_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="interval"):
        AdaptivePolls(AdaptiveRule(shortest=bounds[0], longest=bounds[1]))


def test_conditional_requests_cost_bytes_and_a_cache_asks_only_when_it_is_read() -> None:
    trace = poisson(1 / 3600, 7 * DAY, Random(3))
    plain, conditional = (run(parse_policy(text), trace, Random(3)) for text in ("poll:5m", "conditional:5m"))
    assert conditional.requests == plain.requests and conditional.not_modified == plain.empty > 0
    assert conditional.bytes < plain.bytes / 2
    cache = run(parse_policy("cache:5m"), trace, Random(3), Terms(reads=1 / 60, price_per_call=0.01))
    assert cache.requests < plain.requests and cache.cost is not None
    with pytest.raises(ValueError, match="reads"):
        run(parse_policy("cache:5m"), trace, Random(3))
