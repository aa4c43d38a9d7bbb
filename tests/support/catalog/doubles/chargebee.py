"""Chargebee: rows wrapped by type, `updated_at[after]` in whole seconds, deleted rows with a flag, form bodies."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import key_as_user
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import epoch_ms, epoch_s, read_epoch_s
from support.catalog.where import hides_gone, param


def row(prefix: str, field: str) -> Any:
    def shown(state: State) -> dict[str, Any]:
        return {
            "id": f"{prefix}{state.number}",
            field: state.mark,
            "created_at": epoch_s(state.created_us),
            "updated_at": epoch_s(state.at_us),
            "resource_version": epoch_ms(state.at_us) + state.n,
            "deleted": state.gone,
        }

    return shown


def table(name: str, prefix: str, field: str) -> Table:
    shown = row(prefix, field)
    return Table(name=name, row=shown, tombstone=shown, ident=lambda n: f"{prefix}{n}", first=60)


def order(ask: Ask) -> Any:
    if ask.get("sort_by[asc]") == "updated_at":
        return (("updated", False),)
    if ask.get("sort_by[asc]") or ask.get("sort_by[desc]"):
        raise Refused("bad_request", "sort_by")
    return (("created", True),)


def listing(name: str) -> Listing:
    one = name.removesuffix("s")
    return Listing(
        path=f"/{name}",
        table=name,
        put="list",
        pages=Tokens(token="offset", out="next_offset", size="limit", default=10, maximum=100, over="error"),
        where=(param("updated_at[after]", ">", "updated", read_epoch_s), hides_gone("include_deleted")),
        order=order,
        wrap=lambda shown, state: {one: shown},
    )


def refuse(left: Left) -> Reply:
    body = {"message": "API access blocked", "api_error_code": "api_request_limit_exceeded", "http_status_code": 429}
    return Reply(429, body, {"retry-after": str(left.wait_seconds)})


DOUBLE = Double(
    name="chargebee",
    sources=(
        "https://apidocs.chargebee.com/docs/api/customers#list_customers",
        "https://apidocs.chargebee.com/docs/api/idempotency",
        "https://apidocs.chargebee.com/docs/api/error-handling#api_limits",
    ),
    base="/api/v2",
    auth=key_as_user("test_0123456789abcdefABCDEF", ""),
    values={"site": "acme-test"},
    quotas=(Quota(limit=150, seconds=60, refuse=refuse),),
    error=lambda kind, status, message: {"message": message, "api_error_code": kind, "http_status_code": status},
    tables=(
        table("customers", "cus", "first_name"), table("subscriptions", "sub", "cf_note"),
        table("invoices", "inv", "po_number"),
    ),
    resources={"customers": "customers", "subscriptions": "subscriptions", "invoices": "invoices"},
    calls=(
        listing("customers"),
        Item(path="/customers/{id}", table="customers", put="customer", gone="shown"),
        Write(path="/customers", table="customers", put="customer", repeat_key="header:chargebee-idempotency-key"),
        Write(
            path="/customers/{id}", table="customers", does="update", put="customer",
            repeat_key="header:chargebee-idempotency-key",
        ),
        listing("subscriptions"),
        Item(path="/subscriptions/{id}", table="subscriptions", put="subscription", gone="shown"),
        listing("invoices"),
        Item(path="/invoices/{id}", table="invoices", put="invoice", gone="shown"),
    ),
    operations={
        "create_customer": Test(data={"first_name": "A", "email": "a@example.com"}, table="customers"),
        "update_customer": Test(
            data={"first_name": "A", "email": "a@example.com"}, table="customers", after=("create_customer",),
            creates=False,
        ),
    },
)  # fmt: skip
