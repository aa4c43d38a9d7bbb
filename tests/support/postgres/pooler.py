"""A pooler in transaction mode, as small as can be: between transactions a client has no server session of its own."""

from __future__ import annotations

import asyncio
import contextlib
import struct

SSL_REQUEST = 80877103


class Pooler:
    """Takes clients and gives each transaction the server session that was given back last."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._greeting = b""
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._all: list[asyncio.StreamWriter] = []
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Pooler:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in [*self._clients, *self._all]:
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            startup = await _untyped(reader)
            if struct.unpack_from("!I", startup, 4)[0] == SSL_REQUEST:
                writer.write(b"N")
                startup = await _untyped(reader)
            if not self._greeting:
                self._greeting, session = await self._connect(startup)
                self._free.append(session)
            writer.write(self._greeting)
            await self._forward(reader, writer, startup)
        writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, startup: bytes) -> None:
        transaction: asyncio.Task[None] | None = None
        while (message := await _typed(reader))[:1] != b"X":
            if transaction is None or transaction.done():
                session = self._free.pop() if self._free else (await self._connect(startup))[1]
                transaction = asyncio.create_task(self._answers(session, writer))
            session[1].write(message)

    async def _connect(self, startup: bytes) -> tuple[bytes, tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._all.append(writer)
        writer.write(startup)
        greeting = b""
        while True:
            message = await _typed(reader)
            greeting += message
            if message[:1] == b"Z":
                return greeting, (reader, writer)

    async def _answers(
        self, session: tuple[asyncio.StreamReader, asyncio.StreamWriter], writer: asyncio.StreamWriter
    ) -> None:
        """To the end of the transaction: "ready", and none is open."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            answer = b""
            while answer[:1] != b"Z" or answer[5:6] != b"I":
                answer = await _typed(session[0])
                writer.write(answer)
            self._free.append(session)


async def _untyped(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack("!I", length)[0] - 4)


async def _typed(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
