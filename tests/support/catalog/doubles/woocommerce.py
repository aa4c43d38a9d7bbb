"""WooCommerce: lists by `modified_after` in the site's time or UTC, equal rows left out, and a trash."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import basic
from support.catalog.calls import Item, Listing, Write, order_param
from support.catalog.pages import Numbered
from support.catalog.shape import Ask, Double, State, Table, Test
from support.catalog.times import iso_plain, read_plain
from support.catalog.where import Condition, Where, hides_gone, read

SITE_US = -5 * 3600 * 1_000_000  # the site is five hours behind UTC
SORTS = {"id": "id", "date": "created"}


def dates(state: State) -> dict[str, Any]:
    return {
        "date_created": iso_plain(state.created_us + SITE_US),
        "date_created_gmt": iso_plain(state.created_us),
        "date_modified": iso_plain(state.at_us + SITE_US),
        "date_modified_gmt": iso_plain(state.at_us),
    }


def order_row(state: State) -> dict[str, Any]:
    return {"id": state.number, "status": "processing", "customer_note": state.mark, "total": "9.90", **dates(state)}


def product(state: State) -> dict[str, Any]:
    return {"id": state.number, "name": state.mark, "stock_quantity": state.n % 7, **dates(state)}


def customer(state: State) -> dict[str, Any]:
    email = (state.values.get("body") or {}).get("email") or f"c{state.number}@example.com"
    return {"id": state.number, "email": email, "first_name": state.mark, **dates(state)}


def modified_after(ask: Ask) -> list[Condition]:
    given = ask.get("modified_after")
    if not given:
        return []
    at = read(read_plain, given, "modified_after")
    return [Condition("updated", ">", at if ask.get("dates_are_gmt") == "true" else at - SITE_US)]


def by_email(ask: Ask) -> list[Condition]:
    return [Condition("email", "=", ask.get("email"))] if ask.get("email") else []


def listing(table: str, *where: Where) -> Listing:
    pages = Numbered(
        size="per_page", default=10, maximum=100, over="error", total_header="X-WP-Total",
        pages_header="X-WP-TotalPages", link=True,
    )  # fmt: skip
    order = order_param("orderby", SORTS, (("created", True),), "order")
    return Listing(path=f"/{table}", table=table, pages=pages, where=(*where, hides_gone()), order=order)


DOUBLE = Double(
    name="woocommerce",
    sources=(
        "https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-orders",
        "https://woocommerce.github.io/woocommerce-rest-api-docs/#pagination",
        "https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication-over-https",
    ),
    base="/wp-json/wc/v3",
    auth=basic("ck_" + "0a" * 20, "cs_" + "1b" * 20),
    values={"host": "shop.example.com"},
    error=lambda kind, status, message: {
        "code": f"woocommerce_rest_{kind}", "message": message, "data": {"status": status},
    },
    statuses={"duplicate": 400},
    tables=(
        Table(name="orders", row=order_row, first=120),
        Table(name="products", row=product),
        Table(name="customers", row=customer, fields={"email": lambda state: customer(state)["email"]}),
    ),
    resources={"orders": "orders", "products": "products", "customers": "customers"},
    ignored=("status", "role", "dates_are_gmt"),
    calls=(
        listing("orders", modified_after),
        Item(path="/orders/{id}", table="orders"),
        listing("products", modified_after),
        Item(path="/products/{id}", table="products"),
        Write(path="/products/{id}", table="products", method="PUT", does="update"),
        listing("customers", by_email),
        Item(path="/customers/{id}", table="customers"),
        Write(path="/customers", table="customers", needs=("body:email",), unique="body:email", status=201),
    ),
    operations={
        "create_customer": Test(
            data={"email": "{n}@example.com", "first_name": "A", "last_name": "B"}, table="customers"
        ),
        "set_stock": Test(data={"product_id": 1, "stock_quantity": 3}, table="products", creates=False),
    },
)  # fmt: skip
