"""Runs of a poll that are cut, limited, forgotten or restarted: each goes on at its place and says what it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.upstream.polled import SentRequest, polled
from tidegate.core.errors import UpstreamError, UpstreamTimeout
from tidegate.pull.page_requests import MAX_TRIES, RUN_WAIT_SECONDS

NUMBERED = {"paginator": {"type": "page_number"}}
EVENTS = {"initial": "events"}


def pages(count: int) -> Callable[[SentRequest], Any]:
    return lambda asked: [{"id": int(asked.query["page"])}] if int(asked.query["page"]) <= count else []


# -- a run is durable work -------------------------------------------------------------------------------

FAULTS = [
    ("429 with Retry-After", lambda: (429, {}, {"Retry-After": "8"})),
    ("429 without", lambda: (429, {})),
    ("403 with Retry-After", lambda: (403, {}, {"Retry-After": "8"})),
    ("500", lambda: (500, b"broken")),
    ("503", lambda: (503, b"busy")),
    ("202", lambda: (202, [])),
    ("a cut connection", lambda: UpstreamError("closed before an answer")),
    ("a timeout", lambda: UpstreamTimeout("did not answer within 30 s")),
]


@pytest.mark.parametrize("fault", [row[1] for row in FAULTS], ids=[row[0] for row in FAULTS])
async def test_a_page_that_fails_is_asked_again_and_the_pages_before_it_are_not(
    tmp_path: Path, fault: Callable[[], Any]
) -> None:
    calls = [0]

    def answer(asked: SentRequest) -> Any:
        calls[0] += 1
        return fault() if calls[0] == 3 else pages(5)(asked)

    async with polled(tmp_path, answer, **NUMBERED) as one:
        await one.poll()
        assert set(await one.records()) == set("12345")
        assert [asked.query["page"] for asked in one.client.asked[:7]] == ["1", "2", "3", "3", "4", "5", "6"]


async def test_a_list_that_is_longer_than_the_quota_completes(tmp_path: Path) -> None:
    """Two requests an hour: each run waits too long, keeps its place, and the next one goes on there."""
    window = {"at": 0, "left": 0}

    async with polled(tmp_path, lambda _: (429, {}, {"Retry-After": "3600"}), **NUMBERED) as one:

        def answer(asked: SentRequest) -> Any:
            if asked.at_us - window["at"] >= 3600_000_000:
                window.update(at=asked.at_us, left=2)
            if not window["left"]:
                wait = 3600 - (asked.at_us - window["at"]) // 1_000_000
                return 429, {}, {"Retry-After": str(wait)}
            window["left"] -= 1
            return pages(6)(asked)

        one.client.answer = answer
        for _ in range(12):
            report = await one.poll(ok=False)
            if not report.error:
                break
            assert report.held_seconds > 0 and "429" in report.held_reason
            one.clock.advance(report.held_seconds)
        assert set(await one.records()) == set("123456")
        assert report.resumed and report.ended_by == "empty_page"
        assert await one.changes() == [], "the snapshot is one, however many runs it took"


TOKENS = {"data_selector": "rows", "paginator": {"type": "cursor", "cursor_path": "next"}}


def token_pages(asked: SentRequest) -> Any:
    at = int(asked.query.get("cursor", "1"))
    return {"rows": [{"id": at}], "next": at + 1 if at < 6 else None}


@pytest.mark.parametrize(
    ("how", "answer", "again"),
    [(NUMBERED, pages(6), "2"), (TOKENS, token_pages, "3")],
    ids=["numbered pages overlap by one", "tokens go on exactly"],
)
async def test_a_run_that_died_goes_on_at_its_place_after_a_restart(
    tmp_path: Path, how: dict[str, Any], answer: Callable[[SentRequest], Any], again: str
) -> None:
    broken = [True]

    def serve(asked: SentRequest) -> Any:
        page = asked.query.get("page") or asked.query.get("cursor", "1")
        return (500, b"") if broken[0] and page == "3" else answer(asked)

    async with polled(tmp_path, serve, **how) as one:
        report = await one.poll(ok=False)
        assert "500" in report.error
        await one.restart()
        broken[0] = False
        before = len(one.client.asked)
        report = await one.poll()
        first = one.client.asked[before].query
        assert (first.get("page") or first.get("cursor")) == again
        assert report.resumed
        assert set(await one.records()) == set("123456")


@pytest.mark.parametrize("status", [200, 400, 404, 410, 422])
async def test_a_place_that_the_source_forgot_is_given_up_and_said(tmp_path: Path, status: int) -> None:
    """With status 200 the body says so, as GraphQL does."""
    broken = [True]

    def answer(asked: SentRequest) -> Any:
        if asked.query.get("cursor") == "3":
            return (500, b"") if broken[0] else (status, {"errors": ["unknown cursor"]})
        if not broken[0] and "cursor" not in asked.query:
            return {"rows": [{"id": n} for n in range(1, 7)], "next": None}
        return token_pages(asked)

    async with polled(tmp_path, answer, **TOKENS) as one:
        await one.poll(ok=False)
        broken[0] = False
        report = await one.poll()
        assert set(await one.records()) == set("123456")
        assert [found.code for found in report.findings] == ["place_lost"]


async def test_a_place_of_another_configuration_is_not_used(tmp_path: Path) -> None:
    broken = [True]

    def answer(asked: SentRequest) -> Any:
        return (500, b"") if broken[0] and asked.query["page"] == "3" else pages(6)(asked)

    async with polled(tmp_path, answer, **NUMBERED) as one:
        await one.poll(ok=False)
        broken[0] = False
        one.configure({**NUMBERED, "params": {"state": "open"}})
        report = await one.poll()
        assert not report.resumed
        assert report.pages == 7


async def test_a_run_gives_up_after_its_budget_of_waiting_and_says_until_when(tmp_path: Path) -> None:
    def answer(asked: SentRequest) -> Any:
        return (429, {}, {"Retry-After": "50"})

    async with polled(tmp_path, answer) as one:
        report = await one.poll(ok=False)
        assert report.waited_seconds <= RUN_WAIT_SECONDS
        assert report.requests == int(RUN_WAIT_SECONDS // 50) + 1
        assert 0 < report.held_seconds <= 50


async def test_a_source_that_stays_broken_is_asked_a_few_times_a_run(tmp_path: Path) -> None:

    async with polled(tmp_path, lambda _: (503, b"the  reason")) as one:
        report = await one.poll(ok=False)
        assert report.requests == MAX_TRIES
        assert "answered 503: the reason" in report.error, "with the beginning of the answer"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 501])
async def test_an_answer_that_will_not_change_is_not_asked_again(tmp_path: Path, status: int) -> None:

    async with polled(tmp_path, lambda _: (status, {"message": "no"})) as one:
        report = await one.poll(ok=False)
        assert report.requests == 1
        assert report.error_hint


# -- the first snapshot ----------------------------------------------------------------------------------

NOTHING: list[tuple[str, Any]] = [
    ("an empty list", []),
    ("202", (202, [])),
    ("204", (204, b"")),
    ("null", b"null"),
    ("rows without a key", [{"uid": 1}, {"uid": 2}]),
    ("an error", (500, b"")),
]


@pytest.mark.parametrize("first", [row[1] for row in NOTHING], ids=[row[0] for row in NOTHING])
async def test_the_first_poll_that_finds_records_is_the_snapshot(tmp_path: Path, first: Any) -> None:
    ready: list[bool] = []

    async with polled(tmp_path, lambda _: [{"id": i} for i in range(50)] if ready else first) as one:
        await one.poll(ok=False)
        ready.append(True)
        await one.poll()
        assert len(await one.records()) == 50
        assert await one.changes() == []


async def test_an_empty_first_poll_is_reported_until_records_come(tmp_path: Path) -> None:
    rows: list[Any] = []

    async with polled(tmp_path, lambda _: list(rows)) as one:
        await one.poll()
        assert "snapshot_empty" in one.codes()
        rows.append({"id": 1})
        await one.poll()
        assert "snapshot_empty" not in one.codes()


# -- cost ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5])
async def test_a_poll_that_finds_nothing_costs_one_commit(tmp_path: Path, count: int) -> None:

    async with polled(tmp_path, pages(count), **NUMBERED) as one:
        await one.poll()
        commits = []
        commit = one.store.records.commit

        async def counted(what: Any) -> Any:
            commits.append(what)
            return await commit(what)

        one.store.records.commit = counted
        await one.poll()
        assert len(commits) == 1


async def test_findings_are_shown_again_after_a_restart(tmp_path: Path) -> None:

    async with polled(tmp_path, lambda _: [{"id": 1}, {"uid": 2}]) as one:
        await one.poll()
        one.findings = type(one.findings)(one.clock)
        await one.restart()
        await one.poll()
        assert "rows_skipped" in one.codes()
        figures = one.engine.statistics()["s/r"].findings["rows_skipped"]
        assert figures.count >= 2 and "no key at 'id'" in figures.samples[0]


async def test_findings_of_another_configuration_are_gone_when_it_is_corrected(tmp_path: Path) -> None:

    async with polled(tmp_path, lambda _: [{"uid": 1}]) as one:
        await one.poll(ok=False)
        assert "rows_skipped" in one.codes()
        one.configure({"primary_key": "uid"})
        await one.poll()
        assert "rows_skipped" not in one.codes()
        assert one.engine.statistics()["s/r"].findings == {}


async def test_a_bad_row_fails_the_poll_where_that_is_wanted(tmp_path: Path) -> None:

    async with polled(tmp_path, lambda _: [{"id": 1}, {"uid": 2}], on_bad_row="fail") as one:
        report = await one.poll(ok=False)
        assert report.error_code == "row_unreadable" and "no key at 'id'" in report.error
