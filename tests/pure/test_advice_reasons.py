"""The reason for a resource without a poll of its own says where its changes come from."""

from __future__ import annotations

import pytest

from tidegate.config.load import convert
from tidegate.core.clock import rfc3339
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


def test_polls_that_found_nothing_for_a_day_are_evidence_and_not_a_lack_of_data() -> None:
    day_us = 86_400 * 1_000_000 + 1
    figures = ResourceFigures(since=rfc3339(1), polls=296, empty_polls=296)
    said = advise("shop/orders", Resource(path="/orders", poll="5m"), figures, day_us)
    assert said.advice == "poll_less_often"
    assert "296 polls in 1.0 days found nothing; with 90% confidence there are at most 2.3 changes a day" in said.reason
    early = advise("shop/orders", Resource(path="/orders", poll="5m"), figures, day_us // 2)
    assert early.advice == "not_enough_data"
