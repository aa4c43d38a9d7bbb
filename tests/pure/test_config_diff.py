"""Differences have kind, name and key, and never values."""

from __future__ import annotations

from msgspec.structs import replace

from support.gateway.sample_config import ENVIRON, SAMPLE
from tidegate.config.diff import Difference, diff
from tidegate.config.load import load_text
from tidegate.config.spec import Config
from tidegate.core.spec import Route

OLD = load_text(SAMPLE, "t.toml", ENVIRON).config


def test_the_same_configuration_has_no_difference() -> None:
    assert diff(OLD, load_text(SAMPLE, "t.toml", ENVIRON).config) == []


def test_a_changed_secret_is_shown_by_its_key() -> None:
    found = diff(OLD, load_text(SAMPLE, "t.toml", {**ENVIRON, "SHOP_TOKEN": "another-token"}).config)
    assert found == [Difference("source", "shop", "changed", ("api.auth.token",))]
    assert "another-token" not in repr(found)


def test_changed_keys_are_shown_by_their_path() -> None:
    text = (
        SAMPLE.replace('poll = "5m"', 'poll = "6m"')
        .replace('cache = "30s"\n', "")
        .replace('events = "30d"', 'events = "9d"')
    )
    assert diff(OLD, load_text(text, "t.toml", ENVIRON).config) == [
        Difference("retention", "", "changed", ("events",)),
        Difference("source", "shop", "changed", ("resources.orders.poll", "resources.orders.cache")),
    ]


def test_items_are_added_and_removed() -> None:
    new = Config(destinations={**OLD.destinations, "x": OLD.destinations["crm"]}, sources=OLD.sources, routes={})
    kept = replace(OLD, gateway=new.gateway, egress=new.egress)
    assert diff(kept, new) == [
        Difference("destination", "x", "added"),
        Difference("route", "big-sales", "removed"),
        Difference("route", "order-changes", "removed"),
    ]


def test_the_order_of_routes_is_a_difference_and_that_of_others_is_not() -> None:
    turned = replace(
        OLD,
        routes=dict(reversed(OLD.routes.items())),
        destinations=dict(reversed(OLD.destinations.items())),
    )
    assert diff(OLD, turned) == [
        Difference("route", "order-changes", "moved"),
        Difference("route", "big-sales", "moved"),
    ]


def test_true_is_not_one() -> None:
    old = Config(routes={"r": Route(from_="a", to="b", filter={"data": {"x": 1}})})
    new = Config(routes={"r": Route(from_="a", to="b", filter={"data": {"x": True}})})
    assert diff(old, new) == [Difference("route", "r", "changed", ("filter.data.x",))]
