"""Tables of what real sources answer: each row is one form of a kind of answer, and says what a poll makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.upstream.polled import BASE, SentRequest, polled
from tidegate.core.clock import to_datetime

Answer = Callable[[SentRequest], Any]
DATA = {"data_selector": "data"}
NUMBERED: dict[str, Any] = {**DATA, "paginator": {"type": "page_number"}}
TOKENS: dict[str, Any] = {**DATA, "paginator": {"type": "cursor", "cursor_path": "next"}}
LINKS: dict[str, Any] = {**DATA, "paginator": {"type": "json_link"}}
SINCE: dict[str, Any] = {"incremental": {"cursor_path": "u", "param": "since"}}
HOOKS: dict[str, Any] = {
    "webhook": {"types": ["upd", "del"], "deleted_types": ["del"]},
    "poll": None,
    "reconcile": "30d",
}
TWO = [{"id": 1}, {"id": 2}]


def page(asked: SentRequest) -> int:
    return int(asked.query["page"])


# -- walks that never end --------------------------------------------------------------------------------

CIRCLES: list[tuple[str, dict[str, Any], Callable[[int], Any]]] = [
    ("the same rows", NUMBERED, lambda n: TWO),
    ("the same rows in another order", NUMBERED, lambda n: TWO[:: 1 if n % 2 else -1]),
    ("rows with a field that changes at each request", NUMBERED, lambda n: [{"id": 1, "t": n}, {"id": 2, "t": n}]),
    ("one row with such a field", NUMBERED, lambda n: [{"id": 1, "t": n}]),
    ("an ignored offset with such a field", {**DATA, "paginator": {"type": "offset", "limit": 2}},
     lambda n: [{"id": 1, "t": n}, {"id": 2, "t": n}]),
    ("three pages in turn with such a field", NUMBERED, lambda n: [{"id": n % 3, "t": n}, {"id": n % 3 + 3}]),
    ("rows that cannot be read", NUMBERED, lambda n: [{"uid": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("how", "rows"), [one[1:] for one in CIRCLES], ids=[one[0] for one in CIRCLES])
async def test_a_walk_in_a_circle_ends_after_a_few_pages_and_is_reported(
    tmp_path: Path, how: dict[str, Any], rows: Callable[[int], Any]
) -> None:
    calls = [0]

    def answer(_: SentRequest) -> Any:
        calls[0] += 1
        return {"data": rows(calls[0]), "request": calls[0]}

    async with polled(tmp_path, answer, **how) as one:
        await one.poll(ok=False)
        assert calls[0] < 12
        assert one.codes() & {"page_end_unclear", "rows_skipped", "duplicate_keys"}


async def test_a_circle_does_not_make_its_keys_look_like_keys_of_several_rows(tmp_path: Path) -> None:
    calls = [0]

    def answer(_: SentRequest) -> Any:
        calls[0] += 1
        return {"data": [{"id": 1, "t": calls[0]}, {"id": 2, "t": calls[0]}]}

    async with polled(tmp_path, answer, initial="events", **NUMBERED) as one:
        await one.poll()
        await one.poll()
        assert await one.kinds() == [("created", "1"), ("created", "2"), ("updated", "1"), ("updated", "2")]
        assert "duplicate_keys" not in one.codes()


# -- pages that are not read -----------------------------------------------------------------------------

OVERLOOKED: list[tuple[str, dict[str, Any], Any]] = [
    ("a link, and one page is read", DATA, {"data": TWO, "next": f"{BASE}/rows?page=2"}),
    ("a Link header, and one page is read", {}, (200, TWO, {"link": f'<{BASE}/rows?page=2>; rel="next"'})),
    ("a token, and one page is read", DATA, {"data": TWO, "next_cursor": "b"}),
    ("has_more, and one page is read", DATA, {"object": "list", "data": TWO, "has_more": True}),
    ("a total above the rows, and one page is read", DATA, {"data": TWO, "total": 50, "offset": 0}),
    ("several pages, and one is read", DATA, {"data": TWO, "total_pages": 3}),
    ("a token at another place", {**DATA, "paginator": {"type": "cursor"}}, {"data": TWO, "nextCursor": "b"}),
    ("a link at another place", LINKS, {"data": TWO, "links": {"next": f"{BASE}/rows?page=2"}}),
    ("a link where a token is looked for", TOKENS, {"data": TWO, "next_url": f"{BASE}/rows?page=2"}),
]
COMPLETE: list[tuple[str, dict[str, Any], Any]] = [
    ("no sign", DATA, {"data": TWO}),
    ("all signs at their end", DATA, {"data": TWO, "total": 2, "next": None, "has_more": False, "total_pages": 1}),
    ("the token of this page", DATA, {"data": TWO, "cursor": "a"}),
    ("no token", {**DATA, "paginator": {"type": "cursor"}}, {"data": TWO}),
    ("the last link", LINKS, {"data": TWO, "next": None, "links": {"next": None, "prev": "/rows"}}),
]


@pytest.mark.parametrize(("how", "answer"), [one[1:] for one in OVERLOOKED], ids=[one[0] for one in OVERLOOKED])
async def test_a_sign_of_pages_that_are_not_read_is_reported_with_its_paginator(
    tmp_path: Path, how: dict[str, Any], answer: Any
) -> None:
    scan = {"deletes": {"mode": "scan", "confirm": "second_scan", "every": "1s", "max_ratio": 1.0}}
    rows = [answer]
    async with polled(tmp_path, lambda _: rows[0], initial="events", **how, **scan) as one:
        report = await one.poll()
        (found,) = [finding for finding in report.findings if finding.code == "pages_not_read"]
        assert "paginator = {" in found.samples[0]
        for _ in range(3):  # a row that is not on this page may be on the next one
            rows[0] = _without_first(answer)
            one.clock.advance(5)
            await one.poll()
        assert await one.kinds() == [("created", "1"), ("created", "2")]


def _without_first(answer: Any) -> Any:
    if isinstance(answer, tuple):
        return answer[0], answer[1][1:], answer[2]
    return {**answer, "data": answer["data"][1:]}


@pytest.mark.parametrize(("how", "answer"), [one[1:] for one in COMPLETE], ids=[one[0] for one in COMPLETE])
async def test_a_list_of_one_page_is_not_suspected(tmp_path: Path, how: dict[str, Any], answer: Any) -> None:
    async with polled(tmp_path, lambda _: answer, **how) as one:
        await one.poll()
        assert one.codes() == set()


async def test_a_total_that_is_not_where_it_should_be_is_reported(tmp_path: Path) -> None:
    how = {**DATA, "paginator": {"type": "page_number", "total_path": "meta.total"}}
    async with polled(tmp_path, lambda asked: {"data": TWO if page(asked) == 1 else []}, **how) as one:
        report = await one.poll()
        assert "no total at 'meta.total'" in report.findings[0].samples[0]


@pytest.mark.parametrize("link", ["https://other.example.com/rows?page=2", "http://[broken", "ftp://api.example.com/"])
async def test_the_rows_of_a_page_whose_next_link_is_refused_are_kept(tmp_path: Path, link: str) -> None:
    async with polled(tmp_path, lambda _: {"data": TWO, "next": link}, **LINKS) as one:
        report = await one.poll(ok=False)
        assert report.error_code == "page_foreign"
        assert set(await one.records()) == {"1", "2"}


# -- links and tokens ------------------------------------------------------------------------------------

NEXT: list[tuple[str, Any, str]] = [
    ("a relation with one link in a list", {"_links": {"next": [{"href": "/rows?p=2"}]}}, "/rows?p=2"),
    ("a link object", {"_links": {"next": {"href": "?p=2", "templated": False}}}, "/rows?p=2"),
    ("a list of relations", {"_links": {"next": [{"rel": "self", "href": "/x"}, {"rel": "next", "href": "/rows?p=2"}]}},
     "/rows?p=2"),
    ("bytes that are not UTF-8", {"_links": {"next": "/rows?c=%FF%E9&d=a+b&e=%2f&f"}}, "/rows?c=%FF%E9&d=a+b&e=%2f&f"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "asked"), [one[1:] for one in NEXT], ids=[one[0] for one in NEXT])
async def test_a_next_link_of_every_form_is_followed_as_it_stands(tmp_path: Path, said: Any, asked: str) -> None:
    urls: list[str] = []
    how = {**DATA, "paginator": {"type": "json_link", "next_url_path": "_links.next"}}
    async with polled(tmp_path, lambda _: {}, **how) as one:
        send = one.client.request

        async def request(method: str, url: str, **more: Any) -> Any:
            urls.append(url.removeprefix(BASE))
            return await send(method, url, **more)

        one.client.request = request  # type: ignore[method-assign]
        one.client.answer = lambda _: {"data": TWO, **said} if len(urls) == 1 else {"data": [{"id": 3}]}
        await one.poll()
        assert urls[1] == asked
        assert len(await one.records()) == 3


# -- errors that look like answers -----------------------------------------------------------------------

ERRORS: list[Any] = [
    {"error": "boom"}, {"errors": [{"message": "boom"}], "data": None}, {"ok": False}, {"success": False},
    {"status": "error", "message": "quota"}, {"code": 50001, "message": "boom"}, {"fault": {"faultstring": "boom"}},
    {"result": "failed"}, {"title": "Busy", "status": 503}, {"code": "401", "msg": "boom"}, b"17", b'"boom"', b"true",
    b"callback({})", b"<html><title>Login</title></html>", b'{"data": []}{"data": []}', b"[" * 5000,
]  # fmt: skip
NO_ERRORS: list[Any] = [
    {"total": 0}, {}, {"data": None, "errors": []}, {"code": 0, "msg": "ok", "data": []}, {"status": "ok"},
    {"code": 200, "message": "success"}, {"status": 200, "title": "Fine"}, {"message": "no results"},
]  # fmt: skip


@pytest.mark.parametrize("body", ERRORS, ids=str)
async def test_an_error_with_a_status_of_success_fails_the_poll_and_changes_nothing(tmp_path: Path, body: Any) -> None:
    answers = [{"data": [{"id": 1, "u": "2026-01-01T00:00:00Z"}]}, body]
    async with polled(tmp_path, lambda _: answers[0], **DATA, **SINCE) as one:
        await one.poll()
        answers.pop(0)
        report = await one.poll(ok=False)
        assert report.error
        assert set(await one.records()) == {"1"}


@pytest.mark.parametrize("body", NO_ERRORS, ids=str)
async def test_an_empty_list_with_other_words_is_not_taken_for_an_error(tmp_path: Path, body: Any) -> None:
    answers = [{"data": [{"id": 1, "u": "2026-01-01T00:00:00Z"}]}, body]
    async with polled(tmp_path, lambda _: answers[0], **DATA, **SINCE) as one:
        await one.poll()
        answers.pop(0)
        await one.poll()
        assert set(await one.records()) == {"1"}


async def test_errors_beside_rows_are_reported_and_nothing_is_deleted(tmp_path: Path) -> None:
    """GraphQL answers what it could read, and the errors of the rest."""
    rows = [TWO]
    scan = {"deletes": {"mode": "scan", "confirm": "second_scan", "every": "1s", "max_ratio": 1.0}}
    bad = {"errors": [{"message": "row 2: timeout"}]}
    async with polled(tmp_path, lambda _: {"data": rows[0], **bad}, **DATA, **scan) as one:
        report = await one.poll()
        assert [found.code for found in report.findings] == ["partial_page"]
        assert "row 2: timeout" in report.findings[0].samples[0]
        rows[0] = TWO[:1]
        for _ in range(3):
            one.clock.advance(5)
            await one.poll()
        assert await one.kinds() == []


async def test_not_modified_without_validators_is_an_error(tmp_path: Path) -> None:
    async with polled(tmp_path, lambda _: (304, b"")) as one:
        report = await one.poll(ok=False)
        assert "304 to a request without validators" in report.error


# -- rate limits -----------------------------------------------------------------------------------------

LIMITS: list[tuple[str, int, dict[str, str], float]] = [
    ("a number of seconds in words", 429, {"retry-after": "40 seconds"}, 40),
    ("minutes in words", 429, {"retry-after": "0.5 minutes"}, 30),
    ("420", 420, {"retry-after": "40"}, 40),
    ("509", 509, {"retry-after": "40"}, 40),
    ("400 with a time", 400, {"retry-after": "40"}, 40),
    ("several limits, the used one last", 429, {"ratelimit": '"day";r=800;t=80000, "burst";r=0;t=40'}, 40),
    ("several used limits", 429, {"ratelimit": '"burst";r=0;t=5, "minute";r=0;t=40'}, 40),
    ("one limit of the older draft", 429, {"ratelimit": "limit=100, remaining=0, reset=40"}, 40),
]


@pytest.mark.parametrize(("status", "headers", "wait"), [one[1:] for one in LIMITS], ids=[one[0] for one in LIMITS])
async def test_the_time_that_a_source_names_is_waited_for(
    tmp_path: Path, status: int, headers: dict[str, str], wait: float
) -> None:
    asked_at: list[int] = []

    def answer(asked: SentRequest) -> Any:
        asked_at.append(asked.at_us)
        return (status, {}, headers) if len(asked_at) == 1 else TWO

    async with polled(tmp_path, answer) as one:
        report = await one.poll()
        assert set(await one.records()) == {"1", "2"}
        assert report.retries == 1
        assert wait - 1 <= (asked_at[1] - asked_at[0]) / 1_000_000 <= wait + 1


async def test_a_time_in_the_body_is_waited_for(tmp_path: Path) -> None:
    asked_at: list[int] = []

    def answer(asked: SentRequest) -> Any:
        asked_at.append(asked.at_us)
        return (429, {"errors": ["slow down"], "extras": {"wait_seconds": 25}}) if len(asked_at) == 1 else TWO

    async with polled(tmp_path, answer, api={"limits": {"wait_path": "extras.wait_seconds"}}) as one:
        report = await one.poll()
        assert report.retries == 1
        assert 24 <= (asked_at[1] - asked_at[0]) / 1_000_000 <= 26
        assert one.codes() == set()


async def test_a_time_in_the_body_that_nobody_named_is_reported(tmp_path: Path) -> None:
    answers = [(429, {"retry_after": 25}), TWO]
    async with polled(tmp_path, lambda _: answers.pop(0) if len(answers) > 1 else answers[0]) as one:
        await one.poll()
        assert one.codes() == {"rate_limit_in_body"}


async def test_a_time_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    answers = [(429, {}, {"retry-after": "soon"}), TWO]
    async with polled(tmp_path, lambda _: answers.pop(0) if len(answers) > 1 else answers[0]) as one:
        await one.poll()
        assert one.codes() == {"rate_limit_unreadable"}


@pytest.mark.parametrize("place", ["body", "header of auth", "basic", "error with 200"])
async def test_no_credential_of_the_source_is_in_a_report_of_its_error(tmp_path: Path, place: str) -> None:
    auth = {
        "body": {"type": "api_key", "name": "key", "api_key": "S3/CR+ET", "location": "query"},
        "header of auth": {"type": "bearer", "token": "S3/CR+ET"},
        "basic": {"type": "http_basic", "username": "me", "password": "S3/CR+ET"},
        "error with 200": {"type": "bearer", "token": "S3/CR+ET"},
    }[place]
    status = 200 if place == "error with 200" else 403
    echo = {"error": "the key S3/CR+ET (S3%2FCR%2BET) is not known"}
    async with polled(tmp_path, lambda _: (status, echo), api={"auth": auth}) as one:
        report = await one.poll(ok=False)
        assert "is not known" in report.error
        assert "S3" not in report.error
        assert not any("S3" in str(found) for found in one.findings.listed())


# -- the same record in two notations --------------------------------------------------------------------

SHAPES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("instants", {"at": "2026-11-01T10:00:00Z"}, {"at": "2026-11-01T11:00:00.000+01:00"}),
    ("seconds and a date", {"at": 1793527200}, {"at": "2026-11-01T10:00:00Z"}),
    ("milliseconds as text and a date", {"at": "1793527200000"}, {"at": "2026-11-01T10:00:00Z"}),
    ("booleans", {"ok": "true"}, {"ok": True}),
    ("numbers", {"p": "10.50"}, {"p": 10.5}),
    ("more fields", {"a": 1}, {"a": 1, "b": {"c": 2}}),
]


@pytest.mark.parametrize(("pushed", "listed"), [one[1:] for one in SHAPES], ids=[one[0] for one in SHAPES])
async def test_a_change_that_comes_by_webhook_and_by_list_is_one(
    tmp_path: Path, pushed: dict[str, Any], listed: dict[str, Any]
) -> None:
    rows = [{"id": "1", "n": 1, **listed}]
    async with polled(tmp_path, lambda _: rows, **HOOKS) as one:
        await one.poll()
        rows[0] = {**rows[0], "n": 2}
        one.clock.advance(5)
        await one.webhook("upd", {"id": "1", "n": 2, **pushed})
        for _ in range(2):
            one.clock.advance(5)
            await one.poll()
        assert await one.kinds() == [("updated", "1")]


@pytest.mark.parametrize("deleted", [{"id": "1", "v": 5}, {"id": "1"}], ids=["with its version", "with its key alone"])
async def test_a_list_that_stays_behind_a_delete_for_several_polls_does_not_bring_the_record_back(
    tmp_path: Path, deleted: dict[str, Any]
) -> None:
    rows = [{"id": "1", "v": 5}, {"id": "2", "v": 1}]
    async with polled(tmp_path, lambda _: rows, version="v", **HOOKS) as one:
        await one.poll()
        one.clock.advance(5)
        await one.webhook("del", deleted)
        for _ in range(5):
            one.clock.advance(60)
            await one.poll()
        rows.pop(0)
        await one.poll()
        assert await one.kinds() == [("deleted", "1")]
        assert "seen_after_delete" in one.codes()


ITEMS: list[tuple[str, Callable[[Any], Any]]] = [
    ("an object", lambda row: {"data": row}),
    ("a list in an object", lambda row: {"data": [row]}),
    ("beside its relations", lambda row: {"data": row, "included": [{"id": "1", "type": "other"}]}),
    ("an envelope with another key", lambda row: {"id": "envelope", "data": row}),
]


@pytest.mark.parametrize("wrapped", [one[1] for one in ITEMS], ids=[one[0] for one in ITEMS])
async def test_the_record_in_the_answer_for_one_item_is_found(tmp_path: Path, wrapped: Callable[[Any], Any]) -> None:
    rows = [{"id": "1", "a": 1}]

    def answer(asked: SentRequest) -> Any:
        return wrapped(rows[0]) if asked.path != "/rows" else rows

    async with polled(tmp_path, answer, item_path="/rows/{id}", **HOOKS) as one:
        await one.poll()
        rows[0] = {"id": "1", "a": 2}
        await one.webhook("upd", {"id": "1"})
        await one.settled()
        assert await one.changes() == [("updated", "1", {"id": "1", "a": 2})]


# -- cursors over numbered pages -------------------------------------------------------------------------


@pytest.mark.parametrize("first", [1, 1_700_000_000, "1700000000000"], ids=["counter", "seconds", "text"])
@pytest.mark.parametrize("date", [True, False], ids=["with a Date", "without a Date"])
async def test_a_second_poll_of_numbered_pages_begins_at_their_end(tmp_path: Path, first: Any, date: bool) -> None:
    rows = [{"id": n, "u": type(first)(int(first) + n)} for n in range(60)]

    def answer(asked: SentRequest) -> Any:
        wanted = [row for row in rows if int(row["u"]) >= int(asked.query.get("since", 0))]
        at = (page(asked) - 1) * 10
        return 200, {"data": wanted[at : at + 10]}, {} if date else {"date": ""}

    async with polled(tmp_path, answer, **NUMBERED, **SINCE) as one:
        await one.poll()
        assert [(await one.poll()).requests for _ in range(3)] == [2, 2, 2]
        assert len(await one.records()) == 60


async def test_a_row_that_moved_to_the_end_of_numbered_pages_hides_no_other(tmp_path: Path) -> None:
    """Row 3 changes while page 2 is read: row 10 moves up to page 1 and is on no page."""
    rows = [{"id": n, "u": n} for n in range(1, 31)]
    moves = [True]

    def answer(asked: SentRequest) -> Any:
        wanted = sorted((row for row in rows if row["u"] >= int(asked.query.get("since", 0))), key=lambda row: row["u"])
        at = (page(asked) - 1) * 10
        out = wanted[at : at + 10]
        if moves and page(asked) == 1:
            moves.clear()
            rows[2] = {"id": 3, "u": 31}
        return {"data": out}

    async with polled(tmp_path, answer, **NUMBERED, **SINCE) as one:
        await one.poll()
        await one.poll()
        assert len(await one.records()) == 30


# -- deletes that a person accepts -----------------------------------------------------------------------


async def test_deletes_that_a_person_accepts_are_made_without_an_item_path_too(tmp_path: Path) -> None:
    """A scan that the ratio stopped is the first of the two that must miss a record."""
    from tidegate.pull.run import PollOptions

    rows = [{"id": n} for n in range(10)]
    scan = {"deletes": {"mode": "scan", "confirm": "second_scan", "every": "1s"}}
    async with polled(tmp_path, lambda _: rows, **scan) as one:
        await one.poll()
        del rows[:6]
        one.clock.advance(5)
        await one.poll()
        assert one.codes() == {"deletes_stopped"}
        report = await one.engine.poll_now("s", "r", options=PollOptions(accept_deletes=True))
        assert report.deleted == 6
        assert one.codes() == set()


def test_the_clock_of_these_tables_is_after_their_rows() -> None:
    assert to_datetime(1_793_527_200_000_000).isoformat() == "2026-11-01T10:00:00+00:00"
