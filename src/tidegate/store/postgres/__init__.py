"""The shared store: any number of nodes on one PostgreSQL server, and no other service.

`open_postgres` checks the server, migrates the schema (one of several starting nodes does), and starts to publish the
log. Background work starts with `leases.start`. Invariant: the driver is imported only with this package, so nobody
else needs it installed. After a crash other nodes take over, and the next start continues from what was committed.
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
from tidegate.store.postgres.budgets import PostgresBudgets
from tidegate.store.postgres.conflicts import PostgresConflicts
from tidegate.store.postgres.credentials import PostgresCredentials
from tidegate.store.postgres.deliveries import PostgresDeliveries
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.leases import PostgresLeases
from tidegate.store.postgres.log import PostgresLog
from tidegate.store.postgres.migrate import migrate
from tidegate.store.postgres.operations import PostgresOperations
from tidegate.store.postgres.records import PostgresRecords
from tidegate.store.postgres.rollups import PostgresRollups
from tidegate.store.postgres.settings import PostgresSettings


class PostgresStore:
    """Implements `store.Store`."""

    def __init__(self, engine: Engine, instance: str, node: str, clock: Clock) -> None:
        self.engine = engine
        self.log = PostgresLog(engine, instance, node, clock)
        self.leases = PostgresLeases(engine, node, clock)
        self.deliveries = PostgresDeliveries(engine, self.log, self.leases)
        self.records = PostgresRecords(engine, self.log.appends, self.leases)
        self.settings = PostgresSettings(engine)
        self.credentials = PostgresCredentials(engine)
        self.conflicts = PostgresConflicts(engine)
        self.operations = PostgresOperations(engine)
        self.rollups = PostgresRollups(engine, node)
        self.budgets = PostgresBudgets(engine)
        self.leases.on_peers = self._set_peers

    def _set_peers(self, nodes: int) -> None:
        """With more nodes each one collects longer: a small write costs as much as its commit, on any node."""
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
        """Call `callback` when this node cannot continue: the schema is one that it cannot read, another database took
        the place of this one, or the log was set back. A cut statement is not such a case, because repeated
        calls are recognized."""
        self.leases.failed = self.engine.on_broken = callback

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        raise NotBuilt(
            "a shared database is backed up with the tools of PostgreSQL",
            hint=f"run: pg_dump --format=custom --schema=tidegate --file={path} URL",
        )

    async def facts(self) -> PostgresFacts:
        return PostgresFacts(
            **await self.engine.facts(),
            **await self.leases.facts(),
            spans=await self.log.spans.count(),
            statements=self.engine.statements,
        )


async def open_postgres(url: str, node: str | None = None, clock: Clock | None = None) -> PostgresStore:
    """Open or create the store in a database. Raises SchemaTooNew and StoreBroken; nothing was changed then.

    `node` is the name of this process among the nodes; without one, a unique name is made. `clock` is corrected to the
    server's clock, because nodes compare instants with one another.
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
