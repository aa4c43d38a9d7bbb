"""The embedded store: SQLite, one process, one writer thread, nothing to install.

`open_sqlite` locks the directory, refuses a newer schema, migrates, loads what readers need and starts the writer.
Limits: one process per directory (a second one is refused), one disk, one machine; several nodes need PostgreSQL. After
a crash the kernel has freed the lock and the next start recovers from the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import apsw

from tidegate.core import ids
from tidegate.core.errors import StoreBroken, TidegateError
from tidegate.store.facts import SqliteFacts
from tidegate.store.lock import DirectoryLock
from tidegate.store.sqlite import backup
from tidegate.store.sqlite.budgets import SqliteBudgets
from tidegate.store.sqlite.conflicts import SqliteConflicts
from tidegate.store.sqlite.credentials import SqliteCredentials
from tidegate.store.sqlite.deliveries import SqliteDeliveries
from tidegate.store.sqlite.engine import Engine
from tidegate.store.sqlite.leases import SqliteLeases
from tidegate.store.sqlite.log import SqliteLog
from tidegate.store.sqlite.migrate import migrate, refuse_newer
from tidegate.store.sqlite.operations import SqliteOperations
from tidegate.store.sqlite.records import SqliteRecords
from tidegate.store.sqlite.rollups import SqliteRollups
from tidegate.store.sqlite.settings import SqliteSettings

FILE_NAME = "tidegate.db"


class SqliteStore:
    """Implements `store.Store`."""

    def __init__(self, directory: Path, lock: DirectoryLock, engine: Engine, instance: str, version: int) -> None:
        self.directory = directory
        self._lock = lock
        self._engine = engine
        self._version = version
        self._ending = threading.Event()
        self.log = SqliteLog(engine, instance)
        self.deliveries = SqliteDeliveries(engine, self.log)
        self.records = SqliteRecords(engine, self.log)
        self.settings = SqliteSettings(engine)
        self.credentials = SqliteCredentials(engine)
        self.conflicts = SqliteConflicts(engine)
        self.operations = SqliteOperations(engine)
        self.rollups = SqliteRollups(engine)
        self.budgets = SqliteBudgets()
        self.leases = SqliteLeases(instance)

    async def close(self) -> None:
        self._ending.set()
        with contextlib.suppress(
            TidegateError, apsw.Error
        ):  # what a broken store does not count is counted by its readers
            await self.log.counts.flush()
        await self._engine.close()
        self._lock.release()

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        self._engine.on_failure(callback)

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, backup.copy, str(self._engine.path), Path(path), progress, self._ending)

    async def facts(self) -> SqliteFacts:
        def work(connection: apsw.Connection) -> list[int]:
            names = ("user_version", "page_count", "freelist_count", "page_size")
            return [connection.execute(f"PRAGMA {name}").get for name in names]

        version, pages, free_pages, page_bytes = await self._engine.read(work)
        return SqliteFacts(
            path=str(self._engine.path),
            sqlite_version=apsw.sqlite_lib_version(),
            schema_version=version,
            page_count=pages,
            free_pages=free_pages,
            page_bytes=page_bytes,
            used_bytes=(pages - free_pages) * page_bytes,
            synchronous=await self._engine.write(lambda c: c.execute("PRAGMA synchronous").get),
            free_bytes=shutil.disk_usage(self.directory).free,
            commits=self._engine.commits,
        )


async def open_sqlite(directory: Path) -> SqliteStore:
    """Open or create the store in a directory. Raises StoreLocked, SchemaTooNew, StoreBroken: nothing was changed."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 - at start, nothing else runs
        lock = DirectoryLock(directory)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StoreBroken(
            f"the data directory {directory} cannot be used: {reason}",
            hint="use a directory that this user can write to: --data DIR",
        ) from error
    try:
        path = directory / FILE_NAME
        if path.exists():
            refuse_newer(str(path))
        else:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        engine = Engine(path, asyncio.get_running_loop())
        version = engine.run_now(migrate)
        instance = engine.run_now(_instance)
        store = SqliteStore(directory, lock, engine, instance, version)
        engine.run_now(store.log.load)
        engine.run_now(store.credentials.forget_locks)
        engine.start()
    except apsw.Error as error:
        lock.release()
        raise StoreBroken(f"cannot open the store in {directory}: {type(error).__name__}: {error}") from error
    except BaseException:
        lock.release()
        raise
    return store


def _instance(connection: apsw.Connection) -> str:
    """Six characters that never change: part of every id, so ids of two stores differ."""
    found = connection.execute("SELECT value FROM settings WHERE name = 'instance'").get
    if found is None:
        found = ids.new_instance()
        connection.execute("INSERT INTO settings (name, value) VALUES ('instance', ?)", (found,))
    return str(found)
