"""Promise 6: with `ordered_by`, first successes of a key come in order.

A gateway of its own sends to a receiver that fails a third of the time, hangs now and then and loses answers, and is
killed with -9, stopped and started while publishers (one a key, one event after the other) go on. What the receiver
answered with 2xx, the first time for each event, must be in the order in which the events of the key were acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from typing import Any

from support.gateway.deployment import Deployment
from support.gateway.process import GatewayProcess, call
from support.gateway.running import until
from support.receiver.scripted import ScriptedServer

ROUNDS = max(4, int(os.environ.get("TIDEGATE_KILL_ROUNDS", "12")) // 3)
KEYS = 6
LAST_WORD_SECONDS = 60


def configuration(port: int) -> str:
    retry = ", ".join(['"10ms"', '"20ms"', *['"40ms"'] * 60])
    return f"""
[egress]
allow = ["127.0.0.1/32"]
[sources.shop.publish]
[destinations.crm]
url = "http://127.0.0.1:{port}/"
ordered_by = "data.customer"
retry = [{retry}]
timeout = "400ms"
concurrency = 4
[routes.all]
from = "shop"
to = "crm"
"""


class Customer:
    """Publishes one event after the other for one key; an unanswered one may or may not have been taken."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0
        self.acknowledged: list[int] = []

    async def run(self, gateway: GatewayProcess, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.number += 1
            event = {"source": "shop", "type": "t", "data": {"customer": self.name, "n": self.number}}
            try:
                await call(gateway.url, "/api/v1/events", gateway.key, "POST", event)
            except (OSError, IndexError, ValueError, AssertionError, asyncio.IncompleteReadError):
                return  # killed
            self.acknowledged.append(self.number)


class FaultyReceiver:
    """The receiver: what it answered with 2xx, in that order."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.fails = True
        self.successes: list[tuple[str, int]] = []
        self.requests = 0

    async def __call__(self, reader: Any, writer: Any, request: Any) -> None:
        data = json.loads(request.body)["data"]
        self.requests += 1
        draw = self._chance.random() if self.fails else 1.0
        if draw < 0.30:
            writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")
            return
        if draw < 0.32:
            await asyncio.sleep(0.6)  # longer than the timeout: the answer comes to nobody
            return
        self.successes.append((data["customer"], data["n"]))
        if draw < 0.36:
            writer.close()  # taken, and the answer lost
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def firsts(self, customer: str) -> list[int]:
        return list(dict.fromkeys(n for name, n in self.successes if name == customer))


async def rounds(
    deployment: Deployment, receiver: FaultyReceiver, chance: random.Random, customers: list[Customer]
) -> None:
    async with ScriptedServer(receiver) as server:
        gateway = deployment.process(configuration(server.port))
        for number in range(ROUNDS):
            await gateway.start()
            stop = asyncio.Event()
            tasks = [asyncio.create_task(customer.run(gateway, stop)) for customer in customers]
            await asyncio.sleep(chance.uniform(0.05, 0.5))
            if number % 4 == 3:
                stop.set()
                await asyncio.gather(*tasks)
                assert await gateway.end(signal.SIGTERM) == 0
            else:
                await gateway.end(signal.SIGKILL)
                stop.set()
                await asyncio.gather(*tasks)
        receiver.fails = False
        await gateway.start()

        async def quiet() -> bool:
            with contextlib.suppress(OSError):
                return (await call(gateway.url, "/api/v1/stats", gateway.key))["totals"]["pending"] == 0
            return False

        await until(quiet, LAST_WORD_SECONDS)
        counters = (await call(gateway.url, "/api/v1/stats", gateway.key))["totals"]
        await gateway.end(signal.SIGTERM)
        assert counters["exhausted"] == counters["canceled"] == 0
        assert [line for line in gateway.stderr.splitlines() if b'"level":"error"' in line] == []


async def test_first_successes_of_a_key_come_in_order_through_failures_and_kills(deployment: Deployment) -> None:
    chance = random.Random(6)
    receiver = FaultyReceiver(chance)
    customers = [Customer(f"c{number}") for number in range(KEYS)]
    await rounds(deployment, receiver, chance, customers)
    acknowledged = sum(len(customer.acknowledged) for customer in customers)
    requests, successes = receiver.requests, len(receiver.successes)
    print(f"{ROUNDS} rounds, {acknowledged} acknowledged, {requests} requests, {successes} successes")
    assert acknowledged > ROUNDS * KEYS
    for customer in customers:
        firsts = receiver.firsts(customer.name)
        assert set(customer.acknowledged) <= set(firsts)
        assert firsts == sorted(firsts)
