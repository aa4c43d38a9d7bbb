"""Queries of records: the latest known state of each item of a resource, by key.

A deleted record is not listed and not found unless `deleted` is true; its last state is kept as a tombstone. Its age is
the time since the source last confirmed it. Reads only; the pull engine writes records.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.core.errors import NotFound
from tidegate.core.model import HEALED, Healed, Origin, RecordState
from tidegate.query import cursors
from tidegate.query.context import ReadContext
from tidegate.query.events import MAX_OFFSET, Allowed, change_schema, instant
from tidegate.query.schemas import Page, RecordSchema
from tidegate.rules.language.numbers import decode_json

PAGE_BYTES = 4 << 20
_LOOKED = (Origin.POLL, Origin.RECONCILE)


def check_resource(gateway: ReadContext, source: str, resource: str, allowed: Allowed = None) -> None:
    """NotFound when the active configuration has no such resource, or the caller may not see its source."""
    live = gateway.active.sources.get(source)
    if live is None or (allowed is not None and source not in allowed):
        raise NotFound(f"there is no source {source[:80]!r}", hint="list them: tidegate config show")
    if resource not in live.spec.resources:
        known = ", ".join(live.spec.resources)
        raise NotFound(
            f"source {source!r} has no resource {resource[:80]!r}",
            hint=f"it has: {known}" if known else f"add one to the file: [sources.{source}.resources.NAME]",
        )


async def list_records(
    gateway: ReadContext,
    source: str,
    resource: str,
    *,
    updated_since_us: int | None = None,
    deleted: bool = False,
    limit: int,
    cursor: str | None = None,
    allowed: Allowed = None,
) -> Page[RecordSchema]:
    """By key, ascending; short when the records are large."""
    after = cursors.decode_key(cursor)
    check_resource(gateway, source, resource, allowed)
    found = await gateway.store.records.page(
        source, resource, updated_since_us=updated_since_us, after_key=after, limit=limit + 1, deleted=deleted
    )
    given: list[RecordState] = []
    size = 0
    for record in found[:limit]:
        if given and size + len(record.body) > PAGE_BYTES:
            break
        given.append(record)
        size += len(record.body)
    more = len(given) < len(found)
    now = gateway.clock.now_us()
    healed = await _healed(gateway, given)
    return Page(
        [schema_of(record, now, healed.get(record.key)) for record in given],
        cursors.encode_key(given[-1].key) if more and given else None,
    )


async def record_by_key(
    gateway: ReadContext, source: str, resource: str, key: str, *, deleted: bool = False, allowed: Allowed = None
) -> RecordSchema:
    """NotFound: `not_found` when it is not known, `record_deleted` when the source deleted it."""
    check_resource(gateway, source, resource, allowed)
    record = (await gateway.store.records.known(source, resource, [key])).get(key)
    if record is None:
        raise NotFound(
            f"there is no record {key[:80]!r} of {source}/{resource} yet",
            hint=f"get it from the source: tidegate pull {source}/{resource} {key[:80]}",
        )
    if record.deleted and not deleted:
        raise NotFound(
            f"record {key[:80]!r} of {source}/{resource} was deleted by the source",
            hint="for its last state, add ?deleted=true",
            code="record_deleted",
        )
    return schema_of(record, gateway.clock.now_us(), (await _healed(gateway, [record])).get(key))


async def _healed(gateway: ReadContext, records: Sequence[RecordState]) -> dict[str, Healed]:
    """What was missed of the last change of each record that a look found, while the log has its event."""
    found = [one for one in records if one.origin in _LOOKED]
    if not found or gateway.active.sources[found[0].source].spec.resources[found[0].resource].webhook is None:
        return {}
    changes = await gateway.store.records.changes_beside(
        found[0].source, found[0].resource, [one.key for one in found], MAX_OFFSET, later=False
    )
    read = {key: change_schema(one.change) for key, one in changes.items() if one.change.startswith(HEALED)}
    return {key: one.healed for key, one in read.items() if one is not None and one.healed is not None}


def schema_of(record: RecordState, now_us: int, healed: Healed | None = None) -> RecordSchema:
    return RecordSchema(
        source=record.source,
        resource=record.resource,
        key=record.key,
        version=record.version,
        number=record.number,
        origin=record.origin.value,
        age_seconds=max(0.0, (now_us - record.answered_at_us) / 1_000_000),
        changed_at=instant(record.changed_at_us),
        asked_at=instant(record.asked_at_us),
        answered_at=instant(record.answered_at_us),
        deleted=record.deleted,
        data=decode_json(record.body) if record.body else None,
        healed=healed,
    )
