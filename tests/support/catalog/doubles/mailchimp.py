"""Mailchimp: members by `since_last_changed` with whole seconds, offsets with `count`, an upsert by the MD5."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import basic
from support.catalog.calls import Item, Listing, Write, order_param
from support.catalog.pages import Offsets
from support.catalog.shape import Double, State, Table, Test, Unseen
from support.catalog.times import iso_offset, read_zoned
from support.catalog.where import hides_gone, param

LIST = "/lists/{list}/members"
PAGES = Offsets(size="count", default=10, maximum=1000, served=40, total="total_items")


def member(state: State) -> dict[str, Any]:
    return {
        "id": f"{state.number:032x}",
        "contact_id": f"c{state.number}",
        "full_name": state.mark,
        "last_changed": iso_offset(state.at_us),
    }


def campaign(state: State) -> dict[str, Any]:
    return {"id": f"cam{state.number}", "title": state.mark, "create_time": iso_offset(state.created_us)}


DOUBLE = Double(
    name="mailchimp",
    sources=(
        "https://mailchimp.com/developer/marketing/api/list-members/list-members-info/",
        "https://mailchimp.com/developer/marketing/docs/fundamentals/#api-limits",
    ),
    base="/3.0",
    auth=basic("tidegate", "0123456789abcdef0123456789abcdef-us6"),
    values={"dc": "us6", "list": "0a1b2c3d4e"},
    error=lambda kind, status, message: {"title": kind, "status": status, "detail": message},
    tables=(
        Table(name="members", row=member, ident=lambda n: f"{n:032x}", changes="cu", first=60),
        Table(name="campaigns", row=campaign, ident=lambda n: f"cam{n}"),
    ),
    resources={"members": "members", "campaigns": "campaigns"},
    unseen={"members": Unseen("d", "an archived or deleted member leaves the list silently")},
    calls=(
        Listing(
            path=LIST,
            table="members",
            put="members",
            pages=PAGES,
            where=(param("since_last_changed", ">", "updated", read_zoned), hides_gone()),
            order=order_param("sort_field", {"last_changed": "updated"}, (("created", False),), "sort_dir"),
        ),
        Item(path=f"{LIST}/{{id}}", table="members"),
        Write(
            path=f"{LIST}/{{id}}", method="PUT", table="members", does="upsert", needs=("body:email_address",),
            unique="body:email_address",
        ),
        Listing(
            path="/campaigns",
            table="campaigns",
            put="campaigns",
            pages=PAGES,
            where=(hides_gone(),),
            order=order_param("sort_field", {"create_time": "created"}, (("created", True),), "sort_dir"),
        ),
        Item(path="/campaigns/{id}", table="campaigns"),
    ),
    operations={
        "subscribe": Test(
            data={"hash": "0123456789abcdef0123456789abcdef", "email": "{n}@example.com", "first_name": "A"},
            table="members",
        ),
    },
)  # fmt: skip
