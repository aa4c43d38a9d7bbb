"""PostgreSQL as a target to copy into: by COPY, with the progress in the same transaction as the rows.

Knows the tables of the PostgreSQL schema and how to convert values of SQLite; nothing of the source. Invariant: an
incomplete target is marked in its settings, and no gateway starts on it. After a crash the progress in the target says
where to continue.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import asyncpg
import msgspec

from tidegate.store.postgres.batches import indexable
from tidegate.store.postgres.deliveries import DISTANCE
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.log_spans import LogSpans
from tidegate.store.postgres.migrate import migrate
from tidegate.store.postgres.text import escape_some
from tidegate.store.rows import pack_settled_ahead, unpack_settled_ahead
from tidegate.store.sqlite.deliveries import DISTANCE as SQLITE_DISTANCE

UNFINISHED = "value:moving"
SMALL_AT_ONCE = 5000
SETTINGS = {"search_path": "tidegate", "application_name": "tidegate", "synchronous_commit": "on"}
EVENTS_COLUMNS = (
    "offset", "audience", "type", "key", "origin", "received_at", "occurred_at", "hops", "differs", "data_path",
    "content_type", "headers", "change", "body",
)  # fmt: skip
ATTEMPTS_COLUMNS = (
    "offset", "destination", "number", "outcome", "started_at", "duration", "status", "error", "answer_headers",
    "answer_body", "answer_bytes", "url", "manual", "head", "request",
)  # fmt: skip

Convert = Callable[[Any], Any]
_CONVERT: dict[str, Convert] = {
    "text": escape_some,
    "boolean": lambda value: None if value is None else bool(value),
}


class Progress(msgspec.Struct, frozen=True):
    """What an incomplete target stores."""

    instance: str
    upto: int  # the log is copied up to this offset
    began_at_us: int


async def open_target(url: str) -> Target:
    """Check the server and migrate it to the newest schema. Raises the same errors as opening a store."""
    engine = Engine(url)
    await engine.open()
    try:
        await migrate(engine)
        # A connection of its own: copying takes longer than a statement of the pool may.
        connection = await asyncpg.connect(url, server_settings=SETTINGS)
    except BaseException:
        await engine.close()
        raise
    return Target(engine, connection, engine.server)


class Target:
    """Opened by `open_target`; `close` it."""

    def __init__(self, engine: Engine, connection: Any, name: str) -> None:
        self.name = name
        self._engine = engine
        self._connection = connection
        self._sql = sql("migrate_store")
        self._types: dict[str, dict[str, str]] = {}

    async def close(self) -> None:
        await self._connection.close()
        await self._engine.close()

    # -- progress ----------------------------------------------------------------------------------------

    async def progress(self) -> Progress | None:
        found = await self._connection.fetchval(self._sql["setting"], UNFINISHED)
        return None if found is None else msgspec.json.decode(found, type=Progress)

    async def empty(self) -> bool:
        return not await self._connection.fetchval(self._sql["occupied"])

    async def begin(self, progress: Progress) -> None:
        """Mark the target as incomplete and give it the instance of the source, so that every id stays the same."""
        async with self._connection.transaction():
            await self._put("instance", progress.instance.encode())
            await self._put(UNFINISHED, msgspec.json.encode(progress))

    async def _put(self, name: str, value: bytes) -> None:
        await self._connection.execute(self._sql["put_setting"], name, value)

    # -- the log -----------------------------------------------------------------------------------------

    async def make_room(self, head: int) -> None:
        """Make the spans for every offset up to `head`."""
        await LogSpans(self._engine).make_through(head)

    async def copy_slice(self, events: Sequence[Any], attempts: Sequence[Any], progress: Progress) -> None:
        async with self._connection.transaction():
            await self._copy("events", EVENTS_COLUMNS, events)
            await self._copy("attempts", ATTEMPTS_COLUMNS, attempts)
            await self._put(UNFINISHED, msgspec.json.encode(progress))

    async def _copy(self, table: str, columns: Sequence[str], rows: Iterable[Any], into: str = "") -> int:
        """Copy rows and return their number."""
        types = await self._types_of(table)
        converts = [_CONVERT.get(types[column]) for column in columns]
        made = [
            tuple(value if convert is None else convert(value) for value, convert in zip(row, converts, strict=True))
            for row in rows
        ]
        if made:
            await self._connection.copy_records_to_table(into or table, records=made, columns=list(columns))
        return len(made)

    async def _types_of(self, table: str) -> dict[str, str]:
        if table not in self._types:
            rows = await self._connection.fetch(self._sql["columns"], table)
            self._types[table] = {row[0]: row[1] for row in rows}
        return self._types[table]

    # -- the rest ----------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def last_pass(self) -> AsyncIterator[LastPass]:
        """One transaction, at the end of which the target is complete."""
        async with self._connection.transaction():
            await self._connection.execute("SET LOCAL statement_timeout = 0")
            yield LastPass(self, self._connection, self._sql)
            await self._connection.execute(self._sql["delete_setting"], UNFINISHED)


class LastPass:
    """The tables that change while a gateway runs on the source."""

    def __init__(self, target: Target, connection: Any, queries: dict[str, str]) -> None:
        self._target = target
        self._connection = connection
        self._sql = queries

    async def late_attempts(self, slices: Iterator[list[Any]]) -> None:
        """Copy attempts that were settled after their event was copied."""
        await self._connection.execute(self._sql["late_table"])
        for rows in slices:
            await self._target._copy("attempts", ATTEMPTS_COLUMNS, rows, into="late_attempts")
        await self._connection.execute(self._sql["take_late"])

    async def differs(self, offsets: list[int]) -> None:
        await self._connection.execute(self._sql["differs"], offsets)

    async def copy(self, table: str, rows: Iterator[Any], columns: Sequence[str]) -> int:
        """Copy all rows of a table and return their number."""
        if table in _ROWS:
            rows = map(_ROWS[table], (dict(zip(columns, row, strict=True)) for row in rows))
        count = 0
        while some := list(islice(rows, SMALL_AT_ONCE)):
            count += await self._target._copy(table, columns, some)
        return count

    async def settle_in(self, head: int, high_water_mark: int, oldest: int | None, values: dict[str, bytes]) -> None:
        """Write sequences, high-water marks, the floor of the log and small values."""
        await self._connection.execute(self._sql["set_sequences"])
        await self._connection.execute(self._sql["set_offset"], head)
        await self._connection.execute(self._sql["set_marks"], high_water_mark)
        await self._connection.execute(self._sql["set_floor"], head if oldest is None else oldest - 1)
        for name, value in values.items():
            await self._target._put(name, value)

    async def count(self, table: str) -> int:
        return int(await self._connection.fetchval(self._sql[f"count_{table}"]))


def _lane(row: dict[str, Any]) -> tuple[Any, ...]:
    """Distances of settled offsets have 32 bits in SQLite and 64 in PostgreSQL."""
    if row["committed_offset"] is not None:
        settled_ahead = unpack_settled_ahead(row["committed_offset"], row["settled_ahead"], SQLITE_DISTANCE)
        row["settled_ahead"] = pack_settled_ahead(row["committed_offset"], settled_ahead, DISTANCE)
    return tuple(row.values())


def _dedupe(row: dict[str, Any]) -> tuple[Any, ...]:
    """A key that is too long for an index of PostgreSQL is replaced by its hash."""
    row["key"] = indexable(row["key"])
    return tuple(row.values())


_ROWS = {"lanes": _lane, "dedupe": _dedupe}
