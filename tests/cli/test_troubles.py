"""What goes wrong is said where a person looks, with why and what to do: doctor, advise, explain, the log.

One gateway for the whole file, with what users get wrong: a receiver that is down, a wrong path, a source that is down,
a wrong secret, a pause that was forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from support.command import Served
from support.programs import Receiver, call, free_port, wait_until

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
        with Served(tmp_path_factory.mktemp("troubles"), toml) as gateway:
            gateway.run("pause", "held")
            batch = [{"source": "app", "type": "t", "data": {}}] * 12
            headers = {"authorization": f"Bearer {gateway.key}"}
            taken = call(f"{gateway.url}/api/v1/events", data=json.dumps(batch).encode(), headers=headers)
            yield Place(gateway, taken.json["data"][0]["id"])


def doctor(place: Place, *wanted: str) -> dict[str, dict[str, Any]]:
    """The troubles by name, when all the wanted are there."""

    def look() -> dict[str, dict[str, Any]] | None:
        found = {one["name"]: one for one in place.gateway.run("doctor", "--json").json["troubles"]}
        return found if set(wanted) <= set(found) else None

    return dict(wait_until(look, f"doctor names {wanted}"))


def test_doctor_names_what_fails_why_and_what_to_do(place: Place) -> None:
    found = doctor(place, "dead", "lost", "held", "shop/orders")
    assert (found["dead"]["state"], found["dead"]["word"]) == ("failing", "not answering")
    assert "connection refused" in found["dead"]["what"] and "12 deliveries wait" in found["dead"]["what"]
    assert found["dead"]["hint"] == "start the receiver, or correct the `url` of the destination"
    assert found["dead"]["since"] is not None
    assert found["lost"]["word"] == "answers 404"
    assert found["lost"]["hint"] == "correct the path in its `url`"
    assert (found["held"]["state"], found["held"]["hint"]) == ("paused", "tidegate resume held")
    assert "refused" in found["shop/orders"]["what"]
    assert found["shop/orders"]["hint"] == "see what the source says: tidegate pull shop/orders --fresh"
    text = place.gateway.run("doctor").out
    assert text.startswith("ready: yes\n4 things need attention\n")
    assert [state for state in ("not answering", "answers 404", "polls fail", "paused") if state not in text] == []


def test_who_was_turned_away_is_told_with_what_to_compare(place: Place) -> None:
    headers = {"x-hub-signature-256": "sha256=00", "x-github-event": "push"}
    assert call(f"{place.gateway.url}/in/code", data=b"{}", headers=headers).status == 401
    told = wait_until(lambda: place.gateway.run("doctor", "--json").json["rejected_requests"], "the refusal is kept")
    assert [(one["source"], one["reason"], one["count"]) for one in told] == [("code", "signature_wrong", 1)]
    text = place.gateway.run("doctor").out
    assert "code  1 request: signature wrong" in text
    assert "compare `secret` of [sources.code.webhook]" in text


def test_explain_says_why_it_waits_and_what_to_do(place: Place) -> None:
    doctor(place, "dead", "lost")
    (dead,) = [line for line in place.gateway.run("explain", place.event, "--json").json["next"] if line[:4] == "dead"]
    assert "waits, connection refused" in dead and "goes out as a probe" in dead
    assert dead.endswith("start the receiver, or correct the `url` of the destination")


def test_a_webhook_that_fed_a_record_is_no_fault(place: Place) -> None:
    body = b'{"kind": "order/paid", "id": "7"}'
    event = call(f"{place.gateway.url}/in/shop", data=body).json["id"]
    told = place.gateway.run("explain", event)
    assert "the records of orders; no route takes it as it came" in told.out
    assert "nothing: it fed orders, and what changed there is an event of its own" in told.out


def test_a_source_that_is_down_is_advised_as_that_and_logged_once(place: Place) -> None:
    doctor(place, "shop/orders")
    (advice,) = place.gateway.run("advise", "--json").json["data"]
    assert advice["advice"] == "polls_fail" and "refused" in advice["reason"]
    assert advice["empty_share"] is None, "a poll that failed did not find nothing"
    assert [place.gateway.run("poll", "shop/orders").code for _ in range(2)] == [1, 1]
    assert len(place.gateway.told("resource shop/orders: polls fail")) == 1
    assert len(place.gateway.told("destination dead fails")) == 1


def test_one_delivery_that_only_waits_for_its_retry_is_told_with_why(place: Place) -> None:
    place.gateway.run("trigger", "app", "rare")
    quiet = doctor(place, "quiet")["quiet"]
    assert (quiet["state"], quiet["word"]) == ("waiting", "retrying")
    assert quiet["what"].startswith("connection refused (") and quiet["what"].endswith("1 delivery waits for a retry")
    assert quiet["hint"] == "start the receiver, or correct the `url` of the destination"
