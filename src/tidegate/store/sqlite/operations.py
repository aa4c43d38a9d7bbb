"""Remembered ids and repeated calls on SQLite. Implements `store.Operations`. Crash: as the protocol says."""

from __future__ import annotations

import apsw
import msgspec

from tidegate.store.operations import PendingWrite, StoredCall
from tidegate.store.sqlite.engine import Engine, rows, sql


class SqliteOperations:
    """Implements `store.Operations`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("operations")

    async def remembered(self, source: str, key: str) -> dict[str, str]:
        found = await self._engine.read(lambda c: rows(c, self._sql["remembered"], (source, key)))
        return msgspec.json.decode(found[0][0], type=dict[str, str]) if found else {}

    async def remember(self, source: str, key: str, ids: dict[str, str], at_us: int) -> None:
        def work(connection: apsw.Connection) -> None:
            found = rows(connection, self._sql["remembered"], (source, key))
            known = msgspec.json.decode(found[0][0], type=dict[str, str]) if found else {}
            row = (source, key, msgspec.json.encode({**known, **ids}), at_us)
            connection.execute(self._sql["remember"], row).fetchall()

        await self._engine.write(work)

    async def begin_call(self, name: str, digest: bytes, at_us: int, forget_before_us: int) -> StoredCall | None:
        def work(connection: apsw.Connection) -> StoredCall | None:
            rows(connection, self._sql["forget_calls"], (forget_before_us,))
            if rows(connection, self._sql["begin_call"], (name, digest, at_us)):
                return None
            return StoredCall(*rows(connection, self._sql["call"], (name,))[0])

        return await self._engine.write(work)

    async def put_write(self, write: PendingWrite, forget_before_us: int) -> None:
        def work(connection: apsw.Connection) -> None:
            rows(connection, self._sql["forget_writes"], (forget_before_us,))
            rows(connection, self._sql["put_write"], msgspec.structs.astuple(write))

        await self._engine.write(work)

    async def write(self, id: str) -> PendingWrite | None:
        found = await self._engine.read(lambda c: rows(c, self._sql["write"], (id,)))
        return PendingWrite(*found[0]) if found else None

    async def writes(self, source: str, resource: str, state: int | None = None) -> list[PendingWrite]:
        found = await self._engine.read(lambda c: rows(c, self._sql["writes"], (source, resource, state)))
        return [PendingWrite(*row) for row in found]

    async def delete_write(self, id: str) -> None:
        await self._engine.write(lambda c: rows(c, self._sql["delete_write"], (id,)))

    async def delete_writes_of(self, source: str, resource: str, key: str) -> None:
        await self._engine.write(lambda c: rows(c, self._sql["delete_writes_of"], (source, resource, key)))

    async def end_call(self, name: str, answer: bytes | None) -> None:
        query, more = ("delete_call", ()) if answer is None else ("end_call", (answer,))
        await self._engine.write(lambda c: rows(c, self._sql[query], (name, *more)))
