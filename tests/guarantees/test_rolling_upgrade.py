"""A new release goes into service without a rejected request: nodes are replaced one by one, under load, behind a
balancer that asks `/readyz`. What cannot share a database with what runs there is refused, and changes nothing.

The next release is a stand-in (`planted_next_release.py`): this one with more migrations.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import asyncpg

from support.gateway.balancer import Balancer, ready
from support.gateway.cluster import Cluster, OrderedProvider, OrderedReceiver
from support.gateway.process import GatewayProcess, call
from support.gateway.running import until
from support.postgres.server import server
from tidegate.store.sql import migrations

NEXT = (str(Path(__file__).with_name("planted_next_release.py")),)
NOW = migrations("postgres")[-1][0]
NODES = 2
KEYS = 4


async def steps(cluster: Cluster) -> list[int]:
    connection = await asyncpg.connect(cluster.database)
    try:
        return [
            row[0] for row in await connection.fetch("SELECT version FROM tidegate.schema_version ORDER BY version")
        ]
    finally:
        await connection.close()


async def refused(node: GatewayProcess) -> str:
    """What a node says that does not start."""
    try:
        await node.start()
    except AssertionError as error:
        return str(error)
    raise AssertionError("it started")


async def replace(cluster: Cluster, balancer: Balancer, place: int) -> None:
    """A node of the next release beside the old one; when it is ready, the old one is ended."""
    new = cluster.node(f"new{place}", NEXT, {"TIDEGATE_NEXT": "expand"})
    await new.start()
    balancer.nodes.append(new.port)
    await until(lambda: new.port in balancer.ready, 30)
    old, cluster.nodes[place] = cluster.nodes[place], new
    assert await old.end(signal.SIGTERM) == 0
    balancer.nodes.remove(old.port)


async def test_nodes_are_replaced_by_the_next_release_one_by_one_without_a_refused_request(tmp_path: Path) -> None:
    async with OrderedReceiver().open() as receiver:
        cluster = Cluster(tmp_path, server(), receiver, NODES, 4, migrated=False)
        await cluster.start()  # all at once, on an empty database
        await check_start(cluster)
        async with Balancer(cluster.ports()).open() as balancer:
            await until(lambda: len(balancer.ready) == NODES, 30)
            providers = [OrderedProvider(lambda: [balancer.port], f"key{number}", 0.02) for number in range(KEYS)]
            stop = asyncio.Event()
            sending = [asyncio.create_task(provider.run(stop)) for provider in providers]
            for place in range(NODES):
                await replace(cluster, balancer, place)
                if place == 0:
                    assert await steps(cluster) == list(range(1, NOW + 2))
                    again = cluster.node("again")  # this release starts beside the next one too
                    await again.start()
                    assert await ready(again.port)
                    assert await again.end(signal.SIGTERM) == 0
            stop.set()
            await asyncio.gather(*sending)
            node = cluster.nodes[0]

            async def quiet() -> bool:
                totals = (await call(node.url, "/api/v1/stats", node.key))["totals"]
                return bool(totals["pending"] == 0)

            await until(quiet, 60)
        assert await cluster.stop() == [0] * NODES
        check(balancer, receiver, cluster, providers)
        print(f"{sum(len(one.acknowledged) for one in providers)} acknowledged, 0 refused, {receiver.again} again")


async def check_start(cluster: Cluster) -> None:
    """One of them migrated, the configuration was applied once, and all are ready."""
    assert await steps(cluster) == list(range(1, NOW + 1))
    assert all(await asyncio.gather(*(ready(node.port) for node in cluster.nodes)))
    first, *others = [await call(node.url, "/api/v1/config", node.key) for node in cluster.nodes]
    assert all(other == first for other in others)
    connection = await asyncpg.connect(cluster.database)
    items = await connection.fetch("SELECT kind, name FROM tidegate.items")
    await connection.close()
    assert len(set(items)) == len(items) == 1 + len(cluster.destinations) + 1


def check(balancer: Balancer, receiver: OrderedReceiver, cluster: Cluster, providers: list[OrderedProvider]) -> None:
    assert balancer.failed == []
    assert balancer.missed == 0, "a node stopped before the balancer could know"
    for provider in providers:
        assert (provider.refused, provider.busy, provider.cut) == ([], [], [])
        assert len(provider.acknowledged) > 50
        for number, event_id in provider.acknowledged.items():
            for destination in cluster.destinations:
                assert receiver.ids.get((destination, provider.key, number)) == {event_id}
    assert receiver.disorder() == []


async def test_a_release_that_cannot_share_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with OrderedReceiver().open() as receiver:
        cluster = Cluster(tmp_path, server(), receiver, 1, 1)
        await cluster.start()
        before = await steps(cluster)
        last = cluster.node("last", NEXT, {"TIDEGATE_NEXT": "contract"})
        assert "older_nodes_run" in await refused(last), "its schema would fail the node that runs"
        assert await steps(cluster) == before
        assert await ready(cluster.nodes[0].port)
        assert await cluster.stop() == [0]
        await last.start()
        assert await steps(cluster) == [*before, NOW + 1, NOW + 2]
        assert "schema_newer" in await refused(cluster.node("old"))
        assert "schema_newer" in await refused(cluster.node("between", NEXT, {"TIDEGATE_NEXT": "expand"}))
        assert await ready(last.port)
        assert await last.end(signal.SIGTERM) == 0
