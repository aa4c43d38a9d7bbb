"""Polls of WordPress and Redmine, real programs: random creates, edits and deletes, none missed and none made up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from support.gateway.process import GatewayProcess, call, free_port
from support.upstream import redmine as redmine_program
from support.upstream import wordpress as wordpress_program
from support.upstream.redmine import Redmine, redmine
from support.upstream.wordpress import USER, WordPress, wordpress

CHANGES = 16
WORDPRESS = """
[egress]
allow = ["127.0.0.1/32"]
[sources.site.api]
base_url = "{url}/wp-json/wp/v2"
auth = {{ type = "http_basic", username = "{user}", password = "{password}" }}
[sources.site.resources.posts]
path = "/posts"
item_path = "/posts/{{id}}"
params = {{ context = "edit", status = "any", orderby = "id", order = "asc", per_page = 5 }}
paginator = {{ type = "page_number", page_param = "page", base_page = 1, total_header = "x-wp-totalpages" }}
incremental = {{ cursor_path = "modified_gmt", param = "modified_after", value = "{{cursor}}Z", exclusive = true }}
deletes = {{ mode = "scan", every = "1s", max_ratio = 0.9 }}
poll = "30d"
"""
REDMINE = """
[egress]
allow = ["127.0.0.1/32"]
[sources.site.api]
base_url = "{url}"
auth = {{ type = "api_key", name = "x-redmine-api-key", api_key = "{key}" }}
[sources.site.resources.issues]
path = "/issues.json"
item_path = "/issues/{{id}}.json"
item_selector = "issue"
data_selector = "issues"
params = {{ status_id = "*", sort = "updated_on,id" }}
paginator = {{ type = "offset", limit = 5, total_path = "total_count" }}
incremental = {{ cursor_path = "updated_on", param = "updated_on", value = ">={{cursor}}", row_order = "asc" }}
deletes = {{ mode = "scan", every = "1s", max_ratio = 0.9 }}
poll = "30d"
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
    file = path / "tidegate.toml"
    file.write_text(config)
    process = await GatewayProcess(file, path / "data", free_port()).start()
    try:
        yield Gateway(process, resource)
    finally:
        await process.end(signal.SIGTERM)


@pytest.mark.skipif(bool(wordpress_program.missing()), reason=wordpress_program.missing())
async def test_posts_of_wordpress_are_one_change_each(tmp_path: Path) -> None:
    async with wordpress(tmp_path) as site:
        first = [await site.create(f"post {n}") for n in range(12)]
        config = WORDPRESS.format(url=site.url, user=USER, password=site.password)
        async with polling(tmp_path, config, "posts") as one:
            await one.poll()
            assert sorted(await one.records()) == sorted(first), "three pages of five"
            assert await one.changes() == []
            truth = await _random_changes(site, one, {key: f"post {n}" for n, key in enumerate(first)}, site.delete)
            shown = {key: row["title"]["raw"] for key, row in (await one.records()).items()}
            assert shown == truth

            planned = await site.create("planned", status="future", date="2030-01-01T00:00:00")
            draft = await site.create("draft", status="draft")
            await one.poll()
            assert {planned, draft} <= set(await one.records()), "also what is not published yet"
            await site.trash(draft)
            await asyncio.sleep(1.1)
            await one.poll()
            assert (await one.records())[draft]["status"] == "trash"

        await site.delete(planned)  # its `modified` is the time when it will be published
        (tmp_path / "wrong").mkdir()
        wrong = config.replace('orderby = "id"', 'orderby = "modified"').replace(' value = "{cursor}Z",', "")
        async with polling(tmp_path / "wrong", wrong, "posts") as one:
            for n in range(6):
                await site.create(f"of one second {n}")
            await one.poll()
            await one.poll()
            assert "cursor_row_left_out" in await one.codes(), "a time without a zone is the site's local time"


@pytest.mark.skipif(bool(redmine_program.missing()), reason=redmine_program.missing())
async def test_issues_of_redmine_are_one_change_each(tmp_path: Path) -> None:
    async with redmine(tmp_path) as site:
        first = [await site.create(f"issue {n}") for n in range(12)]
        config = REDMINE.format(url=site.url, key=site.key)
        async with polling(tmp_path, config, "issues") as one:
            await one.poll()
            print(await one.poll(), await one.call("/doctor"))
            assert sorted(await one.records()) == sorted(first), "three pages of five"
            assert await one.changes() == []
            truth = await _random_changes(site, one, {key: f"issue {n}" for n, key in enumerate(first)}, site.delete)
            assert {key: row["subject"] for key, row in (await one.records()).items()} == truth

            await site.close(min(truth))
            await one.poll()
            assert (await one.records())[min(truth)]["status"]["name"] == "Closed", "a closed issue is still there"


async def _random_changes(
    site: WordPress | Redmine, one: Gateway, truth: dict[str, str], delete: Any
) -> dict[str, str]:
    """Changes with polls in between; what exists afterwards, by key. Events must be exactly what happened."""
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
                await delete(key)
                deleted.add(key)
                del truth[key]
        if chance.random() < 0.3:
            await one.poll()
    await asyncio.sleep(1.1)  # the scan for deletes is due, and the second of the last change is over
    await one.poll()
    changes = await one.changes()
    seen = {kind: [key for word, key in changes if word == kind] for kind in ("created", "deleted")}
    assert set(seen["deleted"]) <= deleted and deleted - created <= set(seen["deleted"])
    assert set(seen["created"]) <= created and created - deleted <= set(seen["created"])
    assert len(seen["created"]) == len(set(seen["created"])), "nobody is created twice"
    return truth
