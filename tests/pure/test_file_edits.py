"""A key of a resource is changed in the file, and every other byte stays."""

from __future__ import annotations

import difflib
import tomllib
from typing import Any

import pytest

from tidegate.config.file_edits import edit_text
from tidegate.core.errors import ConfigError

FILE = '''# our gateway
[sources.shop.api]   # the shop
base_url = "https://x"   # = "not this"

[sources.shop.resources.orders]   # orders
path = "/orders"
  poll = "5m"      # often
schedule = ""

# about the next
[sources.shop.resources.items]
path = "/items"
[sources.crm]
resources.deals = { path = "/deals", poll = "1m" } # inline
resources.calls.path = "/calls" # dotted
resources.calls.poll = "1m"
[sources.crm.resources."week plan"]
path = """/a
b"""

[routes.x]
from = "shop"
poll = "5m"
'''


@pytest.mark.parametrize(
    ("name", "edits", "lines"),
    [
        ("shop/orders", {"poll": "15m"}, ['-  poll = "5m"      # often', '+  poll = "15m"      # often']),
        ("shop/orders", {"poll": None}, ['-  poll = "5m"      # often']),
        ("shop/orders", {"schedule": None, "reconcile": "1h"}, ['-schedule = ""', '+  reconcile = "1h"']),
        ("shop/items", {"poll": "1h"}, ['+poll = "1h"']),
        ("shop/items", {"poll": None}, []),
        ("shop/items", {"webhook": {"types": ["a.*"]}}, ['+webhook = { types = ["a.*"] }']),
        ("crm/deals", {"poll": "2m"}, [
            '-resources.deals = { path = "/deals", poll = "1m" } # inline',
            '+resources.deals = { path = "/deals", poll = "2m" } # inline']),
        ("crm/deals", {"poll": None}, [
            '-resources.deals = { path = "/deals", poll = "1m" } # inline',
            '+resources.deals = { path = "/deals" } # inline']),
        ("crm/deals", {"path": None, "cache": "5s"}, [
            '-resources.deals = { path = "/deals", poll = "1m" } # inline',
            '+resources.deals = { poll = "1m", cache = "5s" } # inline']),
        ("crm/calls", {"cache": "30s"}, ['+resources.calls.cache = "30s"']),
        ("crm/calls", {"poll": None}, ['-resources.calls.poll = "1m"']),
        ("crm/week plan", {"poll": "1m"}, ['+poll = "1m"']),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_only_the_lines_of_the_keys_change(name: str, edits: dict[str, Any], lines: list[str], ending: str) -> None:
    before = "\ufeff" + FILE.replace("\n", ending)
    after = edit_text(before, *name.split("/"), edits)
    assert ("\r\n" in after) == (ending == "\r\n") and after.count("\n") == after.count(ending)
    changed = difflib.ndiff(before.split(ending), after.split(ending))
    assert [one[0] + one[2:] for one in changed if one[0] in "+-"] == lines


def test_an_edit_and_its_reverse_give_the_same_bytes() -> None:
    once = edit_text(FILE, "shop", "orders", {"poll": "15m", "reconcile": "1h"})
    assert edit_text(once, "shop", "orders", {"poll": "5m", "reconcile": None}) == FILE


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        ('[sources.shop.resources.orders]\npath = "/"\n[sources.shop.resources.orders.webhook]\ntypes = ["a"]\n',
         {"webhook": None}),
        ('[sources.shop.resources.orders]\n[sources.shop.resources.orders.paginator]\ntype = "auto"\n', {"poll": "1m"}),
        ('[sources.shop.resources.items]\npath = "/"\n', {"poll": "1m"}),
        ('[sources]\nshop = "no"\n', {"poll": "1m"}),
    ],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused_with_the_lines_to_write(text: str, edits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        edit_text(text, "shop", "orders", edits)
    assert error.value.code == "not_editable" and "[sources.shop.resources.orders]" in (error.value.hint or "")
    tomllib.loads(text)
