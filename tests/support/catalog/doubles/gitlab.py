"""GitLab: lists of one project by `updated_after`, numbers of the project in paths, Link headers."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer, either, header
from support.catalog.calls import Item, Listing, Write, order_param
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered
from support.catalog.shape import Double, Reply, State, Table, Test
from support.catalog.times import iso_ms, read_iso
from support.catalog.where import hides_gone, param

SORTS = {"created_at": "created", "updated_at": "updated"}
PROJECT = "/projects/{project}"


def work_item(state: State) -> dict[str, Any]:
    return {
        "id": 7_000 + state.number,
        "iid": state.number,
        "project_id": 5,
        "title": state.mark,
        "description": (state.values.get("body") or {}).get("description"),
        "state": "closed" if state.n % 3 == 0 else "opened",
        "created_at": iso_ms(state.created_us),
        "updated_at": iso_ms(state.at_us),
    }


def pipeline(state: State) -> dict[str, Any]:
    return {
        "id": 47_000 + state.number,
        "ref": state.mark,
        "status": "success",
        "created_at": iso_ms(state.created_us),
        "updated_at": iso_ms(state.at_us),
    }


def note(state: State) -> dict[str, Any]:
    return {"id": 9_000 + state.number, "body": state.mark, "updated_at": iso_ms(state.at_us)}


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "ratelimit-limit": str(left.limit),
        "ratelimit-observed": str(left.used),
        "ratelimit-remaining": str(left.remaining),
        "ratelimit-reset": str(left.reset_s),
    }


def refuse(left: Left) -> Reply:
    return Reply(429, b"Retry later\n", {**quota_headers(left), "retry-after": "60", "content-type": "text/plain"})


def listing(path: str, table: str) -> Listing:
    return Listing(
        path=f"{PROJECT}/{path}",
        table=table,
        pages=Numbered(size="per_page", default=20, maximum=100, link=True),
        where=(param("updated_after", ">=", "updated", read_iso), hides_gone()),
        order=order_param("order_by", SORTS, (("created", True),), "sort"),
    )


DOUBLE = Double(
    name="gitlab",
    sources=(
        "https://docs.gitlab.com/api/issues/",
        "https://docs.gitlab.com/api/merge_requests/",
        "https://docs.gitlab.com/api/pipelines/",
        "https://docs.gitlab.com/api/rest/#pagination",
        "https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers",
    ),
    base="/api/v4",
    auth=either(bearer(), header("PRIVATE-TOKEN")),
    values={"project": "12345"},
    quotas=(Quota(limit=2000, seconds=60, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"message": f"{status} {message}"},
    tables=(
        Table(name="issues", row=work_item, resolution_us=1000, first=120),
        Table(name="merge_requests", row=work_item, resolution_us=1000),
        Table(name="pipelines", row=pipeline, ident=lambda number: 47_000 + number, resolution_us=1000),
        Table(name="notes", row=note, ident=lambda number: 9_000 + number, changes=""),
    ),
    resources={"issues": "issues", "merge_requests": "merge_requests", "pipelines": "pipelines"},
    ignored=("scope",),
    calls=(
        listing("issues", "issues"),
        Item(path=f"{PROJECT}/issues/{{iid}}", table="issues", by="iid"),
        listing("merge_requests", "merge_requests"),
        Item(path=f"{PROJECT}/merge_requests/{{iid}}", table="merge_requests", by="iid"),
        listing("pipelines", "pipelines"),
        Item(path=f"{PROJECT}/pipelines/{{id}}", table="pipelines"),
        Write(path=f"{PROJECT}/issues", table="issues", needs=("body:title",), status=201),
        Write(path=f"{PROJECT}/issues/{{iid}}", table="issues", method="PUT", does="update", by="iid"),
        Write(path=f"{PROJECT}/issues/{{iid}}/notes", table="notes", needs=("body:body",), status=201),
    ),
    operations={
        "create_issue": Test(data={"title": "A", "description": "B"}, table="issues", repeat="again"),
        "add_comment": Test(data={"title": "A", "body": "B"}, table="notes", after=("create_issue",), repeat="again"),
        "close_issue": Test(data={"title": "A"}, table="issues", after=("create_issue",), creates=False),
    },
)
