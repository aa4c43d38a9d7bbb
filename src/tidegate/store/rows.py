"""Rows that both stores write and read alike: shapes as tuples of columns, and the codes used in columns.

Knows no database and does no I/O. PostgreSQL cannot store every text, so functions take `text`, which is applied to
each text of a row; SQLite stores text as it is. Invariant: rows written by any release must stay readable, so codes and
formats never change. After a crash the routing decisions kept here in memory are loaded from the store again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidegate.core.errors import Conflict
from tidegate.core.model import (
    Attempt,
    Audience,
    Deferred,
    DeferredState,
    DeliveryState,
    Event,
    Lane,
    NewEvent,
    Origin,
    Outcome,
    RangeSettlement,
    RecordState,
    StoredChange,
)
from tidegate.store.deliveries import Replay
from tidegate.store.log import EventHead
from tidegate.store.records import RecordCommit, ResourceState
from tidegate.store.settings import ApiKey, Feed, FeedAck, Item

Text = Callable[[str], str]

ORIGINS = tuple(Origin)
ORIGIN_NUMBER = {origin: number for number, origin in enumerate(ORIGINS)}


def as_it_is(text: str) -> str:
    return text


def _some(text: Text, value: str | None) -> str | None:
    return None if value is None else text(value)


# -- events ----------------------------------------------------------------------------------------------


def event_from(new: NewEvent, offset: int) -> Event:
    """The event that a new one becomes when it is stored at `offset`."""
    return Event(
        offset, new.source, new.type, new.origin, new.received_at_us, new.audience, new.body, new.content_type,
        new.headers, new.key, new.occurred_at_us, new.data_path, new.change, new.hops,
    )  # fmt: skip


def event_of(row: Any, source: str, text: Text = as_it_is) -> Event:
    """From the columns that the queries of log.sql select."""
    (offset, type_, origin, received, audience, body, content_type, headers, key,
     occurred, data_path, change, hops, differs) = row  # fmt: skip
    return Event(
        offset, source, text(type_), ORIGINS[origin], received, audience, body, text(content_type), headers,
        _some(text, key), occurred, text(data_path), change, hops, bool(differs),
    )  # fmt: skip


def head_of_event(event: Event) -> EventHead:
    """The head of an event that is in memory."""
    return EventHead(
        event.offset, event.source, event.type, event.origin, event.received_at_us, event.audience, event.key,
        event.content_type, len(event.body),
    )  # fmt: skip


def head_of(row: Any, source: str, text: Text = as_it_is) -> EventHead:
    """From the columns of the query `heads`."""
    offset, type_, origin, received, audience, key, content_type, body_bytes = row
    return EventHead(
        offset, source, text(type_), ORIGINS[origin], received, audience, _some(text, key), text(content_type),
        body_bytes,
    )  # fmt: skip


ID_REUSED = "the log has a change with this number and a different body"


def dedupe_key(source: str, dedupe_id: str) -> bytes:
    """The key of a delivery id. It is not hashed: most senders count or start with the time, and then the new ids of
    a commit are neighbors in the index."""
    return f"{source}\0{dedupe_id}".encode("utf-8", "surrogatepass")


def id_conflict(place: int, event: NewEvent) -> Conflict:
    """The error of a strict append; `place` is the event's position, counted from 0."""
    return Conflict(
        f"event {place + 1}: id {event.dedupe_id!r} of source {event.source!r} was published before with another body",
        hint="use a new id for a new event; nothing of this call was stored",
        code="id_conflict",
    )


# -- routing decisions -----------------------------------------------------------------------------------


class Audiences:
    """The stored routing decisions in memory, by number and by content. A decision never changes."""

    def __init__(self) -> None:
        self.by_number: dict[int, Audience] = {}
        self._by_decision: dict[tuple[Any, ...], Audience] = {}

    def find(
        self, source: str, considered: tuple[int, ...], wanted: tuple[tuple[int, int], ...], filtered: tuple[int, ...]
    ) -> Audience | None:
        return self._by_decision.get((source, considered, wanted, filtered))

    def keep(self, audience: Audience) -> Audience:
        self.by_number[audience.number] = audience
        decision = (audience.source, audience.considered, audience.wanted, audience.filtered)
        self._by_decision[decision] = audience
        return audience

    def wants(self, number: int) -> bool:
        """Whether any destination wants the events of a decision; also for one that is not known yet."""
        audience = self.by_number.get(number)
        return audience is None or bool(audience.wanted)

    def of_source(self, source: str) -> set[int]:
        """The numbers of a source's decisions."""
        return {number for number, one in self.by_number.items() if one.source == source}


def audience_row(
    source: str, considered: tuple[int, ...], wanted: tuple[tuple[int, int], ...], filtered: tuple[int, ...]
) -> tuple[bytes, str, str, str, str]:
    """A decision without its number: digest of the rest, source, considered, wanted, filtered."""
    columns = source, _json(considered), _json(wanted), _json(filtered)
    digest = hashlib.blake2b("\0".join(columns).encode(), digest_size=16).digest()
    return digest, *columns


def audience_of(number: int, source: str, considered: str, wanted: str, filtered: str) -> Audience:
    decode = msgspec.json.decode
    return Audience(
        number,
        source,
        decode(considered, type=tuple[int, ...]),
        decode(wanted, type=tuple[tuple[int, int], ...]),
        decode(filtered, type=tuple[int, ...]),
    )


def _json(numbers: tuple[Any, ...]) -> str:
    return msgspec.json.encode(numbers).decode()


# -- deliveries ------------------------------------------------------------------------------------------


def pack_settled_ahead(committed_offset: int | None, settled_ahead: Sequence[int], code: str) -> bytes:
    """The settled offsets beyond the committed offset, as distances from it. `code`: I has 32 bits, Q has 64."""
    if committed_offset is None:
        return b""
    distances = [offset - committed_offset for offset in settled_ahead]
    return struct.pack(f"<{len(distances)}{code}", *distances)


def unpack_settled_ahead(committed_offset: int | None, blob: bytes, code: str) -> tuple[int, ...]:
    if committed_offset is None:
        return ()
    count = len(blob) // struct.calcsize(code)
    return tuple(committed_offset + distance for distance in struct.unpack(f"<{count}{code}", blob))


def lane_row(lane: Lane, code: str) -> tuple[Any, ...]:
    """A lane without its fence, which PostgreSQL takes from the node."""
    return (
        lane.destination, lane.committed_offset, pack_settled_ahead(lane.committed_offset, lane.settled_ahead, code),
        lane.delivered, lane.exhausted, lane.canceled, lane.adopted, lane.adopted_filtered, lane.breaker,
    )  # fmt: skip


def lane_of(row: Sequence[Any], code: str) -> Lane:
    return Lane(row[0], row[1], unpack_settled_ahead(row[1], row[2], code), *row[3:])


def attempt_row(a: Attempt, text: Text = as_it_is) -> tuple[Any, ...]:
    return (
        a.offset, a.destination, a.number, int(a.outcome), a.started_at_us, a.duration_us, a.status,
        text(a.error), a.answer_headers, a.answer_body, a.answer_bytes, text(a.url), a.manual,
        a.head, a.request,
    )  # fmt: skip


def attempt_of(row: Any, text: Text = as_it_is) -> Attempt:
    (offset, destination, number, outcome, started, duration, status, error, answer_headers, answer_body,
     answer_bytes, url, manual, head, request) = row  # fmt: skip
    return Attempt(
        offset, destination, number, Outcome(outcome), started, duration, status, text(error), answer_headers,
        answer_body, answer_bytes, text(url), bool(manual), head, request,
    )  # fmt: skip


def deferred_row(one: Deferred, text: Text = as_it_is) -> tuple[Any, ...]:
    return (
        one.destination, one.offset, int(one.state), one.due_at_us, one.attempts, text(one.cause), text(one.key),
        one.tries_left_from, one.route, text(one.replay),
    )  # fmt: skip


def deferred_of(row: Any, text: Text = as_it_is) -> Deferred:
    destination, offset, state, due, attempts, cause, key, tries, route, replay = row
    return Deferred(
        destination, offset, DeferredState(state), due, attempts, text(cause), text(key), tries, route, text(replay)
    )


def range_row(one: RangeSettlement, text: Text = as_it_is) -> tuple[Any, ...]:
    return one.destination, one.after, one.upto, one.state.value, text(one.cause), one.at_us


def range_of(row: Any, text: Text = as_it_is) -> RangeSettlement:
    return RangeSettlement(row[0], row[1], row[2], DeliveryState(row[3]), text(row[4]), row[5])


def replay_row(one: Replay) -> tuple[Any, ...]:
    return (
        one.id, one.created_at_us, one.query, one.committed_offset, one.upto, one.matched, one.reopened,
        one.finished_at_us, one.cause,
    )  # fmt: skip


# -- records ---------------------------------------------------------------------------------------------


def record_row(r: RecordState, text: Text = as_it_is) -> tuple[Any, ...]:
    """A record without its source and resource."""
    return (
        text(r.key), r.hash, _some(text, r.version), r.number, ORIGIN_NUMBER[r.origin], r.asked_at_us,
        r.answered_at_us, r.changed_at_us, r.deleted, r.body,
    )  # fmt: skip


def record_of(source: str, resource: str, row: Any, text: Text = as_it_is) -> RecordState:
    key, digest, version, number, origin, asked, answered, changed, deleted, body = row
    if text is not as_it_is:
        key, version = text(key), _some(text, version)
    return RecordState(
        source, resource, key, digest, version, number, ORIGINS[origin], asked, answered,
        changed, bool(deleted), body,
    )  # fmt: skip


def change_of(row: Any, text: Text = as_it_is) -> StoredChange:
    offset, key, type_, origin, received, change, body = row
    return StoredChange(offset, text(key), text(type_), ORIGINS[origin], received, change, body)


def state_row(commit: RecordCommit, text: Text = as_it_is) -> tuple[Any, ...]:
    s = commit.state
    return (
        commit.source, commit.resource, _some(text, s.cursor), _some(text, s.etag), _some(text, s.last_modified),
        s.first_done, s.committed_offset, s.polled_at_us, s.reconciled_at_us, s.scanned_at_us, s.statistics,
        s.engine_state, commit.fence,
    )  # fmt: skip


def state_of(row: Any, text: Text = as_it_is) -> ResourceState:
    (source, resource, cursor, etag, last_modified, first_done, committed_offset, polled, reconciled, scanned,
     statistics, engine_state) = row  # fmt: skip
    return ResourceState(
        source, resource, _some(text, cursor), _some(text, etag), _some(text, last_modified), bool(first_done),
        committed_offset, polled, reconciled, scanned, statistics, engine_state,
    )  # fmt: skip


# -- settings --------------------------------------------------------------------------------------------


MEANWHILE = "another change of the same source, destination or route was made at the same moment"


def new_item_row(i: Item) -> tuple[Any, ...]:
    """An item without its number."""
    return (
        i.kind, i.name, i.owner, i.body, i.place, i.created_at_us, i.updated_at_us, i.paused_at_us, i.pause_reason,
        i.deleted_at_us,
    )  # fmt: skip


def changed_item_row(i: Item) -> tuple[Any, ...]:
    """What may change of an item, then its number."""
    return i.owner, i.body, i.place, i.updated_at_us, i.paused_at_us, i.pause_reason, i.deleted_at_us, i.number


def key_row(key: ApiKey) -> tuple[Any, ...]:
    return (
        key.id, key.name, key.hash, " ".join(key.scopes), " ".join(key.sources), key.created_at_us, key.expires_at_us
    )  # fmt: skip


def key_of(row: Any) -> ApiKey:
    return ApiKey(row[0], row[1], row[2], tuple(row[3].split()), tuple(row[4].split()), row[5], row[6])


def feed_ack_row(name: str, ack: FeedAck) -> tuple[Any, ...]:
    return (name, ack.offset, ack.at_us, " ".join(ack.sources), ack.owner, ack.limit)


def feed_of(row: Any) -> Feed:
    return Feed(row[0], row[1], row[2], tuple(row[3].split()), row[4])


def value_name(name: str) -> str:
    """The name of a caller's small value, which differs from all of the store's own (instance, head, ...)."""
    return f"value:{name}"
