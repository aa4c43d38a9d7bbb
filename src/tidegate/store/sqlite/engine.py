"""The one writer of the SQLite file: a thread that takes everything that waits, commits once, then answers all callers.

Owns the write connection, the group commit and the connections of readers. Knows no table: what is to be written comes
as functions. Invariants: WAL with `synchronous=FULL`, read back at start; a result is returned only after the commit; a
commit that failed fails all its callers; an append that was answered StoreBusy before its commit began is not written.

Appends that come together reach the writer together (`collecting.py`). A commit takes as many as it can write in time
(`group_size.py`); the others keep their place. While commits end, a call waits for its turn. When one does not end in
time, all calls that wait are answered StoreBusy: those of the running commit may be stored, the others are not.

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
from typing import Any, Protocol, TypeVar

import apsw

from tidegate.core.errors import StoreBroken, StoreBusy, TidegateError
from tidegate.store.collecting import GAP_SECONDS, Collecting
from tidegate.store.group_size import ANSWER_SECONDS, GroupSize, patience_seconds
from tidegate.store.log import Receipt
from tidegate.store.sql import queries
from tidegate.store.waiting import Waiting, take

log = logging.getLogger("tidegate.store")
T = TypeVar("T")
Work = Callable[[apsw.Connection], Any]

WORKS_LIMIT = 2000  # functions in one transaction
STUCK_SECONDS = 0.4  # before the calls that wait are answered 503, new ones are
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


class Batches(Protocol):
    """The appends of one commit, as the log writes them."""

    def write(self, connection: apsw.Connection, jobs: list[_Job]) -> Any:
        """On the writer's thread, within the transaction."""
        ...

    def publish(self, written: Any) -> None:
        """On the loop, after the commit, with what `write` returned: answers the calls."""
        ...

    def events(self, jobs: list[_Job]) -> int: ...

    def describe(self, job: _Job) -> tuple[str, int]:
        """The source and the number of events of an append."""
        ...


class Engine:
    """Group commit for writes, two connections for reads. Public methods are for the event loop."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self._loop = loop
        self._queue: queue.SimpleQueue[tuple[list[_Job], list[_Job]] | None] = queue.SimpleQueue()
        self._turn: list[_Job] = []  # appends that came in this turn of the loop
        self._turn_works: list[_Job] = []
        self._collecting = Collecting()
        self._look_timer: asyncio.TimerHandle | None = None
        self._batches: Batches | None = None
        self._callbacks: list[Callable[[BaseException], None]] = []
        self._broken: StoreBroken | None = None
        self._closed: StoreBusy | None = None
        self._batch_started: float | None = None
        self._patience = ANSWER_SECONDS  # seconds for the running commit
        self._running: list[_Job] = []  # the appends of the running commit
        self._claim = threading.Lock()  # an append is answered StoreBusy or taken for a commit, never both
        self._has_rejected = False  # some of what is queued was answered
        self._stuck_timer: asyncio.TimerHandle | None = None
        self._open: Waiting[Any] = Waiting()  # appends without an answer
        self.size = GroupSize()
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

    def set_batches(self, batches: Batches) -> None:
        self._batches = batches

    def append(self, item: Any, source: str, events: int, receipt: Any = None) -> Any:
        """Queue an append of so many events. The receipt (None: a future) is resolved by `publish`, or fails with
        StoreBusy or StoreBroken. Returns it."""
        if receipt is None:
            receipt = self._loop.create_future()
        if (error := self._broken or self._closed) is not None:
            receipt.set_exception(error)
            return receipt
        self._open.add(receipt, source, events)
        if self._stuck_timer is None:
            self._watch_commits()
        if not self._turn:
            self._loop.call_soon(self._look)
        self._turn.append((receipt, item))
        return receipt

    def _look(self) -> None:
        """Give the writer what came in this turn of the loop, or keep it until more has come."""
        if self._look_timer is None:
            self._look_again()

    def _look_again(self) -> None:
        self._look_timer = None
        if self._turn and self._collecting.keeps(self._loop.time(), len(self._turn)):
            self._look_timer = self._loop.call_later(GAP_SECONDS, self._look_again)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the writer all that came: one by one it would commit smaller groups, and take the interpreter from the
        requests of the same turn."""
        if self._turn or self._turn_works:
            self._queue.put((self._turn, self._turn_works))
            self._turn, self._turn_works = [], []

    def _watch_commits(self) -> None:
        self._stuck_timer = self._loop.call_later(0.2, self._sweep_stuck)

    def is_busy(self, limit: int, source: str) -> bool:
        """Whether a new event of `source` must be rejected: too many have no answer, or a commit is stuck."""
        return (self._open.events > min(limit, self.size.waiting_limit) and self._is_full(limit, source)) or (
            (self._batch_started or self._broken) is not None and self.stuck
        )

    def _is_full(self, limit: int, source: str) -> bool:
        return self._open.is_full(self.size.waiting_limit, limit, source)

    @property
    def waiting(self) -> int:
        """The number of events without an answer."""
        return self._open.events

    def answer(self, future: Any, value: Any, failed: bool) -> None:
        """Resolve the future of `append` or `write`, unless its caller left or the sweep has answered it."""
        self._open.remove(future)
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
        answered = self._open.remove
        for receipt, value in answers:
            answered(receipt)
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
                self._open.add(future, "", 1)
                if self._stuck_timer is None:
                    self._watch_commits()
            if not self._turn_works:
                self._loop.call_soon(self._look)
            self._turn_works.append((future, work))
        return future

    def publish_after_commit(self, batch: Any) -> None:
        """Called inside a `write` function on the writer thread: publish `batch` after the commit."""
        self._to_publish.append(batch)

    @property
    def stuck(self) -> bool:
        """True while one commit takes too long: new requests are rejected at once."""
        started = self._batch_started
        return self._broken is not None or (
            started is not None and time.monotonic() - started > self._patience - STUCK_SECONDS
        )

    def _sweep_stuck(self) -> None:
        self._stuck_timer = None
        self._hand_over()  # so that nothing that is rejected reaches the writer later
        with self._claim:  # the writer begins no other commit meanwhile
            started = self._batch_started
            if started is not None and time.monotonic() - started > self._patience:
                self._reject_waiting()
        if len(self._open):
            self._stuck_timer = self._loop.call_later(0.2, self._sweep_stuck)

    def _reject_waiting(self) -> None:
        """Answer every call that waits. What the running commit has stays counted until its end; the rest is skipped by
        the writer, except for functions of `write`, which are done all the same."""
        error = StoreBusy("the disk did not confirm a write in time", retry_after_seconds=2)
        running = {receipt for receipt, _ in self._running}
        self._has_rejected = True
        for future in list(self._open):
            self._resolve_one(future, error, True)
            if future not in running:
                self._open.remove(future)

    def _forget(self, answered: list[Any]) -> None:
        for future in answered:
            self._open.remove(future)

    # -- the writer thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        left: list[_Job] = []  # appends that were more than a commit takes
        last = False
        while left or not last:
            works: list[_Job] = []
            last = self._collect(left, works, last)
            appends, left = self._begin(left)
            if appends or works:
                commits = self.commits
                outcome = self._commit(appends, works)
                self._end(appends if self.commits > commits else [], len(left))
                self._loop.call_soon_threadsafe(self._resolve, *outcome)
            else:
                self._batch_started = None

    def _collect(self, appends: list[_Job], works: list[_Job], last: bool) -> bool:
        """Add what is queued; waits if there is nothing at all. True when nothing will follow."""
        try:
            turn = None if last else self._queue.get(block=not appends)
            while turn is not None:
                appends += turn[0]
                works += turn[1]
                if len(works) >= WORKS_LIMIT:
                    return False
                turn = self._queue.get_nowait()
        except queue.Empty:
            return False
        return True

    def _begin(self, waiting: list[_Job]) -> tuple[list[_Job], list[_Job]]:
        """(appends of the commit that begins now, appends left). Drops those that were answered already."""
        batches = self._batches
        left: list[_Job] = []
        with self._claim:
            if self._has_rejected:
                answered = [job[0] for job in waiting if job[0].done()]
                waiting = [job for job in waiting if not job[0].done()]
                self._loop.call_soon_threadsafe(self._forget, answered)
            events = batches.events(waiting) if waiting and batches is not None else 0
            if events > self.size.limit and batches is not None:
                waiting, left = take(waiting, self.size.limit, batches.describe)
                events = batches.events(waiting)
            self._patience = patience_seconds(events)
            self._running = waiting
            self._batch_started = time.monotonic()
        return waiting, left

    def _end(self, appends: list[_Job], left: int) -> None:
        started, self._batch_started = self._batch_started, None
        if appends and started is not None and self._batches is not None:
            events = self._batches.events(appends)
            self._collecting.committed(events)
            self.size.committed(events, time.monotonic() - started, left)

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
                assert self._batches is not None
                published.append(self._batches.write(connection, appends))
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
            assert self._batches is not None
            for one in published:
                self._batches.publish(one)
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
