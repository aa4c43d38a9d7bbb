"""Promises 1 and 3: 2xx only after the event is on disk, kill -9 at any instant loses nothing acknowledged, the same
webhook-id over all attempts, bytes as they came.

Each round sends under load and kills the gateway at a random instant of receiving and delivering; the data directory
goes on from round to round. At the end every acknowledged event must have arrived, with the id it was acknowledged
with. The second test runs the same judge on a gateway with a planted fault (answer before commit) and must find losses.
TIDEGATE_KILL_ROUNDS sets the rounds (25 here, 200 in `make proof`).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from support.process import SECRET, GatewayProcess, Receiver, Sender, call, free_port
from support.running import until

ROUNDS = int(os.environ.get("TIDEGATE_KILL_ROUNDS", "25"))
SENDERS = 8
JUDGE = "whsec_" + "anVkZ2Vq" * 4


def configuration(folder: Path, receiver: int) -> Path:
    file = folder / "tidegate.toml"
    file.write_text(
        f'[egress]\nallow = ["127.0.0.1/32"]\n'
        f'[sources.shop.webhook]\nverify = "standard-webhooks"\nsecret = "{SECRET}"\n'
        f'[destinations.crm]\nurl = "http://127.0.0.1:{receiver}/hook"\nsecret = "{JUDGE}"\n'
        f'[routes.all]\nfrom = "shop"\nto = "crm"\n'
    )
    return file


async def one_round(gateway: GatewayProcess, name: str, chance: random.Random) -> list[Sender]:
    await gateway.start()
    senders = [Sender(gateway.port, f"{name}-{number}") for number in range(SENDERS)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(sender.run(stop)) for sender in senders]
    await asyncio.sleep(chance.uniform(0.02, 0.5))
    assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
    stop.set()
    await asyncio.gather(*tasks)
    return senders


async def rounds(folder: Path, count: int, program: tuple[str, ...] = ("-m", "tidegate")) -> dict[str, Any]:
    """Run the rounds and the judge: how many were acknowledged, lost, changed, sent under another id."""
    chance = random.Random(20261124)
    acknowledged: dict[str, tuple[str, bytes]] = {}
    async with Receiver().open() as receiver:
        gateway = GatewayProcess(configuration(folder, receiver.port), folder / "data", free_port(), program)
        for number in range(count):
            for sender in await one_round(gateway, f"r{number}", chance):
                acknowledged.update(sender.acknowledged)
        await gateway.start()

        async def quiet() -> bool:
            books = (await call(gateway.url, "/api/v1/stats", gateway.key))["totals"]
            assert books["exhausted"] == books["cancelled"] == 0
            return books["pending"] == 0

        await until(quiet, 60)
        books = (await call(gateway.url, "/api/v1/stats", gateway.key))["totals"]
        assert await gateway.end(signal.SIGTERM) == 0
    bodies: dict[bytes, set[str]] = {}
    for event_id, body, headers in receiver.arrived:
        Webhook(JUDGE).verify(body, headers)
        bodies.setdefault(body, set()).add(event_id)
    return {
        "acknowledged": len(acknowledged),
        "arrived": len(bodies),
        "duplicates": len(receiver.arrived) - len(bodies),
        "lost": [name for name, (_, body) in acknowledged.items() if body not in bodies],
        "other_id": [name for name, (sent, body) in acknowledged.items() if bodies.get(body, {sent}) != {sent}],
        "books": books,
    }


def test_every_acknowledged_event_arrives_under_its_first_id_though_the_gateway_is_killed(tmp_path: Path) -> None:
    found = asyncio.run(rounds(tmp_path, ROUNDS))
    print(f"{ROUNDS} kills: {found}")
    assert found["acknowledged"] > ROUNDS * 5
    assert found["lost"] == []
    assert found["other_id"] == []
    assert found["books"]["accepted"] == found["books"]["delivered"] == found["arrived"]


def test_the_judge_finds_what_an_answer_before_the_commit_loses(tmp_path: Path) -> None:
    planted = str(Path(__file__).with_name("planted_ack_before_commit.py"))
    found = asyncio.run(rounds(tmp_path, 4, (planted,)))
    assert found["lost"]
