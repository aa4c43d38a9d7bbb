"""What every store promises about records and what engines remember (store.Records)."""

from __future__ import annotations

import msgspec
import pytest

from support.stores import STORES, audience, event, with_store
from tidegate.core.errors import ChangedElsewhere, Fenced
from tidegate.core.model import HEALED, Origin, RecordState
from tidegate.store import EventQuery, RecordCommit, ResourceState

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())

HOSTILE = ["", "nul\0", "back\\slash", "\\0", "\ue000", "quote'\"", "ü", "\U0001f600", "z" * 600]


def record(key: str, number: int = 1, **more) -> RecordState:
    fields = {
        "version": "v1", "origin": Origin.POLL, "asked_at_us": 1, "answered_at_us": 2, "changed_at_us": 3,
        "deleted": False, "body": b'{"n":1}',
    } | more  # fmt: skip
    return RecordState("shop", "orders", key, b"h" * 16, number=number, **fields)


def commit(store, records=(), changes=(), **more) -> RecordCommit:
    state = more.pop("state", ResourceState("shop", "orders"))
    fence = more.pop("fence", store.leases.fence)
    return RecordCommit("shop", "orders", list(records), list(changes), state, fence)


def test_a_commit_writes_records_changes_and_state_and_survives_a_restart(opener, tmp_path):
    state = ResourceState(
        "shop", "orders", "cursor\0", '"etag"', "Wed", True, 7, 8, 9, 10, b'{"polls":1}', b'{"dirty":[]}'
    )

    async def write(store):
        number = await audience(store)
        published: list[int] = []
        store.log.subscribe(lambda events: published.extend(one.offset for one in events))
        done = await store.records.commit(
            commit(
                store, [record("a"), record("b", version=None)], [event(number, key="a"), event(number)], state=state
            )
        )
        assert [one.offset for one in done] == published == [1, 2]
        assert store.log.published_offset == 2
        assert (await store.deliveries.counters()).audiences[0][1] == 2

    async def read(store):
        assert await store.records.known("shop", "orders", ["a", "b", "c"]) == {
            "a": record("a"), "b": record("b", version=None),
        }  # fmt: skip
        assert await store.records.state("shop", "orders") == state
        assert await store.records.states() == [state]
        assert [one.key for one in (await store.log.page(EventQuery())).events] == [None, "a"]

    with_store(opener, tmp_path, write)
    with_store(opener, tmp_path, read)


def test_a_commit_that_fails_changes_nothing(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        kept = ResourceState("shop", "orders", "kept")
        await store.records.commit(commit(store, [record("a")], state=kept))
        bad = msgspec.structs.replace(event(number), body="not bytes")  # found by the driver, after the records
        moved = ResourceState("shop", "orders", "moved")
        with pytest.raises(Exception):  # noqa: B017 - whose error it is does not matter here
            await store.records.commit(commit(store, [record("a", 2), record("b")], [event(number), bad], state=moved))
        assert await store.records.known("shop", "orders", ["a", "b"]) == {"a": record("a")}
        assert (await store.records.state("shop", "orders")).cursor == "kept"
        assert (await store.log.page(EventQuery())).events == ()
        again = await store.records.commit(commit(store, [record("a", 2)], [event(number)], state=moved))
        assert len(again) == 1 and store.log.published_offset == again[0].offset
        assert (await store.deliveries.counters()).audiences[0][1] == 1

    with_store(opener, tmp_path, work)


def test_a_commit_of_an_older_fence_changes_nothing(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        kept = ResourceState("shop", "orders", "kept")
        await store.records.commit(commit(store, [record("a")], state=kept))
        old = commit(
            store, [record("a", 2)], [event(number)], state=ResourceState("shop", "orders", "old"),
            fence=store.leases.fence - 1,
        )  # fmt: skip
        with pytest.raises(Fenced):
            await store.records.commit(old)
        assert await store.records.known("shop", "orders", ["a"]) == {"a": record("a")}
        assert (await store.records.state("shop", "orders")).cursor == "kept"
        assert store.log.published_offset == 0 and (await store.log.page(EventQuery())).events == ()

    with_store(opener, tmp_path, work)


def test_pages_go_by_key_and_show_tombstones_when_asked(opener, tmp_path):
    async def work(store):
        rows = [record(key, changed_at_us=at) for at, key in enumerate(["b", "B", "a", "ä", "10", "9"])]
        rows[0] = msgspec.structs.replace(rows[0], deleted=True)
        await store.records.commit(commit(store, rows))

        async def keys(**query):
            return [one.key for one in await store.records.page("shop", "orders", **query)]

        assert await keys() == ["10", "9", "B", "a", "ä"]  # by code points, whatever the machine's language
        assert await keys(deleted=True) == ["10", "9", "B", "a", "b", "ä"]
        assert await keys(limit=2) == ["10", "9"]
        assert await keys(limit=2, after_key="9") == ["B", "a"]
        assert await keys(updated_since_us=3) == ["10", "9", "ä"]
        assert await keys(updated_since_us=3, after_key="10", limit=1) == ["9"]
        assert await store.records.count("shop", "orders") == 5
        assert await store.records.page("shop", "other") == [] and await store.records.count("crm", "orders") == 0

    with_store(opener, tmp_path, work)


def test_a_tombstone_keeps_its_body_and_its_count_of_changes(opener, tmp_path):
    async def work(store):
        await store.records.commit(commit(store, [record("a")]))
        gone = record("a", 2, deleted=True, origin=Origin.RECONCILE)
        await store.records.commit(commit(store, [gone]))
        assert await store.records.known("shop", "orders", ["a"]) == {"a": gone}
        assert await store.records.count("shop", "orders") == 0

    with_store(opener, tmp_path, work)


def test_any_key_comes_back_as_it_went_in(opener, tmp_path):
    async def work(store):
        await store.records.commit(commit(store, [record(key) for key in HOSTILE if key]))
        found = await store.records.known("shop", "orders", HOSTILE)
        assert sorted(found) == sorted(key for key in HOSTILE if key)
        walked, after = [], None
        while rows := await store.records.page("shop", "orders", after_key=after, limit=2):
            walked += [one.key for one in rows]
            after = walked[-1]
        assert sorted(walked) == sorted(found)

    with_store(opener, tmp_path, work)


def test_a_resource_that_never_ran_has_a_state_as_new(opener, tmp_path):
    async def work(store):
        assert await store.records.state("shop", "orders") == ResourceState("shop", "orders")
        assert await store.records.known("shop", "orders", []) == {}

    with_store(opener, tmp_path, work)


def test_a_change_has_one_body_and_a_second_commit_with_another_changes_nothing(opener, tmp_path):
    """As after a commit that was cut and took effect all the same: who wrote it does not know of it yet."""

    async def work(store):
        number = await audience(store)

        def change(text: bytes):
            return event(number, text, dedupe_id="\0orders/a/1", body_hash=text[:16])

        await store.records.commit(commit(store, [record("a")], [change(b"one")]))
        again = await store.records.commit(commit(store, [record("a")], [change(b"one")]))
        assert again[0].duplicate, "the same once more is not an error"
        state = ResourceState("shop", "orders", cursor="later")
        with pytest.raises(ChangedElsewhere):
            await store.records.commit(
                commit(store, [record("a", body=b'{"n":2}')], [event(number), change(b"two")], state=state)
            )
        assert await store.records.known("shop", "orders", ["a"]) == {"a": record("a")}
        assert (await store.records.state("shop", "orders")).cursor is None
        before = store.log.published_offset
        (done,) = await store.log.append([event(number)])
        assert done.offset > before and [one.offset for one in await store.log.read(range(1, 10))] == [1, done.offset]

    with_store(opener, tmp_path, work)


def test_a_state_alone_is_one_commit_and_an_older_fence_changes_nothing(opener, tmp_path):
    """As after a poll that found nothing."""

    async def work(store):
        state = ResourceState("shop", "orders", "cursor\0", first_done=True, polled_at_us=5, statistics=b'{"polls":1}')
        assert await store.records.commit(commit(store, state=state)) == []
        before = await store.facts()
        assert await store.records.commit(commit(store, state=state)) == []
        after = await store.facts()
        if opener is STORES["sqlite"]:  # its count includes the read-back of each `facts`, which is a write
            assert after.commits - before.commits == 2
        with pytest.raises(Fenced):
            await store.records.commit(
                commit(store, state=ResourceState("shop", "orders"), fence=store.leases.fence - 1)
            )
        assert await store.records.state("shop", "orders") == state

    with_store(opener, tmp_path, work)


def changed(number: int, key: str, kind: str, **more):
    values = {"type": f"orders.{kind}", "change": b'{"resource":"orders"}', "origin": Origin.POLL} | more
    return event(number, key.encode("utf-8", "surrogatepass"), key=key, **values)


def test_the_change_beside_an_offset_is_that_of_the_same_record_resource_and_source(opener, tmp_path):
    async def work(store):
        shop, crm = await audience(store), await audience(store, "crm")
        events = [
            changed(shop, "a", "created"),  # 1
            changed(shop, "a", "updated", received_at_us=7),
            event(shop, key="a", type="orders.updated"),  # 3: a webhook of that type
            changed(shop, "a", "updated", type="carts.updated"),
            changed(crm, "a", "updated", source="crm"),  # 5
            changed(shop, "a", "updated", origin=Origin.EDIT),
            changed(shop, "a", "deleted", origin=Origin.RECONCILE),  # 7
            changed(shop, "b", "created"),
        ]
        first = (await store.log.append(events))[0].offset - 1

        async def found(offset: int, *keys: str, later: bool, resource: str = "orders", source: str = "shop"):
            every = await store.records.changes_beside(source, resource, keys, first + offset, later=later)
            return {key: one.offset - first for key, one in every.items()}

        assert await found(2, "a", "b", "none", later=True) == {"a": 7, "b": 8}
        assert await found(6, "a", "b", "none", later=False) == {"a": 2}
        assert await found(0, "a", later=True) == {"a": 1} and await found(0, "a", later=False) == {}
        assert await found(7, "a", later=True) == {} and await found(7, "a", later=False) == {"a": 7}
        assert await found(0, "a", later=True, resource="carts") == {"a": 4}
        assert await found(0, "a", later=True, source="crm") == {"a": 5}
        assert await found(0, later=True) == {}
        (one,) = (await store.records.changes_beside("shop", "orders", ["a"], first + 4, later=False)).values()
        assert (one.key, one.kind, one.origin, one.received_at_us) == ("a", "updated", Origin.POLL, 7)
        assert (one.body, one.change) == (b"a", b'{"resource":"orders"}')

    with_store(opener, tmp_path, work)


def test_the_change_of_any_key_is_found_and_one_that_retention_removed_is_not(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        keys = [key for key in HOSTILE if key]
        done = await store.log.append([changed(number, key, "created") for key in keys])
        found = await store.records.changes_beside("shop", "orders", keys, 0, later=True)
        assert {key: one.body.decode() for key, one in found.items()} == {key: key for key in keys}
        await store.log.trim(done[2].offset, 100)
        kept = await store.records.changes_beside("shop", "orders", keys, done[-1].offset, later=False)
        assert sorted(kept) == sorted(keys[3:])
        assert sorted(await store.records.changes_beside("shop", "orders", keys, 0, later=True)) == sorted(keys[3:])

    with_store(opener, tmp_path, work)


def test_healed_events_are_selected_by_how_their_change_begins(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        healed, other = HEALED + b"{}}", b'{"resource":"x","before":{"healed":{}}}'
        events = [
            changed(number, "a", "created", change=healed), changed(number, "a", "updated", change=other),
            event(number, key="a"), changed(number, "b", "created", change=healed),
        ]  # fmt: skip
        first = (await store.log.append(events))[0].offset - 1

        async def found(**query):
            return [one.offset - first for one in (await store.log.page(EventQuery(**query))).events]

        assert await found(healed=True, ascending=True) == [1, 4] and await found(healed=True) == [4, 1]
        assert await found(healed=True, key="a") == [1] and await found(healed=False, key="a", ascending=True) == [2, 3]
        assert await found(healed=False) == [3, 2] and len(await found()) == 4

    with_store(opener, tmp_path, work)
