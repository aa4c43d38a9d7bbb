"""Where a gateway keeps its data, and how it is started there: what the guarantees need to run on every store.

A deployment is fresh for each test. `running` and `served` open a gateway in this process, `process` one of its own;
the same deployment again is a restart.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncpg

from support.gateway.api import Served, served
from support.gateway.process import GatewayProcess, free_port
from support.gateway.running import running
from support.postgres.server import server
from tidegate.core.clock import Clock
from tidegate.process.gateway import Gateway


class Deployment:
    """A folder and a store. `database` is what `--database` gets; None: the embedded store in the folder."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        self.folder = folder
        self.database = database

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @contextlib.asynccontextmanager
    async def disk_held(self, gateway: Gateway) -> AsyncIterator[None]:
        """Until the end of the block no append of this gateway is confirmed, as on a dead disk: the embedded store's
        one writer waits, or the table of events is locked by somebody else."""
        if self.database is not None:
            connection = await asyncpg.connect(self.database)
            try:
                async with connection.transaction():
                    await connection.execute("LOCK TABLE tidegate.events IN ACCESS EXCLUSIVE MODE")
                    yield
            finally:
                await connection.close()
            return
        free = threading.Event()
        waiting = gateway.store._engine.write(lambda _: free.wait(60))  # type: ignore[attr-defined]
        try:
            yield
        finally:
            free.set()
        del waiting

    def running(self, toml: str, clock: Clock | None = None) -> AbstractAsyncContextManager[Gateway]:
        return running(self.folder, toml, clock, self.database)

    def served(self, toml: str, clock: Clock | None = None) -> AbstractAsyncContextManager[Served]:
        return served(self.folder, toml, clock, self.database)

    def process(
        self, toml: str, program: Sequence[str] = ("-m", "tidegate"), environ: Mapping[str, str] | None = None
    ) -> GatewayProcess:
        """Not started yet. Unlike the others, `toml` is all of the configuration."""
        file = self.folder / "tidegate.toml"
        file.write_text(toml)
        options = () if self.database is None else ("--database", self.database)
        return GatewayProcess(file, self.data, free_port(), program, more=options, environ=environ)


def deployment_on_postgres(folder: Path) -> Deployment:
    return Deployment(folder, server().new_database())


DEPLOYMENTS: dict[str, Callable[[Path], Deployment]] = {"sqlite": Deployment, "postgres": deployment_on_postgres}
