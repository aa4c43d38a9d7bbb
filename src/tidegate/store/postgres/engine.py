"""The connections to the PostgreSQL server: a pool for statements, and the node's own session (`session.py`).

Knows no table. Invariants: nothing waits forever (each connection has timeouts, a caller waits at most 0.8 s for one);
vital work finds a connection, however many slow reads are requested (`connections.py`); each commit is durable when it
returns (`synchronous_commit` is on in our connections); plans do not depend on the values that come first.

A statement that finds the server gone sets `down`, and a probe clears it within 0.2 s after the server accepts again. A
statement that was cut may have been committed or not: its caller gets StoreBusy, and a repeated call is recognized.
After a crash of this process the server ends its connections and frees its locks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg

from tidegate.core.errors import StoreBroken, StoreBusy
from tidegate.store.postgres.address import redacted
from tidegate.store.postgres.connections import Connections
from tidegate.store.postgres.failures import at_start, gone, lost, pooled, translate
from tidegate.store.postgres.session import Session
from tidegate.store.sql import queries

POOL_SIZE = 6
RESERVED = 2  # connections of the pool for vital work only
REQUESTED_AT_ONCE = 3
CONNECT_SECONDS = 2.0
STATEMENT_SECONDS = 6.0  # by our clock; the limit at the server is a second shorter
PROBE_SECONDS = 0.2
FULL_SECONDS = 0.02
GONE_HINT = "restart with the right database: this node started with another one"
POOLER_OTHERS = 8  # connections to try when the server process is not the one that greeted us
OLDEST_SERVER = 150000  # the oldest release that the tests run on

# Of every connection. Plans are generic and use indexes, so a statement costs the same whatever values came first and
# however large a table was when it was prepared. A transaction that stalls (a paused process) must free its locks.
SESSION_SETTINGS = {
    "application_name": "tidegate",
    "search_path": "tidegate",
    "synchronous_commit": "on",
    "statement_timeout": "5000",
    "lock_timeout": "3000",
    "idle_in_transaction_session_timeout": "2000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
    "work_mem": "32MB",
}

log = logging.getLogger("tidegate.store")

OnConnection = Callable[[Any], Awaitable[None]]


def sql(name: str) -> dict[str, str]:
    return queries(f"postgres/{name}")


class Engine:
    """Pool and session, used on one event loop. Raises StoreBroken for an invalid URL."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.server = redacted(url)
        self.down = False
        self.broken: StoreBroken | None = None  # for good
        self.on_broken: Callable[[StoreBroken], None] = lambda error: None
        self.session = Session(self)
        self.statements = 0
        self._url = url
        self._loop = loop or asyncio.get_running_loop()
        self._pool: Any = None
        work = asyncio.Semaphore(POOL_SIZE - RESERVED)
        self.vital = Connections(self)
        self.work = Connections(self, work)
        self.requested = Connections(self, asyncio.Semaphore(REQUESTED_AT_ONCE), work)
        self._closing = False
        self._probing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._checks: list[OnConnection] = []

    # -- opening and closing -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and check the server. Raises StoreBroken with what to change; nothing was changed then."""
        try:
            session = await self.connect()
            try:
                await self._check_server(session)
            except BaseException:
                session.terminate()
                raise
            await self.session.adopt(session)
            self._pool = await asyncpg.create_pool(
                self._url, min_size=RESERVED, max_size=POOL_SIZE, init=self.check_connection, reset=_keep_settings,
                **_connect_options(),
            )  # fmt: skip
        except Exception as error:
            await self.close()
            better = at_start(error, self.server)
            if better is None:
                raise
            raise better from error
        self._start(self.session.keep())
        self._start(self.session.send())

    async def connect(self) -> Any:
        return await asyncpg.connect(self._url, **_connect_options())

    async def _check_server(self, session: Any) -> None:
        version = int(await session.fetchval("SELECT current_setting('server_version_num')"))
        if version < OLDEST_SERVER:
            raise StoreBroken(
                f"{self.server} runs PostgreSQL {version // 10000}, which is too old: "
                f"Tidegate needs {OLDEST_SERVER // 10000} or newer",
                hint="upgrade the server, or use the address of a newer one",
                code="server_too_old",
                retryable=False,
            )
        if await session.fetchval("SELECT pg_is_in_recovery()"):
            raise StoreBroken(f"{self.server} is a replica", hint="use the address of the primary")
        await self._refuse_pooler(session)

    async def _refuse_pooler(self, session: Any) -> None:
        """Refuse a pooler in transaction mode: it gives the session's server process to the next client, so be one."""
        mine = await session.fetchval("SELECT pg_backend_pid()")
        others = 1 if session.get_server_pid() == mine else POOLER_OTHERS
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(others):
                other = await self.connect()
                stack.callback(other.terminate)
                await stack.enter_async_context(other.transaction())
                if await other.fetchval("SELECT pg_backend_pid()") == mine:
                    raise pooled(self.server)
                if await session.fetchval("SELECT pg_backend_pid()") != mine:
                    raise pooled(self.server)

    async def close(self) -> None:
        self._closing = True
        tasks = [*self._tasks, *([self._probing] if self._probing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.session.close()
        if self._pool is not None:
            try:
                async with asyncio.timeout(2):
                    await self._pool.close()
            except Exception:  # noqa: BLE001 - the server is gone, or a statement hangs: end without a goodbye
                self._pool.terminate()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the pool ----------------------------------------------------------------------------------------

    async def acquire(self) -> Any:
        """A connection of the pool, however long it takes. StoreBusy at once while the server does not answer."""
        while True:
            if self.broken is not None:
                raise self._copy(self.broken)
            if self.down:
                raise StoreBusy("the database does not answer", retry_after_seconds=1)
            try:
                connection = await self._pool.acquire()
            except asyncpg.TooManyConnectionsError:  # other clients have them all: wait for one of our pool
                await asyncio.sleep(FULL_SECONDS)
            else:
                self.statements += 1
                return connection

    async def release(self, connection: Any) -> None:
        try:
            await self._pool.release(connection, timeout=1)
        except Exception as error:  # noqa: BLE001 - the pool drops it; the next caller gets another
            log.debug("a connection ended while it was released: %s", type(error).__name__)

    # -- down and back -----------------------------------------------------------------------------------

    def failed(self, error: BaseException) -> BaseException:
        """The error to raise; a lost connection starts the probe."""
        if gone(error):
            return self._break(f"the tables of Tidegate are missing in {self.server}")
        if lost(error):
            self.down = True
            self.start_probe()
        return translate(error) or error

    def start_probe(self) -> None:
        """Find out whether the server is there."""
        if not self._closing and (self._probing is None or self._probing.done()):
            self._probing = self._loop.create_task(self._probe(), name="tidegate-probe")

    async def _probe(self) -> None:
        """Try until the server answers as a primary; `down` is set while it does not."""
        while True:
            try:
                connection = await self.connect()
                try:
                    await self.check_connection(connection)
                finally:
                    connection.terminate()
            except StoreBroken:
                return
            except asyncpg.TooManyConnectionsError:
                self.down = False  # it answers and is full: go on with the connections that are open
                return
            except Exception as error:  # noqa: BLE001 - any error means that the server is not usable now
                if not self.down:
                    log.warning("%s does not answer: %s", self.server, type(error).__name__)
                self.down = True
                await asyncio.sleep(PROBE_SECONDS)
            else:
                self.down = False
                return

    # -- is it still the same database -------------------------------------------------------------------

    def on_connection(self, check: OnConnection) -> None:
        """Await `check(connection)` before the first use of each connection. StoreBroken: use the server no more."""
        self._checks.append(check)

    async def check_connection(self, connection: Any) -> None:
        try:
            for check in self._checks:
                await check(connection)
        except (asyncpg.PostgresError, StoreBroken) as error:
            if gone(error):
                raise self.failed(error) from error
            if isinstance(error, StoreBroken):
                raise self._break(error.message, error.hint) from error
            raise

    def _break(self, message: str, hint: str = GONE_HINT) -> StoreBroken:
        """This node knows another database: it must restart, and write nothing before."""
        if self.broken is None:
            self.broken, self.down = StoreBroken(message, hint=hint), True
            self.on_broken(self.broken)
        return self._copy(self.broken)

    @staticmethod
    def _copy(first: StoreBroken) -> StoreBroken:
        return StoreBroken(first.message, hint=first.hint)  # each error has its own traceback

    # -- facts -------------------------------------------------------------------------------------------

    async def facts(self) -> dict[str, Any]:
        """What doctor checks, as the server reports it now."""
        row = await self.work.fetchrow(sql("engine")["facts"])
        facts = {"server": self.server, "pool_size": POOL_SIZE, "down": self.down, **dict(row)}
        # `_refuse_pooler` rejected poolers that share sessions when this was opened, so "direct" is known.
        return {**facts, "sessions": "direct"}


def _connect_options() -> dict[str, Any]:
    return {
        "timeout": CONNECT_SECONDS,
        "command_timeout": STATEMENT_SECONDS,
        "server_settings": SESSION_SETTINGS,
        "target_session_attrs": "read-write",
    }


async def _keep_settings(_connection: Any) -> None:
    """Replaces the driver's reset at each release: we change nothing of a connection, and it costs a round trip."""
