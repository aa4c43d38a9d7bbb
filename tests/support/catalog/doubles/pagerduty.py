"""PagerDuty: offsets with `more`, log entries as the feed of changes, a header that writes need, incident keys."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Offsets
from support.catalog.shape import Ask, Double, Needed, Refused, Reply, State, Table, Test
from support.catalog.times import iso_s, read_iso
from support.catalog.where import hides_gone, param
from support.catalog.world import World

PAGES = Offsets(size="limit", default=25, maximum=100, over="error", has_more="more", last=10_000)


def incident(state: State) -> dict[str, Any]:
    return {
        "id": f"Q{state.number:06d}",
        "type": "incident",
        "title": state.mark,
        "created_at": iso_s(state.created_us),
    }


def log_entry(state: State) -> dict[str, Any]:
    assert state.of is not None
    return {
        "id": f"R{state.number:06d}",
        "type": "trigger_log_entry" if state.of.kind == "created" else "annotate_log_entry",
        "summary": state.mark,
        "created_at": iso_s(state.created_us),
        "incident": {"id": f"Q{state.of.number:06d}"},
    }


def service(state: State) -> dict[str, Any]:
    return {"id": f"P{state.number:06d}", "type": "service", "name": state.mark, "status": "active"}


def user(state: State) -> dict[str, Any]:
    return {"id": f"U{state.number:06d}", "type": "user", "name": state.mark, "email": "mira@example.com"}


def create(ask: Ask, world: World) -> Reply:
    """An incident with the key of one that is open is not opened again."""
    check_from(ask)
    if not ask.get("body:incident.title") or ask.get("body:incident.service.id") != "PABC123":
        raise Refused("bad_request", "Title and Service are required")
    rows, key = world.rows("incidents"), ask.get("body:incident.incident_key")
    if key and any(rows.states[one][-1].values.get("unique") == key for one in rows.live()):
        raise Refused("bad_request", "Open incident with matching dedup key already exists on this service")
    return Reply(201, {"incident": incident(rows.create({"unique": key}))})


def check_from(ask: Ask) -> None:
    if "@" not in ask.headers.get("from", ""):
        raise Refused("bad_request", "The 'From' header is required")


class FromUser(Write, kw_only=True):
    """A write that names its user in a header."""

    def answer(self, ask: Ask, world: World) -> Reply:
        check_from(ask)
        return super().answer(ask, world)


def listing(name: str, *where: Any, order: Any = ()) -> Listing:
    return Listing(
        path=f"/{name}",
        table=name,
        put=name,
        pages=PAGES,
        where=(*where, hides_gone()),
        order=order,
        extra=lambda ask, world, page: {
            "limit": int(ask.get("limit") or 25),
            "offset": int(ask.get("offset") or 0),
            "total": None,
        },
    )


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "ratelimit-limit": str(left.limit),
        "ratelimit-remaining": str(left.remaining),
        "ratelimit-reset": str(left.wait_seconds),
    }


def refuse(left: Left) -> Reply:
    return Reply(429, {"error": {"message": "Rate Limit Exceeded", "code": 2020}}, quota_headers(left))


DOUBLE = Double(
    name="pagerduty",
    sources=(
        "https://developer.pagerduty.com/docs/rest-api-rate-limits",
        "https://developer.pagerduty.com/docs/pagination",
        "https://developer.pagerduty.com/api-reference/c661e065403b5-list-log-entries",
        "https://developer.pagerduty.com/api-reference/a7d81b0e9200f-create-an-incident",
    ),
    auth=bearer("Token token="),
    values={"from": "mira@example.com", "service": "PABC123"},
    needs=(Needed("accept", lambda value: value == "application/vnd.pagerduty+json;version=2", "not_acceptable"),),
    quotas=(Quota(limit=960, seconds=60, refuse=refuse, headers=quota_headers),),
    statuses={"not_acceptable": 406},
    error=lambda kind, status, message: {"error": {"message": message, "code": 2001, "errors": [message]}},
    tables=(
        Table(name="incidents", row=incident, ident=lambda number: f"Q{number:06d}", first=0, changes="cu"),
        Table(name="log_entries", row=log_entry, ident=lambda number: f"R{number:06d}", log_of="incidents"),
        Table(name="services", row=service, ident=lambda number: f"P{number:06d}", first=15),
        Table(name="users", row=user, ident=lambda number: f"U{number:06d}", first=15),
    ),
    resources={"log_entries": "log_entries", "services": "services", "users": "users"},
    calls=(
        listing("log_entries", param("since", ">=", "created", read_iso), order=(("created", True),)),
        Item(path="/log_entries/{id}", table="log_entries", put="log_entry"),
        listing("services"),
        Item(path="/services/{id}", table="services", put="service"),
        listing("users"),
        Item(path="/users/{id}", table="users", put="user"),
        Custom(path="/incidents", method="POST", run=create),
        FromUser(path="/incidents/{id}", table="incidents", method="PUT", does="update", put="incident"),
        FromUser(path="/incidents/{id}/notes", table="incidents", does="update", put="note", status=201),
    ),
    ignored=("is_overview",),
    operations={
        "create_incident": Test(data={"title": "It burns", "details": "D"}, table="incidents", repeat="rejected"),
        "resolve_incident": Test(
            data={"title": "It burns", "details": "D"}, table="incidents", creates=False, after=("create_incident",)
        ),
        "add_note": Test(
            data={"title": "It burns", "details": "D", "note": "N"},
            table="incidents",
            creates=False,
            after=("create_incident",),
        ),
    },
)
