"""What needs a person, from plain figures: which troubles there are, and what the overview says of them."""

from __future__ import annotations

from typing import Any

from tidegate.answer import feeding, troubles
from tidegate.answer.forms import DestinationBooks, SourceBooks, Stats, Totals
from tidegate.config.model import Destination
from tidegate.dashboard.pages import overview
from tidegate.dashboard.render import advice
from tidegate.deliver.health import SenderHealth
from tidegate.live import LiveDestination

OPEN = SenderHealth("open", 0, 3, 0, None, "answered 404", 0.0, "http_error", 404, 1_000_000, None)
WELL = SenderHealth("closed", 0, 0, 0, None, "an old one", 0.0, "refused", None)


def found(health: SenderHealth, *, reason: str = "", **books: int) -> list[troubles.Trouble]:
    paused = 5 if reason else None
    live = LiveDestination(1, "crm", Destination(url="https://crm.example.com"), "file", paused, reason, ())
    return troubles.of_destination(live, health, DestinationBooks(**books))


def test_a_destination_that_is_well_is_no_trouble_whatever_failed_before() -> None:
    assert found(WELL, delivered=7) == []


def test_one_that_fails_is_one_trouble_and_its_dead_letters_are_told_with_it() -> None:
    (one,) = found(OPEN, pending=1, exhausted=2)
    assert (one.state, one.word, one.since) == ("failing", "answers 404", "1970-01-01T00:00:01.000000Z")
    assert one.what == "it answered 404; 1 delivery waits, 2 given up"


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
    sources = {"shop": SourceBooks(accepted=9, unrouted=unrouted), "app": SourceBooks(accepted=3, unrouted=2)}
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
