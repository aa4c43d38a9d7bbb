"""Rows of the circuit breaker's simulation over real sockets: a gateway, a receiver that fails, and bounds on both.

The receiver decides by the event and the attempt, so a run repeats. Bounds are generous in time, because the machine
may be busy, and exact in what must not happen: a breaker that opens on partial failure, a try spent by an outage, a
request before its time, a good delivery in the dead letters. `tests/simulation` has the whole table in virtual time.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.gateway.process import free_port
from support.gateway.running import counters, publish, running, until
from support.receiver.scripted import Request, ScriptedServer
from tidegate.core.model import DeliveryState, DeliveryView
from tidegate.process.gateway import Gateway

CONCURRENCY = 8
WAIT = 0.3  # seconds of each wait of the schedule
RETRIES = 5
TIMEOUT_SECONDS = 1.0
PER_SECOND = 150


@dataclass
class Receiver:
    """`answers(event, attempt)`: the status, or 0 to hang. Counts what came and when each event was taken."""

    answers: Callable[[int, int], int]
    attempts: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    taken_at: dict[int, float] = field(default_factory=dict)
    first_at: dict[int, float] = field(default_factory=dict)
    open: int = 0
    opens: list[tuple[float, int]] = field(default_factory=list)  # (when, requests at the same time)

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        event, now = json.loads(request.body)["data"]["n"], asyncio.get_running_loop().time()
        self.attempts[event] += 1
        self.first_at.setdefault(event, now)
        self.open += 1
        self.opens.append((now, self.open))
        try:
            status = self.answers(event, self.attempts[event])
            if status == 0:
                self.failed += 1
                await reader.read()
                return
            await asyncio.sleep(0.002)
            if status == 200:
                assert event not in self.taken_at, "a delivered event came again"
                self.taken_at[event] = asyncio.get_running_loop().time()
            else:
                self.failed += 1
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
        finally:
            self.open -= 1


def configuration(port: int, retries: int = RETRIES) -> str:
    schedule = json.dumps([f"{WAIT * 1000:g}ms"] * retries)
    return (
        f'[sources.shop.publish]\n[destinations.crm]\nurl = "http://127.0.0.1:{port}/"\nretry = {schedule}\n'
        f'concurrency = {CONCURRENCY}\ntimeout = "{TIMEOUT_SECONDS * 1000:g}ms"\n'
        '[routes.all]\nfrom = "shop"\nto = "crm"\n'
    )


class Run:
    """Publishes events and watches the breaker meanwhile."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.number = gateway.active.destinations["crm"].number
        self.published_at: dict[int, float] = {}
        self.offsets: dict[int, int] = {}
        self.opened = False

    async def publish(self, events: range, per_second: float = PER_SECOND) -> None:
        for event in events:
            self.published_at[event] = asyncio.get_running_loop().time()
            self.offsets[event] = await publish(self.gateway, b'{"n":%d}' % event)
            await asyncio.sleep(1 / per_second)

    async def watch(self) -> None:
        while True:
            sender = self.gateway.deliver.senders.get(self.number)
            self.opened = self.opened or (sender is not None and sender.limits.breaker.state == "open")
            await asyncio.sleep(0.01)

    async def _view(self, event: int) -> DeliveryView:
        pair = self.offsets[event], self.number
        return (await self.gateway.deliver.states([pair]))[pair]

    async def is_exhausted(self, event: int) -> bool:
        return (await self._view(event)).state is DeliveryState.EXHAUSTED

    async def attempts(self, event: int) -> int:
        return len((await self._view(event)).attempts)

    def delays(self, receiver: Receiver, good: Callable[[int], bool]) -> list[float]:
        return sorted(receiver.taken_at[n] - at for n, at in self.published_at.items() if good(n))


@asynccontextmanager
async def watched(folder: Path, toml: str) -> AsyncIterator[Run]:
    async with running(folder, toml) as gateway:
        run = Run(gateway)
        watcher = asyncio.create_task(run.watch())
        try:
            yield run
        finally:
            watcher.cancel()
            for sender in gateway.deliver.senders.values():
                sender.abort_all()


def by_share(share: float, seed: int) -> Callable[[object], bool]:
    return lambda what: random.Random(f"{seed}:{what}").random() < share


def never(_: int) -> bool:
    return False


@dataclass
class Row:
    """`p50`, `p99`: of good deliveries, in seconds. `failed`: the most requests that fail."""

    name: str
    answers: Callable[[int, int], int]
    p50: float
    p99: float
    failed: int
    bad: Callable[[int], bool] = never
    events: int = 300
    ends: bool = True  # whether the test waits until bad deliveries are exhausted


_by_request, _by_event, _hangs = by_share(0.2, 3), by_share(0.2, 4), by_share(0.02, 5)
TRIES = RETRIES + 1
ROWS = [
    Row("20% fail by request", lambda n, attempt: 500 if _by_request((n, attempt)) else 200, 0.1, 3 * WAIT + 1, 100),
    Row("20% fail by event", lambda n, attempt: 500 if _by_event(n) else 200, 0.1, 0.5, 90 * TRIES, _by_event),
    Row("one poison event", lambda n, attempt: 500 if n == 30 else 200, 0.1, 0.5, TRIES, lambda n: n == 30),
    Row("2% of events hang", lambda n, attempt: 0 if _hangs(n) else 200, 0.1, 0.5, 12 * TRIES, _hangs, ends=False),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_destination_that_fails_in_part_delays_no_good_delivery(tmp_path: Path, row: Row) -> None:
    receiver = Receiver(row.answers)
    good = [n for n in range(row.events) if not row.bad(n)]
    bad = [n for n in range(row.events) if row.bad(n)]
    async with ScriptedServer(receiver.script) as server, watched(tmp_path, configuration(server.port)) as run:
        await run.publish(range(row.events))
        await until(lambda: len(receiver.taken_at) == len(good), 20)
        delays = run.delays(receiver, lambda n: not row.bad(n))
        print(f"{row.name}: p50 {delays[len(delays) // 2]:.3f} s, p99 {delays[int(len(delays) * 0.99)]:.3f} s, "
              f"{receiver.failed} failed of {receiver.attempts.total()} requests")  # fmt: skip
        assert delays[len(delays) // 2] < row.p50
        assert delays[int(len(delays) * 0.99)] < row.p99
        for event in bad[:5] if row.ends else []:
            await until(functools.partial(run.is_exhausted, event), 20)
            assert receiver.attempts[event] == TRIES
        assert receiver.failed <= row.failed
        assert not run.opened, "partial failure never opens the breaker"
        assert max(at_once for _, at_once in receiver.opens) <= CONCURRENCY


async def test_an_outage_over_a_restart_spends_few_tries_and_the_backlog_comes_back_slowly_then_fast(
    tmp_path: Path,
) -> None:
    """Dead, then a restart with a backlog of retries while it is still dead, then it recovers."""
    port = free_port()
    toml = configuration(port)
    async with watched(tmp_path, toml) as before:
        await before.publish(range(200), 400)
        await until(lambda: before.opened, 10)
        await asyncio.sleep(5 * WAIT)
    async with watched(tmp_path, toml) as run:
        await run.publish(range(200, 220), 400)
        await asyncio.sleep(1.0)
        assert run.opened, "the outage is known after the restart"
        receiver = Receiver(lambda n, attempt: 200)
        async with FixedPort(receiver, port):
            back = asyncio.get_running_loop().time()
            await until(lambda: len(receiver.taken_at) == 220, 30)
            first, last = min(receiver.first_at.values()), max(receiver.taken_at.values())
            print(f"recovered after {first - back:.2f} s, all after {last - back:.2f} s")
            assert first - back < 6, "the wait between probes is still short"
            assert last - first < 5
            assert max(at_once for at, at_once in receiver.opens if at < first + 0.002) <= 2, "a probe, then a few"
            assert max(at_once for _, at_once in receiver.opens) <= CONCURRENCY
            assert receiver.attempts.total() == 220, "nothing was sent twice"
        run.offsets |= before.offsets
        spent = {event: await run.attempts(event) - 1 for event in run.offsets}
        print(f"{sum(spent.values())} tries were lost")
        assert sum(spent.values()) <= 45 and max(spent.values()) <= 3
        assert not any(spent[event] for event in range(200, 220)), "an open breaker holds what comes later"
        assert (await counters(run.gateway))["crm"]["exhausted"] == 0


class FixedPort(ScriptedServer):
    """A receiver that comes back at its old port."""

    def __init__(self, receiver: Receiver, port: int) -> None:
        super().__init__(receiver.script)
        self._fixed = port

    async def __aenter__(self) -> FixedPort:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._fixed, limit=1 << 20)
        self.port = self._fixed
        self.url = f"http://127.0.0.1:{self.port}"
        return self
