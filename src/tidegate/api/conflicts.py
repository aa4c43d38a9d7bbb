"""Handlers of conflicts: list them, and decide one that is held.

A decision is stored with the name of the key. Crash: it is stored completely or not at all; a delivery that was not
sent again is a dead letter that can be retried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidegate.api.calls import Call
from tidegate.core import ids
from tidegate.core.errors import Conflict, NotFound, TidegateError
from tidegate.kinds import kind_of
from tidegate.query.conflicts import ConflictSchema, Use, list_conflicts, schema_of, visible
from tidegate.query.schemas import Page
from tidegate.store import StoredConflict

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway


class ResolveRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`incoming`: write the change. `current`: leave the record as it is."""

    use: Use


async def read_conflicts(call: Call) -> Page[ConflictSchema]:
    found = await list_conflicts(call.gateway, every=call.query.get("all") is True, allowed=call.allowed)
    return call.page_of(found, lambda one: one.id)


async def resolve_conflict(call: Call) -> ConflictSchema:
    return await resolve(call.gateway, call.path["id"], call.body.use, call.grant.name, call.allowed)


async def resolve(
    gateway: Gateway, id: str, use: Use, by: str, allowed: frozenset[str] | None = None
) -> ConflictSchema:
    """Decide a conflict, and send its deliveries again. NotFound; Conflict when it is decided already."""
    stored = await gateway.store.conflicts.get(id)
    if stored is None or not visible(schema_of(stored), allowed):
        raise NotFound(f"there is no conflict {id[:60]!r}", hint="list them: tidegate conflicts")
    if stored.use:
        raise Conflict(
            f"the conflict {id} is decided already: {stored.use}, by {stored.decided_by}",
            hint="change the record in one of the systems instead", code="conflict_decided",
        )  # fmt: skip
    changed = await gateway.conflicts.resolve(stored, use, by)
    for one in changed:
        await _send_again(gateway, one)
    return schema_of(changed[0])


async def _send_again(gateway: Gateway, one: StoredConflict) -> None:
    """The deliveries of a conflict; those that are not dead letters any more need nothing."""
    offset = ids.event_offset(gateway.store.log.instance, one.cause)
    for destination in gateway.active.destinations.values():
        if offset is not None and kind_of(destination.spec).calls(destination.spec) == (one.source, one.operation):
            try:
                await gateway.deliver.retry(offset, destination.number)
            except TidegateError as error:
                if error.retryable:
                    raise
