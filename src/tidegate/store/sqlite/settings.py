"""Configuration items, route revisions, keys, feeds, rejected requests and small values on SQLite.

Implements `store.Settings`. Bodies of items and revisions arrive sealed: this layer never sees a secret. Everything is
written by the one writer, so a setting that was acknowledged is on disk; after a crash a call is stored completely or
not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import apsw
import msgspec

from tidegate.core.errors import ChangedElsewhere
from tidegate.store import ApiKey, Feed, FeedAck, Item, Rejection
from tidegate.store.rows import (
    MEANWHILE,
    changed_item_row,
    feed_ack_row,
    feed_of,
    key_of,
    key_row,
    new_item_row,
    value_name,
)
from tidegate.store.sqlite.engine import Engine, rows, sql


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
            for i in sorted(
                items, key=lambda item: item.deleted_at_us is None
            ):  # deletes first: their names may be used again
                query, row = ("update_item", changed_item_row(i)) if i.number else ("insert_item", new_item_row(i))
                connection.execute(self._sql[query], row).fetchall()

        try:
            await self._engine.write(work)
        except apsw.ConstraintError as error:
            raise ChangedElsewhere(MEANWHILE) from error

    async def route_revision(self, name: str, body: bytes, digest: bytes) -> int:
        made = await self._engine.write(lambda c: rows(c, self._sql["route_revision"], (name, digest, body)))
        return int(made[0][0])

    async def reseal_revision(self, revision: int, was: bytes, body: bytes) -> None:
        await self._engine.write(lambda c: rows(c, self._sql["reseal_revision"], (revision, was, body)))

    async def route_revisions(self) -> dict[int, tuple[str, bytes]]:
        found = await self._engine.read(lambda c: rows(c, self._sql["route_revisions"]))
        return {row[0]: (row[1], row[2]) for row in found}

    async def keys(self) -> list[ApiKey]:
        found = await self._engine.read(lambda c: rows(c, self._sql["keys"]))
        return [key_of(row) for row in found]

    async def put_key(self, key: ApiKey | None, *, delete: str | None = None) -> None:
        def work(connection: apsw.Connection) -> None:
            if delete is not None:
                connection.execute(self._sql["delete_key"], (delete,))
            if key is not None:
                connection.execute(self._sql["put_key"], key_row(key))

        await self._engine.write(work)

    async def feed(self, name: str, *, ack: FeedAck | None = None) -> Feed | None:
        if ack is not None:
            row = feed_ack_row(name, ack)
            await self._engine.write(lambda c: c.execute(self._sql["ack_feed"], row).fetchall())
        found = await self._engine.read(lambda c: rows(c, self._sql["feed"], (name,)))
        return feed_of(found[0]) if found else None

    async def feeds(self) -> list[Feed]:
        return [feed_of(row) for row in await self._engine.read(lambda c: rows(c, self._sql["feeds"]))]

    async def delete_feed(self, name: str) -> bool:
        return bool(await self._engine.write(lambda c: rows(c, self._sql["delete_feed"], (name,))))

    async def rejections(self, *, put: Sequence[Rejection] = (), limit: int = 100) -> list[Rejection]:
        def work(connection: apsw.Connection) -> None:
            connection.executemany(self._sql["put_rejection"], [msgspec.structs.astuple(one) for one in put])
            connection.execute(self._sql["bound_rejections"])

        if put:
            await self._engine.write(work)
        found = await self._engine.read(lambda c: rows(c, self._sql["rejections"], (limit,)))
        return [Rejection(*row) for row in found]

    async def value(self, name: str, *, put: bytes | None = None) -> bytes | None:
        name = value_name(name)
        if put is not None:
            await self._engine.write(lambda c: c.execute(self._sql["put_value"], (name, put)).fetchall())
            return put
        found = await self._engine.read(lambda c: rows(c, self._sql["value"], (name,)))
        return found[0][0] if found else None

    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool:
        query, more = ("new_value", ()) if was is None else ("swap_value", (was,))
        done = await self._engine.write(lambda c: rows(c, self._sql[query], (value_name(name), put, *more)))
        return bool(done)

    def watch(self, listener: Callable[[], None]) -> None:
        """Does nothing: the directory is locked, so no other node changes anything."""
