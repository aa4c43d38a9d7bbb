"""Sample pages: the view models of every page of the dashboard from plain figures, at a fixed instant.

For tests that look at pages (weight, contrast in a browser, layout): the same templates and view functions as the
gateway's, with enough of everything (both ways, retries, dead letters, a pause, an open circuit, a change).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from support.browser import comparison
from tidegate.core import spec as config
from tidegate.core.clock import parse_instant, rfc3339
from tidegate.core.findings import finding
from tidegate.dashboard.pages import compare, destinations, edit, event, lists, overview, replays
from tidegate.dashboard.pages import delivery as delivery_pages
from tidegate.dashboard.pages.actions import LastTest
from tidegate.dashboard.pages.destinations import RouteLine
from tidegate.dashboard.pages.event import Wanted
from tidegate.dashboard.pages.lists import DeliveryDot, EventRow
from tidegate.dashboard.pages.summaries import DestinationSummary, InputSummary, ResourceSummary, SourceSummary
from tidegate.kinds.webhook import WebhookDestination
from tidegate.query import explanation
from tidegate.query.explanation import DestinationState
from tidegate.query.schemas import (
    AdviceSchema,
    AttemptSchema,
    ChangeSchema,
    DeliverySchema,
    EventSchema,
    Explanation,
    RejectionSchema,
    ReplaySchema,
    RequestSchema,
    RouteDecision,
    Totals,
)
from tidegate.rules.measure import wording
from tidegate.rules.measure.advice import Effect
from tidegate.runtime import ActiveDestination

NOW = parse_instant("2026-11-24T17:18:43.120Z")


def ago(seconds: float) -> str:
    text = rfc3339(NOW - int(seconds * 1_000_000))
    assert text is not None
    return text


def event_id(offset: int) -> str:
    return f"evt_4k2m9q{offset:013d}"


class _Row(NamedTuple):
    name: str
    type: str
    delivered: int
    pending: int
    exhausted: int
    filtered: int
    icon: str
    label: str
    circuit: str
    paused: bool
    rate: str | None
    host: str


_DESTINATIONS = (
    _Row("crm", "webhook", 14210, 3, 0, 1204, "sending", "sending", "closed", False, "50/s", "crm.example.com"),
    _Row("sales-channel", "slack", 902, 0, 0, 8830, "delivered", "healthy", "closed", False, "1/s", "hooks.slack.com"),
    _Row("warehouse", "webhook", 6110, 48, 0, 12, "exhausted", "answers 503", "open", False, None, "wms.example.net"),
    _Row("ledger", "webhook", 3104, 212, 0, 0, "paused", "paused", "closed", True, "20/s", "ledger.example.com"),
    _Row("newsletter", "webhook", 411, 0, 7, 90, "delivered", "healthy", "closed", False, None, "mail.example.org"),
)


def destination_rows() -> list[DestinationSummary]:
    rows = []
    for one in _DESTINATIONS:
        is_open = one.circuit != "closed"
        rows.append(
            DestinationSummary(
                name=one.name, type=one.type, owner="file", icon=one.icon, label=one.label, paused=one.paused,
                paused_at=ago(5400) if one.paused else None, circuit_open=is_open, circuit=one.circuit,
                circuit_at=ago(742) if is_open else None, probe_at=ago(-9) if is_open else None, hold_until=None,
                retrying=False, failure="answered 503", remedy="check the receiver's log",
                in_flight=2 if one.name == "crm" else 0, rate=one.rate, host=one.host, url=f"https://{one.host}/hooks",
                delivered=one.delivered, pending=one.pending, exhausted=one.exhausted, filtered=one.filtered,
            )
        )  # fmt: skip
    return rows


def source_rows() -> list[SourceSummary]:
    def resource(name: str, label: str, requests: int, changes: int, empty: float, delay: float, pulled: int):  # type: ignore[no-untyped-def]
        return ResourceSummary(
            name=name, path=f"/{name}", label=label, requests=requests, changes=changes, empty_share=empty, delay=delay,
            pulled=pulled, polled=True, pulls=0, failure="", failing_since=None,
        )  # fmt: skip

    def one(
        name: str, inputs: list[tuple[str, str]], address: str, pushed: int, resources: list[ResourceSummary]
    ) -> SourceSummary:
        pulled = sum(r.pulled for r in resources)
        shown = [InputSummary(way=way, label=label) for way, label in inputs]
        return SourceSummary(
            name=name, inputs=shown, address=address, accepted=pushed + pulled, pulled=pulled, resources=resources
        )

    gate = "https://gate.example.com/in/"
    return [
        one("payments", [("push", "webhook, stripe"), ("pull", "API")], gate + "payments", 8120,
            [resource("payments", "updated by webhooks, reconciled every 1h", 212, 8098, 0.97, 1.2, 9)]),
        one("shop", [("pull", "API")], "https://shop.example.com/api", 0,
            [resource("orders", "polled every 5m", 4320, 5302, 0.41, 141.0, 5302)]),
        one("accounting", [("pull", "API")], "https://accounts.example.com/v2", 0,
            [resource("customers", "polled every 15m", 1440, 61, 0.962, 422.0, 61)]),
        one("leads", [("push", "form")], gate + "leads", 1290, []),
        one("crm", [("push", "publish")], "", 3604, []),
    ]  # fmt: skip


_TYPES = (
    ("charge.succeeded", "payments", "webhook", "cus_9s6XKzkNRiz8i3"),
    ("orders.updated", "shop", "poll", "ord-10293"),
    ("lead.submitted", "leads", "form", None),
    ("deal.closed", "crm", "publish", "deal-771"),
    ("customers.updated", "accounting", "poll", "C-4410"),
    ("charge.refunded", "payments", "webhook", "cus_Hk2lQ0aaX91b"),
    ("payments.created", "payments", "reconcile", "pay_88121"),
)


def event_rows(number: int) -> list[EventRow]:
    rows = []
    for i in range(number):
        kind, source, origin, key = _TYPES[(i * 3) % len(_TYPES)]
        dots = [("delivered", "delivered", name) for name in ("crm", "sales-channel", "newsletter")][: 1 + i % 3]
        dots += [("retry", "retrying", "warehouse")] * (i % 4 == 1) + [("pending", "pending", "ledger")] * (i % 5 == 3)
        if i == 9:
            dots = [("exhausted", "exhausted", "newsletter")]
        shown = [DeliveryDot(icon=icon, label=label, destination=name) for icon, label, name in dots]
        rows.append(
            EventRow(
                id=event_id(18432 - i), offset=18432 - i, source=source, type=kind, key=key, origin=origin,
                received_at=ago(4 + i * i * 11), more=0, deliveries=shown, updates="",
            )
        )  # fmt: skip
    return rows


FINDINGS = [
    finding("destination_failing", "destination:warehouse", "Answered 503. 48 deliveries pending.",
            "check the receiver's log", "answers 503", ago(742)),
    finding("dead_letters", "destination:newsletter", "7 deliveries used all attempts."),
    finding("polls_failing", "resource:shop/orders", "The source answered 401.", since=ago(3400)),
    finding("destination_paused", "destination:ledger", "Paused by an operator. 212 deliveries pending.", since=ago(5400)),
]  # fmt: skip


def overview_page(*, calm: bool = False) -> overview.Overview:
    totals = Totals(accepted=18432, unrouted=120, delivered=24737, pending=263, exhausted=7, canceled=0, filtered=10136)
    if calm:
        totals = Totals(accepted=18432, unrouted=120, delivered=15112, pending=0, filtered=10034)
    rejections = [
        RejectionSchema(ago(64), "payments", "signature_wrong", "no v1 signature fits", "192.0.2.7"),
        RejectionSchema(ago(1900), "payments", "too_old", "the timestamp is 912 s old", "192.0.2.7"),
        RejectionSchema(ago(4100), "shop", "too_large", "content-length 9000000", "192.0.2.9"),
    ]
    return overview.view(
        overview.Snapshot(
            totals=totals,
            sources=source_rows(),
            destinations=destination_rows()[:2] if calm else destination_rows(),
            events=event_rows(8),
            findings=[] if calm else FINDINGS,
            rejections=[] if calm else rejections,
        )
    )


def attempt(number: int, at: str, status: int | None, outcome: str = "http_error", error: str = "") -> AttemptSchema:
    return AttemptSchema(
        id=f"att_{number}", number=number, outcome="ok" if status == 200 else outcome, status=status, error=error,
        started_at=at, duration_ms=184.2 if status else 15000.0, manual=False, url="https://wms.example.net/hooks",
        answer_headers=[("content-type", "application/json"), ("retry-after", "300")] if status else [],
        answer_body='{"error": "maintenance until 18:00"}' if status and status != 200 else "ok" if status else "",
        answer_bytes=36,
    )  # fmt: skip


def delivery(destination: str, state: str, attempts: list[AttemptSchema], **more: Any) -> DeliverySchema:
    first = next((a.started_at for a in attempts if a.outcome == "ok"), None)
    return DeliverySchema(
        id=f"dlv_4k2m9q0000000000jq1{destination[:3]}", event=event_id(18431), event_type="charge.succeeded",
        source="payments", destination=destination, state=state, cause=more.get("cause", ""), attempts=attempts,
        next_attempt_at=more.get("due"), first_delivered_at=first, route="big-sales",
    )  # fmt: skip


PAYLOAD = {
    "object": {
        "id": "ch_3PqR2eZvKYlo2C1x", "object": "charge", "amount": 129900, "currency": "eur", "paid": True,
        "customer": "cus_9s6XKzkNRiz8i3", "description": None,
        "billing_details": {"name": "Ada <b>Lovelace</b>", "email": "ada@example.com", "address": {"city": "Bremen", "country": "DE"}},
        "metadata": {"order": "10293", "note": "second instalment"},
        "refunds": [], "items": [{"sku": "tide-table-2027", "quantity": 2}, {"sku": "coast-chart", "quantity": 1}],
    }
}  # fmt: skip


def event_schema(change: ChangeSchema | None = None, data: Any = PAYLOAD) -> EventSchema:
    return EventSchema(
        id=event_id(18431), offset=18431, source="payments", type="charge.succeeded", key="cus_9s6XKzkNRiz8i3",
        origin="webhook", time=ago(701), received_at=ago(700), data=data, change=change,
        content_type="application/json; charset=utf-8", body_bytes=1289, hops=0, differs=False,
        headers=[("content-type", "application/json"), ("stripe-signature", "[redacted]"), ("user-agent", "Stripe/1.0")],
    )  # fmt: skip


def explained(
    schema: EventSchema, deliveries: list[DeliverySchema], routes: list[RouteDecision] | None = None
) -> Explanation:
    """As `query/explain.py` makes it, for destinations that are healthy."""
    shown = [explanation.explain_delivery(one, DestinationState()) for one in deliveries]
    return Explanation(
        event=schema, seen={}, summary=explanation.summary(shown, []), origin=explanation.origin(schema),
        signature=explanation.signature(schema, config.WebhookInput(verify="stripe", secret="whsec_x")),
        delivered_to=explanation.delivered_to(shown, []), next=explanation.next_step(shown, [], routed=True),
        routes=routes or [], deliveries=shown,
    )  # fmt: skip


def event_page(shown: str = "tree", data: Any = PAYLOAD) -> event.EventPage:
    routes = [
        RouteDecision(route="big-sales", revision=3, selected=True, destinations=["crm", "warehouse"], reason="selected the event"),
        RouteDecision(route="newsletter", revision=4, selected=True, destinations=["newsletter"], reason="selected the event"),
        RouteDecision(route="refunds", revision=5, selected=False, destinations=[],
                      reason="type 'charge.succeeded' is none of charge.refunded, refund.*"),
        RouteDecision(route="large-orders", revision=6, selected=False, destinations=[],
                      reason="filter: data.object.amount is 129900, and $gte wants 500000"),
    ]  # fmt: skip
    deliveries = [
        delivery("crm", "delivered", [attempt(1, ago(699.8), 200)]),
        delivery("warehouse", "pending", [
            attempt(1, ago(699), 503, error="it answered 503 Service Unavailable"),
            attempt(2, ago(693), None, "timeout", "no answer within 15 s"),
            attempt(3, ago(388), 503, error="it answered 503 Service Unavailable"),
        ], due=ago(-1412)),
        delivery("newsletter", "exhausted", [
            attempt(1, ago(699), 500), attempt(2, ago(694), 500), attempt(3, ago(390), None, "refused", "connection refused"),
        ], cause="http_error"),
    ]  # fmt: skip
    body = json.dumps(data).encode()
    sent = {one.id: sent_request() for one in deliveries if one.attempts}
    return event.view(explained(event_schema(data=data), deliveries, routes), body, Wanted(view=shown), sent, NOW)


def sent_request() -> RequestSchema:
    """A request with everything that a signed delivery has."""
    body = json.dumps({"type": "charge.succeeded", "data": PAYLOAD})
    headers = [
        ("user-agent", "Tidegate/0.2.0"), ("authorization", "[redacted]"), ("content-type", "application/json"),
        ("webhook-id", event_id(18431)), ("webhook-timestamp", "1796059200"), ("webhook-signature", "v1,K5oZfz" * 5),
        ("tidegate-source", "payments"), ("tidegate-type", "charge.succeeded"), ("tidegate-attempt", "2"),
    ]  # fmt: skip
    return RequestSchema(
        method="POST", url="https://crm.example.com/hooks", headers=headers, body=body, body_encoding="utf-8",
        body_bytes=len(body), body_cut=False,
    )  # fmt: skip


def delivery_page(shown: str = "http") -> delivery_pages.DeliveryPage:
    tried = [attempt(1, ago(900), 503), attempt(2, ago(600), None, "timeout", "no answer within 15 s")]
    tried[-1].request = sent_request()
    one = delivery("warehouse", "pending", tried, due=ago(-240))
    (found,) = explained(event_schema(), [one]).deliveries
    return delivery_pages.view(event_schema(), found, tried[-1], shown, NOW)


def edit_form() -> edit.EditForm:
    body = json.dumps(PAYLOAD, indent=2)
    return edit.EditForm(
        event=event_id(18431), type="charge.succeeded", destination="crm", names=["crm", "warehouse"], body=body,
        why_not="",
    )  # fmt: skip


def edit_review() -> edit.Review:
    return edit.Review(
        event=event_id(18431), type="charge.succeeded", destination="crm", address="https://crm.example.com/hooks",
        paused=True, edited=True, differences=[("amount", "129900", "1")], headers=[("x-note", "by hand")],
        body_text='{"amount": 1}', headers_text="x-note: by hand", changed_body=True,
    )  # fmt: skip


def replays_page() -> replays.ReplaysPage:
    query = {"destination": "crm", "state": "exhausted"}
    jobs = [
        ReplaySchema(
            id=f"rpl_{number}", created_at=ago(60 * number), query=query, committed_offset=500 * number, upto=1000,
            matched=48 * number, reopened=20 * number, finished_at=ago(3) if number > 1 else None, cause=cause,
        )
        for number, cause in ((1, ""), (2, ""), (3, "canceled"))
    ]  # fmt: skip
    return replays.ReplaysPage(
        lines=[replays.line_of(one) for one in jobs], running=True, sources=["payments"], destinations=["crm"],
        states=replays.STATES, asked=dict.fromkeys(replays.FIELDS, "") | query, counted=48,
        selection=replays.words_of(query),
    )  # fmt: skip


def change_page() -> event.EventPage:
    before = {
        "id": "C-4410",
        "name": "Brot & Meer GmbH",
        "city": "Bremen",
        "email": "office@brot.example",
        "phone": "+49 421 1",
    }
    after = {
        "id": "C-4410",
        "name": "Brot & Meer GmbH",
        "city": "Bremerhaven",
        "email": "kontor@brot.example",
        "vat": "DE811",
    }
    change = ChangeSchema("customers", before, ["city", "email", "phone", "vat"], "2026-11-24T17:00:00Z", 4)
    schema = event_schema(change, after)
    schema.type, schema.source, schema.origin, schema.key = "customers.updated", "accounting", "poll", "C-4410"
    found = explained(schema, [delivery("crm", "delivered", [attempt(1, ago(690), 200)])])
    return event.view(found, b"{}", Wanted(), {}, NOW)


def destination_page(index: int) -> destinations.DestinationPage:
    row = destination_rows()[index]
    spec = WebhookDestination(url=row.url, rate=row.rate)
    paused_at_us, reason = (NOW, "operator") if row.paused else (None, "")
    live = ActiveDestination(1, row.name, spec, "file", paused_at_us, reason, ())
    tried = [attempt(1, ago(900), 503), attempt(2, ago(600), 503)]
    page = destinations.view(row, live)
    if row.pending:
        waiting = [delivery("crm", "pending", tried, due=ago(-60 * i - 22)) for i in range(6)]
        page.pending = [destinations.row_of(one) for one in waiting]
        page.oldest_at = ago(911)
    page.dead = [
        destinations.row_of(delivery("crm", "exhausted", tried, cause="http_error")) for _ in range(row.exhausted)
    ]
    page.routes = [
        RouteLine(name="big-sales", label="from payments: types charge.succeeded, filtered, transformed"),
        RouteLine(name="order-changes", label="from shop: changes of orders"),
    ]
    page.test = LastTest(
        ok=False, label="503", error="it answered 503 Service Unavailable", duration="184 ms", body="maintenance"
    )
    return page


def advice(word: str, sentence: str = "", every: float | None = None) -> AdviceSchema:
    return AdviceSchema(
        resource="x/y", recommendation=word, label=wording.label(word, every), every_seconds=every, reason=sentence,
        sentence=sentence, confidence="high", confidence_reason="120 changes seen", would_change="", evidence=[],
        measured_seconds=604_800.0, assumptions=[], interval=None, now=Effect(), after=None, apply=None, undo=False, curve=[],
    )  # fmt: skip


def compare_page() -> compare.Comparison | None:
    """Five resources as the rules see them: polled for little, pushed and reconciled, and read on demand."""
    return comparison.page()


def pages() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """name -> (template, section, context)."""
    filters = {"q": "", "source": "", "type": "", "key": "", "origin": "", "within": "", "healed": ""}
    pager = lists.Pager("", "", "")
    login = {"to": "/", "host": "127.0.0.1:8420", "problem": ""}
    return {
        "overview": ("overview.html", "overview", {"view": overview_page()}),
        "overview-calm": ("overview.html", "overview", {"view": overview_page(calm=True)}),
        "events": ("events.html", "events", {
            "events": event_rows(25), "f": filters, "filtered": False, "follow": "/events?", "older": "/events?cursor=x",
            "sources": ["payments", "shop"], "origins": ("webhook", "poll"), "spans": (("1h", "in the last hour"),)}),
        "event": ("event.html", "events", {"view": event_page()}),
        "event-raw": ("event.html", "events", {"view": event_page("raw")}),
        "change": ("event.html", "events", {"view": change_page()}),
        "delivery": ("delivery.html", "events", {"view": delivery_page()}),
        "delivery-curl": ("delivery.html", "events", {"view": delivery_page("curl")}),
        "edit": ("edit.html", "events", {"view": edit_form()}),
        "review": ("review.html", "events", {"view": edit_review()}),
        "replays": ("replays.html", "events", {"view": replays_page()}),
        "destinations": ("destinations.html", "destinations", {
            "destinations": destination_rows(), "subline": "5 destinations, 2 need attention.", "pager": pager}),
        "destination": ("destination.html", "destinations", {"view": destination_page(2)}),
        "destination-dead": ("destination.html", "destinations", {"view": destination_page(4)}),
        "sources": ("sources.html", "sources", {
            "sources": source_rows(), "subline": "5 sources: webhooks, forms, published events and polled APIs.", "pager": pager}),
        "compare": ("compare.html", "compare", {"view": compare_page(), "windows": compare.WINDOWS}),
        "login": ("login.html", "", {"token": "", **login}),
        "login-link": ("login.html", "", {"token": "abc", **login}),
        "error": ("error.html", "", {"title": "Not found", "status": 404, "code": "not_found",
                  "message": "there is no event 'evt_nothing'", "hint": "list the events that are kept: tidegate events"}),
    }  # fmt: skip


__all__ = ["NOW", "advice", "explained", "pages"]
