"""Counts by minute and hour on PostgreSQL. Implements `store.Rollups`. Crash: a row is there when its fact is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tidegate.core.rollups import RollupRow, added
from tidegate.store.postgres.engine import Engine, sql


def rollup_columns(given: Sequence[RollupRow]) -> Iterable[Sequence[Any]]:
    """Rows as six arrays for `unnest`, sorted and with one row for each key."""
    return list(zip(*added(given), strict=True)) or ((),) * 6


class PostgresRollups:
    """Implements `store.Rollups`."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine = engine
        self._node = node
        self._sql = sql("rollups")

    async def add(self, given: Sequence[RollupRow]) -> None:
        await self._engine.work.execute(self._sql["add"], self._node, *rollup_columns(given))

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
        found = await self._engine.requested.fetch(self._sql["read"], *values)
        return [RollupRow(*row) for row in found]

    async def first_minute(self) -> int | None:
        found: int | None = await self._engine.requested.fetchval(self._sql["first_minute"])
        return found

    async def fold(self, before: int) -> int:
        return int(await self._engine.work.fetchval(self._sql["fold"], before))

    async def trim(self, before: int) -> None:
        await self._engine.work.execute(self._sql["trim"], before)
