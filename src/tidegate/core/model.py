"""The things Tidegate is about, as frozen records. No I/O, no clock.

The words are those of `docs/concepts.md`. Times are microseconds since 1970 UTC. Offsets start at 1; 0
means "before everything". Everything the store keeps and the engines hand each other is here, so that a
reader learns the whole domain from one file.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any

import msgspec


class Origin(Enum):
    """How an event came."""

    WEBHOOK = "webhook"
    FORM = "form"
    PUBLISH = "publish"
    POLL = "poll"
    RECONCILE = "reconcile"
    PULL = "pull"
    IMAP = "imap"


class DeliveryState(Enum):
    """PENDING covers what was not read yet; SENDING is known to the owning node only."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"


class Outcome(IntEnum):
    """Class of an attempt, stored as its number. Only OK settles a delivery as delivered."""

    OK = 0
    HTTP_ERROR = 1  # an answer that is not 2xx
    TIMEOUT = 2
    REFUSED = 3  # no connection
    BLOCKED = 4  # the guard refused the address
    RESET = 5  # the connection broke after the request began
    BAD_ANSWER = 6  # not HTTP
    TLS = 7
    DNS = 8
    RENDER = 9  # a transform or a text could not be made: no request left


class NewEvent(msgspec.Struct, gc=False):
    """An event before it has an offset. `audience` is the number the store gave to the routing decision."""

    source: str
    type: str
    origin: Origin
    received_at_us: int
    audience: int
    body: bytes
    content_type: str = ""
    headers: bytes = b""  # JSON list of [name, value], credentials already redacted; b"" is none
    key: str | None = None
    occurred_at_us: int | None = None
    data_path: str = ""  # the part of the parsed body that is `data`; "" is the whole
    dedupe_id: str | None = None  # with `source`, what makes two deliveries the same event
    body_hash: bytes = b""  # of a deduped delivery: tells "again" from "same id, another body"
    change: bytes = b""  # JSON of `change`, b"" when this is no change
    hops: int = 0  # gateways it came through (tidegate-hops)


class Appended(msgspec.Struct, frozen=True, gc=False):
    """What append answers. `duplicate`: the offset is of the first copy; `differs`: the bodies are not the same."""

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
        """When it happened, by the source's word, else when it came."""
        return self.received_at_us if self.occurred_at_us is None else self.occurred_at_us


class Audience(msgspec.Struct, frozen=True):
    """A routing decision, interned: events that were decided alike share one number.

    `considered`: revision numbers of the routes that named the source, in deciding order.
    `wanted`: (destination number, revision of the route that won it), ascending by destination.
    `filtered`: numbers of destinations that a considered route names and none of them wanted.
    """

    number: int
    source: str
    considered: tuple[int, ...]
    wanted: tuple[tuple[int, int], ...]
    filtered: tuple[int, ...]


class Attempt(msgspec.Struct, frozen=True):
    """One finished try, numbered from 1, never edited."""

    offset: int
    destination: int
    number: int
    outcome: Outcome
    started_at_us: int
    duration_us: int
    status: int | None = None  # HTTP status, None when there was no answer
    error: str = ""  # what happened, in words; never a secret
    answer_headers: bytes = b""  # JSON list of [name, value], bounded
    answer_body: bytes = b""  # the first bytes of the answer, bounded
    answer_bytes: int = 0  # how many bytes the answer's body had as far as it was read
    url: str = ""  # where it went, without its query; "" when the same as the destination's today
    manual: bool = False  # asked for by a person (retry, replay)


class DeferredState(IntEnum):
    """Why a delivery left its lane. Only PENDING ones are open."""

    PENDING = 0  # waits for `due_at_us`
    BLOCKED = 1  # waits behind an earlier one of its key; open too
    EXHAUSTED = 2
    CANCELED = 3


class Deferred(msgspec.Struct, frozen=True):
    """A delivery that is not on the happy path: the only deliveries that are rows."""

    destination: int
    offset: int
    state: DeferredState
    due_at_us: int = 0
    attempts: int = 0  # finished so far
    cause: str = ""  # a word: "http_error", "expired", "operator", ...
    key: str = ""  # of `ordered_by`; "" unless blocked or holding others back
    tries_left_from: int = 0  # the schedule counts attempts from here (a replay starts it anew)
    route: int = 0  # route revision for a replay by today's routes; 0: the one in the audience
    replay: str = ""  # id of the replay job that made it


class RangeSettlement(msgspec.Struct, frozen=True):
    """A bulk expiry or cancel: what of (after, upto] was still open became `state`, in one row."""

    destination: int
    after: int
    upto: int
    state: DeliveryState
    cause: str
    at_us: int


class Lane(msgspec.Struct):
    """The durable face of one destination's cursor. `committed_offset` None: nothing open, it stands at the mark."""

    destination: int
    committed_offset: int | None = None
    settled_ahead: tuple[int, ...] = ()  # settled offsets beyond `committed_offset`, ascending
    delivered: int = 0
    exhausted: int = 0
    canceled: int = 0
    adopted: int = 0  # deliveries that a replay made for events whose audience did not have them
    adopted_filtered: int = 0  # of those: that had counted as filtered
    fence: int = 0


class DeliveryView(msgspec.Struct, frozen=True):
    """A delivery as `GET /deliveries` shows it; put together from lane, deferred deliveries, ranges and attempts."""

    offset: int
    destination: int
    state: DeliveryState
    cause: str
    attempts: tuple[Attempt, ...]
    next_attempt_at_us: int | None
    first_delivered_at_us: int | None
    route: int


class RecordState(msgspec.Struct, frozen=True):
    """The latest known state of one item of a resource. `body` is canonical JSON; a tombstone keeps the last one."""

    source: str
    resource: str
    key: str
    hash: bytes
    version: str | None
    number: int  # counts the changes of this record, from 1
    origin: Origin
    asked_at_us: int
    answered_at_us: int
    changed_at_us: int
    deleted: bool
    body: bytes


class Change(msgspec.Struct, frozen=True):
    """Created, updated or deleted, found by comparing. `fields` are the top-level names that differ."""

    kind: str  # "created", "updated", "deleted"
    before: Any
    after: Any
    fields: tuple[str, ...]
    version: str | None
    number: int
