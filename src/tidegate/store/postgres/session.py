"""The node's own session with the server: one direct connection for notifications and for locks of the session.

Owns the connection, replaces it when it is lost, and listens on every channel again. Knows no table. Notifications only
say that it is worth looking: some may be lost with a session, and any role of the database can send one, so what they
announce is always read from tables. After a crash of this process the server ends the session and frees its locks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import asyncpg

from tidegate.core.errors import StoreBroken, StoreBusy
from tidegate.store.postgres.failures import lost
from tidegate.store.sql import queries

RETRY_SECONDS = 0.2  # between two attempts to connect again

log = logging.getLogger("tidegate.store")

OnSession = Callable[[Any], Awaitable[None]]
OnNotification = Callable[[str], None]


class Server(Protocol):
    """What this needs of the engine."""

    broken: StoreBroken | None

    async def connect(self) -> Any: ...
    async def check_connection(self, connection: Any) -> None: ...
    def failed(self, error: BaseException) -> BaseException: ...
    def start_probe(self) -> None: ...


class Session:
    """`connection` is None while there is none. `keep` and `send` run as tasks of the engine."""

    def __init__(self, server: Server) -> None:
        self.connection: Any = None
        self._server = server
        self._ended = asyncio.Event()
        self._use = asyncio.Lock()  # one statement at a time
        self._on_new: list[OnSession] = []
        self._on_lost: list[Callable[[], None]] = []
        self._channels: dict[str, list[OnNotification]] = {}
        self._to_send: dict[tuple[str, str], None] = {}
        self._send_due = asyncio.Event()

    # -- its life ----------------------------------------------------------------------------------------

    def on_new(self, callback: OnSession) -> None:
        """Await `callback(connection)` with each new connection, before it is used for anything else."""
        self._on_new.append(callback)

    def on_lost(self, callback: Callable[[], None]) -> None:
        self._on_lost.append(callback)

    async def adopt(self, connection: Any) -> None:
        """Use a new connection."""
        self._ended.clear()
        connection.add_termination_listener(lambda _: self._ended.set())
        async with self._use:
            for callback in self._on_new:
                await callback(connection)
            for channel, callbacks in self._channels.items():
                for one in callbacks:
                    await self._listen_on(connection, channel, one)
            self.connection = connection

    async def keep(self) -> None:
        """Connect again whenever the connection is lost, until the server became unusable for good."""
        while True:
            await self._ended.wait()
            self.connection = None
            self._server.start_probe()
            for callback in self._on_lost:
                callback()
            while self.connection is None:
                if self._server.broken is not None:
                    return
                await self._connect_again()

    async def _connect_again(self) -> None:
        connection = None
        try:
            connection = await self._server.connect()
            await self._server.check_connection(connection)
            await self.adopt(connection)
        except Exception as error:  # noqa: BLE001 - tried again until the server is back
            log.debug("no session yet: %s", type(error).__name__)
            if connection is not None:
                connection.terminate()
            await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    # -- statements --------------------------------------------------------------------------------------

    async def fetchval(self, text: str, *values: Any) -> Any:
        """Run one statement on the session itself, for locks that belong to it. StoreBusy while there is none."""
        async with self._use:
            if self.connection is None:
                raise StoreBusy("the session with the database is being replaced", retry_after_seconds=1)
            try:
                return await self.connection.fetchval(text, *values)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                if lost(error):
                    self.connection.terminate()  # it may be silent for long: replace it
                raise self._server.failed(error) from error

    # -- notifications -----------------------------------------------------------------------------------

    async def listen(self, channel: str, callback: OnNotification) -> None:
        """Call `callback(payload)` for each notification, also on later connections. Some may be lost."""
        self._channels.setdefault(channel, []).append(callback)
        if self.connection is not None:
            async with self._use:
                await self._listen_on(self.connection, channel, callback)

    async def _listen_on(self, connection: Any, channel: str, callback: OnNotification) -> None:
        def received(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
            callback(payload)

        await connection.add_listener(channel, received)

    def notify(self, channel: str, payload: str = "") -> None:
        """Send a notification soon. Equal ones are sent once; without a connection none is sent."""
        self._to_send[(channel, payload)] = None
        self._send_due.set()

    async def send(self) -> None:
        """Send what `notify` collects."""
        while True:
            await self._send_due.wait()
            self._send_due.clear()
            waiting, self._to_send = list(self._to_send), {}
            channels, payloads = [one[0] for one in waiting], [one[1] for one in waiting]
            try:
                await self.fetchval(queries("postgres/engine")["notify"], channels, payloads)
            except StoreBusy:
                pass  # receivers look by themselves, only later
            except Exception:
                log.exception("%d notifications could not be sent", len(waiting))
