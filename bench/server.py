"""The PostgreSQL of a measurement: a real server of its own, metered with all its processes, or one that is given.

Without `--database` the server comes from PyPI, as for the tests, and ends with the measurement. With it, databases are
made in that server and dropped again; the CPU of a given server is unknown here and is not counted.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from bench.processes import ROOT

if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))

_numbers = itertools.count(1)
TICK = os.sysconf("SC_CLK_TCK")


class Database:
    """A server to make databases in. `metered`: its CPU can be counted here."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._server: Any = None
        if url is None:
            from support.postgres.server import Server

            self._server = Server()
        self.metered = self._server is not None and Path("/proc").is_dir()

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()

    def url(self, name: str) -> str:
        if self._url is None:
            made: str = self._server.url(name)
            return made
        return self._url.rpartition("/")[0] + "/" + name

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """An empty database for one gateway, or for several that partition it."""
        name = f"tidegate_bench_{os.getpid()}_{next(_numbers)}"
        home = self.url("postgres") if self._url is None else self._url
        run(home, f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            run(home, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def cpu_seconds(self) -> float:
        """Of the server with every process it has and had."""
        pid: int = self._server.pid
        found = _spent(pid, ended=True)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += _spent(int(child), ended=False)
        return found

    def rss_bytes(self) -> int:
        """Memory of all its processes, what they partition counted once (PSS)."""
        pid: int = self._server.pid
        total = 0
        for one in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
            try:
                lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total * 1024


def _spent(pid: int, *, ended: bool) -> float:
    """CPU seconds of a process; with `ended` also those of its children that are gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0  # it ended meanwhile
    own = own or (int(stat[11]) + int(stat[12])) / TICK
    return own + ((int(stat[13]) + int(stat[14])) / TICK if ended else 0.0)


def run(url: str, *statements: str) -> list[list[Any]]:
    """Statements one after another, outside a transaction; the rows of each."""

    async def work() -> list[list[Any]]:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return [await connection.fetch(text, timeout=1800) for text in statements]
        finally:
            await connection.close()

    return asyncio.run(work())
