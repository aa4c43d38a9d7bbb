"""Salesforce: SOQL with deleted rows, relative links to the next page, 403 for the daily limit, upserts by our key."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, sorting
from support.catalog.limits import Left, Quota
from support.catalog.pages import make_token, read_token
from support.catalog.shape import DAY, Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_ms_offset, read_zoned
from support.catalog.where import Condition, conditions, select
from support.catalog.world import World

OBJECTS = {"Contact": "contacts", "Account": "accounts", "Opportunity": "opportunities", "Task": "tasks"}
PREFIX = {"Contact": "003", "Account": "001", "Opportunity": "006", "Task": "00T"}
FIELDS = {"SystemModstamp": "updated", "CreatedDate": "created", "Id": "id", "IsDeleted": "gone"}
READERS = {
    "SystemModstamp": ("updated", read_zoned),
    "CreatedDate": ("created", read_zoned),
    "IsDeleted": ("gone", lambda text: text.lower() == "true"),
}
PAGE = 40  # 2,000 in the real one, and fewer when rows are wide


def ident(kind: str) -> Any:
    return lambda number: f"{PREFIX[kind]}{number:012d}AAA"


def record(kind: str) -> Any:
    def row(state: State) -> dict[str, Any]:
        name = ident(kind)(state.number)
        return {
            "attributes": {"type": kind, "url": f"/services/data/v62.0/sobjects/{kind}/{name}"},
            "Id": name,
            "Name": state.mark,
            "FirstName": "Mira",
            "LastName": state.mark,
            "Email": "mira@example.com",
            "Phone": None,
            "Industry": None,
            "Website": None,
            "OwnerId": "005000000000001AAA",
            "AccountId": None,
            "StageName": "Prospecting",
            "Amount": 4900.0,
            "CloseDate": "2026-12-31",
            "IsClosed": False,
            "IsWon": False,
            "Subject": state.mark,
            "IsDeleted": state.gone,
            "CreatedDate": iso_ms_offset(state.created_us),
            "SystemModstamp": iso_ms_offset(state.at_us),
        }

    return row


def picked(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    wrong = [name for name in names if name not in row]
    if wrong:
        raise Refused("bad_request", f"No such column '{wrong[0]}' on entity")
    return {"attributes": row["attributes"], **{name: row[name] for name in names}}


def queried(all_rows: bool) -> Any:
    """A query; `queryAll` shows deleted rows. A row is visible when its transaction has ended."""

    def run(ask: Ask, world: World) -> Reply:
        return answered(ask, world, str(ask.get("q", "")), all_rows, None)

    return run


def answered(ask: Ask, world: World, text: str, all_rows: bool, after: Any) -> Reply:
    query = select(text)
    if query.table not in OBJECTS:
        raise Refused("bad_request", f"sObject type '{query.table}' is not supported.")
    if re.search(r"(>=|<=|=|<|>)\s*'\d{4}-", query.where):
        raise Refused("bad_request", "value of filter criterion must be of type dateTime and should not be in quotes")
    rows = world.rows(OBJECTS[query.table])
    found = conditions(query.where, READERS) + ([] if all_rows else [Condition("gone", "=", False)])
    order = tuple((FIELDS[name], descending) for name, descending in query.order)
    key = sorting(rows.table, order)
    states = [one for one in rows.visible(late=True) if all(wanted.holds(rows.table, one) for wanted in found)]
    states.sort(key=key)
    total = len(states)
    if after is not None:
        states = [one for one in states if list(key(one)) > after]
    page, rest = states[:PAGE], len(states) > PAGE
    body = {
        "totalSize": total,
        "done": not rest,
        "records": [picked(rows.table.row(one), query.fields) for one in page],
    }
    if rest:
        token = make_token([text, all_rows, list(key(page[-1]))], ask.now_us)
        base = ask.url.partition("//")[2].partition("/")[2]
        body["nextRecordsUrl"] = f"/{base}/query/{token}"
    return Reply(200, body)


def more(ask: Ask, world: World) -> Reply:
    """The next page. Its locator is known for two days."""
    (text, all_rows, after), made_us = read_token(ask.fields["locator"])
    if ask.now_us - made_us > 2 * DAY:
        raise Refused("bad_request", "invalid query locator")
    return answered(ask, world, text, all_rows, after)


def item(ask: Ask, world: World) -> Reply:
    kind = ask.fields["kind"]
    state = world.rows(OBJECTS[kind]).find(ask.fields["id"])
    if state is None or state.gone:
        raise Refused(
            "not_found", "entity is deleted" if state is not None else "The requested resource does not exist"
        )
    row = record(kind)(state)
    names = str(ask.get("fields") or "")
    return Reply(200, picked(row, names.split(",")) if names else row)


def upsert(ask: Ask, world: World) -> Reply:
    kind, key = ask.fields["kind"], ask.fields["key"]
    if ask.fields["field"] != "Tidegate_Key__c":
        raise Refused("bad_request", f"Provided external ID field does not exist: {ask.fields['field']}")
    check_required(kind, ask)
    rows = world.rows(OBJECTS[kind])
    same = next((one for one in rows.live() if rows.states[one][-1].values.get("unique") == key), None)
    created = same is None
    state = rows.create({"unique": key}) if same is None else rows.update(same, {"unique": key})
    return Reply(201 if created else 200, written(kind, state) | {"created": created})


def create(ask: Ask, world: World) -> Reply:
    kind = ask.fields["kind"]
    check_required(kind, ask)
    return Reply(201, written(kind, world.rows(OBJECTS[kind]).create()))


def check_required(kind: str, ask: Ask) -> None:
    needed = {"Contact": "LastName", "Account": "Name", "Task": "Subject"}[kind]
    if not ask.get(f"body:{needed}"):
        raise Refused("bad_request", f"Required fields are missing: [{needed}]")


def written(kind: str, state: State) -> dict[str, Any]:
    return {"id": ident(kind)(state.number), "success": True, "errors": []}


def refuse(left: Left) -> Reply:
    body = [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
    return Reply(403, body)


CODES = {"unauthorized": "INVALID_SESSION_ID", "not_found": "NOT_FOUND", "unavailable": "SERVER_UNAVAILABLE"}

DOUBLE = Double(
    name="salesforce",
    sources=(
        "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_queryall.htm",
        "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_query.htm",
        "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm",
        "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm",
    ),
    auth=bearer(),
    base="/services/data/v62.0",
    values={"domain": "acme"},
    quotas=(
        Quota(
            limit=100_000,
            seconds=86_400,
            refuse=refuse,
            headers=lambda left: {"Sforce-Limit-Info": f"api-usage={left.used}/{left.limit}"},
        ),
    ),
    error=lambda kind, status, message: [{"message": message, "errorCode": CODES.get(kind, "MALFORMED_QUERY")}],
    tables=tuple(
        Table(
            name=table,
            row=record(kind),
            tombstone=record(kind),
            ident=ident(kind),
            first=0 if kind == "Task" else 90,
            changes="" if kind == "Task" else "cud",
            lag_seconds=120,
            kept_seconds=15 * 86_400,
        )
        for kind, table in OBJECTS.items()
    ),
    resources={"contacts": "contacts", "accounts": "accounts", "opportunities": "opportunities"},
    calls=(
        Custom(path="/query", run=queried(False), lists=True),
        Custom(path="/queryAll", run=queried(True), lists=True),
        Custom(path="/query/{locator}", run=more, lists=True),
        Custom(path="/sobjects/{kind}/{id}", run=item),
        Custom(path="/sobjects/{kind}", method="POST", run=create),
        Custom(path="/sobjects/{kind}/{field}/{key}", method="PATCH", run=upsert),
    ),
    operations={
        "upsert_contact": Test(data={"firstname": "A", "lastname": "B", "email": "{n}@example.com"}, table="contacts"),
        "upsert_account": Test(data={"name": "A", "website": "https://a.example"}, table="accounts"),
        "create_task": Test(data={"subject": "Call {n}"}, table="tasks", repeat="again"),
    },
)
