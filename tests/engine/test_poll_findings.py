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


def answers(rows: dict[int, int], equal: bool, ahead: int = 0) -> Callable[[SentRequest], Any]:
    """A list filtered by `since`, with or without equal rows, and its items. `ahead`: its time zone, in seconds."""

    def answer(asked: SentRequest) -> Any:
        if asked.path.startswith("/rows/"):
            key = int(asked.path.rpartition("/")[2])
            return {"id": key, "u": iso(rows[key])} if key in rows else (404, {})
        since = asked.query.get("since", "")
        shift = ahead if since and not since.endswith("Z") else 0
        wanted = {n: iso(at - shift).removesuffix("Z") for n, at in rows.items()}
        since = since.removesuffix("Z")
        return [
            {"id": n, "u": iso(at)} for n, at in rows.items() if wanted[n] > since or (equal and wanted[n] == since)
        ]

    return answer


LEFT_OUT = {"item_path": "/rows/{id}"}


@pytest.mark.parametrize(
    ("equal", "ahead", "rule", "found"),
    [
        (True, 0, {}, False),
        (False, 0, {}, True),
        (False, 0, {"exclusive": True}, False),
        (True, 18_000, {"value": "{cursor}"}, False),
        (True, 18_000, {"format": "%Y-%m-%dT%H:%M:%S"}, True),
        (False, 18_000, {"format": "%Y-%m-%dT%H:%M:%S", "exclusive": True}, True),
    ],
    ids=["from the cursor on", "only later rows", "exclusive", "with a zone", "local time", "local and exclusive"],
)
async def test_a_filter_that_leaves_out_the_row_at_the_cursor_is_reported_once(
    tmp_path: Path, equal: bool, ahead: int, rule: dict[str, Any], found: bool
) -> None:
    rows = {1: START - 9000, 2: START - 8000}
    since = {"incremental": {"cursor_path": "u", "param": "since", **rule}}
    async with polled(tmp_path, answers(rows, equal, ahead), **since, **LEFT_OUT) as one:
        await one.poll()
        reports = [await one.poll() for _ in range(3)]
        assert one.codes() == ({"cursor_row_left_out"} if found else set())
        assert [report.requests for report in reports] == ([2, 1, 1] if found else [1, 1, 1])


async def test_a_row_that_was_deleted_or_changed_is_not_taken_as_left_out(tmp_path: Path) -> None:
    rows = {1: START - 9000, 2: START - 8000}
    since = {"incremental": {"cursor_path": "u", "param": "since"}}
    async with polled(tmp_path, answers(rows, equal=True), **since, **LEFT_OUT) as one:
        await one.poll()
        del rows[2]
        assert [(await one.poll()).requests for _ in range(2)] == [2, 1]
        assert one.codes() == set()


@pytest.mark.parametrize("unstable", [True, False], ids=["rows of equal rank change places", "new rows in front"])
async def test_rows_that_come_on_two_pages_in_each_run_are_reported(tmp_path: Path, unstable: bool) -> None:
    rows = [{"id": n, "u": iso(START - 9000)} for n in range(12)]

    def answer(asked: SentRequest) -> Any:
        page = int(asked.query["page"])
        if page == 2 and not unstable:
            rows.insert(0, {"id": len(rows), "u": iso(START - 9000)})
        listed = rows[::-1] if unstable and page == 2 else rows
        return listed[(page - 1) * 5 : page * 5]

    pages = {"paginator": {"type": "page_number", "base_page": 1}}
    async with polled(tmp_path, answer, **pages) as one:
        await one.poll()
        assert one.codes() == set(), "the first time may be chance"
        await one.poll()
        assert one.codes() == ({"pages_overlap"} if unstable else set())


@pytest.mark.parametrize("at", [lambda s: s, iso], ids=["seconds", "iso"])
async def test_a_filter_that_the_source_ignores_is_reported(tmp_path: Path, at: Callable[[int], Any]) -> None:
    rows = [{"id": n, "u": at(START - n * 86_400)} for n in range(1, 9)]
    since = {"incremental": {"cursor_path": "u", "param": "since"}}
    async with polled(tmp_path, lambda _: rows, **since) as one:
        await one.poll()
        assert one.codes() == set()
        report = await one.poll()
        assert [found.code for found in report.findings] == ["filter_ignored"]
        assert "since was" in report.findings[0].samples[0]
    async with polled(tmp_path / "kept", first_page(rows, 100), **since) as one:
        await one.poll()
        await one.poll()
        assert one.codes() == set()


async def test_a_row_of_the_future_does_not_stop_a_source_that_sends_no_date(tmp_path: Path) -> None:
    rows = [{"id": 1, "u": iso(START - 60)}, {"id": 2, "u": "2100-01-01T00:00:00Z"}]
    answer = first_page(rows, 100)

    def without_date(asked: SentRequest) -> Any:
        return 200, answer(asked), {"date": ""}

    since = {"incremental": {"cursor_path": "u", "param": "since", "lag": "10s"}}
    async with polled(tmp_path, without_date, **since) as one:
        await one.poll()
        rows.append({"id": 3, "u": iso(START)})
        one.clock.advance(5)
        report = await one.poll()
        assert await one.kinds() == [("created", "3")]
        assert "cursor_clamped" in {found.code for found in report.findings}
