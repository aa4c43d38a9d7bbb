"""Who may use how many of the pool's connections, so that no kind of work takes them from one that matters more.

`vital`: what ingest and the lease rest on (append, follow, settle, join, take). It may use the whole pool, and two
connections are used by nothing else. `work`: what a node does by itself. `asked`: reads that somebody asks for and
that may be long (a search, a page, the counters), a few at once, and work keeps one besides.
Errors are translated here, once for each use (`failures.py`). A caller waits at most 0.8 s, then StoreBusy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

import asyncpg

from tidegate.core.errors import StoreBusy, TidegateError

WAIT_FOR_CONNECTION_SECONDS = 0.8


class Pool(Protocol):
    """What this needs of the engine."""

    async def acquire(self) -> Any: ...
    async def release(self, connection: Any) -> None: ...
    def suspect(self) -> None: ...
    def failed(self, error: BaseException) -> BaseException: ...


class Connections:
    """Uses of the pool, each within `bounds` that it shares with others."""

    def __init__(self, pool: Pool, *bounds: asyncio.Semaphore) -> None:
        self._pool = pool
        self._bounds = bounds

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection of the pool. Errors inside are translated on the way out."""
        async with contextlib.AsyncExitStack() as held:
            connection = await self._acquire(held)
            try:
                yield connection
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                raise self._pool.failed(error) from error

    async def _acquire(self, held: contextlib.AsyncExitStack) -> Any:
        try:
            async with asyncio.timeout(WAIT_FOR_CONNECTION_SECONDS):
                for bound in self._bounds:
                    await held.enter_async_context(bound)
                connection = await self._pool.acquire()
        except TimeoutError as error:
            self._pool.suspect()
            raise StoreBusy("all connections to the database are in use", retry_after_seconds=1) from error
        except TidegateError:
            raise
        except Exception as error:
            raise self._pool.failed(error) from error
        held.push_async_callback(self._pool.release, connection)
        return connection

    @contextlib.asynccontextmanager
    async def transaction(self, *, snapshot: bool = False) -> AsyncIterator[Any]:
        """BEGIN to COMMIT. With `snapshot`: REPEATABLE READ, READ ONLY."""
        options = {"isolation": "repeatable_read", "readonly": True} if snapshot else {}
        async with self.connection() as connection, connection.transaction(**options):
            yield connection

    async def fetch(self, text: str, *values: Any) -> list[Any]:
        async with self.connection() as connection:
            rows: list[Any] = await connection.fetch(text, *values)
            return rows

    async def fetchrow(self, text: str, *values: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchrow(text, *values)

    async def fetchval(self, text: str, *values: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(text, *values)

    async def execute(self, text: str, *values: Any) -> str:
        async with self.connection() as connection:
            done: str = await connection.execute(text, *values)
            return done
