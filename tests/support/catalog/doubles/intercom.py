"""Intercom: a search in POST that cuts times to days, windows of ten seconds, contacts that exist once."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Order, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Page, Tokens
from support.catalog.shape import DAY, Ask, Double, Needed, Refused, Reply, State, Table, Test
from support.catalog.times import epoch_s, read_epoch_s
from support.catalog.where import Condition, hides_gone, read
from support.catalog.world import World

NAMES = {"contacts": "data", "conversations": "conversations", "tickets": "tickets"}


def ident(kind: str) -> Any:
    return lambda number: f"{kind[:3]}{number:06d}"


def row(kind: str) -> Any:
    def shown(state: State) -> dict[str, Any]:
        return {
            "type": kind[:-1],
            "id": ident(kind)(state.number),
            "name": state.mark,
            "title": state.mark,
            "ticket_id": str(state.number),
            "created_at": epoch_s(state.created_us),
            "updated_at": epoch_s(state.at_us),
        }

    return shown


def day_of(us: int) -> int:
    return us - us % DAY


def since(ask: Ask) -> list[Condition]:
    """The search compares days: ">" is the days after, "<" those before, "=" the day itself."""
    query = ask.get("body:query") or {}
    if query.get("field") not in ("updated_at", "created_at"):
        raise Refused("bad_request", f"{query.get('field')} is not a searchable field")
    day = day_of(read(read_epoch_s, query.get("value"), "value"))
    field = "updated" if query["field"] == "updated_at" else "created"
    if query.get("operator") == ">":
        return [Condition(field, ">=", day + DAY)]
    if query.get("operator") == "<":
        return [Condition(field, "<", day)]
    if query.get("operator") == "=":
        return [Condition(field, ">=", day), Condition(field, "<", day + DAY)]
    raise Refused("bad_request", f"the operator {query.get('operator')} is not supported")


def order(ask: Ask) -> Order:
    sort = ask.get("body:sort") or {"field": "created_at", "order": "descending"}
    field = {"updated_at": "updated", "created_at": "created"}.get(sort.get("field"), "")
    if not field or sort.get("order") not in ("ascending", "descending"):
        raise Refused("bad_request", "sort")
    return ((field, sort["order"] == "descending"),)


def pages(ask: Ask, world: World, page: Page) -> dict[str, Any]:
    return {"type": "list", "pages.type": "pages", "pages.per_page": 150}


def refuse(left: Left) -> Reply:
    error = {"code": "rate_limit_exceeded", "message": "The rate limit for the App has been exceeded"}
    return Reply(429, {"type": "error.list", "errors": [error]}, quota_headers(left))


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(left.limit),
        "X-RateLimit-Remaining": str(left.remaining),
        "X-RateLimit-Reset": str(left.reset_s),
    }


def search(kind: str) -> Listing:
    return Listing(
        path=f"/{kind}/search",
        method="POST",
        table=kind,
        put=NAMES[kind],
        pages=Tokens(
            token="body:pagination.starting_after",
            out="pages.next.starting_after",
            size="body:pagination.per_page",
            default=20,
            maximum=150,
            over="error",
            served=30,
            total="total_count",
        ),
        where=(since, hides_gone()),
        order=order,
        late=True,
        extra=pages,
    )


DOUBLE = Double(
    name="intercom",
    sources=(
        "https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts/searchcontacts",
        "https://developers.intercom.com/docs/references/rest-api/errors/rate-limiting",
        "https://developers.intercom.com/docs/references/rest-api/api.intercom.io/companies/createorupdatecompany",
    ),
    auth=bearer(),
    needs=(Needed("intercom-version"),),
    quotas=(Quota(limit=1666, seconds=10, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"type": "error.list", "errors": [{"code": kind, "message": message}]},
    tables=(
        *(
            Table(
                name=kind,
                row=row(kind),
                ident=ident(kind),
                first=60,
                lag_seconds=60,
                changes="cu" if kind == "conversations" else "cud",
            )
            for kind in NAMES
        ),
        Table(name="companies", row=row("companies"), ident=ident("companies"), first=0, changes=""),
    ),
    resources={kind: kind for kind in NAMES},
    calls=(
        *(search(kind) for kind in NAMES),
        Item(path="/contacts/{id}", table="contacts"),
        Item(path="/tickets/{id}", table="tickets"),
        Write(path="/contacts", table="contacts", needs=("body:role",), unique="body:external_id"),
        Write(path="/companies", table="companies", does="upsert", unique="body:company_id"),
    ),
    operations={
        "create_contact": Test(data={"email": "{n}@example.com", "name": "A"}, table="contacts"),
        "upsert_company": Test(data={"name": "A {n}"}, table="companies"),
    },
)
