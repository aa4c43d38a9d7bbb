"""What every store promises about configuration, keys, feeds and rejections (store.Settings)."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest

from support.faults.paused_call import PausedCall
from support.stores import STORES, with_store
from tidegate.core.errors import ChangedElsewhere, StoreBroken
from tidegate.store import ApiKey, Feed, FeedAck, Item, Rejection
from tidegate.vault import Vault, check_vault

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())


def item(name: str, number: int = 0, **more) -> Item:
    return Item("destination", name, number, "api", b"sealed", more.pop("place", 1), 5, 5, **more)


def test_a_name_that_comes_back_after_a_delete_gets_a_new_number(opener, tmp_path):
    async def work(store):
        await store.settings.put_items([item("crm")])
        (first,) = await store.settings.items()
        gone = msgspec.structs.replace(first, deleted_at_us=9)
        await store.settings.put_items([item("crm"), gone])
        old, new = sorted(await store.settings.items(), key=lambda one: one.number)
        assert old.deleted_at_us == 9 and new.deleted_at_us is None and new.number > old.number

    with_store(opener, tmp_path, work)


def test_an_item_is_replaced_by_its_number(opener, tmp_path):
    async def work(store):
        await store.settings.put_items([item("crm")])
        (one,) = await store.settings.items()
        await store.settings.put_items([msgspec.structs.replace(one, body=b"new", paused_at_us=7, pause_reason="gone")])
        (again,) = await store.settings.items()
        assert (again.body, again.paused_at_us, again.pause_reason) == (b"new", 7, "gone")

    with_store(opener, tmp_path, work)


def test_what_was_changed_meanwhile_is_not_replaced_and_a_name_is_not_made_twice(opener, tmp_path):
    async def work(store):
        await store.settings.put_items([item("crm"), item("shop")])
        crm, shop = await store.settings.items()
        await store.settings.put_items([msgspec.structs.replace(crm, body=b"newer")], read={crm.number: crm.body})
        stale = [msgspec.structs.replace(one, body=b"older", paused_at_us=7) for one in (crm, shop)]
        with pytest.raises(ChangedElsewhere):
            await store.settings.put_items(stale, read={one.number: one.body for one in (crm, shop)})
        with pytest.raises(ChangedElsewhere):
            await store.settings.put_items([item("more"), item("crm")])
        found = await store.settings.items()
        assert [(one.name, one.body, one.paused_at_us) for one in found] == [
            ("crm", b"newer", None),
            ("shop", b"sealed", None),
        ]

    with_store(opener, tmp_path, work)


def test_the_same_content_of_a_route_keeps_its_revision(opener, tmp_path):
    async def work(store):
        first = await store.settings.route_revision("r", b"one", b"d1")
        assert await store.settings.route_revision("r", b"sealed again", b"d1") == first
        other = await store.settings.route_revision("r", b"two", b"d2")
        assert other != first
        assert (await store.settings.route_revisions())[first] == ("r", b"one")

    with_store(opener, tmp_path, work)


def test_keys_are_kept_and_deleted(opener, tmp_path):
    async def work(store):
        key = ApiKey("key_1", "ci", b"h" * 32, ("read", "pull"), ("shop",), 5, None)
        await store.settings.put_key(key)
        assert await store.settings.keys() == [key]
        await store.settings.put_key(None, delete="key_1")
        assert await store.settings.keys() == []

    with_store(opener, tmp_path, work)


def test_a_feed_begins_with_its_first_ack_and_never_goes_back(opener, tmp_path):
    async def work(store):
        assert await store.settings.feed("f") is None
        assert (await store.settings.feed("f", ack=FeedAck(7, 1))).committed_offset == 7
        assert await store.settings.feed("f", ack=FeedAck(3, 2)) == Feed("f", 7, 2)

    with_store(opener, tmp_path, work)


def test_a_feed_keeps_its_sources_and_its_owner_and_moves_only_for_the_same_sources(opener, tmp_path):
    async def work(store):
        made = await store.settings.feed("f", ack=FeedAck(7, 1, ("crm", "shop"), "key_1"))
        assert made == Feed("f", 7, 1, ("crm", "shop"), "key_1")
        for sources in ((), ("crm",), ("crm", "shop", "web")):
            assert await store.settings.feed("f", ack=FeedAck(9, 2, sources, "key_2")) == made
        moved = await store.settings.feed("f", ack=FeedAck(9, 3, ("crm", "shop"), "key_2"))
        assert moved == Feed("f", 9, 3, ("crm", "shop"), "key_1")

    with_store(opener, tmp_path, work)


def test_the_feeds_of_an_owner_are_limited_and_existing_ones_still_move(opener, tmp_path):
    async def work(store):
        def ack(owner, offset=1):
            return FeedAck(offset, 1, (), owner, limit=2)

        for name in ("a", "b"):
            assert await store.settings.feed(name, ack=ack("key_1")) is not None
        assert await store.settings.feed("c", ack=ack("key_1")) is None
        assert (await store.settings.feed("a", ack=ack("key_1", 5))).committed_offset == 5
        assert await store.settings.feed("c", ack=ack("key_2")) is not None
        assert await store.settings.delete_feed("a") and not await store.settings.delete_feed("a")
        assert await store.settings.feed("d", ack=ack("key_1")) is not None
        assert [one.name for one in await store.settings.feeds()] == ["b", "c", "d"]

    with_store(opener, tmp_path, work)


def test_rejections_are_a_ring_of_a_thousand(opener, tmp_path):
    async def work(store):
        rows = [Rejection(i, "s", "signature_wrong", "", "") for i in range(1300)]
        await store.settings.rejections(put=rows)
        found = await store.settings.rejections(limit=5000)
        assert (len(found), found[0].at_us) == (1000, 1299)

    with_store(opener, tmp_path, work)


def test_a_flood_of_rejections_of_one_source_pushes_none_of_another_out(opener, tmp_path):
    async def work(store):
        await store.settings.rejections(put=[Rejection(n, "quiet", "too_old", "", "") for n in range(50)])
        unknown = [Rejection(n, f"x{n}", "source_unknown", "", "") for n in range(2000)]
        await store.settings.rejections(put=unknown)
        await store.settings.rejections(put=[Rejection(n, "loud", "signature_wrong", "", "") for n in range(2000)])
        found = await store.settings.rejections(limit=5000)
        kept = Counter(one.source if one.reason != "source_unknown" else "" for one in found)
        assert kept == {"quiet": 50, "": 475, "loud": 475}

    with_store(opener, tmp_path, work)


def test_a_small_value_is_kept(opener, tmp_path):
    async def write(store):
        assert await store.settings.value("x") is None
        await store.settings.value("x", put=b"1")

    async def read(store):
        return await store.settings.value("x")

    with_store(opener, tmp_path, write)
    assert with_store(opener, tmp_path, read) == b"1"


def test_a_small_value_is_swapped_only_by_who_knows_what_it_is(opener, tmp_path):
    async def work(store):
        swap = store.settings.swap
        assert not await swap("x", b"0", b"1"), "there is none yet"
        assert await swap("x", None, b"1")
        assert not await swap("x", None, b"2")
        assert not await swap("x", b"0", b"2")
        assert await swap("x", b"1", b"2")
        assert await store.settings.value("x") == b"2"

    with_store(opener, tmp_path, work)


def test_of_two_nodes_that_first_open_a_store_with_two_keys_one_is_refused(opener, tmp_path):
    async def work(store):
        async with PausedCall(store.settings, "value", after=True) as held:
            late = asyncio.ensure_future(check_vault(Vault(b"1" * 32), store.settings))
            await held.reached.wait()
            await check_vault(Vault(b"2" * 32), store.settings)
            held.go.set()
            with pytest.raises(StoreBroken):
                await late
        await check_vault(Vault(b"2" * 32), store.settings)

    with_store(opener, tmp_path, work)
