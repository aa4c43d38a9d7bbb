"""The sealed tokens of credentials on SQLite.

Implements `store.Credentials`. One process uses the file, so a lock that is found at the start belongs to a process
that is gone: `forget_locks` frees it. Everything is written by the one writer; after a crash a call is stored
completely or not at all.
"""

from __future__ import annotations

import apsw

from tidegate.store.credentials import SealedToken
from tidegate.store.sqlite.engine import Engine, rows, sql


class SqliteCredentials:
    """Implements `store.Credentials`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("credentials")

    def forget_locks(self, connection: apsw.Connection) -> None:
        """Before the store starts."""
        connection.execute(self._sql["forget_locks"]).fetchall()

    async def get(self, name: str) -> SealedToken | None:
        found = await self._engine.read(lambda c: rows(c, self._sql["get"], (name,)))
        return SealedToken(*found[0]) if found else None

    async def names(self) -> list[str]:
        return [row[0] for row in await self._engine.read(lambda c: rows(c, self._sql["names"]))]

    async def lock(self, name: str, owner: str, seconds: float) -> SealedToken | None:
        found = await self._engine.write(lambda c: rows(c, self._sql["lock"], (name, owner, seconds)))
        return SealedToken(*found[0]) if found else None

    async def announce(self, name: str, fence: int) -> bool:
        return bool(await self._engine.write(lambda c: rows(c, self._sql["announce"], (name, fence))))

    async def put(self, name: str, fence: int, body: bytes) -> bool:
        return bool(await self._engine.write(lambda c: rows(c, self._sql["put"], (name, fence, body))))

    async def release(self, name: str, fence: int) -> None:
        await self._engine.write(lambda c: rows(c, self._sql["release"], (name, fence)))

    async def delete(self, name: str) -> None:
        await self._engine.write(lambda c: rows(c, self._sql["delete"], (name,)))
