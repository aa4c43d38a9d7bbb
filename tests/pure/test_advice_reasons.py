"""The reason for a resource without a poll of its own says where its changes come from."""

from __future__ import annotations

import pytest

from tidegate.config.load import convert
from tidegate.core.figures import ResourceFigures
from tidegate.query.advice import advise
from tidegate.rules.sync.spec import Resource

WEBHOOK = {"types": ["orders/*"]}


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, "no poll is configured, so its changes are not known"),
        ({"webhook": WEBHOOK}, "webhooks report its changes; set reconcile to find the ones that get lost"),
        (
            {"webhook": WEBHOOK, "reconcile": "1h"},
            "webhooks report its changes, and reconciliation finds what they missed",
        ),
    ],
)
def test_the_reason_without_a_poll_names_where_changes_come_from(keys: dict[str, object], reason: str) -> None:
    resource = convert({"path": "/orders", **keys}, Resource)
    advice = advise("shop/orders", resource, ResourceFigures(), 0)
    assert (advice.advice, advice.reason) == ("not_polled", reason)
