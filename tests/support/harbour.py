"""A sample harbour: contexts of every page of the dashboard, from plain figures and forms, at a fixed instant.

For tests that look at pages as pages (weight, contrast in a browser, layout): the same templates and view functions as
the gateway's, with enough of everything (both ways, retries, dead letters, a pause, an open circuit, a change).
"""

from __future__ import annotations

import json
from typing import Any

from tidegate.core.clock import parse_instant, rfc3339
from tidegate.dashboard import formatting as words
from tidegate.dashboard.pages import compare, destinations, event, lists, overview
from tidegate.kinds.webhook import WebhookDestination
from tidegate.query.health import Trouble
from tidegate.query.schemas import (
    AttemptSchema,
    ChangeSchema,
    DeliverySchema,
    EventSchema,
    Explanation,
    RouteVerdict,
    Totals,
)
from tidegate.runtime import ActiveDestination

NOW = parse_instant("2026-11-24T17:18:43.120Z")


def ago(seconds: float) -> str:
    text = rfc3339(NOW - int(seconds * 1_000_000))
    assert text is not None
    return text


def event_id(offset: int) -> str:
    return f"evt_4k2m9q{offset:013d}"


_DESTINATIONS: tuple[tuple[Any, ...], ...] = (
    # name, type, delivered, pending, exhausted, filtered, sign, word, circuit, paused, rate, host
    ("crm", "webhook", 14210, 3, 0, 1204, "sending", "sending", "closed", False, "50/s", "crm.example.com"),
    ("sales-channel", "slack", 902, 0, 0, 8830, "delivered", "well", "closed", False, "1/s", "hooks.slack.com"),
    ("warehouse", "webhook", 6110, 48, 0, 12, "exhausted", "answers 503", "open", False, None, "wms.example.net"),
    ("ledger", "webhook", 3104, 212, 0, 0, "paused", "paused", "closed", True, "20/s", "ledger.example.com"),
    ("newsletter", "webhook", 411, 0, 7, 90, "delivered", "well", "closed", False, None, "mail.example.org"),
)


def destination_rows() -> list[dict[str, Any]]:
    rows = []
    for name, kind, done, pending, dead, filtered, sign, word, circuit, paused, rate, host in _DESTINATIONS:
        rows.append(
            {
                "name": name, "type": kind, "owner": "file", "sign": sign, "word": word, "paused": paused,
                "paused_at": ago(5400) if paused else None, "circuit_open": circuit != "closed", "circuit": circuit,
                "circuit_at": ago(742) if circuit != "closed" else None, "probe_at": ago(-9) if circuit != "closed" else None, "hold_until": None,
                "retrying": False, "fails": "the receiver answered 503",
                "advice": "Look at the receiver's own log.",
                "in_flight": 2 if name == "crm" else 0, "rate": rate,
                "host": host, "url": f"https://{host}/hooks", "delivered": done, "pending": pending,
                "exhausted": dead, "filtered": filtered,
                "delivered_share": f"{words.percent(done / (done + dead))} of what is settled",
            }
        )  # fmt: skip
    return rows


def source_rows() -> list[dict[str, Any]]:
    def resource(name: str, path: str, text: str, requests: int, changes: int, empty: float, late: float, pulled: int):  # type: ignore[no-untyped-def]
        return {"name": name, "path": path, "words": text, "requests": requests, "changes": changes,
                "empty_share": empty, "late": late, "pulled": pulled, "asked": True, "pulls": 0, "fails": "", "fails_since": None}  # fmt: skip

    def one(
        name: str, inputs: list[tuple[str, str]], address: str, pushed: int, resources: list[Any]
    ) -> dict[str, Any]:
        pulled = sum(r["pulled"] for r in resources)
        return {
            "name": name, "inputs": [{"way": way, "words": text} for way, text in inputs], "address": address,
            "accepted": pushed + pulled, "pulled": pulled, "pushed": pushed, "resources": resources,
            "requests": sum(r["requests"] for r in resources) if resources else None,
            "changes": sum(r["changes"] for r in resources) if resources else None,
        }  # fmt: skip

    gate = "https://gate.example.com/in/"
    return [
        one("payments", [("push", "webhook, stripe"), ("pull", "API")], gate + "payments", 8120,
            [resource("payments", "/payments", "fed by webhooks, reconciled every 1h", 212, 8098, 0.97, 1.2, 9)]),
        one("shop", [("pull", "API")], "https://shop.example.com/api", 0,
            [resource("orders", "/orders", "polled every 5m", 4320, 5302, 0.41, 141.0, 5302)]),
        one("accounting", [("pull", "API")], "https://counters.example.com/v2", 0,
            [resource("customers", "/customers", "polled every 15m", 1440, 61, 0.962, 422.0, 61)]),
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


def event_rows(number: int) -> list[dict[str, Any]]:
    rows = []
    for i in range(number):
        kind, source, origin, key = _TYPES[(i * 3) % len(_TYPES)]
        signs = [
            ("delivered", "delivered", "crm"),
            ("delivered", "delivered", "sales-channel"),
            ("delivered", "delivered", "newsletter"),
        ]
        signs = signs[: 1 + i % 3]
        if i % 4 == 1:
            signs.append(("retry", "waits for a retry", "warehouse"))
        if i % 5 == 3:
            signs.append(("pending", "pending", "ledger"))
        if i == 9:
            signs = [("exhausted", "exhausted", "newsletter")]
        shown = [] if i == 6 else [dict(zip(("sign", "state", "destination"), s, strict=True)) for s in signs]
        rows.append(
            {
                "id": event_id(18432 - i), "offset": 18432 - i, "source": source, "type": kind, "key": key,
                "origin": origin, "received_at": ago(4 + i * i * 11), "more": 0,
                "deliveries": shown, "told": lists.told(shown), "fed": "",
            }
        )  # fmt: skip
    return rows


TROUBLES = [
    Trouble(
        kind="destination",
        name="warehouse",
        state="failing",
        word="answers 503",
        what="the receiver answered 503;  48 deliveries wait",
        hint="check the log of the receiver",
        since=ago(742),
    ),
    Trouble(
        kind="destination",
        name="newsletter",
        state="dead_letters",
        word="dead letters",
        what="7 deliveries were given up",
        hint="mend what failed, then: tidegate replay --destination newsletter --state exhausted",
    ),
    Trouble(
        kind="resource",
        name="shop/orders",
        state="failing",
        word="polls fail",
        what="its polls fail: the source answered 401",
        hint="see what the source says: tidegate pull shop/orders --fresh",
        since=ago(3400),
    ),
    Trouble(
        kind="destination",
        name="ledger",
        state="paused",
        word="paused",
        what="a person paused it; 212 deliveries wait",
        hint="tidegate resume ledger",
        since=ago(5400),
    ),
]


def overview_page(*, calm: bool = False) -> dict[str, Any]:
    rows = destination_rows()
    if calm:
        rows = rows[:2]
    totals = Totals(accepted=18432, unrouted=120, delivered=24737, pending=263, exhausted=7, canceled=0, filtered=10136)
    if calm:
        totals = Totals(accepted=18432, unrouted=120, delivered=15112, pending=0, filtered=10034)
    rejections = [
        {"at": ago(64), "source": "payments", "reason": "signature_wrong", "detail": "no v1 signature fits"},
        {"at": ago(1900), "source": "payments", "reason": "too_old", "detail": "the timestamp is 912 s old"},
        {"at": ago(4100), "source": "shopp", "reason": "source_unknown", "detail": "no such source"},
    ]
    return overview.view(
        totals=totals,
        sources=source_rows(),
        destinations=rows,
        events=event_rows(8),
        troubles=[] if calm else TROUBLES,
        rejections=[] if calm else rejections,
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
        id=f"dlv_4k2m9q0000000000jq1{destination[:3]}", event=event_id(18431), event_type="charge.succeeded", source="payments",
        destination=destination, state=state, cause=more.get("cause", ""), attempts=attempts,
        next_attempt_at=more.get("due"), first_delivered_at=first, route="big-sales",
    )  # fmt: skip


PAYLOAD = {
    "object": {
        "id": "ch_3PqR2eZvKYlo2C1x", "object": "charge", "amount": 129900, "currency": "eur", "paid": True,
        "customer": "cus_9s6XKzkNRiz8i3", "description": None,
        "billing_details": {"name": "Ada <b>Lovelace</b>", "email": "ada@example.com", "address": {"city": "Bremen", "country": "DE"}},
        "metadata": {"order": "10293", "note": "second instalment"},
        "refunds": [], "items": [{"sku": "tide-table-2027", "quantity": 2}, {"sku": "harbour-chart", "quantity": 1}],
    }
}  # fmt: skip


def event_form(change: ChangeSchema | None = None, data: Any = PAYLOAD) -> EventSchema:
    return EventSchema(
        id=event_id(18431), offset=18431, source="payments", type="charge.succeeded", key="cus_9s6XKzkNRiz8i3",
        origin="webhook", time=ago(701), received_at=ago(700), data=data, change=change,
        content_type="application/json; charset=utf-8", body_bytes=1289, hops=0, differs=False,
        headers=[("content-type", "application/json"), ("stripe-signature", "[redacted]"), ("user-agent", "Stripe/1.0")],
    )  # fmt: skip


def event_page(shown: str = "tree", data: Any = PAYLOAD) -> dict[str, Any]:
    told = Explanation(
        event=event_form(data=data), seen={},
        routes=[
            RouteVerdict(route="big-sales", revision=3, took=True, destinations=["crm", "warehouse"], reason="it took the event"),
            RouteVerdict(route="letters", revision=4, took=True, destinations=["newsletter"], reason="it took the event"),
            RouteVerdict(route="refunds", revision=5, took=False, destinations=[],
                         reason="type 'charge.succeeded' is none of charge.refunded, refund.*"),
            RouteVerdict(route="large-orders", revision=6, took=False, destinations=[],
                         reason="filter: data.object.amount is 129900, and $gte wants 500000"),
        ],
        deliveries=[
            delivery("crm", "delivered", [attempt(1, ago(699.8), 200)]),
            delivery("warehouse", "pending", [
                attempt(1, ago(699), 503, error="the receiver answered 503 Service Unavailable"),
                attempt(2, ago(693), None, "timeout", "no answer within 15 s"),
                attempt(3, ago(388), 503, error="the receiver answered 503 Service Unavailable"),
            ], due=ago(-1412)),
            delivery("newsletter", "exhausted", [
                attempt(1, ago(699), 500), attempt(2, ago(694), 500), attempt(3, ago(390), None, "refused", "connection refused"),
            ], cause="http_error"),
        ],
        next=[],
    )  # fmt: skip
    genuine = {"words": "Yes, its signature was right", "more": "by the stripe scheme, before it was stored"}
    addresses = {"crm": "https://crm.example.com/hooks"}
    return event.view(
        told, now_us=NOW, genuine=genuine, addresses=addresses, shown=shown, body=json.dumps(data).encode()
    )


def change_page() -> dict[str, Any]:
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
    form = event_form(
        ChangeSchema("customers", before, ["city", "email", "phone", "vat"], "2026-11-24T17:00:00Z", 4), after
    )
    form.type, form.source, form.origin, form.key = "customers.updated", "accounting", "poll", "C-4410"
    told = Explanation(
        event=form, seen={}, routes=[], deliveries=[delivery("crm", "delivered", [attempt(1, ago(690), 200)])], next=[]
    )
    genuine = {"words": "Yes, we asked the source", "more": "the answer came from its own address"}
    return event.view(told, now_us=NOW, genuine=genuine, addresses={}, shown="tree", body=b"{}")


def destination_page(index: int) -> dict[str, Any]:
    row = destination_rows()[index]
    spec = WebhookDestination(url=row["url"], rate=row["rate"])
    live = ActiveDestination(
        1, row["name"], spec, "file", NOW if row["paused"] else None, "operator" if row["paused"] else "", ()
    )
    tried = [attempt(1, ago(900), 503), attempt(2, ago(600), 503)]
    waiting = [delivery("crm", "pending", tried, due=ago(-60 * i - 22)) for i in range(6)]
    dead = [delivery("crm", "exhausted", tried, cause="http_error") for _ in range(row["exhausted"])]
    return {
        "d": destinations.view(row, live),
        "waiting": [destinations._row(one) for one in waiting] if row["pending"] else [],
        "dead": [destinations._row(one) for one in dead],
        "routes": [{"name": "big-sales", "words": "from payments: types charge.succeeded, filtered, transformed"},
                   {"name": "order-changes", "words": "from shop: changes of orders"}],
        "oldest_at": ago(911) if row["pending"] else None,
        "test": {"ok": False, "answer": "503", "error": "the receiver answered 503 Service Unavailable", "took": "184 ms", "body": "maintenance"},
    }  # fmt: skip


def compare_page() -> dict[str, Any]:
    figures = [
        ("accounting/customers", {"requests": 1440, "changes": 61, "empty_share": 0.962, "by_origin": {"poll": 61}, "webhooks": 0,
         "staleness_by_origin": {"poll": {"p50_seconds": 422.0, "p99_seconds": 894.0}}},
         {"advice": "prefer_webhook", "reason": "24 requests were made for each change found"}),
        ("payments/payments", {"requests": 212, "changes": 8098, "empty_share": 0.97, "by_origin": {"webhook": 8089, "reconcile": 9},
         "webhooks": 8120, "staleness_by_origin": {"webhook": {"p50_seconds": 1.2, "p99_seconds": 6.4}, "poll": {}}},
         {"advice": "keep", "reason": "webhooks told 99.9 % of the changes, reconciling healed 9"}),
        ("shop/orders", {"requests": 4320, "changes": 5302, "empty_share": 0.21, "by_origin": {"poll": 5302}, "webhooks": 0,
         "staleness_by_origin": {"poll": {"p50_seconds": 141.0, "p99_seconds": 297.0}}},
         {"advice": "poll_more_often", "reason": "only 21% of polls found nothing, so changes wait; a webhook would not"}),
    ]  # fmt: skip
    return {"rows": [compare.view(name, counted, told) for name, counted, told in figures]}


def pages() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """name -> (template, section, context)."""
    filters = {"q": "", "source": "", "type": "", "key": "", "origin": "", "within": ""}
    return {
        "overview": ("overview.html", "overview", overview_page()),
        "overview-calm": ("overview.html", "overview", overview_page(calm=True)),
        "events": ("events.html", "events", {
            "events": event_rows(25), "f": filters, "filtered": False, "follow": "/events?", "older": "/events?cursor=x",
            "sources": ["payments", "shop"], "origins": ("webhook", "poll"), "spans": (("1h", "in the last hour"),)}),
        "event": ("event.html", "events", event_page()),
        "event-raw": ("event.html", "events", event_page("raw")),
        "change": ("event.html", "events", change_page()),
        "destinations": ("destinations.html", "destinations", {"destinations": destination_rows(), "subline": "5 receivers, 2 of them not well.", "turn": lists.Turn("", "", "")}),
        "destination": ("destination.html", "destinations", destination_page(2)),
        "destination-dead": ("destination.html", "destinations", destination_page(4)),
        "sources": ("sources.html", "sources", {"sources": source_rows(), "subline": "5 outside systems, told by webhook, form and publish, or asked by API.", "turn": lists.Turn("", "", "")}),
        "compare": ("compare.html", "compare", compare_page()),
        "login": ("login.html", "", {"token": "", "to": "/", "host": "127.0.0.1:8420", "problem": ""}),
        "login-link": ("login.html", "", {"token": "abc", "to": "/", "host": "127.0.0.1:8420", "problem": ""}),
        "error": ("error.html", "", {"title": "There is nothing here", "status": 404, "code": "not_found",
                  "message": "there is no event 'evt_nothing'", "hint": "it may be past the retention"}),
    }  # fmt: skip


__all__ = ["NOW", "pages"]
