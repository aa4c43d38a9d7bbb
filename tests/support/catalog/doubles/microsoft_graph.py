"""Microsoft Graph: delta links, tombstones with @removed, page sizes in a header, transaction ids."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Write
from support.catalog.limits import Left, Quota
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.sync import Synced
from support.catalog.times import iso_s
from support.catalog.world import World

MESSAGES = "/me/mailFolders/{folder}/messages/delta"


def user(state: State) -> dict[str, Any]:
    return {
        "id": f"u{state.number:08d}",
        "displayName": state.mark,
        "givenName": "Mira",
        "surname": "Vos",
        "mail": "mira@example.com",
        "userPrincipalName": f"u{state.number}@acme.onmicrosoft.com",
        "accountEnabled": True,
        "jobTitle": None,
        "department": None,
    }


def message(state: State) -> dict[str, Any]:
    return {
        "id": f"AAMk{state.number:08d}",
        "subject": state.mark,
        "from": {"emailAddress": {"address": "a@example.com"}},
        "toRecipients": [],
        "receivedDateTime": iso_s(state.created_us),
        "lastModifiedDateTime": iso_s(state.at_us),
        "isRead": state.n % 2 == 0,
        "hasAttachments": False,
        "bodyPreview": "",
        "conversationId": "AAQk",
    }


def file(state: State) -> dict[str, Any]:
    return {
        "id": f"01{state.number:08d}",
        "name": state.mark,
        "size": 1024,
        "file": {"mimeType": "application/pdf"},
        "parentReference": {"id": "01ROOT"},
        "createdDateTime": iso_s(state.created_us),
        "lastModifiedDateTime": iso_s(state.at_us),
        "webUrl": "https://acme.sharepoint.com/x",
    }


def event(state: State) -> dict[str, Any]:
    return {"id": f"AAEv{state.number:08d}", "subject": state.mark}


ROWS = {"users": user, "messages": message, "files": file, "events": event}


def removed(table: str) -> Any:
    def row(state: State) -> dict[str, Any]:
        found = {"id": ROWS[table](state)["id"]}
        return found | ({"deleted": {"state": "deleted"}} if table == "files" else {"@removed": {"reason": "deleted"}})

    return row


class Delta(Synced, kw_only=True):
    """`$select` names the fields; it is part of the links, so a link must not be given another one."""

    known: tuple[str, ...] = ()

    def answer(self, ask: Ask, world: World) -> Reply:
        wanted = str(ask.get("$select") or "")
        if (ask.get(self.page) or ask.get(self.sync)) and set(ask.query) - {self.page, self.sync}:
            raise Refused("bad_request", "the link was changed")
        names = set(wanted.split(",")) if wanted else set()
        if names - set(self.known):
            raise Refused("bad_request", f"Could not find a property named '{min(names - set(self.known))}'")
        return super().answer(ask, world)

    def _size(self, ask: Ask) -> int:
        prefer = re.search(r"odata\.maxpagesize=(\d+)", ask.headers.get("prefer", ""))
        return min(self.served, int(prefer[1]) if prefer is not None else self.default)


def delta(path: str, table: str) -> Delta:
    return Delta(
        path=path,
        table=table,
        put="value",
        links=True,
        page="$skiptoken",
        sync="token" if table == "files" else "$deltatoken",
        page_out="@odata\\.nextLink",
        sync_out="@odata\\.deltaLink",
        known=(*ROWS[table](State(1, 1, 0, 0, 0)), "folder", "deleted"),
    )


def item(table: str) -> Any:
    def run(ask: Ask, world: World) -> Reply:
        state = world.rows(table).find(ask.fields["id"])
        if state is None or state.gone:
            raise Refused("not_found", f"Resource '{ask.fields['id']}' does not exist")
        return Reply(200, ROWS[table](state))

    return run


def send(ask: Ask, world: World) -> Reply:
    if not ask.get("body:message.toRecipients"):
        raise Refused("bad_request", "At least one recipient is required.")
    world.rows("sent").create()
    return Reply(202)


def create_event(ask: Ask, world: World) -> Reply:
    """A second event with the transactionId of an earlier one is that one."""
    if not ask.get("body:start.dateTime"):
        raise Refused("bad_request", "start is required")
    rows, key = world.rows("events"), ask.get("body:transactionId")
    same = next((one for one in rows.live() if key and rows.states[one][-1].values.get("unique") == key), None)
    state = rows.create({"unique": key}) if same is None else rows.states[same][-1]
    return Reply(201, event(state))


def refuse(left: Left) -> Reply:
    body = {"error": {"code": "TooManyRequests", "message": "Please retry again later."}}
    return Reply(429, body, {"Retry-After": str(left.wait_seconds)})


CODES = {"unauthorized": "InvalidAuthenticationToken", "expired": "SyncStateNotFound", "not_found": "Request_NotFound"}


def table(name: str, first: int, changes: str = "cud") -> Table:
    return Table(
        name=name,
        row=ROWS.get(name, event),
        tombstone=removed(name) if name in ROWS else None,
        ident=lambda number: ROWS.get(name, event)(State(number, 1, 0, 0, 0))["id"],
        first=first,
        changes=changes,
    )


DOUBLE = Double(
    name="microsoft-graph",
    sources=(
        "https://learn.microsoft.com/en-us/graph/delta-query-overview",
        "https://learn.microsoft.com/en-us/graph/api/message-delta",
        "https://learn.microsoft.com/en-us/graph/api/driveitem-delta",
        "https://learn.microsoft.com/en-us/graph/api/user-post-events",
        "https://learn.microsoft.com/en-us/graph/throttling",
    ),
    auth=bearer(),
    base="/v1.0",
    values={"folder": "inbox"},
    quotas=(Quota(limit=10_000, seconds=600, refuse=refuse),),
    error=lambda kind, status, message: {"error": {"code": CODES.get(kind, "BadRequest"), "message": message}},
    tables=(
        table("users", 50),
        table("messages", 50),
        table("files", 50),
        table("events", 0, ""),
        table("sent", 0, ""),
    ),
    resources={"users": "users", "messages": "messages", "files": "files"},
    calls=(
        delta("/users/delta", "users"),
        Custom(path="/users/{id}", run=item("users")),
        delta(MESSAGES, "messages"),
        Custom(path="/me/messages/{id}", run=item("messages")),
        delta("/me/drive/root/delta", "files"),
        Custom(path="/me/drive/items/{id}", run=item("files")),
        Custom(path="/me/events", method="POST", run=create_event),
        Write(path="/me/events/{id}", table="events", method="PATCH", does="update"),
        Custom(path="/me/sendMail", method="POST", run=send),
    ),
    operations={
        "create_event": Test(
            data={"subject": "S", "body": "B", "start": "2026-12-01T10:00:00", "end": "2026-12-01T11:00:00"},
            table="events",
        ),
        "update_event": Test(
            data={"subject": "S", "body": "B", "start": "2026-12-01T10:00:00", "end": "2026-12-01T11:00:00"},
            table="events",
            creates=False,
            after=("create_event",),
        ),
        "send_mail": Test(data={"subject": "S", "text": "T", "to": "a@example.com"}, table="sent", repeat="again"),
    },
)
