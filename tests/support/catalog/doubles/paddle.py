"""Paddle Billing: full URLs of the next page on every page, `updated_at[GTE]` for transactions only."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Page, Tokens
from support.catalog.shape import Ask, Double, Needed, Refused, Reply, State, Table, Test, Unseen
from support.catalog.times import iso_us, read_zoned
from support.catalog.where import Condition, param

NEVER = Unseen("d", "Paddle archives rows and never deletes them")


def row(prefix: str, field: str) -> Any:
    def shown(state: State) -> dict[str, Any]:
        return {
            "id": f"{prefix}_{state.number}", field: state.mark, "status": "active",
            "email": (state.values.get("body") or {}).get("email"), "created_at": iso_us(state.created_us),
            "updated_at": iso_us(state.at_us),
        }  # fmt: skip

    return shown


def table(name: str, prefix: str, field: str) -> Table:
    return Table(
        name=name, row=row(prefix, field), ident=lambda n: f"{prefix}_{n}", resolution_us=1, changes="cu", first=60,
        fields={"email": lambda state: (state.values.get("body") or {}).get("email")},
    )  # fmt: skip


def order(ask: Ask) -> Any:
    given = ask.get("order_by", "id[DESC]")
    known = {"id[ASC]": ("id", False), "id[DESC]": ("id", True), "updated_at[ASC]": ("updated", False)}
    if given not in known:
        raise Refused("bad_request", f"order_by {given}")
    return (known[given],)


def by_email(ask: Ask) -> list[Condition]:
    return [Condition("email", "=", ask.get("email"))] if ask.get("email") else []


def pagination(ask: Ask, world: Any, page: Page) -> dict[str, Any]:
    return {"meta.request_id": "r-1"}


def listing(name: str, *where: Any) -> Listing:
    return Listing(
        path=f"/{name}",
        table=name,
        put="data",
        pages=Tokens(
            token="after", next_url="meta.pagination.next", url_param="after", size="per_page", default=50,
            maximum=200, has_more="meta.pagination.has_more", always=True, served=40,
        ),
        where=where,
        order=order,
        extra=pagination,
    )  # fmt: skip


def refuse(left: Left) -> Reply:
    body = {"error": {"type": "api_error", "code": "too_many_requests"}}
    return Reply(429, body, {"retry-after": str(left.wait_seconds)})


DOUBLE = Double(
    name="paddle",
    sources=(
        "https://developer.paddle.com/api-reference/transactions/list-transactions",
        "https://developer.paddle.com/api-reference/about/pagination",
        "https://developer.paddle.com/api-reference/about/rate-limiting",
    ),
    auth=bearer(),
    needs=(Needed("paddle-version", lambda value: value == "1"),),
    quotas=(Quota(limit=240, seconds=60, refuse=refuse),),
    error=lambda kind, status, message: {"error": {"type": "request_error", "code": kind, "detail": message}},
    tables=(
        table("transactions", "txn", "origin"), table("customers", "ctm", "name"), table("subscriptions", "sub", "n"),
    ),
    resources={"transactions": "transactions", "customers": "customers", "subscriptions": "subscriptions"},
    unseen={"transactions": NEVER, "customers": NEVER, "subscriptions": NEVER},
    ignored=("status",),
    calls=(
        listing("transactions", param("updated_at[GTE]", ">=", "updated", read_zoned)),
        Item(path="/transactions/{id}", table="transactions", put="data"),
        listing("customers", by_email),
        Item(path="/customers/{id}", table="customers", put="data"),
        Write(
            path="/customers", table="customers", needs=("body:email",), unique="body:email", put="data", status=201
        ),
        Write(path="/customers/{id}", method="PATCH", table="customers", does="update", put="data"),
        listing("subscriptions"),
        Item(path="/subscriptions/{id}", table="subscriptions", put="data"),
    ),
    operations={
        "create_customer": Test(data={"email": "{n}@example.com", "name": "A"}, table="customers"),
        "update_customer": Test(
            data={"email": "{n}@example.com", "name": "A"}, table="customers", after=("create_customer",),
            creates=False,
        ),
    },
)  # fmt: skip
