"""Zendesk: incremental exports that leave out the last minute, 10 a minute, tombstones, idempotency keys."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import basic
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens, link_to
from support.catalog.shape import MINUTE, SECOND, Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import epoch_s, iso_s
from support.catalog.where import Condition, hides_gone
from support.catalog.world import World


def ticket(state: State) -> dict[str, Any]:
    return {
        "id": 35_000 + state.number,
        "subject": state.mark,
        "status": "deleted" if state.gone else "open",
        "created_at": iso_s(state.created_us),
        "updated_at": iso_s(state.at_us),
    }


def exported(row: dict[str, Any], state: State) -> dict[str, Any]:
    """An export has the time by which it is sorted; a single ticket does not."""
    return {**row, "generated_timestamp": epoch_s(state.at_us)}


def user(state: State) -> dict[str, Any]:
    return {
        "id": 7_000 + state.number,
        "name": state.mark,
        "email": "mira@example.com",
        "active": not state.gone,
        "created_at": iso_s(state.created_us),
        "updated_at": iso_s(state.at_us),
    }


def organization(state: State) -> dict[str, Any]:
    return {
        "id": 11_000 + state.number,
        "name": state.mark,
        "created_at": iso_s(state.created_us),
        "updated_at": iso_s(state.at_us),
    }


def since(ask: Ask) -> list[Condition]:
    """On or after `start_time`, and not in the last minute."""
    found = [Condition("updated", "<=", ask.now_us - MINUTE)]
    if ask.get("cursor"):
        return found
    given = str(ask.get("start_time") or "")
    if not given.isdecimal():
        raise Refused("bad_request", "start_time is required and is a number of seconds")
    if int(given) * SECOND > ask.now_us - MINUTE:
        raise Refused("unprocessable", "Too recent start_time. Use a start_time older than 60 seconds")
    return [*found, Condition("updated", ">=", int(given) * SECOND)]


def ends(ask: Ask, world: World, page: Any) -> dict[str, Any]:
    return {"end_of_stream": page.rest == 0}


def timed(ask: Ask, world: World, page: Any) -> dict[str, Any]:
    """A time-based export goes on from the time of its last row, so that row comes again."""
    end = epoch_s(page.rows[-1].at_us) if page.rows else int(ask.get("start_time"))
    return {
        "count": len(page.rows),
        "end_time": end,
        "next_page": link_to(ask, {"start_time": end}),
        "end_of_stream": page.rest == 0,
    }


EXPORT = Tokens(
    token="cursor",
    out="after_cursor",
    next_url="after_url",
    always=True,
    alone=("per_page",),
    size="per_page",
    default=1000,
    maximum=1000,
    served=40,
)


class TimePages(Tokens, frozen=True, kw_only=True):
    """All rows of one second are on one page, since the next one begins with that second."""

    def page(self, ask: Ask, rows: list[State], sorting: Any) -> Any:
        size = self.wanted(ask)
        while 0 < size < len(rows) and rows[size].at_us == rows[0].at_us:
            size += 1
        page = super().page(ask, rows, sorting)
        page.rows, page.rest = rows[:size], max(0, len(rows) - size)
        return page


def export(name: str, put: str) -> Listing:
    return Listing(
        path=f"/incremental/{name}/cursor.json",
        table=name,
        put=put,
        pages=EXPORT,
        where=(since,),
        order=(("updated", False),),
        extra=ends,
        wrap=exported if name == "tickets" else None,
    )


def refuse(left: Left) -> Reply:
    return Reply(429, {"error": "TooManyRequests", "description": "exceeded"}, {"Retry-After": str(left.wait_seconds)})


def is_export(ask: Ask) -> bool:
    return ask.path.startswith("/incremental/")


DOUBLE = Double(
    name="zendesk",
    sources=(
        "https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api",
        "https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/",
        "https://developer.zendesk.com/api-reference/introduction/rate-limits/",
        "https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/",
    ),
    auth=basic("mira@example.com/token", "s3cret-of-the-double"),
    base="/api/v2",
    values={"subdomain": "acme"},
    quotas=(
        Quota(limit=10, seconds=60, refuse=refuse, counts=is_export),
        Quota(
            limit=400,
            seconds=60,
            refuse=refuse,
            counts=lambda ask: not is_export(ask),
            headers=lambda left: {
                "X-Rate-Limit": str(left.limit),
                "X-Rate-Limit-Remaining": str(left.remaining),
                "ratelimit-reset": str(left.wait_seconds),
            },
        ),
    ),
    statuses={"unprocessable": 422, "duplicate": 422},
    error=lambda kind, status, message: {"error": kind, "description": message},
    tables=(
        Table(name="tickets", row=ticket, tombstone=ticket, ident=lambda number: 35_000 + number, first=90),
        Table(name="users", row=user, tombstone=user, ident=lambda number: 7_000 + number, first=60),
        Table(name="organizations", row=organization, ident=lambda number: 11_000 + number, first=60),
    ),
    resources={"tickets": "tickets", "users": "users", "organizations": "organizations"},
    calls=(
        export("tickets", "tickets"),
        export("users", "users"),
        Listing(
            path="/incremental/organizations.json",
            table="organizations",
            put="organizations",
            pages=TimePages(size="per_page", default=1000, maximum=1000, served=40),
            where=(since, hides_gone()),
            order=(("updated", False),),
            extra=timed,
        ),
        Item(path="/tickets/{id}", table="tickets", put="ticket"),
        Item(path="/users/{id}", table="users", put="user", gone="shown"),
        Item(path="/organizations/{id}", table="organizations", put="organization"),
        Write(
            path="/tickets",
            table="tickets",
            put="ticket",
            needs=("body:ticket.comment",),
            repeat_key="header:idempotency-key",
            status=201,
        ),
        Write(path="/tickets/{id}", table="tickets", put="ticket", method="PUT", does="update"),
        Write(
            path="/users/create_or_update",
            table="users",
            put="user",
            does="upsert",
            needs=("body:user.name",),
            unique="body:user.external_id",
            created=201,
        ),
    ),
    operations={
        "create_ticket": Test(
            data={"subject": "S {n}", "body": "B", "name": "A", "email": "a@example.com"}, table="tickets"
        ),
        "comment": Test(
            data={"subject": "S", "body": "B", "name": "A", "email": "a@example.com"},
            table="tickets",
            creates=False,
            after=("create_ticket",),
        ),
        "upsert_user": Test(data={"name": "A {n}", "email": "{n}@example.com"}, table="users"),
    },
)
