"""Notion: queries in POST by `last_edited_time`, which is cut to the minute; a version header; 529 for overload."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Page, Tokens
from support.catalog.shape import Ask, Double, Needed, Refused, Reply, State, Table, Test
from support.catalog.times import iso_ms, read_zoned
from support.catalog.where import Condition, hides_gone, read

MINUTE_US = 60_000_000
SOURCE = "2f26ee68-df30-4251-aad4-8ddc420cba3d"


def ident(number: int) -> str:
    return f"59833787-2cf9-4fdf-8782-{number:012x}"


def page_row(state: State) -> dict[str, Any]:
    return {
        "object": "page",
        "id": ident(state.number),
        "created_time": iso_ms(state.created_us - state.created_us % MINUTE_US),
        "last_edited_time": iso_ms(state.at_us),
        "in_trash": state.gone,
        "properties": {"Name": {"title": [{"plain_text": state.mark}]}},
    }


def user(state: State) -> dict[str, Any]:
    return {"object": "user", "id": ident(state.number), "type": "person", "name": state.mark}


def edited(ask: Ask) -> list[Condition]:
    given = ask.get("body:filter")
    if given is None:
        return []
    if given.get("timestamp") != "last_edited_time" or set(given.get("last_edited_time", {})) != {"on_or_after"}:
        raise Refused("bad_request", f"body failed validation: filter {given}")
    return [Condition("updated", ">=", read(read_zoned, given["last_edited_time"]["on_or_after"], "on_or_after"))]


def order(ask: Ask) -> Any:
    sorts = ask.get("body:sorts") or []
    if not sorts:
        return (("created", True),)
    if sorts != [{"timestamp": "last_edited_time", "direction": "ascending"}]:
        raise Refused("bad_request", f"body failed validation: sorts {sorts}")
    return (("updated", False),)


def extra(ask: Ask, world: Any, page: Page) -> dict[str, Any]:
    return {"object": "list"}


def pages(token: str, size: str) -> Tokens:
    return Tokens(
        token=token, out="next_cursor", empty=None, size=size, default=100, maximum=100, over="error", served=25,
        has_more="has_more",
    )  # fmt: skip


def refuse(left: Left) -> Reply:
    body = {"object": "error", "status": 429, "code": "rate_limited", "message": "You have been rate limited."}
    return Reply(429, body, {"retry-after": str(left.wait_seconds)})


DOUBLE = Double(
    name="notion",
    sources=(
        "https://developers.notion.com/reference/query-a-data-source",
        "https://developers.notion.com/reference/request-limits",
        "https://developers.notion.com/reference/versioning",
    ),
    base="/v1",
    auth=bearer(),
    values={"data_source": SOURCE},
    needs=(Needed("notion-version", lambda value: value in ("2025-09-03", "2026-03-11")),),
    quotas=(Quota(limit=180, seconds=60, refuse=refuse),),
    error=lambda kind, status, message: {"object": "error", "status": status, "code": kind, "message": message},
    unavailable=(500, 503, 529),
    tables=(
        Table(name="pages", row=page_row, tombstone=page_row, ident=ident, resolution_us=MINUTE_US, first=60),
        Table(name="users", row=user, ident=ident, first=20),
    ),
    resources={"pages": "pages", "users": "users"},
    calls=(
        Listing(
            path="/data_sources/{data_source}/query",
            method="POST",
            table="pages",
            put="results",
            pages=pages("body:start_cursor", "body:page_size"),
            where=(edited, hides_gone()),
            order=order,
            extra=extra,
        ),
        Item(path="/pages/{id}", table="pages", gone="shown"),
        Write(path="/pages", table="pages", needs=("body:parent.data_source_id", "body:properties")),
        Write(path="/pages/{id}", method="PATCH", table="pages", does="update"),
        Listing(
            path="/users", table="users", put="results", pages=pages("start_cursor", "page_size"),
            where=(hides_gone(),), extra=extra,
        ),
        Item(path="/users/{id}", table="users"),
    ),
    operations={
        "create_page": Test(data={"title": "A"}, table="pages", repeat="again"),
        "trash_page": Test(data={"title": "A"}, table="pages", after=("create_page",), creates=False),
    },
)  # fmt: skip
