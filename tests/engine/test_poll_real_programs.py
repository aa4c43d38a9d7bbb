"""WordPress, Redmine and Gitea as real programs, by their provider files: no change is missed, and none is made up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from support.gateway.process import GatewayProcess, call, free_port
from support.upstream import gitea as gitea_program
from support.upstream import redmine as redmine_program
from support.upstream import wordpress as wordpress_program
from support.upstream.gitea import Gitea, gitea
from support.upstream.redmine import Redmine, redmine
from support.upstream.wordpress import USER, WordPress, wordpress

CHANGES = 16
CONFIG = """
[egress]
allow = ["127.0.0.1/32"]
[sources.site.api]
provider = "{provider}"
base_url = "{url}"
{api}
[sources.site.resources.{resource}]
use = "{resource}"
poll = "30d"
deletes = {{ mode = "scan", every = "1s", max_ratio = 0.9 }}
{more}
[sources.site.operations.create]
use = "{operation}"
"""


class Gateway:
    def __init__(self, process: GatewayProcess, resource: str) -> None:
        self._process = process
        self._resource = resource

    async def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return await call(self._process.url, f"/api/v1{path}", self._process.key, method, body)

    async def poll(self) -> Any:
        report = await self.call(f"/sources/site/resources/{self._resource}/poll", "POST", {})
        assert report["error"] == "", report
        return report

    async def records(self) -> dict[str, Any]:
        page = await self.call(f"/records/site/{self._resource}?limit=500")
        return {one["key"]: one["data"] for one in page["data"]}

    async def codes(self) -> set[str]:
        return {one["code"] for one in (await self.call("/doctor"))["findings"]}

    async def changes(self) -> list[tuple[str, str]]:
        page = await self.call("/events?source=site&order=asc&limit=500")
        return [(one["type"].partition(".")[2], one["key"]) for one in page["data"] if one["change"]]


@asynccontextmanager
async def polling(path: Path, config: str, resource: str) -> AsyncIterator[Gateway]:
    await asyncio.to_thread(path.mkdir)
    file = path / "tidegate.toml"
    file.write_text(config)
    process = await GatewayProcess(file, path / "data", free_port()).start()
    try:
        yield Gateway(process, resource)
    finally:
        await process.end(signal.SIGTERM)


def wordpress_config(site: WordPress, more: str) -> str:
    api = f'auth = {{ type = "http_basic", username = "{USER}", password = "{site.password}" }}'
    url = f"{site.url}/wp-json/wp/v2"
    return CONFIG.format(provider="wordpress", url=url, api=api, resource="posts", operation="create_post", more=more)


@pytest.mark.skipif(bool(wordpress_program.missing()), reason=wordpress_program.missing())
async def test_posts_of_wordpress_are_one_change_each(tmp_path: Path) -> None:
    async with wordpress(tmp_path) as site:
        first = {await site.create(f"post {n}"): f"post {n}" for n in range(12)}
        async with polling(tmp_path / "first", wordpress_config(site, "params = { per_page = 5 }"), "posts") as one:
            truth = await _random_changes(site, one, first, lambda row: row["title"]["raw"])

            planned = await site.create("planned", status="future", date="2030-01-01T00:00:00")
            draft = await site.create("draft", status="draft")
            await one.poll()
            assert {planned, draft} <= set(await one.records()), "also what is not published yet"
            await site.trash(draft)
            await asyncio.sleep(1.1)
            await one.poll()
            assert (await one.records())[draft]["status"] == "trash"

            body = {"title": "by an operation", "content": "text", "slug": "by-an-operation"}
            made = [await one.call("/call/site/create", "POST", {"data": body, "key": f"p{n}"}) for n in range(2)]
            assert [answer["remembered"]["id"] for answer in made] == [made[0]["remembered"]["id"]] * 2
            await one.poll()
            assert len(await one.records()) == len(truth) + 3, "the second call found the post of the first"

        await site.delete(planned)  # its `modified` is the time when it will be published
        wrong = 'incremental = { cursor_path = "modified_gmt", param = "modified_after", exclusive = true, value = "" }'
        async with polling(tmp_path / "wrong", wordpress_config(site, wrong), "posts") as one:
            await site.create("after the start")
            await one.poll()
            await one.poll()
            assert "cursor_row_left_out" in await one.codes(), "a time without a zone is the site's local time"


@pytest.mark.skipif(bool(redmine_program.missing()), reason=redmine_program.missing())
async def test_issues_of_redmine_are_one_change_each(tmp_path: Path) -> None:
    async with redmine(tmp_path) as site:
        first = {await site.create(f"issue {n}"): f"issue {n}" for n in range(12)}
        config = CONFIG.format(
            provider="redmine", url=site.url, api=f'auth = {{ type = "api_key", api_key = "{site.key}" }}',
            resource="issues", operation="create_issue",
            more='paginator = { type = "offset", limit = 5, total_path = "total_count" }',
        )  # fmt: skip
        async with polling(tmp_path / "first", config, "issues") as one:
            truth = await _random_changes(site, one, first, lambda row: row["subject"])
            await site.close(min(truth))
            await one.poll()
            assert (await one.records())[min(truth)]["status"]["name"] == "Closed", "a closed issue is still there"
            body = {"project": "shop", "subject": "by an operation", "description": "text"}
            made = await one.call("/call/site/create", "POST", {"data": body, "key": "p"})
            await one.poll()
            assert (await one.records())[str(made["remembered"]["id"])]["subject"] == "by an operation"


@pytest.mark.skipif(bool(gitea_program.missing()), reason=gitea_program.missing())
async def test_issues_of_gitea_are_one_change_each(tmp_path: Path) -> None:
    async with gitea(tmp_path) as site:
        first = {await site.create(f"issue {n}"): f"issue {n}" for n in range(12)}
        api = f'auth = {{ type = "bearer", token = "{site.token}" }}\nwith = {{ owner = "admin", repo = "shop" }}'
        config = CONFIG.format(
            provider="gitea", url=f"{site.url}/api/v1", api=api, resource="issues", operation="create_issue",
            more="params = { limit = 5 }",
        )  # fmt: skip
        async with polling(tmp_path / "first", config, "issues") as one:
            await _random_changes(site, one, first, lambda row: row["title"])
            made = await one.call("/call/site/create", "POST", {"data": {"title": "new", "body": "text"}, "key": "p"})
            await one.poll()
            assert (await one.records())[str(made["remembered"]["number"])]["title"] == "new"


async def _random_changes(
    site: WordPress | Redmine | Gitea, one: Gateway, truth: dict[str, str], mark: Callable[[Any], str]
) -> dict[str, str]:
    """Changes with polls in between. The records must be what exists, and the events what happened."""
    await one.poll()
    assert {key: mark(row) for key, row in (await one.records()).items()} == truth, "three pages of five"
    assert await one.changes() == []
    chance = Random(7)
    created, deleted = set(), set()
    for n in range(CHANGES):
        match chance.choice(["create", "edit", "edit", "delete"]):
            case "create":
                key = await site.create(f"new {n}")
                created.add(key)
                truth[key] = f"new {n}"
            case "edit":
                key = chance.choice(sorted(truth))
                await site.edit(key, f"edited {n}")
                truth[key] = f"edited {n}"
            case "delete":
                key = chance.choice(sorted(truth))
                await site.delete(key)
                deleted.add(key)
                del truth[key]
        if chance.random() < 0.3:
            await one.poll()
    await asyncio.sleep(1.1)  # the scan for deletes is due, and the second of the last change is over
    await one.poll()
    assert {key: mark(row) for key, row in (await one.records()).items()} == truth
    changes = await one.changes()
    seen = {kind: [key for word, key in changes if word == kind] for kind in ("created", "deleted")}
    assert set(seen["deleted"]) <= deleted and deleted - created <= set(seen["deleted"])
    assert set(seen["created"]) <= created and created - deleted <= set(seen["created"])
    assert len(seen["created"]) == len(set(seen["created"])), "nobody is created twice"
    return truth
