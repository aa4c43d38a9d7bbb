"""The way to the PostgreSQL server: a pool for work, one direct session for hints and the node's advisory lock.

Knows no table. Invariants: nothing hangs (each session carries timeouts, a caller waits at most 0.8 s for a
connection); what is vital finds a connection, however many slow reads are asked for (`connections.py`); each commit is
durable when it returns (`synchronous_commit` is on in our sessions); plans do not depend on what values come first.

Failure: a use that finds the server gone sets `down`, and a probe clears it within 0.2 s of the server accepting. A
statement that was cut may have been committed or not: its caller gets StoreBusy, and repeats are recognized by what
they carry. Crash of this process: the server ends its sessions and frees its locks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg

from tidegate.core.errors import StoreBroken, StoreBusy
from tidegate.store.postgres.address import shown
from tidegate.store.postgres.connections import Connections
from tidegate.store.postgres.failures import at_start, gone, lost, pooled, translate
from tidegate.store.sql import queries

POOL_SIZE = 6
KEPT_FREE = 2  # of the pool, for what is vital
ASKED_AT_ONCE = 3
CONNECT_SECONDS = 2.0
STATEMENT_SECONDS = 6.0  # by our clock; the server's own limit is a second shorter
PROBE_SECONDS = 0.2
FULL_SECONDS = 0.02
GONE_HINT = "start again, with the database that is meant: what this node knows is of another"
POOLER_OTHERS = 8  # sessions to try with, when the server's process is not the one that greeted us
OLDEST_SERVER = 150000  # the oldest release that the tests run on

# Of every session. Plans: generic ones, found by index, so that a statement costs the same whatever came first and
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

OnSession = Callable[[Any], Awaitable[None]]
OnNotice = Callable[[str], None]


def sql(name: str) -> dict[str, str]:
    return queries(f"postgres/{name}")


class Engine:
    """Pool and session. All methods belong to the event loop that opened it. StoreBroken for a URL that is none."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.server = shown(url)
        self.down = False
        self.broken: StoreBroken | None = None  # for good
        self.on_broken: Callable[[StoreBroken], None] = lambda error: None
        self.session: Any = None
        self.statements = 0
        self._url = url
        self._loop = loop or asyncio.get_running_loop()
        self._pool: Any = None
        work = asyncio.Semaphore(POOL_SIZE - KEPT_FREE)
        self.vital = Connections(self)
        self.work = Connections(self, work)
        self.asked = Connections(self, asyncio.Semaphore(ASKED_AT_ONCE), work)
        self._closing = False
        self._probing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._session_ended = asyncio.Event()
        self._session_use = asyncio.Lock()  # one statement at a time on the session
        self._judges: list[OnSession] = []
        self._on_session: list[OnSession] = []
        self._on_session_lost: list[Callable[[], None]] = []
        self._channels: dict[str, list[OnNotice]] = {}
        self._notices: dict[tuple[str, str], None] = {}
        self._notice_due = asyncio.Event()

    # -- opening and closing -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and judge the server. Raises StoreBroken with what to change; then nothing was changed."""
        try:
            session = await self._connect()
            try:
                await self._judge(session)
            except BaseException:
                session.terminate()
                raise
            await self._adopt_session(session)
            self._pool = await asyncpg.create_pool(
                self._url, min_size=KEPT_FREE, max_size=POOL_SIZE, init=self._recognise, reset=_keep_settings,
                **_connect_options(),
            )  # fmt: skip
        except Exception as error:
            await self.close()
            better = at_start(error, self.server)
            if better is None:
                raise
            raise better from error
        self._start(self._keep_session())
        self._start(self._send_notices())

    async def _connect(self) -> Any:
        return await asyncpg.connect(self._url, **_connect_options())

    async def _judge(self, session: Any) -> None:
        version = int(await session.fetchval("SELECT current_setting('server_version_num')"))
        if version < OLDEST_SERVER:
            raise StoreBroken(
                f"{self.server} runs PostgreSQL {version // 10000}, which is too old: "
                f"Tidegate needs {OLDEST_SERVER // 10000} or newer",
                hint="upgrade the server, or give the address of a newer one",
                code="server_too_old",
                retryable=False,
            )
        if await session.fetchval("SELECT pg_is_in_recovery()"):
            raise StoreBroken(f"{self.server} is a replica", hint="give the address of the primary")
        await self._refuse_pooler(session)

    async def _refuse_pooler(self, session: Any) -> None:
        """A pooler in transaction mode gives the session's server process to whoever comes next: let some come."""
        mine = await session.fetchval("SELECT pg_backend_pid()")
        others = 1 if session.get_server_pid() == mine else POOLER_OTHERS
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(others):
                other = await self._connect()
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
        if self.session is not None:
            session, self.session = self.session, None
            with contextlib.suppress(Exception):
                await session.close(timeout=1)
        if self._pool is not None:
            try:
                async with asyncio.timeout(2):
                    await self._pool.close()
            except Exception:  # noqa: BLE001 - the server is gone, or someone holds on: end without a farewell
                self._pool.terminate()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the pool ----------------------------------------------------------------------------------------

    async def acquire(self) -> Any:
        """A connection of the pool, however long that takes. StoreBusy at once while the server is away."""
        while True:
            if self.broken is not None:
                raise self._broken_again(self.broken)
            if self.down:
                raise StoreBusy("the database does not answer", retry_after_seconds=1)
            try:
                connection = await self._pool.acquire()
            except asyncpg.TooManyConnectionsError:  # others have them all: wait for one of those that we have
                await asyncio.sleep(FULL_SECONDS)
            else:
                self.statements += 1
                return connection

    async def release(self, connection: Any) -> None:
        try:
            await self._pool.release(connection, timeout=1)
        except Exception as error:  # noqa: BLE001 - the pool drops it; the next caller gets another
            log.debug("a connection ended while it was given back: %s", type(error).__name__)

    # -- down and back -----------------------------------------------------------------------------------

    def failed(self, error: BaseException) -> BaseException:
        """The error to raise; a lost connection starts the probe."""
        if gone(error):
            return self._break(f"the tables of Tidegate are gone from {self.server}")
        if lost(error):
            self.down = True
            self.suspect()
        return translate(error) or error

    def suspect(self) -> None:
        """Find out whether the server is there."""
        if not self._closing and (self._probing is None or self._probing.done()):
            self._probing = self._loop.create_task(self._probe(), name="tidegate-probe")

    async def _probe(self) -> None:
        """Until the server answers as a primary: try, and be `down` while it does not."""
        while True:
            try:
                connection = await self._connect()
                try:
                    await self._recognise(connection)
                finally:
                    connection.terminate()
            except StoreBroken:
                return
            except asyncpg.TooManyConnectionsError:
                self.down = False  # it is there, and full: those who have connections go on
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the server is not usable now
                if not self.down:
                    log.warning("%s does not answer: %s", self.server, type(error).__name__)
                self.down = True
                await asyncio.sleep(PROBE_SECONDS)
            else:
                self.down = False
                return

    # -- is it still the same ----------------------------------------------------------------------------

    def on_connection(self, judge: OnSession) -> None:
        """Await `judge(connection)` with each new connection before its first use. StoreBroken: never used again."""
        self._judges.append(judge)

    async def _recognise(self, connection: Any) -> None:
        try:
            for judge in self._judges:
                await judge(connection)
        except (asyncpg.PostgresError, StoreBroken) as error:
            if gone(error):
                raise self.failed(error) from error
            if isinstance(error, StoreBroken):
                raise self._break(error.message, error.hint) from error
            raise

    def _break(self, message: str, hint: str = GONE_HINT) -> StoreBroken:
        """What this node knows is not of this database: it must begin anew, and write nothing before."""
        if self.broken is None:
            self.broken, self.down = StoreBroken(message, hint=hint), True
            self.on_broken(self.broken)
        return self._broken_again(self.broken)

    @staticmethod
    def _broken_again(first: StoreBroken) -> StoreBroken:
        return StoreBroken(first.message, hint=first.hint)  # a new one: each has its own traceback

    # -- the session -------------------------------------------------------------------------------------

    def on_session(self, callback: OnSession) -> None:
        """Await `callback(connection)` with each new session, before it is used for anything else."""
        self._on_session.append(callback)

    def on_session_lost(self, callback: Callable[[], None]) -> None:
        self._on_session_lost.append(callback)

    async def listen(self, channel: str, callback: OnNotice) -> None:
        """Call `callback(payload)` for each notice, also after the session was made anew. A hint: some may be lost."""
        self._channels.setdefault(channel, []).append(callback)
        if self.session is not None:
            async with self._session_use:
                await self._listen_on(self.session, channel, callback)

    def notify(self, channel: str, payload: str = "") -> None:
        """Send a notice soon, on the session. Equal ones that wait are sent once; without a session none is sent."""
        self._notices[(channel, payload)] = None
        self._notice_due.set()

    async def on_session_fetchval(self, text: str, *values: Any) -> Any:
        """Run one statement on the session itself, for locks that belong to it. StoreBusy when there is none."""
        async with self._session_use:
            if self.session is None:
                raise StoreBusy("the session with the database is being made anew", retry_after_seconds=1)
            try:
                return await self.session.fetchval(text, *values)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                if lost(error):
                    self.session.terminate()  # silent, perhaps: a new one is made
                raise self.failed(error) from error

    async def _listen_on(self, connection: Any, channel: str, callback: OnNotice) -> None:
        def told(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
            callback(payload)

        await connection.add_listener(channel, told)

    async def _adopt_session(self, connection: Any) -> None:
        self._session_ended.clear()
        connection.add_termination_listener(lambda _: self._session_ended.set())
        async with self._session_use:
            for callback in self._on_session:
                await callback(connection)
            for channel, callbacks in self._channels.items():
                for one in callbacks:
                    await self._listen_on(connection, channel, one)
            self.session = connection

    async def _keep_session(self) -> None:
        while True:
            await self._session_ended.wait()
            self.session = None
            self.suspect()
            for callback in self._on_session_lost:
                callback()
            while self.session is None:
                if self.broken is not None:
                    return
                await self._new_session()

    async def _new_session(self) -> None:
        connection = None
        try:
            connection = await self._connect()
            await self._recognise(connection)
            await self._adopt_session(connection)
        except Exception as error:  # noqa: BLE001 - tried again until the server is back
            log.debug("no session yet: %s", type(error).__name__)
            if connection is not None:
                connection.terminate()
            await asyncio.sleep(PROBE_SECONDS)

    async def _send_notices(self) -> None:
        while True:
            await self._notice_due.wait()
            self._notice_due.clear()
            notices, self._notices = list(self._notices), {}
            channels, payloads = [one[0] for one in notices], [one[1] for one in notices]
            try:
                await self.on_session_fetchval(sql("engine")["notify"], channels, payloads)
            except StoreBusy:
                pass  # they are hints: whoever waits for one looks again
            except Exception:
                log.exception("%d notices could not be sent", len(notices))

    # -- facts -------------------------------------------------------------------------------------------

    async def facts(self) -> dict[str, Any]:
        """What doctor judges, as the server says it now."""
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
    """In place of the driver's reset at each release: ours change nothing of a connection, and it costs a trip."""
