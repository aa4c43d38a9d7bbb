"""The case that advice is made from: figures of the rollups, the configuration, and what the source offers."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from tidegate.config.load import convert
from tidegate.config.spec import Source
from tidegate.core.figures import ResourceFigures
from tidegate.core.histogram import bucket_of
from tidegate.core.rollups import RollupRow
from tidegate.query import advice as reading
from tidegate.rules.measure.advise import advise
from tidegate.rules.measure.estimate import Looks
from tidegate.rules.measure.measured import Covered, looks_of, measure
from tidegate.rules.measure.observed import Delays, Hour, Wishes

DAY = 86_400.0
PUSHED = Delays(1.1, 7.6, 256)


def source(resource: dict[str, Any], **more: Any) -> Source:
    api = {"base_url": "https://shop.example.com", "price_per_call": 0.001, **more.pop("api", {})}
    return convert({"api": api, "resources": {"orders": {"path": "/orders", **resource}}, **more}, Source)


def figures(*rows: tuple[str, int, int], seconds: float = DAY, now: ResourceFigures | None = None) -> reading.Figures:
    """Rows of the rollups of shop/orders: (metric, times, total)."""
    made = measure([RollupRow(0, "resource", "shop/orders", *row) for row in rows], Covered(seconds))
    looks = [Looks(*one) for one in looks_of({metric: (times, total) for metric, times, total in rows})]
    return reading.Figures({"shop/orders": now or ResourceFigures()}, made, made, {"shop/orders": looks}, {}, PUSHED)


NOTHING_ROWS = (
    ("request.polls", 296, 0), ("look.unchanged", 296, 0), (f"gap.same.{bucket_of(292_000)}", 296, 296 * 292_000),
)  # fmt: skip


@pytest.mark.parametrize("seconds", [0.0, -5.0, math.nan, math.inf])
def test_a_clock_that_went_back_is_an_empty_window(seconds: float) -> None:
    given = reading.case_of("shop", source({"poll": "5m"}), "orders", figures(*NOTHING_ROWS, seconds=seconds))
    said = advise(given)
    assert b"NaN" not in msgspec.json.encode(said)
    assert said.recommendation == "not_enough_data"


@pytest.mark.parametrize(("seconds", "a_day"), [(59.0, None), (60.0, 426_240.0)])
def test_requests_a_day_need_a_minute_of_measurements_as_in_stats(seconds: float, a_day: float | None) -> None:
    made = figures(*NOTHING_ROWS, seconds=seconds)
    given = reading.case_of("shop", source({"poll": "5m"}), "orders", made)
    assert advise(given).now.requests_per_day == made.measured.resources["shop/orders"].requests.per_day == a_day


def test_the_interval_of_empty_polls_is_that_of_stats() -> None:
    made = figures(("request.polls", 1, 0), ("look.unchanged", 1, 0), seconds=100.0)
    polls = advise(reading.case_of("shop", source({"poll": "5m"}), "orders", made)).evidence[0]
    shown = made.measured.resources["shop/orders"].polls.empty
    assert (polls.low, polls.high) == (pytest.approx(shown.low, abs=1e-6), shown.high) == (0.025, 1.0)
    assert polls.text == "1 poll, 0 with a change (100% empty, 95% interval 2.5% to 100%)"


def test_the_first_poll_does_not_make_every_poll_cost_two_requests() -> None:
    """It has nothing to compare with, so it is a request and no look."""
    made = figures(("request.polls", 2, 0), ("look.unchanged", 1, 0))
    curve = advise(reading.case_of("shop", source({"poll": "5m"}), "orders", made)).curve
    assert [one.requests_per_day for one in curve if one.poll_every_seconds == 300] == [288]


def test_rollups_of_polls_that_found_nothing_are_advised_after_a_day() -> None:
    given = reading.case_of("shop", source({"poll": "5m"}), "orders", figures(*NOTHING_ROWS, seconds=DAY + 1), 12)
    said = advise(given)
    assert b"NaN" not in msgspec.json.encode(said)
    assert (said.recommendation, said.edits) == ("poll_every", {"poll": "30m"})
    assert said.reason == "296 polls in 1 d found nothing; with 90% confidence there are at most 2.3 changes a day"


def test_failed_polls_are_no_evidence_and_preferences_come_from_the_configuration() -> None:
    rows = (("look.unchanged", 296, 0), ("look.failed", 4, 0), ("request.polls", 300, 0), ("change.poll", 4, 0))
    spec = source({"poll": "5m", "max_delay": "5m", "delay_price": 0.5})
    given = reading.case_of("shop", spec, "orders", figures(*rows))
    assert (given.observed.polls, given.observed.polled, given.observed.requests) == (296, 4, 300)
    assert given.wishes == Wishes(max_delay_seconds=300.0, price_per_call=0.001, delay_price=0.5)
    assert not given.offers.webhooks and given.offers.api


def test_missed_webhooks_are_those_that_never_came() -> None:
    rows = (
        ("change.webhook", 95, 0), ("change.reconcile", 5, 0), ("webhook.changed", 95, 0), ("webhook.late", 2, 0),
        ("healed", 5, 0), ("look.found", 5, 0), ("look.unchanged", 19, 0), ("request.reconcile", 24, 0),
    )  # fmt: skip
    spec = source({"webhook": {"types": ["order"]}, "reconcile": "1h"}, webhook={"verify": "none"})
    given = reading.case_of("shop", spec, "orders", figures(*rows))
    assert given.setting.webhook and (given.observed.polled, given.observed.pushed) == (3, 97)


def test_what_the_source_offers_comes_from_its_inputs_and_its_provider() -> None:
    described = {"poll": "5m", "webhook": {"types": ["issues"]}}
    for spec, webhooks, receives, says in (
        (source({"poll": "5m"}), False, False, False),
        (source({"poll": "5m"}, api={"provider": "github"}), True, False, False),
        (source(described, api={"provider": "github"}), True, False, True),
        (source(described, webhook={"verify": "github", "secret": "s" * 32}), True, True, True),
    ):
        given = reading.case_of("shop", spec, "orders", figures(*NOTHING_ROWS, seconds=DAY + 1))
        assert (given.offers.webhooks, given.offers.receives, given.offers.described) == (webhooks, receives, says)
        assert given.setting.webhook == receives
        said = advise(given)
        if webhooks and not receives:
            assert said.recommendation == "subscribe" and "set up the webhook of the source first" in said.needs
            assert ("webhook" in said.edits) == (not says)


def test_hours_are_those_of_the_week_in_utc_and_only_those_with_polls() -> None:
    """1970 began on a Thursday, so its first hour is the 73rd of a week."""
    looks = [
        RollupRow(0, "resource", "shop/orders", "look.unchanged", 11),
        RollupRow(0, "resource", "shop/orders", "look.found", 1),
        RollupRow(0, "resource", "shop/orders", "look.failed", 9),
        RollupRow(4 * 24 * 60, "resource", "shop/orders", "look.not_modified", 12),
        RollupRow(60, "resource", "shop/items", "look.snapshot", 1),
    ]
    changes = [
        RollupRow(0, "resource", "shop/orders", "change.poll", 7),
        RollupRow(60, "resource", "x/y", "change.z", 1),
    ]
    found = reading.hours_of(looks, changes)
    assert found == {"shop/orders": [(0, Hour(72, 12, 1, 7)), (4 * 24 * 60, Hour(0, 12, 0, 0))]}
