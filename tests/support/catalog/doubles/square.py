"""Square: payments by `updated_at_begin_time`, searches in POST, a catalog with deleted objects, keys in bodies."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Write, order_param
from support.catalog.pages import Tokens
from support.catalog.shape import Ask, Double, Needed, State, Table, Test, Unseen
from support.catalog.times import iso_ms, read_zoned
from support.catalog.where import Condition, hides_gone, needed, param

YEAR_US = 365 * 86_400 * 1_000_000
SORTS = {"CREATED_AT": "created", "UPDATED_AT": "updated"}


def times(state: State) -> dict[str, str]:
    return {"created_at": iso_ms(state.created_us), "updated_at": iso_ms(state.at_us)}


def payment(state: State) -> dict[str, Any]:
    return {"id": f"pay{state.number}", "status": "COMPLETED", "note": state.mark, **times(state)}


def customer(state: State) -> dict[str, Any]:
    return {"id": f"cus{state.number}", "given_name": state.mark, **times(state)}


def item(state: State) -> dict[str, Any]:
    return {
        "type": "ITEM",
        "id": f"item{state.number}",
        "is_deleted": state.gone,
        "updated_at": iso_ms(state.at_us),
        "item_data": {"name": state.mark},
    }


def last_year(ask: Ask) -> list[Condition]:
    """Without a begin, payments go back one year."""
    if ask.get("updated_at_begin_time") or ask.get("begin_time"):
        return []
    return [Condition("created", ">=", ask.now_us - YEAR_US)]


def with_deleted(ask: Ask) -> list[Condition]:
    return [] if ask.get("body:include_deleted_objects") is True else [Condition("gone", "=", False)]


def in_body(maximum: int) -> Tokens:
    return Tokens(token="body:cursor", out="cursor", size="body:limit", default=maximum, maximum=maximum, served=40)


def error(kind: str, status: int, message: str) -> dict[str, Any]:
    return {"errors": [{"category": "API_ERROR", "code": kind.upper(), "detail": message}]}


DOUBLE = Double(
    name="square",
    sources=(
        "https://developer.squareup.com/reference/square/payments-api/list-payments",
        "https://developer.squareup.com/reference/square/customers-api/search-customers",
        "https://developer.squareup.com/reference/square/catalog-api/search-catalog-objects",
    ),
    base="/v2",
    auth=bearer(),
    needs=(Needed("square-version"),),
    error=error,
    tables=(
        Table(name="payments", row=payment, ident=lambda n: f"pay{n}", resolution_us=1000, changes="cu", first=60),
        Table(name="customers", row=customer, ident=lambda n: f"cus{n}", resolution_us=1000, lag_seconds=60, first=60),
        Table(name="items", row=item, ident=lambda n: f"item{n}", tombstone=item, resolution_us=1000),
    ),
    resources={"payments": "payments", "customers": "customers", "items": "items"},
    unseen={"payments": Unseen("d", "a payment is never deleted")},
    calls=(
        Listing(
            path="/payments",
            table="payments",
            put="payments",
            pages=Tokens(token="cursor", out="cursor", size="limit", default=100, maximum=100, served=40),
            where=(last_year, param("updated_at_begin_time", ">=", "updated", read_zoned)),
            order=order_param("sort_field", SORTS, (("created", True),), "sort_order"),
            absent=True,
        ),
        Item(path="/payments/{id}", table="payments", put="payment"),
        Listing(
            path="/customers/search",
            method="POST",
            table="customers",
            put="customers",
            pages=in_body(100),
            where=(param("body:query.filter.updated_at.start_at", ">=", "updated", read_zoned), hides_gone()),
            order=(("created", False),),
            late=True,
            absent=True,
        ),
        Item(path="/customers/{id}", table="customers", put="customer"),
        Write(
            path="/customers", table="customers", needs=("body:idempotency_key",), put="customer",
            repeat_key="body:idempotency_key",
        ),
        Write(path="/customers/{id}", method="PUT", table="customers", does="update", put="customer"),
        Listing(
            path="/catalog/search",
            method="POST",
            table="items",
            put="objects",
            pages=in_body(100),
            where=(
                needed("body:object_types"), with_deleted, param("body:begin_time", ">", "updated", read_zoned),
            ),
            absent=True,
        ),
        Item(path="/catalog/object/{id}", table="items", put="object", gone="shown"),
    ),
    operations={
        "create_customer": Test(data={"given_name": "A", "email": "a@example.com"}, table="customers"),
        "update_customer": Test(
            data={"given_name": "A", "email": "a@example.com"}, table="customers", after=("create_customer",),
            creates=False,
        ),
    },
)  # fmt: skip
