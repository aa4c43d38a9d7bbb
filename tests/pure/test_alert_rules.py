"""Which system events follow from what the gateway sees: one table per kind, and the rules that all kinds share."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tidegate.core.clock import rfc3339
from tidegate.core.figures import NoteFigures, ResourceFigures
from tidegate.core.findings import finding
from tidegate.core.model import DeliveryState
from tidegate.core.spec import Alerts
from tidegate.rules.alerts import own, quiet
from tidegate.rules.alerts.backlogs import Backlogs
from tidegate.rules.alerts.body import data_of
from tidegate.rules.alerts.decide import SINGLE_PER_HOUR, decide
from tidegate.rules.alerts.kinds import KINDS, SYSTEM_TYPES, Course
from tidegate.rules.alerts.signals import DestinationSeen, Observation, RejectedSeen, signals
from tidegate.rules.alerts.state import Activity, Mark, Marks, Outgoing, Pair, State

START_US = 1_800_000_000_000_000
MINUTE = 60.0
HOUR = 3600.0


class Watch:
    """Rounds of the rules at given times. What went out is in `out`, as (type, subject, state)."""

    def __init__(self, alerts: Alerts | None = None) -> None:
        self.alerts = alerts or Alerts()
        self.state = State()
        self.marks = Marks()
        self.now_us = START_US
        self.out: list[Outgoing] = []

    def look(self, seconds: float = 0.0, **seen: Any) -> list[tuple[str, str, str]]:
        """A round `seconds` after the one before."""
        self.now_us += int(seconds * 1e6)
        observation = Observation(now_us=self.now_us, **seen)
        for name, accepted in observation.sources.items():
            quiet.learn(self.state.activity.setdefault(name, Activity()), accepted, self.now_us)
        active = frozenset(f"{one.type} {one.subject}" for one in self.state.alerts if not one.ended_us)
        held = signals(observation, self.alerts, self.state.activity, active)
        # Stored and read again: a restart between any two rounds changes nothing.
        self.state = msgspec.json.decode(msgspec.json.encode(self.state), type=State)
        decide(self.state, observation, held, self.marks, self.alerts)
        made, self.state.outbox = self.state.outbox, []
        self.out += made
        return [(one.type, one.subject, one.state) for one in made]

    def failing(
        self, *names: str, since: float = 120.0, title: str = "answers 500", pending: int = 3
    ) -> dict[str, Any]:
        """An observation in which these destinations of `crm` and `erp` fail."""
        at = rfc3339(self.now_us - int(since * 1e6))
        found = [finding("destination_failing", f"destination:{n}", "Answered 500.", None, title, at) for n in names]
        known = {name: DestinationSeen(pending=pending) for name in {"crm", "erp", *names}}
        return {"findings": found, "destinations": known}


CRM = "destination:crm"
FAILS = ("destination.failing", CRM, "firing")


# -- each kind with its threshold ------------------------------------------------------------------------


def test_a_destination_is_failing_after_the_given_time_and_recovered_a_minute_after_it_works() -> None:
    watch = Watch(Alerts(destination_failing_after="2m"))
    assert watch.look(**watch.failing("crm", since=60)) == []
    assert watch.look(61, **watch.failing("crm", since=121)) == [FAILS]
    assert watch.look(15, **watch.failing("crm")) == []
    assert watch.look(15, **watch.failing()) == []
    assert watch.look(45, **watch.failing()) == []
    assert watch.look(16, **watch.failing()) == [("destination.recovered", CRM, "resolved")]
    assert watch.look(15, **watch.failing()) == []


def test_a_destination_that_is_seen_working_for_a_moment_has_not_recovered() -> None:
    watch = Watch()
    watch.look(**watch.failing("crm"))
    watch.look(15, **watch.failing())
    assert watch.look(15, **watch.failing("crm")) == []
    assert watch.look(50, **watch.failing()) == []


def test_a_destination_that_only_system_events_wait_for_is_not_reported() -> None:
    watch = Watch()
    assert watch.look(**watch.failing("crm", pending=0)) == []


@pytest.mark.parametrize("code", ["destination_paused", "destination_stopped", "destination_left_file"])
def test_a_pause_is_reported_with_its_reason_and_ends_with_resumed(code: str) -> None:
    watch = Watch()
    known = {"crm": DestinationSeen(pending=1)}
    paused = finding(code, CRM, "Paused.", since=rfc3339(watch.now_us))
    assert watch.look(findings=[paused], destinations=known) == [("destination.paused", CRM, "firing")]
    assert watch.out[0].evidence.facts["finding"] == code
    assert watch.look(15, destinations=known) == [("destination.resumed", CRM, "resolved")]


def test_a_failing_destination_that_is_paused_or_deleted_has_not_recovered() -> None:
    for known in ({"crm": DestinationSeen()}, {}):
        watch = Watch()
        watch.look(**watch.failing("crm"))
        paused = [finding("destination_paused", CRM, "Paused.")] if known else []
        types = [one for _ in range(8) for one, _, _ in watch.look(15, findings=paused, destinations=known)]
        assert "destination.recovered" not in types


def test_dead_letters_are_counted_since_the_last_event_and_reported_once_an_hour() -> None:
    watch = Watch(Alerts(delivery_exhausted=3))

    def dead(count: int, seconds: float = 15.0) -> list[int]:
        made = watch.look(seconds, destinations={"crm": DestinationSeen(exhausted=count)})
        return [one.count for one in watch.out[-len(made) :]] if made else []

    assert dead(40, 0) == []  # from before the watch began; doctor shows them
    assert dead(42) == []
    assert dead(43) == [3]
    assert dead(90) == []
    assert dead(91, HOUR) == [48]
    assert dead(91, HOUR) == []
    assert dead(0) == []  # all were replayed
    assert dead(4, HOUR) == [4]


def test_a_backlog_grows_when_it_stays_above_the_threshold_and_is_larger_than_a_window_ago() -> None:
    watch = Watch(Alerts(backlog=1000))

    def pending(count: int, before: int | None) -> list[tuple[str, str, str]]:
        return watch.look(MINUTE, destinations={"crm": DestinationSeen(pending=count, before=before)})

    assert pending(5000, None) == []  # a burst
    assert pending(4000, 5000) == []  # it is worked off
    assert pending(6000, 5000) == [("backlog.growing", CRM, "firing")]
    assert pending(600, None) == []  # not over yet
    assert pending(499, None) == [("backlog.recovered", CRM, "resolved")]


def test_a_backlog_of_a_destination_that_is_failing_or_paused_is_not_a_second_alert() -> None:
    watch = Watch()
    seen = watch.failing("crm")
    seen["destinations"] = {"crm": DestinationSeen(pending=9000, before=5000)}
    assert watch.look(**seen) == [FAILS]


def test_the_window_of_a_backlog_begins_again_when_it_falls_below_the_threshold() -> None:
    backlogs, window = Backlogs(), 600_000_000
    for minute, count in enumerate([1500, 1600, 900, *[1700] * 11]):
        backlogs.watch({"crm": count}, 1000, window, START_US + minute * 60_000_000)
        before = backlogs.before("crm", window, START_US + minute * 60_000_000)
        assert before == (1700 if minute == 13 else None), minute


def test_polls_that_fail_for_long_enough_are_reported_and_their_end() -> None:
    watch = Watch(Alerts(poll_failing_after="5m"))
    figures = {"shop/orders": ResourceFigures()}

    def failing(seconds: float) -> list[Any]:
        return [
            finding(
                "polls_failing", "resource:shop/orders", "HTTP 500.", since=rfc3339(watch.now_us - int(seconds * 1e6))
            )
        ]

    assert watch.look(findings=failing(200), resources=figures) == []
    assert watch.look(findings=failing(301), resources=figures) == [("poll.failing", "resource:shop/orders", "firing")]
    assert watch.look(15, resources=figures) == [("poll.recovered", "resource:shop/orders", "resolved")]


def test_skipped_rows_are_reported_when_two_polls_skipped_some() -> None:
    watch = Watch(Alerts(rows_skipped=2))
    watch.look()

    def rows(count: int, first: float, last: float) -> list[tuple[str, str, str]]:
        first_at, last_at = (rfc3339(START_US + int(at * 1e6)) for at in (first, last))
        note = NoteFigures(count=count, first_at=first_at, last_at=last_at, samples=["no id"])
        return watch.look(15, resources={"shop/orders": ResourceFigures(findings={"rows_skipped": note})})

    assert rows(5, 0, 0) == []
    assert rows(6, 0, 60) == [("rows.skipped", "resource:shop/orders", "firing")]
    assert watch.out[0].evidence.facts["samples"] == ["no id"]
    assert rows(9, 0, 120) == []


def test_changes_that_only_reconciliation_found_are_missed_webhooks() -> None:
    watch = Watch(Alerts(webhooks_missed=3))

    def missed(count: int, seconds: float = 15.0) -> list[tuple[str, str, str]]:
        figures = ResourceFigures(
            healed=count, healed_longest_seconds=6.78, healed_samples=["orders.updated 7"], by_origin={"webhook": 50}
        )
        return watch.look(seconds, resources={"shop/orders": figures})

    assert missed(7, 0) == []
    assert missed(9) == []
    assert missed(10) == [("webhooks.missed", "resource:shop/orders", "firing")]
    assert watch.out[0].count == 3
    evidence = watch.out[0].evidence
    assert "found 10 changes that no webhook had reported, missing for up to 6.8 s" in evidence.summary
    assert evidence.facts["longest_missed_for_seconds"] == 6.78 and evidence.facts["samples"] == ["orders.updated 7"]


def test_missed_webhooks_that_an_earlier_version_counted_by_origin_still_count() -> None:
    watch = Watch(Alerts(webhooks_missed=3))

    def missed(count: int) -> list[tuple[str, str, str]]:
        return watch.look(15, resources={"shop/orders": ResourceFigures(by_origin={"reconcile": count})})

    assert missed(7) == [] and missed(10) == [("webhooks.missed", "resource:shop/orders", "firing")]


def test_rejected_requests_are_counted_by_source_within_an_hour() -> None:
    watch = Watch(Alerts(requests_rejected=3))
    watch.look(sources={"shop": 0})

    def rejected(*at: float, source: str = "shop") -> list[tuple[str, str, str]]:
        kept = [RejectedSeen(START_US + int(one * 1e6), source, "signature_wrong", "") for one in at]
        return watch.look(15, sources={"shop": 0}, rejected=kept)

    assert rejected(1, 2) == []
    assert rejected(1, 2, 3) == [("requests.rejected", "source:shop", "firing")]
    assert rejected(1, 2, 3, 4, 5) == []
    assert watch.out[0].evidence.facts["reasons"] == {"signature_wrong": 3}
    # The name of an unknown source is the sender's choice.
    assert rejected(*range(60), source="../../etc") == [("requests.rejected", "source:unknown", "firing")]


def test_a_source_is_quiet_after_the_time_that_is_set_for_it() -> None:
    watch = Watch(Alerts(source_quiet_after="off", quiet={"shop": "2h"}))
    names = {"sources": {"shop": 5, "crm": 5}, "pushing": frozenset({"shop", "crm"})}
    watch.look(**names)
    assert watch.look(2 * HOUR - 1, **names) == []
    assert watch.look(1, **names) == [("source.quiet", "source:shop", "firing")]
    names["sources"] = {"shop": 6, "crm": 5}
    assert watch.look(15, **names) == [("source.recovered", "source:shop", "resolved")]


def test_a_source_is_quiet_by_itself_after_three_times_its_longest_gap() -> None:
    watch, accepted = Watch(), 0
    for _ in range(60):  # five days with an event every two hours
        accepted += 1
        assert watch.look(2 * HOUR, sources={"shop": accepted}, pushing=frozenset({"shop"})) == []
    assert watch.look(5.9 * HOUR, sources={"shop": accepted}, pushing=frozenset({"shop"})) == []
    assert watch.look(0.2 * HOUR, sources={"shop": accepted}, pushing=frozenset({"shop"})) != []


def test_nothing_is_said_of_a_source_that_is_hardly_known_or_that_is_only_polled() -> None:
    watch = Watch()
    for accepted in range(40):
        watch.look(2 * HOUR, sources={"shop": accepted}, pushing=frozenset({"shop"}))
    assert watch.look(1000 * HOUR, sources={"shop": 40}, pushing=frozenset({"shop"})) == []
    watch = Watch()
    for accepted in range(200):
        watch.look(HOUR, sources={"shop": accepted})
    assert watch.look(1000 * HOUR, sources={"shop": 199}) == []


@pytest.mark.parametrize(
    ("code", "subject", "type_", "ended"),
    [
        ("disk_low", "store:disk", "disk.low", "disk.recovered"),
        ("credential_dead", "credential:hubspot", "credential.dead", "credential.recovered"),
        ("credential_expiring", "credential:hubspot", "credential.expiring", "credential.recovered"),
    ],
)
def test_a_finding_that_lasts_is_reported_and_its_end(code: str, subject: str, type_: str, ended: str) -> None:
    watch = Watch()
    assert watch.look(findings=[finding(code, subject, "It is so.")]) == [(type_, subject, "firing")]
    assert watch.look(15) == [(ended, subject, "resolved")]


def test_nodes_that_join_and_leave_are_reported_but_not_those_that_were_there_first() -> None:
    watch = Watch()
    assert watch.look(nodes={"a": "", "b": ""}) == []
    assert watch.look(15, nodes={"a": "", "c": ""}) == [
        ("node.joined", "node:c", "happened"),
        ("node.left", "node:b", "happened"),
    ]
    assert watch.look(15, nodes={"a": "", "c": ""}) == []


def test_a_store_with_one_process_has_no_events_about_nodes() -> None:
    watch = Watch()
    assert watch.look(nodes=None) == watch.look(15, nodes=None) == []


# -- what all kinds share --------------------------------------------------------------------------------


def test_a_flapping_destination_is_reported_once_an_hour_with_the_number_of_times() -> None:
    watch = Watch()
    for _ in range(20):  # 20 times in 60 minutes
        watch.look(MINUTE, **watch.failing("crm"))
        watch.look(MINUTE, **watch.failing())
        watch.look(MINUTE, **watch.failing())
    firing = [one for one in watch.out if one.type == "destination.failing"]
    assert len(firing) == 1
    watch.look(MINUTE, **watch.failing("crm"))
    assert [one.type for one in watch.out].count("destination.failing") == 2
    assert watch.out[-1].episodes == 20
    assert [one.type for one in watch.out].count("destination.recovered") == 1


def test_another_reason_is_a_change_and_is_reported_within_the_hour_but_not_all_the_time() -> None:
    watch = Watch()
    watch.look(**watch.failing("crm"))
    assert watch.look(MINUTE, **watch.failing("crm", title="answers 401")) == []
    assert watch.look(9 * MINUTE, **watch.failing("crm", title="answers 401")) == [
        ("destination.failing", CRM, "changed")
    ]
    for turn in range(60):
        watch.look(MINUTE, **watch.failing("crm", title=f"answers {500 + turn % 7}"))
    assert len(watch.out) <= 2 + 6


def test_what_lasts_is_repeated_after_the_time_that_is_set() -> None:
    watch = Watch(Alerts(repeat_every="6h"))
    states = [one[2] for _ in range(24) for one in watch.look(HOUR, **watch.failing("crm"))]
    assert states == ["firing", "repeated", "repeated", "repeated"]


def test_an_acknowledged_alert_is_not_repeated_but_its_end_is_reported() -> None:
    watch = Watch(Alerts(repeat_every="1h"))
    watch.look(**watch.failing("crm"))
    watch.marks.marks.append(Mark("destination.failing", CRM, acknowledged_us=watch.now_us))
    assert watch.look(5 * HOUR, **watch.failing("crm", title="answers 401", since=6 * HOUR)) == []
    watch.look(15, **watch.failing())
    assert watch.look(61, **watch.failing()) == [("destination.recovered", CRM, "resolved")]
    assert watch.look(HOUR, **watch.failing("crm")) == [FAILS], "the next episode is not acknowledged"


@pytest.mark.parametrize(("type_", "subject"), [("destination.failing", CRM), ("*", CRM), ("*", "*")])
def test_nothing_is_sent_about_what_is_muted_and_what_lasts_is_sent_after_the_mute(type_: str, subject: str) -> None:
    watch = Watch()
    watch.marks.marks.append(Mark(type_, subject, muted_until_us=watch.now_us + int(2 * HOUR * 1e6)))
    assert watch.look(**watch.failing("crm")) == []
    assert watch.look(HOUR, **watch.failing("crm")) == []
    assert watch.look(HOUR, **watch.failing("crm")) == [FAILS]


def test_what_ended_during_a_mute_is_not_sent_afterwards() -> None:
    watch = Watch()
    watch.look(**watch.failing("crm"))
    watch.marks.marks.append(Mark("*", "*", muted_until_us=watch.now_us + int(HOUR * 1e6)))
    watch.look(MINUTE, **watch.failing())
    watch.look(2 * MINUTE, **watch.failing())
    assert watch.look(2 * HOUR, **watch.failing()) == []


def test_two_hundred_destinations_that_fail_at_once_are_one_event_and_one_recovery() -> None:
    watch = Watch()
    names = [f"to-{number}" for number in range(200)]
    assert watch.look(**watch.failing(*names)) == [("destination.failing", "destination:*", "firing")]
    assert len(watch.out[0].subjects) == 200
    data = data_of(watch.out[0], "https://gate.example.com", "n1")
    assert (len(data["subjects"]), data["more_subjects"]) == (20, 180)
    assert "200 destinations: failing" in data["text"]
    quiet_now = {"destinations": {name: DestinationSeen(pending=1) for name in names}}
    watch.look(15, **quiet_now)
    assert watch.look(61, **quiet_now) == [("destination.recovered", "destination:*", "resolved")]


def test_destinations_that_fail_one_by_one_are_single_events_up_to_ten_and_then_one_for_many() -> None:
    watch = Watch()
    for number in range(1, 61):
        watch.look(15, **watch.failing(*[f"to-{one}" for one in range(number)]))
    singles = [one for one in watch.out if not one.subjects]
    assert len(singles) <= SINGLE_PER_HOUR + 1  # the next one takes the place of one for many
    assert len(watch.out) <= SINGLE_PER_HOUR + 3
    named = {one.subject for one in singles} | {name for one in watch.out for name in one.subjects}
    watch.look(11 * MINUTE, **watch.failing(*[f"to-{one}" for one in range(60)]))
    named |= set(watch.out[-1].subjects)
    assert len(named) == 60, "nobody is forgotten"


def test_more_alerts_than_are_kept_are_not_reported_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.rules.alerts.decide.MAX_ALERTS", 50)
    watch = Watch()
    names = [f"to-{number}" for number in range(80)]
    for _ in range(60):
        watch.look(MINUTE, **watch.failing(*names))
    assert len(watch.out) == 1
    assert len(watch.state.alerts) == 50


def test_no_more_than_max_per_hour_go_out_and_what_waits_goes_out_later() -> None:
    watch = Watch(Alerts(max_per_hour=2))
    found = [
        finding("disk_low", "store:disk", "Full."),
        finding("credential_dead", "credential:a", "Dead."),
        finding("credential_expiring", "credential:b", "Soon."),
    ]
    assert len(watch.look(findings=found)) == 2
    assert watch.look(15, findings=found) == []
    assert watch.look(HOUR, findings=found) == [("credential.expiring", "credential:b", "firing")]
    assert watch.out[-1].held_back == 1


def test_every_event_has_an_id_of_its_own() -> None:
    watch = Watch()
    for turn in range(10):
        watch.look(HOUR, **watch.failing(*["crm"] * (turn % 2)))
        watch.look(2 * MINUTE, **watch.failing(*["crm"] * (turn % 2)))
    assert len({one.id for one in watch.out}) == len(watch.out) > 5


# -- deliveries of system events -------------------------------------------------------------------------


def test_deliveries_of_system_events_are_counted_apart_from_all_others() -> None:
    state = State(pairs=[Pair(1, 7), Pair(2, 7), Pair(3, 8)])
    assert own.open_of(state) == {7: 2, 8: 1}
    own.settle(state, {(1, 7): DeliveryState.EXHAUSTED, (2, 7): DeliveryState.DELIVERED, (3, 8): DeliveryState.SENDING})
    assert (own.open_of(state), own.dead_of(state)) == ({8: 1}, {7: 1})
    own.settle(state, {(1, 7): DeliveryState.PENDING, (3, 8): DeliveryState.CANCELED})  # replayed
    assert (own.open_of(state), own.dead_of(state)) == ({7: 1}, {})
    own.settle(state, {(1, 7): DeliveryState.EXHAUSTED})
    own.settle(state, {})  # deleted with its event: the counter of the destination stays
    assert own.dead_of(state) == {7: 1}


# -- the table of kinds ----------------------------------------------------------------------------------


def test_every_kind_of_the_contract_exists_once() -> None:
    wanted = """destination.failing destination.recovered destination.paused delivery.exhausted backlog.growing
        source.quiet poll.failing poll.recovered rows.skipped webhooks.missed requests.rejected credential.expiring
        credential.dead disk.low node.joined node.left"""
    assert set(wanted.split()) <= set(SYSTEM_TYPES)
    assert len(SYSTEM_TYPES) == len(set(SYSTEM_TYPES))
    assert all(kind.ended for kind in KINDS.values() if kind.course is Course.LASTS)


def test_the_data_of_an_event_names_the_page_the_evidence_and_the_next_step() -> None:
    watch = Watch()
    watch.look(**watch.failing("crm"))
    data = data_of(watch.out[0], "https://gate.example.com/", "n1")
    assert data["url"] == "https://gate.example.com/destinations/crm"
    assert (data["kind"], data["name"], data["state"], data["severity"]) == ("destination", "crm", "firing", "error")
    assert data["next_step"] == "tidegate test crm"
    assert data["evidence"] == {"finding": "destination_failing", "title": "answers 500", "pending": 3, "exhausted": 0}
    assert data["text"].split("\n") == [
        "[error] Destination crm: Answered 500.",
        "Next: tidegate test crm",
        "https://gate.example.com/destinations/crm",
    ]
    assert (data["page"], data_of(watch.out[0], "", "n1")["url"]) == ("/destinations/crm", "")
