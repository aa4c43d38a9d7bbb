"""Histograms merge exactly, shares have exact intervals, and figures of nothing are None (core/histogram.py,
rules/measure)."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.histogram import LAST_BUCKET, Histogram, bounds, bucket_of, quantile_of
from tidegate.core.quantiles import quantile
from tidegate.core.rollups import DESTINATION, RESOURCE, SOURCE, RollupRow, Tally, added
from tidegate.rules.measure.estimate import Looks, estimate
from tidegate.rules.measure.measured import Covered, delay, looks_of, measure, share, sums_of
from tidegate.rules.measure.proportions import beta_cdf, interval
from tidegate.rules.measure.timeline import bins_of
from tidegate.rules.sync.limits import Limits
from tidegate.rules.sync.quota_share import used_share

MILLISECONDS = st.lists(st.integers(0, 10**10), max_size=200)


def counted(samples: list[int]) -> Histogram:
    return Histogram((bucket_of(one), 1, one) for one in samples)


@given(st.integers(0, 10**13))
def test_a_duration_is_within_the_bounds_of_its_bucket(milliseconds: int) -> None:
    bucket = bucket_of(milliseconds)
    low, high = bounds(bucket)
    assert low * (1 - 1e-9) <= milliseconds and (milliseconds < high * (1 + 1e-9) or bucket == LAST_BUCKET)


def test_a_clock_that_went_back_counts_as_no_time() -> None:
    assert bucket_of(-5) == bucket_of(0) == 0
    tally = Tally(RESOURCE, "a/b")
    tally.add("throttled", -5)
    assert tally.take(1) == [RollupRow(1, RESOURCE, "a/b", "throttled", 1, 0)]


@given(MILLISECONDS, MILLISECONDS, MILLISECONDS)
@settings(max_examples=50)
def test_histograms_merge_exactly_in_any_order_and_grouping(a: list[int], b: list[int], c: list[int]) -> None:
    whole = counted(a + b + c)
    for parts in ((a, b, c), (c, a, b), (b + a, c), (c, b + a)):
        merged = Histogram()
        for part in parts:
            merged.merge(counted(part))
        assert merged.counts == whole.counts
        assert merged.quantile_seconds(0.95) == whole.quantile_seconds(0.95)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
@settings(max_examples=100)
def test_a_quantile_is_within_a_twelfth_of_the_sample(samples: list[int], wanted: float) -> None:
    true = quantile(sorted(samples), wanted)
    assert true is not None
    found = counted(samples).quantile_seconds(wanted)
    assert found is not None and abs(found * 1000 - true) <= 0.0721 * true


def test_quantiles_with_weights() -> None:
    assert quantile_of([], 0.5) is None
    assert quantile_of([(3.0, 1), (1.0, 1), (2.0, 0)], 0.5) == 1.0
    assert quantile_of([(3.0, 1), (1.0, 9)], 0.95) == 3.0


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [  # by the tables of Clopper and Pearson, and R's binom.test
        (0, 10, 0.0, 0.308497),
        (1, 10, 0.002529, 0.445016),
        (5, 10, 0.187086, 0.812914),
        (10, 10, 0.691503, 1.0),
        (3, 1000, 0.000619, 0.008743),
        (0, 0, 0.0, 1.0),
    ],
)
def test_exact_intervals_of_shares(part: int, whole: int, low: float, high: float) -> None:
    assert interval(part, whole) == pytest.approx((low, high), abs=2e-6)


def test_the_interval_of_millions_takes_no_time_and_is_not_a_nan() -> None:
    low, high = interval(1_000_000, 10_000_000)
    assert 0.0998 < low < 0.1 < high < 0.1002
    assert beta_cdf(0.5, 3, 3) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="5 of 4"):
        interval(5, 4)


def test_intervals_cover_the_true_miss_rate() -> None:
    chance = random.Random(4)
    covered = 0
    for _ in range(400):
        rate, whole = chance.choice([0.0, 0.002, 0.02, 0.2]), chance.randint(20, 400)
        one = share(sum(chance.random() < rate for _ in range(whole)), whole)
        assert one.low is not None and one.high is not None
        covered += one.low <= rate <= one.high
    assert covered >= 0.95 * 400


def rows_of(scope: str, subject: str, **metrics: Any) -> list[RollupRow]:
    found = []
    for name, value in metrics.items():
        times, total = value if isinstance(value, tuple) else (value, 0)
        found.append(RollupRow(5, scope, subject, name.replace("__", "."), times, total))
    return found


def no_nan(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(no_nan, value.values()))
    if isinstance(value, list):
        return all(map(no_nan, value))
    return not isinstance(value, float) or math.isfinite(value)


METRIC_NAMES = st.sampled_from(
    [
        "look.found", "look.unchanged", "look.failed", "look.snapshot", "request.polls", "request.on_demand",
        "change.poll", "change.webhook", "delay.poll.9", "bound.poll.60", "healed", "webhook.late", "webhook.changed",
        "late_hint", "pull.hit", "throttled", "quota.20", "quota.0", "gap.same.50", "accepted.webhook", "doubled",
        "delivered", "failed", "delay.3", "pending", "no.such.metric", "delay.poll.x", "quota.x",
    ]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SOURCE, DESTINATION, RESOURCE]),
            METRIC_NAMES,
            st.integers(0, 10**9),
            st.integers(0, 10**12),
        ),
        max_size=30,
    ),
    st.sampled_from([0.0, 30.0, 86_400.0]),
    st.sampled_from([None, 0.0, 0.25]),
)
@settings(max_examples=150)
def test_no_counts_make_a_nan_or_a_division_by_zero(
    given_rows: list[tuple[str, str, int, int]], seconds: float, price: float | None
) -> None:
    rows = [RollupRow(1, scope, "a/b" if scope == RESOURCE else "a", *rest) for scope, *rest in given_rows]
    made = measure(rows, Covered(seconds), {} if price is None else {"a": price})
    assert no_nan(msgspec.to_builtins(made))
    assert measure(reversed(rows), Covered(seconds), {} if price is None else {"a": price}) == made
    assert all(no_nan(msgspec.to_builtins(bins)) for bins in bins_of(rows).values())


def test_a_resource_in_full() -> None:
    rows = rows_of(
        RESOURCE, "shop/orders", look__found=5, look__unchanged=80, look__not_modified=10, look__empty_list=5,
        look__failed=3, request__polls=(103, 5_000), request__pages=(20, 100), request__on_demand=(7, 1),
        change__poll=4, change__webhook=90, change__reconcile=6, healed=(10, 600_000), webhook__late=2,
        webhook__changed=90, webhook__repeated=8, pull__hit=30, pull__shared=3, pull__asked=7, throttled=(2, 1500),
        quota__17=4, quota__3=9,
    )  # fmt: skip
    one = measure(rows, Covered(43_200.0), {"shop": 0.5}).resources["shop/orders"]
    assert (one.changes, one.changes_per_hour, one.requests.total) == (100, 8.3333, 130)
    assert (one.requests.per_change, one.requests.per_day, one.requests.cost) == (1.3, 260.0, 65.0)
    assert (one.requests.cost_per_day, one.requests.bytes_in) == (130.0, 5_101)
    assert (one.polls.finished, one.polls.failed, one.polls.empty.share) == (100, 3, 0.95)
    assert (one.webhooks.received, one.webhooks.missed.part, one.webhooks.missed.whole) == (100, 8, 100)
    assert (one.webhooks.late_share.part, one.webhooks.repeated_share.part) == (2, 8)
    assert (one.pulls.total, one.saved, one.saved_bodies) == (40, 33, 10)
    assert (one.rate_limit.used, one.rate_limit.waits, one.rate_limit.throttled_seconds) == (0.85, 2, 1.5)


def test_without_looks_nothing_is_known_of_missed_webhooks() -> None:
    one = measure(rows_of(RESOURCE, "a/b", change__webhook=90, webhook__changed=90), Covered(60)).resources["a/b"]
    assert one.webhooks.missed.share is None and one.polls.empty.share is None and one.requests.per_change == 0.0
    assert one.requests.cost is None


def test_a_source_adds_up_its_resources() -> None:
    rows = rows_of(SOURCE, "shop", accepted__webhook=(90, 500), accepted__poll=10, doubled=10)
    rows += rows_of(RESOURCE, "shop/orders", request__polls=(10, 7), change__poll=5, quota__4=1)
    rows += rows_of(RESOURCE, "shop/items", request__polls=(20, 3), change__poll=5, quota__9=1)
    one = measure(rows, Covered(86_400), {"shop": 2.0}).sources["shop"]
    assert (one.accepted, one.bytes_in, one.doubled.share) == (100, 500, 0.1)
    assert (one.requests.total, one.requests.per_change, one.requests.cost, one.rate_limit.used) == (
        30,
        3.0,
        60.0,
        0.45,
    )


def test_a_poll_bounds_a_change_without_a_time_and_its_delay_is_spread_over_the_gap() -> None:
    bound = Histogram([(bucket_of(600_000), 200, 200 * 600_000)])
    one = delay([], [bound])
    assert (one.samples, one.bounded, one.p50.low) == (200, 200, 0.0)
    assert one.p50.high == pytest.approx(600, rel=0.08) and one.p50.seconds == pytest.approx(300, rel=0.1)
    assert one.p95.seconds == pytest.approx(570, rel=0.1) and one.mean_seconds == pytest.approx(300, rel=0.1)
    known = delay([Histogram([(bucket_of(1000), 99, 99_000)])], [])
    assert known.p50.low == known.p50.high == known.p50.seconds and known.p99.seconds is None


def test_the_observations_of_looks_estimate_the_rate() -> None:
    """Kept in buckets of 15%, they estimate what the single looks do."""
    chance = random.Random(8)
    single, tally = [], Tally(RESOURCE, "a/b")
    for _ in range(2000):
        gap = chance.choice([50.0, 60.0, 70.0, 300.0])
        changed = chance.random() < 1 - math.exp(-gap / 500)
        single.append(Looks(gap, changed))
        tally.add(f"gap.{'changed' if changed else 'same'}.{bucket_of(gap * 1000)}", int(gap * 1000))
    kept = estimate([Looks(*one) for one in looks_of(sums_of(tally.take(1)))])
    exact = estimate(single)
    assert kept is not None and exact is not None and kept.rate == pytest.approx(exact.rate, rel=0.005)


def test_rows_of_one_key_are_added_in_the_order_of_keys() -> None:
    rows = [RollupRow(2, "b", "x", "m", 1, 2), RollupRow(1, "b", "x", "m", 1, 2), RollupRow(2, "b", "x", "m", 3, 4)]
    assert added(rows) == [RollupRow(1, "b", "x", "m", 1, 2), RollupRow(2, "b", "x", "m", 4, 6)]


def test_bins_of_a_day() -> None:
    rows = [
        RollupRow(15, RESOURCE, "a/b", "look.found", 2), RollupRow(0, RESOURCE, "a/b", "look.unchanged", 5),
        RollupRow(15, RESOURCE, "a/b", "healed", 2, 90_000), RollupRow(15, RESOURCE, "a/b", "webhook.late", 1),
        RollupRow(15, RESOURCE, "a/b", "look.failed", 1), RollupRow(15, RESOURCE, "a/b", "pull.stale", 1),
    ]  # fmt: skip
    first, second = bins_of(rows)["a/b"]
    assert (first.at, first.polls, first.found) == ("1970-01-01T00:00:00.000000Z", 5, 0)
    assert (second.polls, second.found, second.failed, second.healed) == (3, 2, 1, 2)
    assert (second.missing_seconds, second.webhooks, second.pulls) == (90.0, 1, 0)


@pytest.mark.parametrize(
    ("headers", "used"),
    [
        ([("X-RateLimit-Limit", "100"), ("X-RateLimit-Remaining", "25")], 0.75),
        ([("x-rate-limit-limit", "100"), ("x-rate-limit-remaining", "100")], 0.0),
        ([("RateLimit-Limit", "10"), ("RateLimit-Remaining", "0")], 1.0),
        ([("RateLimit-Policy", '"default";q=100;w=60'), ("RateLimit", '"default";r=40;t=30')], 0.6),
        ([("X-RateLimit-Limit", "0"), ("X-RateLimit-Remaining", "0")], None),
        ([("X-RateLimit-Remaining", "5")], None),
        ([("X-RateLimit-Limit", "many"), ("X-RateLimit-Remaining", "5")], None),
        ([("X-RateLimit-Limit", "10"), ("X-RateLimit-Remaining", "50")], 0.0),
        ([], None),
    ],
)
def test_how_much_of_a_quota_an_answer_says_is_used(headers: list[tuple[str, str]], used: float | None) -> None:
    found = used_share(None, headers)
    assert found == (None if used is None else pytest.approx(used))


def test_a_header_of_the_source_says_what_is_used() -> None:
    limits = Limits(usage_header="X-Shop-Api-Call-Limit")
    assert used_share(limits, [("x-shop-api-call-limit", "32/40")]) == pytest.approx(0.8)
    assert used_share(limits, [("x-shop-api-call-limit", "?")]) is None
