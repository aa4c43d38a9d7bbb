"""Gmail: searches that have ids only, threads with the number of their last change, 403 for limits."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Listing
from support.catalog.doubles.google_calendar import error
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens
from support.catalog.shape import DAY, Ask, Double, Refused, Reply, State, Table, Test, Unseen
from support.catalog.where import Condition, hides_gone
from support.catalog.world import World


def message_id(number: int) -> str:
    return f"18c{number:06x}"


def thread(state: State) -> dict[str, Any]:
    return {"id": message_id(state.number), "snippet": state.mark, "historyId": str(4000 + state.n)}


def message(state: State) -> dict[str, Any]:
    return {"id": message_id(state.number), "threadId": state.mark}


def label(state: State) -> dict[str, Any]:
    return {"id": f"Label_{state.number}", "name": state.mark, "type": "user", "messageListVisibility": "show"}


def search(field: str) -> Any:
    def where(ask: Ask) -> list[Condition]:
        match = re.fullmatch(r"newer_than:(\d+)d", str(ask.get("q") or ""))
        if match is None:
            raise Refused("bad_request", f"the double cannot search for {ask.get('q')!r}")
        return [Condition(field, ">=", ask.now_us - int(match[1]) * DAY)]

    return where


PAGES = Tokens(
    token="pageToken", out="nextPageToken", size="maxResults", default=100, maximum=500, served=30, over="error",
    empty="absent",
)  # fmt: skip


def send(ask: Ask, world: World) -> Reply:
    if not re.fullmatch(r"[A-Za-z0-9_=-]+", str((ask.body or {}).get("raw") or "")):
        raise Refused("bad_request", "'raw' RFC822 payload message string or uploading message is required")
    return Reply(200, {**message(world.rows("messages").create()), "labelIds": ["SENT"]})


def change(ask: Ask, world: World) -> Reply:
    state = world.rows("messages").find(ask.fields["id"])
    if state is None or state.gone:
        raise Refused("not_found", "Requested entity was not found.")
    return Reply(200, {**message(world.rows("messages").update(state.number)), "labelIds": ["INBOX"]})


def refuse(left: Left) -> Reply:
    return Reply(403, error("limited", 403, "User-rate limit exceeded"))


DOUBLE = Double(
    name="gmail",
    sources=(
        "https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.threads/list",
        "https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/list",
        "https://developers.google.com/workspace/gmail/api/guides/handle-errors",
    ),
    auth=bearer(),
    base="/gmail/v1/users/me",
    quotas=(Quota(limit=1500, seconds=60, refuse=refuse),),
    error=error,
    tables=(
        Table(name="threads", row=thread, ident=message_id, first=60),
        Table(name="messages", row=message, ident=message_id, first=60),
        Table(name="labels", row=label, ident=lambda number: f"Label_{number}", first=20),
    ),
    resources={"threads": "threads", "messages": "messages", "labels": "labels"},
    unseen={"messages": Unseen("u", "the list has ids only")},
    calls=(
        Listing(
            path="/threads", table="threads", put="threads", pages=PAGES, absent=True,
            where=(search("updated"), hides_gone()), order=(("updated", True),),
        ),
        Listing(
            path="/messages", table="messages", put="messages", pages=PAGES, absent=True,
            where=(search("created"), hides_gone()), order=(("created", True),),
        ),
        Listing(path="/labels", table="labels", put="labels", where=(hides_gone(),)),
        Custom(path="/messages/send", method="POST", run=send),
        Custom(path="/messages/{id}/modify", method="POST", run=change),
        Custom(path="/messages/{id}/trash", method="POST", run=change),
    ),
    operations={
        "send": Test(data={"raw": "RnJvbTogbWVAZXhhbXBsZS5jb20"}, table="messages", repeat="again"),
        "add_label": Test(data={"id": message_id(1), "label": "Label_1"}, table="messages", creates=False),
        "trash": Test(data={"id": message_id(1)}, table="messages", creates=False),
    },
)  # fmt: skip
