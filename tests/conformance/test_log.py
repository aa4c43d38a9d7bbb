"""What every store's log promises (store.Log)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from support.stores import STORES, audience, event, with_store
from tidegate.core.errors import Conflict
from tidegate.core.model import Origin
from tidegate.store import EventQuery

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())


def test_offsets_begin_at_one_and_follow_the_order_of_the_call(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        first = await store.log.append([event(number), event(number)])
        second = await store.log.append([event(number)])
        assert [one.offset for one in first + second] == [1, 2, 3]

    with_store(opener, tmp_path, work)


def test_every_field_comes_back_as_it_went_in_also_after_a_restart(opener, tmp_path):
    body = b"\x00\xff\xed\xa0\x80 any bytes"
    given = {
        "type": "a.b", "origin": Origin.FORM, "received_at_us": 7, "content_type": "text/x", "headers": b'[["a","b"]]',
        "key": "k", "occurred_at_us": 5, "data_path": "data", "change": b'{"resource":"r"}', "hops": 2,
    }  # fmt: skip

    async def write(store):
        number = await audience(store)
        await store.log.append([event(number, body, **given)])
        return (await store.log.read([1]))[0]

    async def read(store):
        return (await store.log.read([1]))[0]

    warm, cold = with_store(opener, tmp_path, write), with_store(opener, tmp_path, read)
    assert warm == cold
    assert cold.body == body
    assert {name: getattr(cold, name) for name in given} == given


def test_the_same_delivery_id_is_stored_once_and_answers_the_first_offset(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        same = {"dedupe_id": "d1", "body_hash": b"h"}
        answers = await asyncio.gather(*(store.log.append([event(number, **same)]) for _ in range(50)))
        assert {one.offset for (one,) in answers} == {1}
        assert sum(not one.duplicate for (one,) in answers) == 1
        other = await store.log.append([event(number, source="crm", **same)])
        assert not other[0].duplicate
        assert store.log.published_offset == 2

    with_store(opener, tmp_path, work)


def test_the_same_id_with_another_body_is_marked_for_the_operator(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, dedupe_id="d", body_hash=b"1")])
        answer = await store.log.append([event(number, dedupe_id="d", body_hash=b"2")])
        assert (answer[0].duplicate, answer[0].differs) == (True, True)
        page = await store.log.page(EventQuery())
        assert [one.differs for one in page.events] == [True]

    with_store(opener, tmp_path, work)


def test_a_strict_append_with_a_conflict_stores_nothing_at_all(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, dedupe_id="d", body_hash=b"1")])
        both = [event(number), event(number, dedupe_id="d", body_hash=b"2")]
        with pytest.raises(Conflict):
            await store.log.append(both, strict=True)
        assert (await store.log.append([event(number)]))[0].offset == 2
        assert (await store.deliveries.counters()).audiences[0][1] == 2

    with_store(opener, tmp_path, work)


def test_ids_within_one_call_are_deduped_too(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        answers = await store.log.append([event(number, dedupe_id="d"), event(number), event(number, dedupe_id="d")])
        assert [one.offset for one in answers] == [1, 2, 1]

    with_store(opener, tmp_path, work)


def test_listeners_get_each_event_once_in_order_and_before_the_answer(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        published: list[int] = []
        store.log.subscribe(lambda events: published.extend(one.offset for one in events))

        async def one():
            answer = await store.log.append([event(number)])
            assert answer[0].offset in published

        await asyncio.gather(*(one() for _ in range(200)))
        assert published == list(range(1, 201))

    with_store(opener, tmp_path, work)


def test_the_same_decision_gets_the_same_number_for_ever(opener, tmp_path):
    async def work(store):
        first = await store.log.audience("shop", (1, 2), ((1, 1),), (2,))
        other = await store.log.audience("shop", (1, 2), ((1, 2),), (2,))
        assert first.number != other.number
        return first

    one = with_store(opener, tmp_path, work)
    again = with_store(opener, tmp_path, work)
    assert one == again


def test_counters_count_events_by_audience_in_the_transaction_that_appends(opener, tmp_path):
    async def work(store):
        a, b = await audience(store), await audience(store, wanted=((2, 2),))
        await asyncio.gather(*(store.log.append([event(a), event(b), event(a)]) for _ in range(20)))
        counters = await store.deliveries.counters()
        assert {one.number: count for one, count in counters.audiences} == {a: 40, b: 20}
        assert counters.head == 60

    with_store(opener, tmp_path, work)


def test_a_scan_by_audiences_gives_only_theirs_ascending_and_bounded(opener, tmp_path):
    async def work(store):
        a, b, c = [await audience(store, wanted=((n, n),)) for n in (1, 2, 3)]
        await store.log.append([event(n) for n in (a, b, c, a, b, c, a)])
        assert await store.log.scan(1, 6, 10, [a, c]) == [(3, c), (4, a), (6, c)]
        assert await store.log.scan(0, 7, 2, [a]) == [(1, a), (4, a)]
        assert [offset for offset, _ in await store.log.scan(2, 5, 10)] == [3, 4, 5]

    with_store(opener, tmp_path, work)


def test_a_page_filters_and_says_where_it_ended(opener, tmp_path):
    async def work(store):
        a = await audience(store)
        b = await audience(store, source="crm")
        await store.log.append([
            event(a, b'{"n":1}', key="k1"), event(b, b'{"n":2}', source="crm", type="deal"),
            event(a, b'{"n":3}', key="k1", type="deal"), event(a, b'{"n":4}', received_at_us=9),
        ])  # fmt: skip

        async def offsets(**query):
            return [one.offset for one in (await store.log.page(EventQuery(**query))).events]

        assert await offsets() == [4, 3, 2, 1]
        assert await offsets(source="crm") == [2]
        assert await offsets(type="deal") == [3, 2]
        assert await offsets(key="k1") == [3, 1]
        assert await offsets(since_us=9) == [4]
        assert await offsets(text='"n":3') == [3]
        assert await offsets(ascending=True, after=2) == [3, 4]
        assert await offsets(before=3) == [2, 1]
        page = await store.log.page(EventQuery(limit=2))
        assert (page.edge, page.more) == (3, True)
        short = await store.log.page(EventQuery(type="none", scan_limit=2))
        assert (short.events, short.edge, short.more) == ((), 3, True)

    with_store(opener, tmp_path, work)


def test_trim_takes_events_and_attempts_and_never_gives_an_offset_twice(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, key="k") for _ in range(5)])
        assert await store.log.trim(5, 3) == 3
        for query in (EventQuery(), EventQuery(key="k")):
            down = (await store.log.page(query)).events
            up = (await store.log.page(msgspec.structs.replace(query, ascending=True))).events
            assert [one.offset for one in up] == [one.offset for one in reversed(down)] == [4, 5]
        assert [one.offset for one in await store.log.read([3, 4])] == [4]  # not from memory either
        assert store.log.cached(3) is None
        assert await store.log.trim(5, 3) == 2
        assert await store.log.trim(5, 3) == 0

    async def again(store):
        number = await audience(store)
        assert (await store.log.append([event(number)]))[0].offset == 6

    with_store(opener, tmp_path, work)
    with_store(opener, tmp_path, again)


def test_what_was_trimmed_is_known_and_a_gap_of_offsets_is_none(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        assert await store.log.trimmed() == 0
        await store.log.append([event(number) for _ in range(3)])
        assert await store.log.trimmed() == 0
        await store.log.trim(2, 100)
        assert await store.log.trimmed() == 2
        await store.log.trim(3, 100)
        assert await store.log.trimmed() == 3
        if opener is STORES["postgres"]:  # as at the change of day
            await store.engine.work.fetchval("SELECT setval('event_offset', 5000)")
            await store.log.append([event(number)])
            assert await store.log.trimmed() == 3

    with_store(opener, tmp_path, work)


def test_a_forgotten_delivery_id_is_new_again(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, dedupe_id=f"d{i}", received_at_us=i) for i in range(100)])
        await store.log.forget_dedupe(50)
        old = await store.log.append([event(number, dedupe_id="d10")])
        kept = await store.log.append([event(number, dedupe_id="d90")])
        assert (old[0].duplicate, kept[0].duplicate) == (False, True)

    with_store(opener, tmp_path, work)
