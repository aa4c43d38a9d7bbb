"""The page "API or webhook?" from figures: what it says, what it leaves out, and that it never invents a number."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from support.browser import comparison, sample_pages
from support.browser.page_weight import MOST_BYTES, weight
from tidegate.core.measured import Measured, Timeline
from tidegate.dashboard import formatting
from tidegate.dashboard.assets import Assets
from tidegate.dashboard.charts.strips import place
from tidegate.dashboard.pages import compare
from tidegate.dashboard.render import Templates
from tidegate.rules.measure.advice import Case
from tidegate.rules.measure.observed import Observed, Offers, Setting

NOTHING = Timeline(since="2026-11-29T00:00:00Z", until="2026-11-30T00:00:00Z", bin_seconds=1800)


def rendered(view: compare.Comparison | None) -> str:
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    templates = Templates(Assets(), lambda: sample_pages.NOW)
    context: dict[str, Any] = {"view": view, "windows": compare.WINDOWS}
    return bytes(templates.response(Request(scope), "compare.html", section="compare", **context).body).decode()


def of(name: str, case: Case, ways: tuple[str, ...] = ("pull",)) -> compare.Comparison:
    made = Measured(covered_seconds=case.observed.seconds, resources={name: comparison.figures(case)})
    view = compare.view([comparison.advised(name, case)], made, NOTHING, {name: ways})
    assert view is not None
    return view


def test_what_to_change_comes_first_and_what_nobody_knows_enough_about_last() -> None:
    view = comparison.page()
    assert view is not None
    assert [card.label for card in view.cards] == [
        "Subscribe to the webhook", "Cache for 30 s", "Poll every 15 min", "Keep both", "Not enough data yet",
    ]  # fmt: skip
    assert [row.name for row in view.answer.rows] == [card.name for card in view.cards]
    assert view.answer.wanted == 3


def test_headline_tiles_and_rows_have_the_figures_of_the_advice() -> None:
    view = comparison.page()
    assert view is not None
    assert view.answer.push == "reach you in 1.1\u00a0s" and view.answer.pull.startswith("takes 33\u00a0s and ")
    assert view.answer.sentence.startswith("3 of 5 resources have a better setting")
    tiles = {tile.label: tile.figure for tile in view.answer.tiles}
    assert tiles["Median delay"] == "1.1 s / 33 s" and tiles["Missed webhooks"] == "3 of 2,897"
    customers = next(row for row in view.answer.rows if row.name == "accounting/customers")
    assert (customers.now, customers.after) == ("288", "96")
    rows = {row.label: row for row in view.ways.rows}
    assert rows["Empty polls"].pull.figure == "91.9%" and rows["Empty polls"].push.figure == "None"
    assert rows["Rate limit used"].pull.figure == "98%" and rows["Delay"].word == "30x sooner"


def test_the_last_card_is_the_sum_of_all_recommendations() -> None:
    view = comparison.page()
    assert view is not None and view.together is not None
    assert (view.together.wanted, view.together.word) == (3, "78.4% fewer requests")
    assert view.together.rows == [("Requests per day", "3,781", "815"), ("Cost per day", "7.51", "1.57")]
    many = comparison.page(3, chosen=compare.Chosen(page=2))
    assert many is not None and many.together is not None and many.together.wanted == 9
    assert of("shop/orders", CASES["polled for nothing"]).together is None


def test_the_button_is_only_for_what_the_api_owns_and_the_file_gets_its_lines() -> None:
    cards = {card.name: card for card in (comparison.page() or pytest.fail()).cards}
    customers, orders = cards["accounting/customers"], cards["shop/orders"]
    assert customers.apply == "/api-or-webhook/accounting/customers/apply" and customers.command == ""
    assert orders.apply == "" and orders.command == "tidegate advise --apply shop/orders"
    assert any(line.sign == "+" for line in orders.lines)


@pytest.mark.parametrize("copies", [1, 3, 20])
def test_the_page_stays_small_with_many_resources_and_says_what_it_left_out(copies: int) -> None:
    text = rendered(comparison.page(copies))
    assert weight(text.encode()) < MOST_BYTES
    assert (f"Resources 1 to 4 of {5 * copies}" in text) == (copies > 1)


def test_every_resource_is_on_a_page_that_the_others_link_to() -> None:
    names: list[str] = []
    number, links = 1, ""
    while number:
        view = comparison.page(3, chosen=compare.Chosen("24h", "", number))
        assert view is not None
        names += [card.name for card in view.cards]
        assert [row.name for row in view.answer.rows] == [lane.name for lane in view.day.lanes]
        text = rendered(view)
        assert (f"?window=24h&amp;page={number - 1}#advice" in text) == (number > 1)
        links, number = text, view.paging.after
        assert (f"page={number}#answer" in text) == (number > 0)
    assert len(names) == len(set(names)) == 15 and "Resources 13 to 15 of 15" in links
    last = comparison.page(3, chosen=compare.Chosen("7d", "", 99))
    assert last is not None and last.paging.number == 4


@pytest.mark.parametrize(("text", "number"), [("", 1), ("0", 0), ("3", 3), ("-1", 1), ("\u0663", 1), ("9" * 30, 1)])
def test_the_number_of_a_page_is_one_or_the_first(text: str, number: int) -> None:
    assert compare.number_of(text) == number


def test_both_ways_at_once_have_their_sentences_and_the_figures_of_each_way() -> None:
    shadows = [comparison.shadow(f"crm/deals{n}") for n in range(6)]
    for copies in (1, 20):
        text = rendered(comparison.page(copies, shadows=shadows))
        assert "Webhooks are sooner: polls are 23 s later by the median of 88 changes" in text
        assert "12 of 100 (6.4% to 20%)" in text and "only measures" in text
        assert 'href="?both=crm/deals1#both"' in text and "3 more: <code>tidegate shadow</code>" in text
        assert weight(text.encode()) < MOST_BYTES
    chosen = comparison.page(shadows=shadows, chosen=compare.Chosen(both="crm/deals3"))
    assert chosen is not None and chosen.both is not None and chosen.both.name == "crm/deals3"


CASES: dict[str, Case] = {
    "nothing at all": Case(),
    "no time": Case(observed=Observed(requests=5, polls=5, empty_polls=5), setting=Setting(poll_seconds=60.0)),
    "a clock that went back": Case(observed=Observed(seconds=-5.0, polls=3), setting=Setting(poll_seconds=60.0)),
    "no number": Case(observed=Observed(seconds=float("nan"), polls=3), setting=Setting(poll_seconds=60.0)),
    "polled for nothing": Case(
        observed=Observed(seconds=86_401.0, requests=296, polls=296, empty_polls=296),
        setting=Setting(poll_seconds=300.0),
    ),
    "one change": Case(
        observed=Observed(seconds=86_400.0, requests=288, polls=288, empty_polls=287, polled=1),
        setting=Setting(poll_seconds=300.0), offers=Offers(webhooks=True, receives=True),
    ),
    "ten million polls": Case(
        observed=Observed(seconds=2_592_000.0, requests=10**7, polls=10**7, empty_polls=10**7 - 1, polled=1),
        setting=Setting(poll_seconds=1.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_whatever_was_measured_there_is_no_figure_that_is_not_one(name: str) -> None:
    text = rendered(of("shop/orders", CASES[name]))
    assert re.search(r"\b(nan|NaN|inf|Infinity)\b", text) is None
    assert ">None<" not in text.replace("<b>None</b>nothing is polled", "")
    if name == "polled for nothing":
        assert "Polling" in text and "found nothing in 296 polls" in text
    if name == "nothing at all":
        assert "Nothing was measured yet." in text and "Not measured" in text


def test_without_a_resource_the_page_says_which_command_fills_it() -> None:
    assert compare.view([], Measured(), NOTHING, {}) is None
    assert "tidegate add source github" in rendered(None)


def test_names_and_errors_of_outside_systems_are_text() -> None:
    hostile = '<img src=x onerror="alert(1)">'
    case = msgspec.structs.replace(CASES["one change"], observed=msgspec.structs.replace(
        CASES["one change"].observed, failing=hostile))  # fmt: skip
    assert "<img" not in rendered(of(f"shop/{hostile}", case))


def test_all_delays_have_a_place_on_the_axis() -> None:
    assert place(0.0) == place(0.1) == 0.0 and place(86_400.0) == place(1e12) == 100.0
    assert 0 < place(1.0) < place(60.0) < place(3600.0) < 100


@pytest.mark.parametrize("price", ["nan", "-1", "1e9", "inf", "1" * 30, "\u0663", "0.5; drop", " "])
def test_a_price_that_is_none_is_named_and_changes_nothing(price: str) -> None:
    view, plain = comparison.page(chosen=compare.Chosen(price=price)), comparison.page()
    assert view is not None and view.trade is not None and plain is not None and plain.trade is not None
    assert view.trade.wrong.endswith("is not a price (example: 0.002)") and view.trade.rows == plain.trade.rows
    assert "is not a price" in rendered(view)


def test_what_if_has_the_cost_of_another_price_and_the_row_of_the_address() -> None:
    view = comparison.page(chosen=compare.Chosen(curve="accounting/customers", late="w-3600", price="0"))
    assert view is not None and view.trade is not None and view.trade.on.late == "1 h"
    assert {row.cost for row in view.trade.rows} == {"0.00"} and view.trade.price == "0"
    unknown = comparison.page(chosen=compare.Chosen(curve="accounting/customers", late="w-7"))
    assert unknown is not None and unknown.trade is not None
    assert (unknown.trade.on.mark, unknown.trade.price) == ("recommended", "0.002")
    assert [row.cost for row in unknown.trade.rows][:2] == ["17.28", "5.76"]
    unpriced = of("shop/orders", CASES["one change"]).trade
    assert unpriced is not None and (unpriced.price, unpriced.rows[0].cost) == ("", formatting.DASH)


def test_the_headline_the_tiles_and_the_table_say_the_same() -> None:
    """Also when one resource is only reconciled, and another is measured too short for requests per day."""
    cases = {
        "a/polled": Case(observed=Observed(seconds=86_400.0, requests=100, polls=100, empty_polls=90, polled=10),
                         setting=Setting(poll_seconds=864.0)),
        "b/pushed": Case(observed=Observed(seconds=86_400.0, requests=5000, polls=5000, empty_polls=4999, polled=1,
                                           pushed=100, webhooks=100),
                         setting=Setting(webhook=True, reconcile_seconds=17.28)),
    }  # fmt: skip
    made = Measured(covered_seconds=86_400.0, resources={name: comparison.figures(one) for name, one in cases.items()},
                    delay_by_way={"pull": comparison.delay(33.0, None, 11)})  # fmt: skip
    polled = made.resources["a/polled"]
    short = msgspec.structs.replace(polled.requests, per_day=None)
    made.resources["a/polled"] = msgspec.structs.replace(polled, requests=short)
    ways = {"a/polled": ("pull",), "b/pushed": ("pull", "push")}
    view = compare.view([comparison.advised(name, one) for name, one in cases.items()], made, NOTHING, ways)
    assert view is not None
    rows = {row.label: row for row in view.ways.rows}
    assert "and 10 requests per change" in view.answer.pull and rows["Requests per change"].pull.figure == "10"
    assert view.answer.tiles[0].figure.startswith("5,100") and "5,100 times a day" in rows["Data transfer"].pull.text
