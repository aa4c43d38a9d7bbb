"""A load balancer as small as can be: asks `/readyz` of its nodes and gives each request to the next one that is ready.

A request goes to another node only when the first could not be connected to, for then nothing of it was sent. Whatever
else fails is answered 502 and counted, and nothing is made up for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

ASK_EVERY_SECONDS = 0.25
ANSWER_SECONDS = 10.0


class Balancer:
    """`nodes` are ports, and may change at any time."""

    def __init__(self, nodes: list[int]) -> None:
        self.nodes = nodes
        self.ready: list[int] = []
        self.port = 0
        self.failed: list[str] = []
        self.missed = 0  # a node that was ready was gone
        self._turn = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Balancer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        asking = asyncio.create_task(self._ask())
        try:
            yield self
        finally:
            server.close()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self) -> None:
        while True:
            answers = await asyncio.gather(*(ready(port) for port in self.nodes))
            self.ready = [port for port, is_ready in zip(self.nodes, answers, strict=False) if is_ready]
            await asyncio.sleep(ASK_EVERY_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            request = head + await reader.readexactly(length)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    writer.write(await self._pass_on(request))
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self.failed.append(repr(error))
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    async def _pass_on(self, request: bytes) -> bytes:
        last: OSError = OSError("no node is ready")
        for _ in list(self.ready):
            self._turn += 1
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.ready[self._turn % len(self.ready)])
            except OSError as error:
                self.missed += 1
                last = error
                continue
            try:
                writer.write(request)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                return answer + await reader.readexactly(length)
            finally:
                writer.transport.abort()
        raise last


async def ready(port: int) -> bool:
    """What `/readyz` says within a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return (await reader.readline()).startswith(b"HTTP/1.1 200")
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False
