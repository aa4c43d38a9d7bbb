"""Changes by others and conflicts on PostgreSQL. Implements `store.Conflicts`. Crash: as the protocol says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.store.conflicts import OtherChange, StoredConflict
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.text import escape, unescape


class PostgresConflicts:
    """Implements `store.Conflicts`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("conflicts")

    async def put_change(self, change: OtherChange, forget_before_us: int) -> None:
        async with self._engine.work.transaction() as connection:
            await connection.execute(self._sql["forget_changes"], forget_before_us)
            await connection.execute(self._sql["put_change"], *_written(msgspec.structs.astuple(change)))

    async def changes(self, source: str, resource: str, key: str) -> list[OtherChange]:
        found = await self._engine.work.fetch(self._sql["changes"], source, resource, escape(key))
        return [OtherChange(*_read(row)) for row in found]

    async def carried(self, change: tuple[str, str, str, int], target: str, at_us: int) -> None:
        place = _written(change[:3])
        async with self._engine.work.transaction() as connection:
            for row in await connection.fetch(self._sql["changes"] + " FOR UPDATE", *place):
                one = OtherChange(*_read(row))
                known = msgspec.json.decode(one.carried, type=dict[str, int])
                if one.number <= change[3] and target not in known:
                    body = msgspec.json.encode({**known, target: at_us})
                    await connection.execute(self._sql["carried"], body, *place, one.number)

    async def put(self, conflict: StoredConflict, forget_before_us: int) -> None:
        async with self._engine.work.transaction() as connection:
            await connection.execute(self._sql["forget"], forget_before_us)
            await connection.execute(self._sql["put"], *_written(msgspec.structs.astuple(conflict)))

    async def get(self, id: str) -> StoredConflict | None:
        row = await self._engine.work.fetchrow(self._sql["get"], escape(id))
        return None if row is None else StoredConflict(*_read(row))

    async def of_pair(self, pair: str) -> list[StoredConflict]:
        found = await self._engine.work.fetch(self._sql["of_pair"], escape(pair))
        return [StoredConflict(*_read(row)) for row in found]

    async def listed(self, held: bool, limit: int) -> list[StoredConflict]:
        found = await self._engine.work.fetch(self._sql["held" if held else "listed"], limit)
        return [StoredConflict(*_read(row)) for row in found]


def _written(row: Sequence[Any]) -> list[Any]:
    return [escape(one) if isinstance(one, str) else one for one in row]


def _read(row: Sequence[Any]) -> list[Any]:
    return [unescape(one) if isinstance(one, str) else one for one in row]
