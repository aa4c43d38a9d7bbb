"""PayPal: transactions in windows of at most 31 days that appear hours late, links among others, pages with a total."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered, Page, Tokens
from support.catalog.shape import DAY, Ask, Double, Refused, Reply, State, Table, Test, Unseen
from support.catalog.times import iso_ms, iso_s, read_zoned
from support.catalog.where import Condition, hides_gone, param, read
from support.catalog.world import World

SPAN_US = 31 * DAY
YEARS_US = 3 * 365 * DAY
DISPUTES_US = 180 * DAY
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def zone(us: int) -> str:
    """As rows have it, which the parameters do not take."""
    return iso_s(us)[:-1] + "+0000"


def transaction(state: State) -> dict[str, Any]:
    info = {
        "transaction_id": f"5TY{state.number:014d}",
        "transaction_event_code": "T0006",
        "transaction_initiation_date": zone(state.created_us),
        "transaction_updated_date": zone(state.at_us),
        "transaction_amount": {"currency_code": "EUR", "value": "49.00"},
        "transaction_status": "S",
        "transaction_subject": state.mark,
    }
    return {"transaction_info": info, "payer_info": {"email_address": "mira@example.com"}}


def dispute(state: State) -> dict[str, Any]:
    return {
        "dispute_id": f"PP-D-{state.number}",
        "create_time": iso_ms(state.created_us),
        "update_time": iso_ms(state.at_us),
        "reason": state.mark,
        "status": "OPEN",
        "dispute_state": "REQUIRED_ACTION",
    }


def invoice_id(number: int) -> str:
    return f"INV2-W44B-KRGF-JM6R-{number:04d}"


def invoice(state: State) -> dict[str, Any]:
    times = {"create_time": iso_s(state.created_us), "last_update_time": iso_s(state.at_us)}
    return {
        "id": invoice_id(state.number),
        "status": "DRAFT",
        "detail": {"currency_code": "EUR", "reference": "r", "note": state.mark, "metadata": times},
        "amount": {"currency_code": "EUR", "value": "49.00"},
    }


def refund(state: State) -> dict[str, Any]:
    return {"id": f"R{state.number}", "status": "COMPLETED", "note_to_payer": state.mark}


def instant(ask: Ask, name: str) -> int:
    given = ask.get(name)
    if not given or _TIME.fullmatch(given) is None:
        raise Refused("bad_request", f"{name} must be an Internet date and time with seconds, and it is {given!r}")
    return read(read_zoned, given, name)  # type: ignore[no-any-return]


def span(ask: Ask) -> list[Condition]:
    begin, end = instant(ask, "start_date"), instant(ask, "end_date")
    if end < begin or end - begin > SPAN_US:
        raise Refused("bad_request", "Date range is greater than 31 days")
    if begin < ask.now_us - YEARS_US:
        raise Refused("bad_request", "Data for the given start date is not available")
    return [Condition("created", ">=", begin), Condition("created", "<=", end)]


def recent(ask: Ask) -> list[Condition]:
    if ask.get("update_time_after") and read(read_zoned, ask.get("update_time_after"), "update_time_after") < (
        ask.now_us - DISPUTES_US
    ):
        raise Refused("bad_request", "update_time_after must be within the last 180 days")
    return []


class Linked(Listing, kw_only=True):
    """A list whose link to the next page is one of several."""

    def reply(self, ask: Ask, world: World, page: Page) -> Reply:
        found = super().reply(ask, world, page)
        following = found.body.pop("next", None)
        found.body["links"] = [{"href": ask.url + ask.target, "rel": "self", "method": "GET"}]
        if following is not None:
            found.body["links"].append({"href": following, "rel": "next", "method": "GET"})
        return found


def create_invoice(ask: Ask, world: World) -> Reply:
    given = ask.body or {}
    if not (given.get("detail") or {}).get("currency_code") or not given.get("items"):
        raise Refused("unprocessable", "detail.currency_code and items are required")
    row = invoice(world.rows("invoices").create())
    whole = ask.get("header:Prefer") == "return=representation"
    return Reply(201, row if whole else {"href": "https://api-m.paypal.com/v2/invoicing/invoices/" + row["id"]})


def send(ask: Ask, world: World) -> Reply:
    state = world.rows("invoices").find(ask.fields["id"])
    if state is None or state.gone:
        raise Refused("not_found", "The invoice does not exist")
    world.rows("invoices").update(state.number)
    return Reply(200, {"href": "https://www.paypal.com/invoice/p/", "rel": "payer-view", "method": "GET"})


def refuse(left: Left) -> Reply:
    body = {"name": "RATE_LIMIT_REACHED", "message": "Too many requests. Blocked due to rate limiting."}
    return Reply(429, body)


def error(kind: str, status: int, message: str) -> dict[str, Any]:
    return {"name": "INVALID_REQUEST", "message": message, "debug_id": "90957fca61718", "details": []}


DOUBLE = Double(
    name="paypal",
    sources=(
        "https://github.com/paypal/paypal-rest-api-specifications/blob/main/openapi/reporting_transactions_v1.json",
        "https://github.com/paypal/paypal-rest-api-specifications/blob/main/openapi/customer_disputes_v1.json",
        "https://github.com/paypal/paypal-rest-api-specifications/blob/main/openapi/invoicing_v2.json",
        "https://github.com/paypal/paypal-rest-api-specifications/blob/main/openapi/payments_payment_v2.json",
    ),
    auth=bearer(),
    quotas=(Quota(limit=600, seconds=60, refuse=refuse),),
    error=error,
    tables=(
        Table(name="transactions", row=transaction, first=120, changes="cu", lag_seconds=3 * 3600),
        Table(name="disputes", row=dispute, ident=lambda n: f"PP-D-{n}", first=50, changes="cu", resolution_us=1000),
        Table(name="invoices", row=invoice, ident=invoice_id, first=60),
        Table(name="refunds", row=refund, first=1, changes=""),
    ),
    resources={"transactions": "transactions", "disputes": "disputes", "invoices": "invoices"},
    unseen={"transactions": Unseen("u", "the list is by the beginning of a transaction")},
    calls=(
        Listing(
            path="/v1/reporting/transactions", table="transactions", put="transaction_details", late=True,
            pages=Numbered(size="page_size", default=100, maximum=500, over="error", pages="total_pages", served=20),
            where=(span,), order=(("created", False),),
        ),
        Linked(
            path="/v1/customer/disputes", table="disputes", put="items",
            pages=Tokens(
                token="next_page_token", next_url="next", size="page_size", default=10, maximum=50, over="error",
                served=15, empty="absent",
            ),
            where=(recent, param("update_time_after", ">", "updated", read_zoned)), order=(("created", True),),
        ),
        Listing(
            path="/v2/invoicing/invoices", table="invoices", put="items",
            pages=Numbered(size="page_size", default=20, maximum=100, over="error", pages="total_pages", served=25),
            where=(hides_gone(),), order=(("created", True),),
        ),
        Custom(path="/v2/invoicing/invoices", method="POST", run=create_invoice),
        Custom(path="/v2/invoicing/invoices/{id}/send", method="POST", run=send),
        Write(
            path="/v2/payments/captures/{id}/refund", table="refunds", repeat_key="header:PayPal-Request-Id",
            status=201,
        ),
    ),
    ignored=("fields", "total_required"),
    operations={
        "create_invoice": Test(
            data={"currency": "EUR", "note": "N", "email": "mira@example.com", "name": "A", "amount": "49.00"},
            table="invoices", repeat="again",
        ),
        "send_invoice": Test(
            data={"currency": "EUR", "note": "N", "email": "mira@example.com", "name": "A", "amount": "49.00"},
            table="invoices", after=("create_invoice",), creates=False,
        ),
        "refund_capture": Test(data={"capture": "2GG279541U471931P", "note": "Sorry"}, table="refunds"),
    },
)  # fmt: skip
