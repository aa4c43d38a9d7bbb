"""API or webhook: the recommendation, its reason and its figures, for every kind of evidence and preference."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

import msgspec
import pytest

from tidegate.query.advice import WORDS
from tidegate.rules.measure import observed as shapes
from tidegate.rules.measure.advice import Advice, Case
from tidegate.rules.measure.advise import advise
from tidegate.rules.measure.cost import Load, Prices, cost_of_polling
from tidegate.rules.measure.estimate import Looks
from tidegate.rules.measure.observed import Delays, Hour, Observed, Offers, Setting, Wishes
from tidegate.rules.measure.policies import parse_policy
from tidegate.rules.measure.simulation import run
from tidegate.rules.measure.traces import Trace, bursty, diurnal, poisson

DAY = 86_400.0
PUSHED = Delays(1.1, 7.6, 256)
HOOKS = Offers(webhooks=True, receives=True)


NO_OFFER, NO_WISH = Offers(), Wishes()


def case(setting: dict[str, Any], offers: Offers = NO_OFFER, wishes: Wishes = NO_WISH, **seen: Any) -> Case:
    seen.setdefault("requests", seen.get("polls", 0))
    return Case(observed=Observed(**seen), setting=Setting(**setting), offers=offers, wishes=wishes)


EVERY_5M = {"poll_seconds": 300.0}
RECONCILED = {"webhook": True, "reconcile_seconds": 3600.0}
CUSTOMERS = {"seconds": 7 * DAY, "polls": 2016, "empty_polls": 1952, "polled": 71}
TICKETS = {"seconds": 7 * DAY, "polls": 9967, "empty_polls": 8783, "polled": 1310, "limit_used": 0.98}
PAYMENTS = {"seconds": 7 * DAY, "polls": 168, "webhooks": 2894, "pushed": 2894, "webhook_delay": PUSHED}
BUSY = {"seconds": 7 * DAY, "polls": 2016, "empty_polls": 1000, "polled": 1500}
NOTHING = {"seconds": DAY + 1, "polls": 296, "empty_polls": 296}

TABLE = {
    "nothing was found in a day": (
        case(EVERY_5M, **NOTHING),
        "poll_every",
        {"poll": "30m"},
        "at most 2.3 changes a day",
    ),
    "nothing was found in half a day": (
        case(EVERY_5M, **{**NOTHING, "seconds": DAY / 2}),
        "not_enough_data",
        {},
        "0 changes seen so far",
    ),
    "nothing was found, and there is a webhook": (
        case(EVERY_5M, HOOKS, **NOTHING),
        "subscribe",
        {"poll": None, "webhook": {"types": ["*"]}, "reconcile": "1h"},
        "at most 2.3 changes a day",
    ),
    "nothing was found in weeks": (
        case(EVERY_5M, seconds=20 * DAY, polls=5760, empty_polls=5760),
        "stop_polling",
        {"poll": None},
        "5,760 polls",
    ),
    "nearly nothing is found": (case(EVERY_5M, **CUSTOMERS), "poll_every", {"poll": "15m"}, "96.8% of the polls"),
    "nearly nothing is found, and there is a webhook": (
        case(EVERY_5M, HOOKS, **CUSTOMERS),
        "subscribe",
        {"poll": None, "webhook": {"types": ["*"]}, "reconcile": "1h"},
        "96.8% of the polls",
    ),
    "max_delay allows a longer interval": (
        case(EVERY_5M, wishes=Wishes(max_delay_seconds=900.0), **BUSY),
        "poll_every",
        {"poll": "15m"},
        "max_delay allows",
    ),
    "max_delay asks for a shorter interval": (
        case(EVERY_5M, wishes=Wishes(max_delay_seconds=60.0), **CUSTOMERS),
        "poll_every",
        {"poll": "1m"},
        "allows less",
    ),
    "max_delay is kept": (
        case(EVERY_5M, wishes=Wishes(max_delay_seconds=300.0), **CUSTOMERS),
        "keep_polling",
        {},
        "max_delay allows 5 min",
    ),
    "no poll keeps max_delay": (
        case(EVERY_5M, wishes=Wishes(max_delay_seconds=2.0), **BUSY),
        "keep_polling",
        {},
        "no poll keeps max_delay = 2 s",
    ),
    "only a webhook keeps max_delay": (
        case(EVERY_5M, HOOKS, Wishes(max_delay_seconds=2.0), **BUSY),
        "subscribe",
        {"poll": None, "webhook": {"types": ["*"]}, "reconcile": "2s"},
        "no poll keeps max_delay = 2 s",
    ),
    "the limit is nearly used": (
        case({"poll_seconds": 60.0}, **TICKETS),
        "poll_every",
        {"poll": "90s"},
        "uses 98% of the rate limit",
    ),
    "the limit is nearly used, and there is a webhook": (
        case({"poll_seconds": 60.0}, HOOKS, **TICKETS),
        "subscribe",
        {"poll": None, "webhook": {"types": ["*"]}, "reconcile": "1h"},
        "uses 98% of the rate limit",
    ),
    "max_delay and the limit contradict each other": (
        case({"poll_seconds": 60.0}, wishes=Wishes(max_delay_seconds=30.0), **TICKETS),
        "keep_polling",
        {},
        "allows no longer interval; ask for a higher limit",
    ),
    "polls find enough": (case(EVERY_5M, **BUSY), "keep_polling", {}, "polls find changes often enough"),
    "a schedule that finds nothing": (
        case({"scheduled": True}, **NOTHING),
        "poll_every",
        {"poll": "30m", "schedule": None},
        "at most 2.3 changes",
    ),
    "prices ask for fewer requests": (
        case(EVERY_5M, wishes=Wishes(price_per_call=0.002, delay_price=0.01), **BUSY),
        "poll_every",
        {"poll": "15m"},
        "a day costs 0.46 instead of 0.67",
    ),
    "free requests ask for short delays": (
        case(EVERY_5M, wishes=Wishes(price_per_call=0.0, delay_price=0.01), **BUSY),
        "poll_every",
        {"poll": "10s"},
        "a day costs",
    ),
    "prices of zero state no preference": (
        case(EVERY_5M, wishes=Wishes(price_per_call=0.0, delay_price=0.0), **BUSY),
        "keep_polling",
        {},
        "polls find changes often enough",
    ),
    "one price makes no optimum": (
        case(EVERY_5M, wishes=Wishes(price_per_call=0.002), **BUSY),
        "keep_polling",
        {},
        "often enough",
    ),
    "a webhook is cheaper than any poll": (
        case(EVERY_5M, HOOKS, Wishes(price_per_call=0.002, delay_price=1.0), **BUSY),
        "subscribe",
        {"poll": None, "webhook": {"types": ["*"]}, "reconcile": "15m"},
        "by webhook and",
    ),
    "webhooks and reconciliation": (
        case(RECONCILED, empty_polls=167, polled=3, **PAYMENTS),
        "keep_both",
        {},
        "a check every 1 h found 3 missed",
    ),
    "no webhook was ever missed": (
        case(RECONCILED, empty_polls=168, polled=0, **PAYMENTS),
        "reconcile_every",
        {"reconcile": "6h"},
        "no missed webhook",
    ),
    "many are missed, and changes must not be late": (
        case(
            RECONCILED,
            wishes=Wishes(max_delay_seconds=600.0),
            **{**PAYMENTS, "pushed": 900},
            polled=100,
            empty_polls=100,
        ),
        "reconcile_every",
        {"reconcile": "10m"},
        "changes are missed, and max_delay = 10 min",
    ),
    "nothing checks the webhook": (
        case({"webhook": True}, **PAYMENTS),
        "not_enough_data",
        {"reconcile": "6h"},
        "not known whether one was missed",
    ),
    "nothing can check the webhook": (
        case({"webhook": True}, Offers(api=False), **PAYMENTS),
        "not_enough_data",
        {},
        "no API to ask",
    ),
    "polled and pushed": (
        case({"webhook": True, **EVERY_5M}, empty_polls=160, polled=6, **PAYMENTS),
        "reconcile_every",
        {"reconcile": "1h", "poll": None},
        "polling every 5 min as well repeats them",
    ),
    "webhooks that do not arrive": (
        case(RECONCILED, seconds=7 * DAY, polls=168, empty_polls=40, polled=300),
        "drop_webhook",
        {"webhook": None, "reconcile": None, "poll": "1h"},
        "webhooks missed 300 of 300 changes",
    ),
    "checked for nothing": (
        case({"webhook": True, "reconcile_seconds": 60.0}, seconds=DAY + 1, polls=1440, empty_polls=1440),
        "reconcile_every",
        {"reconcile": "30m"},
        "at most 2.3 changes a day",
    ),
    "too few webhooks": (
        case(RECONCILED, seconds=DAY, polls=24, empty_polls=24, pushed=14, webhooks=14),
        "not_enough_data",
        {},
        "14 changes seen so far; 20 are needed",
    ),
    "a cache that is too short": (
        case({"cache_seconds": 5.0}, seconds=7 * DAY, reads=24_401, read_hits=10_004, read_requests=14_315),
        "cache_for",
        {"cache": "30s"},
        "answered from the cache about 80.7%",
    ),
    "no cache, and answers may be old": (
        case({}, wishes=Wishes(max_delay_seconds=60.0), seconds=DAY, reads=500, read_requests=500),
        "cache_for",
        {"cache": "1m"},
        "reads are not cached",
    ),
    "no cache, and nobody said how old": (
        case({}, seconds=DAY, reads=500, read_requests=500),
        "not_enough_data",
        {},
        "no max_delay says how old",
    ),
    "nobody asks": (case({}), "not_enough_data", {}, "nobody reads it"),
    "polls failed until nothing asked any more": (
        case({"webhook": True}, failing="connection refused", **PAYMENTS),
        "not_enough_data",
        {"reconcile": "6h"},
        "not known whether one was missed",
    ),
    "nearly nothing is found, and the interval adapts": (
        case({"adaptive": True}, **CUSTOMERS),
        "keep_polling",
        {},
        "follows the changes by itself",
    ),
    "the limit was nearly used before the interval was longer": (
        case({"poll_seconds": 90.0}, limit_polls_per_day=1200.0, **TICKETS),
        "keep_polling",
        {},
        "often enough",
    ),
    "polls fail": (
        case(EVERY_5M, failing="connection refused", **BUSY),
        "not_enough_data",
        {},
        "the last poll failed: connection refused",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_kind_of_evidence_has_its_recommendation_and_its_reason(name: str) -> None:
    given, word, edits, reason = TABLE[name]
    said = advise(given)
    assert (said.recommendation, said.edits) == (word, edits), said.reason
    assert reason in said.reason
    check(given, said)


def check(given: Case, said: Advice) -> None:
    """What holds for every advice."""
    assert said.recommendation in WORDS
    text = msgspec.json.encode(said).decode()
    assert "NaN" not in text and "Infinity" not in text
    finite(json.loads(text))
    assert (
        sum(any(letter.isdigit() for letter in word) for word in said.sentence.split()) >= 2 or given.observed.failing
    )
    assert (said.every_seconds is not None) == (said.recommendation in ("poll_every", "reconcile_every", "cache_for"))
    assert said.recommendation != "keep_polling" or given.setting.polls
    assert said.recommendation not in ("keep_both", "drop_webhook", "reconcile_every") or given.setting.webhook
    assert said.recommendation != "subscribe" or (given.offers.webhooks and not given.setting.webhook)
    if said.recommendation in ("keep_polling", "keep_both"):
        assert not said.edits and said.after is None
    delays = [one.delay_p99_seconds for one in said.curve]
    assert delays == sorted(delays) and all(one.delay_p50_seconds <= one.delay_p99_seconds for one in said.curve)


def finite(value: Any) -> None:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            finite(one)
    assert not isinstance(value, float) or math.isfinite(value)


def test_no_input_makes_a_contradiction_or_nan() -> None:
    chance = Random(7)
    for _ in range(1500):
        polls = chance.choice([0, 1, 20, 296, 10_000_000])
        empty = chance.choice([0, polls, polls // 2, max(0, polls - 1)])
        given = case(
            {
                "poll_seconds": chance.choice([None, 1.0, 300.0, 2_592_000.0]),
                "scheduled": chance.random() < 0.1,
                "reconcile_seconds": chance.choice([None, 1.0, 3600.0]),
                "cache_seconds": chance.choice([0.0, 0.001, 30.0]),
                "webhook": chance.random() < 0.4,
            },
            Offers(api=chance.random() < 0.9, webhooks=chance.random() < 0.5),
            Wishes(
                max_delay_seconds=chance.choice([None, 1.0, 900.0, 2_592_000.0]),
                price_per_call=chance.choice([None, 0.0, 1e-9, 0.002, 1e6]),
                delay_price=chance.choice([None, 0.0, 1e-9, 1.0, 1e6]),
            ),
            seconds=chance.choice([0.0, 1e-6, 3600.0, DAY * 7, DAY * 3650]), polls=polls, empty_polls=empty,
            polled=chance.choice([0, 1, polls]), pushed=chance.choice([0, 1, 10_000]),
            webhooks=chance.choice([0, 5000]),
            fetch_seconds=chance.choice([None, 0.2, 5000.0]), limit_used=chance.choice([None, 0.0, 0.5, 0.99, 3.0]),
            reads=(reads := chance.choice([0, 99, 100, 10_000])), read_hits=chance.choice([0, reads]),
            records=chance.choice([None, 0, 1, 1000]),
        )  # fmt: skip
        check(given, advise(given))


# -- the cost model --------------------------------------------------------------------------------------


def polled(trace: Trace, every: float) -> dict[str, Any]:
    """The figures of polling a trace."""
    done = run(parse_policy(f"poll:{every:g}s"), trace, Random(1))
    return {"seconds": trace.seconds, "polls": done.requests, "empty_polls": done.empty, "polled": done.seen}


def test_with_prices_the_advised_interval_costs_at_most_a_fifth_more_than_the_best() -> None:
    chance, worst, tried = Random(11), 0.0, 0
    while tried < 60:
        per_day = math.exp(chance.uniform(math.log(20), math.log(3000)))
        every, prices = chance.choice([60.0, 300.0, 900.0, 3600.0]), Prices(0.002, math.exp(chance.uniform(-6, 2)))
        maker = chance.choice([poisson, bursty, diurnal])
        trace = maker(per_day / DAY, 14 * DAY, chance)
        seen = polled(trace, every)
        if seen["polled"] < 100:
            continue
        tried += 1
        said = advise(
            case({"poll_seconds": every}, wishes=Wishes(price_per_call=0.002, delay_price=prices.delay), **seen)
        )
        advised = said.every_seconds or every
        load = Load(len(trace.changes) / 14)
        best = min(cost_of_polling(10 * 1.03**step, load, prices) for step in range(373))  # 10 s to a week
        worst = max(worst, cost_of_polling(advised, load, prices) / best)
    assert worst <= 1.2, f"{worst:.3f}"


def test_what_the_curve_expects_is_what_a_trace_does() -> None:
    trace = poisson(100 / DAY, 60 * DAY, Random(5), records=20)
    given = case(EVERY_5M, records=20, **polled(trace, 300.0))
    for point in advise(given).curve:
        if not 60 <= point.poll_every_seconds <= 21_600:
            continue
        done = run(parse_policy(f"poll:{point.poll_every_seconds:g}s"), trace, Random(1))
        assert point.missed_share is not None
        if point.missed_share < 0.05:  # beyond, the delay of the changes that are seen is that of the last ones
            assert done.delay_p50_seconds == pytest.approx(point.delay_p50_seconds, rel=0.1)
            assert done.delay_p99_seconds == pytest.approx(point.delay_p99_seconds, rel=0.1)
        assert point.empty_share == pytest.approx(done.empty / done.requests, abs=0.02)
        assert point.missed_share == pytest.approx(done.missed / done.changes, abs=0.02)


# -- confidence, assumptions, hours ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "confidence", "why"),
    [
        ({**BUSY, "polled": 19}, "none", "19 changes seen so far"),
        ({**CUSTOMERS, "polled": 71}, "medium", "71 changes seen; high from 100, in about 2 d 20 h"),
        ({**CUSTOMERS, "polled": 100}, "high", "100 changes seen"),
        ({**CUSTOMERS, "empty_polls": 1920, "polled": 150}, "medium", "the interval crosses the threshold of 95%"),
        (NOTHING, "medium", "the polls that found nothing are evidence"),
    ],
)
def test_confidence_follows_the_changes_and_the_interval(seen: dict[str, Any], confidence: str, why: str) -> None:
    said = advise(case(EVERY_5M, **seen))
    assert said.confidence == confidence and why in said.confidence_reason


def weeks(count: int, changes: Any) -> tuple[Hour, ...]:
    return tuple(Hour(hour, 12, min(12, changes(hour)), changes(hour)) for _ in range(count) for hour in range(168))


def test_empty_polls_are_expected_by_the_hours_of_the_week() -> None:
    """Four weeks with nearly all changes within nine hours of the day: a rate for all hours would be far off."""
    trace = diurnal(40 / DAY, 28 * DAY, Random(3))
    done = run(parse_policy("poll:5m"), trace, Random(1))
    counts = [0] * (28 * 24)
    for one in trace.changes:
        counts[int(one.at // 3600)] += 1
    hours = tuple(Hour(at % 168, 12, min(12, count), count) for at, count in enumerate(counts))
    seen = {"seconds": trace.seconds, "polls": done.requests, "empty_polls": done.empty, "polled": done.seen}
    by_hours, flat = (
        {point.poll_every_seconds: point.empty_share for point in advise(case(EVERY_5M, hours=one, **seen)).curve}
        for one in (hours, ())
    )
    for every in (300.0, 900.0, 3600.0):
        truth = run(parse_policy(f"poll:{every:g}s"), trace, Random(1))
        assert by_hours[every] == pytest.approx(truth.empty / truth.requests, abs=0.02), every
    worst = flat[3600.0]
    assert worst is not None and abs(worst - truth.empty / truth.requests) > 0.05


def test_the_expected_gain_of_a_cache_says_what_it_takes_for_granted() -> None:
    said = advise(TABLE["a cache that is too short"][0])
    assert said.after is not None and "spread evenly over the answers" in said.assumptions[0]
    assert "≈" not in said.sentence and "about" in said.sentence


def test_bursts_and_busy_hours_are_named_as_assumptions() -> None:
    day = weeks(2, lambda hour: 4 if 8 <= hour % 24 < 17 else 0)
    said = advise(case(EVERY_5M, hours=day, **BUSY))
    assert any("100% of the changes come in nine hours of the day (08, 09," in one for one in said.assumptions)
    profile = shapes.profile_of(day)
    assert profile is not None and sum(share for share, _ in profile.rates) == pytest.approx(1.0)
    burst = advise(case(EVERY_5M, hours=weeks(2, lambda hour: 60 if hour == 3 else 0), **BUSY))
    assert any(one.startswith("Changes come in bursts") for one in burst.assumptions)
    even = advise(case(EVERY_5M, hours=(), **BUSY))
    assert even.assumptions == []


def test_looks_keep_their_own_gaps_and_time_without_polls_is_no_evidence() -> None:
    """A day of polls every minute, then a week in which nothing asked: the quiet week says nothing."""
    looks = (Looks(60.0, False, 1430), Looks(60.0, True, 10))
    said = shapes.rate_of(Observed(seconds=8 * DAY, polls=1440, empty_polls=1430, looks=looks), Setting())
    assert said is not None and said.rate == pytest.approx(10 / DAY, rel=0.02)
    assert shapes.looked_seconds(looks) == DAY


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name][1] == "poll_every"])
def test_advice_that_was_followed_is_not_followed_by_more_of_the_same(name: str) -> None:
    """The figures of the window are still those of the old interval."""
    given = TABLE[name][0]
    every = advise(given).every_seconds
    limit_polls = given.observed.polls * given.observed.per_day
    setting = msgspec.structs.replace(given.setting, poll_seconds=every, scheduled=False)
    observed = msgspec.structs.replace(given.observed, limit_polls_per_day=limit_polls)
    again = advise(msgspec.structs.replace(given, setting=setting, observed=observed))
    assert again.recommendation == "keep_polling", again.reason
