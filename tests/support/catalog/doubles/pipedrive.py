"""Pipedrive, API v2: cursors in the body, `updated_since`, deleted deals in a list of their own for 30 days."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import header
from support.catalog.calls import Item, Listing, Write, order_param
from support.catalog.limits import Left, Quota
from support.catalog.pages import Page, Tokens
from support.catalog.shape import Ask, Double, Reply, State, Table, Test
from support.catalog.times import iso_s, read_zoned
from support.catalog.where import only_gone, param
from support.catalog.world import World

SORTS = {"id": "id", "update_time": "updated", "add_time": "created"}
PAGES = Tokens(
    token="cursor", out="additional_data.next_cursor", empty=None, size="limit", default=100, maximum=500, over="error"
)  # fmt: skip


def record(name: str) -> Any:
    def row(state: State) -> dict[str, Any]:
        return {
            "id": state.number, name: state.mark, "is_deleted": state.gone, "add_time": iso_s(state.created_us),
            "update_time": iso_s(state.at_us),
        }  # fmt: skip

    return row


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(left.limit),
        "x-ratelimit-remaining": str(left.remaining),
        "x-ratelimit-reset": str(left.wait_seconds),
    }


def refuse(left: Left) -> Reply:
    return Reply(429, {"success": False, "error": "request over limit", "errorCode": 429}, quota_headers(left))


def success(ask: Ask, world: World, page: Page) -> dict[str, Any]:
    return {"success": True}


def listing(table: str) -> Listing:
    return Listing(
        path=f"/{table}",
        table=table,
        put="data",
        pages=PAGES,
        where=(param("updated_since", ">=", "updated", read_zoned), only_gone("status", ("deleted",))),
        order=order_param("sort_by", SORTS, (("id", False),), "sort_direction"),
        extra=success,
    )


DOUBLE = Double(
    name="pipedrive",
    sources=(
        "https://developers.pipedrive.com/docs/api/v1/Deals#getDeals",
        "https://pipedrive.readme.io/docs/core-api-concepts-pagination",
        "https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting",
    ),
    base="/api/v2",
    auth=header("x-api-token"),
    quotas=(Quota(limit=40, seconds=2, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"success": False, "error": message, "errorCode": status},
    tables=(
        Table(name="deals", row=record("title"), first=60, kept_seconds=30 * 86_400),
        Table(name="persons", row=record("name")),
        Table(name="organizations", row=record("name")),
    ),
    resources={
        "deals": "deals", "deleted_deals": "-deals", "persons": "persons", "organizations": "organizations",
    },
    calls=(
        listing("deals"),
        Item(path="/deals/{id}", table="deals", put="data", gone="shown"),
        Write(path="/deals", table="deals", needs=("body:title",), put="data", status=201),
        listing("persons"),
        Item(path="/persons/{id}", table="persons", put="data", gone="shown"),
        Write(path="/persons", table="persons", needs=("body:name",), put="data", status=201),
        Write(path="/persons/{id}", table="persons", method="PATCH", does="update", put="data"),
        listing("organizations"),
        Item(path="/organizations/{id}", table="organizations", put="data", gone="shown"),
    ),
    operations={
        "create_person": Test(data={"name": "A", "email": "a@example.com"}, table="persons", repeat="again"),
        "create_deal": Test(
            data={"name": "A", "email": "a@example.com", "title": "D", "value": 5}, table="deals",
            after=("create_person",), repeat="again",
        ),
        "update_person": Test(
            data={"name": "A", "email": "a@example.com"}, table="persons", after=("create_person",), creates=False
        ),
    },
)  # fmt: skip
