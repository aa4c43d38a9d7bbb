"""What every store promises about counts by minute and hour (store.Rollups)."""

from __future__ import annotations

from typing import Any

import pytest

from support.stores import STORES, Opener, audience, event, with_store
from tidegate.core.errors import Conflict, Fenced
from tidegate.core.model import Attempt, Origin, Outcome
from tidegate.core.rollups import DESTINATION, RESOURCE, RollupRow
from tidegate.store import RecordCommit, ResourceState, Settlement

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())

EVER = 1 << 40


async def read(store: Any, **more: Any) -> dict[str, tuple[int, int]]:
    """(times, total) of each metric, with its subject."""
    rows = await store.rollups.read(0, EVER, **more)
    return {f"{row.subject} {row.metric}": (row.times, row.total) for row in rows}


def test_equal_keys_add_up_and_minutes_can_be_read_in_bins(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        assert await store.rollups.first_minute() is None and await store.rollups.read(0, EVER) == []
        await store.rollups.add(
            [RollupRow(100, RESOURCE, "a/b", "look.found", 1), RollupRow(100, RESOURCE, "a/b", "look.found", 2)]
        )
        await store.rollups.add(
            [RollupRow(100, RESOURCE, "a/b", "look.found", 1, 5), RollupRow(119, RESOURCE, "a/b", "look.found", 1)]
        )
        await store.rollups.add(
            [RollupRow(120, RESOURCE, "a/b", "look.found", 7), RollupRow(120, DESTINATION, "d", "failed", 1)]
        )
        await store.rollups.add([])
        assert await read(store) == {"a/b look.found": (12, 5), "d failed": (1, 0)}
        assert await read(store, scope=RESOURCE, subject="a/b") == {"a/b look.found": (12, 5)}
        assert await read(store, prefix="look.") == {"a/b look.found": (12, 5)}
        assert await read(store, prefix="loo%") == {}
        bins = await store.rollups.read(0, EVER, every=15, scope=RESOURCE)
        assert [(row.minute, row.times) for row in bins] == [(90, 4), (105, 1), (120, 7)]
        assert [row.times for row in await store.rollups.read(101, 120)] == [1]
        assert await store.rollups.first_minute() == 100

    with_store(opener, tmp_path, work)


def test_old_minutes_become_hours_without_a_count_lost_or_doubled(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        rows = [RollupRow(minute, RESOURCE, "a/b", "look.found", 1, 2) for minute in range(30, 300)]
        await store.rollups.add(rows)
        moved = 0
        while count := await store.rollups.fold(200):
            moved += count
            assert await read(store) == {"a/b look.found": (270, 540)}
        assert moved == 170
        hours = await store.rollups.read(0, 200, every=1)
        assert [(row.minute, row.times) for row in hours] == [(0, 30), (60, 60), (120, 60), (180, 20)]
        await store.rollups.add([RollupRow(61, RESOURCE, "a/b", "look.found", 1, 2)])  # a count that came late
        assert await store.rollups.fold(200) == 1
        assert await read(store) == {"a/b look.found": (271, 542)}
        await store.rollups.trim(120)
        assert await store.rollups.first_minute() == 120
        assert await read(store) == {"a/b look.found": (180, 360)}

    with_store(opener, tmp_path, work)


def test_an_append_counts_its_events_and_the_repeated_ids(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        number = await audience(store)
        for origin in Origin:
            await store.log.append([event(number, b"abc", origin=origin, received_at_us=60_000_000)])
        one = event(number, b"12345", dedupe_id="x", received_at_us=120_000_000)
        await store.log.append([one])
        await store.log.append([one, event(number, b"1", received_at_us=120_000_000)])
        counted = await read(store)
        assert counted.pop("shop accepted.webhook") == (3, 9)
        assert counted.pop("shop doubled") == (1, 0)
        assert counted == {f"shop accepted.{origin.value}": (1, 3) for origin in Origin if origin is not Origin.WEBHOOK}
        by_minute = await store.rollups.read(0, EVER, every=1)
        assert {row.minute for row in by_minute} == {1, 2}

    with_store(opener, tmp_path, work)


def test_a_refused_append_counts_nothing(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        number = await audience(store)
        await store.log.append([event(number, b"1", dedupe_id="x", body_hash=b"1")])
        same, other = (
            event(number, b"1", dedupe_id="x", body_hash=b"1"),
            event(number, b"2", dedupe_id="x", body_hash=b"2"),
        )
        with pytest.raises(Conflict):
            await store.log.append([event(number, b"3"), same, other], strict=True)
        with pytest.raises(Conflict):
            await store.log.append([event(number, b"3"), other], strict=True)
        assert await read(store) == {"shop accepted.webhook": (1, 1)}

    with_store(opener, tmp_path, work)


def test_a_settlement_that_is_stored_twice_counts_once(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        number = await audience(store)
        (done,) = await store.log.append([event(number)])
        attempt = Attempt(done.offset, 1, 1, Outcome.OK, 5, 6)
        rows = [RollupRow(9, DESTINATION, "d", "delivered", 1, 2), RollupRow(9, DESTINATION, "d", "delay.7", 1, 3)]
        settlement = Settlement(done.offset, [], attempts=[attempt], rollups=rows)
        await store.deliveries.settle(settlement)
        await store.deliveries.settle(settlement)
        assert await read(store, scope=DESTINATION) == {"d delivered": (1, 2), "d delay.7": (1, 3)}

    with_store(opener, tmp_path, work)


def test_a_commit_of_records_brings_its_counts_and_a_fenced_one_none(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        number = await audience(store)
        row = RollupRow(9, RESOURCE, "shop/orders", "look.found", 1)
        state = ResourceState("shop", "orders")

        def commit(changes: Any, fence: int) -> RecordCommit:
            return RecordCommit("shop", "orders", [], changes, state, fence, [row])

        fence = store.leases.fence
        await store.records.commit(commit([], fence))
        await store.records.commit(commit([event(number, b"1", dedupe_id="a")], fence))
        assert await read(store, scope=RESOURCE) == {"shop/orders look.found": (2, 0)}
        for changes in ([], [event(number, b"1", dedupe_id="b")]):
            with pytest.raises(Fenced):
                await store.records.commit(commit(changes, fence - 1))
        assert await read(store) == {"shop/orders look.found": (2, 0), "shop accepted.webhook": (1, 1)}

    with_store(opener, tmp_path, work)
