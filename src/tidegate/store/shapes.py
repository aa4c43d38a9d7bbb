"""The shapes that engines and stores exchange: pages of the log, settlements, counters, items, and the partitions of
work.

Plain structs without behavior, in the words of `docs/concepts.md`; times are microseconds since 1970 UTC, offsets
start at 1. Knows no store. What is kept for life (events, attempts, lanes) is in `tidegate.model`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import msgspec

from tidegate.core.model import Attempt, Audience, Deferred, Event, Lane, NewEvent, RangeSettlement, RecordState

PARTITIONS = 64  # what runs by itself is cut into so many parts; each is held by one node at a time


def partition_of(destination: int) -> int:
    """The partition that a destination's sender belongs to."""
    return destination % PARTITIONS


def partition_of_name(name: str) -> int:
    """The partition of a replay, and of a source's polls: all its resources on one node, for they spend one budget."""
    return zlib.crc32(name.encode()) % PARTITIONS


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the log, newest first unless `ascending`. `before`, `after` and the times bound it."""

    source: str | None = None
    type: str | None = None
    key: str | None = None
    origin: str | None = None
    since_us: int | None = None  # by received_at
    until_us: int | None = None
    text: str | None = None  # bytes that stand in the body, as UTF-8
    before: int | None = None  # newest first: offsets below this
    after: int | None = None  # ascending: offsets above this
    ascending: bool = False
    limit: int = 50
    scan_limit: int = 20_000  # rows looked at before a short page is given


class EventPage(msgspec.Struct, frozen=True):
    """`edge` is the last offset looked at (0 when the log's end was reached going down)."""

    events: tuple[Event, ...]
    edge: int
    more: bool


class Settlement(msgspec.Struct):
    """What one settle makes durable, in one transaction. Idempotent on (event, destination, attempt)."""

    high_water_mark: int  # every event up to here was offered to every lane
    lanes: list[Lane]  # only those that moved; counters are totals, not increments
    attempts: list[Attempt] = []
    deferred: list[Deferred] = []  # put (insert or replace)
    closed: list[tuple[int, int]] = []  # (destination, offset) of deferred deliveries that ended as delivered
    ranges: list[RangeSettlement] = []
    taken: Sequence[int] = ()  # shares that from here on stand at this node's mark
    left: Sequence[tuple[int, int]] = ()  # (partition, mark) that this node no longer feeds: they stand there
    fence: int = 0  # the lease it was made up under; 0 is whatever the store holds now


class Standing(msgspec.Struct, frozen=True):
    """How far deliveries are: a lane without a row, or with position None, stands at the mark of its partition."""

    high_water_marks: Mapping[int, int]  # by partition
    lanes: Sequence[Lane]  # that have a row

    def high_water_mark_of(self, destination: int) -> int:
        return self.high_water_marks[partition_of(destination)]


FOREVER_US = 1 << 62  # of a lease that does not run out


class Node(msgspec.Struct, frozen=True):
    """One process on the store. `status` is what it told of itself (JSON); the times are the store's clock."""

    id: str
    fence: int
    partitions: int
    started_at_us: int
    lease_expires_at_us: int
    status: bytes = b"{}"
    high_water_mark: int = 0  # how far it offered the log to the lanes of its partitions


class Counters(msgspec.Struct, frozen=True):
    """One snapshot. `audiences`: (number, events counted); lanes carry what is settled."""

    head: int
    high_water_mark: int
    audiences: tuple[tuple[Audience, int], ...]
    lanes: tuple[Lane, ...]


class Replay(msgspec.Struct, frozen=True):
    """A durable job: walks (position, upto] and reopens what fits. `query` is the JSON of the request."""

    id: str
    created_at_us: int
    query: bytes
    committed_offset: int
    upto: int
    matched: int = 0
    reopened: int = 0
    finished_at_us: int | None = None
    cause: str = ""  # why it ended, when not by reaching `upto`


class Item(msgspec.Struct, frozen=True):
    """A source, destination or route as configured. `body` is sealed JSON; the store cannot read it."""

    kind: str  # "source", "destination", "route"
    name: str
    number: int  # for life; a name that comes back after a delete gets a new one
    owner: str  # "file" or "api"
    body: bytes
    place: int  # order in the file; API items after, by creation
    created_at_us: int
    updated_at_us: int
    paused_at_us: int | None = None
    pause_reason: str = ""  # "operator", "gone" (410), "left_file"
    deleted_at_us: int | None = None


class ApiKey(msgspec.Struct, frozen=True):
    """A key for the API. Only its SHA-256 is kept."""

    id: str
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    sources: tuple[str, ...]  # bound to these; () is all
    created_at_us: int
    expires_at_us: int | None = None


class Feed(msgspec.Struct, frozen=True):
    name: str
    committed_offset: int
    updated_at_us: int


class Rejection(msgspec.Struct, frozen=True):
    """A request that the receive door turned away; a bounded ring for the operator."""

    at_us: int
    source: str
    reason: str  # a word: "signature_missing", "signature_wrong", "too_old", "secret_unset", "too_large", ...
    detail: str
    remote: str


class ResourceState(msgspec.Struct, frozen=True):
    """What the engine of one resource remembers between polls. JSON fields are the engine's own."""

    source: str
    resource: str
    cursor: str | None = None  # incremental cursor, as the source writes it
    etag: str | None = None
    last_modified: str | None = None
    first_done: bool = False  # the first poll (or scan) was completed
    committed_offset: int = 0  # webhooks of the source are applied up to here
    polled_at_us: int | None = None
    reconciled_at_us: int | None = None
    scanned_at_us: int | None = None
    statistics: bytes = b"{}"  # counters of the engine, JSON
    engine_state: bytes = b"{}"  # anything else the engine keeps, JSON


class RecordCommit(msgspec.Struct):
    """What one page of a poll (or one slice of webhooks) makes durable, in one transaction of at most 500 rows."""

    source: str
    resource: str
    records: list[RecordState]
    changes: list[NewEvent]  # their audiences are decided; appended to the log in this order
    state: ResourceState
    fence: int = 0
