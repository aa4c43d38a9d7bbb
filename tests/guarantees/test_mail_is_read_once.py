"""Every mail that arrives after the first look is an event exactly once, through kill -9 and cut connections.

A gateway of its own reads a mailbox of a real Dovecot through a connection that is cut at random, while mail is
delivered; the gateway is killed with -9 at random moments and started again. TIDEGATE_KILL_ROUNDS sets the rounds.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from support.faults.cuttable_connection import Connection
from support.gateway.cluster import MASTER
from support.gateway.process import GatewayProcess, call, free_port
from support.gateway.running import until
from support.mail.dovecot import BINARY, PASSWORD, Dovecot, running_dovecot
from support.postgres.server import database_for

pytestmark = pytest.mark.skipif(BINARY is None, reason="dovecot is not installed (Debian: dovecot-imapd)")
ROUNDS = max(4, int(os.environ.get("TIDEGATE_KILL_ROUNDS", "12")) // 3)


def configuration(port: int, more: str) -> str:
    return (
        '[egress]\nallow = ["127.0.0.1/32"]\n[sources.inbox.imap]\nhost = "localhost"\ntls = "none"\n'
        f'port = {port}\n{more}\nauth = {{ type = "password", username = "ann", password = "{PASSWORD}" }}\n'
    )


class Postman:
    """Delivers numbered mails, several a moment, while it runs."""

    def __init__(self, server: Dovecot, chance: random.Random) -> None:
        self._server = server
        self._chance = chance
        self.sent = 0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for _ in range(self._chance.randint(1, 4)):
                self.sent += 1
                # A Message-ID repeats: a mail is not known by it alone.
                head = f"Subject: {self.sent}\r\nMessage-ID: <{self.sent % 7}@example.com>\r\n\r\n"
                self._server.deliver(head.encode() + b"x" * self._chance.randint(0, 5000))
            await asyncio.sleep(self._chance.uniform(0.01, 0.2))


async def subjects(gateway: GatewayProcess) -> Counter[str]:
    found: Counter[str] = Counter()
    cursor = ""
    while True:
        page = await call(gateway.url, f"/api/v1/events?limit=500{cursor}", gateway.key)
        found.update(one["data"]["subject"] for one in page["data"] if one["type"] == "mail.received")
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize(
    "more",
    ['mode = "idle"', 'mode = "poll"\npoll = "1s"\nmark_seen = true\nmove_to = "Done"'],
    ids=["idle", "poll and move"],
)
async def test_every_mail_is_one_event_though_the_gateway_is_killed_and_connections_are_cut(
    tmp_path: Path, more: str
) -> None:
    chance = random.Random(more)
    with running_dovecot() as server:
        server.deliver(b"Subject: before the first look\r\n\r\n")
        server.deliver(b"Subject: x\r\n\r\n", folder="Done")
        connection = await Connection(server.port).start()
        file = tmp_path / "tidegate.toml"
        file.write_text(configuration(connection.port, more))
        port = free_port()
        gateway = await GatewayProcess(file, tmp_path / "data", port).start()
        await until(lambda: has_looked(gateway), 20)
        postman, stop = Postman(server, chance), asyncio.Event()
        work = asyncio.create_task(postman.run(stop))
        for _ in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.2, 1.2))
            connection.cut()
            await asyncio.sleep(chance.uniform(0.0, 0.8))
            await gateway.end(signal.SIGKILL)
            gateway = await GatewayProcess(file, tmp_path / "data", port).start()
        stop.set()
        await work

        async def complete() -> bool:
            return len(await subjects(gateway)) >= postman.sent

        await until(complete, 60, every_seconds=0.3)
        found = await subjects(gateway)
        assert postman.sent > 20
        assert found == Counter({str(number): 1 for number in range(1, postman.sent + 1)})
        await gateway.end(signal.SIGTERM)
        await connection.stop()


async def has_looked(gateway: GatewayProcess) -> bool:
    stats = await call(gateway.url, "/api/v1/stats", gateway.key)
    return bool(stats["mailboxes"]["inbox"]["looks"])


async def test_of_two_nodes_one_reads_the_mailbox_and_the_other_takes_over_after_kill_9(tmp_path: Path) -> None:
    with running_dovecot() as server:
        server.deliver(b"Subject: before the first look\r\n\r\n")
        file = tmp_path / "tidegate.toml"
        file.write_text(configuration(server.port, 'mode = "idle"'))
        more, environ = ("--database", database_for(tmp_path)), {"TIDEGATE_SECRET_KEY": MASTER}
        nodes = [
            await GatewayProcess(file, tmp_path / name, free_port(), more=more, environ=environ).start()
            for name in ("one", "two")
        ]

        async def reading() -> list[bool]:
            stats = [await call(node.url, "/api/v1/stats", node.key) for node in nodes if node.running]
            return [one["mailboxes"]["inbox"]["connected"] for one in stats]

        async def one_reads() -> bool:
            return (await reading()).count(True) == 1

        await until(one_reads, 30, every_seconds=0.3)
        server.deliver(b"Subject: 1\r\n\r\n")
        await until(lambda: has(nodes[1], "1"), 20, every_seconds=0.3)
        reader = nodes[(await reading()).index(True)]
        await reader.end(signal.SIGKILL)
        server.deliver(b"Subject: 2\r\n\r\n")
        other = next(node for node in nodes if node is not reader)
        await until(lambda: has(other, "2"), 40, every_seconds=0.3)
        assert await subjects(other) == Counter({"1": 1, "2": 1})
        await other.end(signal.SIGTERM)


async def has(gateway: GatewayProcess, subject: str) -> bool:
    return subject in await subjects(gateway)
