"""Two gateways on one PostgreSQL: deliveries stay correct while partitions move from node to node."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.gateway.running import ALLOW, counters, publish, until
from support.postgres.server import server
from support.receiver.scripted import ScriptedServer, answer
from tidegate.core.clock import Clock
from tidegate.core.model import DeliveryState
from tidegate.process.gateway import Gateway, ServeOptions, open_gateway

OKAY = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
KEY = {"TIDEGATE_SECRET_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}


@contextlib.asynccontextmanager
async def node(folder: Path, toml: str, database: str) -> AsyncIterator[Gateway]:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a test may block
    file = folder / "tidegate.toml"
    file.write_text(ALLOW + toml)
    options = ServeOptions(config=file, data=folder / "data", port=1, database=database)
    gateway = await open_gateway(options, KEY, Clock())
    await gateway.start()
    stopped = False

    async def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            await gateway.stop()

    gateway.end = stop  # type: ignore[attr-defined]
    try:
        yield gateway
    finally:
        await stop()


def configured(receiver: ScriptedServer, count: int = 4) -> str:
    names = [f"d{number}" for number in range(count)]
    listed = "".join(f'[destinations.{name}]\nurl = "{receiver.url}/{name}"\n' for name in names)
    return f'[sources.shop.publish]\n{listed}[routes.all]\nfrom = "shop"\nto = {json.dumps(names)}\n'


async def settled(gateway: Gateway, delivered: int) -> bool:
    return all(one["delivered"] == delivered for one in (await counters(gateway)).values())


async def test_a_node_whose_log_is_behind_takes_a_partition_only_when_it_has_caught_up(tmp_path: Path) -> None:
    database = server().new_database()
    async with ScriptedServer(OKAY) as receiver:
        toml = configured(receiver)
        async with node(tmp_path / "a", toml, database) as first, node(tmp_path / "b", toml, database) as second:
            await until(lambda: len(second.store.leases.held) == 32)
            follower = second.store.log.follower  # type: ignore[attr-defined]
            caught_up, look = asyncio.Event(), follower._look

            async def late() -> None:
                await caught_up.wait()
                await look()

            follower._look = late
            for _ in range(20):
                await publish(first)
            await until(lambda: len(receiver.requests) >= 20)  # those of the first node's own partitions
            await asyncio.wait_for(first.end(), 20)  # type: ignore[attr-defined]
            await until(lambda: len(second.store.leases.held) == 64, 20)
            assert len(second.deliver.ports.held.numbers) == 32, "claimed, and not taken before the log has caught up"
            caught_up.set()
            await until(lambda: settled(second, 20), 20)
            assert len(receiver.requests) == 80, "each event once to each destination"


async def test_commands_and_states_are_the_same_on_either_node(tmp_path: Path) -> None:
    database = server().new_database()
    async with ScriptedServer(OKAY) as receiver:
        toml = configured(receiver)
        async with node(tmp_path / "a", toml, database) as first, node(tmp_path / "b", toml, database) as second:
            await until(lambda: len(second.store.leases.held) == 32)
            for name in list(first.active.destinations):
                await first.editor.pause(name)
            await until(lambda: all(one.paused_at_us for one in second.active.destinations.values()))
            offset = await publish(first)
            pairs = [(offset, one.number) for one in first.active.destinations.values()]

            async def both() -> list[dict[Any, Any]]:
                return [await one.deliver.states(pairs) for one in (first, second)]

            await until(lambda: second.store.log.published_offset >= offset)
            one, other = await both()
            assert one == other and {view.state for view in one.values()} == {DeliveryState.PENDING}
            for asked, pair in ((first, pairs[0]), (second, pairs[0]), (first, pairs[1])):
                with contextlib.suppress(Exception):  # the second cancel of a pair is rejected on either node
                    await asked.deliver.cancel(*pair)
            one, other = await both()
            assert one == other
            assert [view.state.value for view in one.values()] == ["canceled"] * 2 + ["pending"] * 2
            for name in list(second.active.destinations):
                await second.editor.resume(name)
            await until(lambda: len(receiver.requests) == 2)
            for asked, pair in ((first, pairs[0]), (second, pairs[1])):
                await asked.deliver.retry(*pair)
            await until(lambda: settled(first, 1), 20)
            one, other = await both()
            assert one == other and {view.state for view in one.values()} == {DeliveryState.DELIVERED}


async def test_a_replay_created_on_one_node_reopens_deliveries_of_all_nodes(tmp_path: Path) -> None:
    database = server().new_database()
    async with ScriptedServer(OKAY) as receiver:
        toml = configured(receiver)
        async with node(tmp_path / "a", toml, database) as first, node(tmp_path / "b", toml, database) as second:
            await until(lambda: len(second.store.leases.held) == 32)
            from tidegate.deliver import ReplayQuery

            for _ in range(10):
                await publish(first)
            await until(lambda: len(receiver.requests) == 40)
            await until(lambda: settled(first, 10))
            made = await second.deliver.replay(ReplayQuery())

            async def finished() -> bool:
                jobs = {job.id: job for job in await first.store.deliveries.replays()}
                return jobs[made.id].finished_at_us is not None and jobs[made.id].reopened == 40

            await until(finished, 20)
            await until(lambda: len(receiver.requests) == 80, 20)
            await until(lambda: settled(second, 10), 20)
