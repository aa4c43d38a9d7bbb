"""Xero: the filter in `If-Modified-Since`, times as `/Date(ms+0000)/`, numbered pages, an organization header."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered
from support.catalog.shape import Ask, Double, Needed, Refused, Reply, State, Table, Test, Unseen
from support.catalog.times import epoch_ms, read_http_date, read_iso
from support.catalog.where import Condition, read

TENANT = "70784a63-d24b-46a9-a4db-0e70a274b056"
NEVER = Unseen("d", "a row gets the status DELETED, VOIDED or ARCHIVED and stays in the list")


def uuid(number: int) -> str:
    return f"243216c5-369e-4056-ac67-{number:012x}"


def row(key: str, field: str) -> Any:
    def shown(state: State) -> dict[str, Any]:
        return {key: uuid(state.number), field: state.mark, "UpdatedDateUTC": f"/Date({epoch_ms(state.at_us)}+0000)/"}

    return shown


def modified_since(ask: Ask) -> list[Condition]:
    """ISO 8601 or an HTTP date, without parts of a second."""
    given = ask.get("header:if-modified-since")
    if not given:
        return []
    if "." in given:
        raise Refused("bad_request", f"If-Modified-Since: {given}")
    return [
        Condition("updated", ">=", read(read_http_date if "GMT" in given else read_iso, given, "If-Modified-Since"))
    ]


def order(ask: Ask) -> Any:
    given = ask.get("order", "UpdatedDateUTC ASC")
    if given != "UpdatedDateUTC ASC":
        raise Refused("bad_request", f"order {given}")
    return (("updated", False),)


def listing(name: str) -> Listing:
    pages = Numbered(size="pageSize", default=100, maximum=1000, served=40, pages="pagination.pageCount")
    return Listing(path=f"/{name}", table=name, put=name, pages=pages, where=(modified_since,), order=order)


def quota_headers(left: Left) -> dict[str, str]:
    return {"x-minlimit-remaining": str(left.remaining)}


def refuse(left: Left) -> Reply:
    return Reply(429, None, {"retry-after": str(left.wait_seconds), "x-rate-limit-problem": "minute"})


DOUBLE = Double(
    name="xero",
    sources=(
        "https://developer.xero.com/documentation/api/accounting/invoices",
        "https://developer.xero.com/documentation/guides/oauth2/limits/",
        "https://developer.xero.com/documentation/api/accounting/requests-and-responses",
    ),
    base="/api.xro/2.0",
    auth=bearer(),
    values={"tenant": TENANT},
    needs=(
        Needed("accept", lambda value: value == "application/json"),
        Needed("xero-tenant-id", lambda value: value == TENANT, kind="forbidden"),
    ),
    quotas=(Quota(limit=60, seconds=60, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"Type": kind, "Message": message},
    tables=(
        Table(name="Invoices", row=row("InvoiceID", "Reference"), ident=uuid, changes="cu", first=60),
        Table(name="Contacts", row=row("ContactID", "Name"), ident=uuid, changes="cu"),
        Table(name="Payments", row=row("PaymentID", "Reference"), ident=uuid, changes="cu"),
    ),
    resources={"invoices": "Invoices", "contacts": "Contacts", "payments": "Payments"},
    unseen={"invoices": NEVER, "contacts": NEVER, "payments": NEVER},
    ignored=("includeArchived",),
    calls=(
        listing("Invoices"),
        Item(path="/Invoices/{id}", table="Invoices", put="Invoices", as_list=True),
        Write(
            path="/Invoices", method="PUT", table="Invoices", needs=("body:Invoices.0.Contact.ContactID",),
            put="Invoices", as_list=True, repeat_key="header:idempotency-key",
        ),
        listing("Contacts"),
        Item(path="/Contacts/{id}", table="Contacts", put="Contacts", as_list=True),
        Write(
            path="/Contacts", method="PUT", table="Contacts", needs=("body:Contacts.0.Name",), put="Contacts",
            as_list=True, repeat_key="header:idempotency-key",
        ),
        listing("Payments"),
        Item(path="/Payments/{id}", table="Payments", put="Payments", as_list=True),
    ),
    operations={
        "create_contact": Test(data={"name": "A", "email": "a@example.com"}, table="Contacts"),
        "create_invoice": Test(
            data={"name": "A", "email": "a@example.com", "amount": 5, "description": "B"}, table="Invoices",
            after=("create_contact",),
        ),
    },
)  # fmt: skip
