"""Several gateways on one real PostgreSQL, a load with order in it, and the faults that befall both.

A `Teller` is a provider as providers are: it sends the next event of its key only after the one before was answered
with 2xx, and sends again, to another node, what was not. The receiver (`Landing`) keeps when each event first arrived.
Everything is on loopback; processes are ended by their own id.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from support.gateway.process import SECRET, GatewayProcess, Receiver, free_port, read_answer, signed_request
from support.postgres.server import Server

MASTER = base64.b64encode(b"m" * 32).decode()  # the nodes' shared key
ANSWER_SECONDS = 8.0


class OrderedReceiver(Receiver):
    """A receiver that answers 200; for each destination and key, when and in which order events first came."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[tuple[float, str, str, int]] = []  # (when, destination, key, number): first ones only
        self.ids: dict[tuple[str, str, int], set[str]] = {}
        self.again = 0

    def keep(self, path: str, headers: dict[str, str], body: bytes) -> None:
        event = json.loads(body)
        place = (path.strip("/"), event["key"], event["number"])
        if place in self.ids:
            self.again += 1
        else:
            self.arrivals.append((time.monotonic(), *place))
        self.ids.setdefault(place, set()).add(headers["webhook-id"])

    def disorder(self) -> list[tuple[str, str, int]]:
        """First arrivals that came after a later one of their key at the same destination."""
        highest: dict[tuple[str, str], int] = {}
        wrong = []
        for _, destination, key, number in self.arrivals:
            if number < highest.get((destination, key), 0):
                wrong.append((destination, key, number))
            highest[destination, key] = max(number, highest.get((destination, key), 0))
        return wrong

    def longest_gap(self, destination: str, since: float, until: float) -> float:
        """Seconds: the longest time without a first arrival at a destination between two instants."""
        times = [since, *(at for at, one, _, _ in self.arrivals if one == destination and since < at < until), until]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


class OrderedProvider:
    """One key's provider: numbered events, one at a time, again until acknowledged."""

    def __init__(self, ports: Callable[[], Sequence[int]], key: str, pause: float) -> None:
        self._ports = ports
        self._pause = pause
        self._turn = sum(key.encode())
        self.key = key
        self.acknowledged: dict[int, str] = {}  # number -> event id
        self.refused: list[int] = []  # statuses that were neither 2xx nor 503 or 429
        self.busy: list[float] = []  # seconds that each 503 took
        self.cut: list[str] = []  # what ended a request without an answer

    async def run(self, stop: asyncio.Event) -> None:
        number = 1
        while not stop.is_set():
            event_id = await self._send_number(number)
            if event_id is None:
                await asyncio.sleep(0.05)
                self._turn += 1
                continue
            self.acknowledged[number] = event_id
            number += 1
            await asyncio.sleep(self._pause)

    async def _send_number(self, number: int) -> str | None:
        """The event id when it was acknowledged."""
        body = json.dumps({"key": self.key, "number": number}).encode()
        ports = self._ports()
        began = time.monotonic()
        try:
            status, content = await asyncio.wait_for(
                post(ports[self._turn % len(ports)], f"{self.key}-{number}", body), ANSWER_SECONDS
            )
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.cut.append(repr(error))
            return None
        if status in (200, 202):
            return str(json.loads(content)["id"])
        if status in (429, 503):
            self.busy.append(time.monotonic() - began)
        else:
            self.refused.append(status)
        return None


async def post(port: int, delivery_id: str, body: bytes) -> tuple[int, bytes]:
    """One signed webhook over a connection of its own: (status, content)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(signed_request(delivery_id, body, "close"))
        return await read_answer(reader)
    finally:
        writer.transport.abort()


class Cluster:
    """`count` nodes on one database of `server`, each with a data directory and a port of its own."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        receiver: OrderedReceiver,
        count: int,
        destinations: int,
        *,
        migrated: bool = True,
    ) -> None:
        self.server = server
        self.database = server.new_database(migrated=migrated)
        self.destinations = [f"d{number}" for number in range(destinations)]
        self._folder = folder
        self._config = folder / "tidegate.toml"
        self._config.write_text(self._configuration(receiver.port))
        self.nodes = [self.node(f"node{number}") for number in range(count)]

    def ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def _configuration(self, port: int) -> str:
        listed = "".join(
            f'[destinations.{name}]\nurl = "http://127.0.0.1:{port}/{name}"\nordered_by = "data.key"\n'
            f'retry = ["200ms", "200ms", "500ms", "1s", "2s", "5s", "5s"]\n'
            for name in self.destinations
        )
        return (
            f'[egress]\nallow = ["127.0.0.1/32"]\n'
            f'[sources.shop.webhook]\nverify = "standard-webhooks"\nsecret = "{SECRET}"\n{listed}'
            f'[routes.all]\nfrom = "shop"\nto = {json.dumps(self.destinations)}\n'
        )

    def node(
        self, name: str, program: Sequence[str] = ("-m", "tidegate"), environ: Mapping[str, str] | None = None
    ) -> GatewayProcess:
        """One more node, not started yet and not among `nodes`."""
        return GatewayProcess(
            self._config,
            self._folder / name,
            free_port(),
            program,
            more=("--database", self.database),
            environ={"TIDEGATE_SECRET_KEY": MASTER, **(environ or {})},
        )

    async def start(self) -> None:
        await asyncio.gather(*(node.start() for node in self.nodes))

    async def stop(self) -> list[int]:
        """Exit codes after SIGTERM."""
        return list(await asyncio.gather(*(node.end(signal.SIGTERM) for node in self.nodes)))

    # -- faults ------------------------------------------------------------------------------------------

    async def kill_node(self, node: GatewayProcess) -> float:
        """kill -9; the instant it was done. Start it again with `node.start()`."""
        at = time.monotonic()
        await node.end(signal.SIGKILL)
        return at

    @contextlib.asynccontextmanager
    async def paused(self, node: GatewayProcess) -> AsyncIterator[float]:
        """SIGSTOP, and SIGCONT at the end."""
        os.kill(node.pid, signal.SIGSTOP)
        try:
            yield time.monotonic()
        finally:
            os.kill(node.pid, signal.SIGCONT)

    async def restart_server(self, how: str) -> None:
        """`fast`, `immediate` or `kill`; returns when it accepts again."""
        await asyncio.to_thread(self.server.kill if how == "kill" else lambda: self.server.stop(how))
        await asyncio.sleep(0.3)
        self.server.start(wait=False)
        while not await asyncio.to_thread(self.server.accepts):  # noqa: ASYNC110 - another process tells nothing
            await asyncio.sleep(0.05)

    async def cut_sessions(self, share: float) -> int:
        """End about a share of the nodes' sessions at the server, whatever they are doing; how many."""
        connection = await asyncpg.connect(self.database)
        try:
            rows: list[Any] = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < $1",
                share,
            )
        finally:
            await connection.close()
        return len(rows)
