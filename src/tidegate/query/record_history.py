"""Records as of a time: what a record, or the list of a resource, was then.

A time stands for an offset of the log: everything up to the first event that was received after it. A record that has a
change event above that offset was what the first of them says it was before (`rules/sync/history.py`); any other record
is today what it was then. So the answer is the same on every page, whatever changes meanwhile, and the cursor carries
time and offset.

Cost: finding the offset reads about 20 rows and passes over at most 20,000 heads; then each record that changed since
costs two look-ups by its key. A request looks at 2,000 records at most, and a page may be short. Reads only.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tidegate.core.clock import parse_instant, rfc3339
from tidegate.core.errors import BadRequest, Conflict, Gone, NotFound
from tidegate.core.model import HEALED, RecordState
from tidegate.query import cursors
from tidegate.query.context import ReadContext
from tidegate.query.cursors import HistoryPlace
from tidegate.query.events import OUT_OF_ORDER, Allowed, change_schema, instant
from tidegate.query.records import PAGE_BYTES, check_resource
from tidegate.query.schemas import Page, RecordSchema
from tidegate.rules.sync.history import PastRecord, before, unchanged
from tidegate.store import Log

SLICE = 100  # records read at once
MAX_LOOKED = 2_000  # records of one request
SKEW_US = 60_000_000  # clocks of nodes differ by less: records that changed so long before are looked up too


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `at_us`: None takes the time of the cursor."""

    source: str
    resource: str
    at_us: int | None
    deleted: bool = False
    allowed: Allowed = None

    @property
    def name(self) -> str:
        return f"{self.source}/{self.resource}"


class HistoryGone(Gone):
    """The time is before everything that retention still holds, or before the records had events."""

    code = "history_gone"


async def list_as_of(
    gateway: ReadContext, wanted: AsOf, *, limit: int, cursor: str | None = None
) -> Page[RecordSchema]:
    """By key, ascending. BadRequest for a time in the future, HistoryGone for one that is too long ago."""
    check_resource(gateway, wanted.source, wanted.resource, wanted.allowed)
    place = await _start(gateway, wanted, cursor)
    given: list[RecordSchema] = []
    size, looked, after = 0, 0, place.key
    ended = False
    while not ended and len(given) < limit and looked < MAX_LOOKED:
        found = await gateway.store.records.page(
            wanted.source, wanted.resource, after_key=after, limit=SLICE, deleted=True
        )
        ended = len(found) < SLICE
        past = await _then(gateway, wanted, place, found)
        for record in found:
            one = past.get(record.key)
            shown = one is not None and (wanted.deleted or not one.deleted)
            if len(given) == limit or (shown and one is not None and given and size + one.bytes > PAGE_BYTES):
                ended = False
                break
            after = record.key
            looked += 1
            if shown and one is not None:
                given.append(_schema(wanted, place.at_us, one))
                size += one.bytes
        else:
            continue
        break
    await _check_kept(gateway, wanted, place.offset)
    return Page(given, None if ended else cursors.encode_history(place._replace(key=after)))


async def one_as_of(gateway: ReadContext, wanted: AsOf, key: str) -> RecordSchema:
    """NotFound: `not_found` when it was not known then, `record_deleted` when the source had deleted it."""
    check_resource(gateway, wanted.source, wanted.resource, wanted.allowed)
    place = await _start(gateway, wanted, None)
    found = await gateway.store.records.known(wanted.source, wanted.resource, [key])
    one = (await _then(gateway, wanted, place, list(found.values()))).get(key)
    await _check_kept(gateway, wanted, place.offset)
    if one is None:
        raise NotFound(
            f"there was no record {key[:80]!r} of {wanted.name} at {rfc3339(place.at_us)}",
            hint=f"for the record of today: tidegate records {wanted.name} {key[:80]}",
        )
    if one.deleted and not wanted.deleted:
        raise NotFound(
            f"record {key[:80]!r} of {wanted.name} was deleted by the source before {rfc3339(place.at_us)}",
            hint="for its last state, add ?deleted=true",
            code="record_deleted",
        )
    return _schema(wanted, place.at_us, one)


# -- the time and its offset -----------------------------------------------------------------------------


async def _start(gateway: ReadContext, wanted: AsOf, cursor: str | None) -> HistoryPlace:
    """Where the list begins or goes on."""
    place = cursors.decode_history(cursor)
    if place is not None:
        if wanted.at_us not in (None, place.at_us):
            raise BadRequest(
                f"the cursor is of a list as of {rfc3339(place.at_us)}, and as_of is {rfc3339(wanted.at_us)}",
                hint="leave as_of out, or start again without cursor",
                code="bad_cursor",
            )
        return place
    if cursor is not None or wanted.at_us is None:
        cursors.decode_offset(cursors.HISTORY, cursor)  # a cursor of another list
        raise BadRequest("as_of is missing", hint="add as_of: a time, or a duration ago (1h)")
    if wanted.at_us > gateway.clock.now_us():
        raise BadRequest(
            f"as_of: {rfc3339(wanted.at_us)} is in the future",
            hint="leave as_of out for the records of today",
        )
    await _check_oldest(gateway, wanted, wanted.at_us)
    return HistoryPlace(wanted.at_us, await offset_of(gateway.store.log, wanted.at_us), "")


async def _check_oldest(gateway: ReadContext, wanted: AsOf, at_us: int) -> None:
    """HistoryGone with the oldest time that is possible."""
    await gateway.pull.refresh()
    figures = gateway.pull.statistics().get(wanted.name)
    if figures is None or figures.history_since is None:
        raise Conflict(
            f"resource {wanted.name} has not started yet, so it has no history",
            hint=f"poll it: tidegate poll {wanted.name}",
            code="no_history",
            retryable=True,
        )
    since_us = parse_instant(figures.history_since)
    if at_us < since_us:
        raise _gone(wanted, at_us, since_us, "its records were first taken, or taken as a baseline, after that")
    log = gateway.store.log
    trimmed = await log.trimmed()
    if not trimmed:
        return
    kept = await log.heads([offset for offset, _ in await log.scan(trimmed, await log.head(), 1)])
    oldest_us = kept[0].received_at_us if kept else gateway.clock.now_us()
    if at_us >= oldest_us:
        return
    changed = await gateway.store.records.page(
        wanted.source, wanted.resource, updated_since_us=at_us - SKEW_US, limit=1, deleted=True
    )
    if changed:  # without a change since, the records of today are those of then
        raise _gone(wanted, at_us, max(oldest_us, since_us), "retention removed events that came after that")


def _gone(wanted: AsOf, at_us: int, oldest_us: int, why: str) -> HistoryGone:
    return HistoryGone(
        f"the records of {wanted.name} as of {rfc3339(at_us)} are not known: {why}",
        hint=f"the oldest time possible is {rfc3339(oldest_us)}: as_of={rfc3339(oldest_us)}",
    )


async def _check_kept(gateway: ReadContext, wanted: AsOf, offset: int) -> None:
    """After the reads: what retention removed during them, or since the first page, may be missing from them."""
    if await gateway.store.log.trimmed() > offset:
        raise HistoryGone(
            f"retention removed events of {wanted.name} that came after that time while it was read",
            hint="start again without cursor, with a later as_of",
        )


async def offset_of(log: Log, at_us: int) -> int:
    """The last offset before the first event that was received after an instant, found by bisection.

    The order of the log differs from that of reception by at most OUT_OF_ORDER offsets, so the last stretch is read.
    """
    low, high = trimmed, head = await log.trimmed(), await log.head()
    while high - low > OUT_OF_ORDER:
        middle = (low + high) // 2
        found = await log.heads([offset for offset, _ in await log.scan(middle, high, 1)])
        if found and found[0].received_at_us <= at_us:
            low = found[0].offset
        else:
            high = middle
    first = await log.offset_at(at_us + 1, max(trimmed, low - OUT_OF_ORDER))
    return head if first is None else max(trimmed, first - 1)


# -- records ---------------------------------------------------------------------------------------------


async def _then(
    gateway: ReadContext, wanted: AsOf, place: HistoryPlace, records: Sequence[RecordState]
) -> dict[str, PastRecord]:
    """The records of `records` that existed, as they were. These were read before their events, which never change."""
    store = gateway.store.records
    moved = [one.key for one in records if one.changed_at_us > place.at_us - SKEW_US]
    later = await store.changes_beside(wanted.source, wanted.resource, moved, place.offset, later=True)
    earlier = await store.changes_beside(wanted.source, wanted.resource, list(later), place.offset, later=False)
    past = {}
    for record in records:
        change = later.get(record.key)
        one = unchanged(record, place.at_us) if change is None else before(change, earlier.get(record.key))
        if one is not None:
            past[record.key] = one
    return past


def _schema(wanted: AsOf, at_us: int, one: PastRecord) -> RecordSchema:
    confirmed = one.today if one.today is not None and one.today.answered_at_us <= at_us else None
    change = change_schema(one.change) if one.change.startswith(HEALED) else None
    return RecordSchema(
        source=wanted.source,
        resource=wanted.resource,
        key=one.key,
        version=one.version,
        number=one.number,
        origin=one.origin.value if one.origin is not None else None,
        age_seconds=(at_us - confirmed.answered_at_us) / 1_000_000 if confirmed is not None else None,
        changed_at=instant(one.changed_at_us) if one.changed_at_us is not None else None,
        asked_at=instant(confirmed.asked_at_us) if confirmed is not None else None,
        answered_at=instant(confirmed.answered_at_us) if confirmed is not None else None,
        deleted=one.deleted,
        data=one.data,
        healed=change.healed if change is not None else None,
        as_of=instant(at_us),
    )
