"""Google Calendar: sync tokens that expire with 410, tombstones with little in them, 403 for limits."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Item
from support.catalog.limits import Left, Quota
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.sync import Synced
from support.catalog.times import iso_ms
from support.catalog.world import World

EVENTS = "/calendars/{calendar}/events"


def event_id(number: int) -> str:
    return f"ev{number:06d}"


def name_of(state: State) -> str:
    return str(state.values.get("id") or event_id(state.number))


def event(state: State) -> dict[str, Any]:
    return {
        "kind": "calendar#event",
        "etag": f'"{state.n}"',
        "id": name_of(state),
        "status": "confirmed",
        "created": iso_ms(state.created_us),
        "updated": iso_ms(state.at_us),
        "summary": state.mark,
    }


def cancelled(state: State) -> dict[str, Any]:
    return {"kind": "calendar#event", "etag": f'"{state.n}"', "id": name_of(state), "status": "cancelled"}


def calendar(state: State) -> dict[str, Any]:
    found = {"kind": "calendar#calendarListEntry", "etag": f'"{state.n}"', "id": f"c{state.number}@example.com"}
    return found | ({"deleted": True} if state.gone else {"summary": state.mark, "accessRole": "owner"})


def find(ask: Ask, world: World) -> State | None:
    rows = world.rows("events")
    return next((one[-1] for one in rows.states.values() if name_of(one[-1]) == ask.fields["id"]), None)


def item(ask: Ask, world: World) -> Reply:
    """A deleted event is answered as a row with the status cancelled."""
    state = find(ask, world)
    if state is None:
        raise Refused("not_found", "Not Found")
    return Reply(200, cancelled(state) if state.gone else event(state))


def insert(ask: Ask, world: World) -> Reply:
    given = ask.body or {}
    if not isinstance(given.get("start"), dict) or not isinstance(given.get("end"), dict):
        raise Refused("bad_request", "Missing end time.")
    ident = given.get("id")
    if ident is not None and not re.fullmatch(r"[a-v0-9]{5,1024}", ident):
        raise Refused("bad_request", "Invalid resource id value.")
    rows = world.rows("events")
    if ident is not None and any(name_of(one[-1]) == ident for one in rows.states.values()):
        raise Refused("duplicate", "The requested identifier already exists.")
    return Reply(200, event(rows.create({"id": ident} if ident else None)))


def patch(ask: Ask, world: World) -> Reply:
    state = find(ask, world)
    if state is None or state.gone:
        raise Refused("not_found", "Not Found")
    return Reply(200, event(world.rows("events").update(state.number)))


def delete(ask: Ask, world: World) -> Reply:
    state = find(ask, world)
    if state is None:
        raise Refused("not_found", "Not Found")
    if state.gone:
        raise Refused("gone", "Resource has been deleted")
    world.rows("events").delete(state.number)
    return Reply(204)


def refuse(left: Left) -> Reply:
    return Reply(403, error("limited", 403, "Rate Limit Exceeded"))


REASONS = {
    "limited": "rateLimitExceeded",
    "expired": "fullSyncRequired",
    "unauthorized": "authError",
    "gone": "deleted",
}


def error(kind: str, status: int, message: str) -> dict[str, Any]:
    reason = {"domain": "usageLimits", "reason": REASONS.get(kind, kind), "message": message}
    return {"error": {"code": status, "message": message, "errors": [reason]}}


DOUBLE = Double(
    name="google-calendar",
    sources=(
        "https://developers.google.com/workspace/calendar/api/guides/sync",
        "https://developers.google.com/workspace/calendar/api/v3/reference/events/list",
        "https://developers.google.com/workspace/calendar/api/guides/errors",
    ),
    auth=bearer(),
    base="/calendar/v3",
    values={"calendar": "primary"},
    quotas=(Quota(limit=600, seconds=60, refuse=refuse),),
    error=error,
    tables=(
        Table(name="events", row=event, tombstone=cancelled, ident=event_id, first=70, resolution_us=1000),
        Table(
            name="calendars",
            row=calendar,
            tombstone=calendar,
            ident=lambda number: f"c{number}@example.com",
            first=10,
        ),
    ),
    resources={"events": "events", "calendars": "calendars"},
    calls=(
        Synced(
            path=EVENTS,
            table="events",
            put="items",
            size="maxResults",
            alone=("maxResults", "singleEvents", "showDeleted"),
            extra={"kind": "calendar#events"},
        ),
        Custom(path=f"{EVENTS}/{{id}}", run=item),
        Custom(path=EVENTS, method="POST", run=insert),
        Custom(path=f"{EVENTS}/{{id}}", method="PATCH", run=patch),
        Custom(path=f"{EVENTS}/{{id}}", method="DELETE", run=delete),
        Synced(
            path="/users/me/calendarList",
            table="calendars",
            put="items",
            size="maxResults",
            maximum=250,
            alone=("maxResults", "showDeleted", "showHidden"),
        ),
        Item(path="/users/me/calendarList/{id}", table="calendars"),
    ),
    operations={
        "create_event": Test(
            data={
                "id": "a0000{n}",
                "summary": "S",
                "start": "2026-12-01T10:00:00Z",
                "end": "2026-12-01T11:00:00Z",
            },
            table="events",
        ),
        "update_event": Test(data={"id": "ev000001", "summary": "S"}, table="events", creates=False),
        "delete_event": Test(data={"id": "ev000002"}, table="events", creates=False),
    },
)
