"""`POST /api/v1/events` without HTTP: validates published events together and appends all or none.

Owns the schema of a published event and its limits. Knows no API keys and no framework: `allowed` raises for a source
that the caller may not publish to. Invariant: nothing is appended unless every event of the call is valid, and the
call returns only after the events are on disk. Crash: the caller repeats a call that was appended but not answered;
an event with an `id` is then recognized, one without an `id` is stored a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest
from tidegate.core.ids import event_id
from tidegate.core.model import NewEvent, Origin
from tidegate.receive.accepting import Router
from tidegate.rules.inbound.values import (
    DELIVERY_ID_CHARACTERS,
    KEY_CHARACTERS,
    TYPE_CHARACTERS,
    bounded_id,
    bounded_key,
    bounded_type,
    instant_us,
)
from tidegate.rules.language.view import event_view
from tidegate.store import Log

MAX_EVENTS = 1000
CONTENT_TYPE = "application/json"


class PublishedEvent(msgspec.Struct, forbid_unknown_fields=True):
    """One published event. `data` is any JSON value; its bytes are stored and delivered unchanged."""

    source: str
    type: str
    data: msgspec.Raw
    id: str | None = None
    key: str | None = None
    time: str | None = None


_ONE = msgspec.json.Decoder(PublishedEvent)
_MANY = msgspec.json.Decoder(list[PublishedEvent])
# Raw skips over a value without validating it, so `data` is parsed once here.
_JSON = msgspec.json.Decoder(float_hook=str)  # a number may be longer, or larger, than a float

Allowed = Callable[[str], int | None]


async def publish(
    log: Log, router: Router, clock: Clock, payload: bytes, allowed: Allowed
) -> tuple[int, dict[str, Any]]:
    """(202, `{"id"}`) for one event, (202, `{"data": [{"id"}, ...]}`) in order for a list of up to 1000.

    `allowed(source)` raises Forbidden or NotFound, and returns the largest allowed `data` in bytes, None for no limit.
    An event whose `id` was published before gets the event id of the first one; Conflict when its content differs.
    Raises BadRequest with the path of the error, and StoreBusy or StoreBroken. Nothing is stored when it raises.
    """
    single, published = _decode(payload)
    now_us = clock.now_us()
    limits: dict[str, int | None] = {}
    events = []
    for index, one in enumerate(published):
        at = "$" if single else f"$[{index}]"
        if one.source not in limits:
            limits[one.source] = allowed(one.source)
        events.append(_new_event(one, at, limits[one.source], now_us))
    for event in events:
        view = partial(event_view, event)
        audience = router.decide(event.source, event.type, view)
        if audience is None:
            audience = await router.decide_slow(event.source, event.type, view)
        event.audience = audience
    appended = await log.append(events, strict=True)
    ids = [{"id": event_id(log.instance, one.offset)} for one in appended]
    return 202, ids[0] if single else {"data": ids}


def _decode(payload: bytes) -> tuple[bool, list[PublishedEvent]]:
    single = payload.lstrip()[:1] != b"["
    try:
        published = [_ONE.decode(payload)] if single else _MANY.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadRequest(
            f"the body is neither an event nor a list of events: {reason}",
            hint='send {"source", "type", "data", "id"?, "key"?, "time"?} or a list of up to 1000 of these objects',
        ) from error
    if not 0 < len(published) <= MAX_EVENTS:
        raise BadRequest(f"the call has {len(published)} events; 1 to {MAX_EVENTS} are allowed")
    return single, published


def _new_event(one: PublishedEvent, at: str, max_data: int | None, now_us: int) -> NewEvent:
    data = bytes(one.data)
    if max_data is not None and len(data) > max_data:
        raise BadRequest(
            f"data has {len(data)} bytes; this source accepts {max_data} - at {at}.data",
            code="too_large",
            status=413,
            hint="send less data, or increase max_body in [sources.NAME.publish]",
        )
    try:
        _JSON.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"data is not valid JSON: {type(error).__name__} - at {at}.data") from error
    if not bounded_type(one.type):
        raise _invalid(one.type, "an event type", TYPE_CHARACTERS, f"{at}.type")
    if one.key is not None and bounded_key(one.key) is None:
        raise _invalid(one.key, "a key", KEY_CHARACTERS, f"{at}.key")
    if one.id is not None and (not one.id or bounded_id(one.id) != one.id):
        raise _invalid(one.id, "an id", DELIVERY_ID_CHARACTERS, f"{at}.id")
    occurred = instant_us(one.time) if one.time is not None else None
    if one.time is not None and occurred is None:
        raise BadRequest(f"{one.time[:50]!r} is not a time (example: 2026-11-24T17:18:43Z) - at {at}.time")
    return NewEvent(
        source=one.source,
        type=one.type,
        origin=Origin.PUBLISH,
        received_at_us=now_us,
        audience=0,
        body=data,
        content_type=CONTENT_TYPE,
        key=one.key,
        occurred_at_us=occurred,
        dedupe_id=one.id,
        body_hash=_content_hash(one, data) if one.id is not None else b"",
    )


def _invalid(value: str, what: str, characters: int, at: str) -> BadRequest:
    return BadRequest(f"{value[:50]!r} is not {what} (1 to {characters} printable characters) - at {at}")


def _content_hash(one: PublishedEvent, data: bytes) -> bytes:
    """The hash of everything except the id: the same id with another type or key is a conflict."""
    parts = msgspec.json.encode([one.type, one.key, one.time])
    return hashlib.sha256(parts + data).digest()[:16]
