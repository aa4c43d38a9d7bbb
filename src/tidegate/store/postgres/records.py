"""Records on PostgreSQL: the latest known state by key, and what each resource's engine remembers.

Implements `store.Records`. Knows no merge rule: it keeps what it is told. Invariant: records, change events, cursor
and statistics of a commit are all there or none, and a commit of a node whose lease ended changes nothing. The log is
appended to last, so that its lock is held only from there to COMMIT. Crash: a commit is whole or absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from tidegate.core.errors import Fenced
from tidegate.core.model import Appended, NewEvent, RecordState
from tidegate.store import RecordCommit, ResourceState
from tidegate.store.encoding import ORIGIN_NUMBER, ORIGINS
from tidegate.store.postgres.deliveries import Member, columns
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.text import back, back_some, keep, keep_some

T = TypeVar("T")
SLICE_ROWS = 1_000  # what is encoded for one statement in one turn of the loop: a page may have many thousands


def batched(rows: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), count):
        yield rows[start : start + count]


class AppendsInside(Protocol):
    """What this needs of the log: append within a transaction that is already open."""

    async def append_in(self, connection: Any, events: Sequence[NewEvent]) -> list[Appended]: ...

    async def committed(self, events: Sequence[NewEvent], appended: Sequence[Appended]) -> None: ...


class PostgresRecords:
    """Implements `store.Records`."""

    def __init__(self, engine: Engine, log: AppendsInside, member: Member) -> None:
        self._engine = engine
        self._log = log
        self._member = member
        self._sql = sql("records")

    async def known(self, source: str, resource: str, keys: Sequence[str]) -> dict[str, RecordState]:
        if not keys:
            return {}
        rows = await self._engine.work.fetch(self._sql["known"], source, resource, [keep(key) for key in keys])
        return {record.key: record for record in (_record(source, resource, row) for row in rows)}

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
        bound: tuple[Any, ...] = (source, resource, keep(after_key or ""), deleted, limit)
        query = self._sql["page"]
        if updated_since_us is not None:
            query, bound = self._sql["page_updated"], (*bound, updated_since_us)
        return [_record(source, resource, row) for row in await self._engine.asked.fetch(query, *bound)]

    async def commit(self, commit: RecordCommit) -> list[Appended]:
        """All or none. Fenced when the lease under which it was made is gone; then nothing was changed."""
        async with self._engine.work.transaction() as connection:
            if await connection.fetchval(self._sql["gate"], self._member.node, commit.fence) is None:
                raise Fenced(
                    f"the lease under which {commit.source}/{commit.resource} was read ended (fence {commit.fence}); "
                    "nothing was changed"
                )
            # Of two of one key the last counts.
            records = list({record.key: record for record in commit.records}.values())
            for part in batched(records, SLICE_ROWS):
                await connection.execute(self._sql["put"], commit.source, commit.resource, *_written(part))
            await connection.execute(self._sql["put_state"], *_state_row(commit))
            appended: list[Appended] = []
            for changes in batched(commit.changes, SLICE_ROWS):
                appended += await self._log.append_in(connection, changes)
        await self._log.committed(commit.changes, appended)
        return appended

    async def state(self, source: str, resource: str) -> ResourceState:
        """What is remembered; a state as new when there is none."""
        row = await self._engine.work.fetchrow(self._sql["state"], source, resource)
        return ResourceState(source, resource) if row is None else _state(row)

    async def states(self) -> list[ResourceState]:
        return [_state(row) for row in await self._engine.work.fetch(self._sql["states"])]

    async def count(self, source: str, resource: str) -> int:
        return int(await self._engine.asked.fetchval(self._sql["count"], source, resource))


def _written(records: Sequence[RecordState]) -> Any:
    """Records as arrays."""
    rows = [
        (
            keep(r.key), r.hash, keep_some(r.version), r.number, ORIGIN_NUMBER[r.origin], r.asked_at_us,
            r.answered_at_us, r.changed_at_us, r.deleted, r.body,
        )
        for r in records
    ]  # fmt: skip
    return columns(rows, 10)


def _state_row(commit: RecordCommit) -> tuple[Any, ...]:
    s = commit.state
    return (
        commit.source, commit.resource, keep_some(s.cursor), keep_some(s.etag),
        keep_some(s.last_modified), s.first_done, s.committed_offset, s.polled_at_us, s.reconciled_at_us,
        s.scanned_at_us, s.statistics, s.engine_state, commit.fence,
    )  # fmt: skip


def _record(source: str, resource: str, row: Any) -> RecordState:
    key, digest, version, number, origin, asked, answered, changed, deleted, body = row
    return RecordState(
        source, resource, back(key), digest, back_some(version), number, ORIGINS[origin], asked,
        answered, changed, deleted, body,
    )  # fmt: skip


def _state(row: Any) -> ResourceState:
    (source, resource, cursor, etag, last_modified, first_done, committed_offset, polled, reconciled, scanned,
     statistics, engine_state) = row  # fmt: skip
    return ResourceState(
        source, resource, back_some(cursor), back_some(etag), back_some(last_modified),
        first_done, committed_offset, polled, reconciled, scanned, statistics, engine_state,
    )  # fmt: skip
