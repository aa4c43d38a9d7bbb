"""What every store promises at sizes beyond each limit and slice inside it: nothing is cut that was not asked to be.

Limits in the stores: 512 deferred deliveries (once), 2,000 appends or rows a statement, 8 MiB of bodies a statement,
4,096 events a slice of a page, 2,000 delivery ids a slice, 1,000 records a statement, 200 replays, 1,000 rejections.
"""

from __future__ import annotations

import asyncio

import pytest

from support.stores import STORES, audience, event, with_store
from tidegate.core.errors import StoreBusy
from tidegate.core.model import (
    Attempt,
    Deferred,
    DeferredState,
    DeliveryState,
    Lane,
    Origin,
    Outcome,
    RangeSettlement,
    RecordState,
)
from tidegate.store import EventQuery, Item, RecordCommit, Rejection, Replay, ResourceState, Settlement

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())

PENDING, EXHAUSTED = DeferredState.PENDING, DeferredState.EXHAUSTED


# -- deferred deliveries ---------------------------------------------------------------------------------


def test_each_of_700_deferred_deliveries_of_one_event_is_found_by_its_destination_and_state(opener, tmp_path):
    async def work(store):
        deferred = store.deliveries.deferred
        rows = [Deferred(n, 5, EXHAUSTED if n == 700 else PENDING, due_at_us=n) for n in range(1, 701)]
        await store.deliveries.settle(Settlement(5, [], deferred=[*rows, Deferred(1, 6, PENDING)]))
        assert [one.destination for one in await deferred(offsets=[5])] == list(range(1, 701))
        assert await deferred(offsets=[5], destination=699) == [rows[698]]
        assert await deferred(offsets=[5], states=[EXHAUSTED]) == [rows[699]]
        assert await deferred(offsets=[5], states=[EXHAUSTED], limit=1) == [rows[699]]
        assert await deferred(offsets=[5], destination=700, states=[PENDING]) == []
        assert len(await deferred(offsets=[5, 6], limit=100)) == 100
        assert [one.offset for one in await deferred(offsets=[5, 6], after=5)] == [6]
        assert await deferred(states=[EXHAUSTED], limit=1) == [rows[699]]
        assert len(await deferred()) == 701

    with_store(opener, tmp_path, work)


def test_conditions_on_3000_deferred_deliveries_of_one_destination_come_before_the_limit(opener, tmp_path):
    async def work(store):
        deferred = store.deliveries.deferred
        rows = [Deferred(1, n, EXHAUSTED if n > 2990 else PENDING, due_at_us=5000 - n) for n in range(1, 3001)]
        await store.deliveries.settle(Settlement(3000, [], deferred=rows))
        assert [one.offset for one in await deferred(destination=1)] == list(range(1, 3001))
        assert [one.offset for one in await deferred(destination=1, states=[EXHAUSTED], limit=5)] == [
            *range(2991, 2996)
        ]
        assert [one.offset for one in await deferred(destination=1, after=2995)] == [*range(2996, 3001)]
        walked, after = [], 0
        while page := await deferred(destination=1, after=after, limit=700):
            walked += [one.offset for one in page]
            after = walked[-1]
        assert walked == list(range(1, 3001))
        due = await deferred(destination=1, due_before_us=6000, limit=600)
        assert [one.offset for one in due] == list(range(2990, 2390, -1)), "by due time, and only pending ones"
        assert [one.offset for one in await deferred(destination=1, due_before_us=6000, after=2988)] == [2990, 2989]
        assert await deferred(destination=1, due_before_us=6000, states=[EXHAUSTED]) == []
        assert await deferred(destination=2, due_before_us=6000) == []

    with_store(opener, tmp_path, work)


def test_a_due_time_without_one_destination_is_refused_and_not_ignored(opener, tmp_path):
    async def work(store):
        for conditions in ({}, {"destination": 1, "offsets": [1]}):
            with pytest.raises(ValueError, match="one destination"):
                await store.deliveries.deferred(due_before_us=1, **conditions)

    with_store(opener, tmp_path, work)


# -- settles ---------------------------------------------------------------------------------------------


def test_a_settle_of_thousands_of_rows_is_whole(opener, tmp_path):
    async def work(store):
        attempts = [Attempt(n, 1, 1, Outcome.OK, 1, 2) for n in range(1, 3001)]
        attempts += [Attempt(1, 2, n, Outcome.TIMEOUT, 1, 2) for n in range(1, 601)]
        lanes = [Lane(n, 0, tuple(range(2, 3000, 2)), delivered=n) for n in range(1, 301)]
        ranges = [RangeSettlement(n, 0, 9, DeliveryState.CANCELED, "operator", 1) for n in range(1, 1201)]
        await store.deliveries.settle(Settlement(3000, lanes, attempts, ranges=ranges))
        found = await store.deliveries.attempts([(n, 1) for n in range(1, 3001)])
        assert len(found) == 3000 and all(len(one) == 1 for one in found.values())
        assert [one.number for one in (await store.deliveries.attempts([(1, 2)]))[1, 2]] == list(range(1, 601))
        assert await store.deliveries.ranges() == ranges
        standing = await store.deliveries.load()
        assert {one.destination: one.settled_ahead for one in standing.lanes} == {
            n: tuple(range(2, 3000, 2)) for n in range(1, 301)
        }

    with_store(opener, tmp_path, work)


def test_450_replays_keep_the_newest_200_and_every_unfinished_one(opener, tmp_path):
    async def work(store):
        for n in range(450):
            finished = None if n % 100 == 7 else 9
            await store.deliveries.put_replay(Replay(f"rpl_{n}", n, b"{}", 0, 10, finished_at_us=finished))
        found = [one.created_at_us for one in await store.deliveries.replays()]
        assert found == [*range(449, 249, -1), 207, 107, 7]
        assert (await store.deliveries.replay("rpl_8")).created_at_us == 8

    with_store(opener, tmp_path, work)


# -- the log ---------------------------------------------------------------------------------------------


def test_one_append_of_4500_events_is_whole_and_2500_at_once_are_answered(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        one = await store.log.append([event(number, dedupe_id=f"d{n}", body_hash=b"h") for n in range(4500)])
        assert [answer.offset for answer in one] == list(range(1, 4501))
        many = await asyncio.gather(*(store.log.append([event(number)]) for _ in range(2500)))
        assert sorted(answer.offset for (answer,) in many) == list(range(4501, 7001))
        again = await store.log.append([event(number, dedupe_id=f"d{n}", body_hash=b"h") for n in range(4500)])
        assert [answer.offset for answer in again] == list(range(1, 4501)) and all(one.duplicate for one in again)
        assert (await store.deliveries.counters()).audiences[0][1] == 7000

    with_store(opener, tmp_path, work)


def test_bodies_beyond_the_bytes_of_one_statement_and_of_the_memory_come_back_whole(opener, tmp_path):
    size = 1 << 20

    async def work(store):
        number = await audience(store)
        published: list[int] = []
        store.log.subscribe(lambda events: published.extend(one.offset for one in events))

        async def append(n: int) -> int:
            while True:
                try:
                    (answer,) = await store.log.append([event(number, bytes([n]) * size, dedupe_id=f"d{n}")])
                except StoreBusy:  # a slow disk: a sender sends the same id again
                    continue
                return answer.offset

        offsets = [offset for n in range(0, 36, 12) for offset in await asyncio.gather(*map(append, range(n, n + 12)))]
        assert published == sorted(offsets) and len(set(offsets)) == 36
        assert store.log.cached(min(offsets)) is None, "the memory holds less than this test appended"
        assert {one.offset: one.body_bytes for one in await store.log.heads(offsets)} == dict.fromkeys(offsets, size)
        for n in (0, 35):
            (found,) = await store.log.read([offsets[n]])
            assert found.body == bytes([n]) * size

    with_store(opener, tmp_path, work)


def test_heads_are_the_events_without_bodies_in_memory_and_after_a_restart(opener, tmp_path):
    async def write(store):
        a, b = await audience(store), await audience(store, source="crm")
        await store.log.append([
            event(a, b"x" * n, key=f"k\0{n}" if n % 2 else None, content_type="a/b", received_at_us=n, type="t\0")
            for n in range(1500)
        ])  # fmt: skip
        await store.log.append([event(b, b"", source="crm", origin=Origin.POLL)])
        await store.log.trim(10, 100)
        return await store.log.heads([*range(1501, 0, -1), 9999])

    async def read(store):
        assert await store.log.heads([]) == []
        return await store.log.heads(range(1, 1502))

    warm, cold = with_store(opener, tmp_path, write), with_store(opener, tmp_path, read)
    assert warm == cold and [one.offset for one in warm] == list(range(11, 1502))
    first, last = warm[0], warm[-1]
    assert (first.key, first.type, first.received_at_us, first.body_bytes) == (None, "t\0", 10, 10)
    assert (warm[1].key, warm[1].content_type, warm[1].source) == ("k\x0011", "a/b", "shop")
    assert (last.source, last.origin, last.body_bytes, last.key) == ("crm", Origin.POLL, 0, None)


def test_pages_and_scans_of_9000_events_find_a_rare_one_and_say_how_far_they_looked(opener, tmp_path):
    async def work(store):
        a, b = await audience(store), await audience(store, source="crm")
        await store.log.append([event(b, b'{"rare":1}', source="crm", key="k", type="rare")])
        for _ in range(3):
            await store.log.append([event(a, key="k") for _ in range(3000)])
        await store.log.append([event(b, source="crm")])

        async def page(**query):
            found = await store.log.page(EventQuery(**query))
            return [one.offset for one in found.events], found.edge, found.more

        for conditions in ({"type": "rare"}, {"text": '"rare"'}, {"source": "crm", "key": "k"}):
            assert await page(**conditions) == ([1], 0, False)
            assert await page(**conditions, scan_limit=5000) == ([], 4003 if "key" not in conditions else 4002, True)
            walked, before, pages = [], None, 0
            while True:
                found, edge, more = await page(**conditions, before=before, scan_limit=1000)
                walked, before, pages = walked + found, edge, pages + 1
                if not more:
                    break
            assert walked == [1] and pages >= 9
            assert (await page(**conditions, ascending=True))[0] == [1]
        assert await page(source="crm", ascending=True) == ([1, 9002], 9002, False)
        whole, edge, more = await page(limit=9001)
        assert (len(whole), edge, more) == (9001, 2, True)
        assert await page(limit=9002) == (list(range(9002, 0, -1)), 0, False)
        assert [row[0] for row in await store.log.scan(0, 9002, 9002)] == list(range(1, 9003))
        assert await store.log.scan(0, 9002, 100, [b]) == [(1, b), (9002, b)]

    with_store(opener, tmp_path, work)


def test_a_scan_of_400_audiences_merges_them_in_order(opener, tmp_path):
    async def work(store):
        numbers = [await audience(store, wanted=((n, n),)) for n in range(1, 401)]
        await store.log.append([event(number) for _ in range(5) for number in numbers])
        assert [row[0] for row in await store.log.scan(0, 2000, 2000, numbers)] == list(range(1, 2001))
        assert await store.log.scan(1000, 2000, 2, numbers[399:]) == [(1200, numbers[399]), (1600, numbers[399])]

    with_store(opener, tmp_path, work)


def test_5000_delivery_ids_are_forgotten_by_age_and_trimming_counts_exactly(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append(
            [event(number, dedupe_id=f"d{n:05}", received_at_us=n % 2, body_hash=b"h") for n in range(5000)]
        )
        await store.log.forget_dedupe(1)
        again = await store.log.append(
            [event(number, dedupe_id=f"d{n:05}", received_at_us=9, body_hash=b"h") for n in range(5000)]
        )
        assert [one.duplicate for one in again] == [n % 2 == 1 for n in range(5000)]
        assert [await store.log.trim(7000, 3000) for _ in range(3)] == [3000, 3000, 1000]
        assert await store.log.trimmed() == 7000

    with_store(opener, tmp_path, work)


# -- records and settings --------------------------------------------------------------------------------


def test_a_commit_of_2500_records_and_changes_is_whole_and_read_by_pages(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        rows = [
            RecordState("shop", "orders", f"{n:05}", b"h" * 16, None, 1, Origin.POLL, 1, 2, n, n % 10 == 0, b"{}")
            for n in range(2500)
        ]
        changes = [event(number, key=row.key) for row in rows]
        state = ResourceState("shop", "orders")
        done = await store.records.commit(RecordCommit("shop", "orders", rows, changes, state, store.leases.fence))
        assert [one.offset for one in done] == list(range(1, 2501))
        assert len(await store.records.known("shop", "orders", [row.key for row in rows])) == 2500

        async def walk(**query):
            found, after = [], None
            while page := await store.records.page("shop", "orders", after_key=after, limit=300, **query):
                found += [one.key for one in page]
                after = found[-1]
            return found

        assert await walk(deleted=True) == [row.key for row in rows]
        assert await walk() == [row.key for row in rows if not row.deleted]
        assert await walk(updated_since_us=2400, deleted=True) == [row.key for row in rows[2400:]]
        assert await store.records.count("shop", "orders") == 2250

    with_store(opener, tmp_path, work)


def test_the_states_of_600_resources_and_600_items_all_come_back(opener, tmp_path):
    async def work(store):
        for n in range(600):
            state = ResourceState("shop", f"r{n:03}", cursor=str(n))
            await store.records.commit(RecordCommit("shop", f"r{n:03}", [], [], state, store.leases.fence))
        assert [one.cursor for one in await store.records.states()] == [str(n) for n in range(600)]
        await store.settings.put_items([Item("destination", f"d{n}", 0, "api", b"sealed", n, 5, 5) for n in range(600)])
        assert [one.name for one in await store.settings.items()] == [f"d{n}" for n in range(600)]

    with_store(opener, tmp_path, work)


def test_the_newest_1000_rejections_stay_also_when_they_come_one_by_one(opener, tmp_path):
    async def work(store):
        await store.settings.rejections(put=[Rejection(n, "s", "too_old", "", "") for n in range(2500)])
        for n in range(2500, 2520):
            await store.settings.rejections(put=[Rejection(n, "s", "too_old", "", "")])
        found = await store.settings.rejections(limit=5000)
        assert [one.at_us for one in found] == list(range(2519, 1519, -1))
        assert len(await store.settings.rejections(limit=7)) == 7

    with_store(opener, tmp_path, work)
