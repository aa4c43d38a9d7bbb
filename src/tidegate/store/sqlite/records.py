"""Records on SQLite: the latest known state by key, and the state of each resource's engine.

Implements `store.Records`; appends change events through the log, in the same transaction. Knows no rule of comparison.
Invariant: records, change events, cursor and statistics of a commit are stored together, and a commit of an older fence
changes nothing. After a crash a commit is stored completely or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import apsw
import msgspec

from tidegate.core.errors import Fenced
from tidegate.core.model import Appended, NewEvent, Origin, RecordState, StoredChange
from tidegate.store import RecordCommit, ResourceState
from tidegate.store.rows import ORIGIN_NUMBER, change_of, record_of, record_row, state_of, state_row
from tidegate.store.sqlite.engine import Engine, insert_many, sql


class AppendsInside(Protocol):
    """What this needs of the log: to append within an open transaction."""

    def append_in(self, connection: apsw.Connection, events: Sequence[NewEvent]) -> list[Appended]: ...


class SqliteRecords:
    """Implements `store.Records`."""

    def __init__(self, engine: Engine, log: AppendsInside) -> None:
        self._engine = engine
        self._log = log
        self._sql = sql("records")

    async def known(self, source: str, resource: str, keys: Sequence[str]) -> dict[str, RecordState]:
        if not keys:
            return {}
        wanted = msgspec.json.encode(list(keys)).decode()
        rows: list[tuple[Any, ...]] = await self._engine.read(
            lambda c: c.execute(self._sql["known"], (source, resource, wanted)).fetchall()
        )
        return {row[0]: record_of(source, resource, row) for row in rows}

    async def page(
        self,
        source: str,
        resource: str,
        *,
        updated_since_us: int | None = None,
        after_key: str | None = None,
        limit: int = 100,
        deleted: bool = False,
    ) -> list[RecordState]:
        bound: tuple[Any, ...] = (source, resource, after_key or "", int(deleted), limit)
        query = self._sql["page"]
        if updated_since_us is not None:
            query, bound = self._sql["page_updated"], (*bound, updated_since_us)
        rows = await self._engine.read(lambda c: c.execute(query, bound).fetchall())
        return [record_of(source, resource, row) for row in rows]

    async def commit(self, commit: RecordCommit) -> list[Appended]:
        """All or none. Fenced when a newer fence has written; then nothing was changed."""
        return await self._engine.write(lambda c: self._commit(c, commit))

    def _commit(self, connection: apsw.Connection, commit: RecordCommit) -> list[Appended]:
        fence = connection.execute(self._sql["fence"], (commit.source, commit.resource)).get
        if fence is not None and fence > commit.fence:
            raise Fenced(f"{commit.source}/{commit.resource} is owned by fence {fence}, this write has {commit.fence}")
        insert_many(
            connection,
            self._sql["put"],
            [(commit.source, commit.resource, *record_row(one)) for one in commit.records],
        )
        connection.execute(self._sql["put_state"], state_row(commit))
        self._engine.last_rows += commit.rollups
        # Last, so that an error above cannot leave the log's head ahead of a rollback.
        return self._log.append_in(connection, commit.changes) if commit.changes else []

    async def state(self, source: str, resource: str) -> ResourceState:
        row = await self._engine.read(lambda c: c.execute(self._sql["state"], (source, resource)).fetchone())
        return ResourceState(source, resource) if row is None else state_of(row)

    async def states(self) -> list[ResourceState]:
        rows = await self._engine.read(lambda c: c.execute(self._sql["states"]).fetchall())
        return [state_of(row) for row in rows]

    async def changes_beside(
        self, source: str, resource: str, keys: Sequence[str], offset: int, *, later: bool
    ) -> dict[str, StoredChange]:
        """See `store.Records.changes_beside`."""
        if not keys:
            return {}
        bound = (source, resource, msgspec.json.encode(list(keys)).decode(), offset, ORIGIN_NUMBER[Origin.EDIT])
        query = self._sql["changes_above" if later else "changes_upto"]
        rows: list[Any] = await self._engine.read(lambda c: c.execute(query, bound).fetchall())
        return {change.key: change for change in map(change_of, rows)}

    async def count(self, source: str, resource: str) -> int:
        found: int = await self._engine.read(lambda c: c.execute(self._sql["count"], (source, resource)).get)
        return found
