"""Asana: rows with what opt_fields names, offsets that are tokens, `modified_since`, everything wrapped in `data`."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_ms, read_zoned
from support.catalog.where import Condition, hides_gone, param


def task(state: State) -> dict[str, Any]:
    return {
        "gid": str(state.number), "resource_type": "task", "name": state.mark, "completed": state.n % 3 == 0,
        "modified_at": iso_ms(state.at_us),
    }  # fmt: skip


def story(state: State) -> dict[str, Any]:
    return {"gid": str(state.number), "resource_type": "story", "text": state.mark}


def scoped(ask: Ask) -> list[Condition]:
    if not ask.get("project"):
        raise Refused("bad_request", "Must specify exactly one of project, tag, section, user task list, or assignee")
    return []


def selected(row: Any, ask_fields: str) -> Any:
    wanted = {"gid", "resource_type", *(ask_fields or "name").split(",")}
    return {name: value for name, value in row.items() if name in wanted}


def listing(path: str, table: str, *where: Any) -> Listing:
    class Selected(Listing, frozen=False, kw_only=True):
        def answer(self, ask: Ask, world: Any) -> Reply:
            reply = Listing.answer(self, ask, world)
            reply.body["data"] = [selected(row, ask.get("opt_fields", "")) for row in reply.body["data"]]
            return reply

    return Selected(
        path=path,
        table=table,
        put="data",
        pages=Tokens(token="offset", out="next_page.offset", size="limit", default=20, maximum=100, over="error"),
        where=(*where, param("modified_since", ">=", "updated", read_zoned), hides_gone()),
        extra=lambda ask, world, page: {} if page.rest else {"next_page": None},
    )


def refuse(left: Left) -> Reply:
    body = {"errors": [{"message": "You have made too many requests recently. Please, be chill."}]}
    return Reply(429, body, {"retry-after": str(left.wait_seconds)})


DOUBLE = Double(
    name="asana",
    sources=(
        "https://developers.asana.com/reference/gettasks",
        "https://developers.asana.com/docs/pagination",
        "https://developers.asana.com/docs/rate-limits",
    ),
    base="/api/1.0",
    auth=bearer(),
    values={"project": "1200000000000001"},
    quotas=(Quota(limit=150, seconds=60, refuse=refuse),),
    error=lambda kind, status, message: {"errors": [{"message": message}]},
    tables=(
        Table(name="tasks", row=task, resolution_us=1000, first=60),
        Table(name="projects", row=task, resolution_us=1000),
        Table(name="stories", row=story, changes=""),
    ),
    resources={"tasks": "tasks", "projects": "projects"},
    ignored=("opt_fields",),
    calls=(
        listing("/tasks", "tasks", scoped),
        Item(path="/tasks/{gid}", table="tasks", by="gid", put="data"),
        Write(path="/tasks", table="tasks", needs=("body:data.name",), put="data", status=201),
        Write(path="/tasks/{gid}", method="PUT", table="tasks", does="update", by="gid", put="data"),
        Write(path="/tasks/{gid}/stories", table="stories", needs=("body:data.text",), put="data", status=201),
        listing("/projects", "projects"),
        Item(path="/projects/{gid}", table="projects", by="gid", put="data"),
    ),
    operations={
        "create_task": Test(data={"name": "A", "notes": "B"}, table="tasks", repeat="again"),
        "complete_task": Test(
            data={"name": "A", "notes": "B"}, table="tasks", after=("create_task",), creates=False
        ),
        "add_comment": Test(
            data={"name": "A", "notes": "B", "text": "C"}, table="stories", after=("create_task",), repeat="again"
        ),
    },
)  # fmt: skip
