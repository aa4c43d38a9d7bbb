"""`reconcile = "auto"` against the truth of the simulator: the share of late changes, requests, what is named."""

from __future__ import annotations

import math
from random import Random

import pytest

from tidegate.rules.measure import simulation
from tidegate.rules.measure.policies import parse_policy
from tidegate.rules.measure.reconciling import (
    WINDOWS_SECONDS,
    ReconcileRule,
    Run,
    Window,
    believed,
    choose,
    first_interval,
)
from tidegate.rules.measure.simulation import Outcome, Terms
from tidegate.rules.measure.traces import Trace, poisson

HOUR, DAY = 3_600.0, 86_400.0
WITHIN = 15 * 60.0
RULE = ReconcileRule(shortest=60.0, longest=DAY, max_delay=WITHIN)


def trace_of(seed: int, days: float = 28.0, rate: float = 8.0) -> Trace:
    """Changes of records that each change once, so that no later webhook hides a missed one."""
    return poisson(rate / HOUR, days * DAY, Random(seed), records=10**9)


def ran(
    policy: str, trace: Trace, monkeypatch: pytest.MonkeyPatch, terms: Terms | None = None
) -> tuple[Outcome, float]:
    """(what the policy did, the share of the changes that were late)."""
    delays: list[float] = []
    outcome = simulation._outcome

    def seen(policy: object, trace: Trace, looked: simulation._Looked, terms: Terms) -> Outcome:
        delays.extend(looked.delays)
        return outcome(policy, trace, looked, terms)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(simulation, "_outcome", seen)
        made = simulation.run(parse_policy(policy), trace, Random(5), terms)
    return made, sum(one > WITHIN for one in delays) / len(delays)


@pytest.mark.parametrize("loss", [0.02, 0.05, 0.2])
def test_the_share_of_late_changes_keeps_the_bound_at_little_more_than_the_fewest_requests(
    loss: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fewest are those of somebody who knows the loss from the start: R = d / (1 - 0.01 / p)."""
    trace = trace_of(1)
    made, late = ran(f"webhook:loss={loss:.0%},reconcile=1m..1d,max_delay=15m", trace, monkeypatch)
    assert late <= 0.01 and made.missed == 0
    fewest = trace.seconds / (WITHIN / (1 - 0.01 / loss))
    assert made.requests <= fewest * (1.75 if loss < 0.05 else 1.35), (made.requests, fewest)
    longer, too_late = ran(f"webhook:loss={loss:.0%},reconcile={2 * trace.seconds / fewest:.0f}s", trace, monkeypatch)
    assert too_late > 0.01 and longer.requests < made.requests, "twice that interval does not keep it"


def test_webhooks_that_prove_themselves_are_checked_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = trace_of(2)
    made, late = ran("webhook:loss=0%,reconcile=1m..1d,max_delay=15m", trace, monkeypatch)
    assert late == 0 and made.requests <= 0.1 * trace.seconds / WITHIN
    free, _ = ran("webhook:loss=0%,reconcile=5m..1d", trace, monkeypatch)
    assert free.requests <= 3 * 28


def test_with_prices_it_costs_little_more_than_the_best_fixed_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    trace, terms = trace_of(3), Terms(price_per_call=0.01, delay_price=0.5)
    made, _ = ran("webhook:loss=10%,reconcile=1m..7d", trace, monkeypatch, terms)
    fixed = [ran(f"webhook:loss=10%,reconcile={minutes}m", trace, monkeypatch, terms)[0] for minutes in (5, 10, 20, 40)]
    best = min(one.cost for one in fixed if one.cost is not None)
    assert made.cost is not None and made.cost <= 1.1 * best


def test_without_a_wish_each_reconciliation_heals_about_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = trace_of(4)
    made, _ = ran("webhook:loss=10%,reconcile=1m..7d", trace, monkeypatch)
    assert 0.7 <= made.requests / (0.1 * len(trace.changes)) <= 1.6


def test_a_simulation_is_the_same_with_the_same_seed_and_nonsense_is_refused() -> None:
    trace, policy = trace_of(5, 3.0), parse_policy("webhook:loss=5%,reconcile=5m..1d")
    assert simulation.run(policy, trace, Random(1)) == simulation.run(policy, trace, Random(1))
    for wrong in ("webhook:reconcile=1d..5m", "webhook:reconcile=5m..", "webhook:reconcile=1h,max_delay=5m"):
        with pytest.raises(ValueError, match="is not a policy"):
            parse_policy(wrong)


# -- the choice ------------------------------------------------------------------------------------------


def windows(*found: tuple[int, int]) -> list[Window]:
    """(missed, changes) of each window, the longest first."""
    return [Window(length, changes, missed) for length, (missed, changes) in zip(WINDOWS_SECONDS, found, strict=False)]


@pytest.mark.parametrize(("missed", "changes"), [(0, 0), (0, 10), (3, 40), (50, 1000), (500, 1000), (1000, 1000)])
def test_the_interval_keeps_the_bound_for_the_upper_end_of_what_was_measured(missed: int, changes: int) -> None:
    window = windows((missed, changes))
    made = choose(RULE, window)
    high = window[0].bounds[1]
    assert high * (1 - WITHIN / made.every) <= 0.01 + 1e-9 and made.clamped == ""


def test_more_misses_never_lengthen_the_interval() -> None:
    for rule in (RULE, ReconcileRule(shortest=60.0, longest=DAY)):
        found = [choose(rule, windows((missed, 1000))).every for missed in range(0, 1001, 50)]
        assert found == sorted(found, reverse=True) and found[0] > found[-1]


def test_a_shorter_window_that_contradicts_the_longest_is_believed_where_batches_do_not_deceive() -> None:
    broke = windows((10, 10_000), (200, 1000), (180, 200))
    assert believed(broke, 600.0).missed == 180
    assert believed(broke, 2 * HOUR).missed == 200, "six hours are too few intervals of two"
    assert believed(broke, 5 * HOUR).missed == 10
    assert believed(windows((10, 10_000), (1, 1000)), 600.0).missed == 10, "nothing contradicts a week"
    repaired = windows((3000, 10_000), (0, 1000))
    assert believed(repaired, HOUR).missed == 0


def test_a_break_is_answered_at_the_next_look_and_a_repair_within_days() -> None:
    rule = ReconcileRule(shortest=60.0, longest=6 * HOUR, max_delay=WITHIN)
    trace, at, every = trace_of(6, 20.0, 40.0), 0.0, first_interval(rule)
    broken = (8 * DAY, 9 * DAY)
    lost = [one.at for one in trace.changes if broken[0] <= one.at < broken[1]]
    pushed = [one.at for one in trace.changes if not broken[0] <= one.at < broken[1]]
    found: list[float] = []
    chosen: list[tuple[float, float]] = []
    while (at := at + every) < trace.seconds:
        found += [at] * (sum(one <= at for one in lost) - len(found))
        every = choose(rule, [simulation._window(pushed, found, at, one) for one in WINDOWS_SECONDS], every).every
        chosen.append((at, every))
    before = [every for at, every in chosen if 7 * DAY < at < broken[0]]
    during = [every for at, every in chosen if broken[0] + 7 * HOUR < at < broken[1]]
    after = [every for at, every in chosen if at > broken[1] + 8 * DAY]
    assert before and min(before) == 6 * HOUR, "nothing was missed for a week"
    assert during and max(during) <= WITHIN * 1.1
    assert after and max(after) >= 2 * HOUR


def test_the_present_interval_stays_while_it_is_good_enough() -> None:
    wanted = choose(RULE, windows((50, 1000))).every
    for present, expected in ((0.85 * wanted, 0.85 * wanted), (1.01 * wanted, wanted), (0.7 * wanted, wanted)):
        assert choose(RULE, windows((50, 1000)), present).every == pytest.approx(expected)


def test_bounds_and_the_rate_of_the_source_are_kept_and_what_they_prevent_is_named() -> None:
    rule = ReconcileRule(shortest=HOUR, longest=DAY, max_delay=60.0)
    made = choose(rule, windows((500, 1000)))
    assert made.every == HOUR and made.clamped.startswith("a reconciliation every 1 min 1 s is wanted, reconcile_min")
    slow = ReconcileRule(shortest=60.0, longest=DAY, max_delay=60.0, budget=30.0)
    many = choose(slow, windows((500, 1000)), None, Run(requests=20.0))
    assert many.every == 600.0 and "the rate of the source allows (20 requests each) one every 10 min" in many.clamped
    assert choose(RULE, windows((500, 1000)), None, Run(seconds=300.0)).every == pytest.approx(
        600 / (1 - 0.01 / 0.532), rel=0.01
    )
    assert choose(RULE, windows((0, 100_000))).every == DAY


def test_reasons_have_the_figures_and_nothing_is_divided_by_zero() -> None:
    made = choose(RULE, windows((50, 1000)))
    assert "webhooks missed 50 of 1,000 changes in 7 d (95% interval 3.7% to 6.5%)" in made.reason
    assert "max_delay = 15 min for 99 of 100 changes" in made.reason
    assert "by webhooks alone" in choose(RULE, windows((0, 100_000))).reason
    empty = ReconcileRule(shortest=60.0, longest=DAY)
    assert choose(empty, [Window(1.0, 0, 0)]).every == pytest.approx(first_interval(empty))
    for call, delay in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0)):
        rule = ReconcileRule(shortest=60.0, longest=DAY, call_price=call, delay_price=delay)
        for window in windows((0, 0)), windows((3, 10)):
            found = choose(rule, window).every
            assert math.isfinite(found) and 60.0 <= found <= DAY
    growing = [choose(empty, [Window(seconds, 0, 0)]).every for seconds in (6_000.0, 60_000.0)]
    assert growing == [6_000.0, 60_000.0], "no changes: in growing intervals"
    assert choose(empty, [Window(6_000.0, 0, 0)]).reason == "no change was seen in 1 h 40 min"
