"""Leases between nodes on one PostgreSQL: who holds what, and who takes over when a node dies, pauses or is cut off."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.postgres.leases import SLOW, cluster, everything, until
from support.postgres.node import Node
from support.postgres.server import server
from support.stores import AllOffered, audience, event
from tidegate.core.errors import Fenced, SchemaTooNew, StoreBusy
from tidegate.store import PARTITIONS
from tidegate.store.postgres import open_postgres
from tidegate.store.postgres.engine import sql
from tidegate.store.postgres.leases import LEASE_SECONDS

# -- dividing --------------------------------------------------------------------------------------------


async def test_nodes_that_join_and_leave_share_evenly_and_no_share_is_held_twice():
    async with cluster() as made:
        a = await made.node("a")
        assert everything(a)
        b = await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        assert a.holder.partitions | b.holder.partitions == set(range(PARTITIONS))
        assert not a.holder.partitions & b.holder.partitions
        c = await made.node("c")
        nodes = (a, b, c)
        await until(lambda: sorted(len(node.holder.partitions) for node in nodes) == [21, 21, 22], 4)
        assert not any(a.holder.partitions & b.holder.partitions for a, b in [(a, b), (b, c), (a, c)])
        changes = sum(len(node.holder.calls) for node in nodes)
        await asyncio.sleep(1.2)  # two rounds
        assert sum(len(node.holder.calls) for node in nodes) == changes  # and then nothing moves
        await a.leases.stop()
        assert a.leases.held == frozenset()
        await until(lambda: len(b.holder.partitions) == len(c.holder.partitions) == 32, 1)


def once_lost(owner: Any, name: str, when: Callable[..., bool], *, after: bool) -> list[Any]:
    """The first call that fits is cut: before it reached the server, or `after` it was committed there."""
    real, lost = getattr(owner, name), []

    async def call(*args: Any, **more: Any) -> Any:
        if lost or not when(*args):
            return await real(*args, **more)
        answer = await real(*args, **more) if after else None
        if after and not answer:
            return answer
        lost.append(args)
        raise StoreBusy("the database does not answer")

    setattr(owner, name, call)
    return lost


async def test_shares_whose_claim_was_committed_and_not_answered_do_not_lie_idle():
    async with cluster() as made:
        a, b = await made.node("a"), await made.node("b")
        await until(lambda: len(a.holder.partitions) == len(b.holder.partitions) == 32, 2)
        claim = sql("leases")["claim"]
        lost = once_lost(b.engine.vital, "fetch", lambda text, *_: text == claim, after=True)
        await a.leases.stop()
        await until(lambda: everything(b), 3)
        assert lost


async def test_shares_that_were_left_and_could_not_be_given_free_do_not_lie_idle():
    async with cluster() as made:
        a = await made.node("a")
        lost = once_lost(a.leases, "_free", lambda *_: True, after=False)
        b = await made.node("b")
        await until(lambda: len(a.holder.partitions) == len(b.holder.partitions) == 32, 4)
        assert lost and a.holder.partitions | b.holder.partitions == set(range(PARTITIONS))


async def test_nodes_are_listed_with_what_they_hold_and_tell():
    async with cluster() as made:
        a, b = await made.node("a"), await made.node("b")
        b.leases.publish_status(b'{"sends":7}')
        await until(lambda: len(b.leases.held) == 32, 2)

        async def listed() -> bool:
            return (await a.leases.nodes())[-1].status != b"{}"

        await until(listed, 2)
        nodes = await a.leases.nodes()
        assert [(node.id, node.partitions, node.status) for node in nodes] == [
            ("a", 32, b"{}"), ("b", 32, b'{"sends":7}'),
        ]  # fmt: skip
        assert nodes[1].fence == b.leases.fence != a.leases.fence
        assert [node.id for node in await b.leases.nodes()] == ["b", "a"]
        assert await a.leases.facts() == {
            "node": "a", "fence": a.leases.fence, "partitions": 32, "clock_ahead_seconds": 0.0,
        }  # fmt: skip


async def test_a_take_that_fails_gives_the_shares_back_where_they_stood():
    async with cluster() as made:
        a = await made.node("a")
        a.holder.mark = 50
        await a.settle(50)
        b = Node(made.url, "b")
        b.holder.refuses = StoreBusy("not now")
        await b.start()
        await until(lambda: ("take", 32) in [(what, n) for _, what, n in b.holder.calls], 2)
        await until(lambda: len(b.holder.partitions) == 32, 3)  # it tries again
        assert set(b.holder.taken_at.values()) == {50}
        await b.stop()


# -- taking over -----------------------------------------------------------------------------------------


async def test_a_killed_node_is_taken_over_in_two_seconds_from_its_durable_mark_on():
    async with cluster() as made:
        child = await made.child("child")
        assert len(await child.do("held")) == PARTITIONS
        await child.do("mark", 40)
        b = await made.node("b")
        number = await audience(b, wanted=tuple((destination, 1) for destination in range(1, 65)))
        await b.log.append([event(number) for _ in range(100)])
        await until(lambda: len(b.holder.partitions) == 32, 2)
        left = set(b.holder.partitions)
        b.holder.mark = 90
        await b.settle(90)
        await child.do("mark", 70)
        child.signal(signal.SIGKILL)
        seconds = await until(lambda: everything(b), 2)
        print(f"taken over {seconds:.2f} s after kill -9")
        # What it held came at its last mark, not at ours: what it had not settled comes again, none is skipped.
        assert {b.holder.taken_at[share] for share in left} == {40}
        assert {b.holder.taken_at[share] for share in range(PARTITIONS) if share not in left} == {70}
        again = [offset for offset, _ in await b.log.scan(70, b.log.published_offset, 1000)]
        assert again == list(range(71, 101))
        assert [node.id for node in await b.leases.nodes()] == ["b"]


async def test_a_paused_node_is_taken_over_after_its_lease_and_can_write_nothing_when_it_wakes():
    async with cluster() as made:
        child = await made.child("child")
        fence = await child.do("fence")
        await child.do("settle", 10, 1)
        await child.do("commit", "before", fence)
        b = await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        child.signal(signal.SIGSTOP)
        child.send("settle", 20, 1, fence)
        child.send("commit", "after", fence)
        seconds = await until(lambda: everything(b), LEASE_SECONDS + 1)
        print(f"taken over {seconds:.2f} s after a pause")
        assert seconds > LEASE_SECONDS - 0.6  # not while its lease ran: it was renewed half a second before at most
        await b.settle(90, 1)
        child.signal(signal.SIGCONT)
        assert [await child.answer(), await child.answer()] == ["fenced", "fenced"]
        assert "lost" in await child.do("calls")

        async def joined_again() -> bool:
            return len(await child.do("held")) == 32

        await until(joined_again, 4)
        assert await child.do("fence") > fence
        assert [await child.do("settle", 30, 1, fence), await child.do("commit", "after", fence)] == ["fenced"] * 2
        assert await made.rows("SELECT destination, delivered FROM lanes") == [(1, 90)]
        assert await made.rows('SELECT "offset" FROM attempts ORDER BY 1') == [(10,), (90,)]
        assert await made.rows("SELECT key FROM records") == [("before",)]
        assert await made.rows("SELECT cursor FROM resource_states") == [("before",)]


async def test_a_node_that_stalls_inside_a_commit_holds_nobody_up():
    async with cluster() as made:
        child = await made.child("child")
        b = await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        child.send("stall", await child.do("fence"))
        seconds = await until(lambda: everything(b), LEASE_SECONDS + 1)
        print(f"taken over {seconds:.2f} s after a stall inside a transaction")


async def test_a_node_whose_session_is_cut_goes_on_under_its_fence():
    async with cluster() as made:
        a, b = await made.node("a"), await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        # Just after a start of the server no node is checked by its session.
        old = "SELECT clock_timestamp() > pg_postmaster_start_time() + interval '2 seconds'"

        async def checked() -> bool:
            return bool((await made.rows(old))[0][0])

        await until(checked, 3)
        fence, calls = b.leases.fence, len(b.holder.calls)
        connect = b.engine.connect

        async def slowly() -> Any:
            await asyncio.sleep(0.2)
            return await connect()

        b.engine.connect = slowly
        for _ in range(3):
            cut = b.engine.session.connection
            await made.rows("SELECT pg_terminate_backend($1)", cut.get_server_pid())
            await until(lambda cut=cut: b.engine.session.connection is not cut, 1)
            while b.engine.session.connection is None:
                await a.leases._reap()  # which finds no session of b, and waits a little
            held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 8421 AND objid = $1"
            assert await made.rows(held, fence) == [(b.engine.session.connection.get_server_pid(),)]
            await b.settle(5)
        assert (b.leases.fence, len(b.holder.calls), len(a.holder.partitions)) == (fence, calls, 32)


@pytest.mark.parametrize("how", ["go_silent", "cut"])
async def test_a_node_that_cannot_reach_the_server_gives_up_within_its_lease(how):
    async with cluster() as made:
        wire, url = await made.wire()
        a, b = await made.node("a"), await made.node("b", url)
        await until(lambda: len(b.holder.partitions) == 32, 2)
        began = time.monotonic()
        wire.go_silent()
        if how == "cut":
            wire.cut()
        taken, lost = 0.0, 0.0
        while not (taken and lost):
            assert time.monotonic() - began < (LEASE_SECONDS + 1) * SLOW
            await asyncio.sleep(0.01)
            taken = taken or (time.monotonic() if everything(a) else 0.0)
            lost = next((at for at, what, _ in b.holder.calls if what == "lost"), 0.0)
        print(f"{how}: given up after {lost - began:.2f} s, taken over after {taken - began:.2f} s")
        if how == "go_silent":  # the server sees nothing, so others wait for the lease; by then this node is still
            assert lost < taken
        with pytest.raises(Fenced):
            await b.settle(99)
        wire.recover()
        await until(lambda: len(b.holder.partitions) == 32, 10)


async def test_the_time_of_day_of_a_node_does_not_matter():
    async with cluster() as made:
        a = await made.node("a")
        early, late = await made.child("early", -7200), await made.child("late", 7200)
        await until(lambda: 21 <= len(a.holder.partitions) <= 22, 4)
        await asyncio.sleep(LEASE_SECONDS + 0.5)
        assert {"lost"}.isdisjoint(await early.do("calls") + await late.do("calls"))
        held = [*a.leases.held, *await early.do("held"), *await late.do("held")]
        assert sorted(held) == list(range(PARTITIONS))


async def test_a_node_that_was_away_while_the_schema_became_unreadable_stops():
    store = await open_postgres(server().new_database(), "a")
    failed = []
    store.on_failure(failed.append)
    await store.leases.start(AllOffered(store))
    await store.engine.work.execute("INSERT INTO schema_version (version, oldest_reader) VALUES (1000, 1000)")
    store.leases._lose("as after a long pause")
    async with asyncio.timeout(20):
        while not failed:  # noqa: ASYNC110 - it is called, and nothing else tells
            await asyncio.sleep(0.01)
    assert isinstance(failed[0], SchemaTooNew)
    assert not store.leases.fence and not store.leases.held
    await store.close()
