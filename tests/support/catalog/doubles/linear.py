"""Linear: GraphQL with filters, newest first, 400 for the limit, rows in the trash, ids that the caller may give."""

from __future__ import annotations

from typing import Any

from support.catalog import graphql
from support.catalog.auth import bearer
from support.catalog.calls import Custom, sorting
from support.catalog.limits import Left, Quota
from support.catalog.pages import make_token, read_token
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_ms, read_zoned
from support.catalog.where import OPERATORS, read
from support.catalog.world import World

TEAM = "9cfb482a-81e3-4154-b5b9-2c805e70a02d"
COMPARES = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "eq": "="}
PAGE = 30  # 250 in the real one, and 50 when it is not said


def uuid(table: str) -> Any:
    return lambda number: f"{table[0]}{number:07d}-0000-4000-8000-000000000000".replace("p", "b").replace("i", "a")


def node(table: str) -> Any:
    def row(state: State) -> dict[str, Any]:
        common = {
            "id": state.values.get("id") or uuid(table)(state.number),
            "url": "https://linear.app/acme",
            "createdAt": iso_ms(state.created_us),
            "updatedAt": iso_ms(state.at_us),
            "archivedAt": iso_ms(state.at_us) if state.gone else None,
            "description": state.mark,
        }
        if table == "comments":
            return common | {"body": state.mark, "issue": {"id": "1"}, "user": {"id": "2", "name": "Mira"}}
        return common | {
            "identifier": f"SHO-{state.number}",
            "title": state.mark,
            "name": state.mark,
            "priority": 2,
            "estimate": None,
            "progress": 0.5,
            "trashed": True if state.gone else None,
            "completedAt": None,
            "canceledAt": None,
            "dueDate": None,
            "startDate": None,
            "targetDate": None,
            "state": {"id": "s", "name": "Todo", "type": "unstarted"},
            "team": {"id": TEAM, "key": "SHO"},
            "assignee": None,
            "project": None,
        }

    return row


def filtered(given: Any) -> list[tuple[str, int]]:
    found = []
    for name, compare in (given or {}).items():
        if name != "updatedAt" or not isinstance(compare, dict):
            raise Refused("bad_request", f"Field {name} is not defined by type Filter")
        for word, value in compare.items():
            if value is not None:
                found.append((COMPARES[word], read(read_zoned, value, name)))
    return found


def connection(world: World, table: str, now_us: int) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        given = field.arguments
        first = given.get("first") or 50
        if not 1 <= first <= 250:
            raise Refused("bad_request", "first must be from 1 to 250")
        if given.get("orderBy", "createdAt") not in ("updatedAt", "createdAt"):
            raise Refused("bad_request", "orderBy")
        rows = world.rows(table)
        archived = bool(given.get("includeArchived")) and rows.table.tombstone is not None
        states = [one for one in rows.visible() if archived or not one.gone]
        for op, value in filtered(given.get("filter")):
            states = [one for one in states if OPERATORS[op](one.at_us, value)]
        order = "updated" if given.get("orderBy") == "updatedAt" else "created"
        key = sorting(rows.table, ((order, True),))
        states.sort(key=key)
        if given.get("after"):
            last, _ = read_token(given["after"])
            states = [one for one in states if list(key(one)) > last]
        page = states[: min(first, PAGE)]
        end = make_token(list(key(page[-1])), now_us) if page else None
        return {
            "nodes": [node(table)(one) for one in page],
            "pageInfo": {"hasNextPage": len(states) > len(page), "endCursor": end},
        }

    return resolve


def create(world: World, table: str, needed: tuple[str, ...], member: str) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        given = field.arguments.get("input") or {}
        missing = [name for name in needed if not given.get(name)]
        if missing:
            raise Refused("bad_request", f"Field {missing[0]} of required type was not provided")
        if given.get("teamId", TEAM) != TEAM:
            raise Refused("bad_request", "Entity not found: Team")
        rows, ident = world.rows(table), given.get("id")
        if ident and any(rows.states[one][-1].values.get("id") == ident for one in rows.live()):
            raise Refused("bad_request", f"Conflict on insert of {member}: an entity with this id exists")
        state = rows.create({"id": ident} if ident else None)
        return {"success": True, member: node(table)(state)}

    return resolve


TABLES = ("issues", "comments", "projects")


def run(ask: Ask, world: World) -> Reply:
    queries = {table: connection(world, table, ask.now_us) for table in TABLES}
    mutations = {
        "issueCreate": create(world, "issues", ("teamId", "title"), "issue"),
        "commentCreate": create(world, "comments", ("issueId", "body"), "comment"),
    }
    try:
        return Reply(200, {"data": graphql.run(ask.body, queries, mutations)})
    except Refused as error:
        return Reply(400, {"errors": [{"message": error.message, "extensions": {"code": "INVALID_INPUT"}}]})


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "x-ratelimit-requests-limit": str(left.limit),
        "x-ratelimit-requests-remaining": str(left.remaining),
        "x-ratelimit-requests-reset": str(left.reset_us // 1000),
    }


def refuse(left: Left) -> Reply:
    body = {"errors": [{"message": "Rate limit exceeded", "extensions": {"code": "RATELIMITED"}}]}
    return Reply(400, body, quota_headers(left))


DOUBLE = Double(
    name="linear",
    sources=(
        "https://linear.app/developers/rate-limiting",
        "https://linear.app/developers/pagination",
        "https://linear.app/developers/filtering",
        "https://github.com/linear/linear/blob/master/packages/sdk/src/schema.graphql",
    ),
    auth=bearer(""),
    values={"team": TEAM},
    quotas=(Quota(limit=5000, seconds=3600, bucket=True, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"errors": [{"message": message, "extensions": {"code": kind.upper()}}]},
    tables=tuple(
        Table(
            name=table,
            row=node(table),
            tombstone=None if table == "comments" else node(table),
            ident=uuid(table),
            first=60,
            resolution_us=1000,
        )
        for table in TABLES
    ),
    resources={table: table for table in TABLES},
    calls=(Custom(path="/graphql", method="POST", run=run, lists=True),),
    operations={
        "create_issue": Test(
            data={"id": "{n}0000000-0000-4000-8000-000000000000", "title": "T", "description": "D"},
            table="issues",
            repeat="rejected",
        ),
        "comment": Test(
            data={"title": "T", "description": "D", "body": "B"},
            table="comments",
            after=("create_issue",),
            repeat="again",
        ),
    },
)
