"""Commands between nodes on one PostgreSQL: they reach the node that holds the partition, also while it moves, and
only somebody with rights on our tables can send one."""

from __future__ import annotations

import asyncio
import signal

import asyncpg
import pytest

from support.postgres.leases import SLOW, Cluster, cluster, until
from support.postgres.node import Node
from tidegate.core.errors import BadRequest, StoreBusy, TidegateError
from tidegate.store.postgres import commands, follower, leases, settings


async def test_a_command_is_answered_by_the_node_that_holds_the_partition():
    async with cluster() as made:
        a, b = await made.node("a"), await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        theirs, mine = min(b.holder.partitions), min(a.holder.partitions)
        assert await a.leases.ask(mine, b"x") == b"x answered by a"
        assert await a.leases.ask(theirs, b"x") == b"x answered by b"
        large = bytes(range(256)) * 700  # far more than a notification can carry
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


async def test_a_command_without_an_answer_ends_busy_and_one_for_a_partition_that_moves_waits_for_it(monkeypatch):
    monkeypatch.setattr(commands, "ANSWER_SECONDS", 0.5)

    async with cluster() as made:
        a, b = await made.node("a"), await made.node("b")
        await until(lambda: len(b.holder.partitions) == 32, 2)
        partition = min(b.holder.partitions)
        with pytest.raises(StoreBusy):
            await a.leases.ask(partition, b"hang")
        monkeypatch.setattr(commands, "ANSWER_SECONDS", 2 * SLOW)
        c = await made.node("c")
        asked = [asyncio.ensure_future(c.leases.ask(partition, b"%d" % n)) for n in range(20)]
        await b.leases.stop()  # while the commands are on their way; the partition goes to a or c
        answers = await asyncio.gather(*asked)
        assert [answer.split(b" ")[0] for answer in answers] == [b"%d" % n for n in range(20)]
        child = await made.child("child")
        await until(lambda: len(a.holder.partitions) + len(c.holder.partitions) < 44, 4)
        partition = (await child.do("held"))[0]
        child.signal(signal.SIGKILL)  # nobody answers, until its partitions were taken over
        assert (await a.leases.ask(partition, b"x")).startswith(b"x answered by")


async def two_nodes(made: Cluster) -> tuple[Node, Node, int]:
    """Two nodes, and a partition that the second one holds."""
    a, b = await made.node("a"), await made.node("b")
    await until(lambda: len(b.holder.partitions) == 32, 2)
    return a, b, min(b.holder.partitions)


async def stranger_on(made: Cluster) -> asyncpg.Connection:
    """A connection of a role that may connect to the database and has no rights on our schema."""
    owner = await made.connection()
    await owner.execute("DROP ROLE IF EXISTS stranger")
    await owner.execute("CREATE ROLE stranger LOGIN")
    await owner.close()
    return await asyncpg.connect(made.url, user="stranger")


async def test_a_role_without_rights_on_our_tables_can_forge_a_notification_but_no_command():
    async with cluster() as made:
        a, b, partition = await two_nodes(made)
        stranger = await stranger_on(made)
        for channel in ("tidegate_commands", "tidegate_call"):  # the second one is that of 0.1
            for payload in ("b", f'["b","a","x","call",{partition},0,1,"Zm9yZ2Vk"]'):
                await stranger.fetchval("SELECT pg_notify($1, $2)", channel, payload)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.execute(
                "INSERT INTO tidegate.node_commands (id, sender, recipient, partition, command) "
                "VALUES ('x', 'a', 'b', $1, 'forged')", partition,
            )  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.fetch("SELECT * FROM tidegate.node_commands")
        assert await a.leases.ask(partition, b"real") == b"real answered by b"
        assert (a.holder.asked, b.holder.asked) == ([], [b"real"])
        await stranger.close()


async def test_a_flood_of_forged_notifications_costs_a_node_few_statements(monkeypatch):
    """Each kind of notification has a pause between two looks; it is long here, so that a flood fits into it."""
    monkeypatch.setattr(commands, "LOOK_PACE_SECONDS", 1.0)
    monkeypatch.setattr(leases, "ROUND_PACE_SECONDS", 1.0)
    monkeypatch.setattr(settings, "WATCH_PACE_SECONDS", 1.0)
    monkeypatch.setattr(follower, "LOOK_PACE_SECONDS", 1.0)

    async with cluster() as made:
        a, b, partition = await two_nodes(made)
        stranger = await stranger_on(made)
        before = b.engine.statements
        for _ in range(300):
            for channel in ("tidegate_commands", "tidegate_partitions", "tidegate_settings", "tidegate_log"):
                await stranger.fetchval("SELECT pg_notify($1, 'b')", channel)
        assert await a.leases.ask(partition, b"real") == b"real answered by b"
        assert b.engine.statements - before < 150, "1,200 notifications reached it"
        await stranger.close()


async def test_a_lost_notification_delays_a_command_and_does_not_lose_it(monkeypatch):
    lost: list[str] = []

    def lose_first(self, payload, notified=commands.Commands._notified):
        if len(lost) < 2:
            lost.append(payload)
        else:
            notified(self, payload)

    monkeypatch.setattr(commands.Commands, "_notified", lose_first)

    async with cluster() as made:
        a, b, partition = await two_nodes(made)
        assert await a.leases.ask(partition, b"x") == b"x answered by b"
        assert lost == ["b", "b"] and b.holder.asked == [b"x"]


async def test_a_command_is_not_executed_after_its_sender_stopped_waiting_and_its_row_goes():
    async with cluster() as made:
        a, b, partition = await two_nodes(made)
        for name, age in (("late", 10), ("old", 90)):
            await made.rows(
                "INSERT INTO node_commands (id, sender, recipient, partition, command, sent_at) VALUES "
                "($1, 'a', 'b', $2, 'late', clock_timestamp() - make_interval(secs => $3))", name, partition, age,
            )  # fmt: skip
        asked = asyncio.ensure_future(a.leases.ask(partition, b"hang"))
        await until(lambda: b"hang" in b.holder.asked, 2)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

        async def rows():
            return [row[0] for row in await made.rows("SELECT id FROM node_commands")] == ["late"]

        await until(rows, 2)
        assert await a.leases.ask(partition, b"real") == b"real answered by b"
        assert b.holder.asked == [b"hang", b"real"]
