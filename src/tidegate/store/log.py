"""The log: the append-only sequence of events that everything else reads.

Owns the protocol `Log`, which `sqlite/log.py` and `postgres/log.py` implement, and its shapes. Knows no HTTP, no
routes and no filters. Times are microseconds since 1970 UTC; offsets start at 1 and may have gaps.

Invariants: an event is acknowledged only after its commit, never changes, and listeners get events once, in order of
their offsets. After a crash a batch of events is stored completely or not at all, and no offset is used twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from tidegate.core.model import Appended, Audience, Event, NewEvent, Origin

Listener = Callable[[Sequence[Event]], None]


class EventHead(msgspec.Struct, frozen=True, gc=False):
    """What lists show of an event: everything but its body, its headers and its change."""

    offset: int
    source: str
    type: str
    origin: Origin
    received_at_us: int
    audience: int
    key: str | None
    content_type: str
    body_bytes: int


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the log, newest first unless `ascending`. Conditions that are None match every event."""

    source: str | None = None
    type: str | None = None
    key: str | None = None
    origin: str | None = None
    since_us: int | None = None  # received at or after
    until_us: int | None = None  # received before
    text: str | None = None  # its UTF-8 bytes occur in the body
    healed: bool | None = None  # whether it is a change that a look found and no webhook had reported
    before: int | None = None  # newest first: offsets below this one
    after: int | None = None  # ascending: offsets above this one
    ascending: bool = False
    limit: int = 50
    scan_limit: int = 20_000  # events examined before a short page is returned


class EventPage(msgspec.Struct, frozen=True):
    """Matching events. `edge` is the last offset examined (0 when a descending page reached the end of the log)."""

    events: tuple[Event, ...]
    edge: int
    more: bool  # the page is full or the scan limit was reached: continue from `edge`


class Thinned(msgspec.Struct, frozen=True):
    """What `thin` did. `upto`: the last offset it looked at; None at the end of what is settled."""

    upto: int | None
    events: int
    body_bytes: int


class Weighed(msgspec.Struct, frozen=True):
    """Bytes of the bodies of some events, by (source, numbers of the destinations that are owed them, ascending).

    `upto`: the last offset of them; None at the end of the log.
    """

    upto: int | None
    weights: dict[tuple[str, tuple[int, ...]], int] = {}


class Receipt(Protocol):
    """What `append_one` completes. Unlike a future it goes on at once, without a turn of the loop, and a second result
    does nothing.
    """

    def done(self) -> bool: ...
    def set_result(self, appended: Appended, /) -> None: ...
    def set_exception(self, error: BaseException, /) -> None: ...


class Log(Protocol):
    """The append-only log and what its readers need."""

    @property
    def instance(self) -> str:
        """Six characters that identify this store; part of every id and never changed."""
        ...

    def append(self, events: Sequence[NewEvent], strict: bool = False) -> Awaitable[list[Appended]]:
        """Append all events or none; the result is in their order and comes after the commit.

        An event whose id is already stored gets the offset of the first copy. With `strict`, an id that is stored with
        a different body raises Conflict. Raises StoreBusy and StoreBroken. While commits end in time a call waits for
        its turn. When one does not, StoreBusy says that nothing is written, except for the calls in that commit, whose
        outcome is unknown.
        """
        ...

    def append_one(self, event: NewEvent, receipt: Receipt) -> None:
        """As `append` of one event. The receipt may fail within the call."""
        ...

    @property
    def waiting(self) -> int:
        """Events without an answer so far."""
        ...

    def is_busy(self, limit: int, source: str) -> bool:
        """Whether a new event of `source` must be rejected at once; for each request.

        The log is stuck, or more than `limit` events wait, or more than it can write in time. In the last case only
        sources with more than their share of these are rejected.
        """
        ...

    @property
    def stuck(self) -> bool:
        """True while commits take too long or their outcome is unknown: new requests should get 503."""
        ...

    @property
    def unavailable_reason(self) -> str | None:
        """Why the log is stuck, as text; None while it is not."""
        ...

    @property
    def published_offset(self) -> int:
        """The highest offset published to listeners."""
        ...

    def cached(self, offset: int) -> Event | None:
        """The event if it is in memory; for hot paths that must not wait."""
        ...

    async def read(self, offsets: Sequence[int]) -> list[Event]:
        """Events by offset, ascending; trimmed ones are missing. Comes from memory where possible."""
        ...

    async def heads(self, offsets: Sequence[int]) -> list[EventHead]:
        """Events by offset, ascending, without loading their bodies; trimmed ones are missing."""
        ...

    async def scan(
        self, after: int, upto: int, limit: int, audiences: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        """(offset, audience) of events in (after, upto], ascending, at most `limit`; only of `audiences` if given."""
        ...

    async def page(self, query: EventQuery) -> EventPage: ...

    async def audience(
        self,
        source: str,
        considered: tuple[int, ...],
        wanted: tuple[tuple[int, int], ...],
        filtered: tuple[int, ...],
    ) -> Audience:
        """Store a routing decision once. The same decision always gets the same number."""
        ...

    def audiences(self) -> Mapping[int, Audience]:
        """All stored routing decisions by number, in memory."""
        ...

    def subscribe(self, listener: Listener) -> int:
        """Call `listener` on the loop with each batch published from now on, in order. Returns `published_offset`."""
        ...

    def unsubscribe(self, listener: Listener) -> None: ...

    async def oldest(self) -> tuple[int, int] | None:
        """(offset, received_at_us) of the oldest event that is kept."""
        ...

    async def head(self) -> int:
        """The highest committed offset, of any node; `published_offset` follows it."""
        ...

    async def trimmed(self) -> int:
        """The highest offset that `trim` or `thin` removed; 0 if none was."""
        ...

    async def offset_at(self, at_us: int, after: int = 0) -> int | None:
        """The first offset above `after` received at or after an instant; None if there is none."""
        ...

    async def forget_dedupe(self, before_us: int) -> None:
        """Delete the delivery ids seen before an instant, so that the same ids are new events again."""
        ...

    async def thin(self, after: int, limit: int, room: int, sources: Collection[str] | None = None) -> Thinned:
        """Delete those of the next `limit` events above `after` that nobody is owed; of `sources` only, if given.

        It stops when the bodies of the deleted ones have `room` bytes.

        An event is owed while a lane that wants it has not passed it, or while a delivery of it is pending. The log has
        gaps then, and `trimmed` says up to where. One transaction.
        """
        ...

    async def weigh(self, after: int, limit: int) -> Weighed:
        """How many bytes the next `limit` events above `after` have, and who is owed them."""
        ...

    async def trim(self, upto: int, limit: int) -> int:
        """Delete at most `limit` events up to an offset, with their attempts and settled deferred deliveries.

        Returns the number of deleted events.
        """
        ...
