"""Findings about destinations, resources and rejections from plain figures, and what the overview says of them."""

from __future__ import annotations

import msgspec

from support.browser import sample_pages
from tidegate.core.clock import ManualClock
from tidegate.core.figures import ResourceFigures
from tidegate.core.finding_codes import Severity
from tidegate.core.findings import Finding, Findings
from tidegate.dashboard.pages import overview
from tidegate.dashboard.render import advice
from tidegate.deliver.health import SenderHealth
from tidegate.kinds.webhook import WebhookDestination
from tidegate.query import feeding, health
from tidegate.query.schemas import DestinationCounters, SourceCounters, Stats, Totals
from tidegate.runtime import ActiveDestination
from tidegate.store import Rejection

replace = msgspec.structs.replace

OPEN = SenderHealth("open", 0, 3, 0, None, "answered 404", 0.0, "http_error", 404, 1_000_000, None, failing=True)
HEALTHY = SenderHealth("closed", 0, 0, 0, None, "an old one", 0.0, "refused", None)
RETRIES = SenderHealth("closed", 0, 2, 0, None, "nobody there", 0.0, "refused", None)


def found(seen: SenderHealth, *, reason: str = "", rate: str | None = None, **counters: int) -> list[Finding]:
    paused = 5 if reason else None
    spec = WebhookDestination(url="https://crm.example.com", rate=rate)
    live = ActiveDestination(1, "crm", spec, "file", paused, reason, ())
    return health.of_destination(live, seen, DestinationCounters(**counters))


def test_a_healthy_destination_is_no_finding_whatever_failed_before() -> None:
    assert found(HEALTHY, delivered=7) == []


def test_a_failing_destination_is_one_finding_that_names_its_dead_letters() -> None:
    (one,) = found(OPEN, pending=1, exhausted=2)
    assert (one.code, one.severity, one.subject) == ("destination_failing", Severity.ERROR, "destination:crm")
    assert (one.title, one.first_at) == ("answers 404", "1970-01-01T00:00:01.000000Z")
    assert one.summary == "Answered 404. 1 delivery pending, 2 exhausted."


def test_a_quiet_destination_whose_deliveries_all_wait_for_a_retry_is_a_finding_with_the_cause() -> None:
    (one,) = found(RETRIES, pending=2)
    assert (one.code, one.title, one.remedy) == (
        "destination_retrying", "retrying", "start the receiver, or correct its `url`",
    )  # fmt: skip
    assert one.summary == "Connection refused (nobody there). 2 deliveries pending, waiting for a retry."
    (after_a_restart,) = found(replace(RETRIES, outcome="", last_error=""), pending=1)
    assert after_a_restart.summary == "1 delivery pending, waiting for a retry."
    assert after_a_restart.remedy == "tidegate test crm"


def test_deliveries_that_are_in_flight_succeed_or_wait_for_the_rate_are_no_retry() -> None:
    assert found(replace(RETRIES, in_flight=1), pending=3) == []
    assert found(replace(RETRIES, rate_per_minute=1.0), pending=2) == []
    assert found(RETRIES, rate="10/h", pending=2) == []
    assert len(found(RETRIES, rate="1/s", pending=2)) == 1


def test_a_rate_limit_is_a_notice_with_its_end_as_a_readable_time() -> None:
    (one,) = found(replace(HEALTHY, hold_until_us=1_800_000_000_123_456), pending=1)
    assert one.severity is Severity.NOTICE
    assert one.summary == "Asked for a pause until 2027-01-15 08:00:00 UTC. 1 delivery pending."


def test_dead_letters_stay_a_finding_when_the_destination_is_healthy_again() -> None:
    (one,) = found(HEALTHY, exhausted=1)
    assert (one.code, one.summary) == ("dead_letters", "1 delivery used all attempts.")
    assert one.remedy.endswith("tidegate replay --destination crm --state exhausted")


def test_each_pause_says_how_it_ends() -> None:
    ends = {"operator": "tidegate resume crm", "gone": "tidegate resume crm", "left_file": "config apply --prune"}
    for reason, end in ends.items():
        (one,) = found(OPEN, reason=reason)
        assert one.code.startswith("destination_") and one.remedy.endswith(end)


def test_a_resource_is_a_finding_while_its_polls_fail() -> None:
    figures = ResourceFigures(last_error="the source answered 401")
    assert health.of_resource("shop/orders", figures) == []
    figures.failing_since = "2026-11-24T12:00:00Z"
    (one,) = health.of_resource("shop/orders", figures)
    assert (one.subject, one.kind, one.name) == ("resource:shop/orders", "resource", "shop/orders")
    assert (one.summary, one.first_at) == ("The source answered 401.", "2026-11-24T12:00:00Z")
    assert one.remedy.endswith("tidegate pull shop/orders --fresh")


def test_rejections_are_one_notice_for_each_source_and_reason_with_a_masked_sample() -> None:
    kept = [
        Rejection(at_us=3_000_000, source="shop", reason="signature_wrong", detail="token=abc123secret", remote="x"),
        Rejection(at_us=2_000_000, source="shop", reason="signature_wrong", detail="y", remote="x"),
        Rejection(at_us=1_000_000, source="shop", reason="of_tomorrow", detail="", remote="x"),
    ]
    wrong, other = health.of_rejections(kept)
    assert (wrong.code, wrong.count, wrong.severity) == ("rejected_signature_wrong", 2, Severity.NOTICE)
    assert wrong.remedy.endswith("compare `secret` of [sources.shop.webhook] with the secret that the provider shows")
    assert (wrong.first_at, wrong.last_at) == ("1970-01-01T00:00:02.000000Z", "1970-01-01T00:00:03.000000Z")
    assert wrong.samples == ["token=[masked]"]
    assert (other.code, other.samples) == ("rejected_other", ["of_tomorrow"])


def test_what_the_process_reported_is_in_the_same_list_by_severity() -> None:
    ring = Findings(ManualClock())
    ring.report("rejections_dropped", "source:shop")
    ring.report("config_out_of_date", "node:this")
    listed = health.by_severity([*found(HEALTHY, reason="operator"), *ring.listed()])
    assert [one.code for one in listed] == ["config_out_of_date", "destination_paused", "rejections_dropped"]


def test_the_overview_counts_what_needs_attention_and_leaves_notices_out() -> None:
    (notice,) = found(replace(HEALTHY, hold_until_us=1_800_000_000_123_456), pending=1)
    (paused,) = found(HEALTHY, reason="operator", pending=2)
    calm = overview_of([notice])
    assert (calm.headline, calm.mood, calm.findings) == ("All systems healthy", "delivered", [])
    warned = overview_of([paused, notice])
    assert warned.headline == "1\u202ffinding needs attention" and warned.mood == "retry"
    (line,) = warned.findings
    assert (line.icon, line.href, line.remedy) == ("paused", "/destinations/crm", "tidegate resume crm")
    assert line.text == "crm: Paused by an operator. 2 deliveries pending."


def overview_of(listed: list[Finding]) -> overview.Overview:
    totals = Totals(accepted=5, delivered=5)
    return overview.view(
        overview.Snapshot(totals=totals, sources=[], destinations=[], events=[], findings=listed, rejections=[])
    )


def stats(unrouted: int, webhooks: int) -> Stats:
    sources = {"shop": SourceCounters(accepted=9, unrouted=unrouted), "app": SourceCounters(accepted=3, unrouted=2)}
    resources = {"shop/orders": ResourceFigures(webhooks=webhooks), "shop/customers": ResourceFigures()}
    return Stats(at_offset=12, totals=Totals(), sources=sources, destinations={}, resources=resources)


def test_a_webhook_that_updated_a_record_is_counted_apart_from_one_without_a_route() -> None:
    assert feeding.unrouted_updates(stats(unrouted=5, webhooks=5)) == 5
    assert feeding.unrouted_updates(stats(unrouted=5, webhooks=3)) == 3
    assert feeding.unrouted_updates(stats(unrouted=0, webhooks=3)) == 0, "a route selected them too"
    assert overview._routed(12, 7, 5) == "5 routed, 5 updated a record, 2 without a route"
    assert overview._routed(12, 5, 5) == "7 routed, 5 updated a record"
    assert overview._routed(12, 0, 0) == "all routed"
    assert overview._routed(0, 0, 0) == "none received yet"


def test_a_remedy_shows_keys_and_commands_as_code_and_escapes_markup() -> None:
    assert advice("correct the path in its `url`") == "Correct the path in its <code>url</code>."
    assert advice("tidegate resume crm") == "<code>tidegate resume crm</code>"
    assert advice("fix it, then: tidegate replay --all") == "Fix it, then: <code>tidegate replay --all</code>"
    assert advice("set `<b>` & <i>") == "Set <code>&lt;b&gt;</code> &amp; &lt;i&gt;."
    assert advice("") == ""


def test_the_sample_overview_has_a_line_for_each_finding() -> None:
    assert len(sample_pages.overview_page().findings) == len(sample_pages.FINDINGS)
