"""Faults are named with their cause and a remedy in doctor, advise, explain and the log.

One gateway for the whole file, with common mistakes: a receiver that is down, a wrong path, a source that is down,
a wrong secret, a pause that was forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from support.cli.command import Served
from support.cli.subprocesses import Receiver, call, free_port, wait_until

TOML = """
[egress]
allow = ["127.0.0.1/32"]
[sources.app.publish]
[sources.code.webhook]
verify = "github"
secret = "not the one that the caller has"
[sources.shop.api]
base_url = "http://127.0.0.1:{closed}"
[sources.shop.resources.orders]
path = "/orders"
poll = "1s"
webhook = {{ types = ["order/*"] }}
[sources.shop.webhook]
verify = "none"
type_path = "kind"
[destinations.dead]
url = "http://127.0.0.1:{closed}/"
retry = ["1h", "1h", "1h", "1h", "1h", "1h", "1h", "1h"]  # probes spend tries, and none is to be the last
[destinations.lost]
url = "{far}/lost"
retry = ["1h"]
[destinations.held]
url = "{far}/held"
[routes.all]
from = "app"
to = ["dead", "lost", "held"]
types = ["t"]
[destinations.quiet]
url = "http://127.0.0.1:{closed}/"
retry = ["1h"]
[routes.rare]
from = "app"
to = "quiet"
types = ["rare"]
"""


class Place(NamedTuple):
    gateway: Served
    event: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Receiver() as far:
        far.answers = [404] * 100
        toml = TOML.format(closed=free_port(), far=far.url)
        with Served(tmp_path_factory.mktemp("doctor"), toml) as gateway:
            gateway.run("pause", "held")
            # In its first minute, a destination that answers is failing after 32 failures.
            batch = [{"source": "app", "type": "t", "data": {}}] * 40
            headers = {"authorization": f"Bearer {gateway.key}"}
            taken = call(f"{gateway.url}/api/v1/events", data=json.dumps(batch).encode(), headers=headers)
            yield Place(gateway, taken.json["data"][0]["id"])


def doctor(place: Place, *wanted: str) -> dict[str, dict[str, Any]]:
    """The findings by subject, when all the wanted are there."""

    def look() -> dict[str, dict[str, Any]] | None:
        found = {one["subject"]: one for one in place.gateway.run("doctor", "--json").json["findings"]}
        return found if set(wanted) <= set(found) else None

    return dict(wait_until(look, f"doctor names {wanted}"))


def test_doctor_names_what_fails_why_and_what_to_do(place: Place) -> None:
    found = doctor(place, "destination:dead", "destination:lost", "destination:held", "resource:shop/orders")
    dead, lost, held = (found[f"destination:{name}"] for name in ("dead", "lost", "held"))
    assert (dead["code"], dead["severity"], dead["title"]) == ("destination_failing", "error", "not answering")
    assert "Connection refused" in dead["summary"] and "40 deliveries pending" in dead["summary"]
    assert dead["remedy"] == "start the receiver, or correct its `url`"
    assert dead["first_at"] is not None
    assert (lost["title"], lost["remedy"]) == ("answers 404", "correct the path in its `url`")
    assert (held["code"], held["remedy"]) == ("destination_paused", "tidegate resume held")
    polls = found["resource:shop/orders"]
    assert "refused" in polls["summary"]
    assert polls["remedy"] == "see what the source answers: tidegate pull shop/orders --fresh"
    text = place.gateway.run("doctor").out
    assert text.startswith("ready: yes\n4 findings need attention\n")
    assert [label for label in ("not answering", "answers 404", "polls failing", "paused") if label not in text] == []


def test_rejected_requests_are_findings_with_what_to_compare(place: Place) -> None:
    headers = {"x-hub-signature-256": "sha256=00", "x-github-event": "push"}
    assert call(f"{place.gateway.url}/in/code", data=b"{}", headers=headers).status == 401
    rejected = doctor(place, "source:code")["source:code"]
    assert (rejected["code"], rejected["severity"]) == ("rejected_signature_wrong", "notice")
    assert rejected["count"] == 1 and rejected["last_at"] is not None
    text = place.gateway.run("doctor").out
    assert "signature wrong  code  The signature does not match the body." in text
    assert "compare `secret` of [sources.code.webhook]" in text


def test_explain_says_why_a_delivery_is_pending_and_what_to_do(place: Place) -> None:
    doctor(place, "destination:dead", "destination:lost")
    explained = place.gateway.run("explain", place.event, "--json").json
    (dead,) = [one for one in explained["deliveries"] if one["destination"] == "dead"]
    assert "Pending: the destination fails" in dead["status"] and "only probes are sent" in dead["status"]
    assert (dead["held"], dead["remedy"]) == ("circuit_open", "start the receiver, or correct its `url`")
    assert {"destination:dead", "destination:held"} <= {one["subject"] for one in explained["findings"]}
    text = place.gateway.run("explain", place.event).out
    for part in (dead["status"], explained["next"]["text"], explained["signature"]["text"], "tidegate resume held"):
        assert part in text, part


def test_a_webhook_that_updated_a_record_is_not_lost(place: Place) -> None:
    body = b'{"kind": "order/paid", "id": "7"}'
    event = call(f"{place.gateway.url}/in/shop", data=body).json["id"]
    text = place.gateway.run("explain", event).out
    assert "Records of orders; no route selected the webhook itself" in text
    assert "Done; it updated orders; a change there is an event of its own" in text


def test_a_source_that_is_down_is_advised_as_that_and_logged_once(place: Place) -> None:
    doctor(place, "resource:shop/orders")
    (advice,) = place.gateway.run("advise", "--json").json["data"]
    assert advice["recommendation"] == "not_enough_data" and "the last poll failed" in advice["reason"]
    assert "refused" in advice["reason"]
    assert advice["now"]["empty_share"] is None, "a poll that failed did not find nothing"
    assert place.gateway.run("poll", "shop/orders").code == 1  # after one by its schedule
    assert len(place.gateway.logged("resource shop/orders: polls fail")) == 1
    assert len(place.gateway.logged("destination dead is failing")) == 1


def test_one_delivery_that_only_waits_for_its_retry_is_a_finding_with_its_cause(place: Place) -> None:
    place.gateway.run("trigger", "app", "rare")
    quiet = doctor(place, "destination:quiet")["destination:quiet"]
    assert (quiet["code"], quiet["severity"]) == ("destination_retrying", "warning")
    assert quiet["summary"].startswith("Connection refused (")
    assert quiet["summary"].endswith("1 delivery pending, waiting for a retry.")
    assert quiet["remedy"] == "start the receiver, or correct its `url`"
