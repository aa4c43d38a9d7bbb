"""The story page's runs, figures and lanes, computed from given states. Pure."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate_company import costs
from tidegate_company.story import FORGET_SECONDS, WAITING_SECONDS, Run, spoken

T0 = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 ms"), (0.0074, "7 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"), (31.44, "31.4 s"), (150, "2 min")],
)
def test_a_time_is_said_with_its_unit(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_a_step_is_written_once_and_times_count_from_the_first() -> None:
    run = Run("k")
    run.step(0, at(0), "first", 0)
    run.step(2, at(1.5), "third", event="evt_1")
    run.step(2, at(9), "again")
    assert run.shown(3) == [[at(0), "", "first", ""], None, [at(1.5), "+1.5 s", "third", "evt_1"]]
    assert run.lit == {0}


@pytest.mark.parametrize(
    ("age", "kept", "state", "problem"),
    [
        (WAITING_SECONDS - 5, True, "running", ""),
        (WAITING_SECONDS + 5, True, "waiting", "has stored it and retries"),
        (WAITING_SECONDS + 5, False, "waiting", "Sources page"),
        (FORGET_SECONDS + 5, True, "failed", "within an hour"),
    ],
)
def test_a_slow_run_is_shown_as_waiting_and_ends_after_an_hour(
    age: float, kept: bool, state: str, problem: str
) -> None:
    run = Run("k", started=time.monotonic() - age)
    run.step(0, at(0), "first", event="evt_1" if kept else "")
    run.grow_old()
    assert run.state == state and problem in run.problem
    run.done(late=31.4, pushed=2)
    assert (run.state, run.problem, run.cost) == ("done", "", [("push", "2 pushed"), ("late", "31.4 s delay")])


def company() -> dict[str, dict[str, Any]]:
    def arrived(kind: str, key: str, happened: float, came: float) -> dict[str, Any]:
        return {"type": kind, "key": key, "happened_at": at(happened), "arrived_at": at(came), "revision": None}

    return {
        "shop": {"counts": {"api_requests": 1}, "requests": [at(5)]},
        "accounting": {"counts": {"api_requests": 3}, "requests": [at(-90), at(10), at(20)]},
        "payments": {
            "counts": {"api_requests": 2, "webhooks_sent": 1}, "requests": [at(1), at(31)], "webhooks": [at(2)],
            "lost": ["ch_lost"],
        },
        "crm": {
            "counts": {"webhooks_sent": 1}, "webhooks": [at(3)],
            "arrivals": [
                arrived("lead.submitted", "a@example.com", 1, 1.01), arrived("charges.created", "ch_sent", 2, 2.02),
                arrived("charges.created", "ch_lost", 25, 31.5), arrived("customers.updated", "C-12", 19, 20.5),
            ],
        },
        "chat": {"counts": {"messages": 1}},
    }  # fmt: skip


def test_a_change_counts_as_pulled_or_pushed_by_how_the_gateway_learned_of_it() -> None:
    pulled, pushed = costs.lateness(company())
    assert pulled == [6.5, 1.5]
    assert [round(late, 3) for late in pushed] == [0.01, 0.02]
    figures = costs.figures(company(), {"totals": {"accepted": 1, "delivered": 2, "pending": 0}})
    assert (figures["pull_requests"], figures["pull_requests_about"]) == ("6", "5 polls, 1 on demand")
    assert (figures["pull_changes"], figures["pull_changes_about"]) == ("2", "2.5 polls per change")
    assert figures["pull_late"] == "4.00 s"
    assert figures["push_late"] == "0.015 s", "a push is fast, so it needs three decimals"
    assert (figures["push_requests"], figures["push_changes"]) == ("3", "3"), "a lead, a webhook each of two systems"
    assert "1 event stored, 2 deliveries made" in figures["gateway"]


def test_the_figures_before_anything_happened_are_zero() -> None:
    figures = costs.figures({}, {})
    assert (figures["pull_requests"], figures["push_changes"], figures["pull_late"]) == ("0", "0", "-")
    assert figures["gateway"] == "The gateway has not answered yet."


def test_a_tall_tick_is_a_request_that_brought_something_new() -> None:
    base = T0.timestamp()
    lanes = costs.lanes(company(), base + 40)
    pull = [(when - base, found) for when, found in lanes["pull"]]
    assert pull == [(1, 0), (5, 1), (10, 0), (20, 1), (31, 1)], "requests older than a minute are left out"
    assert [when - base for when, _ in lanes["push"]] == [1, 2, 3]


def test_the_time_until_a_poll_is_in_whole_seconds() -> None:
    stats = {"resources": {"payments/charges": {"next_poll_at": at(6.2)}}}
    assert costs.next_poll(stats, "payments/charges", T0.timestamp()) == "in 7 s"
    assert costs.next_poll(stats, "payments/charges", T0.timestamp() + 7) == ""
    assert costs.next_poll(stats, "accounting/customers", T0.timestamp()) == ""
