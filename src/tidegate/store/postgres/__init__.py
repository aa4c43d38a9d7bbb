"""The shared store: any number of nodes on one PostgreSQL server, and no other service.

`open_postgres` judges the server, migrates (one of several starting nodes does), and begins to tell the log. What runs
by itself begins with `leases.start`. The driver is imported with this package only, so nobody else needs it.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable

from tidegate.core import ids
from tidegate.core.clock import Clock
from tidegate.core.errors import NotBuilt
from tidegate.store.facts import PostgresFacts
from tidegate.store.postgres.deliveries import PostgresDeliveries
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.leases import PostgresLeases
from tidegate.store.postgres.log import PostgresLog
from tidegate.store.postgres.migrate import migrate
from tidegate.store.postgres.records import PostgresRecords
from tidegate.store.postgres.settings import PostgresSettings


class PostgresStore:
    """Implements `store.Store`."""

    def __init__(self, engine: Engine, instance: str, node: str, clock: Clock) -> None:
        self.engine = engine
        self.log = PostgresLog(engine, instance, clock)
        self.leases = PostgresLeases(engine, node, clock)
        self.deliveries = PostgresDeliveries(engine, self.log, self.leases)
        self.records = PostgresRecords(engine, self.log, self.leases)
        self.settings = PostgresSettings(engine)
        self.leases.on_peers = self._company

    def _company(self, nodes: int) -> None:
        """The more nodes, the longer each collects: what a small write costs is its commit, whoever makes it."""
        self.log.peers(nodes)
        self.deliveries.peers(nodes)

    async def start(self) -> None:
        await self.leases.agree()
        await self.settings.load()
        await self.log.start()

    async def close(self) -> None:
        await self.leases.stop()
        await self.log.stop()
        await self.settings.close()
        await self.engine.close()

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        """Called when the database became one that this node cannot go on with: a schema that it cannot read, another
        database in its place, a log that went back. Of what a cut statement did nothing is to be
        feared: the server knows, and what is repeated is recognized."""
        self.leases.failed = self.engine.on_broken = callback

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        raise NotBuilt(
            "a backup of a shared database is made with the tools of PostgreSQL",
            hint=f"pg_dump --format=custom --schema=tidegate --file={path} URL",
        )

    async def facts(self) -> PostgresFacts:
        return PostgresFacts(
            **await self.engine.facts(),
            **await self.leases.facts(),
            spans=await self.log.partitions.count(),
            statements=self.engine.statements,
        )


async def open_postgres(url: str, node: str | None = None, clock: Clock | None = None) -> PostgresStore:
    """Open (or make) the store in a database. Raises SchemaTooNew, StoreBroken; then nothing was changed.

    `node` names this process among others; a name of its own is made when none is given. `clock` is put right by the
    server's when it is off: what nodes compare with one another must be one time.
    """
    engine = Engine(url, asyncio.get_running_loop())
    await engine.open()
    store = None
    try:
        await migrate(engine)
        given = await engine.work.fetchval(sql("log")["instance"], ids.new_instance().encode())
        name = node or f"{socket.gethostname()[:40]}-{secrets.token_hex(3)}"
        store = PostgresStore(engine, given.decode(), name, clock or Clock())
        await store.start()
    except BaseException:
        await (store or engine).close()
        raise
    return store
