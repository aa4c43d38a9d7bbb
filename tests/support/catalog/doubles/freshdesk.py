"""Freshdesk: 30 days of tickets unless `updated_since` says more, `_updated_since` for contacts."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import key_as_user
from support.catalog.calls import Item, Listing, Write, order_param
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered
from support.catalog.shape import Ask, Double, Reply, State, Table, Test
from support.catalog.times import iso_s, read_zoned
from support.catalog.where import Condition, hides_gone, param

MONTH_US = 30 * 86_400 * 1_000_000
PAGES = Numbered(size="per_page", default=30, maximum=100, over="error", link=True, last=300)
SORTS = {"created_at": "created", "updated_at": "updated"}


def row(field: str) -> Any:
    def shown(state: State) -> dict[str, Any]:
        made = {
            "id": state.number, field: state.mark, "deleted": state.gone, "created_at": iso_s(state.created_us),
            "updated_at": iso_s(state.at_us),
        }  # fmt: skip
        email = (state.values.get("body") or {}).get("email")
        return {**made, "email": email} if field == "name" else made

    return shown


def last_month(ask: Ask) -> list[Condition]:
    return [] if ask.get("updated_since") else [Condition("created", ">=", ask.now_us - MONTH_US)]


def by_email(ask: Ask) -> list[Condition]:
    return [Condition("email", "=", ask.get("email"))] if ask.get("email") else []


def quota_headers(left: Left) -> dict[str, str]:
    return {"x-ratelimit-total": str(left.limit), "x-ratelimit-remaining": str(left.remaining)}


def refuse(left: Left) -> Reply:
    return Reply(429, {"message": "You have exceeded the limit of requests per minute"}, {
        **quota_headers(left), "retry-after": str(left.wait_seconds),
    })  # fmt: skip


DOUBLE = Double(
    name="freshdesk",
    sources=(
        "https://developers.freshdesk.com/api/#list_all_tickets",
        "https://developers.freshdesk.com/api/#ratelimit",
        "https://developers.freshdesk.com/api/#pagination",
    ),
    base="/api/v2",
    auth=key_as_user("0123456789abcdefghij", "X"),
    values={"domain": "acme"},
    quotas=(
        Quota(limit=200, seconds=60, refuse=refuse, headers=quota_headers),
        Quota(limit=100, seconds=60, refuse=refuse, counts=lambda ask: ask.path.endswith("/tickets")),
    ),
    error=lambda kind, status, message: {"description": message, "errors": [{"code": kind, "message": message}]},
    tables=(
        Table(name="tickets", row=row("subject"), tombstone=row("subject"), first=60),
        Table(
            name="contacts", row=row("name"), tombstone=row("name"),
            fields={"email": lambda state: (state.values.get("body") or {}).get("email")},
        ),
        Table(name="companies", row=row("title")),
        Table(name="replies", row=row("body_text"), changes=""),
    ),
    resources={"tickets": "tickets", "contacts": "contacts", "companies": "companies"},
    calls=(
        Listing(
            path="/tickets",
            table="tickets",
            pages=PAGES,
            where=(last_month, param("updated_since", ">=", "updated", read_zoned), hides_gone()),
            order=order_param("order_by", SORTS, (("created", True),), "order_type"),
        ),
        Item(path="/tickets/{id}", table="tickets", gone="shown"),
        Write(path="/tickets", table="tickets", needs=("body:email", "body:subject"), status=201),
        Write(path="/tickets/{id}/reply", table="replies", needs=("body:body",), status=201),
        Listing(
            path="/contacts",
            table="contacts",
            pages=PAGES,
            where=(param("_updated_since", ">=", "updated", read_zoned), by_email, hides_gone()),
        ),
        Item(path="/contacts/{id}", table="contacts", gone="shown"),
        Write(path="/contacts", table="contacts", needs=("body:name",), unique="body:email", status=201),
        Listing(path="/companies", table="companies", pages=PAGES, where=(hides_gone(),)),
        Item(path="/companies/{id}", table="companies"),
    ),
    operations={
        "create_contact": Test(data={"name": "A", "email": "{n}@example.com"}, table="contacts"),
        "create_ticket": Test(
            data={"email": "a@example.com", "subject": "A", "description": "B"}, table="tickets", repeat="again"
        ),
        "reply": Test(
            data={"email": "a@example.com", "subject": "A", "description": "B", "body": "C"}, table="replies",
            after=("create_ticket",), repeat="again",
        ),
    },
)  # fmt: skip
