"""Polls that learned the hours of the week: what they save, never cost and keep on traces with a known truth."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from random import Random

import msgspec
import pytest

from tidegate.rules.measure.adaptive import AdaptivePolls, AdaptiveRule, Taken, plan
from tidegate.rules.measure.hours import HOURS, Looked, Rates, hour_of, rates_of, see, spans
from tidegate.rules.measure.policies import parse_policy
from tidegate.rules.measure.simulation import Outcome, Terms, run
from tidegate.rules.measure.traces import Change, Trace, bursty, diurnal, poisson

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 4 * DAY
RULE = AdaptiveRule(shortest=60, longest=3600)


def simulated(
    maker: Callable[..., Trace], per_hour: float, policy: str, seed: int, terms: Terms | None = None
) -> Outcome:
    return run(parse_policy(policy), maker(per_hour / HOUR, 30 * DAY, Random(seed), records=10**9), Random(seed), terms)


def against_fixed(outcome: Outcome) -> float:
    """Its requests by those of polls at the fixed interval with the same p95 delay, which is 0.95 of the interval."""
    assert outcome.delay_p95_seconds is not None
    return outcome.requests_per_day / (DAY / (outcome.delay_p95_seconds / 0.95))


@pytest.mark.parametrize(("per_hour", "seeds"), [(3.0, range(3)), (20.0, range(1))])
def test_it_saves_half_of_the_requests_when_nearly_all_changes_are_in_nine_hours(per_hour: float, seeds: range) -> None:
    ratios = [against_fixed(simulated(diurnal, per_hour, "adaptive:10s..2h", seed)) for seed in seeds]
    assert max(ratios) <= 0.5, ratios


@pytest.mark.parametrize("policy", ["adaptive:10s..2h", "adaptive:1m..1h,max_delay=5m"])
@pytest.mark.parametrize("per_hour", [1.0, 3.0, 20.0])
def test_it_never_costs_more_than_a_tenth_more_when_changes_come_at_any_hour(per_hour: float, policy: str) -> None:
    ratios = [against_fixed(simulated(poisson, per_hour, policy, seed)) for seed in range(1)]
    assert max(ratios) <= 1.1, ratios


def test_bursts_do_not_look_like_busy_hours() -> None:
    ratio = against_fixed(simulated(bursty, 20.0, "adaptive:10s..2h", 1))
    assert ratio <= 1.15


@pytest.mark.parametrize(("maker", "most"), [(poisson, 292.0), (diurnal, 170.0)])
def test_max_delay_is_kept_by_99_of_100_changes(maker: Callable[..., Trace], most: float) -> None:
    late, requests = 0.0, []
    for seed in range(1):
        trace = maker(20 / HOUR, 30 * DAY, Random(seed), records=10**9)
        found = run(parse_policy("adaptive:1m..1h,max_delay=5m"), trace, Random(seed))
        assert found.delay_p95_seconds is not None and found.delay_p95_seconds <= 300
        late = max(late, _late(trace, Random(seed)))
        requests.append(found.requests_per_day)
    assert late <= 0.0105, "of the changes that wait longer; the rest is chance"
    assert max(requests) <= most * 1.02, "a fixed interval needs 288 a day"


def _late(trace: Trace, chance: Random) -> float:
    """The share of changes that wait longer than 5 minutes."""
    polls, at, late, number = AdaptivePolls(msgspec.structs.replace(RULE, max_delay=300.0)), MONDAY, 0, 0
    polls.see(at, 0)
    while number < len(trace.changes) and (at := at + polls.wait(at, chance.random())):
        before = number
        while number < len(trace.changes) and MONDAY + trace.changes[number].at <= at:
            late += at - MONDAY - trace.changes[number].at > 300
            number += 1
        polls.see(at, number - before)
    return late / len(trace.changes)


def test_quiet_weekends_are_learned() -> None:
    def weekdays(rate: float, seconds: float, chance: Random, records: int = 1) -> Trace:
        trace = poisson(rate, seconds, chance, records)
        kept = tuple(one for one in trace.changes if one.at % (7 * DAY) < 5 * DAY or chance.random() < 0.02)
        return Trace(kept, seconds, "weekdays")

    polls = AdaptivePolls(RULE)
    looks_at(polls, weekdays(6 / HOUR, 28 * DAY, Random(1)))
    hours = polls.rates.hours
    assert min(hours[:120]) > 20 * max(hours[120:])
    assert min(polls.plan.intervals[120:]) > 3 * max(polls.plan.intervals[:120])


def looks_at(polls: AdaptivePolls, trace: Trace) -> int:
    """Poll as planned until the end of the trace; the number of polls."""
    at, found, count = MONDAY, 0, 0
    polls.see(at, 0)
    ats = [one.at for one in trace.changes]
    while (at := at + polls.wait(at)) <= MONDAY + trace.seconds:
        seen = bisect.bisect_right(ats, at - MONDAY)
        polls.see(at, seen - found)
        found, count = seen, count + 1
    return count


def test_a_source_that_never_changes_is_polled_as_seldom_as_allowed() -> None:
    polls = AdaptivePolls(RULE)
    looks_at(polls, Trace((), 3 * DAY))
    assert min(polls.plan.intervals) == 3600


def test_a_source_that_wakes_up_is_polled_sooner_and_then_by_the_plan_again() -> None:
    polls = AdaptivePolls(RULE)
    looks_at(polls, diurnal(6 / HOUR, 14 * DAY, Random(2), records=10**9))
    night = MONDAY + 14 * DAY + 2 * HOUR
    polls.see(night, 0)
    planned = polls.wait(night)
    polls.see(night + planned, 30)
    woken = polls.wait(night + planned)
    assert woken == min(polls.plan.intervals) < planned / 4
    at, waits = night + planned, [woken]
    while waits[-1] < planned * 0.8 and len(waits) < 20:
        at += waits[-1]
        polls.see(at, 0)
        waits.append(polls.wait(at))
    assert waits == sorted(waits) and len(waits) <= 8, waits


def test_no_change_waits_longer_than_the_interval_of_its_hour() -> None:
    polls = AdaptivePolls(RULE)
    polls.plan = msgspec.structs.replace(polls.plan, intervals=(3600.0,) * 8 + (300.0,) * 9 + (3600.0,) * 151)
    assert polls.wait(MONDAY + 7.9 * HOUR) == pytest.approx(0.1 * HOUR + 300)
    assert polls.wait(MONDAY + 16.95 * HOUR) == 300
    assert polls.wait(MONDAY + 18 * HOUR) == 3600


def test_what_was_learned_survives_a_restart() -> None:
    polls = AdaptivePolls(RULE)
    looks_at(polls, diurnal(6 / HOUR, 14 * DAY, Random(3), records=10**9))
    stored = msgspec.json.encode(polls.looked)
    assert len(stored) < 6_000
    again = AdaptivePolls(RULE, msgspec.json.decode(stored, type=Looked))
    assert max(again.plan.intervals) > 4 * min(again.plan.intervals)
    at = polls.looked.last_at
    polls.see(at + HOUR, 0)
    again.see(at + HOUR, 0)
    assert again.plan == polls.plan


def test_a_gap_while_the_gateway_was_down_or_a_clock_that_went_back_teaches_nothing() -> None:
    looked, rates = Looked(), Rates((1 / HOUR,) * HOURS, 1 / HOUR)
    for at, found in ((MONDAY, 9), (MONDAY + 2 * DAY, 9), (MONDAY + DAY, 9), (MONDAY + DAY, 9)):
        assert see(looked, rates, at, found, 2 * HOUR) == 0
    assert not looked.seconds
    see(looked, rates, MONDAY + DAY + HOUR, 2, 2 * HOUR)
    assert math.fsum(looked.changes) == pytest.approx(2)


def test_an_import_of_thousands_of_rows_teaches_no_pattern() -> None:
    polls = AdaptivePolls(RULE)
    trace = poisson(6 / HOUR, 14 * DAY, Random(4), records=10**9)
    imported = [Change(7 * DAY + 2 * HOUR + number / 1000, str(number)) for number in range(5000)]
    changes = tuple(sorted((*trace.changes, *imported), key=lambda one: one.at))
    looks_at(polls, Trace(changes, trace.seconds))
    assert max(polls.rates.hours) < 3 * min(polls.rates.hours)


def test_found_changes_go_to_the_hours_where_they_were_expected() -> None:
    hours = [1 / HOUR] * HOURS
    hours[8] = 99 / HOUR
    looked = Looked()
    rates = Rates(tuple(hours), 1 / HOUR)
    see(looked, rates, MONDAY + 7 * HOUR, 0, 3 * HOUR)
    see(looked, rates, MONDAY + 9 * HOUR, 100, 3 * HOUR)
    assert (looked.changes[7], looked.changes[8]) == pytest.approx((1, 99))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_delay": 30.0}, "max_delay asks for a poll every 30 s, poll_min allows one every 60 s"),
        ({"max_delay": 90.0, "budget": 120.0}, "the rate of the source allows one every 120 s"),
        ({"max_delay": 7200.0}, "max_delay allows 7.2e+03 s between polls, poll_max 3.6e+03 s"),
        ({"max_delay": 300.0}, None),
        ({}, None),
    ],
)
def test_what_the_bounds_do_not_allow_is_named(changes: dict[str, float], reason: str | None) -> None:
    made = plan(rates_of(Looked(), 1 / HOUR), msgspec.structs.replace(RULE, **changes))
    assert (reason is None) == (not made.clamped)
    assert reason is None or reason in made.clamped[0]
    assert all(60 <= one <= 3600 for one in made.intervals)


def test_the_time_of_a_poll_is_part_of_the_delay() -> None:
    slow = plan(rates_of(Looked(), 1 / HOUR), msgspec.structs.replace(RULE, max_delay=300.0), Taken(100.0))
    assert min(slow.intervals) == pytest.approx(200, rel=0.02)


def test_with_prices_the_interval_is_the_cheapest_one() -> None:
    trace = poisson(6 / HOUR, 30 * DAY, Random(5), records=10**9)
    terms = Terms(price_per_call=0.001, delay_price=0.1)
    best = min(
        cost for text in ("1m", "2m", "3m", "5m", "8m", "15m")
        if (cost := run(parse_policy(f"poll:{text}"), trace, Random(5), terms).cost) is not None
    )  # fmt: skip
    found = run(parse_policy("adaptive:10s..2h"), trace, Random(5), terms).cost
    assert found is not None and found <= 1.1 * best


@pytest.mark.parametrize(("call", "delay", "interval"), [(0.0, 1.0, 60), (1.0, 0.0, 3600), (0.0, 0.0, 3600)])
def test_a_price_of_0_is_a_price(call: float, delay: float, interval: float) -> None:
    made = plan(rates_of(Looked(), 1 / HOUR), msgspec.structs.replace(RULE, call_price=call, delay_price=delay))
    assert set(made.intervals) == {interval}


@pytest.mark.parametrize(("shortest", "longest"), [(0, 60), (120, 60), (math.nan, 60)])
def test_bounds_that_make_no_sense_are_an_error(shortest: float, longest: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        AdaptivePolls(AdaptiveRule(shortest=shortest, longest=longest))


def test_hours_of_the_week_begin_on_monday() -> None:
    assert hour_of(MONDAY) == 0
    assert hour_of(MONDAY - 1) == 167
    assert spans(MONDAY + 1800, MONDAY + 2 * HOUR + 60) == [(0, 1800), (1, 3600), (2, 60)]
    assert sum(seconds for _, seconds in spans(MONDAY, MONDAY + 70 * DAY)) == 7 * DAY
