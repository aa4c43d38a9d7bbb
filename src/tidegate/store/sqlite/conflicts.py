"""Changes by others and conflicts on SQLite. Implements `store.Conflicts`. Crash: as the protocol says."""

from __future__ import annotations

import apsw
import msgspec

from tidegate.store.conflicts import OtherChange, StoredConflict
from tidegate.store.sqlite.engine import Engine, rows, sql


class SqliteConflicts:
    """Implements `store.Conflicts`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("conflicts")

    async def put_change(self, change: OtherChange, forget_before_us: int) -> None:
        def work(connection: apsw.Connection) -> None:
            rows(connection, self._sql["forget_changes"], (forget_before_us,))
            rows(connection, self._sql["put_change"], msgspec.structs.astuple(change))

        await self._engine.write(work)

    async def changes(self, source: str, resource: str, key: str) -> list[OtherChange]:
        found = await self._engine.read(lambda c: rows(c, self._sql["changes"], (source, resource, key)))
        return [OtherChange(*row) for row in found]

    async def carried(self, change: tuple[str, str, str, int], target: str, at_us: int) -> None:
        def work(connection: apsw.Connection) -> None:
            for row in rows(connection, self._sql["changes"], change[:3]):
                one = OtherChange(*row)
                known = msgspec.json.decode(one.carried, type=dict[str, int])
                if one.number <= change[3] and target not in known:
                    body = msgspec.json.encode({**known, target: at_us})
                    rows(connection, self._sql["carried"], (body, *change[:3], one.number))

        await self._engine.write(work)

    async def put(self, conflict: StoredConflict, forget_before_us: int) -> None:
        def work(connection: apsw.Connection) -> None:
            rows(connection, self._sql["forget"], (forget_before_us,))
            rows(connection, self._sql["put"], msgspec.structs.astuple(conflict))

        await self._engine.write(work)

    async def get(self, id: str) -> StoredConflict | None:
        found = await self._read("get", id)
        return found[0] if found else None

    async def of_pair(self, pair: str) -> list[StoredConflict]:
        return await self._read("of_pair", pair)

    async def listed(self, held: bool, limit: int) -> list[StoredConflict]:
        return await self._read("held" if held else "listed", limit)

    async def _read(self, query: str, value: str | int) -> list[StoredConflict]:
        found = await self._engine.read(lambda c: rows(c, self._sql[query], (value,)))
        return [StoredConflict(*row) for row in found]
