"""Counts by minute and hour on SQLite. Implements `store.Rollups`. `counts.py` adds those of accepted events.

Crash: a row is there when its fact is.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from tidegate.core.rollups import RollupRow, added
from tidegate.store.sqlite.engine import Engine, insert_many, rows, sql

FOLD_MINUTES = 10  # that become part of their hours in one transaction


class SqliteRollups:
    """Implements `store.Rollups`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("rollups")
        engine.write_last = self._add

    def _add(self, connection: apsw.Connection, given: Sequence[RollupRow]) -> None:
        """Within the transaction of what they count, as its last statement."""
        insert_many(connection, self._sql["add"], given)

    async def add(self, given: Sequence[RollupRow]) -> None:
        merged = added(given)
        await self._engine.write(lambda c: self._add(c, merged))

    async def read(
        self,
        since: int,
        until: int,
        *,
        every: int = 0,
        scope: str | None = None,
        subject: str | None = None,
        prefix: str | None = None,
    ) -> list[RollupRow]:
        values = (since, until, every, scope, subject, prefix)
        found = await self._engine.read(lambda c: rows(c, self._sql["read"], values))
        return [RollupRow(*row) for row in found]

    async def first_minute(self) -> int | None:
        found = await self._engine.read(lambda c: rows(c, self._sql["first_minute"]))
        return None if found[0][0] is None else int(found[0][0])

    async def fold(self, before: int) -> int:
        def work(connection: apsw.Connection) -> int:
            first = rows(connection, self._sql["first_of_minutes"])[0][0]
            if first is None or first >= before:
                return 0
            upto = min(before, first + FOLD_MINUTES)
            rows(connection, self._sql["fold"], (upto,))
            rows(connection, self._sql["delete_minutes"], (upto,))
            return int(connection.changes())

        return await self._engine.write(work)

    async def trim(self, before: int) -> None:
        await self._engine.write(lambda c: rows(c, self._sql["trim"], (before,)))
