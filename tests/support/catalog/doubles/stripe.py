"""Stripe: lists newest first without a filter for updates, a feed of events, idempotency keys, forms with brackets."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import basic, bearer, either
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Quota
from support.catalog.pages import Tokens
from support.catalog.shape import DAY, Ask, Double, Needed, Reply, State, Table, Test
from support.catalog.times import epoch_s, read_epoch_s
from support.catalog.where import Condition, Where, hides_gone, param

CREATED = tuple(
    param(f"created[{name}]", op, "created", read_epoch_s)
    for name, op in (("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<="))
)
CUSTOMER, INVOICE, SUBSCRIPTION = "cus_{:014d}", "in_{:014d}", "sub_{:014d}"


def customer(state: State) -> dict[str, Any]:
    return {
        "id": CUSTOMER.format(state.number),
        "object": "customer",
        "created": epoch_s(state.created_us),
        "email": (state.values.get("body") or {}).get("email", "a@example.com"),
        "name": state.mark,
    }


def invoice(state: State) -> dict[str, Any]:
    return {
        "id": INVOICE.format(state.number),
        "object": "invoice",
        "created": epoch_s(state.created_us),
        "description": state.mark,
        "status": "open",
    }


def status_of(state: State) -> str:
    return "canceled" if state.n % 4 == 0 else "active"


def subscription(state: State) -> dict[str, Any]:
    return {
        "id": SUBSCRIPTION.format(state.number),
        "object": "subscription",
        "created": epoch_s(state.created_us),
        "description": state.mark,
        "status": status_of(state),
    }


def status_filter(ask: Ask) -> list[Condition]:
    """Without `status` canceled ones are left out; `all` has them."""
    given = ask.get("status", "")
    if given == "all":
        return []
    return [Condition("status", "=", given) if given else Condition("status", "!=", "canceled")]


def refund(state: State) -> dict[str, Any]:
    return {"id": f"re_{state.number:014d}", "object": "refund", "reason": state.mark}


def event(state: State) -> dict[str, Any]:
    of = state.of
    assert of is not None
    return {
        "id": f"evt_{state.number:014d}",
        "object": "event",
        "created": epoch_s(state.created_us),
        "type": f"customer.{of.kind}",
        "request": {"id": state.mark},
        "data": {"object": {**customer(of), "name": f"number {of.n}"}},
    }


def listing(path: str, table: str, ident: str, *where: Where) -> Listing:
    pages = Tokens(
        token="starting_after",
        from_last=lambda state: ident.format(state.number),
        size="limit",
        default=10,
        maximum=100,
        over="error",
        has_more="has_more",
    )
    return Listing(
        path=path,
        table=table,
        put="data",
        pages=pages,
        where=(*CREATED, *where, hides_gone()),
        order=(("created", True),),
        extra=lambda ask, world, page: {"object": "list", "url": path},
    )


def limited(left: Any) -> Reply:
    return Reply(
        429,
        {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests"}},
        {"Stripe-Should-Retry": "true"},
    )


DOUBLE = Double(
    name="stripe",
    sources=(
        "https://docs.stripe.com/api/pagination",
        "https://docs.stripe.com/api/events/list",
        "https://docs.stripe.com/rate-limits",
        "https://docs.stripe.com/api/idempotent_requests",
        "https://docs.stripe.com/api/customers/delete",
    ),
    auth=either(bearer(), basic()),
    needs=(Needed("stripe-version"),),  # without it the version of the account answers
    quotas=(Quota(limit=25, seconds=1, refuse=limited),),
    error=lambda kind, status, message: {"error": {"type": "invalid_request_error", "message": message}},
    tables=(
        Table(
            name="customers",
            row=customer,
            ident=CUSTOMER.format,
            first=120,
            tombstone=lambda state: {"id": CUSTOMER.format(state.number), "object": "customer", "deleted": True},
        ),
        Table(name="invoices", row=invoice, ident=INVOICE.format, first=30),
        Table(
            name="subscriptions",
            row=subscription,
            ident=SUBSCRIPTION.format,
            changes="cu",
            fields={"status": status_of},
        ),
        Table(name="refunds", row=refund, changes="", first=0),
        Table(name="events", row=event, ident="evt_{:014d}".format, log_of="customers", kept_seconds=30 * DAY // 10**6),
    ),
    resources={"customers": "customers", "invoices": "invoices", "subscriptions": "subscriptions", "events": "events"},
    calls=(
        listing("/v1/customers", "customers", CUSTOMER),
        Item(path="/v1/customers/{id}", table="customers", gone="shown"),
        listing("/v1/invoices", "invoices", INVOICE),
        Item(path="/v1/invoices/{id}", table="invoices"),
        listing("/v1/subscriptions", "subscriptions", SUBSCRIPTION, status_filter),
        Item(path="/v1/subscriptions/{id}", table="subscriptions"),
        listing("/v1/events", "events", "evt_{:014d}"),
        Item(path="/v1/events/{id}", table="events"),
        Write(path="/v1/customers", table="customers", repeat_key="header:idempotency-key"),
        Write(path="/v1/customers/{id}", table="customers", does="update", repeat_key="header:idempotency-key"),
        Write(path="/v1/refunds", table="refunds", needs=("body:charge",), repeat_key="header:idempotency-key"),
    ),
    operations={
        "create_customer": Test(data={"email": "{n}@example.com", "name": "N"}, table="customers"),
        "refund": Test(data={"charge": "ch_{n}"}, table="refunds"),
    },
)
