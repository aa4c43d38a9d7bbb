"""`tidegate shadow`: what a comparison of both ways shows before it has figures, and names without one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.cli.command import Served

FILE = """
[sources.shop.webhook]
verify = "none"
[sources.shop.api]
base_url = "http://127.0.0.1:9"
[sources.shop.resources.orders]
path = "/orders"
version = "updated_at"
webhook = { types = ["order/*"] }
shadow = { way = "poll", poll = "1h", duration = "2d" }
[sources.shop.resources.items]
path = "/items"
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("shadow"), FILE) as gateway:
        yield gateway


def test_a_comparison_that_starts_says_so_and_has_no_figure_yet(gateway: Served) -> None:
    text = gateway.run("shadow").out
    assert "shop/orders: starting" in text and "begins to compare after the first poll" in text
    (one,) = json.loads(gateway.run("shadow", "--json").out)["data"]
    assert (one["resource"], one["pairs"], one["sooner"]) == ("shop/orders", 0, "")
    assert [way["makes_records"] for way in one["ways"]] == [False, True]
    assert one["poll_later_seconds"] == {"estimate": None, "low": None, "high": None}


def test_the_advice_and_the_report_have_its_result(gateway: Served) -> None:
    assert "Both ways at once" in gateway.run("advise", "shop/orders").out
    (orders,) = [one for one in json.loads(gateway.run("advise", "--json").out)["data"] if "orders" in one["resource"]]
    assert orders["evidence"][0]["text"].startswith("It begins to compare after the first poll")


def test_a_resource_without_one_is_named_with_what_to_add(gateway: Served) -> None:
    error = gateway.run("shadow", "shop/items").refused("not_found", 1)
    assert "shop/items has no shadow" in error["what"] and "add shadow = {" in error["hint"]


def test_the_part_that_measures_is_no_resource_of_its_own(gateway: Served) -> None:
    assert "~shadow" not in gateway.run("stats", "--json").out + gateway.run("advise", "--json").out
