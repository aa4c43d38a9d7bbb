"""QuickBooks Online: a query language with pages as clauses, the company's offset in times, keys in `requestid`."""

from __future__ import annotations

import re
from datetime import timedelta, timezone
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Item, Write, sorting
from support.catalog.limits import Left, Quota
from support.catalog.shape import Ask, Double, Needed, Refused, Reply, State, Table, Test, Unseen
from support.catalog.times import at, read_zoned
from support.catalog.where import read
from support.catalog.world import World

PACIFIC = timezone(timedelta(hours=-8))
COMPANY = "/v3/company/9341453"
PAGE = 40  # 1,000 in the real one
_QUERY = re.compile(
    r"SELECT \* FROM (?P<name>\w+) WHERE (?P<active>Active IN \(true, false\) AND )?"
    r"MetaData\.LastUpdatedTime >= '(?P<since>[^']+)' ORDERBY MetaData\.LastUpdatedTime"
    r" STARTPOSITION (?P<start>\d+) MAXRESULTS (?P<limit>\d+)"
)
NAMES = {"Invoice": "invoices", "Customer": "customers", "Payment": "payments"}


def row(field: str) -> Any:
    def shown(state: State) -> dict[str, Any]:
        when = at(state.at_us).astimezone(PACIFIC).strftime("%Y-%m-%dT%H:%M:%S-08:00")
        return {"Id": str(state.number), "SyncToken": str(state.n), field: state.mark,
                "MetaData": {"LastUpdatedTime": when}}  # fmt: skip

    return shown


def query(ask: Ask, world: World) -> Reply:
    ask.get("minorversion")
    match = _QUERY.fullmatch(ask.get("query") or "")
    if match is None or match["name"] not in NAMES:
        raise Refused("bad_request", f"Error parsing query: {ask.get('query')!r}")
    if not 1 <= int(match["limit"]) <= 1000 or int(match["start"]) < 1:
        raise Refused("bad_request", "STARTPOSITION and MAXRESULTS")
    since = read(read_zoned, match["since"], "LastUpdatedTime")
    rows = world.rows(NAMES[match["name"]])
    states = [one for one in rows.visible() if not one.gone and one.at_us >= since]
    states.sort(key=sorting(rows.table, (("updated", False),)))
    start = int(match["start"]) - 1
    page = states[start : start + min(PAGE, int(match["limit"]))]
    found: dict[str, Any] = {"startPosition": start + 1, "maxResults": len(page)} if page else {}
    if page:
        found[match["name"]] = [rows.table.row(one) for one in page]
    return Reply(200, {"QueryResponse": found, "time": "2026-11-24T09:18:43.000-08:00"})


def refuse(left: Left) -> Reply:
    error = {"Message": "message=ThrottleExceeded; errorCode=003001; statusCode=429", "code": "003001"}
    return Reply(429, {"Fault": {"Error": [error], "type": "SERVICE"}})


DOUBLE = Double(
    name="quickbooks",
    sources=(
        "https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/data-queries",
        "https://developer.intuit.com/app/developer/qbo/docs/learn/limits-and-throttles",
    ),
    base=COMPANY,
    auth=bearer(),
    needs=(Needed("accept", lambda value: value == "application/json"),),
    quotas=(Quota(limit=500, seconds=60, refuse=refuse),),
    error=lambda kind, status, message: {"Fault": {"Error": [{"Message": message}], "type": "ValidationFault"}},
    statuses={"not_found": 400},
    tables=(
        Table(name="invoices", row=row("PrivateNote"), ident=str, first=60),
        Table(name="customers", row=row("DisplayName"), ident=str, changes="cu"),
        Table(name="payments", row=row("PrivateNote"), ident=str),
    ),
    resources={"invoices": "invoices", "customers": "customers", "payments": "payments"},
    unseen={"customers": Unseen("d", "a customer is made inactive and never deleted")},
    ignored=("minorversion",),
    settings={"base_url": "https://quickbooks.api.intuit.com/v3/company/9341453"},
    calls=(
        Custom(path="/query", run=query, lists=True),
        Item(path="/invoice/{id}", table="invoices", put="Invoice"),
        Item(path="/customer/{id}", table="customers", put="Customer"),
        Item(path="/payment/{id}", table="payments", put="Payment"),
        Write(path="/customer", table="customers", needs=("body:DisplayName",), put="Customer", repeat_key="requestid"),
        Write(
            path="/invoice", table="invoices", needs=("body:CustomerRef.value", "body:Line"), put="Invoice",
            repeat_key="requestid",
        ),
    ),
    operations={
        "create_customer": Test(data={"name": "A", "email": "a@example.com"}, table="customers"),
        "create_invoice": Test(
            data={"name": "A", "email": "a@example.com", "amount": 5, "description": "B"}, table="invoices",
            after=("create_customer",),
        ),
    },
)  # fmt: skip
