"""A node on a PostgreSQL server as the tests of leases see it: a store, and a holder that keeps the calls it gets.

`Node` lives in the test's own loop. `ChildNode` is a process of its own that executes commands, one a line, so
that it can be killed, paused and woken; run this file with a URL to be one.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tidegate.core.errors import NotFound, TidegateError
from tidegate.core.model import Attempt, Lane, Origin, Outcome, RecordState
from tidegate.store import RecordCommit, ResourceState, Settlement
from tidegate.store.postgres import open_postgres
from tidegate.store.postgres.engine import sql

START_SECONDS = 30.0


class Holder:
    """Feeds what it holds up to `mark`, and settles so when it takes and leaves, as the senders do."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.mark = 0
        self.partitions: frozenset[int] = frozenset()
        self.taken_at: dict[int, int] = {}  # partition -> the mark at which it came
        self.calls: list[tuple[float, str, int]] = []  # (when, what, how many partitions)
        self.refuses: BaseException | None = None  # what the next `take` raises
        self.asked: list[bytes] = []  # the commands that reached this node

    def _note(self, what: str, partitions: frozenset[int]) -> None:
        self.calls.append((time.monotonic(), what, len(partitions)))

    async def take(self, partitions: frozenset[int]) -> None:
        self._note("take", partitions)
        if self.refuses is not None:
            error, self.refuses = self.refuses, None
            raise error
        self.taken_at.update((await self._node.deliveries.load(partitions)).high_water_marks)
        self.mark = max([self.mark, *(self.taken_at[share] for share in partitions)])
        self.partitions |= partitions
        await self._node.settle(self.mark, taken=tuple(partitions))

    async def leave(self, partitions: frozenset[int]) -> None:
        self._note("leave", partitions)
        self.partitions -= partitions
        await self._node.settle(self.mark, left=[(share, self.mark) for share in partitions])

    def lost(self) -> None:
        self._note("lost", self.partitions)
        self.partitions = frozenset()

    async def answer(self, command: bytes) -> bytes:
        self.asked.append(command)
        if command == b"fail":
            raise NotFound("there is no such delivery", hint="list them", code="delivery_unknown")
        if command == b"hang":
            await asyncio.sleep(60)
        return command + b" answered by " + self._node.name.encode()


class Node:
    """A store, and what holds its partitions."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url = url
        self.holder = Holder(self)

    async def open(self) -> Node:
        self._store = await open_postgres(self._url, self.name)
        self.engine, self.log, self.leases = self._store.engine, self._store.log, self._store.leases
        self.deliveries, self.records = self._store.deliveries, self._store.records
        return self

    async def start(self) -> Node:
        await self.open()
        await self.leases.start(self.holder)
        return self

    async def stop(self) -> None:
        await self.leases.stop()
        await self._store.close()

    async def settle(self, mark: int, destination: int | None = None, fence: int = 0, **more: Any) -> None:
        """Move the mark; with `destination` its lane and an attempt as well."""
        lanes = [] if destination is None else [Lane(destination, None, delivered=mark)]
        attempts = [] if destination is None else [Attempt(mark, destination, 1, Outcome.OK, 1, 1)]
        await self.deliveries.settle(Settlement(mark, lanes, attempts, fence=fence, **more))

    async def commit(self, key: str, fence: int) -> None:
        """Keep a record under a fence."""
        record = RecordState("shop", "orders", key, b"h", None, 1, Origin.POLL, 1, 1, 1, False, b"{}")
        await self.records.commit(
            RecordCommit("shop", "orders", [record], [], ResourceState("shop", "orders", key), fence)
        )

    async def stall_in_a_commit(self, fence: int) -> None:
        """Stop dead between the gate and COMMIT, as a process does that is paused there."""
        async with self.engine.work.transaction() as connection:
            assert await connection.fetchval(sql("records")["gate"], self.name, fence)
            signal.raise_signal(signal.SIGSTOP)


class ChildNode:
    """A node in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, url: str, name: str, skew_seconds: int = 0) -> ChildNode:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, url, name, str(skew_seconds),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        child = cls(process)
        async with asyncio.timeout(START_SECONDS):
            assert await child.answer() == "started"
        return child

    def send(self, command: str, *arguments: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, *arguments]).encode() + b"\n")

    async def answer(self) -> Any:
        """The answer to the first command that has none yet: its result, or the code of its error."""
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            return json.loads(await self._process.stdout.readline())

    async def do(self, command: str, *arguments: Any) -> Any:
        self.send(command, *arguments)
        return await self.answer()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.send_signal(signal.SIGCONT)
        await self._process.wait()
        # Let the pipes see their end, so that nothing is left for a later test to be blamed for.
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        await self._process.stdout.read()


async def _serve(url: str, name: str) -> None:
    node = await Node(url, name).start()
    _say("started")
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command, *arguments = json.loads(line)
        try:
            _say(await _execute(node, command, arguments))
        except TidegateError as error:
            _say(error.code)
    await node.stop()


async def _execute(node: Node, command: str, arguments: list[Any]) -> Any:
    if command == "fence":
        return node.leases.fence
    if command == "held":
        return sorted(node.leases.held)
    if command == "calls":
        return [what for _, what, _ in node.holder.calls]
    if command == "mark":
        node.holder.mark = arguments[0]
        return await node.settle(arguments[0])
    work = {"settle": node.settle, "commit": node.commit, "stall": node.stall_in_a_commit, "stop": node.stop}
    return await work[command](*arguments)


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def skew(seconds: int) -> None:
    """This process believes that it is another time of day."""
    honest, honest_ns = time.time, time.time_ns
    time.time = lambda: honest() + seconds
    time.time_ns = lambda: honest_ns() + seconds * 10**9


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    skew(int(sys.argv[3]))
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
