"""The rate of changes by looks, and what policies cost on traces with a known truth."""

from __future__ import annotations

import math
from random import Random

import pytest

from tidegate.rules.measure.estimate import Looks, dispersion, estimate
from tidegate.rules.measure.policies import parse_policy
from tidegate.rules.measure.simulation import Terms, run
from tidegate.rules.measure.traces import Change, Trace, bursty, diurnal, from_lines, poisson

DAY = 86_400.0


def looked(rate: float, chance: Random) -> list[Looks]:
    """Looks with gaps that differ by a factor of 16, at changes of a known rate."""
    gaps = [chance.choice([0.25, 0.5, 1, 2, 4]) / rate for _ in range(chance.randint(60, 150))]
    return [Looks(gap, chance.random() < -math.expm1(-rate * gap)) for gap in gaps]


def test_the_interval_covers_the_truth_in_87_to_93_percent_of_1000_traces() -> None:
    chance = Random(14)
    covered = 0
    for _ in range(1000):
        rate = 10 ** chance.uniform(-6, 2)
        found = estimate(looked(rate, chance))
        assert found is not None and found.rate is not None and found.high is not None
        assert found.low < found.rate < found.high
        covered += found.low <= rate <= found.high
    assert 870 <= covered <= 930


def test_a_bound_holds_in_at_least_90_percent_when_every_look_or_none_found_a_change() -> None:
    chance, upper, lower = Random(15), [], []
    for _ in range(4000):
        rate, looks = 1.0, 20
        for mean, kept in ((0.02, upper), (3.5, lower)):
            found = estimate([Looks(mean, chance.random() < -math.expm1(-rate * mean)) for _ in range(looks)])
            assert found is not None
            if found.bound == "upper" and mean < 1:
                assert found.high is not None
                kept.append(found.high >= rate)
            elif found.bound == "lower" and mean > 1:
                kept.append(found.low <= rate)
    assert min(len(upper), len(lower)) > 100
    assert all(sum(one) / len(one) >= 0.9 for one in (upper, lower))


def test_it_agrees_with_the_estimator_of_cho_and_garcia_molina_for_equal_gaps() -> None:
    for changed in range(5, 96, 10):
        found = estimate([Looks(60.0, True, changed), Looks(60.0, False, 100 - changed)])
        assert found is not None and found.rate is not None
        theirs = -math.log((100 - changed + 0.5) / 100.5) / 60
        assert found.rate == pytest.approx(theirs, rel=0.06)


def test_no_looks_give_no_estimate_and_odd_ones_are_refused() -> None:
    assert estimate([]) is None
    for wrong in (
        Looks(0.0, True),
        Looks(-1.0, False),
        Looks(math.inf, True),
        Looks(1.0, True, 0),
        Looks(math.nan, True),
    ):
        with pytest.raises(ValueError, match="needs a gap"):
            estimate([wrong])
    tiny = estimate([Looks(1e-9, True, 10**7), Looks(1e9, False, 1)])
    assert tiny is not None and tiny.rate is not None and math.isfinite(tiny.rate)


def test_dispersion_tells_bursts_from_chance() -> None:
    chance = Random(3)
    plain, bursts = poisson(20 / DAY, 60 * DAY, chance), bursty(20 / DAY, 60 * DAY, chance)

    def daily(trace: Trace) -> list[int]:
        return [sum(day * DAY <= one.at < (day + 1) * DAY for one in trace.changes) for day in range(60)]

    even, uneven = dispersion(daily(plain)), dispersion(daily(bursts))
    assert even is not None and uneven is not None
    assert 0.5 < even < 2 < 4 < uneven
    assert dispersion([1, 2]) is None


@pytest.mark.parametrize("every", ["1m", "10m", "1h"])
def test_polling_costs_what_the_formulas_say(every: str) -> None:
    rate = 1 / 600
    trace = poisson(rate, 60 * DAY, Random(1), records=10**9)
    found = run(parse_policy(f"poll:{every}"), trace, Random(1))
    seconds = parse_policy(f"poll:{every}").every
    assert found.requests_per_day == pytest.approx(DAY / seconds, rel=0.01)
    assert found.empty / found.requests == pytest.approx(math.exp(-rate * seconds), abs=0.02)
    assert found.delay_p50_seconds == pytest.approx(seconds / 2, rel=0.1)
    assert found.delay_p95_seconds == pytest.approx(0.95 * seconds, rel=0.1)
    assert found.missed == 0


def test_of_several_changes_of_one_record_between_two_polls_only_the_last_is_seen() -> None:
    trace = Trace((Change(1, "a"), Change(2, "a"), Change(3, "b"), Change(15, "a"), Change(25, "a")), 26)
    found = run(parse_policy("poll:10s"), trace, Random(1))
    assert (found.seen, found.missed, found.changes, found.empty) == (3, 1, 4, 0), "the one at 25 s is not missed yet"
    assert found.delay_p50_seconds == 7


def test_a_webhook_loses_its_share_and_reconciling_finds_it() -> None:
    trace = poisson(1 / 60, 20 * DAY, Random(2), records=10**9)
    lossy = run(parse_policy("webhook:loss=5%"), trace, Random(2))
    assert lossy.missed / lossy.changes == pytest.approx(0.05, abs=0.01)
    healed = run(parse_policy("webhook:loss=5%,reconcile=1h"), trace, Random(2))
    assert healed.missed == 0
    assert healed.delay_p50_seconds == 0
    assert healed.delay_p99_seconds is not None and 1800 < healed.delay_p99_seconds < 3600


def test_a_made_trace_has_its_rate_and_the_same_seed_makes_the_same_one() -> None:
    for maker in (poisson, bursty, diurnal):
        one = maker(1 / 60, 30 * DAY, Random(5))
        assert len(one.changes) == pytest.approx(30 * DAY / 60, rel=0.1)
        assert one == maker(1 / 60, 30 * DAY, Random(5))
        assert all(first.at <= second.at for first, second in zip(one.changes, one.changes[1:], strict=False))
    busy = [change for change in diurnal(1 / 60, 30 * DAY, Random(5)).changes if 8 <= change.at % DAY / 3600 < 17]
    assert len(busy) / len(diurnal(1 / 60, 30 * DAY, Random(5)).changes) == pytest.approx(0.99, abs=0.005)


def test_a_trace_of_a_file_may_have_gaps_and_go_back_and_odd_lines_are_refused() -> None:
    lines = ["# exported", "2026-11-24T10:00:10Z a", "", "2026-11-24T10:00:00Z b", "2026-11-29T10:00:00Z a"]
    trace = from_lines(lines)
    assert [change.at for change in trace.changes] == [0, 10, 432_000]
    for wrong, said in (
        (["x y"], "line 1: 'x' is not a time"), (["2026-11-24T10:00:00Z"], "at least 2"), ([], "at least 2"),
        (["2026-11-24T10:00:00Z"] * 3, "the same time"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            from_lines(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "poll",
        "poll:0s",
        "poll:x",
        "adaptive:1h..1m",
        "webhook:loss=2",
        "webhook:loss=x",
        "webhook:x=1",
        "x:1m",
        "conditional:5m,304=x",
        "adaptive:1m..1h,max_delay=0s",
        "cache:",
        "poll:5m,poll:6m",
        "webhook:loss=nan",
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a policy"):
        parse_policy(text)


def test_a_simulation_is_bounded() -> None:
    with pytest.raises(ValueError, match="at most"):
        poisson(1e6, 1e6, Random(1))
    with pytest.raises(ValueError, match="above 0"):
        poisson(0, DAY, Random(1))
    with pytest.raises(ValueError, match="more than"):
        run(parse_policy("adaptive:10ms..20ms"), poisson(1 / 600, 30 * DAY, Random(1)), Random(1))
    with pytest.raises(ValueError, match="--reads"):
        run(parse_policy("cache:5m"), Trace((), DAY), Random(1))
    quiet = run(parse_policy("poll:1h"), Trace((), DAY), Random(1))
    assert (quiet.requests, quiet.empty, quiet.changes, quiet.delay_p50_seconds) == (24, 24, 0, None)


def test_ten_million_polls_are_counted_and_agree_with_looks_one_by_one() -> None:
    trace = poisson(1 / 600, 3 * DAY, Random(1), records=5)
    many = run(parse_policy("poll:25ms"), trace, Random(1))
    assert many.requests == 10_368_000
    assert many.missed == 0
    few = run(parse_policy("poll:10m"), trace, Random(1))
    seen = {(math.ceil(one.at / 600), one.record) for one in trace.changes if one.at <= few.requests * 600}
    assert (few.seen, few.empty) == (len(seen), few.requests - len({poll for poll, _ in seen}))


def test_an_answer_that_is_not_modified_costs_bytes_only_for_its_headers_and_no_money_where_it_is_free() -> None:
    trace, terms = poisson(1 / 3600, 3 * DAY, Random(1)), Terms(price_per_call=1.0, body_bytes=10_000)
    plain, saving, free = (
        run(parse_policy(text), trace, Random(1), terms)
        for text in ("poll:5m", "conditional:5m", "conditional:5m,304=free")
    )
    assert plain.requests == saving.requests == free.requests and plain.delay_p99_seconds == free.delay_p99_seconds
    assert saving.bytes < plain.bytes / 5 and saving.not_modified == plain.empty
    assert saving.cost == plain.requests and free.cost == plain.requests - plain.empty


def test_a_cache_asks_only_when_it_is_read_and_its_copy_is_too_old() -> None:
    trace = poisson(1 / 600, 10 * DAY, Random(1), records=10**9)
    often = run(parse_policy("cache:5m"), trace, Random(1), Terms(reads=1.0))
    seldom = run(parse_policy("cache:5m"), trace, Random(1), Terms(reads=1 / 3600))
    assert often.requests_per_day == pytest.approx(DAY / 301, rel=0.01)
    assert seldom.requests_per_day == pytest.approx(DAY / 3900, rel=0.15)


def test_a_trace_with_a_long_gap_or_lines_that_go_back_says_so() -> None:
    lines = [f"2026-11-24T10:{minute:02}:00Z" for minute in range(20)]
    assert from_lines(lines).notes == ()
    assert "1 lines are earlier" in from_lines([*lines, "2026-11-24T10:00:30Z"]).notes[0]
    assert "nothing changed for" in from_lines([*lines, "2026-11-29T10:00:00Z"]).notes[0]
