"""Commands while deliveries change: a command, a bulk settlement and a load of the table act only on what is still true
when they act. Each test makes one read of the real store slow, and changes the delivery meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.faults.paused_call import PausedCall
from support.gateway.running import counters, publish, running, until
from support.receiver.scripted import ScriptedServer, answer
from tidegate.core.errors import Conflict, StoreBusy
from tidegate.core.model import DeliveryState
from tidegate.core.spec import Route
from tidegate.kinds.webhook import WebhookDestination
from tidegate.process.gateway import Gateway
from tidegate.store import PARTITIONS

EVERY = frozenset(range(PARTITIONS))
OKAY = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
BROKEN = answer(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")


def configuration(server: ScriptedServer, **keys: Any) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    route = '[routes.all]\nfrom = "shop"\nto = "crm"\n'
    return f'[sources.shop.publish]\n[destinations.crm]\nurl = "{server.url}/"\n{lines}{route}'


def meanwhile(gateway: Gateway, method: str, act: Callable[[], Awaitable[Any]], where: str = "deliveries") -> None:
    """The next read by this method takes as long as `act`, and returns what was true before it."""
    part: Any = getattr(gateway.store, where)
    real = getattr(part, method)

    async def slow(*given: Any, **named: Any) -> Any:
        setattr(part, method, real)
        found = await real(*given, **named)
        await act()
        return found

    setattr(part, method, slow)


async def failing_once(gateway: Gateway, server: ScriptedServer) -> int:
    """An event whose first attempt failed; the receiver accepts the second."""
    server.script = BROKEN
    offset = await publish(gateway)
    await until(lambda: number_of(gateway) in gateway.deliver.senders and waiting(gateway))
    server.script = OKAY
    return offset


def number_of(gateway: Gateway) -> int:
    return gateway.active.destinations["crm"].number


def waiting(gateway: Gateway) -> int:
    return len(gateway.deliver.senders[number_of(gateway)].backlog.deferred)


async def counted(gateway: Gateway, **expected: int) -> bool:
    found = (await counters(gateway))["crm"]
    return all(found[name] == count for name, count in expected.items())


async def a_moment_for(condition: Callable[[], Any], seconds: float = 0.5) -> None:
    """Give something that must not happen the time to happen."""
    with contextlib.suppress(AssertionError):
        await until(condition, seconds)


async def test_a_delivery_is_not_sent_while_a_cancel_reads_it(tmp_path: Path) -> None:
    async with (
        ScriptedServer(BROKEN) as server,
        running(tmp_path, configuration(server, retry=["100ms"])) as gateway,
    ):
        offset = await failing_once(gateway, server)
        meanwhile(gateway, "attempts", lambda: a_moment_for(lambda: not waiting(gateway)))
        await gateway.deliver.cancel(offset, number_of(gateway))
        assert await counted(gateway, canceled=1, delivered=0, pending=0)
        assert len(server.requests) == 1


@pytest.mark.parametrize("command", ["retry", "cancel"])
async def test_a_command_that_comes_three_times_at_once_counts_once(tmp_path: Path, command: str) -> None:
    schedule = ["10m"] if command == "cancel" else []
    async with (
        ScriptedServer(BROKEN) as server,
        running(tmp_path, configuration(server, retry=schedule)) as gateway,
    ):
        server.script = BROKEN
        offset, number = await publish(gateway), number_of(gateway)
        await until(lambda: counted(gateway, pending=len(schedule), exhausted=1 - len(schedule)))
        server.script = OKAY
        act = getattr(gateway.deliver, command)
        ended = await asyncio.gather(*(act(offset, number) for _ in range(3)), return_exceptions=True)
        if command == "cancel":
            assert [type(one) for one in ended if one is not None] == [Conflict, Conflict]
            assert await counted(gateway, canceled=1, exhausted=0, pending=0)
        else:
            assert not [one for one in ended if one is not None]
            await until(lambda: counted(gateway, exhausted=0, pending=0))
            assert (await counters(gateway))["crm"]["delivered"] == 1


async def test_a_row_that_was_delivered_while_the_table_was_read_is_not_sent_again(tmp_path: Path) -> None:
    async with (
        ScriptedServer(BROKEN) as server,
        running(tmp_path, configuration(server, retry=["100ms", "10m"])) as gateway,
    ):
        await failing_once(gateway, server)
        sender = gateway.deliver.senders[number_of(gateway)]
        read = asyncio.Event()

        async def delivered() -> None:
            await until(lambda: not waiting(gateway))
            read.set()

        meanwhile(gateway, "deferred", delivered)
        sender.backlog.deferred.overflow = True
        sender._deferred_reader.start()
        await asyncio.wait_for(read.wait(), 10)
        await until(lambda: sender._deferred_reader._reading is None)
        assert not waiting(gateway)
        assert await counted(gateway, delivered=1, pending=0)
        assert len(server.requests) == 2


@pytest.mark.parametrize("back", [False, True])
async def test_a_command_whose_partition_leaves_meanwhile_changes_nothing(tmp_path: Path, back: bool) -> None:
    async with ScriptedServer(BROKEN) as server, running(tmp_path, configuration(server, retry=["10m"])) as gateway:
        offset = await failing_once(gateway, server)

        async def moved() -> None:
            await gateway.deliver.leave(EVERY)
            if back:
                await gateway.deliver.take(EVERY)

        meanwhile(gateway, "attempts", moved)
        with pytest.raises(StoreBusy):
            await gateway.deliver.cancel(offset, number_of(gateway))
        if not back:
            await gateway.deliver.take(EVERY)
        assert await counted(gateway, pending=1, canceled=0, delivered=0)
        await gateway.deliver.cancel(offset, number_of(gateway))
        assert await counted(gateway, pending=0, canceled=1)


@pytest.mark.parametrize(("where", "method"), [("deliveries", "deferred"), ("log", "scan")])
async def test_a_bulk_settlement_whose_partition_leaves_meanwhile_counts_nothing_twice(
    tmp_path: Path, where: str, method: str
) -> None:
    async with ScriptedServer(BROKEN) as server, running(tmp_path, configuration(server, retry=["10m"])) as gateway:
        await failing_once(gateway, server)
        await gateway.editor.pause("crm")
        for _ in range(5):
            await publish(gateway)
        await gateway.deliver.settler.flush()

        async def moved() -> None:
            gateway.deliver.lost()
            await gateway.deliver.take(EVERY)

        meanwhile(gateway, method, moved, where)
        await gateway.deliver.expire(gateway.store.log.published_offset)
        found = (await counters(gateway))["crm"]
        assert (found["owed"], found["exhausted"] + found["pending"]) == (6, 6)
        await gateway.deliver.expire(gateway.store.log.published_offset)
        assert await counted(gateway, exhausted=6, pending=0, delivered=0)


@pytest.mark.parametrize("ordered", [False, True])
async def test_requests_that_a_failed_bulk_settlement_cut_off_are_sent_again(tmp_path: Path, ordered: bool) -> None:
    keys: dict[str, Any] = {"ordered_by": "key"} if ordered else {}
    async with (
        ScriptedServer(BROKEN) as server,
        running(tmp_path, configuration(server, retry=["100ms"], **keys)) as gateway,
    ):
        answers = asyncio.Event()

        async def held(reader: Any, writer: Any, request: Any) -> None:
            await answers.wait()
            await OKAY(reader, writer, request)

        server.script = BROKEN
        first = await publish(gateway, key="a")
        await until(lambda: server.requests)
        server.script = held
        await until(lambda: len(server.requests) == 2)  # the retry, from its row
        others = [await publish(gateway, key=key) for key in "abb"]
        in_flight = 2 if ordered else 4
        await until(lambda: len(gateway.deliver.senders[number_of(gateway)].flights) == in_flight)

        meanwhile(gateway, "scan", busy, "log")
        with pytest.raises(StoreBusy):
            await gateway.deliver.expire(others[-1])
        answers.set()
        await until(lambda: counted(gateway, pending=0))
        lost = 2 if ordered else 1  # rows that were settled before: the retry, and the delivery blocked behind it
        assert await counted(gateway, delivered=4 - lost, exhausted=lost)
        states = await gateway.deliver.states([(offset, number_of(gateway)) for offset in (first, *others)])
        assert [view.state for view in states.values()].count(DeliveryState.DELIVERED) == 4 - lost


async def busy() -> None:
    raise StoreBusy("the server is busy", retry_after_seconds=1)


async def test_a_delete_continues_after_the_store_was_unavailable_and_sends_nothing_meanwhile(tmp_path: Path) -> None:
    async with ScriptedServer(BROKEN) as server, running(tmp_path, "[sources.shop.publish]\n") as gateway:
        await gateway.editor.put(
            "destination", "crm", lambda _: WebhookDestination(url=server.url, retry=["100ms"] * 50)
        )
        await gateway.editor.put("route", "all", lambda _: Route(from_="shop", to="crm"))
        number = number_of(gateway)
        for _ in range(3):
            await publish(gateway)
        await until(lambda: waiting(gateway) == 3)
        await gateway.editor.delete("route", "all")
        meanwhile(gateway, "deferred", busy)
        await gateway.editor.delete("destination", "crm")
        sent = len(server.requests)
        await until(lambda: number not in gateway.deliver.senders)
        (lane,) = (await gateway.store.deliveries.counters()).lanes
        assert (lane.destination, lane.canceled, lane.exhausted) == (number, 3, 0)
        assert len(server.requests) <= sent + 1, "one may have been in flight"


async def test_410_pauses_the_destination_though_the_store_was_unavailable(tmp_path: Path) -> None:
    gone = answer(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
    async with ScriptedServer(gone) as server, running(tmp_path, configuration(server, retry=["50ms"])) as gateway:
        meanwhile(gateway, "put_items", busy, "settings")
        await publish(gateway)
        await until(lambda: gateway.active.destinations["crm"].pause_reason == "gone")
        assert len(server.requests) == 1


async def test_a_destination_that_fails_for_long_has_one_range_in_memory_as_in_the_store(tmp_path: Path) -> None:
    async with ScriptedServer(OKAY) as server, running(tmp_path, configuration(server)) as gateway:
        await gateway.editor.pause("crm")
        for _ in range(3):
            await publish(gateway)
            await gateway.deliver.expire(await publish(gateway))
        assert await counted(gateway, exhausted=6, pending=0)
        assert gateway.deliver.ports.ranges.all == await gateway.store.deliveries.ranges()
        assert [(one.after, one.upto) for one in gateway.deliver.ports.ranges.all] == [(0, 6)]


async def test_a_start_in_the_past_waits_for_the_first_route_and_sends_nothing_twice(tmp_path: Path) -> None:
    async with ScriptedServer(OKAY) as server, ScriptedServer(OKAY) as late:
        toml = configuration(server)
        async with running(tmp_path, toml) as gateway:
            for n in range(3):
                await publish(gateway, json.dumps(n).encode())
            spec = WebhookDestination(url=late.url, start="beginning")
            await gateway.editor.put("destination", "late", lambda _: spec)  # by the API; its route is made later
            await publish(gateway, b"3")
            await gateway.deliver.settler.flush()
            assert not late.requests
            async with PausedCall(gateway.deliver.replays, "_begin") as held:
                await gateway.editor.put("route", "more", lambda _: Route(from_="shop", to="late"))
                await held.reached.wait()
                await publish(gateway, b"4")  # by the new route, before the replay starts
                await until(lambda: len(late.requests) == 1)
            await until(lambda: len(late.requests) == 5)
            found = (await counters(gateway))["late"]
            assert (found["owed"], found["pending"]) == (5, 0)
        async with running(tmp_path, toml) as gateway:
            await gateway.deliver.settler.flush()
        assert sorted(json.loads(request.body)["data"] for request in late.requests) == [0, 1, 2, 3, 4]
