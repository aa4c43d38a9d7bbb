"""Google Sheets: a range of cells, without ids, times and filters; empty cells at the end of a row are left out."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom
from support.catalog.limits import Left, Quota
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.world import World

SHEET = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef"
HEAD = ["Id", "Name", "Amount", "Stage", ""]
KNOWN = {
    "majorDimension": ("ROWS",),
    "valueRenderOption": ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"),
    "dateTimeRenderOption": ("SERIAL_NUMBER", "FORMATTED_STRING"),
}


def cells(state: State) -> list[Any]:
    row = [f"L-{state.number}", state.mark, state.number / 4, "new" if state.number % 3 else "", ""]
    while row and row[-1] == "":
        row.pop()
    return row


def values(ask: Ask, world: World) -> Reply:
    for name, given in ask.query.items():
        if given not in KNOWN.get(name, ()):
            raise Refused("bad_request", f"Invalid value at {name!r}: {given}")
    live = [one for one in world.rows("rows").visible() if not one.gone]
    rows: list[list[Any]] = [HEAD[:4], *(cells(one) for one in sorted(live, key=lambda one: one.number))]
    rows.insert(5, [])  # somebody left a line empty
    return Reply(200, {"range": "Leads!A1:Z1000", "majorDimension": "ROWS", "values": rows})


def entered(ask: Ask) -> list[Any]:
    if ask.get("valueInputOption") not in ("RAW", "USER_ENTERED"):
        raise Refused("bad_request", "'valueInputOption' is required but not specified")
    rows = (ask.body or {}).get("values")
    if not isinstance(rows, list) or not all(isinstance(one, list) for one in rows):
        raise Refused("bad_request", "Invalid values")
    return rows


def append(ask: Ask, world: World) -> Reply:
    for _ in entered(ask):
        world.rows("rows").create()
    return Reply(200, {"spreadsheetId": SHEET, "updates": {"updatedRows": 1}})


def write(ask: Ask, world: World) -> Reply:
    entered(ask)
    world.rows("rows").update(1)
    return Reply(200, {"spreadsheetId": SHEET, "updatedRange": ask.fields["place"]})


def error(kind: str, status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": kind.upper()}}


def refuse(left: Left) -> Reply:
    return Reply(429, error("resource_exhausted", 429, "Quota exceeded for quota metric 'Read requests'"))


DOUBLE = Double(
    name="google-sheets",
    sources=(
        "https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/get",
        "https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/append",
        "https://developers.google.com/workspace/sheets/api/limits",
    ),
    auth=bearer(),
    base="/v4/spreadsheets",
    values={"spreadsheet": SHEET, "range": "Leads", "key": "Id"},
    quotas=(Quota(limit=60, seconds=60, refuse=refuse),),
    error=error,
    tables=(Table(name="rows", row=cells, first=60),),
    resources={"rows": "rows"},
    calls=(
        Custom(path="/{spreadsheet}/values/{range}", run=values, lists=True),
        Custom(path="/{spreadsheet}/values/{range}:append", method="POST", run=append),
        Custom(path="/{spreadsheet}/values/{place}", method="PUT", run=write),
    ),
    operations={
        "append_row": Test(data={"name": "A", "stage": "new"}, table="rows", repeat="again"),
        "write_range": Test(
            data={"range": "Leads!A2:C2", "id": "L-1", "name": "A", "stage": "won"}, table="rows", creates=False
        ),
    },
)
