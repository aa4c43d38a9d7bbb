"""The embedded store as a source to copy from: read while a gateway runs, or alone.

Knows the tables of the SQLite schema, and nothing of the target. Reads in slices, so a large log needs little memory.
Invariant: each read is a transaction of its own, so a running gateway never waits. Writes nothing but the last counts
and the mark that closes the source at the end; after a crash it can be read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self

import apsw

from tidegate.core.errors import StoreBroken
from tidegate.store.sql import migrations
from tidegate.store.sqlite.engine import sql
from tidegate.store.sqlite.migrate import refuse_newer

SLICE_EVENTS = 2000
SLICE_BYTES = 16 << 20
MOVED_TO = "value:moved_to"
# Everything but the log. Settings are copied by name.
SMALL = (
    "audiences", "items", "credentials", "remembered_ids", "operation_calls", "pending_writes", "other_changes",
    "conflicts", "route_revisions",
    "keys", "feeds", "rejections", "replays", "ranges", "deferred_deliveries", "lanes", "dedupe", "records",
    "resource_states", "request_heads", "rollup_minutes", "rollup_hours",
)  # fmt: skip


class Source:
    """`with Source(file) as source:`"""

    def __init__(self, file: Path) -> None:
        refuse_newer(str(file))
        self._file = file
        self._connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
        self._connection.execute("PRAGMA busy_timeout = 10000").fetchall()
        self._sql = sql("migrate_store")
        newest = migrations("sqlite")[-1][0]
        version = self._connection.execute("PRAGMA user_version").get
        if version < newest:
            raise StoreBroken(
                f"the store has schema {version}, and this release copies schema {newest}",
                hint="start this release on it once, which migrates it: tidegate serve --data DIR",
                code="schema_too_old",
            )
        self.instance = str(self._setting("instance"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _setting(self, name: str) -> Any:
        return self._connection.execute(self._sql["setting"], (name,)).get

    def _all(self, name: str, *parameters: Any) -> list[Any]:
        return self._connection.execute(self._sql[name], parameters).fetchall()

    # -- the log -----------------------------------------------------------------------------------------

    def head(self) -> int:
        """The highest offset ever used."""
        return int(self._all("head")[0][0])

    def high_water_mark(self) -> int:
        return int(self._setting("high_water_mark") or 0)

    def oldest(self) -> int | None:
        """The lowest offset that is kept."""
        found = self._all("oldest")
        return int(found[0][0]) if found else None

    def slice_end(self, after: int, head: int) -> int:
        """The last offset of the slice that starts after an offset, limited in events and in bytes."""
        rows = self._all("sizes", after, SLICE_EVENTS)
        room = SLICE_BYTES
        for offset, body_bytes in rows:
            room -= body_bytes
            if room <= 0:
                return int(offset)
        return int(rows[-1][0]) if len(rows) == SLICE_EVENTS else head

    def events(self, after: int, upto: int) -> list[Any]:
        """Rows of (after, upto], in the columns of `columns("events")`."""
        return self._all("events", after, upto)

    def attempts_of(self, after: int, upto: int) -> list[Any]:
        return self._all("attempts_of", after, upto)

    def attempts_since(self, at_us: int) -> Iterator[list[Any]]:
        """Attempts that started at or after an instant, in slices."""
        cursor = self._connection.execute(self._sql["attempts_since"], (at_us,))
        while rows := list(islice(cursor, SLICE_EVENTS)):
            yield rows

    def differing(self) -> list[int]:
        """Offsets of events whose delivery id arrived again with a different body."""
        return [row[0] for row in self._all("differing")]

    def count_events(self) -> None:
        """Complete the counts before they are copied. Only while no gateway uses the source."""
        queries = sql("log")
        with self._connection:
            for query in ("count_audiences", "count_minutes"):
                self._connection.execute(queries[query])
            self._connection.execute(queries["put_counted"], (self.head(),))

    # -- the rest ----------------------------------------------------------------------------------------

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")]

    def rows(self, table: str) -> Iterator[Any]:
        """All rows, one at a time, in the order of `columns`. `table` is one of `SMALL`."""
        assert table in SMALL
        yield from self._connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - a constant name

    def settings(self) -> dict[str, bytes]:
        """Small values by their name in the table."""
        return {row[0]: row[1] for row in self._all("values")}

    def counts(self, tables: list[str]) -> dict[str, int]:
        """The number of rows of each table."""
        counted = ((table, f"SELECT count(*) FROM {table}") for table in tables)  # noqa: S608 - constant names
        return {table: int(self._connection.execute(text).get) for table, text in counted}

    def close_to_gateways(self, target: str) -> None:
        """Let no gateway start on this directory any more: its data lives in `target` now."""
        self._connection.execute(self._sql["put_setting"], (MOVED_TO, target.encode())).fetchall()
