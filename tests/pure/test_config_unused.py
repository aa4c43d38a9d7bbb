"""`check` warns of keys of a resource that have no effect, and of values that never match."""

from __future__ import annotations

import pytest

from tidegate.config.load import load_text
from tidegate.core.errors import ConfigError

BASE = """
[sources.shop.api]
base_url = "https://shop.example.com"
[sources.shop.webhook]
verify = "none"
event_type = "ping"
[sources.shop.resources.projects]
path = "/projects"
poll = "5m"
[sources.shop.resources.orders]
path = "/orders"
"""
SINCE = 'poll = "5m"\nincremental = { cursor_path = "u", param = "s", format = "epoch_s",'


PINGED = 'webhook = { types = ["ping"] }\n'


def warnings(lines: str) -> list[str]:
    return [one for one in load_text(f"{BASE}{lines}\n", "t.toml", {}).warnings if "orders" in one]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('item_selector = "data"', "'item_selector' is never used without item_path"),
        ('gone_path = "deleted"', "'gone_path' is never used without item_path"),
        ('version_kind = "number"', "'version_kind' is never used without version"),
        ('ignore = ["*"]', "ignores every field"),
        ('ignore = ["$"]', "names no field"),
        ('format = "csv"\nkey_field = "name"', "a row of csv has no name"),
        ('paginator = { type = "page_number", total_path = "a", total_header = "b" }', "beside total_header"),
        ('deletes = { mode = "flag", path = "gone", max_ratio = 0.5 }', "'max_ratio' is never used"),
        ('webhook = { types = ["orders/*"] }', "'orders/*' never matches an event of the source; it sends: ping"),
        (f'{SINCE} initial_value = "2026" }}', ""),
        (f'{SINCE} initial_value = "2026-01-01" }}', "is not in the format epoch_s"),
        ('poll = "5m"\nitem_path = "/orders/{id}"\nitem_selector = "data"\nversion = "v"\nversion_kind = "number"', ""),
        ('poll = "5m"\npoll_min = "2m"', "'poll_min' is never used without poll = \"auto\""),
        (f'{PINGED}reconcile = "1h"\nreconcile_max = "2d"', "'reconcile_max' is never used without reconcile"),
        (f'{PINGED}reconcile = "auto"\nreconcile_min = "1m"\nreconcile_max = "2d"', ""),
        ('webhook = { types = ["ping"] }', ""),
        ('schedule = "0 6 * * *"\ndeletes = { mode = "scan", confirm = "second_scan" }', ""),
    ],
)  # fmt: skip
def test_a_key_without_an_effect_is_a_warning(lines: str, words: str) -> None:
    found = warnings(lines)
    if not words:
        assert found == []
    else:
        assert len(found) == 1 and words in found[0]


@pytest.mark.parametrize("key", ['"id"', '["id"]', '["a", "b", "c"]'])
@pytest.mark.parametrize("place", ["webhook", "deletes"])
def test_a_webhook_names_all_parts_of_a_composite_key(key: str, place: str) -> None:
    lines = {
        "webhook": f'webhook = {{ types = ["ping"], key = {key} }}',
        "deletes": f'deletes = {{ mode = "feed", resource = "projects", id_path = {key} }}',
    }[place]
    with pytest.raises(ConfigError, match="the primary key has 2 parts"):
        load_text(f'{BASE}poll = "5m"\nprimary_key = ["shop", "id"]\n{lines}\n', "t.toml", {})


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('reconcile = "auto"\nreconcile_min = "2d"', "reconcile_min = 2d is longer than reconcile_max = 1d"),
        ('reconcile = "auto"\nreconcile_min = "0s"', "'0s' is out of range"),
        ('reconcile = "sometimes"', "'sometimes' is not a duration"),
        ('reconcile = "90d"', "'90d' is out of range"),
    ],
)
def test_an_interval_of_reconciliations_that_makes_no_sense_is_an_error(lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_text(f"{BASE}{PINGED}{lines}\n", "t.toml", {})
