"""Configuration items, route revisions, keys, feeds, rejected requests and small values on PostgreSQL.

Implements `store.Settings`. Bodies of items and revisions arrive sealed: this layer never sees a secret. A version
counts the changes of items, revisions and keys, in the transaction that makes them. Nodes read it every 0.8 s, and at
once after a notification, and call their listeners when another node changed it; a lost notification costs a second.
After a crash a call is stored completely or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from tidegate.core.errors import ChangedElsewhere, StoreBusy
from tidegate.store import ApiKey, Feed, FeedAck, Item, Rejection
from tidegate.store.postgres.deliveries import columns
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.text import escape, unescape
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

log = logging.getLogger("tidegate.store")

WATCH_SECONDS = 0.8  # the promise is a second
WATCH_PACE_SECONDS = 0.02  # between two looks, however many notifications arrive


class PostgresSettings:
    """Implements `store.Settings`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = sql("settings")
        self._listeners: list[Callable[[], None]] = []
        self._own: set[int] = set()  # versions that this node made and `_look` has not passed yet
        self._seen = 0
        self._hint = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Before anything is read: later changes are reported to listeners, whenever they start to watch."""
        await self._engine.session.listen("tidegate_settings", lambda payload: self._hint.set())
        self._seen = await self._version()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- configuration and keys: the version counts their changes -------------------------------------------

    async def items(self) -> list[Item]:
        return [Item(*row) for row in await self._engine.work.fetch(self._sql["items"])]

    async def put_items(self, items: Sequence[Item], *, read: Mapping[int, bytes] | None = None) -> None:
        # Deletes first: their names may be used again.
        known = sorted((i for i in items if i.number), key=lambda item: item.deleted_at_us is None)
        updates = [changed_item_row(item) for item in known]
        inserts = [new_item_row(item) for item in items if not item.number]
        if not items:
            return
        try:
            async with self._change() as connection:
                if read:
                    as_read = await connection.fetch(self._sql["lock_items"], list(read), list(read.values()))
                    if len(as_read) != len(read):
                        raise ChangedElsewhere(MEANWHILE)
                await connection.executemany(self._sql["update_item"], updates)
                await connection.executemany(self._sql["insert_item"], inserts)
        except asyncpg.UniqueViolationError as error:
            raise ChangedElsewhere(MEANWHILE) from error

    async def route_revision(self, name: str, body: bytes, digest: bytes) -> int:
        found = await self._engine.work.fetchval(self._sql["find_revision"], name, digest)
        if found is not None:
            return int(found)
        async with self._change() as connection:
            made = await connection.fetchval(self._sql["put_revision"], name, digest, body)
        return int(made)

    async def reseal_revision(self, revision: int, was: bytes, body: bytes) -> None:
        await self._engine.work.execute(self._sql["reseal_revision"], revision, was, body)

    async def route_revisions(self) -> dict[int, tuple[str, bytes]]:
        return {row[0]: (row[1], row[2]) for row in await self._engine.work.fetch(self._sql["route_revisions"])}

    async def keys(self) -> list[ApiKey]:
        return [key_of(row) for row in await self._engine.vital.fetch(self._sql["keys"])]

    async def put_key(self, key: ApiKey | None, *, delete: str | None = None) -> None:
        async with self._change() as connection:
            if delete is not None:
                await connection.execute(self._sql["delete_key"], delete)
            if key is not None:
                await connection.execute(self._sql["put_key"], *key_row(key))

    @contextlib.asynccontextmanager
    async def _change(self) -> AsyncIterator[Any]:
        """A transaction that increments the version as its last step, because the row is locked from then to COMMIT."""
        made = 0
        try:
            async with self._engine.work.transaction() as connection:
                yield connection
                made = await connection.fetchval(self._sql["changed"])
                self._own.add(made)  # after the await: `_look` replaces the set
        except BaseException:
            if made:  # the outcome is unknown: if it was committed, listeners are called as for another node's
                self._own.discard(made)
                self._seen = min(self._seen, made - 1)
            raise

    # -- watching ------------------------------------------------------------------------------------------

    def watch(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watching(), name="settings")

    async def _watching(self) -> None:
        while True:
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._hint.wait()
            except TimeoutError:
                pass
            self._hint.clear()
            try:
                await self._look()
            except Exception:
                log.exception("a change of the configuration could not be applied")
            await asyncio.sleep(WATCH_PACE_SECONDS)

    async def _look(self) -> None:
        version = await self._version()
        others = any(made not in self._own for made in range(self._seen + 1, version + 1))
        self._own = {made for made in self._own if made > version}
        self._seen = version
        if others:
            for listener in self._listeners:
                listener()

    async def _version(self) -> int:
        while True:
            try:
                return int(await self._engine.work.fetchval(self._sql["version"]) or 0)
            except StoreBusy:
                await asyncio.sleep(WATCH_SECONDS)

    # -- feeds, rejections, values --------------------------------------------------------------------------

    async def feed(self, name: str, *, ack: FeedAck | None = None) -> Feed | None:
        if ack is not None:
            await self._engine.work.execute(self._sql["ack_feed"], *_each(escape, feed_ack_row(name, ack)))
        row = await self._engine.work.fetchrow(self._sql["feed"], escape(name))
        return None if row is None else feed_of(_each(unescape, row))

    async def feeds(self) -> list[Feed]:
        return [feed_of(_each(unescape, row)) for row in await self._engine.work.fetch(self._sql["feeds"])]

    async def delete_feed(self, name: str) -> bool:
        return await self._engine.work.fetchval(self._sql["delete_feed"], escape(name)) is not None

    async def rejections(self, *, put: Sequence[Rejection] = (), limit: int = 100) -> list[Rejection]:
        if put:
            rows = [_each(escape, msgspec.structs.astuple(one)) for one in put]
            async with self._engine.work.transaction() as connection:
                await connection.execute(self._sql["put_rejections"], *columns(rows, 5))
                await connection.execute(self._sql["bound_rejections"])
        return [
            Rejection(*_each(unescape, row)) for row in await self._engine.work.fetch(self._sql["rejections"], limit)
        ]

    async def value(self, name: str, *, put: bytes | None = None) -> bytes | None:
        name = value_name(name)
        if put is not None:
            await self._engine.work.execute(self._sql["put_value"], name, put)
            return put
        found: bytes | None = await self._engine.work.fetchval(self._sql["value"], name)
        return found

    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool:
        query, more = ("new_value", ()) if was is None else ("swap_value", (was,))
        return await self._engine.work.fetchval(self._sql[query], value_name(name), put, *more) is not None


def _each(way: Callable[[str], str], row: Any) -> tuple[Any, ...]:
    return tuple(way(value) if isinstance(value, str) else value for value in row)
