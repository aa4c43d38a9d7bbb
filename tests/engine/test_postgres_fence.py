"""Fences and marks between nodes on one PostgreSQL: what a node left behind cannot do, and where the next goes on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest

from support.postgres.leases import SLOW, Cluster, cluster, until
from support.postgres.node import Node
from tidegate.core.errors import Fenced
from tidegate.store import PARTITIONS
from tidegate.store.postgres.engine import sql

# -- the fence -------------------------------------------------------------------------------------------


async def test_a_settle_that_waits_for_the_reaper_is_fenced_and_writes_nothing():
    async with cluster() as made:
        a = await made.node("a")
        fence = a.leases.fence
        await a.settle(10, 1)
        reaper = await made.connection()
        async with reaper.transaction():
            mark = await reaper.fetchval(sql("leases")["lock_dead"], "a", fence, True)
            settle = asyncio.ensure_future(a.settle(20, 1, fence))
            commit = asyncio.ensure_future(a.commit("late", fence))
            await asyncio.sleep(0.2)
            assert not settle.done() and not commit.done()
            await reaper.execute(sql("leases")["free_all"], "a", mark)
            await reaper.execute(sql("leases")["remove_node"], "a")
        await reaper.close()
        with pytest.raises(Fenced):
            await settle
        with pytest.raises(Fenced):
            await commit
        assert await made.rows("SELECT destination, delivered FROM lanes") == [(1, 10)]
        assert await made.rows("SELECT count(*) FROM records") == [(0,)]


async def test_a_settle_that_races_with_the_reaper_is_whole_before_it_or_fenced():
    chance = random.Random(3)

    async def soon(work: Awaitable[Any]) -> Any:
        await asyncio.sleep(chance.random() * 0.004)
        return await work

    async def race(made: Cluster, a: Node, b: Node, mark: int) -> tuple[bool, bool]:
        """(settled, reaped) of one settle of b beside one reaping of it."""
        fence, share = b.leases.fence, min(b.holder.partitions)
        settled, reaped = await asyncio.gather(
            soon(b.settle(mark, share, fence)),
            soon(a.leases._free("lock_dead", "b", fence, remove=True, last=(True,))),
            return_exceptions=True,
        )
        assert settled is None or isinstance(settled, Fenced)
        ((delivered,),) = await made.rows("SELECT coalesce(max(delivered), 0) FROM lanes")
        assert (delivered == mark) == (settled is None)
        if reaped:
            await until(lambda: b.leases.fence > fence, 3)
            await until(lambda: share in b.holder.partitions or share in a.holder.partitions, 3)
            taker = b if share in b.holder.partitions else a
            if settled is None:  # the next one begins where the settle ended, not before it
                assert taker.holder.taken_at[share] >= mark
            await until(lambda: len(b.holder.partitions) == 32, 4)
        return settled is None, reaped

    async with cluster() as made:
        a, b = await made.node("a"), await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        came: Counter[tuple[bool, bool]] = Counter()
        while not (came[False, True] and came[True, True]) or came.total() < 6:
            came[await race(made, a, b, 100 + came.total())] += 1
            assert came.total() < 60, came


async def test_before_the_start_and_after_the_stop_nothing_is_settled():
    async with cluster() as made:
        a = await Node(made.url, "a").open()
        with pytest.raises(Fenced):
            await a.settle(5, 1)
        await a.leases.start(a.holder)
        fence = a.leases.fence
        await a.settle(6, 1)
        await a.leases.stop()
        for under in (0, fence):
            with pytest.raises(Fenced):
                await a.settle(7, 1, under)
        assert await made.rows("SELECT delivered FROM lanes") == [(6,)]
        assert await made.rows("SELECT DISTINCT high_water_mark FROM partitions") == [(6,)]
        await a.stop()


# -- marks -----------------------------------------------------------------------------------------------


async def test_a_share_that_was_taken_and_not_yet_fed_keeps_its_own_mark():
    """The trap: a node with a far mark takes a partition, and dies before it read what lies between."""

    async with cluster() as made:
        a, b = await made.node("a"), await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        a.holder.mark = 40
        await a.settle(40)
        b.holder.mark = 90
        await b.settle(90)
        entered = asyncio.Event()

        async def take(partitions):
            entered.set()
            await asyncio.sleep(60)

        b.holder.take = take
        await a.leases.stop()
        async with asyncio.timeout(2 * SLOW):
            await entered.wait()
        await b.settle(95)  # its other partitions go on meanwhile
        high_water_marks = (await b.deliveries.load()).high_water_marks
        assert {high_water_marks[share] for share in a.holder.partitions} == {40}
        assert {high_water_marks[share] for share in range(PARTITIONS) if share not in a.holder.partitions} == {95}
        await b.leases.stop()
        assert Counter((await b.deliveries.load()).high_water_marks.values()) == {40: 32, 95: 32}


async def test_a_share_that_was_left_stands_where_it_was_left():
    async with cluster() as made:
        a = await made.node("a")
        a.holder.mark = 40
        await a.settle(40)
        leave = a.holder.leave

        async def leave_slowly(partitions: frozenset[int]) -> None:
            await leave(partitions)
            await a.settle(60)  # its other partitions go on, and must not take along what it has left

        a.holder.leave = leave_slowly
        b = await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        assert {b.holder.taken_at[share] for share in b.holder.partitions} == {40}
