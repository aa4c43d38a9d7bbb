"""The sealed tokens of credentials on PostgreSQL, shared by all nodes.

Implements `store.Credentials`. Locks end by the clock of the server, so nodes with wrong clocks agree on them. After a
crash a call is stored completely or not at all, and the lock of the crashed node ends when its time is over.
"""

from __future__ import annotations

from tidegate.store.credentials import SealedToken
from tidegate.store.postgres.engine import Engine, sql


class PostgresCredentials:
    """Implements `store.Credentials`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("credentials")

    async def get(self, name: str) -> SealedToken | None:
        row = await self._engine.work.fetchrow(self._sql["get"], name)
        return None if row is None else SealedToken(*row)

    async def names(self) -> list[str]:
        return [row[0] for row in await self._engine.work.fetch(self._sql["names"])]

    async def lock(self, name: str, owner: str, seconds: float) -> SealedToken | None:
        row = await self._engine.work.fetchrow(self._sql["lock"], name, owner, seconds)
        return None if row is None else SealedToken(*row)

    async def announce(self, name: str, fence: int) -> bool:
        return await self._engine.work.fetchval(self._sql["announce"], name, fence) is not None

    async def put(self, name: str, fence: int, body: bytes) -> bool:
        return await self._engine.work.fetchval(self._sql["put"], name, fence, body) is not None

    async def release(self, name: str, fence: int) -> None:
        await self._engine.work.execute(self._sql["release"], name, fence)

    async def delete(self, name: str) -> None:
        await self._engine.work.execute(self._sql["delete"], name)
