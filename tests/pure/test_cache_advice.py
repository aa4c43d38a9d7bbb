"""`cache_for`: what the advice expects of a longer cache, against every read replayed through that cache."""

from __future__ import annotations

from random import Random

import pytest
from click.testing import CliRunner

from tidegate.cli.simulate import simulate
from tidegate.rules.measure.advice import Advice, Case
from tidegate.rules.measure.advise import advise
from tidegate.rules.measure.observed import Observed, Setting, Wishes
from tidegate.rules.measure.policies import parse_policy
from tidegate.rules.measure.reads import at_random, replay
from tidegate.rules.measure.simulation import Terms, run
from tidegate.rules.measure.traces import poisson

DAY = 86_400.0
CACHE = 5.0


def advised(reads: int, hits: int, seconds: float, wanted: float | None = None) -> Advice:
    return advise(Case(
        observed=Observed(seconds=seconds, reads=reads, read_hits=hits, read_requests=reads - hits),
        setting=Setting(cache_seconds=CACHE), wishes=Wishes(max_delay_seconds=wanted),
    ))  # fmt: skip


@pytest.mark.parametrize("seed", range(1, 21))
def test_reads_and_requests_after_cache_for_are_those_of_the_replay(seed: int) -> None:
    """Within 2 points of the share and 10% of the requests, for reads at random over any number of answers."""
    chance = Random(seed)
    answers, wanted = chance.choice([1, 3, 10, 40]), chance.choice([None, 60.0, 300.0])
    rate = answers * chance.uniform(0.05, 0.4)  # so that a cache of 5 s answers 20% to 67%
    recorded = list(at_random(rate, 40_000 / rate, chance, (1.0,) * answers))
    seconds = 40_000 / rate
    before = replay(recorded, CACHE, answers)
    said = advised(before.reads, before.reads - before.requests, seconds, wanted)
    assert said.recommendation == "cache_for" and said.after is not None and said.every_seconds is not None
    after = replay(recorded, said.every_seconds, answers)
    assert said.after.cached_share == pytest.approx(after.hit_share, abs=0.02)
    assert said.after.requests_per_day == pytest.approx(after.requests * DAY / seconds, rel=0.10)


def test_where_few_answers_are_read_much_more_often_a_longer_cache_gains_less_as_the_assumption_says() -> None:
    weights = [1 / (place + 1) ** 1.2 for place in range(500)]
    recorded = list(at_random(4.0, 10_000.0, Random(5), weights))
    before, after = (replay(recorded, age, len(weights)) for age in (CACHE, 300.0))
    said = advised(before.reads, before.reads - before.requests, 10_000.0, 300.0)
    assert said.after is not None and said.after.cached_share is not None and after.hit_share is not None
    assert said.after.cached_share > after.hit_share + 0.02
    assert any("a longer cache gains less" in text for text in said.assumptions)


def test_an_answer_is_served_until_it_is_too_old_and_each_has_its_own_copy() -> None:
    made = replay([(0.0, 0), (4.0, 0), (5.0, 0), (5.1, 0), (5.2, 1), (9.0, 1)], 5.0, 2)
    assert made.asked == ((0.0, 5.1), (5.2,)) and made.hit_share == 0.5
    assert replay([], 5.0).hit_share is None


def test_a_cache_of_many_answers_asks_more_and_misses_no_record() -> None:
    trace = poisson(20 / 3600, 2 * DAY, Random(2), records=10**6)
    one, many = (run(parse_policy("cache:1m"), trace, Random(2), Terms(reads=0.1, answers=n)) for n in (1, 20))
    assert one.requests < many.requests and (one.cached_share or 0) > (many.cached_share or 0)
    assert one.missed == many.missed == 0 and one.changes - one.seen == 0
    assert (many.delay_p50_seconds or 0) > (one.delay_p50_seconds or 0)


def test_simulate_shows_the_share_of_reads_that_the_cache_answered_and_bounds_the_reads() -> None:
    options = ["--poisson", "3/h", "--for", "1d", "--policy", "cache:5m"]
    done = CliRunner().invoke(simulate, [*options, "--reads", "60/h", "--answers", "5"])
    assert done.exit_code == 0 and "cached" in done.output, done.output
    done = CliRunner().invoke(simulate, [*options, "--reads", "100/s"])
    assert done.exit_code == 2 and "reads; at most 2,000,000" in done.output
