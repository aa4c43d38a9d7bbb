"""monday.com: GraphQL with a cursor that lives an hour, errors and limits with status 200."""

from __future__ import annotations

import json
from typing import Any

from support.catalog import graphql
from support.catalog.auth import bearer
from support.catalog.calls import Custom
from support.catalog.limits import Left, Quota
from support.catalog.pages import make_token, read_token
from support.catalog.shape import Ask, Double, Needed, Refused, Reply, State, Table, Test
from support.catalog.times import iso_s
from support.catalog.world import World

BOARD = "1234567890"
PAGE = 30  # 500 in the real one
CURSOR_US = 3_600_000_000


def item(state: State) -> dict[str, Any]:
    return {
        "id": str(state.number), "name": state.mark, "state": "active", "url": "https://acme.monday.com",
        "creator_id": "7",
        "created_at": iso_s(state.created_us), "updated_at": iso_s(state.at_us), "group": {"id": "g", "title": "Open"},
        "column_values": [{"id": "status", "type": "status", "text": "Done", "value": '{"index":1}'}],
    }  # fmt: skip


def board(state: State) -> dict[str, Any]:
    return {
        "id": str(state.number), "name": state.mark, "description": None, "state": "active", "board_kind": "public",
        "type": "board", "permissions": "everyone", "url": "https://acme.monday.com", "workspace_id": None,
        "updated_at": iso_s(state.at_us), "items_count": 3,
    }  # fmt: skip


def user(state: State) -> dict[str, Any]:
    return {
        "id": str(state.number), "name": state.mark, "email": "mira@example.com", "title": None, "enabled": True,
        "is_admin": False, "is_guest": False, "created_at": iso_s(state.created_us),
    }  # fmt: skip


def update(state: State) -> dict[str, Any]:
    return {"id": str(state.number), "body": state.mark}


def live(world: World, table: str) -> list[State]:
    return sorted((one for one in world.rows(table).visible() if not one.gone), key=lambda one: one.number)


def items_page(given: dict[str, Any], world: World, now_us: int) -> dict[str, Any]:
    limit, after = given.get("limit", 25), 0
    if not 1 <= limit <= 500:
        raise Refused("bad_request", "limit must be from 1 to 500")
    if given.get("cursor"):
        if given.get("query_params") is not None:
            raise Refused("bad_request", "query_params and cursor cannot be used in the same request")
        after, first_us = read_token(given["cursor"])
        if now_us - first_us > CURSOR_US:
            raise Refused("expired", "The cursor provided for pagination has expired")
    else:
        first_us = now_us
    states = [one for one in live(world, "items") if one.number > after]
    page = states[: min(limit, PAGE)]
    more = len(states) > len(page)
    return {"cursor": make_token(page[-1].number, first_us) if more else None, "items": [item(one) for one in page]}


def boards(world: World, now_us: int) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        given = field.arguments
        if given.get("ids"):
            pages = next((one for one in field.fields if one.name == "items_page"), None)
            found = {"id": BOARD} | ({"items_page": items_page(pages.arguments, world, now_us)} if pages else {})
            return [found] if BOARD in given["ids"] else []
        if given.get("state", "active") != "active":
            raise Refused("bad_request", "state")
        return numbered(world, "boards", given)

    return resolve


def numbered(world: World, table: str, given: dict[str, Any]) -> list[Any]:
    size = min(given.get("limit", 25), PAGE)
    begin = (given.get("page", 1) - 1) * size
    rows = world.rows(table).table
    return [rows.row(one) for one in live(world, table)[begin : begin + size]]


def columns(text: Any) -> None:
    """Values of columns are a JSON text, not an object."""
    try:
        json.loads(text)
    except (TypeError, ValueError):
        raise Refused("bad_request", "column_values is not a JSON text") from None


ARGUMENTS = {
    "boards": {"ids", "limit", "page", "state"},
    "items_page": {"limit", "cursor", "query_params"},
    "users": {"limit", "page"},
    "create_item": {"board_id", "item_name", "column_values"},
    "change_multiple_column_values": {"board_id", "item_id", "column_values"},
    "create_update": {"item_id", "body"},
}


def check_arguments(fields: list[graphql.Field]) -> None:
    for one in fields:
        unknown = set(one.arguments) - ARGUMENTS.get(one.name, set())
        if unknown:
            raise Refused("bad_request", f"Unknown argument {sorted(unknown)[0]!r} on field {one.name!r}")
        check_arguments(one.fields)


def create_item(world: World) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        given = field.arguments
        if given.get("board_id") != BOARD or not given.get("item_name"):
            raise Refused("not_found", "InvalidBoardIdException")
        if given.get("column_values") is not None:
            columns(given["column_values"])
        return item(world.rows("items").create())

    return resolve


def found(world: World, ident: Any) -> int:
    state = world.rows("items").find(str(ident))
    if state is None or state.gone:
        raise Refused("not_found", "InvalidItemIdException")
    return state.number


def change(world: World) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        columns(field.arguments.get("column_values"))
        return item(world.rows("items").update(found(world, field.arguments.get("item_id"))))

    return resolve


def create_update(world: World) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        found(world, field.arguments.get("item_id"))
        if not field.arguments.get("body"):
            raise Refused("bad_request", "body is required")
        return update(world.rows("updates").create())

    return resolve


def run(ask: Ask, world: World) -> Reply:
    queries = {"boards": boards(world, ask.now_us), "users": lambda field: numbered(world, "users", field.arguments)}
    mutations = {
        "create_item": create_item(world),
        "change_multiple_column_values": change(world),
        "create_update": create_update(world),
    }
    try:
        check_arguments(graphql.parse(ask.body).fields)
        return Reply(200, {"data": graphql.run(ask.body, queries, mutations), "account_id": 1})
    except Refused as error:
        return Reply(200, {"data": None, "errors": [{"message": error.message, "extensions": {"code": error.kind}}]})


def refuse(left: Left) -> Reply:
    extensions = {"code": "COMPLEXITY_BUDGET_EXHAUSTED", "retry_in_seconds": left.wait_seconds}
    return Reply(200, {"errors": [{"message": "Complexity budget exhausted", "extensions": extensions}]})


DOUBLE = Double(
    name="monday",
    sources=(
        "https://developer.monday.com/api-reference/reference/items-page",
        "https://developer.monday.com/api-reference/docs/error-handling",
        "https://developer.monday.com/api-reference/docs/rate-limits",
        "https://github.com/mondaycom/monday-graphql-api/blob/main/packages/agent-toolkit/lib/monday-graphql/schema.graphql",
    ),
    auth=bearer(""),
    values={"board": BOARD},
    needs=(Needed("API-Version", lambda value: value == "2026-07"),),
    quotas=(Quota(limit=1000, seconds=60, refuse=refuse),),
    error=lambda kind, status, message: {"errors": [{"message": message, "extensions": {"code": kind}}]},
    tables=(
        Table(name="items", row=item, ident=str, first=80),
        Table(name="boards", row=board, ident=str, first=40),
        Table(name="users", row=user, ident=str, first=40),
        Table(name="updates", row=update, ident=str, first=1, changes=""),
    ),
    resources={"items": "items", "boards": "boards", "users": "users"},
    calls=(Custom(path="/v2", method="POST", run=run, lists=True),),
    operations={
        "create_item": Test(data={"name": "A", "columns": {"status": "Done"}}, table="items", repeat="again"),
        "change_columns": Test(
            data={"name": "A", "columns": {"status": "Done"}}, table="items", after=("create_item",), creates=False,
        ),
        "add_update": Test(
            data={"name": "A", "columns": {}, "body": "B"}, table="updates", after=("create_item",), repeat="again",
        ),
    },
)  # fmt: skip
