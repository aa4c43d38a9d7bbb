"""Two systems in step and a gateway that is killed again and again: both end with the same contacts, quietly."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from support.gateway.process import GatewayProcess, free_port
from support.gateway.running import ALLOW, until
from support.upstream.contacts import System, same, toml

CONTACTS = 12
KILLS = 3


async def test_both_ways_sync_survives_kill_9_and_does_not_circle(tmp_path: Path) -> None:
    left, right = System("L"), System("R", upper=True)
    async with left.server, right.server:
        file = tmp_path / "tidegate.toml"
        file.write_text(ALLOW + toml(left, right).replace('poll = "1h"', 'poll = "1s"'))
        port = free_port()

        async def started() -> GatewayProcess:
            return await GatewayProcess(file, tmp_path / "data", port).start()

        running = [await started()]
        try:
            await _kept_in_step(left, right, running, started)
        finally:
            await running[0].end(signal.SIGKILL)


async def _kept_in_step(
    left: System, right: System, running: list[GatewayProcess], started: Callable[[], Awaitable[GatewayProcess]]
) -> None:
    chance = random.Random(5)
    for number in range(CONTACTS):
        left.put(f"l{number}", name=f"Name {number}", phone=str(number))
    await until(lambda: same(left, right), 30)
    keys = {one["phone"]: key for key, one in right.contacts.items()}
    before, changes = left.writes + right.writes, 0
    for round_number in range(KILLS):
        for number in range(CONTACTS):
            if number % 2:
                left.put(f"l{number}", name=f"Left {round_number} {number}")
            else:
                right.put(keys[str(number)], name=f"right {round_number} {number}")
            changes += 1
            await asyncio.sleep(chance.random() * 0.05)
        await asyncio.sleep(chance.random() * 1.2)
        await running[0].end(signal.SIGKILL)
        running[0] = await started()
        await until(lambda: same(left, right), 30)
    await asyncio.sleep(2.2)
    writes = left.writes + right.writes
    await asyncio.sleep(2.2)  # two polls more of each
    assert left.writes + right.writes == writes and same(left, right)
    # A kill repeats at most what was under way; nothing else is written twice.
    assert changes * 0.5 <= writes - before <= changes + KILLS * 2 * 8
    assert len(left.contacts) == len(right.contacts) == CONTACTS
