"""How many connections of the pool each kind of work may use, so that no kind takes them from a more important one.

`vital`: appends, publishing, settles and leases. It may use the whole pool, and two connections are reserved for it.
`work`: what a node does by itself. `requested`: reads for a request, which may take long (a search, a page, the
counters); a few at a time, and `work` keeps one connection besides. Errors are translated here, once for each use
(`failures.py`). A caller waits at most 0.8 s for a connection, then it gets StoreBusy. Holds nothing durable.
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
    def start_probe(self) -> None: ...
    def failed(self, error: BaseException) -> BaseException: ...


class Connections:
    """The pool within limits: each use takes one place of every semaphore in `bounds`."""

    def __init__(self, pool: Pool, *bounds: asyncio.Semaphore) -> None:
        self._pool = pool
        self._bounds = bounds

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection of the pool. Errors inside are translated."""
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
            self._pool.start_probe()
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
