"""Two nodes count into rows of their own: none waits for the other, and the sum of both is read."""

from __future__ import annotations

import asyncio

from support.postgres.log import on_stores, raw
from support.stores import audience, event
from tidegate.core.rollups import DESTINATION, RESOURCE, RollupRow
from tidegate.store.postgres.engine import sql
from tidegate.store.postgres.rollups import rollup_columns

EVER = 1 << 40


def test_counts_of_two_nodes_add_up():
    async def work(one, two):
        row = RollupRow(7, DESTINATION, "d", "delivered", 1, 2)
        await asyncio.gather(*(store.rollups.add([row]) for store in (one, two) for _ in range(20)))
        number = await audience(one)
        await asyncio.gather(*(store.log.append([event(number)]) for store in (one, two) for _ in range(10)))
        found = {row.metric: (row.times, row.total) for row in await two.rollups.read(0, EVER)}
        assert found == {"delivered": (40, 80), "accepted.webhook": (20, 40)}
        assert await one.rollups.fold(EVER) == 4  # of each node one row a metric
        assert {row.metric: (row.times, row.total) for row in await two.rollups.read(0, EVER)} == found

    on_stores(work, 2)


def test_a_node_does_not_wait_for_the_open_transaction_of_another():
    async def work(store):
        rows = [RollupRow(7, RESOURCE, "a/b", "look.found", 1)]
        other = await raw(store)
        transaction = other.transaction()
        await transaction.start()
        await other.execute(sql("rollups")["add"], "other", *rollup_columns(rows))
        async with asyncio.timeout(5):
            await store.rollups.add(rows)
        await transaction.commit()
        await other.close()
        assert [row.times for row in await store.rollups.read(0, EVER)] == [2]

    on_stores(work)
