"""`check` warns of a route that can never match, names what to write instead, and is quiet where anything may come."""

from __future__ import annotations

import pytest

from tidegate.config.load import load_text

BASE = """
[sources.shop.api]
base_url = "https://shop.example.com"
[sources.shop.resources.orders]
path = "/orders"
poll = "5m"
[sources.shop.resources.carts]
path = "/carts"
[sources.site.form]
[sources.app.publish]
[sources.pay.webhook]
verify = "none"
[sources.fixed.webhook]
verify = "none"
event_type = "ping"
[destinations.crm]
url = "https://crm.example.com"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""
NEVER = "never matches an event of"


def warnings(route: str) -> list[str]:
    found = load_text(f'{BASE}[routes.r]\nto = "crm"\n{route}\n', "t.toml", {}).warnings
    return [one for one in found if "$.routes" in one]


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ('from = "shop"\ntypes = ["orders.updated"]', "is a change, and 'types' never matches changes: write changes"),
        ('from = "shop"\ntypes = ["orders.*"]', 'write changes = ["orders"]'),
        ('from = "shop"\ntypes = ["*"]', 'write changes = ["carts", "orders"]'),
        ('from = ["shop", "site"]\ntypes = ["form.submitted", "orders.created"]', 'write changes = ["orders"]'),
        ('from = "shop"\ntypes = ["invoice.paid"]', f"{NEVER} shop: they have no webhook, form or publish input"),
        ('from = "site"\ntypes = ["form.sent"]', f"{NEVER} site: they send: form.submitted"),
        ('from = "fixed"\ntypes = ["pong"]', f"{NEVER} fixed: they send: ping"),
        ('from = "shop"\nchanges = ["carts"]', "no change of 'carts' is ever seen"),
    ],
)  # fmt: skip
def test_a_route_that_can_never_match_is_a_warning_with_its_remedy(route: str, words: str) -> None:
    (found,) = warnings(route)
    assert words in found


@pytest.mark.parametrize(
    "route",
    [
        'from = "shop"\nchanges = ["orders"]',
        'from = "app"\ntypes = ["orders.updated"]',  # a publisher may send any type
        'from = "pay"\ntypes = ["orders.updated"]',
        'from = ["shop", "pay"]\ntypes = ["orders.updated"]',
        'from = "*"\ntypes = ["orders.updated"]',
        'from = "site"\ntypes = ["form.*"]',
        'from = "fixed"\ntypes = ["ping"]',
        'from = "shop"',
    ],
)
def test_a_route_that_may_match_is_no_warning(route: str) -> None:
    assert warnings(route) == []
