"""Promise 4: a slow or dead destination does not move another's latency.

The same load is measured twice: with the good destination alone, and with seven bad ones beside it that get every
event too: two that never answer, a slow one, a refusing one, one that always fails, one with an endless answer, one
whose body is never read. Both figures come from one run on one machine, so the bound is a ratio.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

from support.gateway.deployment import Deployment
from support.gateway.process import free_port
from support.gateway.running import publish, until
from support.receiver.scripted import ScriptedServer, answer, silence

EVENTS = 400
EVERY_SECONDS = 0.004


async def slow(reader: Any, writer: Any, request: Any) -> None:
    await asyncio.sleep(0.5)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def endless(reader: Any, writer: Any, request: Any) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 4096)
        await writer.drain()
        await asyncio.sleep(0.05)


class Arrivals:
    """When each event came in, and when the good receiver had it."""

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.arrived: dict[int, float] = {}

    async def script(self, reader: Any, writer: Any, request: Any) -> None:
        self.arrived[len(self.arrived)] = time.perf_counter()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def latencies(self) -> list[float]:
        """The n-th arrival less the n-th sending: what a queue that falls behind would show as a slope."""
        assert len(self.arrived) == len(self.sent)
        return [self.arrived[n] - at for n, at in enumerate(self.sent)]


def configuration(good: int, bad: dict[str, int]) -> str:
    everyone = {"good": good, **bad}
    lines = ["[sources.shop.publish]"]
    for name, port in everyone.items():
        lines += [f"[destinations.{name}]", f'url = "http://127.0.0.1:{port}/"', 'timeout = "5s"', 'retry = ["1m"]']
    names = ", ".join(f'"{name}"' for name in everyone)
    return "\n".join([*lines, "[routes.all]", 'from = "shop"', f"to = [{names}]", ""])


async def measure(deployment: Deployment, good: ScriptedServer, arrivals: Arrivals, bad: dict[str, int]) -> list[float]:
    async with deployment.running(configuration(good.port, bad)) as gateway:
        await publish(gateway, b"{}")  # the first of all makes senders and connections
        await until(lambda: len(arrivals.arrived) == 1)
        arrivals.arrived.clear()
        for _ in range(EVENTS):
            arrivals.sent.append(time.perf_counter())
            await publish(gateway, b"{}")
            await asyncio.sleep(EVERY_SECONDS)
        await until(lambda: len(arrivals.arrived) == EVENTS, 60)
        if bad:
            number = gateway.active.destinations["silent"].number
            lag = gateway.deliver.health(number)
            assert lag.in_flight or lag.circuit != "closed"  # it really hung, on a slow machine beyond its time limit
            assert lag.in_flight + lag.waiting + lag.lag_events >= EVENTS
        for sender in gateway.deliver.senders.values():
            sender.abort_all()  # nothing is gained by waiting for those that never answer
    return arrivals.latencies()


async def test_seven_bad_destinations_do_not_move_the_latency_of_the_eighth(
    new_deployment: Callable[[], Deployment],
) -> None:
    alone, beside = Arrivals(), Arrivals()
    async with ScriptedServer(alone.script) as one:
        first = await measure(new_deployment(), one, alone, {})
    async with (
        ScriptedServer(beside.script) as good,
        ScriptedServer(silence) as silent,
        ScriptedServer(silence, read_body=False) as mute,
        ScriptedServer(slow) as slowly,
        ScriptedServer(answer(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")) as failing,
        ScriptedServer(endless) as without_end,
        ScriptedServer(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")) as half,
    ):
        bad = {
            "silent": silent.port,
            "mute": mute.port,
            "slowly": slowly.port,
            "failing": failing.port,
            "without-end": without_end.port,
            "half": half.port,
            "refusing": free_port(),
        }
        second = await measure(new_deployment(), good, beside, bad)
    for share in (0.5, 0.9):
        before = statistics.quantiles(first, n=100)[int(share * 100) - 1]
        after = statistics.quantiles(second, n=100)[int(share * 100) - 1]
        print(f"p{share * 100:.0f}: alone {before * 1000:.1f} ms, beside seven bad ones {after * 1000:.1f} ms")
        # A shared window or a shared wait would show as the seconds that the bad ones take.
        assert after < before * 4 + 0.1
