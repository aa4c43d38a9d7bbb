"""Handlers that read: events, stream, feeds, records, deliveries, explanations, counters.

Only those of feeds write: an acknowledgment and a delete.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.api import parameters
from tidegate.api.calls import Call, RawResponse, StreamResponse
from tidegate.core import ids
from tidegate.core.errors import BadRequest
from tidegate.query import (
    cursors,
    deliveries,
    doctor,
    events,
    explain,
    feeds,
    measured,
    record_history,
    records,
    replays,
    stats,
)
from tidegate.query.events import EventFilter, instant
from tidegate.query.record_history import AsOf
from tidegate.query.schemas import (
    DeliverySchema,
    EventSchema,
    Explanation,
    FeedPage,
    FeedSchema,
    Page,
    RecordSchema,
    RejectionSchema,
    ReplaySchema,
    Stats,
)
from tidegate.rules.language.view import media_type


class Acknowledgement(msgspec.Struct, forbid_unknown_fields=True):
    """Everything up to `cursor` (the next_cursor of a page) is processed, or what was received before `since`."""

    cursor: str | None = None
    since: str | None = None


def _event_type(query: dict[str, Any]) -> str | None:
    """One event type. A pattern would match nothing, and nobody would know why."""
    type_: str | None = query.get("type")
    if type_ is not None and "*" in type_:
        raise BadRequest(
            f"`type` is {type_[:80]!r}, and this filter takes one whole event type, not a pattern",
            hint="give one type such as order.paid; patterns are for the `types` of a route",
        )
    return type_


def _filter(query: dict[str, Any], *, consumer: bool = False) -> EventFilter:
    return EventFilter(
        consumer=consumer,
        source=query.get("source"),
        type=_event_type(query),
        key=query.get("key"),
        origin=query.get("origin"),
        since_us=query.get("since"),
        until_us=query.get("until"),
        text=query.get("q"),
        healed=query.get("healed"),
    )


async def list_events(call: Call) -> Page[EventSchema]:
    return await events.list_events(
        call.gateway,
        _filter(call.query),
        limit=call.query["limit"],
        cursor=call.query.get("cursor"),
        ascending=call.query.get("order") == "asc",
        allowed=call.allowed,
    )


async def one_event(call: Call) -> EventSchema:
    event = await events.event_by_id(call.gateway, call.path["id"], call.allowed)
    return events.schema_of(call.gateway.store.log.instance, event, headers=True)


async def raw_event(call: Call) -> RawResponse:
    """The bytes as received. Only JSON keeps its content type, because a browser could run anything else."""
    event = await events.event_by_id(call.gateway, call.path["id"], call.allowed)
    kind = media_type(event.content_type)
    is_json = kind == "application/json" or (kind.endswith("+json") and kind.isascii() and kind.isprintable())
    name = f"{ids.event_id(call.gateway.store.log.instance, event.offset)}.{'json' if is_json else 'bin'}"
    return RawResponse(
        body=event.body,
        headers=[
            ("content-type", kind if is_json else "application/octet-stream"),
            ("content-disposition", f'attachment; filename="{name}"'),
        ],
    )


async def stream_events(call: Call) -> StreamResponse:
    last = call.headers.get("last-event-id") or call.query.get("last_event_id")
    owner = call.grant.id or call.grant.name
    stream = call.context.hub.open(
        _filter(call.query, consumer=True), last_event_id=last, allowed=call.allowed, owner=owner
    )
    return StreamResponse(
        chunks=stream.chunks(),
        close=stream.close,
        headers=[("content-type", "text/event-stream; charset=utf-8"), ("x-accel-buffering", "no")],
    )


async def read_feed(call: Call) -> FeedPage:
    return await feeds.read(
        call.gateway,
        call.path["name"],
        limit=call.query["limit"],
        wanted=EventFilter(source=call.query.get("source"), type=_event_type(call.query), consumer=True),
        allowed=call.allowed,
    )


async def ack_feed(call: Call) -> FeedSchema:
    grant = call.grant
    asked: Acknowledgement = call.body
    if (asked.cursor is None) == (asked.since is None):
        raise BadRequest(
            "give `cursor` or `since`", hint='send {"cursor": "..."} with next_cursor of a page of the feed'
        )
    since = None if asked.since is None else parameters.instant("since", asked.since, call.gateway.clock.now_us())
    upto = asked.cursor if since is None else since
    assert upto is not None
    return await feeds.ack(call.gateway, call.path["name"], upto, allowed=call.allowed, owner=grant.id or grant.name)


async def list_feeds(call: Call) -> Page[FeedSchema]:
    return call.page_of(await feeds.all_feeds(call.gateway, call.allowed), lambda one: one.name)


async def delete_feed(call: Call) -> None:
    await feeds.delete(call.gateway, call.path["name"], call.allowed)


def _as_of(call: Call) -> AsOf:
    if call.query.get("updated_since") is not None:
        raise BadRequest("as_of and updated_since do not go together", hint="leave one of them out")
    return AsOf(
        source=call.path["source"],
        resource=call.path["resource"],
        at_us=call.query.get("as_of"),
        deleted=call.query.get("deleted", False),
        allowed=call.allowed,
    )


async def list_records(call: Call) -> Page[RecordSchema]:
    cursor = call.query.get("cursor")
    if call.query.get("as_of") is not None or cursors.decode_history(cursor) is not None:
        return await record_history.list_as_of(call.gateway, _as_of(call), limit=call.query["limit"], cursor=cursor)
    return await records.list_records(
        call.gateway,
        call.path["source"],
        call.path["resource"],
        updated_since_us=call.query.get("updated_since"),
        deleted=call.query.get("deleted", False),
        limit=call.query["limit"],
        cursor=cursor,
        allowed=call.allowed,
    )


async def one_record(call: Call) -> RecordSchema:
    if call.query.get("as_of") is not None:
        return await record_history.one_as_of(call.gateway, _as_of(call), call.path["key"])
    return await records.record_by_key(
        call.gateway,
        call.path["source"],
        call.path["resource"],
        call.path["key"],
        deleted=call.query.get("deleted", False),
        allowed=call.allowed,
    )


async def list_deliveries(call: Call) -> Page[DeliverySchema]:
    return await deliveries.list_deliveries(
        call.gateway,
        event=call.query.get("event"),
        destination=call.query.get("destination"),
        state=call.query.get("state"),
        limit=call.query["limit"],
        cursor=call.query.get("cursor"),
        allowed=call.allowed,
    )


async def one_delivery(call: Call) -> DeliverySchema:
    return await deliveries.delivery_by_id(call.gateway, call.path["id"], call.allowed)


async def explain_one(call: Call) -> Explanation:
    return await explain.explain(call.gateway, call.path["id"], call.allowed)


async def list_replays(call: Call) -> Page[ReplaySchema]:
    return call.page_of(await replays.list_replays(call.gateway), lambda one: one.id)


async def one_replay(call: Call) -> ReplaySchema:
    return await replays.replay_by_id(call.gateway, call.path["id"])


async def read_stats(call: Call) -> Stats:
    made = await stats.snapshot(call.gateway)
    if window := call.query.get("window"):
        made.measured = await measured.measured(call.gateway, window)
    return made


async def read_doctor(call: Call) -> doctor.Doctor:
    return await doctor.examine(call.gateway)


async def list_rejections(call: Call) -> Page[RejectionSchema]:
    kept = await call.gateway.store.settings.rejections(limit=call.query["limit"])
    return Page(
        [RejectionSchema(instant(one.at_us), one.source, one.reason, one.detail, one.remote) for one in kept], None
    )
