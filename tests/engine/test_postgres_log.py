"""The log on PostgreSQL beyond what every store promises: visibility, cut connections, restarts, nodes, partitions."""

from __future__ import annotations

import asyncio
import contextlib
import time

import asyncpg
import msgspec
import pytest

from support.postgres import server
from support.stores import audience, event
from support.wire import Wire
from tidegate.errors import StoreBusy
from tidegate.store import EventQuery
from tidegate.store.postgres import open_postgres
from tidegate.store.postgres.batches import Call, gather
from tidegate.store.postgres.engine import SESSION_SETTINGS, sql
from tidegate.store.postgres.follower import NOTICE_EVERY_SECONDS
from tidegate.store.postgres.log import PACE_SECONDS
from tidegate.store.postgres.partitions import first_of, span_of

END = 1 << 62
LOCK = "SELECT pg_advisory_xact_lock(8420, 1)"


def on_stores(work, count=1, url=None):
    """Run `work(*stores)` with so many nodes on one fresh database."""
    url = url or server().new_database()

    async def main():
        stores = [await open_postgres(url) for _ in range(count)]
        try:
            return await work(*stores)
        finally:
            for store in stores:
                await store.close()

    return asyncio.run(main())


def url_of(store):
    return store.engine._url


async def raw(store):
    return await asyncpg.connect(url_of(store), server_settings=SESSION_SETTINGS)


def columns(number, count=1):
    future = asyncio.get_running_loop().create_future()
    return gather([Call(future, [event(number) for _ in range(count)], False)])[0].columns()


async def eventually(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to be"
        await asyncio.sleep(0.01)


# -- visibility ------------------------------------------------------------------------------------------


async def two_transactions(store, text):
    """A draws an offset and inserts, B does and commits while a reader follows, A commits. What was the reader told?"""
    mine, theirs = await audience(store), await audience(store, wanted=((2, 2),))  # their counts lock two rows
    told = []
    store.log.listen(lambda events: told.extend(one.offset for one in events))
    a, b = await raw(store), await raw(store)
    transaction = a.transaction()
    await transaction.start()
    first = (await a.fetchrow(text, *columns(mine)))["first"]
    second = asyncio.create_task(b.fetchrow(text, *columns(theirs)))
    done, _ = await asyncio.wait([second], timeout=0.5)
    waited = not done
    if done:
        await eventually(lambda: second.result()["first"] in told)
    await transaction.commit()
    last = (await second)["first"]
    await eventually(lambda: last in told)
    await asyncio.sleep(0.6)  # two looks of the follower
    await a.close()
    await b.close()
    return waited, [first, last], told


def test_events_become_visible_in_the_order_of_their_offsets():
    waited, offsets, told = on_stores(lambda store: two_transactions(store, sql("log")["append"]))
    assert waited, "the second append must wait for the lock of the first"
    assert told == offsets == [1, 2]


def test_without_the_lock_a_reader_skips_an_event_for_ever():
    """The trap that the lock is for: the same statement with the lock taken out."""
    text = sql("log")["append"]
    assert text.count("pg_advisory_xact_lock(8420, 1)") == 1
    unguarded = text.replace("pg_advisory_xact_lock(8420, 1)", "1")
    waited, offsets, told = on_stores(lambda store: two_transactions(store, unguarded))
    assert not waited
    assert offsets == [1, 2]
    assert told == [2]


# -- failures --------------------------------------------------------------------------------------------


class CutsAnswers:
    """A wire to the server that passes what is sent, and cuts a connection at the answer to anything with `mark`."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.cuts = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, direct):
        return direct.replace(str(server().port), str(self._server.sockets[0].getsockname()[1]))

    async def _accept(self, reader, writer):
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", server().port)
        doomed = asyncio.Event()
        for source, sink, outward in ((reader, onward_writer, True), (onward_reader, writer, False)):
            task = asyncio.create_task(self._forward(source, sink, doomed, outward, (writer, onward_writer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source, sink, doomed, outward, both):
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if outward and self.mark in data:
                    doomed.set()
                if not outward and doomed.is_set():
                    self.cuts += 1
                    break
                sink.write(data)
                await sink.drain()
        for one in both:
            one.transport.abort()


def test_a_connection_lost_after_the_commit_was_sent_answers_503_and_the_resend_finds_the_first_copy():
    direct = server().new_database()

    async def work(_):
        async with CutsAnswers(b"cut the answer to this") as wire:
            store = await open_postgres(wire.url(direct))
            number = await audience(store)
            told = []
            store.log.listen(lambda events: told.extend(one.offset for one in events))
            await store.log.append([event(number)])
            given = event(number, b"cut the answer to this", dedupe_id="d", body_hash=b"h")
            with pytest.raises(StoreBusy):
                await store.log.append([given])
            assert wire.cuts == 1
            wire.mark = b"nothing any more"
            await eventually(lambda: not store.log.stuck)
            (again,) = await store.log.append([given])
            assert (again.offset, again.duplicate, again.differs) == (2, True, False)
            await eventually(lambda: told == [1, 2])
            assert (await store.deliveries.books()).audiences[0][1] == 2
            await store.close()

    on_stores(work, url=direct)


@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
def test_a_server_restart_answers_503_at_once_and_is_over_when_the_server_accepts(how):
    postgres = server()

    async def work(store):
        number = await audience(store)
        told = []
        store.log.listen(lambda events: told.extend(one.offset for one in events))
        before = await store.log.append([event(number, dedupe_id="before", body_hash=b"h")])
        await asyncio.to_thread(postgres.kill if how == "kill" else lambda: postgres.stop(how))
        asked = time.monotonic()
        await eventually(lambda: store.log.stuck, 3)
        while time.monotonic() - asked < 1:
            began = time.monotonic()
            with pytest.raises(StoreBusy):
                await store.log.append([event(number)])
            assert time.monotonic() - began < 1.5
            assert store.log.stuck
            await asyncio.sleep(0.1)
        postgres.start(wait=False)
        while not await asyncio.to_thread(postgres.accepts):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        accepted = time.monotonic()
        await eventually(lambda: not store.log.stuck)
        after = await store.log.append([event(number)])
        back = time.monotonic() - accepted
        assert back < 3, f"{back:.2f} s"  # 0.2 s on an idle machine
        assert after[0].offset > before[0].offset
        (again,) = await store.log.append([event(number, dedupe_id="before", body_hash=b"h")])
        assert (again.offset, again.duplicate) == (before[0].offset, True)
        assert told == [before[0].offset, after[0].offset]

    try:
        on_stores(work)
    finally:
        if not postgres.running:
            postgres.start()


def test_a_lock_that_is_held_answers_503_within_a_second_and_nothing_hangs():
    async def work(store):
        number = await audience(store)
        other = await asyncpg.connect(url_of(store))
        transaction = other.transaction()
        await transaction.start()
        await other.fetchval(LOCK)
        began = time.monotonic()
        appends = [store.log.append([event(number, dedupe_id=f"d{n}")]) for n in range(5)]
        await eventually(lambda: store.log.stuck, 3)
        answers = await asyncio.gather(*appends, return_exceptions=True)
        assert all(isinstance(one, StoreBusy) for one in answers)
        assert time.monotonic() - began < 3  # 1.0 s on an idle machine
        assert store.log.waiting == 0
        await transaction.rollback()
        await other.close()
        await eventually(lambda: not store.log.stuck)
        again = await asyncio.gather(*(store.log.append([event(number, dedupe_id=f"d{n}")]) for n in range(5)))
        assert len({one.offset for (one,) in again}) == 5
        assert (await store.deliveries.books()).audiences[0][1] == 5

    on_stores(work)


def test_a_network_that_falls_silent_answers_503_within_a_second_and_recovers_with_it():
    direct = server().new_database()

    async def work(_):
        wire = await Wire(server().port).start()
        store = await open_postgres(direct.replace(str(server().port), str(wire.port)))
        number = await audience(store)
        told = []
        store.log.listen(lambda events: told.extend(one.offset for one in events))
        wire.go_silent()
        began = time.monotonic()
        with pytest.raises(StoreBusy):
            await store.log.append([event(number, dedupe_id="d", body_hash=b"h")])
        assert time.monotonic() - began < 3  # 1.0 s on an idle machine
        assert store.log.stuck
        wire.recover()
        await eventually(lambda: not store.log.stuck)
        (one,) = await store.log.append([event(number, dedupe_id="d", body_hash=b"h")])
        assert one.offset in told
        assert (await store.deliveries.books()).audiences[0][1] == 1
        await store.close()
        await wire.stop()

    on_stores(work, url=direct)


def test_an_event_that_cannot_be_stored_fails_alone():
    async def work(store):
        number = await audience(store)
        appends = [
            store.log.append([event(number)]),
            store.log.append([event(number, occurred_at_us=1 << 70)]),
            store.log.append([event(number)]),
        ]
        first, bad, last = await asyncio.gather(*appends, return_exceptions=True)
        assert isinstance(bad, Exception)
        assert first[0].offset < last[0].offset

    on_stores(work)


# -- nodes -----------------------------------------------------------------------------------------------


def test_two_nodes_see_each_others_events_in_one_order_without_a_hole():
    each = 300

    async def work(*stores):
        told = [[] for _ in stores]
        for seen, store in zip(told, stores, strict=True):
            store.log.listen(
                lambda events, seen=seen: seen.extend((one.offset, one.body, one.source) for one in events)
            )

        async def appending(store, name):
            number = await audience(store, source=name)
            for n in range(each // 10):
                calls = [store.log.append([event(number, f"{name}{n}.{i}".encode(), source=name)]) for i in range(10)]
                for (one,) in await asyncio.gather(*calls):
                    assert one.offset <= store.log.told

        await asyncio.gather(*(appending(store, f"node{n}") for n, store in enumerate(stores)))
        await eventually(lambda: all(len(seen) >= each * len(stores) for seen in told))
        assert told[0] == told[1]
        offsets = [offset for offset, _, _ in told[0]]
        assert offsets == sorted(set(offsets))
        sent = {f"node{n}{turn}.{i}".encode() for n in range(2) for turn in range(each // 10) for i in range(10)}
        assert {body for _, body, _ in told[0]} == sent

    on_stores(work, 2)


def test_one_look_reads_what_lies_in_the_gaps_between_own_batches():
    """Cut by rows or by bytes it gives the first of them, whichever gap they lie in."""

    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, b"b" * 100) for _ in range(8)])
        text = sql("log")["follow"]

        async def look(rows, size):
            found = await store.engine.fetch(text, [0, 2, 5], [1, 4, END], rows, size, 0)
            return [row["offset"] for row in found]

        assert await look(500, 1 << 20) == [1, 3, 4, 6, 7, 8]
        assert await look(2, 1 << 20) == [1, 3]
        assert await look(500, 250) == [1, 3, 4]
        assert await look(500, 1) == [1], "at least one, however large"

    on_stores(work)


def test_nodes_that_share_a_server_collect_longer_and_one_alone_sends_no_notices():
    async def work(store):
        number = await audience(store)
        other = await raw(store)
        heard = []
        await other.add_listener("tidegate_log", lambda *_: heard.append(1))
        store.log.company(1)
        for _ in range(5):
            await store.log.append([event(number)])
        await other.execute("SELECT pg_notify('tidegate_log', '')")
        await eventually(lambda: heard)
        assert len(heard) == 1, "only our own"
        store.log.company(3)
        began = time.monotonic()
        for _ in range(20):
            await store.log.append([event(number)])
        took = time.monotonic() - began
        assert took > 19 * PACE_SECONDS * 3
        await eventually(lambda: len(heard) > 1)
        assert len(heard) - 1 <= took / NOTICE_EVERY_SECONDS + 2, "a notice serves many appends"
        await other.close()

    on_stores(work)


def test_an_id_that_comes_to_several_nodes_at_once_is_stored_once():
    async def work(*stores):
        numbers = [await audience(store) for store in stores]
        for turn in range(30):
            answers = await asyncio.gather(*(
                store.log.append([event(number, dedupe_id=f"d{turn}"), event(number)])
                for store, number in zip(stores, numbers, strict=True)
            ))  # fmt: skip
            assert len({both[0].offset for both in answers}) == 1
            assert sum(not both[0].duplicate for both in answers) == 1
        assert (await stores[0].deliveries.books()).audiences[0][1] == 30 * 4

    on_stores(work, 3)


# -- partitions and retention ----------------------------------------------------------------------------


async def kept(store):
    """Have the keeper come by now; when its own task is at it, once more after that."""
    while not await store.log.partitions.run():  # noqa: ASYNC110 - False says that another is at it
        await asyncio.sleep(0.02)


async def another_day(store):
    """As if the span in use had been entered two days ago; then the keeper comes by."""
    await store.engine.execute(
        "UPDATE spans SET entered_at = entered_at - interval '2 days' WHERE entered_at IS NOT NULL"
    )
    await kept(store)


def test_at_the_change_of_day_the_log_goes_on_in_the_next_span_and_readers_do_not_notice():
    async def work(store):
        number = await audience(store)
        told = []
        store.log.listen(lambda events: told.extend(one.offset for one in events))
        await store.log.append([event(number, b"a"), event(number, b"b")])
        await another_day(store)
        (third,) = await store.log.append([event(number, b"c")])
        assert third.offset == first_of(1)
        assert told == [1, 2, first_of(1)]
        await kept(store)
        (fourth,) = await store.log.append([event(number, b"d")])
        assert fourth.offset == first_of(1) + 1, "one jump a day"
        page = await store.log.page(EventQuery(ascending=True))
        assert [one.body for one in page.events] == [b"a", b"b", b"c", b"d"]
        assert await store.log.scan(1, fourth.offset, 2) == [(2, number), (third.offset, number)]
        assert await store.log.offset_at(1, 2) == third.offset
        return fourth.offset

    async def again(store):
        assert store.log.told == last
        (fifth,) = await store.log.append([event(await audience(store))])
        assert fifth.offset == last + 1

    url = server().new_database()
    last = on_stores(work, url=url)
    on_stores(again, url=url)


async def partitions_of(store):
    rows = await store.engine.fetch(
        "SELECT c.relname FROM pg_class AS c WHERE c.relkind = 'r' AND c.relname ~ '^(events|attempts)_[0-9]+$'"
    )
    return {row[0] for row in rows}


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
        assert store.log.told == first_of(1) + 2

    url = server().new_database()
    on_stores(work, url=url)
    on_stores(cold, url=url)


def test_what_one_node_trims_leaves_the_memory_of_the_others(monkeypatch):
    monkeypatch.setattr("tidegate.store.postgres.log.KEEP_EVERY_SECONDS", 0.05)

    async def work(one, other):
        number = await audience(one)
        await one.log.append([event(number) for _ in range(4)])
        await eventually(lambda: other.log.cached(4) is not None)
        assert await one.log.trim(3, 10) == 3
        await eventually(lambda: other.log.cached(3) is None)
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
        keeping = asyncio.create_task(store.log.partitions.run())
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
        await store.engine.fetchval("SELECT setval('event_offset', $1, false)", first_of(7))
        with pytest.raises(StoreBusy):
            await store.log.append([event(number)])
        for _ in range(200):
            with contextlib.suppress(StoreBusy):
                (one,) = await store.log.append([event(number)])
                break
            await asyncio.sleep(0.02)
        assert span_of(one.offset) == 7

    on_stores(work)


# -- what a statement touches ------------------------------------------------------------------------------

FILL = """
WITH drawn AS MATERIALIZED (SELECT nextval('event_offset') AS number FROM generate_series(1, $2::int)),
     ids AS (INSERT INTO dedupe SELECT convert_to('shop ' || number, 'utf8'), number, '', 1 FROM drawn)
INSERT INTO events ("offset", audience, type, key, origin, received_at, hops, data_path, content_type, headers,
                    change, body)
SELECT number, $1, 't', 'k' || number % 50, 0, number, 0, '', '', '', '', '\\x61' FROM drawn
"""


async def buffers(connection, text, *values):
    """Pages that a statement touches, hit or read, those of its parts that write too."""
    (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", *values)
    top = msgspec.json.decode(row[0])[0]["Plan"]
    parts = {one.get("Subplan Name"): one for one in top["Plans"]}
    counted = [parts[f"CTE {name}"] for name in ("fresh", "ids", "counted", "kept")] if "CTE fresh" in parts else [top]
    return sum(one["Shared Hit Blocks"] + one["Shared Read Blocks"] for one in counted)


def test_statements_touch_as_many_pages_whatever_the_length_of_the_history():
    async def work(store):
        number, rare = await audience(store), await audience(store, wanted=((2, 2),))
        connection = await raw(store)

        async def append():
            future = asyncio.get_running_loop().create_future()
            events = [event(number, b"b" * 1000, key="k", dedupe_id=f"{time.time_ns()} {n}") for n in range(50)]
            return await buffers(connection, sql("log")["append"], *gather([Call(future, events, False)])[0].columns())

        async def look():
            return {
                "a selective lane": await buffers(connection, sql("log")["scan_audiences"], 0, END, 10, [rare]),
                "a key, newest first": await buffers(connection, sql("log")["slice_key_down"], END, 10, "k5"),
                "a key, oldest first": await buffers(connection, sql("log")["slice_key_up"], 0, 10, "k5"),
                "the newest": await buffers(connection, sql("log")["slice_down"], END, 10),
                "the head": await buffers(connection, sql("log")["head"]),
                "the oldest": await buffers(connection, sql("log")["oldest"]),
            }

        await connection.execute(FILL, number, 5_000)
        await append()
        short = min([await append() for _ in range(3)])
        await connection.execute(FILL, number, 100_000, timeout=60)
        await connection.execute("ANALYZE events")
        long = min([await append() for _ in range(3)])
        # One level more of the b-tree of ids: a page for each look and each insert.
        assert long <= short + 2 * 50 + 10, (short, long)
        touched = await look()
        assert max(touched.values()) < 50, touched
        await connection.close()

    on_stores(work)


def test_an_append_locks_the_one_partition_it_writes_to():
    async def work(store):
        number = await audience(store)
        assert {"events_0", "events_1"} <= await partitions_of(store)
        connection = await raw(store)
        async with connection.transaction():
            await connection.fetchrow(sql("log")["append"], *columns(number))
            rows = await connection.fetch(
                "SELECT l.relation::regclass::text FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation "
                "WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname LIKE 'events_%'"
            )
        assert [row[0] for row in rows] == ["events_0"]
        await connection.close()

    on_stores(work)


# -- what PostgreSQL cannot hold ---------------------------------------------------------------------------


def test_text_with_nul_and_lone_surrogates_comes_back_and_is_found():
    async def work(store):
        odd = "a\0b\ud800c\x1ad"
        number = await audience(store)
        given = {"type": odd, "key": odd, "content_type": odd, "data_path": odd, "dedupe_id": odd}
        await store.log.append([event(number, b"\x00\xff", **given), event(number)])
        (again,) = await store.log.append([event(number, **given)])
        assert again.duplicate
        return odd

    async def cold(store):
        (one,) = await store.log.read([1])
        assert (one.type, one.key, one.content_type, one.data_path) == (odd,) * 4
        for query in (EventQuery(key=odd), EventQuery(type=odd), EventQuery(key=odd, ascending=True)):
            assert [found.offset for found in (await store.log.page(query)).events] == [1]

    url = server().new_database()
    odd = on_stores(work, url=url)
    on_stores(cold, url=url)


def test_keys_and_delivery_ids_may_be_of_any_length():
    async def work(store):
        number = await audience(store)
        long = "".join(chr(0x1F300 + n % 500) for n in range(5000))  # larger than an index entry can be
        await store.log.append([event(number, key=long, dedupe_id=long), event(number, key=long + "x")])
        (again,) = await store.log.append([event(number, key=long, dedupe_id=long)])
        (other,) = await store.log.append([event(number, dedupe_id=long + "x")])
        assert (again.duplicate, other.duplicate) == (True, False)
        assert [one.offset for one in (await store.log.page(EventQuery(key=long))).events] == [1]

    on_stores(work)
