"""The records: the latest known state of each record of a resource, and the state of the engine that pulls it.

Owns the protocol `Records`, which `sqlite/records.py` and `postgres/records.py` implement, and its shapes. Knows no
HTTP and no rule of comparison: the pull engine decides, the store writes. Times are microseconds since 1970 UTC.

Invariant: records, the change events they cause and the cursor are committed together, so a change is never lost and
never emitted twice. After a crash a commit is stored completely or not at all; if not, the page is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tidegate.core.model import Appended, NewEvent, RecordState, StoredChange
from tidegate.core.rollups import RollupRow


class ResourceState(msgspec.Struct, frozen=True):
    """What the engine of one resource keeps between polls. The JSON fields belong to the engine."""

    source: str
    resource: str
    cursor: str | None = None  # incremental cursor, as the source writes it
    etag: str | None = None
    last_modified: str | None = None
    first_done: bool = False  # the first poll or scan was completed
    committed_offset: int = 0  # webhooks of the source are applied up to here
    polled_at_us: int | None = None
    reconciled_at_us: int | None = None
    scanned_at_us: int | None = None
    statistics: bytes = b"{}"  # counters, JSON
    engine_state: bytes = b"{}"  # anything else, JSON


class RecordCommit(msgspec.Struct):
    """One page of a poll, or one slice of webhooks: what is committed in one transaction. At most 500 records."""

    source: str
    resource: str
    records: list[RecordState]
    changes: list[NewEvent]  # appended to the log in this order; their audiences are decided
    state: ResourceState
    fence: int = 0  # the lease under which this was decided
    rollups: Sequence[RollupRow] = ()  # what it did, by minute


class Records(Protocol):
    """Records, change events and the state of each resource."""

    async def known(self, source: str, resource: str, keys: Sequence[str]) -> dict[str, RecordState]:
        """The stored records among `keys`."""
        ...

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
        """At most `limit` records ordered by key; deleted ones only with `deleted`."""
        ...

    async def commit(self, commit: RecordCommit) -> list[Appended]:
        """Write records, change events and state, all or none. Returns one result per change.

        Raises Fenced when the lease ended, and ChangedElsewhere when the id of a change is stored with a different
        body: an earlier commit whose outcome the caller did not learn succeeded. In both cases nothing was changed.
        """
        ...

    async def state(self, source: str, resource: str) -> ResourceState:
        """The stored state; a new one if nothing is stored."""
        ...

    async def states(self) -> list[ResourceState]: ...

    async def changes_beside(
        self, source: str, resource: str, keys: Sequence[str], offset: int, *, later: bool
    ) -> dict[str, StoredChange]:
        """The change event of each record beside an offset of the log: the first one above it (`later`), else the last
        one up to it. Records without such an event, or whose event retention removed, are missing. Edited copies do not
        count.
        """
        ...

    async def count(self, source: str, resource: str) -> int:
        """Number of records that are not deleted."""
        ...
