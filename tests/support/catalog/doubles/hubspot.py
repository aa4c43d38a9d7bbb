"""HubSpot: lists without a filter, a search in POST with an index that lags and 10,000 rows at most, archived rows."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Listing, Order, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Offsets, Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_ms, read_iso
from support.catalog.where import Condition, only_gone, read
from support.catalog.world import World

CAP = 10_000  # rows that one search reaches
OPS = {"GTE": ">=", "GT": ">", "LTE": "<=", "LT": "<", "EQ": "=", "NEQ": "!="}
MODIFIED = {"contacts": "lastmodifieddate", "companies": "hs_lastmodifieddate", "deals": "hs_lastmodifieddate"}


NAMES = {"contacts": "firstname", "companies": "name", "deals": "dealname"}
DEFAULTS = {
    "contacts": ("email", "firstname", "lastname"),
    "companies": ("domain", "name"),
    "deals": ("amount", "closedate", "dealname", "dealstage", "pipeline"),
}


def record(kind: str) -> Any:
    def row(state: State) -> dict[str, Any]:
        written = {**((state.values.get("body") or {}).get("properties") or {})}
        return {
            "id": str(70_000 + state.number),
            "properties": {
                "phone": "+49 30 901820",
                "email": written.get("email") or f"p{state.number}@example.com",
                "lifecyclestage": "lead",
                **dict.fromkeys(DEFAULTS[kind], ""),
                **({"email": written.get("email") or f"p{state.number}@example.com"} if kind == "contacts" else {}),
                NAMES[kind]: state.mark,
                "hs_object_id": str(70_000 + state.number),
                "createdate": iso_ms(state.created_us),
                MODIFIED[kind]: iso_ms(state.at_us),
            },
            "createdAt": iso_ms(state.created_us),
            "updatedAt": iso_ms(state.at_us),
            "archived": state.gone,
            **({"archivedAt": iso_ms(state.at_us)} if state.gone else {}),
        }

    return row


def with_properties(kind: str, row: dict[str, Any], wanted: Any) -> dict[str, Any]:
    """Only the properties that were asked for, and those that always come."""
    names = wanted.split(",") if isinstance(wanted, str) else wanted
    names = names or DEFAULTS[kind]
    always = ("hs_object_id", "createdate", MODIFIED[kind])
    kept = {name: value for name, value in row["properties"].items() if name in names or name in always}
    return {**row, "properties": kept}


def found(kind: str, ask: Ask, world: World) -> State:
    """By id, or by `idProperty` = email."""
    rows, ident = world.rows(kind), ask.fields["id"]
    if ask.get("idProperty", "hs_object_id") == "email":
        state = next(
            (rows.states[one][-1] for one in rows.live() if email_of(kind, rows.states[one][-1]) == ident), None
        )
    else:
        state = rows.find(ident)
    if state is None or (state.gone and ask.get("archived") != "true"):
        raise Refused("not_found", "resource not found")
    return state


def email_of(kind: str, state: State) -> str:
    return str(record(kind)(state)["properties"]["email"])


def item(kind: str) -> Any:
    def run(ask: Ask, world: World) -> Reply:
        state = found(kind, ask, world)
        return Reply(200, with_properties(kind, record(kind)(state), ask.get("properties")))

    return run


def patch(kind: str) -> Any:
    def run(ask: Ask, world: World) -> Reply:
        if not isinstance(ask.get("body:properties"), dict):
            raise Refused("bad_request", "properties is required")
        written = world.rows(kind).update(found(kind, ask, world).number, {"changed": ask.body})
        return Reply(200, record(kind)(written))

    return run


class Listed(Listing, kw_only=True):
    """A list whose rows have the properties that were asked for."""

    def reply(self, ask: Ask, world: World, page: Any) -> Reply:
        wanted = ask.get("body:properties") if self.method == "POST" else ask.get("properties")
        reply = super().reply(ask, world, page)
        reply.body["results"] = [with_properties(self.table, row, wanted) for row in reply.body["results"]]
        return reply


def fields(kind: str) -> dict[str, str]:
    return {MODIFIED[kind]: "updated", "createdate": "created", "hs_object_id": "id_text"}


def read_property(name: str, value: Any) -> Any:
    """Times are milliseconds since 1970 or ISO 8601, as text; ids are numbers in text."""
    if name == "hs_object_id":
        return int(value) - 70_000
    return int(value) * 1000 if str(value).isdigit() else read_iso(value)


def searched(kind: str) -> Any:
    known = fields(kind)

    def where(ask: Ask) -> list[Condition]:
        groups = ask.get("body:filterGroups", [])
        if len(groups) > 5:
            raise Refused("bad_request", "a maximum of 5 filter groups")
        found = [Condition("gone", "=", False)]
        for one in groups[0]["filters"] if groups else []:
            name = one.get("propertyName")
            if name not in known or one.get("operator") not in OPS:
                raise Refused("bad_request", f"unknown filter: {one}")
            value = read(lambda given, name=name: read_property(name, given), one.get("value"), name)
            found.append(Condition("id" if name == "hs_object_id" else known[name], OPS[one["operator"]], value))
        return found

    return where


def search_order(kind: str) -> Any:
    def order(ask: Ask) -> Order:
        sorts = ask.get("body:sorts", [])
        if len(sorts) > 1:
            raise Refused("bad_request", "only one sort is allowed")
        if not sorts:
            return (("created", False),)
        first = sorts[0] if isinstance(sorts[0], dict) else {"propertyName": sorts[0]}
        name = {"hs_object_id": "id"}.get(first["propertyName"]) or fields(kind).get(first["propertyName"])
        if name is None:
            raise Refused("bad_request", f"cannot sort by {first['propertyName']}")
        return ((name, first.get("direction", "ASCENDING") == "DESCENDING"),)

    return order


class SearchPages(Offsets, frozen=True, kw_only=True):
    """`after` is a number of rows, as text; behind 10,000 the search is an error."""

    def page(self, ask: Ask, rows: list[State], sorting: Any) -> Any:
        at = int(ask.get("body:after") or 0)
        if at >= CAP:
            raise Refused("bad_request", "You have exceeded the maximum number of results (10000) for this query.")
        page = super().page(ask, rows, sorting)
        if page.more.get("paging.next.after") is None:
            page.more.pop("paging.next.after", None)
        else:
            page.more["paging.next.after"] = str(page.more["paging.next.after"])
        page.more["total"] = len(rows)
        return page


def limited(policy: str) -> Any:
    def refuse(left: Left) -> Reply:
        body = {
            "status": "error",
            "message": f"You have reached your {policy.lower()} limit.",
            "errorType": "RATE_LIMIT",
            "correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
            "policyName": policy,
        }
        return Reply(429, body)

    return refuse


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "X-HubSpot-RateLimit-Max": str(left.limit),
        "X-HubSpot-RateLimit-Remaining": str(left.remaining),
        "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
    }


def is_search(ask: Ask) -> bool:
    return ask.path.endswith("/search")


def calls_of(kind: str, base: str) -> list[Any]:
    path = f"{base}/{kind}"
    listed = Tokens(token="after", out="paging.next.after", size="limit", default=10, maximum=100, served=40)
    found = SearchPages(
        offset="body:after",
        size="body:limit",
        default=10,
        maximum=200,
        over="error",
        served=50,
        next_offset="paging.next.after",
    )
    return [
        Listed(path=path, table=kind, put="results", pages=listed, where=(only_gone("archived"),)),
        Listed(
            path=f"{path}/search",
            method="POST",
            table=kind,
            put="results",
            pages=found,
            late=True,
            where=(searched(kind),),
            order=search_order(kind),
        ),
        Custom(path=f"{path}/{{id}}", run=item(kind)),
        Write(path=path, table=kind, needs=("body:properties",), unique=unique(kind), status=201),
        Custom(path=f"{path}/{{id}}", method="PATCH", run=patch(kind)),
        Write(path=f"{path}/{{id}}", table=kind, method="DELETE", does="delete", status=204, empty=True),
        Write(
            path=f"{path}/batch/upsert",
            table=kind,
            does="upsert",
            needs=("body:inputs",),
            put="results",
            unique="body:inputs.0.id",
            as_list=True,
            status=200,
        ),
    ]


def unique(kind: str) -> str:
    return "body:properties.email" if kind == "contacts" else ""


KINDS = ("contacts", "companies", "deals")

DOUBLE = Double(
    name="hubspot",
    sources=(
        "https://developers.hubspot.com/docs/api-reference/search/guide",
        "https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines",
        "HubSpot/HubSpot-public-api-spec-collection CRM/Contacts",
    ),
    auth=bearer(),
    quotas=(
        Quota(limit=5, seconds=1, refuse=limited("SECONDLY"), counts=is_search),
        Quota(
            limit=100,
            seconds=10,
            refuse=limited("TEN_SECONDLY_ROLLING"),
            headers=quota_headers,
            counts=lambda ask: not is_search(ask),
        ),
    ),
    error=lambda kind, status, message: {
        "status": "error",
        "message": message,
        "correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
        "category": {"unauthorized": "INVALID_AUTHENTICATION", "duplicate": "CONFLICT"}.get(kind, "VALIDATION_ERROR"),
    },
    tables=tuple(
        Table(
            name=kind,
            row=record(kind),
            tombstone=record(kind),
            ident=lambda number: str(70_000 + number),
            resolution_us=1000,
            first=110,
            lag_seconds=20,
        )
        for kind in KINDS
    ),
    resources={**{kind: kind for kind in KINDS}, "archived_contacts": "-contacts"},
    calls=tuple(
        call for kind in KINDS for base in ("/crm/v3/objects", "/crm/objects/2026-03") for call in calls_of(kind, base)
    ),
    operations={
        "create_contact": Test(data={"email": "{n}@example.com", "firstname": "A", "lastname": "B"}, table="contacts"),
        "update_contact": Test(
            data={"email": "{n}@example.com", "firstname": "A", "lastname": "B"},
            table="contacts",
            creates=False,
            after=("create_contact",),
        ),
    },
)
