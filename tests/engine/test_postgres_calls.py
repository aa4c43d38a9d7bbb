"""Calls between nodes on one PostgreSQL: they reach the node that holds the partition, also while it moves."""

from __future__ import annotations

import asyncio
import signal

import pytest

from support.leasing import SLOW, cluster, until
from tidegate.core.errors import BadRequest, StoreBusy, TidegateError
from tidegate.store.postgres import calls


def test_a_call_is_answered_by_the_node_that_holds_the_share(monkeypatch):
    async def work():
        async with cluster() as made:
            a, b = await made.node("a"), await made.node("b")
            await until(lambda: len(b.holder.partitions) == 32, 2)
            theirs, mine = min(b.holder.partitions), min(a.holder.partitions)
            assert await a.leases.ask(mine, b"x") == b"x answered by a"
            assert await a.leases.ask(theirs, b"x") == b"x answered by b"
            large = bytes(range(256)) * 200  # many notifications there and back
            assert await a.leases.ask(theirs, large) == large + b" answered by b"
            many = await asyncio.gather(*(a.leases.ask(theirs, b"%d" % n) for n in range(50)))
            assert many == [b"%d answered by b" % n for n in range(50)]
            with pytest.raises(TidegateError) as error:
                await a.leases.ask(theirs, b"fail")
            assert (error.value.code, error.value.status, error.value.message, error.value.hint) == (
                "delivery_unknown", 404, "there is no such delivery", "list them",
            )  # fmt: skip
            with pytest.raises(BadRequest):
                await a.leases.ask(theirs, b"x" * 300_000)

    asyncio.run(work())


def test_a_call_without_an_answer_ends_busy_and_one_for_a_share_on_its_way_waits_for_it(monkeypatch):
    monkeypatch.setattr(calls, "ANSWER_SECONDS", 0.5)

    async def work():
        async with cluster() as made:
            a, b = await made.node("a"), await made.node("b")
            await until(lambda: len(b.holder.partitions) == 32, 2)
            share = min(b.holder.partitions)
            with pytest.raises(StoreBusy):
                await a.leases.ask(share, b"hang")
            monkeypatch.setattr(calls, "ANSWER_SECONDS", 2 * SLOW)
            c = await made.node("c")
            asked = [asyncio.ensure_future(c.leases.ask(share, b"%d" % n)) for n in range(20)]
            await b.leases.stop()  # while the calls are on their way; the partition goes to a or c
            answers = await asyncio.gather(*asked)
            assert [answer.split(b" ")[0] for answer in answers] == [b"%d" % n for n in range(20)]
            child = await made.child("child")
            await until(lambda: len(a.holder.partitions) + len(c.holder.partitions) < 44, 4)
            share = (await child.do("held"))[0]
            child.signal(signal.SIGKILL)  # nobody answers, until its partitions were taken over
            assert (await a.leases.ask(share, b"x")).startswith(b"x answered by")

    asyncio.run(work())
