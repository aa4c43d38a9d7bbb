"""Airtable: a formula over a field with the last change, offsets that expire, an upsert by fields."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_s, read_zoned
from support.catalog.where import Condition, hides_gone, read

TABLE = "/{base}/{table}"
_FORMULA = re.compile(r"IS_AFTER\(\{Modified\}, '([^']*)'\)")


def ident(number: int) -> str:
    return f"rec{number:014d}"


def record(state: State) -> dict[str, Any]:
    return {
        "id": ident(state.number),
        "createdTime": iso_s(state.created_us)[:-1] + ".000Z",
        "fields": {"Name": state.mark, "Modified": iso_s(state.at_us)[:-1] + ".000Z"},
    }


def formula(ask: Ask) -> list[Condition]:
    given = ask.get("filterByFormula")
    if not given:
        return []
    match = _FORMULA.fullmatch(given)
    if match is None:
        raise Refused("unprocessable", f"The formula for filtering records is invalid: {given}")
    return [Condition("updated", ">", read(read_zoned, match[1], "filterByFormula"))]


def order(ask: Ask) -> Any:
    if not ask.get("sort[0][field]"):
        return (("id", False),)
    if ask.get("sort[0][field]") != "Modified":
        raise Refused("unprocessable", "Unknown field name")
    return (("updated", ask.get("sort[0][direction]") == "desc"),)


def refuse(left: Left) -> Reply:
    return Reply(429, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded."}]})


DOUBLE = Double(
    name="airtable",
    sources=(
        "https://airtable.com/developers/web/api/list-records",
        "https://airtable.com/developers/web/api/rate-limits",
        "https://airtable.com/developers/web/api/update-multiple-records",
    ),
    base="/v0",
    auth=bearer(),
    values={"base": "appAbCdEfGhIjKlMn", "table": "tblAbCdEfGhIjKlMn"},
    quotas=(Quota(limit=5, seconds=1, refuse=refuse),),
    error=lambda kind, status, message: {"error": {"type": kind.upper(), "message": message}},
    statuses={"expired": 422},
    tables=(Table(name="records", row=record, ident=ident, first=60),),
    resources={"records": "records"},
    calls=(
        Listing(
            path=TABLE,
            table="records",
            put="records",
            pages=Tokens(token="offset", out="offset", size="pageSize", default=100, maximum=100, served=25),
            where=(formula, hides_gone()),
            order=order,
        ),
        Item(path=f"{TABLE}/{{id}}", table="records"),
        Write(
            path=TABLE, method="PATCH", table="records", does="upsert", needs=("body:records",),
            unique="body:records.0.fields.Key", put="records", as_list=True,
        ),
        Write(path=f"{TABLE}/{{id}}", method="PATCH", table="records", does="update"),
    ),
    operations={
        "upsert_record": Test(data={"name": "A"}, table="records"),
        "update_record": Test(data={"name": "A"}, table="records", after=("upsert_record",), creates=False),
    },
)  # fmt: skip
