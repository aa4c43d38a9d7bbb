"""The log on PostgreSQL beyond what every store promises: visibility, nodes, and text that the server cannot hold."""

from __future__ import annotations

import asyncio
import time

import msgspec

from support.gateway.running import until
from support.postgres.log import columns, on_stores, partitions_of, raw
from support.postgres.server import server
from support.stores import audience, event
from tidegate.store import EventQuery
from tidegate.store.postgres.appends import PACE_SECONDS
from tidegate.store.postgres.batches import Call, make_batch
from tidegate.store.postgres.engine import sql
from tidegate.store.postgres.follower import NOTIFY_EVERY_SECONDS

END = 1 << 62


# -- visibility ------------------------------------------------------------------------------------------


async def two_transactions(store, text):
    """A draws an offset and inserts, B does and commits while a reader follows, A commits. What did the reader get?"""
    mine, theirs = await audience(store), await audience(store, wanted=((2, 2),))  # their counts lock two rows
    published = []
    store.log.subscribe(lambda events: published.extend(one.offset for one in events))
    a, b = await raw(store), await raw(store)
    transaction = a.transaction()
    await transaction.start()
    first = (await a.fetchrow(text, *columns(mine)))["first"]
    second = asyncio.create_task(b.fetchrow(text, *columns(theirs)))
    done, _ = await asyncio.wait([second], timeout=0.5)
    waited = not done
    if done:
        await until(lambda: second.result()["first"] in published)
    await transaction.commit()
    last = (await second)["first"]
    await until(lambda: last in published)
    await asyncio.sleep(0.6)  # two looks of the follower
    await a.close()
    await b.close()
    return waited, [first, last], published


def test_events_become_visible_in_the_order_of_their_offsets():
    waited, offsets, published = on_stores(lambda store: two_transactions(store, sql("log")["append"]))
    assert waited, "the second append must wait for the lock of the first"
    assert published == offsets == [1, 2]


def test_without_the_lock_a_reader_skips_an_event_for_ever():
    """The trap that the lock is for: the same statement with the lock taken out."""
    text = sql("log")["append"]
    assert text.count("pg_advisory_xact_lock(8420, 1)") == 1
    unguarded = text.replace("pg_advisory_xact_lock(8420, 1)", "1")
    waited, offsets, published = on_stores(lambda store: two_transactions(store, unguarded))
    assert not waited
    assert offsets == [1, 2]
    assert published == [2]


# -- nodes -----------------------------------------------------------------------------------------------


def test_two_nodes_see_each_others_events_in_one_order_without_a_hole():
    each = 300

    async def work(*stores):
        published = [[] for _ in stores]
        for seen, store in zip(published, stores, strict=True):
            store.log.subscribe(
                lambda events, seen=seen: seen.extend((one.offset, one.body, one.source) for one in events)
            )

        async def appending(store, name):
            number = await audience(store, source=name)
            for n in range(each // 10):
                calls = [store.log.append([event(number, f"{name}{n}.{i}".encode(), source=name)]) for i in range(10)]
                for (one,) in await asyncio.gather(*calls):
                    assert one.offset <= store.log.published_offset

        await asyncio.gather(*(appending(store, f"node{n}") for n, store in enumerate(stores)))
        await until(lambda: all(len(seen) >= each * len(stores) for seen in published))
        assert published[0] == published[1]
        offsets = [offset for offset, _, _ in published[0]]
        assert offsets == sorted(set(offsets))
        sent = {f"node{n}{turn}.{i}".encode() for n in range(2) for turn in range(each // 10) for i in range(10)}
        assert {body for _, body, _ in published[0]} == sent

    on_stores(work, 2)


def test_one_look_reads_what_lies_in_the_gaps_between_own_batches():
    """Cut by rows or by bytes it gives the first of them, whichever gap they lie in."""

    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, b"b" * 100) for _ in range(8)])
        text = sql("log")["follow"]

        async def look(rows, size):
            found = await store.engine.work.fetch(text, [0, 2, 5], [1, 4, END], rows, size, 0)
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
        store.log.peers(1)
        for _ in range(5):
            await store.log.append([event(number)])
        await other.execute("SELECT pg_notify('tidegate_log', '')")
        await until(lambda: heard)
        assert len(heard) == 1, "only our own"
        store.log.peers(3)
        began = time.monotonic()
        for _ in range(20):
            await store.log.append([event(number)])
        took = time.monotonic() - began
        assert took > 19 * PACE_SECONDS * 3
        await until(lambda: len(heard) > 1)
        assert len(heard) - 1 <= took / NOTIFY_EVERY_SECONDS + 2, "a notice serves many appends"
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
        assert (await stores[0].deliveries.counters()).audiences[0][1] == 30 * 4

    on_stores(work, 3)


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
            return await buffers(
                connection, sql("log")["append"], *make_batch([Call(future, events, False)])[0].columns("n")
            )

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
