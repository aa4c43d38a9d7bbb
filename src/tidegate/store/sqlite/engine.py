"""The one writer of the SQLite file: a thread that takes everything that waits, commits once, then answers all callers.

Owns the write connection, the group commit and the connections of readers. Knows no table: what is to be written comes
as functions. Invariants: WAL with `synchronous=FULL`, read back at start; a result is returned only after the commit; a
commit that failed fails all its callers.

When the disk is full, the transaction is rolled back with StoreBusy and the next batch tries again. After any other I/O
error the state is unknown (after a failed fsync the kernel may have dropped pages), so the engine refuses everything,
calls `on_failure`, and the next start recovers from the file. After kill -9 SQLite replays the WAL: a batch is stored
completely or not at all.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import apsw

from tidegate.core.errors import StoreBroken, StoreBusy, TidegateError
from tidegate.store.log import Receipt
from tidegate.store.sql import queries

log = logging.getLogger("tidegate.store")
T = TypeVar("T")
Work = Callable[[apsw.Connection], Any]

GROUP_LIMIT = 2000  # jobs in one transaction: keeps one under about 50 ms
STUCK_AFTER_SECONDS = 0.9  # after this time of one commit, waiting calls get 503
READERS = 2
ROWS_OF_INSERT = 64
_STATEMENTS = 300  # prepared ones that are kept: those of each number of rows among them

_PRAGMAS = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -16000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA foreign_keys = ON",
)

# What one caller queued: its future or receipt, and its function; for an append, the item for the batch writer.
_Job = tuple[Any, Any]


class Engine:
    """Group commit for writes, two connections for reads. Public methods are for the event loop."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self._loop = loop
        self._queue: queue.SimpleQueue[tuple[list[_Job], list[_Job]] | None] = queue.SimpleQueue()
        self._turn: list[_Job] = []  # appends that came in this turn of the loop
        self._turn_works: list[_Job] = []
        self._batch_writer: Callable[[apsw.Connection, list[Any]], Any] | None = None
        self._publish: Callable[[Any], None] | None = None
        self._callbacks: list[Callable[[BaseException], None]] = []
        self._broken: StoreBroken | None = None
        self._closed: StoreBusy | None = None
        self._batch_started: float | None = None
        self._stuck_timer: asyncio.TimerHandle | None = None
        self._open: dict[Any, None] = {}  # appends without an answer
        self.commits = 0
        self._to_publish: list[Any] = []
        self.last_rows: list[Any] = []  # of the open transaction, for `write_last`
        self.write_last: Callable[[apsw.Connection, list[Any]], None] = lambda connection, rows: None
        self._connection = self._open_writer()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="tidegate-read")
        self._local = threading.local()
        self._reader_connections: list[apsw.Connection] = []
        self._thread = threading.Thread(target=self._run, name="tidegate-write", daemon=True)

    # -- opening and closing -----------------------------------------------------------------------------

    def _open_writer(self) -> apsw.Connection:
        try:
            connection = apsw.Connection(str(self.path), statementcachesize=_STATEMENTS)
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            mode = connection.execute("PRAGMA journal_mode").get
            level = connection.execute("PRAGMA synchronous").get
        except apsw.Error as error:
            raise StoreBroken(f"cannot open {self.path}: {error}") from error
        if mode != "wal" or level != 2:  # 2 is FULL
            raise StoreBroken(f"{self.path}: journal_mode={mode}, synchronous={level}; WAL and FULL (2) are needed")
        return connection

    def start(self) -> None:
        self._thread.start()

    def run_now(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run on the write connection before `start()`: migrations and loading."""
        return work(self._connection)

    async def close(self) -> None:
        """Write what is waiting, then close. Later calls are refused."""
        self._closed = StoreBusy("the store is closed because the gateway is stopping", retry_after_seconds=2)
        self._hand_over()
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        if self._stuck_timer is not None:
            self._stuck_timer.cancel()
        self._readers.shutdown(wait=True)
        for connection in [*self._reader_connections, self._connection]:
            try:
                connection.close()
            except apsw.Error as error:  # a failing disk: the next start reads the WAL
                log.warning("the store was closed without a checkpoint: %s", type(error).__name__)

    # -- writing -----------------------------------------------------------------------------------------

    def set_batch(self, write: Callable[[apsw.Connection, list[Any]], Any], publish: Callable[[Any], None]) -> None:
        """`write` gets all appends of a batch at once; `publish` gets its result on the loop after the commit."""
        self._batch_writer = write
        self._publish = publish

    def append(self, item: Any, receipt: Any = None) -> Any:
        """Queue an append. The receipt (None: a future) is resolved by `publish`, or fails with StoreBusy or
        StoreBroken. Returns it."""
        if receipt is None:
            receipt = self._loop.create_future()
        if (error := self._broken or self._closed) is not None:
            receipt.set_exception(error)
            return receipt
        self._open[receipt] = None
        if self._stuck_timer is None:
            self._watch_commits()
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append((receipt, item))
        return receipt

    def _hand_over(self) -> None:
        """Give the writer what came in this turn of the loop: one by one it would commit smaller groups, and take the
        interpreter from the requests of the same turn (12 us an event at 64 connections)."""
        if self._turn or self._turn_works:
            self._queue.put((self._turn, self._turn_works))
            self._turn, self._turn_works = [], []

    def _watch_commits(self) -> None:
        self._stuck_timer = self._loop.call_later(0.2, self._sweep_stuck)

    def is_busy(self, limit: int) -> bool:
        """Whether more than `limit` appends have no answer, or a commit is stuck."""
        return len(self._open) > limit or ((self._batch_started or self._broken) is not None and self.stuck)

    @property
    def waiting(self) -> int:
        """The number of appends without an answer."""
        return len(self._open)

    def answer(self, future: Any, value: Any, failed: bool) -> None:
        """Resolve the future of `append` or `write`, unless its caller left or the sweep has answered it."""
        self._open.pop(future, None)
        self._resolve_one(future, value, failed)

    def _resolve_one(self, future: Any, value: Any, failed: bool) -> None:
        if future.done():
            return
        try:
            if failed:
                future.set_exception(value)
            else:
                future.set_result(value)
        except Exception:  # a receipt goes on at once: its error must not leave the others without an answer
            log.exception("what follows an append failed")

    def answer_all(self, answers: Iterable[tuple[Receipt, Any]]) -> None:
        """As `answer` of each, for receipts."""
        opened = self._open
        for receipt, value in answers:
            opened.pop(receipt, None)
            try:
                receipt.set_result(value)
            except Exception:
                log.exception("what follows an append failed")

    def write(self, work: Callable[[apsw.Connection], T], *, request: bool = False) -> asyncio.Future[T]:
        """Queue `work` for the next transaction. An error in it undoes only its own changes.

        `request`: a request waits for it, so it gets StoreBusy like an append while the disk does not confirm; only
        for work that may still be done after that answer.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if (error := self._broken or self._closed) is not None:
            future.set_exception(error)
        else:
            if request:
                self._open[future] = None
                if self._stuck_timer is None:
                    self._watch_commits()
            if not self._turn_works:
                self._loop.call_soon(self._hand_over)
            self._turn_works.append((future, work))
        return future

    def publish_after_commit(self, batch: Any) -> None:
        """Called inside a `write` function on the writer thread: call `publish` with `batch` after the commit."""
        self._to_publish.append(batch)

    @property
    def stuck(self) -> bool:
        """True while one commit has taken longer than half a second: new requests are refused at once."""
        started = self._batch_started
        return self._broken is not None or (started is not None and time.monotonic() - started > 0.5)

    def _sweep_stuck(self) -> None:
        self._stuck_timer = None
        started = self._batch_started
        if started is not None and time.monotonic() - started > STUCK_AFTER_SECONDS:
            error = StoreBusy("the disk did not confirm a write in time", retry_after_seconds=2)
            for future in list(self._open):  # they stay open: what they wait for is still queued
                self._resolve_one(future, error, True)
        if self._open:
            self._stuck_timer = self._loop.call_later(0.2, self._sweep_stuck)

    # -- the writer thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        get, get_nowait = self._queue.get, self._queue.get_nowait
        last = False
        while not last:
            appends: list[_Job] = []
            works: list[_Job] = []
            turn = get()
            try:
                while turn is not None:
                    appends += turn[0]
                    works += turn[1]
                    if len(appends) + len(works) >= GROUP_LIMIT:
                        break
                    turn = get_nowait()
                else:
                    last = True
            except queue.Empty:
                pass
            if appends or works:
                self._batch_started = time.monotonic()
                outcome = self._commit(appends, works)
                self._batch_started = None
                self._loop.call_soon_threadsafe(self._resolve, *outcome)

    def _commit(
        self, appends: list[_Job], works: list[_Job]
    ) -> tuple[list[tuple[asyncio.Future[Any], Any, bool]], list[Any]]:
        """([(future, result or error, failed)], what to publish), after the commit or its failure."""
        if self._broken is not None:  # it was queued before the failure
            return [(future, self._broken, True) for future, _ in appends + works], []
        connection = self._connection
        results: list[tuple[asyncio.Future[Any], Any, bool]] = []
        published: list[Any] = []
        self._to_publish = []
        self.last_rows = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            if appends:
                assert self._batch_writer is not None
                published.append(self._batch_writer(connection, appends))
            for future, work in works:
                results.append(self._run_one(connection, future, work))
            published.extend(self._to_publish)
            if self.last_rows:  # of all jobs together: each statement hands the interpreter to other threads
                self.write_last(connection, self.last_rows)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the writer must survive internal errors of its jobs
            failure = self._translate(error)
            return [(future, failure, True) for future, _ in appends + works], []
        self.commits += 1
        return results, published

    def _run_one(
        self, connection: apsw.Connection, future: asyncio.Future[Any], work: Work
    ) -> tuple[asyncio.Future[Any], Any, bool]:
        connection.execute("SAVEPOINT job")
        before, last_rows = len(self._to_publish), len(self.last_rows)
        try:
            result = work(connection)
        except (apsw.IOError, apsw.FullError, apsw.CorruptError):
            raise
        except Exception as error:  # noqa: BLE001 - the caller of the job gets it
            # Undo only this job, so that its error does not fail the others.
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            del self._to_publish[before:], self.last_rows[last_rows:]
            return future, error, True
        connection.execute("RELEASE job")
        return future, result, False

    def _translate(self, error: Exception) -> TidegateError:
        """The error after a failed transaction: StoreBusy when SQLite rolled it back for lack of space or never saw the
        error; after any other error of the disk the state is unknown."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as second:
            error = second
        passing = isinstance(error, apsw.FullError | apsw.BusyError | apsw.NoMemError) or not isinstance(
            error, apsw.Error
        )
        if passing and not self._connection.in_transaction:
            return StoreBusy(f"the store cannot write now: {type(error).__name__}", retry_after_seconds=2)
        broken = StoreBroken(f"a write failed and its outcome is unknown: {type(error).__name__}")
        self._broken = broken
        self._loop.call_soon_threadsafe(self._failed, broken)
        return broken

    # -- back on the loop --------------------------------------------------------------------------------

    def _resolve(self, results: list[tuple[asyncio.Future[Any], Any, bool]], published: list[Any]) -> None:
        if published:
            assert self._publish is not None
            for one in published:
                self._publish(one)
        for future, value, failed in results:
            self.answer(future, value, failed)

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        self._callbacks.append(callback)

    def _failed(self, error: BaseException) -> None:
        for callback in self._callbacks:
            callback(error)

    # -- reading -----------------------------------------------------------------------------------------

    def _reader(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
            connection.execute("PRAGMA busy_timeout = 10000").fetchall()
            connection.execute("PRAGMA cache_size = -16000")
            connection.execute("PRAGMA temp_store = MEMORY")
            self._local.connection = connection
            self._reader_connections.append(connection)
        return connection

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` on a reader's connection, in one read transaction: it sees one snapshot."""

        def run() -> T:
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("COMMIT")

        if self._closed is not None:
            raise self._closed
        try:
            return await self._loop.run_in_executor(self._readers, run)
        except apsw.Error as error:
            raise StoreBroken(f"a read failed: {type(error).__name__}: {error}") from error


def sql(name: str) -> dict[str, str]:
    return queries(f"sqlite/{name}")


def rows(connection: apsw.Connection, text: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """All rows of a query, as tuples whose types the schema promises (its tables are STRICT)."""
    return connection.execute(text, tuple(parameters)).fetchall()


@functools.cache
def _for_rows(text: str, count: int) -> str:
    """`INSERT ... VALUES (?, ?) ...` for so many rows."""
    head, word, rest = text.partition("VALUES (")
    values, _, end = rest.partition(")")
    return head + word + f"{values}), (" * (count - 1) + f"{values}){end}"


def insert_many(connection: apsw.Connection, text: str, given: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, up to ROWS_OF_INSERT with one statement, in their order.

    Each step of a statement gives the interpreter to other threads, and while the loop is busy the writer waits to get
    it back; so there is one step for many rows.
    """
    for at in range(0, len(given), ROWS_OF_INSERT):
        part = given[at : at + ROWS_OF_INSERT]
        connection.execute(_for_rows(text, len(part)), tuple(chain.from_iterable(part)))
