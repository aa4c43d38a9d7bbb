"""The ordinary webhook: its head, its signature, its credentials, and what people may see of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from support.receiver.kinds import EVENT_ID, NOW_US, event, prepared, read
from tidegate.auth.api_key import ApiKeyAuth
from tidegate.auth.bearer import BearerAuth
from tidegate.core.model import Outcome
from tidegate.kinds import KINDS
from tidegate.kinds.webhook import WebhookDestination

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def headers_of(head: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in head.decode("latin-1").splitlines())


def test_the_head_names_event_attempt_and_source() -> None:
    headers = headers_of(prepared("webhook", event(hops=2), headers={"X-Own": "v"}).head)
    assert headers["webhook-id"] == EVENT_ID
    assert headers["webhook-timestamp"] == str(NOW_US // 1_000_000)
    assert (headers["tidegate-source"], headers["tidegate-type"]) == ("shop", "order.paid")
    assert (headers["tidegate-attempt"], headers["tidegate-hops"], headers["X-Own"]) == ("1", "2", "v")
    assert "webhook-signature" not in headers


def test_the_signature_covers_the_exact_bytes() -> None:
    one = event({"a": 1})
    request = prepared("webhook", one, secrets=(SECRET,))
    headers = headers_of(request.head)
    assert headers["webhook-signature"].startswith("v1,")
    at = datetime.fromtimestamp(NOW_US // 1_000_000, UTC)
    assert Webhook(SECRET).sign(EVENT_ID, at, request.body.decode()) == headers["webhook-signature"]


def test_an_api_key_in_the_query_follows_the_query_of_the_address() -> None:
    key = ApiKeyAuth(name="to ken", api_key="a&b", location="query")
    spec = WebhookDestination(url="https://crm.example.com/in?a=1", auth=key)
    assert KINDS["webhook"].address(spec) == "https://crm.example.com/in?a=1&to%20ken=a%26b"
    assert KINDS["webhook"].shown_address(spec) == "https://crm.example.com/in"


def test_a_shown_request_masks_credentials_and_keeps_the_rest() -> None:
    kind = KINDS["webhook"]
    spec = WebhookDestination(
        url="https://u:p@crm.example.com/in?key=hush",
        headers={"X-Api-Key": "hush", "X-Own": "v"},
        auth=BearerAuth(token="hush"),
    )
    request = kind.prepare(spec, (SECRET,), None)(event(), EVENT_ID, 1, 1)
    shown = kind.shown_request(spec, request)
    assert "hush" not in repr((shown.address, shown.headers))
    assert dict(shown.headers)["X-Own"] == "v"
    assert dict(shown.headers)["webhook-id"] == EVENT_ID
    assert shown.address == "https://crm.example.com/in"
    assert shown.body == request.body


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, Outcome.OK), (204, Outcome.OK), (302, Outcome.HTTP_ERROR), (500, Outcome.HTTP_ERROR)]
)
def test_only_2xx_is_a_success(status: int, outcome: Outcome) -> None:
    assert read("webhook", status).outcome is outcome


def test_no_answer_keeps_its_outcome_and_words() -> None:
    result = read("webhook", None, outcome=Outcome.TIMEOUT, error="no answer within 15 s")
    assert (result.outcome, result.status, result.detail) == (Outcome.TIMEOUT, None, "no answer within 15 s")
