"""What polls show about their own configuration: full pages, filters that hide, paths without a value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.upstream.polled import START_US, SentRequest, polled
from tidegate.core.clock import to_datetime

START = START_US // 1_000_000
SCAN = {"deletes": {"mode": "scan", "confirm": "second_scan", "every": "1h"}}


def iso(seconds: float) -> str:
    return to_datetime(int(seconds * 1_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def first_page(rows: list[dict[str, Any]], size: int) -> Callable[[SentRequest], Any]:
    """The oldest rows from `since` on, without a sign of more."""

    def answer(asked: SentRequest) -> Any:
        since = asked.query.get("since")
        wanted = [row for row in rows if since is None or row["u"] >= type(row["u"])(since)]
        return sorted(wanted, key=lambda row: (row["u"], row["id"]))[:size]

    return answer


@pytest.mark.parametrize("at", [lambda s: s, iso, lambda s: s * 1000], ids=["seconds", "iso", "milliseconds"])
async def test_more_rows_with_one_cursor_than_a_page_has_are_reported_and_later_rows_are_found(
    tmp_path: Path, at: Callable[[int], Any]
) -> None:
    rows = [{"id": n, "u": at(START - 5000)} for n in range(250)]
    since = {"incremental": {"cursor_path": "u", "param": "since"}, "params": {"limit": 100}}
    async with polled(tmp_path, first_page(rows, 100), **since) as one:
        await one.poll()
        assert one.codes() == set()
        report = await one.poll()
        assert [found.code for found in report.findings] == ["cursor_stuck"]
        rows.append({"id": 1000, "u": at(START - 4000)})
        await one.poll()
        rows.append({"id": 1001, "u": at(START - 3000)})
        await one.poll()
        assert await one.kinds() == [("created", "1000"), ("created", "1001")]


async def test_a_lag_that_holds_more_rows_than_a_page_does_not_hide_later_rows(tmp_path: Path) -> None:
    rows = [{"id": n, "u": iso(START - 3000 + n)} for n in range(350)]
    since = {"incremental": {"cursor_path": "u", "param": "since", "lag": "1h"}}
    async with polled(tmp_path, first_page(rows, 100), initial="events", **since) as one:
        for _ in range(12):
            await one.poll()
        rows.append({"id": 1000, "u": iso(START - 10)})
        for _ in range(5):
            await one.poll()
        assert len(await one.records()) == 351
        assert "cursor_stuck" in one.codes()


@pytest.mark.parametrize("count", [1, 37])
async def test_known_rows_at_the_cursor_that_fill_no_page_are_normal(tmp_path: Path, count: int) -> None:
    rows = [{"id": n, "u": iso(START - 5000)} for n in range(count)]
    since = {"incremental": {"cursor_path": "u", "param": "since"}}
    async with polled(tmp_path, first_page(rows, 100), **since) as one:
        for _ in range(3):
            await one.poll()
        assert one.codes() == set()


@pytest.mark.parametrize("equal", [True, False], ids=["only equal rows", "rows from the cursor on"])
async def test_a_filter_that_returns_only_equal_rows_is_found_by_a_scan(tmp_path: Path, equal: bool) -> None:
    rows = {1: iso(START - 9000), 2: iso(START - 8000)}

    def answer(asked: SentRequest) -> Any:
        since = asked.query.get("since", "")
        return [{"id": n, "u": u} for n, u in rows.items() if not since or (u == since if equal else u >= since)]

    since = {"incremental": {"cursor_path": "u", "param": "since"}}
    async with polled(tmp_path, answer, **since, **SCAN) as one:
        await one.poll()
        one.clock.advance(60)
        rows[3] = rows[1] = iso(START + 60)
        one.clock.advance(60)
        report = await one.poll()
        assert report.created + report.updated == (0 if equal else 2)
        one.clock.advance(3600)
        await one.poll()
        assert sorted(await one.kinds()) == [("created", "3"), ("updated", "1")]
        assert one.codes() == ({"filter_missed_changes"} if equal else set())


@pytest.mark.parametrize(
    ("ignore", "codes"),
    [(["t"], set()), (["files.*.url"], {"ignore_unused"}), (["t", "files.0.url"], {"ignore_unused"})],
)
async def test_an_ignored_path_that_no_row_has_is_reported(tmp_path: Path, ignore: list[str], codes: set[str]) -> None:
    async with polled(tmp_path, lambda _: [{"id": 1, "t": 1}, {"id": 2}], ignore=ignore) as one:
        await one.poll()
        assert one.codes() == codes
