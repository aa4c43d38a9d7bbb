"""Records on SQLite: the latest known state by key, and what each resource's engine remembers.

Implements `store.Records` on the engine's writer and readers; appends change events through the log, in the same
transaction. Knows no merge rule: it keeps what it is told. Invariant: records, change events, cursor and statistics
of a commit are all there or none, and a commit of an older fence changes nothing. Crash: a commit is whole or absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import apsw
import msgspec

from tidegate.core.errors import Fenced
from tidegate.core.model import Appended, NewEvent, RecordState
from tidegate.store import RecordCommit, ResourceState
from tidegate.store.encoding import ORIGIN_NUMBER, ORIGINS
from tidegate.store.sqlite.engine import Engine, sql


class AppendsInside(Protocol):
    """What this needs of the log: append within a transaction that is already open."""

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
        return {row[0]: _record(source, resource, row) for row in rows}

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
        return [_record(source, resource, row) for row in rows]

    async def commit(self, commit: RecordCommit) -> list[Appended]:
        """All or none. Fenced when a newer fence has written; then nothing was changed."""
        return await self._engine.write(lambda c: self._commit(c, commit))

    def _commit(self, connection: apsw.Connection, commit: RecordCommit) -> list[Appended]:
        fence = connection.execute(self._sql["fence"], (commit.source, commit.resource)).get
        if fence is not None and fence > commit.fence:
            raise Fenced(f"{commit.source}/{commit.resource} is owned by fence {fence}, this write has {commit.fence}")
        connection.executemany(
            self._sql["put"],
            [
                (
                    commit.source, commit.resource, r.key, r.hash, r.version, r.number, ORIGIN_NUMBER[r.origin],
                    r.asked_at_us, r.answered_at_us, r.changed_at_us, int(r.deleted), r.body,
                )
                for r in commit.records
            ],
        )  # fmt: skip
        s = commit.state
        connection.execute(
            self._sql["put_state"],
            (
                commit.source, commit.resource, s.cursor, s.etag, s.last_modified, int(s.first_done),
                s.committed_offset,
                s.polled_at_us, s.reconciled_at_us, s.scanned_at_us, s.statistics, s.engine_state, commit.fence,
            ),
        )  # fmt: skip
        # Last, so that an error above cannot leave the log's counters ahead of what is undone.
        return self._log.append_in(connection, commit.changes) if commit.changes else []

    async def state(self, source: str, resource: str) -> ResourceState:
        """What is remembered; a state as new when there is none."""
        row = await self._engine.read(lambda c: c.execute(self._sql["state"], (source, resource)).fetchone())
        return ResourceState(source, resource) if row is None else _state(row)

    async def states(self) -> list[ResourceState]:
        rows = await self._engine.read(lambda c: c.execute(self._sql["states"]).fetchall())
        return [_state(row) for row in rows]

    async def count(self, source: str, resource: str) -> int:
        found: int = await self._engine.read(lambda c: c.execute(self._sql["count"], (source, resource)).get)
        return found


def _record(source: str, resource: str, row: tuple[Any, ...]) -> RecordState:
    key, digest, version, number, origin, asked, answered, changed, deleted, body = row
    return RecordState(
        source, resource, key, digest, version, number, ORIGINS[origin], asked, answered, changed, bool(deleted), body
    )


def _state(row: tuple[Any, ...]) -> ResourceState:
    (source, resource, cursor, etag, last_modified, first_done, committed_offset, polled, reconciled, scanned,
     statistics, engine_state) = row  # fmt: skip
    return ResourceState(
        source, resource, cursor, etag, last_modified, bool(first_done), committed_offset, polled, reconciled, scanned,
        statistics, engine_state,
    )  # fmt: skip
