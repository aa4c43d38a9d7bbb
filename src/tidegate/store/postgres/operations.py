"""Remembered ids and repeated calls on PostgreSQL. Implements `store.Operations`. Crash: as the protocol says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tidegate.store.operations import PendingWrite, StoredCall
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.text import escape, unescape


class PostgresOperations:
    """Implements `store.Operations`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("operations")

    async def remembered(self, source: str, key: str) -> dict[str, str]:
        found = await self._engine.work.fetchval(self._sql["remembered"], source, escape(key))
        return {} if found is None else msgspec.json.decode(found, type=dict[str, str])

    async def remember(self, source: str, key: str, ids: dict[str, str], at_us: int) -> None:
        async with self._engine.work.transaction() as connection:
            found = await connection.fetchval(self._sql["remembered"], source, escape(key))
            known = {} if found is None else msgspec.json.decode(found, type=dict[str, str])
            body = msgspec.json.encode({**known, **ids})
            await connection.execute(self._sql["remember"], source, escape(key), body, at_us)

    async def begin_call(self, name: str, digest: bytes, at_us: int, forget_before_us: int) -> StoredCall | None:
        async with self._engine.work.transaction() as connection:
            await connection.execute(self._sql["forget_calls"], forget_before_us)
            if await connection.fetchval(self._sql["begin_call"], escape(name), digest, at_us) is not None:
                return None
            row = await connection.fetchrow(self._sql["call"], escape(name))
        return StoredCall(*row)

    async def put_write(self, write: PendingWrite, forget_before_us: int) -> None:
        row = [escape(one) if isinstance(one, str) else one for one in msgspec.structs.astuple(write)]
        async with self._engine.work.transaction() as connection:
            await connection.execute(self._sql["forget_writes"], forget_before_us)
            await connection.execute(self._sql["put_write"], *row)

    async def write(self, id: str) -> PendingWrite | None:
        found = await self._engine.work.fetch(self._sql["write"], escape(id))
        return _write(found[0]) if found else None

    async def writes(self, source: str, resource: str, state: int | None = None) -> list[PendingWrite]:
        found = await self._engine.work.fetch(self._sql["writes"], source, resource, state)
        return [_write(row) for row in found]

    async def delete_write(self, id: str) -> None:
        await self._engine.work.execute(self._sql["delete_write"], escape(id))

    async def delete_writes_of(self, source: str, resource: str, key: str) -> None:
        await self._engine.work.execute(self._sql["delete_writes_of"], source, resource, escape(key))

    async def end_call(self, name: str, answer: bytes | None) -> None:
        if answer is None:
            await self._engine.work.execute(self._sql["delete_call"], escape(name))
        else:
            await self._engine.work.execute(self._sql["end_call"], escape(name), answer)


def _write(row: Iterable[Any]) -> PendingWrite:
    values: list[Any] = [unescape(one) if isinstance(one, str) else one for one in row]
    return PendingWrite(*values)
