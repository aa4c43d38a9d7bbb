"""A resource with a parent: one list for each parent record, each with its own place and cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.upstream.functions import Reply, ScriptedPull, SentRequest, scripted
from tidegate.core.errors import BadRequest

PROJECTS: dict[str, Any] = {"path": "/projects"}
TASKS: dict[str, Any] = {
    "path": "/projects/{resources.projects.id}/tasks",
    "primary_key": ["_projects_id", "id"],
    "parent": {"resource": "projects", "with": ["id"]},
    "paginator": {"type": "cursor"},
}


class Tracker:
    """Projects with tasks of two a page. `down`: projects whose list cannot be had, with the status."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[dict[str, Any]]] = {
            "p/1": [{"id": 1}, {"id": 2}, {"id": 3}],
            "p2": [{"id": 1}],
            "p3": [],
        }
        self.down: dict[str, int] = {}
        self.fail_page_two = False

    def __call__(self, asked: SentRequest) -> Any:
        if asked.url == "/projects":
            return [{"id": name} for name in self.tasks]
        project = asked.url.split("/")[2].replace("%2F", "/")
        if project in self.down:
            return Reply({"error": project}, self.down[project])
        since = asked.params.get("since", "")
        found = [one for one in self.tasks[project] if one.get("at", "") >= since]
        at = int(asked.params.get("cursor", "0"))
        if at and self.fail_page_two:
            return Reply({}, 422)
        rows = found[at : at + 2]
        return {"items": rows, "next_cursor": str(at + 2) if at + 2 < len(found) else None}


def run(folder: Path, source: Tracker, work: Callable[[ScriptedPull], Awaitable[None]], **tasks: Any) -> None:
    async def main() -> None:
        async with scripted(folder, source, projects=PROJECTS, tasks={**TASKS, **tasks}) as place:
            await place.poll("projects")
            await work(place)

    asyncio.run(main())


def urls(place: ScriptedPull) -> list[str]:
    return [asked.url for asked in place.script.asked if asked.url != "/projects"]


def test_every_parent_is_asked_and_rows_know_their_parent(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        report = await one.poll("tasks")
        assert (report.records_seen, report.created, report.pages) == (4, 4, 4)
        records = await one.records("tasks")
        assert set(records) == {"p/1|1", "p/1|2", "p/1|3", "p2|1"}
        assert records["p2|1"] == {"id": 1, "_projects_id": "p2"}
        assert "/projects/p%2F1/tasks" in urls(one)
        report = await one.poll("tasks")
        assert (report.created, report.updated) == (0, 0)

    run(tmp_path, Tracker(), work)


def test_a_new_parent_brings_its_children(tmp_path: Path) -> None:
    source = Tracker()

    async def work(one: ScriptedPull) -> None:
        await one.poll("tasks")
        source.tasks["p9"] = [{"id": 7}]
        await one.poll("projects")
        assert (await one.poll("tasks")).created == 1

    run(tmp_path, source, work)


def test_a_parent_without_a_list_is_reported_and_nothing_counts_as_missing(tmp_path: Path) -> None:
    source = Tracker()

    async def work(one: ScriptedPull) -> None:
        await one.poll("tasks")
        source.down["p/1"] = 404
        del source.tasks["p2"][0]
        for _ in range(3):
            one.clock.advance(5)
            report = await one.poll("tasks")
            assert report.deleted == 0
            assert [finding.code for finding in report.findings] == ["parent_failed"]
        source.down.clear()
        for _ in range(2):
            one.clock.advance(5)
            report = await one.poll("tasks")
        assert report.deleted == 1
        assert set(await one.records("tasks")) == {"p/1|1", "p/1|2", "p/1|3"}

    run(tmp_path, source, work, deletes={"mode": "scan", "confirm": "second_scan", "every": "1s", "max_ratio": 0.9})


def test_a_run_that_stops_goes_on_at_its_parent_and_page(tmp_path: Path) -> None:
    source = Tracker()

    async def work(one: ScriptedPull) -> None:
        source.down["p2"] = 401
        report = await one.poll("tasks", ok=False)
        assert report.records_seen == 3
        source.down.clear()
        await one.restart()
        before = len(urls(one))
        await one.poll("tasks")
        assert urls(one)[before:][0] == "/projects/p2/tasks"
        assert len(await one.records("tasks")) == 4
        source.fail_page_two = True
        assert (await one.poll("tasks", ok=False)).pages == 1
        source.fail_page_two = False
        before = len(urls(one))
        report = await one.poll("tasks")
        assert report.resumed
        assert one.script.asked[-1].url == "/projects/p3/tasks"
        first = next(asked for asked in one.script.asked[before + 1 :] if "tasks" in asked.url)
        assert first.params["cursor"] == "2"

    run(tmp_path, source, work)


def test_a_snapshot_over_several_parents_makes_no_events_after_a_stop(tmp_path: Path) -> None:
    source = Tracker()

    async def work(one: ScriptedPull) -> None:
        source.down["p2"] = 401
        await one.poll("tasks", ok=False)
        source.down.clear()
        await one.poll("tasks")
        assert [kind for kind, _ in await one.kinds() if kind.startswith("tasks")] == []
        source.tasks["p2"].append({"id": 8})
        await one.poll("tasks")
        assert [kind for kind, _ in await one.kinds() if kind.startswith("tasks")] == ["tasks.created"]

    run(tmp_path, source, work, initial="snapshot")


def test_each_parent_has_a_cursor_of_its_own(tmp_path: Path) -> None:
    source = Tracker()
    for number, rows in enumerate(source.tasks.values()):
        for row in rows:
            row["at"] = f"2024-01-0{number + 1}T00:00:00Z"

    async def work(one: ScriptedPull) -> None:
        await one.poll("tasks")
        await one.restart()
        before = len(one.script.asked)
        await one.poll("tasks")
        since = {asked.url: asked.params.get("since") for asked in one.script.asked[before:] if "tasks" in asked.url}
        assert since == {
            "/projects/p%2F1/tasks": "2024-01-01T00:00:00Z",
            "/projects/p2/tasks": "2024-01-02T00:00:00Z",
            "/projects/p3/tasks": None,
        }

    run(tmp_path, source, work, incremental={"cursor_path": "at", "param": "since"})


async def test_children_wait_for_the_first_poll_of_their_parents(tmp_path: Path) -> None:
    source = Tracker()

    resources = {"projects": {**PROJECTS, "poll": None, "webhook": {"types": ["p"]}}, "tasks": TASKS}
    async with scripted(tmp_path, source, **resources) as one:
        report = await one.poll("tasks", ok=False)
        assert report.error_code == "parent_not_ready"
        assert urls(one) == []


async def test_a_pull_of_a_child_list_names_its_parent(tmp_path: Path) -> None:
    async with scripted(tmp_path, Tracker(), projects=PROJECTS, tasks=TASKS) as one:

        async def pull(*query: tuple[str, str]) -> Any:
            return await one.engine.pull(
                "shop", "tasks", None, list(query), max_age=None, no_cache=False, if_none_match=None
            )

        answer = await pull(("parent.id", "p/1"), ("since", "x"))
        assert answer.status == 200
        asked = one.script.asked[-1]
        assert (asked.url, asked.params) == ("/projects/p%2F1/tasks", {"since": "x"})
        with pytest.raises(BadRequest, match="one list for each record of projects") as caught:
            await pull()
        assert "parent.id=VALUE" in caught.value.hint


async def test_a_webhook_of_a_child_updates_the_record_that_the_list_made(tmp_path: Path) -> None:
    source = Tracker()
    source.tasks["p2"] = [{"id": 1, "title": "old"}]
    feed = {"types": ["task"], "key": ["project", "id"]}
    async with scripted(tmp_path, source, projects=PROJECTS, tasks={**TASKS, "webhook": feed}) as one:
        await one.poll("projects")
        await one.poll("tasks")
        before = sorted(await one.records("tasks"))
        source.tasks["p2"][0] = {"id": 1, "title": "new"}
        await one.webhook("tasks", "task", {"project": "p2", "id": 1, "title": "new"})
        await one.webhook("tasks", "task", {"project": "p3", "id": 9, "title": "made"})
        records = await one.records("tasks")
        assert sorted(records) == sorted([*before, "p3|9"])
        assert records["p2|1"]["title"] == "new"
        assert records["p3|9"]["_projects_id"] == "p3"
