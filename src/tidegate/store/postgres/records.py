"""Records on PostgreSQL: the latest known state by key, and the state of each resource's engine.

Implements `store.Records`. Knows no rule of comparison. Invariant: records, change events, cursor and statistics of a
commit are stored together, and a commit of a node whose lease ended changes nothing. The log is appended to last, so
its lock is held only from there to COMMIT. After a crash a commit is stored completely or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from tidegate.core.errors import Fenced
from tidegate.core.model import Appended, NewEvent, Origin, RecordState, StoredChange
from tidegate.store import RecordCommit, ResourceState
from tidegate.store.postgres.deliveries import Member, columns
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.rollups import rollup_columns
from tidegate.store.postgres.text import escape, unescape
from tidegate.store.rows import ORIGIN_NUMBER, change_of, record_of, record_row, state_of, state_row

T = TypeVar("T")
SLICE_ROWS = 1_000  # encoded for one statement without yielding to the loop; a page may have many thousands


def batched(rows: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), count):
        yield rows[start : start + count]


class AppendsInside(Protocol):
    """What this needs of the log: to append within an open transaction."""

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
        rows = await self._engine.work.fetch(self._sql["known"], source, resource, [escape(key) for key in keys])
        return {record.key: record for record in (record_of(source, resource, row, unescape) for row in rows)}

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
        bound: tuple[Any, ...] = (source, resource, escape(after_key or ""), deleted, limit)
        query = self._sql["page"]
        if updated_since_us is not None:
            query, bound = self._sql["page_updated"], (*bound, updated_since_us)
        return [record_of(source, resource, row, unescape) for row in await self._engine.requested.fetch(query, *bound)]

    async def commit(self, commit: RecordCommit) -> list[Appended]:
        """See `store.Records.commit`. A state alone, as after a poll that found nothing, is one round trip."""
        if not commit.records and not commit.changes:
            row = state_row(commit, escape)
            rolled = rollup_columns(commit.rollups)
            if await self._engine.work.fetchval(self._sql["save_state"], self._member.node, *row, *rolled) is None:
                raise _fenced(commit)
            return []
        async with self._engine.work.transaction() as connection:
            if await connection.fetchval(self._sql["gate"], self._member.node, commit.fence) is None:
                raise _fenced(commit)
            # Of two records with the same key the last one counts.
            records = list({record.key: record for record in commit.records}.values())
            for part in batched(records, SLICE_ROWS):
                await connection.execute(
                    self._sql["put"],
                    commit.source,
                    commit.resource,
                    *columns([record_row(one, escape) for one in part], 10),
                )
            await connection.execute(self._sql["put_state"], *state_row(commit, escape))
            if commit.rollups:
                rolled = rollup_columns(commit.rollups)
                await connection.execute(sql("rollups")["add"], self._member.node, *rolled)
            appended: list[Appended] = []
            for changes in batched(commit.changes, SLICE_ROWS):
                appended += await self._log.append_in(connection, changes)
        await self._log.committed(commit.changes, appended)
        return appended

    async def state(self, source: str, resource: str) -> ResourceState:
        row = await self._engine.work.fetchrow(self._sql["state"], source, resource)
        return ResourceState(source, resource) if row is None else state_of(row, unescape)

    async def states(self) -> list[ResourceState]:
        return [state_of(row, unescape) for row in await self._engine.work.fetch(self._sql["states"])]

    async def changes_beside(
        self, source: str, resource: str, keys: Sequence[str], offset: int, *, later: bool
    ) -> dict[str, StoredChange]:
        """See `store.Records.changes_beside`."""
        if not keys:
            return {}
        rows = await self._engine.requested.fetch(
            self._sql["changes_above" if later else "changes_upto"],
            source, escape(resource), [escape(key) for key in keys], offset, ORIGIN_NUMBER[Origin.EDIT],
        )  # fmt: skip
        return {change.key: change for change in (change_of(row, unescape) for row in rows)}

    async def count(self, source: str, resource: str) -> int:
        return int(await self._engine.requested.fetchval(self._sql["count"], source, resource))


def _fenced(commit: RecordCommit) -> Fenced:
    return Fenced(
        f"the lease under which {commit.source}/{commit.resource} was read ended (fence {commit.fence}); "
        "nothing was changed"
    )
