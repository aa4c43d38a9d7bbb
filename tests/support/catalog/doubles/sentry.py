"""Sentry: a next link on every page that says whether it leads to rows, a hidden default filter, limits by headers."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Item, Listing, Write
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered, Page, link_to
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_us
from support.catalog.where import Condition, hides_gone
from support.catalog.world import World

ORG = "/organizations/{organization}"


def status_of(state: State) -> str:
    return "resolved" if state.n % 3 == 0 else "unresolved"


def issue(state: State) -> dict[str, Any]:
    return {
        "id": str(4500 + state.number),
        "shortId": f"SHOP-{state.number}",
        "title": state.mark,
        "status": status_of(state),
        "count": str(state.n),
        "firstSeen": iso_us(state.created_us),
        "lastSeen": iso_us(state.at_us),
    }


def project(state: State) -> dict[str, Any]:
    return {"id": str(state.number), "slug": f"p{state.number}", "name": state.mark}


def version_of(state: State) -> str:
    return str(state.values.get("version") or f"shop@1.{state.number}.0")


def release(state: State) -> dict[str, Any]:
    return {"version": version_of(state), "ref": state.mark, "dateCreated": iso_us(state.created_us)}


def search(ask: Ask) -> list[Condition]:
    """Without `query`, only unresolved issues."""
    if ask.get("sort", "date") not in ("date", "new", "freq", "user"):
        raise Refused("bad_request", "Invalid sort")
    given = ask.get("query", "is:unresolved")
    if given not in ("", "is:unresolved"):
        raise Refused("bad_request", f"Error parsing search query: {given}")
    return [Condition("status", "=", "unresolved")] if given else []


class Cursors(Numbered, frozen=True, kw_only=True):
    """`cursor=0:100:0`: the second number is the offset. Both links are always there."""

    def page(self, ask: Ask, rows: list[State], sorting: Any) -> Page:
        size = self.wanted(ask)
        parts = str(ask.get("cursor") or "0:0:0").split(":")
        if len(parts) != 3:
            raise Refused("bad_request", "Invalid cursor parameter.")
        at = int(parts[1])
        more = "true" if at + size < len(rows) else "false"
        links = [
            ("previous", f"0:{max(0, at - size)}:1", "true" if at else "false"),
            ("next", f"0:{at + size}:0", more),
        ]
        found = Page(rows[at : at + size])
        found.headers["Link"] = ", ".join(
            f'<{link_to(ask, {"cursor": to})}>; rel="{rel}"; results="{some}"; cursor="{to}"' for rel, to, some in links
        )
        return found


def create_release(ask: Ask, world: World) -> Reply:
    wanted = ask.get("body:version")
    if not wanted or not isinstance(ask.get("body:projects"), list):
        raise Refused("bad_request", "version and projects are required")
    rows = world.rows("releases")
    same = next((rows.states[one][-1] for one in rows.live() if version_of(rows.states[one][-1]) == wanted), None)
    if same is not None:
        return Reply(208, release(same))
    return Reply(201, release(rows.create({"version": wanted})))


def quota_headers(left: Left) -> dict[str, str]:
    return {
        "X-Sentry-Rate-Limit-Limit": str(left.limit),
        "X-Sentry-Rate-Limit-Remaining": str(left.remaining),
        "X-Sentry-Rate-Limit-Reset": str(left.reset_s),
    }


def refuse(left: Left) -> Reply:
    return Reply(429, {"detail": "You are attempting to use this endpoint too frequently."}, quota_headers(left))


def pages(size: str) -> Cursors:
    return Cursors(size=size, default=100, maximum=100, over="error", served=30)


DOUBLE = Double(
    name="sentry",
    sources=(
        "https://docs.sentry.io/api/pagination/",
        "https://docs.sentry.io/api/ratelimits/",
        "https://docs.sentry.io/api/events/list-an-organizations-issues/",
        "https://docs.sentry.io/api/releases/create-a-new-release-for-an-organization/",
    ),
    auth=bearer(),
    base="/api/0",
    values={"organization": "acme"},
    quotas=(Quota(limit=40, seconds=1, refuse=refuse, headers=quota_headers),),
    error=lambda kind, status, message: {"detail": message},
    tables=(
        Table(
            name="issues",
            row=issue,
            ident=lambda number: str(4500 + number),
            first=80,
            resolution_us=1,
            fields={"status": status_of},
        ),
        Table(name="projects", row=project, ident=str, first=12),
        Table(name="releases", row=release, ident=lambda number: f"shop@1.{number}.0", first=30),
    ),
    resources={"issues": "issues", "projects": "projects", "releases": "releases"},
    calls=(
        Listing(
            path=f"{ORG}/issues/",
            table="issues",
            pages=pages("limit"),
            where=(search, hides_gone()),
            order=(("updated", True),),
        ),
        Item(path=f"{ORG}/issues/{{id}}/", table="issues"),
        Write(path=f"{ORG}/issues/{{id}}/", table="issues", method="PUT", does="update", needs=("body:status",)),
        Listing(path=f"{ORG}/projects/", table="projects", pages=pages("per_page"), where=(hides_gone(),)),
        Listing(
            path=f"{ORG}/releases/",
            table="releases",
            pages=pages("per_page"),
            where=(hides_gone(),),
            order=(("created", True),),
        ),
        Custom(path=f"{ORG}/releases/", method="POST", run=create_release),
    ),
    ignored=("statsPeriod",),
    operations={
        "create_release": Test(data={"version": "shop@2.{n}", "projects": ["shop"]}, table="releases"),
        "update_issue": Test(data={"id": "4501", "status": "resolved"}, table="issues", creates=False),
    },
)
