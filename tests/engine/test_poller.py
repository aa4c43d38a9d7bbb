"""Polls: everything that could be seen becomes one change, nothing twice, nothing falsely deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support.upstream.pull import PullSetup, pull_setup
from tidegate.pull.page_requests import MAX_TRIES

POLL: dict[str, Any] = {"poll": "1d", "initial": "events"}
INCREMENTAL = {"cursor_path": "updated_at", "param": "updated_since", "lag": "10s"}


def run(path: Path, work: Callable[[PullSetup], Awaitable[None]], **how: Any) -> None:
    async def main() -> None:
        async with pull_setup(path, **{**POLL, **how}) as one:
            await one.poll()  # the first, over an empty shop, unless the schedule was quicker
            await work(one)

    asyncio.run(main())


def test_each_difference_becomes_one_change_with_before_and_fields(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=5, note="a")
        report = await one.poll()
        assert (report.created, report.updated, report.deleted) == (1, 0, 0)
        assert report.id.startswith("pol_")
        one.shop.put("1", amount=6)
        await one.poll()
        created, updated = await one.changes()
        assert (created["kind"], created["before"], created["number"]) == ("created", None, 1)
        assert (updated["kind"], updated["number"]) == ("updated", 2)
        assert updated["fields"] == ["amount", "updated_at"]
        assert updated["before"]["amount"] == 5
        assert updated["data"]["amount"] == 6
        assert updated["version"] == updated["data"]["updated_at"]

    run(tmp_path, work)


def test_a_poll_that_finds_the_same_makes_nothing(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abc":
            one.shop.put(key)
        await one.poll()
        for _ in range(3):
            report = await one.poll()
            assert report.records_seen == 3
            assert (report.created, report.updated) == (0, 0)
        assert len(await one.changes()) == 3
        figures = one.engine.statistics()["shop/orders"]
        assert figures.changes == 3
        assert figures.empty_polls >= 3

    run(tmp_path, work)


async def test_the_first_poll_is_a_snapshot_without_events(tmp_path: Path) -> None:
    async with pull_setup(tmp_path, poll="1d", started=False) as one:
        one.shop.put("1")
        one.shop.put("2")
        await one.start()
        await one.poll()
        assert await one.changes() == []
        assert set(await one.records()) == {"1", "2"}
        one.shop.put("2", amount=1)
        one.shop.put("3")
        await one.poll()
        assert await one.kinds() == [("updated", "2", "poll"), ("created", "3", "poll")]


async def test_a_snapshot_that_broke_off_goes_on_as_a_snapshot(tmp_path: Path) -> None:
    async with pull_setup(tmp_path, poll="1d", started=False, page_size=2) as one:
        for key in "abcd":
            one.shop.put(key)
        one.shop.break_next = []
        await break_second_page(one)
        await one.start()
        await one.poll(ok=False)
        await one.poll(ok=False)
        assert set(await one.records()) == set("abcd")
        assert await one.changes() == []


async def break_second_page(one: PullSetup) -> None:
    """The next request for a second page is answered 500, and so is each retry of it within the run."""

    async def watch(target: str) -> None:
        if "page=" not in target:
            one.shop.break_next.extend([500] * MAX_TRIES)
            one.shop.on_answer = None

    one.shop.on_answer = watch


def test_a_failed_page_keeps_what_came_before_and_does_not_move_the_cursor(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abcd":
            one.shop.put(key)
        before = await one.store.records.state("shop", "orders")
        await break_second_page(one)
        report = await one.poll(ok=False)
        assert "500" in report.error
        assert set(await one.records()) == {"a", "b"}
        after = await one.store.records.state("shop", "orders")
        assert (after.cursor, after.polled_at_us) == (before.cursor, before.polled_at_us)
        await one.poll()
        assert [key for _, key, _ in await one.kinds()] == ["a", "b", "c", "d"]
        moved = await one.store.records.state("shop", "orders")
        assert moved.cursor is not None

    run(tmp_path, work, page_size=2, incremental=INCREMENTAL)


def test_a_crash_between_pages_repeats_nothing(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for number in range(9):
            one.shop.put(str(number))
        reached = asyncio.Event()

        async def hang(target: str) -> None:
            if "page=3" in target:
                one.shop.on_answer = None
                reached.set()
                await asyncio.Event().wait()

        one.shop.on_answer = hang
        poll = asyncio.create_task(one.engine.poll_now("shop", "orders"))
        await reached.wait()
        assert len(await one.changes()) == 4
        await one.restart()
        assert isinstance((await asyncio.gather(poll, return_exceptions=True))[0], Exception)
        await one.poll()
        assert sorted(key or "" for _, key, _ in await one.kinds()) == [str(number) for number in range(9)]

    run(tmp_path, work, page_size=2)


def test_the_incremental_start_is_the_cursor_less_the_lag(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.second = 100
        one.shop.put("1")
        one.shop.second = 200
        await one.poll()
        await one.poll()
        assert one.shop.asked[-1] == "/orders?updated_since=2026-11-24T12%3A01%3A31Z"

    run(tmp_path, work, incremental=INCREMENTAL)


def test_a_row_committed_late_behind_the_cursor_is_found_within_the_lag(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        one.shop.second = 50
        one.shop.put("2")
        await one.poll()
        one.shop.items["late"] = {"id": "late", "updated_at": "2026-11-24T12:00:45Z"}
        await one.poll()
        assert [key for _, key, _ in await one.kinds()] == ["1", "2", "late"]

    run(tmp_path, work, incremental=INCREMENTAL)


def test_the_cursor_never_passes_the_clock_of_the_source(tmp_path: Path) -> None:
    """A row of the same second that becomes visible after the answer must be read by the next poll, lag or no lag."""

    async def work(one: PullSetup) -> None:
        one.shop.second = 100
        one.shop.put("1")
        await one.poll()
        one.shop.put("tied", tick=False)
        await one.poll()
        assert [key for _, key, _ in await one.kinds()] == ["1", "tied"]

    run(tmp_path, work, incremental={**INCREMENTAL, "lag": "0s"})


def test_a_cursor_the_source_no_longer_knows_leads_to_a_full_scan_of_differences(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        one.shop.put("2")
        await one.poll()
        one.shop.put("2", amount=1)
        one.shop.break_next = [410]
        report = await one.poll()
        assert one.shop.asked[-1] == "/orders"
        assert (report.created, report.updated, report.requests) == (0, 1, 2)

    run(tmp_path, work, incremental=INCREMENTAL)


def test_an_unchanged_list_costs_a_304_and_is_counted(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await one.poll()
        report = await one.poll()
        assert report.not_modified
        one.shop.put("1", amount=2)
        report = await one.poll()
        assert (report.not_modified, report.updated) == (False, 1)
        assert one.engine.statistics()["shop/orders"].not_modified >= 1

    run(tmp_path, work, validators=True)


def test_a_list_of_several_pages_is_never_believed_unchanged_by_its_first(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abc":
            one.shop.put(key)
        await one.poll()
        one.shop.items["c"]["amount"] = 1  # on page two; page one is the same bytes
        report = await one.poll()
        assert (report.not_modified, report.updated) == (False, 1)

    run(tmp_path, work, page_size=2, validators=True, version=None)


def test_a_page_of_ten_thousand_items_does_not_hold_the_loop(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for number in range(10_000):
            one.shop.put(f"{number:05}", note="x" * 200)
        longest = 0.0

        async def heartbeat() -> None:
            """Processor time of this thread between two turns: what others on the machine do does not count."""
            nonlocal longest
            last = time.thread_time()
            while True:
                await asyncio.sleep(0.001)
                longest, last = max(longest, time.thread_time() - last), time.thread_time()

        async def begin(target: str) -> None:
            nonlocal beat
            beat = asyncio.create_task(heartbeat())

        beat: asyncio.Task[None] | None = None
        one.shop.on_answer = begin  # the shop makes its answer on this loop, which is not what is measured
        report = await one.poll()
        assert beat is not None
        beat.cancel()
        assert report.created == 10_000
        assert longest < 0.25, f"the loop stood still for {longest * 1000:.0f} ms"
        assert len(await one.changes()) == 10_000

    run(tmp_path, work, page_size=10_000)


def test_a_row_without_a_key_is_skipped_and_reported_with_a_sample(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        one.shop.items["bad"] = {"id": None, "updated_at": one.shop.now()}
        one.shop.items["bad"]["id"] = ""
        report = await one.poll()
        assert (report.created, report.error) == (1, "")
        figures = one.engine.statistics()["shop/orders"]
        assert figures.unreadable == report.unreadable == 1
        assert [one.code for one in report.findings] == ["rows_skipped"]
        assert "no key at 'id'" in report.findings[0].samples[0]
        assert figures.findings["rows_skipped"].count == 1

    run(tmp_path, work)


def test_ignored_fields_are_no_change(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", seen=1)
        await one.poll()
        one.shop.items["1"]["seen"] = 2
        report = await one.poll()
        assert report.updated == 0
        one.shop.put("1", amount=2)
        await one.poll()
        assert (await one.changes())[-1]["fields"] == ["amount", "updated_at"]

    run(tmp_path, work, ignore=["seen"])


# -- deletes ---------------------------------------------------------------------------------------------

SCAN = {"deletes": {"mode": "scan", "every": "1ms", "confirm": "get", "max_ratio": 0.5}}


def test_a_missing_record_that_the_source_denies_is_deleted_with_its_last_state(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abc":
            one.shop.put(key, amount=7)
        await one.poll()
        one.shop.remove("b")
        report = await one.poll()
        assert report.deleted == 1
        deleted = (await one.changes())[-1]
        assert (deleted["kind"], deleted["key"], deleted["data"]["amount"]) == ("deleted", "b", 7)
        assert (await one.poll()).deleted == 0
        assert set(await one.records()) == {"a", "c"}

    run(tmp_path, work, **SCAN)


def test_a_record_that_a_page_skipped_but_the_source_still_has_is_not_deleted(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abc":
            one.shop.put(key)
        await one.poll()
        hidden = one.shop.items.pop("b")

        async def back(target: str) -> None:
            one.shop.items["b"] = hidden  # the list was already made without it
            one.shop.on_answer = None

        one.shop.on_answer = back
        report = await one.poll()
        assert report.deleted == 0
        assert "/orders/b" in one.shop.asked
        assert set(await one.records()) == {"a", "b", "c"}

    run(tmp_path, work, **SCAN)


def test_a_scan_that_would_delete_too_many_deletes_nothing_and_says_so(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abcd":
            one.shop.put(key)
        await one.poll()
        for key in "abc":
            one.shop.remove(key)
        report = await one.poll()
        assert report.deleted == 0
        figures = one.engine.statistics()["shop/orders"]
        assert figures.scans_stopped_by_ratio == 1
        assert "max_ratio" in figures.last_error
        assert len(await one.records()) == 4

    run(tmp_path, work, **SCAN)


def test_without_an_item_path_two_scans_must_miss_a_record(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abc":
            one.shop.put(key)
        await one.poll()
        one.shop.remove("b")
        assert (await one.poll()).deleted == 0
        assert (await one.poll()).deleted == 1

    run(
        tmp_path,
        work,
        item_path=None,
        deletes={"mode": "scan", "every": "1ms", "confirm": "second_scan", "max_ratio": 0.5},
    )


def test_a_scan_that_did_not_finish_deletes_nothing(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "abcd":
            one.shop.put(key)
        await one.poll()
        one.shop.remove("d")
        await break_second_page(one)
        await one.poll(ok=False)
        assert set(await one.records()) == set("abcd")

    run(tmp_path, work, page_size=2, **SCAN)


def test_a_record_that_comes_back_is_created_again_and_continues_its_numbers(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("a")
        one.shop.put("b")
        await one.poll()
        one.shop.remove("a")
        await one.poll()
        one.shop.put("a", amount=1)
        await one.poll()
        changes = [(c["kind"], c["number"]) for c in await one.changes() if c["key"] == "a"]
        assert changes == [("created", 1), ("deleted", 2), ("created", 3)]

    run(tmp_path, work, **SCAN)


def test_a_row_that_the_moving_of_the_list_hid_from_a_walk_is_seen_by_the_next(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "12345":
            one.shop.put(key)
        await one.poll()
        for key in "12345":
            one.shop.put(key, amount=1)

        async def change(target: str) -> None:
            one.shop.on_answer = None
            one.shop.put("1", amount=2)  # leaves page one for the end, so that 3 moves up to page one, which was read

        one.shop.on_answer = change
        await one.poll()
        assert (await one.records())["3"].get("amount") is None, "the walk missed it, as walks over numbered pages do"
        await one.poll()
        assert [record["amount"] for record in (await one.records()).values()] == [2, 1, 1, 1, 1]
        cursor = (await one.store.records.state("shop", "orders")).cursor
        await one.poll()
        assert (await one.store.records.state("shop", "orders")).cursor > cursor, "and the cursor goes on"

    run(tmp_path, work, page_size=2, incremental={**INCREMENTAL, "lag": "0s"})


def test_a_walk_that_nothing_moved_under_takes_the_cursor_to_its_end(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "12345":
            one.shop.put(key)
        one.shop.second += 60  # a minute of quiet
        await one.poll()
        state = await one.store.records.state("shop", "orders")
        assert state.cursor == one.shop.items["5"]["updated_at"]

    run(tmp_path, work, page_size=2, incremental={**INCREMENTAL, "lag": "0s"})
