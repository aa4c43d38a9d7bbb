"""Each system of the sample company is a program that could live elsewhere: run as one, spoken to over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import standardwebhooks

from support.cli.subprocesses import Receiver, call, free_port, running_program, wait_until

SECRETS = {
    "shop-token": "token-of-the-shop",
    "accounting-key": "key-of-accounting",
    "payments-token": "token-of-payments",
    "payments-signing": "whsec_as_stripe_writes_it",
    "chat-path": "T0-B0-xyz",
    "crm-receiving": "whsec_" + base64.b64encode(b"r" * 32).decode(),
    "crm-sending": "whsec_" + base64.b64encode(b"s" * 32).decode(),
    "crm-client-secret": "secret-of-the-client",
    "crm-pull-key": "a-key-that-may-pull",
}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
    return tmp_path


@pytest.fixture
def gateway() -> Iterator[Receiver]:
    """In place of the gateway: a server that keeps what it was sent."""
    with Receiver() as receiver:
        yield receiver


@contextmanager
def system(name: str, secrets: Path, gateway: str = "http://127.0.0.1:9") -> Iterator[str]:
    port = free_port()
    words = ["-m", f"tidegate_company.{name}", "--port", str(port), "--secrets", str(secrets), "--gateway", gateway]
    with running_program(*words, port=port) as url:
        yield url


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[name]}"}


def test_the_shop_wants_its_token_and_counts_who_asked(secrets: Path) -> None:
    with system("shop", secrets) as url:
        assert call(f"{url}/api/orders").status == 401
        assert call(f"{url}/api/orders", headers={"Authorization": "Bearer guessed"}).status == 401
        assert len(call(f"{url}/api/orders", headers=bearer("shop-token")).json["orders"]) == 3
        assert call(f"{url}/demo/state").json["counts"]["api_requests"] == 3


def test_the_shop_pages_by_link_header_and_by_change_time(secrets: Path) -> None:
    with system("shop", secrets) as url:
        auth = bearer("shop-token")
        seen, following = [], f"{url}/api/orders?per_page=2"
        while following:
            answer = call(following, headers=auth)
            seen += [order["id"] for order in answer.json["orders"]]
            following = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
        assert seen == ["A1001", "A1002", "A1003"]
        changed = call(f"{url}/orders/A1002/advance", data={}, headers={"Accept": "application/json"}).json
        since = changed["updated_at"]
        assert call(f"{url}/api/orders?updated_since={since}", headers=auth).json["orders"] == [changed]


def test_the_shop_answers_304_to_the_copy_it_gave(secrets: Path) -> None:
    with system("shop", secrets) as url:
        first = call(f"{url}/api/orders/A1001", headers=bearer("shop-token"))
        again = {**bearer("shop-token"), "If-None-Match": first.headers["etag"]}
        assert call(f"{url}/api/orders/A1001", headers=again).status == 304
        call(f"{url}/orders/A1001/advance", data={})
        assert call(f"{url}/api/orders/A1001", headers=again).status == 200
        assert call(f"{url}/api/orders/none", headers=again).status == 404


def test_accounting_shows_an_edit_only_to_who_asks(secrets: Path) -> None:
    with system("accounting", secrets) as url:
        key = {"X-Api-Key": SECRETS["accounting-key"]}
        assert call(f"{url}/api/customers").status == 401
        before = call(f"{url}/api/customers", headers=key).json
        assert [c["revision"] for c in before["customers"]] == [1, 1, 1, 1]
        assert before["next_cursor"] is None
        edited = call(f"{url}/customers/C-12", data={"city": "Oslo"}, headers={"Accept": "application/json"}).json
        found = call(f"{url}/api/customers?changed_since={edited['changed_at']}", headers=key).json["customers"]
        assert found == [edited]
        assert (edited["city"], edited["name"], edited["revision"]) == ("Oslo", "Northwind Sailing", 2)


def test_a_charge_sends_a_webhook_signed_as_stripe_signs(secrets: Path, gateway: Receiver) -> None:
    with system("payments", secrets, gateway.url) as url:
        charge = call(f"{url}/charges", data={}, headers={"Accept": "application/json"}).json
        wait_until(lambda: gateway.taken, "the webhook")
    (taken,) = gateway.taken
    assert taken.path == "/in/payments"
    parts = dict(part.split("=", 1) for part in taken.headers["Stripe-Signature"].split(","))
    signed = parts["t"].encode() + b"." + taken.body
    assert parts["v1"] == hmac.new(SECRETS["payments-signing"].encode(), signed, hashlib.sha256).hexdigest()
    event = json.loads(taken.body)
    assert event["type"] == "charge.succeeded"
    assert event["data"]["object"] == charge


def test_a_refused_webhook_is_sent_again(secrets: Path, gateway: Receiver) -> None:
    gateway.answers = [503]
    with system("payments", secrets, gateway.url) as url:
        call(f"{url}/charges", data={})
        wait_until(lambda: len(gateway.taken) == 2, "the second try")
    assert gateway.taken[0].body == gateway.taken[1].body


def test_a_lost_webhook_is_never_sent_and_the_api_knows_the_charge(secrets: Path, gateway: Receiver) -> None:
    with system("payments", secrets, gateway.url) as url:
        lost = call(f"{url}/charges", data={"lose": "1"}, headers={"Accept": "application/json"}).json
        sent = call(f"{url}/charges", data={}, headers={"Accept": "application/json"}).json
        wait_until(lambda: gateway.taken, "the webhook of the other charge")
        listed = call(f"{url}/v1/charges", headers=bearer("payments-token")).json
        assert listed == {"data": [lost, sent], "next": None}
        assert call(f"{url}/v1/charges/{lost['id']}", headers=bearer("payments-token")).json == lost
    assert [json.loads(taken.body)["data"]["object"]["id"] for taken in gateway.taken] == [sent["id"]]


def test_the_form_of_the_website_posts_to_the_gateway(secrets: Path) -> None:
    with system("website", secrets, "http://127.0.0.1:8420") as url:
        page = call(f"{url}/").body.decode()
        assert '<form method="post" action="http://127.0.0.1:8420/in/leads"' in page
        assert call(f"{url}/thanks").status == 200


def signed(secret: str, body: bytes, identity: str = "evt_1", age_seconds: int = 0) -> dict[str, str]:
    """Headers as the public Standard Webhooks library makes them, not as our own code does."""
    at = int(time.time()) - age_seconds
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{at}.".encode() + body, hashlib.sha256).digest()
    header = "v1," + base64.b64encode(digest).decode()
    headers = {"webhook-id": identity, "webhook-timestamp": str(at), "webhook-signature": header}
    if not age_seconds:
        standardwebhooks.Webhook(secret).verify(body.decode(), headers)
    return headers


def test_the_crm_takes_only_what_is_signed_for_it_and_takes_it_once(secrets: Path) -> None:
    body = json.dumps(
        {
            "id": "evt_1",
            "type": "lead.submitted",
            "timestamp": "2026-11-24T17:00:00Z",
            "data": {"email": "a@example.com"},
        }
    ).encode()
    good = signed(SECRETS["crm-receiving"], body)
    with system("crm", secrets) as url:
        assert call(f"{url}/hooks", data=body).status == 401
        assert call(f"{url}/hooks", data=body + b" ", headers=good).status == 401
        assert call(f"{url}/hooks", data=body, headers=signed(SECRETS["crm-sending"], body)).status == 401
        assert call(f"{url}/hooks", data=body, headers=signed(SECRETS["crm-receiving"], body, "x", 400)).status == 401
        assert call(f"{url}/hooks", data=body, headers=good).status == 204
        assert call(f"{url}/hooks", data=body, headers=good).status == 200
        rotated = {
            **good,
            "webhook-id": good["webhook-id"],
            "webhook-signature": "v1,AAAA " + good["webhook-signature"],
        }
        assert call(f"{url}/hooks", data=body, headers=rotated).status == 200, "one of several signatures fits"
        state = call(f"{url}/demo/state").json
        assert [entry["key"] for entry in state["arrivals"]] == ["a@example.com"]
        assert (state["counts"]["hooks_rejected"], state["counts"]["hooks_again"]) == (4, 2)


def test_a_closed_deal_leaves_the_crm_as_a_signed_webhook(secrets: Path, gateway: Receiver) -> None:
    with system("crm", secrets, gateway.url) as url:
        assert call(f"{url}/deals/D-1/close", data={}, headers={"Accept": "application/json"}).json["stage"] == "won"
    (taken,) = gateway.taken
    headers = {name.lower(): value for name, value in taken.headers.items()}
    event = standardwebhooks.Webhook(SECRETS["crm-sending"]).verify(taken.body.decode(), headers)
    assert event is not None
    sent = json.loads(taken.body)
    assert (taken.path, sent["type"], sent["data"]["id"]) == ("/in/crm", "deal.closed", "D-1")


def test_a_deal_that_nobody_heard_of_stays_open(secrets: Path, gateway: Receiver) -> None:
    gateway.answers = [503]
    with system("crm", secrets, gateway.url) as url:
        assert call(f"{url}/deals/D-1/close", data={}).status == 502
        assert call(f"{url}/demo/state").json["deals"]["D-1"]["stage"] == "open"


def test_the_button_asks_through_the_gateway_with_its_own_key(secrets: Path, gateway: Receiver) -> None:
    gateway.content = b'{"id":"A/1","status":"paid"}'
    with system("crm", secrets, gateway.url) as url:
        answer = call(f"{url}/order-info", data={"order": "A/1"}, headers={"Accept": "application/json"}).json
    (taken,) = gateway.taken
    assert taken.path == "/api/v1/pull/shop/orders/A%2F1", "a key is one path segment"
    assert taken.headers["Authorization"] == f"Bearer {SECRETS['crm-pull-key']}"
    assert (answer["status"], answer["order"]["status"]) == (200, "paid")


def test_the_chat_takes_a_text_at_its_secret_address_only(secrets: Path) -> None:
    text = json.dumps({"text": "<script>alert(1)</script> & done"}).encode()
    with system("chat", secrets) as url:
        assert call(f"{url}/services/guessed", data=text).status == 404
        assert call(f"{url}/services/{SECRETS['chat-path']}", data=b"{}").status == 400
        answer = call(f"{url}/services/{SECRETS['chat-path']}", data=text)
        assert (answer.status, answer.body) == (200, b"ok")
        page = call(f"{url}/").body.decode()
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page


def test_the_api_of_the_crm_wants_a_token_and_makes_a_contact_once(secrets: Path) -> None:
    with system("crm", secrets) as url:
        contact = b'{"email": "ada@example.com", "name": "Ada"}'
        assert call(f"{url}/api/contacts", data=contact).status == 401
        grant = {"grant_type": "client_credentials"}
        assert call(f"{url}/oauth/token", data=grant).status == 401
        pair = base64.b64encode(f"tidegate:{SECRETS['crm-client-secret']}".encode()).decode()
        basic = {"Authorization": f"Basic {pair}"}
        assert call(f"{url}/oauth/token", data={"grant_type": "password"}, headers=basic).status == 400
        token = call(f"{url}/oauth/token", data=grant, headers=basic).json["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "evt_1", "Content-Type": "application/json"}
        assert call(f"{url}/api/contacts", data=b'{"name": "x"}', headers=headers).status == 422
        first, again = (call(f"{url}/api/contacts", data=contact, headers=headers) for _ in range(2))
        assert (first.status, again.status) == (201, 200) and first.json == again.json
        assert len(call(f"{url}/api/contacts", headers=headers).json["contacts"]) == 1
        assert "ada@example.com" in call(f"{url}/").body.decode()
