"""Jira Cloud: JQL that compares whole minutes, tokens without a total, ids unless fields are named, a late index."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import basic
from support.catalog.calls import Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Offsets, Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_ms_offset, read_epoch_ms
from support.catalog.where import Condition, hides_gone, read
from support.catalog.world import World

MINUTE_US = 60_000_000
_JQL = re.compile(r"project = SHOP AND updated >= (\d+) ORDER BY updated ASC")


def issue(state: State) -> dict[str, Any]:
    return {
        "id": str(10_000 + state.number),
        "key": f"SHOP-{state.number}",
        "fields": {"summary": state.mark, "updated": iso_ms_offset(state.at_us)},
    }


def project(state: State) -> dict[str, Any]:
    return {"id": str(20_000 + state.number), "key": f"P{state.number}", "name": state.mark}


def comment(state: State) -> dict[str, Any]:
    return {"id": str(state.number), "body": state.mark}


def jql(ask: Ask) -> list[Condition]:
    match = _JQL.fullmatch(ask.get("jql") or "")
    if match is None:
        raise Refused("bad_request", f"Error in the JQL Query: {ask.get('jql')!r}")
    since = 0 if match[1] == "0" else read(read_epoch_ms, match[1], "updated")
    return [Condition("minute", ">=", since - since % MINUTE_US)]


class Search(Listing, kw_only=True):
    """Only ids without `fields`."""

    def answer(self, ask: Ask, world: World) -> Reply:
        reply = Listing.answer(self, ask, world)
        if ask.get("fields") != "*all":
            reply.body["issues"] = [{"id": one["id"]} for one in reply.body["issues"]]
        return reply


def refuse(left: Left) -> Reply:
    return Reply(429, {"errorMessages": ["Rate limit exceeded."]}, {"retry-after": str(left.wait_seconds)})


DOUBLE = Double(
    name="jira",
    sources=(
        "https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/",
        "https://developer.atlassian.com/cloud/jira/platform/rate-limiting/",
    ),
    base="/rest/api/3",
    auth=basic("mira@example.com", "ATATT3xFfGF0123456789abcdef=01234567"),
    values={"site": "acme", "project": "SHOP"},
    quotas=(Quota(limit=100, seconds=10, refuse=refuse),),
    error=lambda kind, status, message: {"errorMessages": [message], "errors": {}},
    tables=(
        Table(
            name="issues", row=issue, ident=lambda n: str(10_000 + n), resolution_us=1000, lag_seconds=20, first=60,
            fields={"minute": lambda state: state.at_us - state.at_us % MINUTE_US},
        ),
        Table(name="projects", row=project, ident=lambda n: str(20_000 + n)),
        Table(name="comments", row=comment, ident=str, changes=""),
    ),
    resources={"issues": "issues", "projects": "projects"},
    ignored=("orderBy",),
    calls=(
        Search(
            path="/search/jql",
            table="issues",
            put="issues",
            pages=Tokens(
                token="nextPageToken", out="nextPageToken", size="maxResults", default=50, maximum=100, served=40,
                has_more="!isLast",
            ),
            where=(jql, hides_gone()),
            order=(("updated", False),),
            late=True,
        ),
        Item(path="/issue/{id}", table="issues"),
        Write(
            path="/issue", table="issues", needs=("body:fields.summary", "body:fields.project.key"), status=201,
            answers=lambda state, ask: {"id": issue(state)["id"], "key": issue(state)["key"]},
        ),
        Write(path="/issue/{id}/comment", table="comments", needs=("body:body",), status=201),
        Listing(
            path="/project/search", table="projects", put="values", where=(hides_gone(),),
            pages=Offsets(offset="startAt", size="maxResults", default=50, maximum=50, total="total"),
        ),
        Item(path="/project/{id}", table="projects"),
    ),
    operations={
        "create_issue": Test(data={"summary": "A"}, table="issues", repeat="again"),
        "add_comment": Test(
            data={"summary": "A", "text": "B"}, table="comments", after=("create_issue",), repeat="again"
        ),
    },
)  # fmt: skip
