"""Calendly: ids that are URLs, whole next links, a reset in seconds, canceled events that stay."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Listing, Write, order_param
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_us
from support.catalog.where import hides_gone, needed
from support.catalog.world import World

ORGANIZATION = "https://api.calendly.com/organizations/012345678901234567890"


def ident(number: int) -> str:
    return f"A{number:015d}"


def row(kind: str) -> Any:
    def shown(state: State) -> dict[str, Any]:
        canceled = bool(state.values.get("canceled"))
        return {
            "uri": f"https://api.calendly.com/{kind}/{ident(state.number)}",
            "name": state.mark,
            "status": "canceled" if canceled else "active",
            "role": "user",
            "user": {"name": state.mark},
            "active": True,
            "start_time": iso_us(state.created_us),
            "created_at": iso_us(state.created_us),
            "updated_at": iso_us(state.at_us),
        }

    return shown


def listing(kind: str, default: str) -> Listing:
    return Listing(
        path=f"/{kind}",
        table=kind,
        put="collection",
        pages=Tokens(
            token="page_token",
            next_url="pagination.next_page",
            empty=None,
            size="count",
            default=20,
            maximum=100,
            over="error",
            served=30,
        ),
        where=(needed("organization", value=ORGANIZATION), hides_gone()),
        order=order_param("sort", {default: "created"}, (("created", False),)),
    )


def cancel(ask: Ask, world: World) -> Reply:
    rows = world.rows("scheduled_events")
    state = rows.find(ask.fields["id"])
    if state is None or state.gone:
        raise Refused("not_found", "The server could not find the requested resource.")
    if state.values.get("canceled"):
        raise Refused("forbidden", "Event is already canceled")
    rows.update(state.number, {"canceled": True})
    return Reply(201, {"resource": {"canceled_by": "Mira", "reason": ask.get("body:reason")}})


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(left.limit),
        "X-RateLimit-Remaining": str(left.remaining),
        "X-RateLimit-Reset": str(left.wait_seconds),
    }


def refuse(left: Left) -> Reply:
    return Reply(429, {"title": "Too Many Requests", "message": "Rate limit exceeded"}, quota_headers(left))


DOUBLE = Double(
    name="calendly",
    sources=(
        "https://developer.calendly.com/rate-limits",
        "https://developer.calendly.com/api-docs/2d5ed9bbd2952-list-events",
        "https://developer.calendly.com/api-docs/afb2e9fe3a0a0-cancel-event",
    ),
    auth=bearer(),
    values={"organization": ORGANIZATION},
    quotas=(Quota(limit=500, seconds=60, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"title": kind, "message": message},
    tables=(
        Table(
            name="scheduled_events", row=row("scheduled_events"), ident=ident, first=60, changes="cu", resolution_us=1
        ),
        Table(name="event_types", row=row("event_types"), ident=ident, first=15, resolution_us=1),
        Table(name="organization_memberships", row=row("organization_memberships"), ident=ident, resolution_us=1),
        Table(name="links", row=row("links"), changes="", first=0),
    ),
    resources={
        "events": "scheduled_events",
        "event_types": "event_types",
        "members": "organization_memberships",
    },
    calls=(
        listing("scheduled_events", "start_time:asc"),
        listing("event_types", "name:asc"),
        listing("organization_memberships", "created_at:asc"),
        Custom(path="/scheduled_events/{id}/cancellation", method="POST", run=cancel),
        Write(path="/scheduling_links", table="links", needs=("body:owner", "body:max_event_count"), status=201),
    ),
    operations={
        "cancel_event": Test(data={"id": ident(1), "reason": "R"}, table="scheduled_events", creates=False),
        "create_link": Test(
            data={"event_type": f"https://api.calendly.com/event_types/{ident(1)}"}, table="links", repeat="again"
        ),
    },
)
