"""Combinations in the deliver engine: cancels and order, bulk settlements and order, more retries than memory, a delete
that a crash cut short. Each was wrong once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec

from support.gateway.running import counters, publish, running, until
from support.receiver.scripted import ScriptedServer
from tidegate.core.model import Deferred, DeferredState, DeliveryState
from tidegate.deliver import ReplayQuery
from tidegate.deliver.deferred import LOAD_LIMIT, MEMORY_LIMIT, DeferredQueue

SOURCE = "[sources.shop.publish]\n"
ROUTE = '[routes.all]\nfrom = "shop"\nto = "crm"\n'


def destination(server: ScriptedServer, name: str = "crm", **keys: Any) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return f'[destinations.{name}]\nurl = "http://127.0.0.1:{server.port}/{name}"\n{lines}'


class Gate:
    """A receiver that answers once `open` is set, with the current `status`."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.status = b"200 OK"

    async def __call__(self, reader: Any, writer: Any, request: Any) -> None:
        await self.open.wait()
        writer.write(b"HTTP/1.1 " + self.status + b"\r\ncontent-length: 0\r\n\r\n")


async def numbers_of(server: ScriptedServer) -> list[int]:
    return [json.loads(request.body)["data"]["n"] for request in server.requests]


async def ordered(gateway: Any, n: int, key: str = "k") -> int:
    return await publish(gateway, json.dumps({"n": n}).encode(), key=key)


async def quiet(gateway: Any) -> bool:
    return (await counters(gateway))["crm"]["pending"] == 0


async def test_a_canceled_delivery_behind_its_key_is_never_sent_though_the_first_fails(tmp_path: Path) -> None:
    gate = Gate()
    async with ScriptedServer(gate) as server:
        toml = SOURCE + destination(server, ordered_by="key", retry=["50ms", "50ms"]) + ROUTE
        async with running(tmp_path, toml) as gateway:
            number = gateway.active.destinations["crm"].number
            offsets = [await ordered(gateway, n) for n in range(3)]
            await until(lambda: server.requests)
            await gateway.deliver.cancel(offsets[1], number)
            gate.status = b"500 X"
            gate.open.set()
            await until(lambda: len(server.requests) == 2)
            gate.status = b"200 OK"
            await until(lambda: quiet(gateway))
            assert await numbers_of(server) == [0, 0, 2] or await numbers_of(server) == [0, 0, 0, 2]
            found = (await counters(gateway))["crm"]
            assert (found["delivered"], found["canceled"]) == (2, 1)


async def test_a_key_continues_after_a_bulk_settlement_of_its_failed_delivery_and_those_behind_it(
    tmp_path: Path,
) -> None:
    gate = Gate()
    gate.status = b"500 X"
    gate.open.set()
    async with ScriptedServer(gate) as server:
        toml = SOURCE + destination(server, ordered_by="key", retry=["10m"]) + ROUTE
        async with running(tmp_path, toml) as gateway:
            last = [await ordered(gateway, n) for n in range(4)][-1]
            await until(lambda: server.requests)
            await gateway.deliver.settler.flush()
            await gateway.deliver.expire(last)
            assert (await counters(gateway))["crm"]["exhausted"] == 4
            gate.status = b"200 OK"
            await ordered(gateway, 4)
            await until(lambda: quiet(gateway))
            assert await numbers_of(server) == [0, 4]


async def test_a_key_continues_after_a_bulk_settlement_cut_its_request_off(tmp_path: Path) -> None:
    gate = Gate()
    async with ScriptedServer(gate) as server:
        toml = SOURCE + destination(server, ordered_by="key") + ROUTE
        async with running(tmp_path, toml) as gateway:
            last = [await ordered(gateway, n) for n in range(3)][-1]
            await until(lambda: server.requests)
            await gateway.deliver.expire(last)
            assert (await counters(gateway))["crm"]["exhausted"] == 3
            gate.open.set()
            await ordered(gateway, 3)
            await until(lambda: quiet(gateway))
            assert await numbers_of(server) == [0, 3]


def test_a_retry_due_soon_does_not_wait_behind_thousands_due_late() -> None:
    waiting = DeferredQueue()
    for offset in range(1, MEMORY_LIMIT + 1):
        waiting.add(Deferred(1, offset, DeferredState.PENDING, 1_000_000 + offset, attempts=1))
    waiting.add(Deferred(1, 9_000, DeferredState.PENDING, 5, attempts=1))
    assert waiting.next_retry() == (5, 9_000)
    assert len(waiting) == MEMORY_LIMIT
    assert waiting.overflow


def test_a_first_try_is_kept_in_memory_however_many_retries_are_due() -> None:
    waiting = DeferredQueue()
    for offset in range(1, MEMORY_LIMIT + 10):
        waiting.add(Deferred(1, offset, DeferredState.PENDING, offset, attempts=1))
    waiting.add(Deferred(1, 9_000, DeferredState.PENDING, 999_999))
    assert waiting.next_first_try() == (999_999, 9_000)
    assert len(waiting) == MEMORY_LIMIT


def test_a_table_larger_than_memory_is_taken_by_due_time_and_nothing_is_left() -> None:
    table = {n: Deferred(1, n, DeferredState.PENDING, (n * 7919) % 10_007, attempts=1) for n in range(1, 5_001)}
    waiting = DeferredQueue()
    taken: list[int] = []
    for one in table.values():
        waiting.add(one)
    while table:
        due = waiting.next_retry()
        if due is None:
            assert waiting.overflow
            waiting.begin_load()
            rows = sorted(table.values(), key=lambda one: (one.due_at_us, one.offset))[:LOAD_LIMIT]
            waiting.loaded(rows)
            for one in rows:
                waiting.add(one)
            continue
        one = waiting.take(due[1])
        waiting.remove(one.offset)
        taken.append(one.due_at_us)
        del table[one.offset]
        if len(taken) == 100:  # a new failure, due before all others
            table[6_000] = Deferred(1, 6_000, DeferredState.PENDING, taken[-1], attempts=1)
            waiting.add(table[6_000])
    assert taken == sorted(taken)
    assert len(taken) == 5_001


async def test_the_backlog_of_a_deleted_destination_is_canceled_after_a_crash_in_the_middle_of_the_delete(
    tmp_path: Path,
) -> None:
    gate = Gate()
    gate.status = b"500 X"
    gate.open.set()
    async with ScriptedServer(gate) as server:
        toml = SOURCE + destination(server, retry=["10m"]) + ROUTE
        async with running(tmp_path, toml) as gateway:
            for n in range(5):
                await ordered(gateway, n)
            await until(lambda: len(server.requests) >= 5)
            item = next(one for one in await gateway.store.settings.items() if one.kind == "destination")
            route = next(one for one in await gateway.store.settings.items() if one.kind == "route")
            # As after a crash: the delete is on disk, and what follows from it is not.
            gone = [msgspec.structs.replace(one, deleted_at_us=1) for one in (item, route)]
            await gateway.store.settings.put_items(gone)
        async with running(tmp_path, SOURCE) as gateway:

            async def settled() -> bool:
                await gateway.deliver.settler.flush()
                (lane,) = [
                    one for one in (await gateway.store.deliveries.counters()).lanes if one.destination == item.number
                ]
                return lane.canceled == 5

            await until(settled)


async def test_a_retry_of_an_adopted_delivery_keeps_the_route_that_adopted_it(tmp_path: Path) -> None:
    gate = Gate()
    gate.status = b"500 X"
    gate.open.set()
    async with ScriptedServer(gate) as server:
        async with running(tmp_path, SOURCE) as gateway:
            offset = await publish(gateway, b'{"a": 1, "b": 2}')
        route = ROUTE + 'transform = { pick = ["data.a"] }\n'
        async with running(tmp_path, SOURCE + destination(server, retry=["10ms"]) + route) as gateway:
            number = gateway.active.destinations["crm"].number
            await gateway.deliver.replay(ReplayQuery(destination="crm"))

            async def exhausted() -> bool:
                view = (await gateway.deliver.states([(offset, number)])).get((offset, number))
                return view is not None and view.state is DeliveryState.EXHAUSTED

            await until(exhausted)
            gate.status = b"200 OK"
            await gateway.deliver.retry(offset, number)
            await until(lambda: quiet(gateway))
            assert b'"b"' not in server.requests[-1].body


async def test_a_retry_that_is_due_at_once_does_not_block_the_event_loop(tmp_path: Path) -> None:
    gate = Gate()
    gate.open.set()

    async def flaky(reader: Any, writer: Any, request: Any) -> None:
        gate.status = b"500 X" if request.headers["tidegate-attempt"] == "1" else b"200 OK"
        await gate(reader, writer, request)

    async with ScriptedServer(flaky) as server:
        async with running(tmp_path, SOURCE + destination(server, retry=["1ms", "1ms"]) + ROUTE) as gateway:
            for n in range(200):
                await asyncio.wait_for(ordered(gateway, n), 10)  # an append is answered even if a subscriber raises
            await until(lambda: quiet(gateway))
