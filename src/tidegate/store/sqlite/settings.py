"""Configuration items, route revisions, keys, feeds, rejections and small values on SQLite.

Implements `store.Settings`. Bodies of items and revisions come sealed; this file never sees a secret. Everything
is written through the one writer, so a setting that was answered is on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import apsw
import msgspec

from tidegate.core.errors import ChangedElsewhere
from tidegate.store import ApiKey, Feed, Item, Rejection
from tidegate.store.sqlite.engine import Engine, rows, sql

MEANWHILE = "the same source, destination or route was changed otherwise at the same moment"


class SqliteSettings:
    """Implements `store.Settings`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("settings")

    async def items(self) -> list[Item]:
        found = await self._engine.read(lambda c: rows(c, self._sql["items"]))
        return [Item(*row) for row in found]

    async def put_items(self, items: Sequence[Item], *, read: Mapping[int, bytes] | None = None) -> None:
        def work(connection: apsw.Connection) -> None:
            for number, body in (read or {}).items():
                if connection.execute(self._sql["body_of_item"], (number,)).get != body:
                    raise ChangedElsewhere(MEANWHILE)
            for i in sorted(items, key=lambda item: item.deleted_at_us is None):  # deletes first: names get free
                if i.number:
                    connection.execute(
                        self._sql["update_item"],
                        (i.owner, i.body, i.place, i.updated_at_us, i.paused_at_us, i.pause_reason,
                         i.deleted_at_us, i.number),
                    )  # fmt: skip
                else:
                    connection.execute(
                        self._sql["insert_item"],
                        (i.kind, i.name, i.owner, i.body, i.place, i.created_at_us, i.updated_at_us, i.paused_at_us,
                         i.pause_reason, i.deleted_at_us),
                    ).fetchall()  # fmt: skip

        try:
            await self._engine.write(work)
        except apsw.ConstraintError as error:
            raise ChangedElsewhere(MEANWHILE) from error

    async def route_revision(self, name: str, body: bytes, digest: bytes) -> int:
        made = await self._engine.write(lambda c: rows(c, self._sql["route_revision"], (name, digest, body)))
        return int(made[0][0])

    async def route_revisions(self) -> dict[int, tuple[str, bytes]]:
        found = await self._engine.read(lambda c: rows(c, self._sql["route_revisions"]))
        return {row[0]: (row[1], row[2]) for row in found}

    async def keys(self) -> list[ApiKey]:
        found = await self._engine.read(lambda c: rows(c, self._sql["keys"]))
        return [
            ApiKey(row[0], row[1], row[2], tuple(row[3].split()), tuple(row[4].split()), row[5], row[6])
            for row in found
        ]

    async def put_key(self, key: ApiKey | None, *, delete: str | None = None) -> None:
        def work(connection: apsw.Connection) -> None:
            if delete is not None:
                connection.execute(self._sql["delete_key"], (delete,))
            if key is not None:
                connection.execute(
                    self._sql["put_key"],
                    (key.id, key.name, key.hash, " ".join(key.scopes), " ".join(key.sources), key.created_at_us,
                     key.expires_at_us),
                )  # fmt: skip

        await self._engine.write(work)

    async def feed(self, name: str, *, ack: int | None = None, now_us: int = 0) -> Feed | None:
        if ack is not None:
            await self._engine.write(lambda c: c.execute(self._sql["ack_feed"], (name, ack, now_us)).fetchall())
        found = await self._engine.read(lambda c: rows(c, self._sql["feed"], (name,)))
        return Feed(*found[0]) if found else None

    async def rejections(self, *, put: Sequence[Rejection] = (), limit: int = 100) -> list[Rejection]:
        def work(connection: apsw.Connection) -> None:
            connection.executemany(self._sql["put_rejection"], [msgspec.structs.astuple(one) for one in put])
            connection.execute(self._sql["bound_rejections"])

        if put:
            await self._engine.write(work)
        found = await self._engine.read(lambda c: rows(c, self._sql["rejections"], (limit,)))
        return [Rejection(*row) for row in found]

    async def value(self, name: str, *, put: bytes | None = None) -> bytes | None:
        name = f"value:{name}"  # apart from the store's own: mark, head, instance
        if put is not None:
            await self._engine.write(lambda c: c.execute(self._sql["put_value"], (name, put)).fetchall())
            return put
        found = await self._engine.read(lambda c: rows(c, self._sql["value"], (name,)))
        return found[0][0] if found else None

    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool:
        query, more = ("new_value", ()) if was is None else ("swap_value", (was,))
        done = await self._engine.write(lambda c: rows(c, self._sql[query], (f"value:{name}", put, *more)))
        return bool(done)

    def watch(self, listener: Callable[[], None]) -> None:
        """No other node can change anything here: the directory is locked."""
