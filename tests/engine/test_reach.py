"""What APIs ask for besides a GET: bodies, placeholders, formats, sync tokens, delta links, deletes in the list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import until
from support.upstream.functions import Handler, Reply, ScriptedPull, SentRequest, scripted
from tidegate.pull import PollOptions

BASIC: dict[str, Any] = {"path": "/items", "data_selector": "items"}


def run(folder: Path, handler: Handler, work: Callable[[ScriptedPull], Awaitable[None]], **items: Any) -> None:
    async def main() -> None:
        async with scripted(folder, handler, items={**BASIC, **items}) as place:
            await work(place)

    asyncio.run(main())


def rows(*names: str, at: str = "2024-01-01T00:00:00Z") -> list[dict[str, str]]:
    return [{"id": name, "at": at} for name in names]


# -- requests ----------------------------------------------------------------------------------------------


def test_a_search_by_post_has_the_cursor_in_its_body_with_its_pages(tmp_path: Path) -> None:
    def source(asked: SentRequest) -> Any:
        assert (asked.method, asked.headers["Content-Type"]) == ("POST", "application/json")
        if asked.body.get("after") == "2":
            return {"items": rows("b", at="2024-01-03T00:00:00Z")}
        return {"items": rows("a", at="2024-01-02T00:00:00Z"), "paging": {"next": {"after": "2"}}}

    async def work(one: ScriptedPull) -> None:
        await one.poll()
        assert set(await one.records()) == {"a", "b"}
        await one.poll()
        since = [asked.body["filter"]["value"] for asked in one.script.asked]
        assert since == ["2024-01-01T00:00:00Z"] * 2 + ["2024-01-03T00:00:00Z"] * 2

    run(
        tmp_path, source, work, method="POST",
        json={"filter": {"field": "at", "op": "GTE", "value": "{incremental.start_value}"}, "limit": 1},
        paginator={"type": "cursor", "cursor_path": "paging.next.after", "cursor_body_path": "after"},
        incremental={"cursor_path": "at", "initial_value": "2024-01-01T00:00:00Z"},
    )  # fmt: skip


def test_a_header_takes_the_cursor_in_the_format_of_http(tmp_path: Path) -> None:
    def source(asked: SentRequest) -> Any:
        return {"items": rows("a", at="2024-01-02T03:04:05Z")}

    async def work(one: ScriptedPull) -> None:
        await one.poll()
        await one.poll()
        sent = [asked.headers.get("If-Modified-Since") for asked in one.script.asked]
        assert sent == [None, "Tue, 02 Jan 2024 03:04:05 GMT"]

    run(
        tmp_path, source, work, headers={"If-Modified-Since": "{incremental.start_value}"},
        incremental={"cursor_path": "at", "format": "http_date"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        ({}, "2024-01-02T00:00:00Z"),
        ({"value": ">={cursor}"}, ">=2024-01-02T00:00:00Z"),
        ({"format": "epoch_ms"}, "1704153600000"),
        ({"format": "date", "value": "updated:{cursor}"}, "updated:2024-01-02"),
        ({"format": "%d.%m.%Y"}, "02.01.2024"),
        ({"exclusive": True}, "2024-01-01T23:59:59Z"),
        ({"exclusive": True, "lag": "1h"}, "2024-01-01T22:59:59Z"),
    ],
)
def test_the_cursor_is_sent_as_the_source_takes_it(tmp_path: Path, rule: dict[str, Any], sent: str) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        await one.poll()
        assert one.script.asked[-1].params["since"] == sent

    def source(asked: SentRequest) -> Any:
        return {"items": rows("a", at="2024-01-02T00:00:00Z")}

    run(tmp_path, source, work, incremental={"cursor_path": "at", "param": "since", **rule})


def test_an_end_is_the_present_in_the_format_of_the_cursor(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        await one.poll()
        assert one.script.asked[0].params["until"].isdecimal()
        assert len(one.script.asked[1].params["until"]) == 10

    def source(asked: SentRequest) -> Any:
        return {"items": [{"id": 1, "at": 1_704_153_600}]}

    rule = {"cursor_path": "at", "param": "since", "end_param": "until", "format": "epoch_s"}
    run(tmp_path, source, work, incremental=rule)


def test_values_of_with_go_into_path_params_and_items(tmp_path: Path) -> None:
    def source(asked: SentRequest) -> Any:
        return {"items": rows("a")} if asked.url.endswith("/items") else rows("a")[0]

    async def work(one: ScriptedPull) -> None:
        await one.poll()
        await one.engine.pull("shop", "items", "a", [], max_age=None, no_cache=False, if_none_match=None)
        list_, item = one.script.asked
        assert (list_.url, item.url) == ("/repos/acme%2Feu/items", "/repos/acme%2Feu/items/a")
        assert list_.params == item.params == {"archived": "false"}
        assert list_.headers["X-Team"] == "acme/eu"

    run(
        tmp_path, source, work, path="/repos/{with.owner}/items", item_path="/repos/{with.owner}/items/{id}",
        params={"archived": "{with.archived}"}, headers={"X-Team": "{with.owner}"},
        **{"with": {"owner": "acme/eu", "archived": False}},
    )  # fmt: skip


# -- formats -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "how"),
    [
        (b'{"id": "a"}\n{"id": "b"}\n', "application/x-ndjson", {"data_selector": ""}),
        (b"id,name\na,1\nb,2\n", "text/csv; charset=utf-8", {"data_selector": ""}),
        (b"<r><items><item><id>a</id></item><item><id>b</id></item></items></r>", "text/xml",
         {"data_selector": "r.items.item"}),
        (b'{"items": {"a": {"n": 1}, "b": {"n": 2}}}', "application/json", {"key_field": "id"}),
        (b'{"items": {"x": {"rows": [{"id": "a"}]}, "y": {"rows": [{"id": "b"}]}}}', "application/json",
         {"data_selector": "items.*.rows"}),
    ],
)  # fmt: skip
def test_rows_are_read_in_every_format_and_shape(
    tmp_path: Path, body: bytes, content_type: str, how: dict[str, Any]
) -> None:
    async def work(one: ScriptedPull) -> None:
        report = await one.poll()
        assert set(await one.records()) == {"a", "b"}
        assert (report.created, report.unreadable) == (2, 0)

    run(tmp_path, lambda asked: Reply(body, headers={"Content-Type": content_type}), work, **how)


def test_one_element_of_xml_is_a_list_of_one(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        assert set(await one.records()) == {"a"}
        one.script.handler = lambda asked: b"<r><items/></r>"
        assert (await one.poll()).records_seen == 0

    run(tmp_path, lambda asked: b"<r><items><id>a</id></items></r>", work, data_selector="r.items")


def test_a_line_that_cannot_be_read_is_counted_with_a_sample_and_the_others_are_taken(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        report = await one.poll()
        assert (report.created, report.unreadable) == (1, 2)
        (finding,) = [one for one in report.findings if one.code == "rows_skipped"]
        assert finding.count == 2
        assert any("line 2 is not a JSON object" in sample for sample in finding.samples)

    run(tmp_path, lambda asked: b'{"id": "a"}\noops\n{"id": "b", "x"', work, data_selector="", format="ndjson")


def test_html_is_an_error_that_names_its_title(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        report = await one.poll(ok=False)
        assert report.error_code == "page_unreadable"
        assert "HTML, not data (its title is 'Sign in')" in report.error

    run(tmp_path, lambda asked: b"<!doctype html><title>Sign in</title>", work)


# -- sync tokens and delta links ---------------------------------------------------------------------------


class Calendar:
    """Gives a token on the last page; with a token only what changed since."""

    def __init__(self) -> None:
        self.expired = False

    def __call__(self, asked: SentRequest) -> Any:
        token, page = asked.params.get("syncToken"), asked.params.get("pageToken")
        if token == "t1" and not self.expired:
            return {"items": [{"id": "a", "status": "cancelled"}, {"id": "c", "n": 1}], "nextSyncToken": "t2"}
        if token is not None:
            return Reply({"error": "gone"}, 410 if token == "t1" else 400)
        if page == "2":
            return {"items": [{"id": "b", "n": 1}], "nextSyncToken": "t1"}
        return {"items": [{"id": "a", "n": 1}], "nextPageToken": "2"}


TOKENS: dict[str, Any] = {
    "paginator": {"type": "cursor", "cursor_path": "nextPageToken", "cursor_param": "pageToken"},
    "incremental": {"token_path": "nextSyncToken", "param": "syncToken"},
    "deletes": {"mode": "flag", "path": "status", "values": ["cancelled"]},
}


def test_a_sync_token_of_the_last_page_starts_the_next_poll(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        assert one.state().cursor == "t1"
        await one.restart()
        report = await one.poll()
        assert (report.created, report.deleted) == (1, 1)
        assert set(await one.records()) == {"b", "c"}
        assert one.state().cursor == "t2"

    run(tmp_path, Calendar(), work, **TOKENS)


@pytest.mark.parametrize("status", [400, 404, 410, 412])
def test_a_sync_token_that_expired_is_a_full_list_and_only_differences_are_changes(tmp_path: Path, status: int) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        calendar = one.script.handler

        def expired(asked: SentRequest) -> Any:
            return Reply({}, status) if "syncToken" in asked.params else calendar(asked)

        one.script.handler = expired
        report = await one.poll()
        assert (report.created, report.updated, report.deleted, report.records_seen) == (0, 0, 0, 2)
        assert {finding.code for finding in report.findings} >= {"cursor_expired"}

    run(tmp_path, Calendar(), work, **TOKENS)


def test_a_last_page_without_its_token_is_reported(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        report = await one.poll()
        assert {finding.code for finding in report.findings} == {"sync_token_missing"}

    run(tmp_path, lambda asked: {"items": rows("a")}, work, incremental=TOKENS["incremental"])


def test_a_delta_link_is_asked_byte_for_byte_and_tombstones_delete(tmp_path: Path) -> None:
    link = "https://shop.example/items/delta?$deltatoken=a%2Fb'c"

    def source(asked: SentRequest) -> Any:
        if "$deltatoken" in asked.url:
            assert asked.url == "/items/delta?$deltatoken=a%2Fb'c"
            assert asked.params == {}
            return {"items": [{"id": "a", "@removed": {"reason": "deleted"}}], "@odata.deltaLink": link}
        return {"items": rows("a", "b"), "@odata.deltaLink": link}

    async def work(one: ScriptedPull) -> None:
        await one.poll()
        report = await one.poll()
        assert report.deleted == 1
        assert set(await one.records()) == {"b"}
        assert (await one.kinds())[-1] == ("items.deleted", "a")
        assert (await one.poll()).deleted == 0

    run(
        tmp_path, source, work, params={"$select": "id"}, incremental={"link_path": "@odata.deltaLink"},
        deletes={"mode": "in_band", "path": "@removed"},
    )  # fmt: skip


def test_a_delta_link_to_another_origin_is_not_followed(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        report = await one.poll(ok=False)
        assert report.error_code == "page_foreign"
        assert len(one.script.asked) == 1

    def source(asked: SentRequest) -> Any:
        return {"items": rows("a"), "next": "https://evil.example/x"}

    run(tmp_path, source, work, incremental={"link_path": "next"})


# -- schedules ---------------------------------------------------------------------------------------------


def test_the_source_may_ask_for_a_longer_interval(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        engine = one.engine._engines[("shop", "items")]
        assert engine.schedule.next_at_us is not None
        assert (engine.schedule.next_at_us - one.clock.now_us()) / 1e6 > 3500

    run(tmp_path, lambda asked: Reply({"items": []}, headers={"X-Poll-Interval": "3600"}), work, poll="1s")


def test_a_cron_schedule_polls_at_its_time(tmp_path: Path) -> None:
    async def work(one: ScriptedPull) -> None:
        await one.poll()
        at_us = one.engine._engines[("shop", "items")].schedule.next_at_us
        assert at_us is not None
        assert at_us // 1_000_000 % 86_400 == 6 * 3600

    run(tmp_path, lambda asked: {"items": []}, work, poll=None, schedule="0 6 * * *")


# -- deletes that another list names -----------------------------------------------------------------------


async def test_a_feed_of_deletes_deletes_the_records_it_names(tmp_path: Path) -> None:
    trash: list[dict[str, Any]] = [{"id": "t1", "item": "z"}]

    def source(asked: SentRequest) -> Any:
        if asked.url == "/items":
            return {"items": rows("b") if len(trash) > 1 else rows("a", "b")}
        return trash

    feed = {"path": "/trash", "initial": "snapshot"}
    deletes = {"mode": "feed", "resource": "trash", "id_path": "item"}
    async with scripted(tmp_path, source, trash=feed, items={**BASIC, "deletes": deletes}) as one:
        await one.poll("trash")
        await one.poll()
        trash.extend([{"id": "t2", "item": "a"}, {"id": "t3"}])
        await one.poll("trash")
        notes = one.engine._engines[("shop", "items")].writer.health.notes
        await until(lambda: "webhooks_skipped" in notes, every_seconds=0.002)  # the last of the two
        await one.poll()
        assert set(await one.records()) == {"b"}
        assert ("items.deleted", "a") in await one.kinds()
        assert "no key at id_path 'item'" in notes["webhooks_skipped"].samples[0]


# -- a baseline --------------------------------------------------------------------------------------------


def test_a_baseline_takes_everything_without_events_and_the_next_poll_sees_changes(tmp_path: Path) -> None:
    found = {"items": rows("a", "b")}

    async def work(one: ScriptedPull) -> None:
        await one.poll()
        found["items"] = [*rows("b", at="2024-02-02T00:00:00Z"), *rows("c")]
        report = await one.engine.poll_now("shop", "items", PollOptions(baseline=True))
        assert (report.snapshot, report.records_seen, report.created, report.updated) == (True, 2, 0, 0)
        assert (await one.records())["b"]["at"] == "2024-02-02T00:00:00Z"
        assert len(await one.kinds()) == 2
        found["items"][0]["n"] = "1"
        assert (await one.poll()).updated == 1

    run(tmp_path, lambda asked: found, work)


def test_a_baseline_that_stops_goes_on_without_events(tmp_path: Path) -> None:
    broken = True

    def source(asked: SentRequest) -> Any:
        if asked.params.get("cursor") != "2":
            return {"items": rows("a"), "next_cursor": "2"}
        return Reply({}, 401) if broken else {"items": rows("b")}

    async def work(one: ScriptedPull) -> None:
        nonlocal broken
        report = await one.engine.poll_now("shop", "items", PollOptions(baseline=True))
        assert report.error
        broken = False
        await one.restart()
        assert (await one.poll()).resumed
        assert set(await one.records()) == {"a", "b"}
        assert await one.kinds() == []

    run(tmp_path, source, work, paginator={"type": "cursor"})


# -- lists without a filter, newest first ------------------------------------------------------------------


def newest_first(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "at": f"2024-01-{int(name):02}T00:00:00Z"} for name in names]


DESC: dict[str, Any] = {
    "incremental": {"cursor_path": "at", "row_order": "desc"},
    "paginator": {"type": "page_number", "total_path": "pages"},
}


def test_a_list_that_is_newest_first_ends_at_the_first_page_that_is_known(tmp_path: Path) -> None:
    pages = {"1": newest_first("9", "8"), "2": newest_first("7", "6"), "3": newest_first("5", "4")}

    def source(asked: SentRequest) -> Any:
        return {"items": pages[asked.params["page"]], "pages": 3}

    async def work(one: ScriptedPull) -> None:
        assert (await one.poll()).pages == 3
        pages["1"] = [{"id": "4", "at": "2024-01-10T00:00:00Z"}, *newest_first("9")]
        pages["2"] = newest_first("8", "7")
        report = await one.poll()
        assert (report.pages, report.ended_by, report.updated) == (2, "known_rows", 1)
        assert report.findings == []

    run(tmp_path, source, work, **DESC)


def test_a_list_that_breaks_its_order_is_read_to_its_end_and_reported(tmp_path: Path) -> None:
    pages = {"1": newest_first("9", "2"), "2": newest_first("8", "7")}

    def source(asked: SentRequest) -> Any:
        return {"items": pages[asked.params["page"]], "pages": 2}

    async def work(one: ScriptedPull) -> None:
        await one.poll()
        pages["1"] = newest_first("3", "9")
        report = await one.poll()
        assert report.pages == 2
        assert [finding.code for finding in report.findings] == ["row_order_broken"]

    run(tmp_path, source, work, **DESC)


def test_pinned_rows_before_the_newest_ones_do_not_break_the_order(tmp_path: Path) -> None:
    """A pinned row is read, and neither ends the walk nor keeps it going."""
    pinned = {"id": "1", "at": "2024-01-01T00:00:00Z", "pinned": True}
    pages = {"1": [pinned, *newest_first("9", "8")], "2": newest_first("7", "6"), "3": newest_first("5", "4")}

    def source(asked: SentRequest) -> Any:
        return {"items": pages[asked.params["page"]], "pages": 3}

    async def work(one: ScriptedPull) -> None:
        assert (await one.poll()).pages == 3
        pages["1"] = [{**pinned, "text": "changed"}, *newest_first("10", "9")]
        pages["2"] = newest_first("8", "7")
        report = await one.poll()
        assert (report.pages, report.ended_by, report.created, report.updated) == (2, "known_rows", 1, 1)
        assert report.findings == []

    run(tmp_path, source, work, **{**DESC, "incremental": {**DESC["incremental"], "pinned_path": "pinned"}})
