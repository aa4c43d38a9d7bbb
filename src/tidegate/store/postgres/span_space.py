"""Gives the space of old spans back to the disk, when retention deleted events around those that are owed.

Rows that are deleted leave their space in the table, and a span that is not the newest gets no new events that could
use it. So one event that a paused destination is owed would keep the whole tables of its day. What is left of such a
span is copied into new tables, which then take the place of the old ones.

Owns the count of what was deleted from each span, and the copy. May not know why events are deleted. Invariants: no
committed row of a span is lost, whatever other sessions do meanwhile: the copy is compared with the old table under a
lock that keeps writers out. Readers wait for the exchange of two names only, at most `LOCK_MS`; if that is not enough,
a later run tries again. Crash: a copy that was not exchanged is dropped by the next run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec

from tidegate.store.postgres.engine import sql

ROW_BYTES = 200  # of a row and its index entries, beside body and headers
MIN_FREED_BYTES = 16 << 20
LOCK_MS = 300  # the appends of all nodes may have to wait so long
_COPY_SECONDS = 600
_TABLES = ("events", "attempts")

log = logging.getLogger("tidegate.store")


async def note_freed(connection: Any, deleted: Iterable[tuple[int, int]]) -> None:
    """Count deleted rows, (span, bytes), in the transaction that deletes them."""
    freed = await _freed(connection)
    for span, count in deleted:
        freed[span] = freed.get(span, 0) + count + ROW_BYTES
    await _put_freed(connection, freed)


async def _freed(connection: Any) -> dict[int, int]:
    stored = await connection.fetchval(sql("engine")["freed_in_spans"])
    return msgspec.json.decode(stored, type=dict[int, int]) if stored else {}


async def _put_freed(connection: Any, freed: dict[int, int]) -> None:
    await connection.execute(sql("engine")["put_freed_in_spans"], msgspec.json.encode(freed))


class SpanSpace:
    """Numbers of spans are ours, so they are safe in names of tables."""

    def __init__(self) -> None:
        self._sql = sql("engine")

    async def give_back(self, connection: Any, number: int, first: int, end: int) -> bool:
        """Rewrite an old span if at least half of its tables was deleted. Whether it was rewritten.

        `first`, `end`: its first offset, and that of the next span. `connection` holds the lock of maintenance.
        """
        freed = (await _freed(connection)).get(number, 0)
        if freed < MIN_FREED_BYTES:
            return False
        names = [f"{table}_{number:d}" for table in _TABLES]
        held = await connection.fetchval(self._sql["span_bytes"], *names)
        if freed * 2 < held:
            return False
        try:
            if await self._live(connection, number) * 2 > held:
                await self.forget(connection, number)  # new events have used the space while the span was the newest
                return False
            for table in _TABLES:
                await self._copy(connection, table, f"{table}_{number:d}", first, end)
            await self._exchange(connection, number, first, end)
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError):
            log.info("span %d is being read, a later run gives its space back", number)
            return False
        finally:
            for name in names:
                await connection.execute(f"DROP TABLE IF EXISTS {name}_kept")
        return True

    async def forget(self, connection: Any, number: int) -> None:
        """Count from zero again: the span was rewritten, or is gone."""
        freed = await _freed(connection)
        if freed.pop(number, None) is not None:
            await _put_freed(connection, freed)

    async def _live(self, connection: Any, number: int) -> int:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = {_COPY_SECONDS * 1000:d}")
            return int(await connection.fetchval(self._sql["span_live"].format(name=f"events_{number:d}")))

    async def _copy(self, connection: Any, table: str, name: str, first: int, end: int) -> None:
        """Other sessions read and write the old table meanwhile."""
        await connection.execute(f"DROP TABLE IF EXISTS {name}_kept")
        async with connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = {_COPY_SECONDS * 1000:d}")
            await connection.execute(f"CREATE TABLE {name}_kept (LIKE {table} INCLUDING ALL)")
            # With this, attaching the table later does not read it.
            await connection.execute(
                f'ALTER TABLE {name}_kept ADD CONSTRAINT in_span CHECK ("offset" >= {first:d} AND "offset" < {end:d})'
            )
            await connection.execute(self._sql["copy_span"].format(name=name))

    async def _exchange(self, connection: Any, number: int, first: int, end: int) -> None:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS:d}")
            for table in _TABLES:
                await self._compare(connection, table, f"{table}_{number:d}")
            for table in _TABLES:
                name = f"{table}_{number:d}"
                await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
                await connection.execute(f"DROP TABLE {name}")
                await connection.execute(f"ALTER TABLE {name}_kept RENAME TO {name}")
                await connection.execute(
                    f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first:d}) TO ({end:d})"
                )
                await connection.execute(f"ALTER TABLE {name} DROP CONSTRAINT in_span")
            await self.forget(connection, number)

    async def _compare(self, connection: Any, table: str, name: str) -> None:
        """Make the copy equal to the old table, which nobody can change until the end of the transaction."""
        await connection.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        for query in ("drop_deleted", "add_written", "copy_marks"):
            if f"{query}_{table}" in self._sql:
                await connection.execute(self._sql[f"{query}_{table}"].format(name=name))
