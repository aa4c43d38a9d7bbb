"""The domain of Tidegate as structs: events, deliveries, attempts, records. No I/O, no clock.

Owns the structs that the store keeps and the engines exchange, so that one file shows the whole domain. The terms are
those of `docs/concepts.md`. Times are microseconds since 1970 UTC. Offsets start at 1; 0 means "before the first
event". Crash: nothing is kept.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any

import msgspec

SYSTEM_SOURCE = "tidegate"  # the built-in source of system events; no item may have this name

JsonObject = dict[str, Any]  # a parsed JSON object of any shape, as outside systems and users write it


class Origin(Enum):
    """How an event arrived."""

    WEBHOOK = "webhook"
    FORM = "form"
    PUBLISH = "publish"
    POLL = "poll"
    RECONCILE = "reconcile"
    PULL = "pull"
    IMAP = "imap"
    EDIT = "edit"  # an edited copy that a person sent to one destination
    SYSTEM = "system"  # a state change of Tidegate itself
    WRITE = "write"  # the answer to an operation shows what it changed

    __hash__ = object.__hash__  # by identity, as they are compared; that of Enum is a Python function


class DeliveryState(Enum):
    """PENDING includes deliveries that are not read yet. Only the node that sends knows SENDING."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"


class Outcome(IntEnum):
    """The result of an attempt, stored as its number. Only OK settles a delivery as delivered."""

    OK = 0
    HTTP_ERROR = 1  # an answer that is not 2xx
    TIMEOUT = 2
    REFUSED = 3  # no connection
    BLOCKED = 4  # the guard blocked the address
    RESET = 5  # the connection broke after the request began
    BAD_ANSWER = 6  # not HTTP
    TLS = 7
    DNS = 8
    RENDER = 9  # a transform or template could not be rendered, so no request was sent
    CREDENTIAL = 10  # there was no token, so no request was sent
    CONFLICT = 11  # somebody else changed the same fields, and a person decides; no request was sent


class NewEvent(msgspec.Struct, gc=False):
    """An event before it has an offset. `audience` is the number of the routing decision in the store."""

    source: str
    type: str
    origin: Origin
    received_at_us: int
    audience: int
    body: bytes
    content_type: str = ""
    headers: bytes = b""  # as `rules/language/stored_headers.py` reads them, credentials redacted; b"" means none
    key: str | None = None
    occurred_at_us: int | None = None
    data_path: str = ""  # path of `data` in the parsed body; "" is the whole body
    dedupe_id: str | None = None  # with `source`, identifies repeats of the same event
    body_hash: bytes = b""  # with a dedupe id: detects a repeat with another body
    change: bytes = b""  # JSON of `change`, b"" when the event is not a change
    hops: int = 0  # gateways that it passed through (tidegate-hops)


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The result of an append. `duplicate`: the offset is that of the first copy; `differs`: the bodies differ."""

    offset: int
    duplicate: bool = False
    differs: bool = False


class Event(msgspec.Struct, frozen=True, gc=False):
    """An immutable record of an occurrence in the log; names no destination."""

    offset: int
    source: str
    type: str
    origin: Origin
    received_at_us: int
    audience: int
    body: bytes
    content_type: str = ""
    headers: bytes = b""
    key: str | None = None
    occurred_at_us: int | None = None
    data_path: str = ""
    change: bytes = b""
    hops: int = 0
    differs: bool = False  # the same delivery id came again with another body

    @property
    def time_us(self) -> int:
        """When the event occurred according to the source, else when it was received."""
        return self.received_at_us if self.occurred_at_us is None else self.occurred_at_us


class Audience(msgspec.Struct, frozen=True):
    """An interned routing decision: events with the same decision share one number.

    `considered`: revisions of the routes that name the source, in the order of the routes.
    `wanted`: (destination number, revision of the first route that wants it), ascending by destination.
    `filtered`: numbers of the other destinations of the considered routes.
    """

    number: int
    source: str
    considered: tuple[int, ...]
    wanted: tuple[tuple[int, int], ...]
    filtered: tuple[int, ...]

    @property
    def direct(self) -> bool:
        """Of an edited copy: no route decided, a person named the destination. It counts for no source."""
        return bool(self.wanted) and not self.considered


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One finished attempt, numbered from 1. It never changes."""

    offset: int
    destination: int
    number: int
    outcome: Outcome
    started_at_us: int
    duration_us: int
    status: int | None = None  # HTTP status, None when there was no answer
    error: str = ""  # what went wrong, without secrets
    answer_headers: bytes = b""  # JSON list of [name, value], bounded
    answer_body: bytes = b""  # the first bytes of the answer, bounded
    answer_bytes: int = 0  # size of the answer's body as far as it was read
    url: str = ""  # the URL without its query; "" when it is the current URL of the destination
    manual: bool = False  # requested by a person (retry, replay)
    head: int = 0  # number of the stored head of the request; 0: none
    request: bytes = b""  # what varied of the request as it was sent (`rules/outbound/sent_requests.py`); b"": not kept


class DeferredState(IntEnum):
    """The state of a deferred delivery. PENDING and BLOCKED ones are open."""

    PENDING = 0  # waits until `due_at_us`
    BLOCKED = 1  # waits for an earlier delivery of its key
    EXHAUSTED = 2
    CANCELED = 3


class Deferred(msgspec.Struct, frozen=True):
    """A delivery that was not delivered at its first attempt. Only these deliveries have rows of their own."""

    destination: int
    offset: int
    state: DeferredState
    due_at_us: int = 0
    attempts: int = 0  # finished attempts
    cause: str = ""  # a word: "http_error", "expired", "operator", ...
    key: str = ""  # of `ordered_by`; "" unless it is blocked or blocks others
    tries_left_from: int = 0  # the schedule counts attempts from this number (a replay starts it again)
    route: int = 0  # route revision of a replay by the current routes; 0: the one in the audience
    replay: str = ""  # id of the replay that created it


class RangeSettlement(msgspec.Struct, frozen=True):
    """A bulk expiry or cancel in one row: every open delivery in (after, upto] got `state`."""

    destination: int
    after: int
    upto: int
    state: DeliveryState
    cause: str
    at_us: int


class Lane(msgspec.Struct):
    """The stored cursor of one destination. `committed_offset` is None when nothing is open in the whole log."""

    destination: int
    committed_offset: int | None = None
    settled_ahead: tuple[int, ...] = ()  # settled offsets beyond `committed_offset`, ascending
    delivered: int = 0
    exhausted: int = 0
    canceled: int = 0
    adopted: int = 0  # deliveries that a replay created for events whose audience lacks the destination
    adopted_filtered: int = 0  # the part of `adopted` that had counted as filtered
    fence: int = 0
    breaker: bytes = b""  # state of its circuit breaker over a restart; b"": closed, nothing learned


class DeliveryView(msgspec.Struct, frozen=True):
    """A delivery as `GET /deliveries` shows it, computed from lane, deferred deliveries, ranges and attempts."""

    offset: int
    destination: int
    state: DeliveryState
    cause: str
    attempts: tuple[Attempt, ...]
    next_attempt_at_us: int | None
    first_delivered_at_us: int | None
    route: int


class RecordState(msgspec.Struct, frozen=True, gc=False):
    """The latest known state of one item of a resource. `body` is canonical JSON; a tombstone keeps the last body."""

    source: str
    resource: str
    key: str
    hash: bytes
    version: str | None
    number: int  # number of the latest change of this record, from 1
    origin: Origin
    asked_at_us: int
    answered_at_us: int
    changed_at_us: int
    deleted: bool
    body: bytes


HEALED = b'{"healed":'  # how `change` of a healed event begins: the first member, so that stores can select by it


class Healed(msgspec.Struct, frozen=True, kw_only=True):
    """What was missed when a poll found a change that no webhook had reported, and for how long.

    `webhooks`: the event types that report such a change. `since`: when the change happened, or the earliest time at
    which it can have happened. The two durations are the longest and the shortest time that it can have been missing;
    they are equal where the record itself says when it changed, and None where nothing bounds them.
    """

    webhooks: tuple[str, ...]
    since: str | None
    missed_for_seconds: float | None
    missed_for_at_least_seconds: float


class Change(msgspec.Struct, frozen=True):
    """A change found by comparing two states of a record. `fields` are the top-level names that differ."""

    kind: str  # "created", "updated", "deleted"
    before: Any
    after: Any
    fields: tuple[str, ...]
    version: str | None
    number: int


class StoredChange(msgspec.Struct, frozen=True):
    """A change event of a record, as far as the state of the record needs it."""

    offset: int
    key: str
    type: str
    origin: Origin
    received_at_us: int
    change: bytes
    body: bytes

    @property
    def kind(self) -> str:
        """created, updated or deleted."""
        return self.type.rpartition(".")[2]
