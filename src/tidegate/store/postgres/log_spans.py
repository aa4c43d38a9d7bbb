"""Spans of the log: tables of events and attempts for 2^24 offsets each, made ahead and dropped as a whole.

A span is a table partition in PostgreSQL's terms; here "partition" only means a part of the background work. Appends
never wait for this module: tables are created first and then attached, and detached CONCURRENTLY before they are
dropped, each under a short lock timeout and tried again in the next run. A span that retention emptied is dropped also
when an older one is still needed; one that retention thinned is rewritten (`span_space.py`). One node does all this at
a time, under an advisory lock of its connection. Invariant: the next span exists before its first offset is used. After
a crash between two steps the next run looks at what exists and continues.
"""

from __future__ import annotations

import logging
from typing import Any

import asyncpg

from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.span_space import SpanSpace

SPAN_BITS = 24
DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600
_TABLES = ("events", "attempts")

log = logging.getLogger("tidegate.store")


def span_of(offset: int) -> int:
    return offset >> SPAN_BITS


def first_of(span: int) -> int:
    return span << SPAN_BITS


def slice_seconds(retention_seconds: float) -> int:
    """The time that a span covers: a day, or an hour where events are kept for less than three days."""
    return DAY_SECONDS if retention_seconds >= 3 * DAY_SECONDS else HOUR_SECONDS


class LogSpans:
    """`run` does what is due. The numbers of spans are ours, so they are safe in names of tables."""

    def __init__(self, engine: Engine) -> None:
        self.slice_seconds = DAY_SECONDS
        self._engine = engine
        self._sql = sql("engine")
        self._space = SpanSpace()

    async def run(self) -> bool:
        """Make the next span, jump to it when due, drop empty spans and rewrite thinned ones.

        False: another node is doing it.
        """
        async with self._engine.work.connection() as connection:
            if not await connection.fetchval(self._sql["try_maintaining"]):
                return False
            try:
                await self._make_ahead(connection)
                await self._jump_if_over(connection)
                await self._drop(connection)
            finally:
                if not connection.is_closed():
                    await connection.fetchval(self._sql["end_maintaining"])
            return True

    async def count(self) -> int:
        """The number of spans."""
        return len((await self._engine.work.fetchrow(self._sql["spans"]))["numbers"])

    async def make_through(self, offset: int) -> None:
        """Make every span up to that of an offset: for a log that is copied here with its offsets."""
        async with self._engine.work.connection() as connection:
            there = (await connection.fetchrow(self._sql["spans"]))["numbers"] or ()
            for number in range(span_of(offset) + 1):
                if number not in there:
                    await self._make(connection, number)

    async def _make_ahead(self, connection: Any) -> None:
        state = await connection.fetchrow(self._sql["spans"])
        current = span_of(state["last"])
        for number in (current, current + 1):
            if number not in (state["numbers"] or ()):
                await self._make(connection, number)
        await connection.execute(self._sql["note_span"], current)

    async def _make(self, connection: Any, number: int) -> None:
        async with connection.transaction():
            for table in _TABLES:
                name = f"{table}_{number:d}"
                await connection.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING ALL)")
                await connection.execute(
                    f"ALTER TABLE {table} ATTACH PARTITION {name} "
                    f"FOR VALUES FROM ({first_of(number):d}) TO ({first_of(number + 1):d})"
                )
            await connection.execute(self._sql["add_span"], number)

    async def _jump_if_over(self, connection: Any) -> None:
        """At the change of day the next event starts a span. Under the append lock, so no offset is drawn meanwhile."""
        if not await self._is_over(connection):
            return
        async with connection.transaction():
            await connection.fetchval(sql("log")["lock_append"])
            state = await connection.fetchrow(self._sql["spans"])
            current = span_of(state["last"])
            if not await self._is_over(connection):
                return
            empty = not state["drawn"] and state["last"] == first_of(current)
            if not empty:
                current += 1
                await connection.fetchval(self._sql["jump"], first_of(current))
            await connection.execute(self._sql["enter_span"], current)
        await self._make_ahead(connection)

    async def _is_over(self, connection: Any) -> bool:
        state = await connection.fetchrow(self._sql["spans"])
        over = await connection.fetchval(self._sql["span_is_over"], span_of(state["last"]), float(self.slice_seconds))
        return bool(over)

    async def _drop(self, connection: Any) -> None:
        state = await connection.fetchrow(self._sql["spans"])
        for number in state["numbers"]:
            if number >= span_of(state["last"]):
                return
            if not await self._is_past(connection, number):
                await self._space.give_back(connection, number, first_of(number), first_of(number + 1))
                continue
            try:
                for table in _TABLES:
                    await self._drop_table(connection, table, f"{table}_{number:d}")
                await connection.execute(self._sql["forget_span"], number)
                await self._space.forget(connection, number)
            except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError):
                log.info("span %d is still being read, a later run drops it", number)
                return

    async def _is_past(self, connection: Any, number: int) -> bool:
        """Whether all events of a span are gone or at or below the floor.

        What looks so is checked again under the append lock, so that no event of it is being written.
        """
        if not await connection.fetchval(self._sql["span_is_past"], first_of(number), first_of(number + 1)):
            return False
        async with connection.transaction():
            await connection.fetchval(sql("log")["lock_append"])
            past = await connection.fetchval(self._sql["span_is_past"], first_of(number), first_of(number + 1))
        return bool(past)

    async def _drop_table(self, connection: Any, table: str, name: str) -> None:
        found = await connection.fetchrow(self._sql["span_table"], name)
        if found is None:
            return
        if found["pending"]:
            await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {name} FINALIZE")
        elif found["attached"]:
            await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {name} CONCURRENTLY")
        await connection.execute(f"DROP TABLE {name}")
