"""A real HTTP proxy on loopback that makes tunnels (CONNECT), and keeps what it was asked for."""

from __future__ import annotations

import asyncio
import ssl


class ConnectProxy:
    """`async with ConnectProxy() as proxy:`. Where each tunnel really leads is `leads_to`, else what was asked for.

    `authorization`: the Proxy-Authorization that it wants, else it answers 407. `refuses`: the status of each CONNECT,
    200 when the list is used up. `greets`: bytes right after its 200.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        authorization: str = "",
        leads_to: tuple[str, int] | None = None,
        refuses: list[int] | None = None,
        greets: bytes = b"",
    ) -> None:
        self.asked: list[str] = []  # host:port of each CONNECT
        self.heads: list[bytes] = []
        self.passed = b""  # the first bytes that clients sent through
        self.open = 0
        self._tls, self._authorization, self._leads_to = tls, authorization, leads_to
        self._refuses, self._greets = refuses or [], greets
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ConnectProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            await self._tunnel(reader, writer)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        method, authority, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        assert method == "CONNECT"
        self.asked.append(authority)
        status = self._refuses.pop(0) if self._refuses else 200
        if self._authorization and f"proxy-authorization: {self._authorization}\r\n".encode() not in head:
            status = 407
        writer.write(b"HTTP/1.1 %d X\r\n\r\n" % status + (self._greets if status == 200 else b""))
        if status != 200:
            return
        host, _, port = authority.rpartition(":")
        there_reader, there = await asyncio.open_connection(*(self._leads_to or (host.strip("[]"), int(port))))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, there, keep=True))
                group.create_task(self._copy(there_reader, writer))
        finally:
            there.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, keep: bool = False) -> None:
        while data := await source.read(65536):
            if keep and len(self.passed) < 4096:
                self.passed += data
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError
