"""Queries of events: a page of the log, and one event.

Pages are read in slices and end early when their bodies are large, so a page of large events neither fills the memory
nor blocks the event loop. `allowed` is the set of sources that the caller may see (None: all); events of other sources
do not exist for that caller. Order and cursors are offsets, never IDs or clocks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.core import ids
from tidegate.core.clock import rfc3339
from tidegate.core.errors import BadRequest, NotFound
from tidegate.core.model import HEALED, SYSTEM_SOURCE, Event, Healed, JsonObject, Origin
from tidegate.query import cursors
from tidegate.query.context import ReadContext
from tidegate.query.schemas import ChangeSchema, EventSchema, Page
from tidegate.rules.language.numbers import decode_json
from tidegate.rules.language.stored_headers import read_headers
from tidegate.rules.language.view import is_test, payload, schema_error_of
from tidegate.store import EventQuery, Log

Allowed = frozenset[str] | None

PAGE_BYTES = 4 << 20  # a page ends after this much of bodies: half a second on a slow link
SLICE = 64  # events read at a time: at most 64 MiB of the largest bodies
ORIGINS = tuple(origin.value for origin in Origin)
OUT_OF_ORDER = 10_000  # how many offsets the order of the log may differ from the order of reception
MAX_OFFSET = (1 << 63) - 1  # the largest offset of a store; an ID can hold a larger number


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for; None matches everything."""

    source: str | None = None
    type: str | None = None
    key: str | None = None
    origin: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    text: str | None = None
    healed: bool | None = None  # whether it is a change that a look found and no webhook had reported
    consumer: bool = False  # for a feed or a stream, see `for_consumer`

    def query(self, **more: Any) -> EventQuery:
        return EventQuery(
            source=self.source,
            type=self.type,
            key=self.key,
            origin=self.origin,
            since_us=self.since_us,
            until_us=self.until_us,
            text=self.text,
            healed=self.healed,
            **more,
        )

    def matches(self, event: Event) -> bool:
        """For live events: the same decision as for pages, except for times and text."""
        return (
            (self.source is None or event.source == self.source)
            and (self.type is None or event.type == self.type)
            and (self.key is None or event.key == self.key)
            and (self.origin is None or event.origin.value == self.origin)
            and (self.healed is None or event.change.startswith(HEALED) is self.healed)
            and (not self.consumer or self.for_consumer(event))
        )

    def for_consumer(self, event: Event) -> bool:
        """Feeds and streams leave out two kinds of event unless asked for them.

        Edited copies, which a person sent to one destination, and system events, for which they name the source.
        """
        if event.source == SYSTEM_SOURCE and self.source != SYSTEM_SOURCE:
            return False
        return event.origin is not Origin.EDIT or self.origin == Origin.EDIT.value


class Slice(msgspec.Struct, frozen=True):
    """Events of one scan. `edge` is the last offset looked at; `more`: the scan can continue after it."""

    events: list[Event]
    edge: int
    more: bool


async def list_events(
    gateway: ReadContext,
    wanted: EventFilter,
    *,
    limit: int,
    cursor: str | None = None,
    ascending: bool = False,
    allowed: Allowed = None,
) -> Page[EventSchema]:
    """A page of the log, newest first; `ascending` follows it and always gives a cursor."""
    check_origin(wanted.origin)
    instance = gateway.store.log.instance
    if ascending:
        after = cursors.decode_offset(cursors.AFTER, cursor) or 0
        found = await walk(gateway.store.log, wanted, limit=limit, after=after, allowed=allowed)
        following: str | None = cursors.encode_offset(cursors.AFTER, max(after, found.edge))
    else:
        before = cursors.decode_offset(cursors.BEFORE, cursor)
        found = await walk(gateway.store.log, wanted, limit=limit, before=before, allowed=allowed)
        following = cursors.encode_offset(cursors.BEFORE, found.edge) if found.more else None
    return Page([schema_of(instance, event) for event in found.events], following)


async def walk(
    log: Log,
    wanted: EventFilter,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    allowed: Allowed = None,
) -> Slice:
    """At most `limit` events above `after` (ascending), or below `before` (newest first); fewer when they are large."""
    wanted = _narrow(wanted, allowed)
    ascending = after is not None
    lowest, before, after = await _bounds(log, wanted, before, after)
    events: list[Event] = []
    size = 0
    edge = after if after is not None else before or 0
    while True:
        place: dict[str, Any] = {"after": edge, "ascending": True} if ascending else {"before": edge or None}
        found = await log.page(wanted.query(limit=min(SLICE, limit - len(events)), **place))
        kept = [
            event
            for event in found.events
            if (allowed is None or event.source in allowed) and (not wanted.consumer or wanted.for_consumer(event))
        ]
        for number, event in enumerate(kept):
            if events and size + len(event.body) > PAGE_BYTES:
                return Slice(events, kept[number - 1].offset if number else events[-1].offset, True)
            events.append(event)
            size += len(event.body)
        edge = found.edge
        # A short slice with more to read reached its scan limit: return what was found, and a cursor.
        more = found.more and edge > lowest
        if not more or len(events) >= limit or len(found.events) < SLICE:
            return Slice(events, edge, more)


async def _bounds(
    log: Log, wanted: EventFilter, before: int | None, after: int | None
) -> tuple[int, int | None, int | None]:
    """(no matching event is below this, before, after): the times of a filter as offsets, so pages start near them."""
    lowest = 0
    if wanted.since_us is not None:
        first = await log.offset_at(wanted.since_us)
        lowest = log.published_offset + 1 if first is None else first
    if after is not None:
        return 0, None, max(after, lowest - 1)
    if wanted.until_us is not None:
        beyond = await log.offset_at(wanted.until_us)
        if beyond is not None:
            before = min(before or MAX_OFFSET, beyond + OUT_OF_ORDER)
    return lowest, before, None


def _narrow(wanted: EventFilter, allowed: Allowed) -> EventFilter:
    if allowed is not None and len(allowed) == 1 and wanted.source is None:
        return msgspec.structs.replace(wanted, source=next(iter(allowed)))
    return wanted


def check_origin(origin: str | None) -> None:
    if origin is not None and origin not in ORIGINS:
        raise BadRequest(f"{origin[:80]!r} is not an origin (allowed: {', '.join(ORIGINS)})")


async def event_by_id(gateway: ReadContext, event_id: str, allowed: Allowed = None) -> Event:
    """NotFound when there is no such event, or the caller may not see it."""
    offset = ids.event_offset(gateway.store.log.instance, event_id)
    event = await at(gateway.store.log, offset) if offset is not None and offset <= MAX_OFFSET else None
    if event is None or (allowed is not None and event.source not in allowed):
        raise NotFound(
            f"there is no event {event_id[:80]!r}",
            hint="retention may have removed it; list the events that are kept: tidegate events",
        )
    return event


async def at(log: Log, offset: int) -> Event | None:
    """One event as stored now: `differs` may be newer than the copies in memory."""
    found = await log.page(EventQuery(after=offset - 1, ascending=True, limit=1, scan_limit=1))
    return next((event for event in found.events if event.offset == offset), None)


def schema_of(instance: str, event: Event, *, headers: bool = False) -> EventSchema:
    return EventSchema(
        id=ids.event_id(instance, event.offset),
        offset=event.offset,
        source=event.source,
        type=event.type,
        key=event.key,
        origin=event.origin.value,
        time=instant(event.time_us),
        received_at=instant(event.received_at_us),
        data=payload(event),
        change=change_schema(event.change),
        content_type=event.content_type,
        body_bytes=len(event.body),
        hops=event.hops,
        differs=event.differs,
        test=is_test(event),
        schema_error=schema_error_of(event),
        headers=read_headers(event.headers) if headers else msgspec.UNSET,
    )


def change_schema(stored: bytes) -> ChangeSchema | None:
    if not stored:
        return None
    change = decode_json(stored)
    return ChangeSchema(
        change.get("resource", ""),
        change.get("before"),
        change.get("fields") or [],
        change.get("version"),
        change.get("number", 0),
        healed_of(change),
        change.get("caused_by"),
        change.get("chain") or [],
    )


def healed_of(change: JsonObject) -> Healed | None:
    """What a change says of the webhook that was missed; None when it was not healed."""
    return msgspec.convert(change["healed"], Healed) if "healed" in change else None


def instant(at_us: int) -> str:
    text = rfc3339(at_us)
    assert text is not None
    return text
