"""Polls of Directus, a real program: dates that are null until the first edit, and 403 for deleted items."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gateway.process import GatewayProcess, call, free_port
from support.upstream.directus import TOKEN, Directus, directus, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

_AFTER = '{"_gte":"{incremental.start_value}"}'
SINCE = f'{{"_or":[{{"date_updated":{_AFTER}}},{{"date_created":{_AFTER}}}]}}'
CONFIG = """
[egress]
allow = ["127.0.0.1/32"]
[sources.cms.api]
base_url = "{url}"
auth = {{ type = "bearer", token = "{token}" }}
[sources.cms.resources.orders]
path = "/items/orders"
item_path = "/items/orders/{{id}}"
item_selector = "data"
data_selector = "data"
params = {{ sort = "date_created,id", meta = "filter_count", filter = '{since}' }}
paginator = {{ type = "offset", limit = 2, total_path = "meta.filter_count" }}
incremental = {{ cursor_path = ["date_updated", "date_created"] }}
deletes = {{ mode = "scan", every = "1s", max_ratio = 0.9 }}
poll = "30d"
{more}
"""


class Gateway:
    def __init__(self, process: GatewayProcess) -> None:
        self._process = process

    async def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return await call(self._process.url, f"/api/v1{path}", self._process.key, method, body)

    async def poll(self) -> Any:
        return await self.call("/sources/cms/resources/orders/poll", "POST", {})

    async def scan(self) -> Any:
        await asyncio.sleep(1.1)
        return await self.poll()

    async def changes(self) -> list[tuple[str, str]]:
        page = await self.call("/events?source=cms&order=asc&limit=500")
        return [(one["type"].partition(".")[2], one["key"]) for one in page["data"] if one["change"]]

    async def live(self) -> dict[str, Any]:
        return {one["key"]: one["data"] for one in (await self.call("/records/cms/orders?limit=500"))["data"]}

    async def codes(self) -> set[str]:
        return {one["code"] for one in (await self.call("/doctor"))["findings"]}


@asynccontextmanager
async def polling(path: Path, source: Directus, more: str) -> AsyncIterator[Gateway]:
    file = path / "tidegate.toml"
    file.write_text(CONFIG.format(url=source.url, token=TOKEN, since=SINCE, more=more))
    process = await GatewayProcess(file, path / "data", free_port()).start()
    try:
        yield Gateway(process)
    finally:
        await process.end(signal.SIGTERM)


async def test_creates_edits_and_deletes_of_directus_are_one_change_each(tmp_path: Path) -> None:
    async with directus(tmp_path) as source:
        keys = [await source.create(f"order {n}") for n in range(5)]
        async with polling(tmp_path, source, "gone = [404, 410, 403]") as one:
            await one.poll()
            assert sorted(await one.live()) == keys, "three pages of two, all with date_updated = null"
            assert await one.changes() == []

            await source.edit(keys[1], "edited once")  # its date_updated is no longer null
            new = await source.create("new")
            report = await one.poll()
            assert report["error"] == ""
            assert sorted(await one.changes()) == [("created", new), ("updated", keys[1])]
            assert (await one.live())[keys[1]]["title"] == "edited once"

            await source.delete(keys[0])
            await source.edit(keys[2], "edited beside a delete")
            await one.scan()
            assert sorted((await one.changes())[2:]) == [("deleted", keys[0]), ("updated", keys[2])]

            for _ in range(2):
                report = await one.scan()
                assert (report["created"], report["updated"], report["deleted"]) == (0, 0, 0)
            assert sorted(await one.live()) == [*keys[1:], new]
            assert await one.codes() == set()


async def test_a_403_that_is_not_configured_as_a_delete_is_reported_with_what_to_write(tmp_path: Path) -> None:
    async with directus(tmp_path) as source:
        keys = [await source.create(f"order {n}") for n in range(3)]
        async with polling(tmp_path, source, "") as one:
            await one.poll()
            await source.delete(keys[0])
            report = await one.scan()
            assert await one.changes() == []
            (found,) = report["findings"]
            assert found["code"] == "deletes_unconfirmed"
            assert "403" in found["samples"][0]
            assert "gone (such as [404, 410, 403])" in found["remedy"]
