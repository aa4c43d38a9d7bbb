"""What needs a person, from plain figures: which troubles there are, and what the overview says of them."""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.dashboard.pages import overview
from tidegate.dashboard.render import advice
from tidegate.deliver.health import SenderHealth
from tidegate.kinds.webhook import WebhookDestination
from tidegate.query import feeding
from tidegate.query import health as troubles
from tidegate.query.schemas import DestinationCounters, SourceCounters, Stats, Totals
from tidegate.runtime import ActiveDestination

replace = msgspec.structs.replace

OPEN = SenderHealth("open", 0, 3, 0, None, "answered 404", 0.0, "http_error", 404, 1_000_000, None)
WELL = SenderHealth("closed", 0, 0, 0, None, "an old one", 0.0, "refused", None)


RETRIES = SenderHealth("closed", 0, 2, 0, None, "nobody there", 0.0, "refused", None)


def found(
    health: SenderHealth, *, reason: str = "", rate: str | None = None, **counters: int
) -> list[troubles.Trouble]:
    paused = 5 if reason else None
    spec = WebhookDestination(url="https://crm.example.com", rate=rate)
    live = ActiveDestination(1, "crm", spec, "file", paused, reason, ())
    return troubles.of_destination(live, health, DestinationCounters(**counters))


def test_a_destination_that_is_well_is_no_trouble_whatever_failed_before() -> None:
    assert found(WELL, delivered=7) == []


def test_one_that_fails_is_one_trouble_and_its_dead_letters_are_told_with_it() -> None:
    (one,) = found(OPEN, pending=1, exhausted=2)
    assert (one.state, one.word, one.since) == ("failing", "answers 404", "1970-01-01T00:00:01.000000Z")
    assert one.what == "the receiver answered 404; 1 delivery waits, 2 given up"


def test_a_quiet_destination_whose_deliveries_all_wait_for_a_retry_is_a_trouble_with_why() -> None:
    (one,) = found(RETRIES, pending=2)
    assert (one.state, one.word, one.hint) == (
        "waiting",
        "retrying",
        "start the receiver, or correct the `url` of the destination",
    )
    assert one.what == "connection refused (nobody there); 2 deliveries wait for a retry"
    (since_a_restart,) = found(replace(RETRIES, outcome="", last_error=""), pending=1)
    assert since_a_restart.what == "1 delivery waits for a retry"
    assert since_a_restart.hint == "see why: tidegate test crm"


def test_what_is_on_its_way_gets_through_or_waits_its_turn_is_no_retry() -> None:
    assert found(replace(RETRIES, in_flight=1), pending=3) == []
    assert found(replace(RETRIES, rate_per_minute=1.0), pending=2) == []
    assert found(RETRIES, rate="10/h", pending=2) == []
    assert len(found(RETRIES, rate="1/s", pending=2)) == 1


def test_the_end_of_a_wait_that_was_asked_for_is_a_time_that_people_read() -> None:
    (one,) = found(replace(WELL, hold_until_us=1_800_000_000_123_456), pending=1)
    assert one.what == "it sent Retry-After, until 2027-01-15 08:00:00 UTC; 1 delivery waits"


def test_dead_letters_stay_a_trouble_when_the_destination_is_well_again() -> None:
    (one,) = found(WELL, exhausted=1)
    assert (one.state, one.what) == ("dead_letters", "1 delivery was given up")
    assert one.hint.endswith("tidegate replay --destination crm --state exhausted")


def test_each_pause_says_how_it_ends() -> None:
    ends = {"operator": "tidegate resume crm", "gone": "tidegate resume crm", "left_file": "config apply --prune"}
    for reason, end in ends.items():
        (one,) = found(OPEN, reason=reason)
        assert one.state == "paused" and one.hint.endswith(end)


def test_a_resource_is_a_trouble_while_its_polls_fail() -> None:
    counted: dict[str, Any] = {"last_error": "the source answered 401", "failing_since": None}
    assert troubles.of_resource("shop/orders", counted) == []
    (one,) = troubles.of_resource("shop/orders", {**counted, "failing_since": "2026-11-24T12:00:00Z"})
    assert (one.state, one.what) == ("failing", "the source answered 401")


def stats(unrouted: int, webhooks: int) -> Stats:
    sources = {"shop": SourceCounters(accepted=9, unrouted=unrouted), "app": SourceCounters(accepted=3, unrouted=2)}
    resources = {"shop/orders": {"webhooks": webhooks}, "shop/customers": {"webhooks": 0}}
    return Stats(at_offset=12, totals=Totals(), sources=sources, destinations={}, resources=resources)


def test_a_webhook_that_fed_a_record_is_told_apart_from_one_that_nobody_wanted() -> None:
    assert feeding.fed_unrouted(stats(unrouted=5, webhooks=5)) == 5
    assert feeding.fed_unrouted(stats(unrouted=5, webhooks=3)) == 3
    assert feeding.fed_unrouted(stats(unrouted=0, webhooks=3)) == 0, "a route took them too"
    assert overview._routed(12, 7, 5) == "5 went by a route, 5 fed a record, 2 wanted by neither"
    assert overview._routed(12, 5, 5) == "7 went by a route, 5 fed a record"
    assert overview._routed(12, 0, 0) == "each was wanted by a route"
    assert overview._routed(0, 0, 0) == "nothing has come yet"


def test_an_advice_shows_keys_and_commands_as_code_and_lets_no_markup_in() -> None:
    assert advice("correct the path in its `url`") == "Correct the path in its <code>url</code>."
    assert advice("tidegate resume crm") == "<code>tidegate resume crm</code>"
    assert advice("mend it, then: tidegate replay --all") == "Mend it, then: <code>tidegate replay --all</code>"
    assert advice("put `<b>` & <i>") == "Put <code>&lt;b&gt;</code> &amp; &lt;i&gt;."
    assert advice("") == ""
