"""Typeform: responses newest first with `before` a token, and late by up to half an hour; forms by page numbers."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered, Tokens
from support.catalog.shape import Double, Reply, State, Table, Test, Unseen
from support.catalog.times import iso_s, read_iso
from support.catalog.where import hides_gone, param

FORM = "u6nXL7"


def token(state: State) -> str:
    return f"{state.number:032x}"


def response(state: State) -> dict[str, Any]:
    return {
        "response_id": token(state),
        "token": token(state),
        "landed_at": iso_s(state.created_us),
        "submitted_at": iso_s(state.created_us),
        "answers": [{"type": "text", "text": state.mark}],
    }


def form(state: State) -> dict[str, Any]:
    return {"id": f"f{state.number:05d}", "title": state.mark, "last_updated_at": iso_s(state.at_us)}


def refuse(left: Left) -> Reply:
    return Reply(429, {"code": "TOO_MANY_REQUESTS", "description": "Too many requests"})


DOUBLE = Double(
    name="typeform",
    sources=(
        "https://www.typeform.com/developers/responses/reference/retrieve-responses/",
        "https://www.typeform.com/developers/create/reference/retrieve-forms/",
        "https://www.typeform.com/developers/get-started/personal-access-token/",
    ),
    auth=bearer(),
    values={"form": FORM},
    quotas=(Quota(limit=2, seconds=1, refuse=refuse),),
    error=lambda kind, status, message: {"code": kind.upper(), "description": message},
    tables=(
        Table(name="responses", row=response, ident=lambda number: f"{number:032x}", first=60, lag_seconds=1800),
        Table(name="forms", row=form, ident=lambda number: f"f{number:05d}", first=30),
    ),
    resources={"responses": "responses", "forms": "forms"},
    unseen={"responses": Unseen("ud", "a response does not change, and the list does not say which were deleted")},
    calls=(
        Listing(
            path="/forms/{form}/responses",
            table="responses",
            put="items",
            pages=Tokens(
                token="before",
                from_last=token,
                size="page_size",
                default=25,
                maximum=1000,
                over="error",
                served=30,
                total="total_items",
            ),
            where=(param("since", ">=", "created", read_iso), hides_gone()),
            order=(("created", True),),
            late=True,
        ),
        Listing(
            path="/forms",
            table="forms",
            put="items",
            pages=Numbered(
                size="page_size", default=10, maximum=200, over="error", total="total_items", pages="page_count"
            ),
            where=(hides_gone(),),
            order=(("id", False),),
        ),
        Write(path="/forms", table="forms", needs=("body:title",), status=201),
        Write(path="/forms/{id}", table="forms", method="PATCH", does="update", status=204, empty=True),
    ),
    operations={
        "create_form": Test(data={"title": "S {n}"}, table="forms", repeat="again"),
        "rename_form": Test(data={"title": "S {n}"}, table="forms", creates=False, after=("create_form",)),
    },
)
