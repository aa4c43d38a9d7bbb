"""The log on PostgreSQL over days: spans, partitions that retention drops whole, and readers that notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import asyncpg
import pytest

from support.gateway.running import until
from support.postgres.log import on_stores, partitions_of, url_of
from support.postgres.server import server
from support.stores import AllOffered, audience, event
from tidegate.core.errors import StoreBusy
from tidegate.core.model import Attempt, Lane, Outcome
from tidegate.store import EventQuery, Settlement
from tidegate.store.postgres.log_spans import first_of, span_of


async def kept(store):
    """Have the record writer come by now; when its own task is at it, once more after that."""
    while not await store.log.spans.run():  # noqa: ASYNC110 - False says that another is at it
        await asyncio.sleep(0.02)


async def another_day(store):
    """As if the span in use had been entered two days ago; then the record writer comes by."""
    await store.engine.work.execute(
        "UPDATE spans SET entered_at = entered_at - interval '2 days' WHERE entered_at IS NOT NULL"
    )
    await kept(store)


def test_at_the_change_of_day_the_log_goes_on_in_the_next_span_and_readers_do_not_notice():
    async def work(store):
        number = await audience(store)
        published = []
        store.log.subscribe(lambda events: published.extend(one.offset for one in events))
        await store.log.append([event(number, b"a"), event(number, b"b")])
        await another_day(store)
        (third,) = await store.log.append([event(number, b"c")])
        assert third.offset == first_of(1)
        assert published == [1, 2, first_of(1)]
        await kept(store)
        (fourth,) = await store.log.append([event(number, b"d")])
        assert fourth.offset == first_of(1) + 1, "one jump a day"
        page = await store.log.page(EventQuery(ascending=True))
        assert [one.body for one in page.events] == [b"a", b"b", b"c", b"d"]
        assert await store.log.scan(1, fourth.offset, 2) == [(2, number), (third.offset, number)]
        assert await store.log.offset_at(1, 2) == third.offset
        return fourth.offset

    async def again(store):
        assert store.log.published_offset == last
        (fifth,) = await store.log.append([event(await audience(store))])
        assert fifth.offset == last + 1

    url = server().new_database()
    last = on_stores(work, url=url)
    on_stores(again, url=url)


def test_retention_hides_events_at_once_and_drops_their_partitions_whole():
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number) for _ in range(4)])
        await another_day(store)
        await store.log.append([event(number) for _ in range(2)])
        day = first_of(1)
        assert await store.log.trim(3, 2) == 2
        assert await store.log.trim(3, 2) == 1
        assert [one.offset for one in (await store.log.page(EventQuery())).events] == [day + 1, day, 4]
        assert (await store.log.oldest())[0] == 4
        assert await store.log.scan(0, day + 9, 10) == [(4, number), (day, number), (day + 1, number)]
        await kept(store)
        assert {"events_0", "attempts_0", "events_1"} <= await partitions_of(store), "it still holds an event"
        assert await store.log.trim(day, 10) == 2
        await kept(store)
        left = await partitions_of(store)
        assert not {"events_0", "attempts_0"} & left
        assert {"events_1", "attempts_1"} <= left, "an event of it is kept"
        assert (await store.log.oldest())[0] == day + 1
        assert (await store.log.append([event(number)]))[0].offset == day + 2
        assert await store.log.trim(day + 2, 10) == 2

    async def cold(store):
        assert await store.log.read([1, 4, first_of(1)]) == []
        assert (await store.log.page(EventQuery())).events == ()
        assert await store.log.oldest() is None
        assert store.log.published_offset == first_of(1) + 2

    url = server().new_database()
    on_stores(work, url=url)
    on_stores(cold, url=url)


def test_what_one_node_trims_leaves_the_memory_of_the_others(monkeypatch):
    monkeypatch.setattr("tidegate.store.postgres.log.MAINTAIN_EVERY_SECONDS", 0.05)

    async def work(one, other):
        number = await audience(one)
        await one.log.append([event(number) for _ in range(4)])
        await until(lambda: other.log.cached(4) is not None)
        assert await one.log.trim(3, 10) == 3
        await until(lambda: other.log.cached(3) is None)
        assert [found.offset for found in await other.log.read([1, 2, 3, 4])] == [4]

    on_stores(work, 2)


def test_a_reader_that_is_busy_delays_the_drop_and_never_an_append():
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number)])
        await another_day(store)
        (last,) = await store.log.append([event(number)])
        reader = await asyncpg.connect(url_of(store))
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetchval("SELECT count(*) FROM tidegate.events")
        await store.log.trim(first_of(1) - 1, 10)
        keeping = asyncio.create_task(store.log.spans.run())
        slowest = 0.0
        while not keeping.done():
            began = time.monotonic()
            (last,) = await store.log.append([event(number)])
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)
        await keeping
        assert slowest < 0.9
        assert "events_0" in await partitions_of(store)
        await transaction.rollback()
        await reader.close()
        await kept(store)
        assert {name for name in await partitions_of(store) if name.endswith("_0")} == set()
        assert (await store.log.append([event(number)]))[0].offset == last.offset + 1

    on_stores(work)


def test_a_log_whose_next_partition_is_missing_answers_503_and_makes_it():
    async def work(store):
        number = await audience(store)
        await store.engine.work.fetchval("SELECT setval('event_offset', $1, false)", first_of(7))
        with pytest.raises(StoreBusy):
            await store.log.append([event(number)])
        for _ in range(200):
            with contextlib.suppress(StoreBusy):
                (one,) = await store.log.append([event(number)])
                break
            await asyncio.sleep(0.02)
        assert span_of(one.offset) == 7

    on_stores(work)


def with_leases(work):
    async def and_stop(store):
        await store.leases.start(AllOffered(store))
        try:
            await work(store)
        finally:
            await store.leases.stop()

    on_stores(and_stop)


async def bytes_of(store, name):
    return await store.engine.work.fetchval("SELECT pg_total_relation_size(to_regclass($1))", name)


async def owed_in_an_old_span(store):
    """One pending event of a paused destination, 2 MB of settled ones after it, and then the change of day."""
    wanted, nobody = await audience(store), await audience(store, wanted=())
    await store.log.append([event(wanted, b"paid")])
    for seed in range(20):
        await store.log.append([event(nobody, random.Random(seed).randbytes(100_000))])
    await another_day(store)
    (last,) = await store.log.append([event(nobody)])
    await store.deliveries.settle(Settlement(last.offset, [Lane(1, 0, fence=1)]))
    return wanted, nobody


def test_one_owed_event_does_not_keep_the_tables_of_its_day(monkeypatch):
    monkeypatch.setattr("tidegate.store.postgres.span_space.MIN_FREED_BYTES", 100_000)

    async def work(store):
        wanted, _ = await owed_in_an_old_span(store)
        before = await bytes_of(store, "tidegate.events_0")
        assert before > 2_000_000
        await store.deliveries.settle(Settlement(0, [], [Attempt(1, 1, 1, Outcome.HTTP_ERROR, 10, 20)]))
        thinned = await store.log.thin(0, 100, 1 << 30)
        assert thinned.events == 21
        await kept(store)
        assert await bytes_of(store, "tidegate.events_0") < 200_000
        assert [one.body for one in await store.log.read([1])] == [b"paid"]
        assert len((await store.deliveries.attempts([(1, 1)]))[(1, 1)]) == 1
        assert await store.log.scan(0, first_of(2), 10, [wanted]) == [(1, wanted)]
        # The new tables are used as the old ones were.
        await store.deliveries.settle(Settlement(0, [], [Attempt(1, 1, 2, Outcome.OK, 10, 20)]))
        assert len((await store.deliveries.attempts([(1, 1)]))[(1, 1)]) == 2
        assert not [name for name in await partitions_of(store) if name.endswith("kept")]
        await kept(store)
        await store.log.trim(1, 10)
        await kept(store)
        assert "events_0" not in await partitions_of(store)

    with_leases(work)


def test_a_span_that_is_empty_is_dropped_also_behind_one_that_is_needed():
    async def work(store):
        await owed_in_an_old_span(store)
        await another_day(store)
        (last,) = await store.log.append([event(await audience(store, wanted=()))])
        assert span_of(last.offset) == 2
        await store.deliveries.settle(Settlement(last.offset, []))
        while (await store.log.thin(0, 100, 1 << 30)).events:
            pass
        await kept(store)
        left = await partitions_of(store)
        assert "events_0" in left and "events_1" not in left and "attempts_1" not in left
        assert [one.offset for one in await store.log.read([1])] == [1]

    with_leases(work)


def test_a_span_that_is_read_and_written_is_rewritten_later_and_loses_nothing(monkeypatch):
    monkeypatch.setattr("tidegate.store.postgres.span_space.MIN_FREED_BYTES", 100_000)

    async def work(store):
        _, nobody = await owed_in_an_old_span(store)
        await store.log.thin(0, 100, 1 << 30)
        reader = await asyncpg.connect(url_of(store))
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetchval("SELECT count(*) FROM tidegate.events")
        keeping = asyncio.create_task(store.log.spans.run())
        slowest = 0.0
        while not keeping.done():
            began = time.monotonic()
            await store.log.append([event(nobody)])
            slowest = max(slowest, time.monotonic() - began)
        await keeping
        assert slowest < 0.9
        assert await bytes_of(store, "tidegate.events_0") > 2_000_000, "it is being read"
        assert "events_0_kept" not in {row[0] for row in await store.engine.work.fetch("SELECT relname FROM pg_class")}
        await transaction.rollback()
        await reader.close()
        # What is written between the copy and the exchange is in the new tables too.
        copy = store.log.spans._space._copy

        async def and_then_a_write(connection, table, *rest):
            await copy(connection, table, *rest)
            if table == "attempts":
                attempt = Attempt(1, 1, 1, Outcome.HTTP_ERROR, 10, 20)
                await store.deliveries.settle(Settlement(0, [], [attempt]))
                await store.engine.work.execute("UPDATE tidegate.events SET differs = true")

        monkeypatch.setattr(store.log.spans._space, "_copy", and_then_a_write)
        await kept(store)
        assert await bytes_of(store, "tidegate.events_0") < 200_000
        (paid,) = await store.engine.work.fetch('SELECT differs FROM tidegate.events WHERE "offset" = 1')
        assert paid["differs"]
        assert len((await store.deliveries.attempts([(1, 1)]))[(1, 1)]) == 1

    with_leases(work)


def test_a_span_that_is_full_in_spite_of_what_was_deleted_is_left_alone(monkeypatch):
    monkeypatch.setattr("tidegate.store.postgres.span_space.MIN_FREED_BYTES", 100_000)

    async def work(store):
        await owed_in_an_old_span(store)
        noted = "INSERT INTO settings (name, value) VALUES ('value:freed_in_spans', '{\"0\": 90000000, \"7\": 5}')"
        await store.engine.work.execute(noted)
        before = await store.engine.work.fetchval("SELECT to_regclass('tidegate.events_0')::oid")
        await kept(store)
        assert await store.engine.work.fetchval("SELECT to_regclass('tidegate.events_0')::oid") == before
        left = await store.engine.work.fetchval("SELECT value FROM settings WHERE name = 'value:freed_in_spans'")
        assert left == b'{"7":5}', "it is not looked at again"

    with_leases(work)
