"""What every store promises about records and what engines remember (store.Records)."""

from __future__ import annotations

import msgspec
import pytest

from support.stores import STORES, audience, event, with_store
from tidegate.core.errors import ChangedElsewhere, Fenced
from tidegate.core.model import Origin, RecordState
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
