"""Load over plain connections: closed loop, or at a rate that does not wait for answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import httptools
import msgspec


class Answered(msgspec.Struct):
    status: int
    seconds: float
    retry_after: bool


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpResponseParser(self)
        self.future: asyncio.Future[Answered] | None = None

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.retry_after = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.retry_after = self.retry_after or name.lower() == b"retry-after"

    def on_message_complete(self) -> None:
        assert self.future is not None
        self.future.set_result(
            Answered(self.parser.get_status_code(), time.perf_counter() - self.began, self.retry_after)
        )

    async def post(self, request: bytes) -> Answered:
        self.future = asyncio.get_running_loop().create_future()
        self.began = time.perf_counter()
        self.transport.write(request)
        return await self.future


class Load:
    """Sends one event over and over to a source of a gateway on `port`."""

    def __init__(self, port: int, source: str, body: bytes = b'{"type":"t"}') -> None:
        head = f"POST /in/{source} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self._port = port
        self._idle: list[_Connection] = []
        self._all: list[_Connection] = []

    async def _connect(self) -> _Connection:
        _, one = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        self._all.append(one)
        return one

    async def once(self) -> Answered:
        one = self._idle.pop() if self._idle else await self._connect()
        answered = await one.post(self._request)
        self._idle.append(one)
        return answered

    async def closed_loop(self, connections: int, seconds: float) -> list[Answered]:
        """Each connection sends again as soon as it has its answer."""
        end = time.perf_counter() + seconds
        answers: list[Answered] = []

        async def send() -> None:
            while time.perf_counter() < end:
                answers.append(await self.once())

        await asyncio.gather(*(send() for _ in range(connections)))
        return answers

    async def at_rate(self, per_second: float, seconds: float) -> list[Answered]:
        """So many a second, whatever the answers are; waits for all of them."""
        began = time.perf_counter()
        sent: list[asyncio.Task[Answered]] = []
        while (passed := time.perf_counter() - began) < seconds:
            sent += [asyncio.ensure_future(self.once()) for _ in range(int(passed * per_second) - len(sent))]
            await asyncio.sleep(0.005)
        return list(await asyncio.gather(*sent))

    def close(self) -> None:
        for one in self._all:
            one.transport.close()


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
