"""Conflicts for the API, the command line and the pages: two changes of one record, and what is decided.

Owns their shape. Shows values of records, so a key that is limited to sources sees a conflict only when it may see both
of its sources. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.query.context import ReadContext
from tidegate.store import Side, StoredConflict

Use = Literal["incoming", "current"]
MAX_LISTED = 500


class SideSchema(msgspec.Struct):
    """One of the two changes. `values`: the fields in conflict, as this side has them."""

    source: str
    resource: str
    key: str
    values: dict[str, Any]
    changed_at: str | None


class ConflictSchema(msgspec.Struct):
    """A write of `incoming` met the change `current` of the record it writes to."""

    id: str
    state: Literal["held", "decided"]
    operation: str  # SOURCE/NAME
    event: str  # whose delivery writes
    incoming: SideSchema
    current: SideSchema
    use: str  # "incoming", "current", or "" while it is held
    decided_by: str  # a setting of the operation, or who resolved it
    at: str | None


async def list_conflicts(
    gateway: ReadContext, *, every: bool = False, allowed: frozenset[str] | None = None
) -> list[ConflictSchema]:
    """The newest first; those that are held, or `every` one of the last 30 days."""
    found = [schema_of(one) for one in await gateway.store.conflicts.listed(not every, MAX_LISTED)]
    return [one for one in found if visible(one, allowed)]


def visible(one: ConflictSchema, allowed: frozenset[str] | None) -> bool:
    return allowed is None or {one.incoming.source, one.current.source} <= allowed


def schema_of(one: StoredConflict) -> ConflictSchema:
    incoming, current = one.sides()
    return ConflictSchema(
        one.id, "decided" if one.use else "held", f"{one.source}/{one.operation}", one.cause, _side(incoming),
        _side(current), one.use, one.decided_by, rfc3339(one.at_us),
    )  # fmt: skip


def _side(one: Side) -> SideSchema:
    return SideSchema(one.source, one.resource, one.key, one.values, rfc3339(one.occurred_us))
