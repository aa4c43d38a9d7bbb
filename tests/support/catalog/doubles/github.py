"""GitHub: issues by `since`, pull requests newest first, comments, an hourly quota with 403."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Item, Listing, Write, order_param
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered
from support.catalog.shape import Ask, Double, Needed, Reply, State, Table, Test
from support.catalog.times import iso_s, read_iso
from support.catalog.where import Condition, hides_gone, param

SORTS = {"created": "created", "updated": "updated"}


def issue(state: State) -> dict[str, Any]:
    return {
        "id": 1_000_000 + state.number,
        "node_id": f"I_{state.number}",
        "number": state.number,
        "title": state.mark,
        "body": (state.values.get("body") or {}).get("body"),
        "state": "closed" if state.n % 3 == 0 else "open",
        "created_at": iso_s(state.created_us),
        "updated_at": iso_s(state.at_us),
    }


def comment(state: State) -> dict[str, Any]:
    return {
        "id": 5_000_000 + state.number,
        "body": state.mark,
        "created_at": iso_s(state.created_us),
        "updated_at": iso_s(state.at_us),
    }


def state_filter(ask: Ask) -> list[Condition]:
    """Without `state=all` only open ones are listed."""
    given = ask.get("state", "open")
    return [] if given == "all" else [Condition("state", "=", given)]


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(left.limit),
        "x-ratelimit-remaining": str(left.remaining),
        "x-ratelimit-used": str(left.used),
        "x-ratelimit-reset": str(left.reset_s),
        "x-ratelimit-resource": "core",
    }


def refuse(left: Left) -> Reply:
    return Reply(403, {"message": "API rate limit exceeded for user ID 1."}, quota_headers(left))


PAGES = Numbered(size="per_page", default=30, maximum=100, link=True)
REPO = "/repos/{owner}/{repo}"

DOUBLE = Double(
    name="github",
    sources=(
        "https://docs.github.com/en/rest/issues/issues#list-repository-issues",
        "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api",
        "https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent",
    ),
    auth=bearer(),
    values={"owner": "acme", "repo": "shop"},
    needs=(Needed("user-agent", kind="forbidden"),),
    quotas=(Quota(limit=5000, seconds=3600, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"message": message, "documentation_url": "https://docs.github.com/rest"},
    statuses={"bad_request": 422},
    tables=(
        Table(name="issues", row=issue, first=120, fields={"state": lambda state: issue(state)["state"]}),
        Table(name="comments", row=comment, ident=lambda number: 5_000_000 + number, first=40),
        Table(name="pulls", row=issue, first=40, fields={"state": lambda state: issue(state)["state"]}),
    ),
    resources={"issues": "issues", "comments": "comments", "pulls": "pulls"},
    calls=(
        Listing(
            path=f"{REPO}/issues",
            table="issues",
            pages=PAGES,
            where=(state_filter, param("since", ">=", "updated", read_iso), hides_gone()),
            order=order_param("sort", SORTS, (("created", True),), "direction"),
        ),
        Item(path=f"{REPO}/issues/{{number}}", table="issues", by="number", gone="gone"),
        Listing(
            path=f"{REPO}/issues/comments",
            table="comments",
            pages=PAGES,
            where=(param("since", ">=", "updated", read_iso), hides_gone()),
            order=order_param("sort", SORTS, (("id", False),), "direction"),
        ),
        Item(path=f"{REPO}/issues/comments/{{id}}", table="comments"),
        Listing(
            path=f"{REPO}/pulls",
            table="pulls",
            pages=PAGES,
            where=(state_filter, hides_gone()),
            order=order_param("sort", SORTS, (("created", True),), "direction"),
        ),
        Item(path=f"{REPO}/pulls/{{number}}", table="pulls", by="number"),
        Write(path=f"{REPO}/issues", table="issues", needs=("body:title",), status=201),
        Write(path=f"{REPO}/issues/{{number}}", table="issues", method="PATCH", does="update", by="number"),
        Write(path=f"{REPO}/issues/{{number}}/comments", table="comments", needs=("body:body",), status=201),
    ),
    operations={
        "create_issue": Test(data={"title": "A", "body": "B"}, table="issues", repeat="again"),
        "add_comment": Test(
            data={"title": "A", "body": "B"}, table="comments", after=("create_issue",), repeat="again"
        ),
        "close_issue": Test(data={"title": "A"}, table="issues", after=("create_issue",), creates=False),
    },
)
