"""What every store promises about leases to a node that is alone (store.Leases)."""

from __future__ import annotations

import pytest

from support.stores import STORES, AllOffered, with_store
from tidegate.core.errors import NotFound
from tidegate.store import PARTITIONS, Settlement

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())


def test_a_node_alone_holds_every_share_once_started(opener, tmp_path):
    async def work(store):
        assert store.leases.held == frozenset()
        holder = AllOffered(store)
        await store.leases.start(holder)
        assert store.leases.held == holder.partitions == frozenset(range(PARTITIONS))
        assert store.leases.fence > 0
        await store.leases.stop()
        assert store.leases.held == frozenset()

    with_store(opener, tmp_path, work, started=False)


def test_a_node_lists_itself(opener, tmp_path):
    async def work(store):
        (node,) = await store.leases.nodes()
        assert (node.partitions, node.fence) == (PARTITIONS, store.leases.fence)
        assert 0 < node.started_at_us < node.lease_expires_at_us

    with_store(opener, tmp_path, work)


def test_a_call_for_a_share_held_here_is_answered_by_the_holder(opener, tmp_path):
    async def work(store):
        assert await store.leases.ask(5, b"\x00call") == b"answer to \x00call"
        with pytest.raises(NotFound) as error:
            await store.leases.ask(5, b"fail")
        assert error.value.message == "there is no such thing"

    with_store(opener, tmp_path, work)


def test_what_was_settled_stands_when_the_next_node_takes_it(opener, tmp_path):
    async def write(store):
        await store.deliveries.settle(Settlement(40, [], fence=store.leases.fence))

    async def read(store):
        assert set((await store.deliveries.load(range(10))).high_water_marks.items()) == {
            (share, 40) for share in range(10)
        }

    with_store(opener, tmp_path, write)
    with_store(opener, tmp_path, read)
