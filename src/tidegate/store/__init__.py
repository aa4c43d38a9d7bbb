"""The store: five small protocols of domain operations (their shapes stand in `shapes.py`).

The log, the deliveries, the records, the settings (configuration, keys, feeds) and the leases. Engines
import this file only; `sqlite/` and `postgres/` implement it and pass `tests/conformance/`. The store
knows no HTTP, no routes and no filters; it keeps what it is told, in the transactions promised here.

Failure: a call that raises `StoreBusy` or `StoreBroken` acknowledged nothing, and whether it was committed
is unknown; every operation is idempotent or carries what makes a repeat recognizable. `Fenced` says that this node
lost its lease: nothing was committed, and what it believed to own is another's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from tidegate.core.model import (
    Appended,
    Attempt,
    Audience,
    Deferred,
    DeferredState,
    Event,
    NewEvent,
    RangeSettlement,
    RecordState,
)
from tidegate.store.shapes import (
    FOREVER_US,
    PARTITIONS,
    ApiKey,
    Counters,
    EventPage,
    EventQuery,
    Feed,
    Item,
    Node,
    RecordCommit,
    Rejection,
    Replay,
    ResourceState,
    Settlement,
    Standing,
    partition_of,
    partition_of_name,
)

# -- protocols -------------------------------------------------------------------------------------------

Listener = Callable[[Sequence[Event]], None]


class Log(Protocol):
    """The append-only log and its readers' tools."""

    @property
    def instance(self) -> str:
        """Six letters for life, part of every id."""
        ...

    def append(self, events: Sequence[NewEvent], strict: bool = False) -> Awaitable[list[Appended]]:
        """Append all or none; answers in order, after the commit. Raises StoreBusy, StoreBroken.

        An id that came before answers its first offset; with `strict`, one with another body raises Conflict.
        """
        ...

    @property
    def waiting(self) -> int:
        """Calls of append that were not answered yet."""
        ...

    @property
    def stuck(self) -> bool:
        """True while the disk does not confirm in time, or the state is unknown: refuse at the door."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why it is stuck, in words; None while it is not."""
        ...

    @property
    def published_offset(self) -> int:
        """The highest offset that listeners were told."""
        ...

    def cached(self, offset: int) -> Event | None:
        """The event when the tail ring has it; for hot paths that must not await."""
        ...

    async def read(self, offsets: Sequence[int]) -> list[Event]:
        """Events by offset, ascending; those trimmed away are missing. From the tail ring where it has them."""
        ...

    async def scan(
        self, after: int, upto: int, limit: int, audiences: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        """(offset, audience) ascending, of (after, upto], at most `limit`; only of `audiences` when given."""
        ...

    async def page(self, query: EventQuery) -> EventPage: ...

    async def audience(
        self,
        source: str,
        considered: tuple[int, ...],
        wanted: tuple[tuple[int, int], ...],
        filtered: tuple[int, ...],
    ) -> Audience:
        """Intern a routing decision. The same decision gets the same number, for ever."""
        ...

    def audiences(self) -> Mapping[int, Audience]:
        """All interned decisions, in memory."""
        ...

    def subscribe(self, listener: Listener) -> int:
        """Call `listener` on the loop with each batch told from now on, ascending. Returns the offset told so far."""
        ...

    def unsubscribe(self, listener: Listener) -> None: ...

    async def oldest(self) -> tuple[int, int] | None:
        """(offset, received_at_us) of the oldest event kept."""
        ...

    async def head(self) -> int:
        """The highest offset that is committed, by whatever node; `told` follows it."""
        ...

    async def trimmed(self) -> int:
        """The highest offset that `trim` took away; 0 while none was."""
        ...

    async def offset_at(self, at_us: int, after: int = 0) -> int | None:
        """The first offset beyond `after` received at or after an instant; None when there is none."""
        ...

    async def forget_dedupe(self, before_us: int) -> None:
        """Forget delivery ids seen before an instant."""
        ...

    async def trim(self, upto: int, limit: int) -> int:
        """Delete at most `limit` events up to an offset, with attempts and settled deferred deliveries. Returns how
        many.
        """
        ...


class Deliveries(Protocol):
    """Positions, deferred deliveries and attempts."""

    @property
    def settle_seconds(self) -> float:
        """How long results are collected before they are settled together."""
        ...

    async def load(self, partitions: Collection[int] | None = None) -> Standing:
        """Marks and lanes of `partitions`, of all when None."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """One transaction. Raises StoreBroken or StoreBusy (nothing may be assumed), Fenced (nothing was changed).

        Shares come and go by `taken` and `left` in the same transaction as the mark that makes them true.
        """
        ...

    async def deferred(
        self,
        *,
        destination: int | None = None,
        offsets: Sequence[int] | None = None,
        states: Sequence[DeferredState] | None = None,
        due_before_us: int | None = None,
        after: int | None = None,
        limit: int = 512,
    ) -> list[Deferred]:
        """By `due_before_us` ordered by due time, else by offset ascending beyond `after`."""
        ...

    async def attempts(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Attempt]]:
        """Attempts by (offset, destination), each list by number."""
        ...

    async def ranges(self) -> list[RangeSettlement]: ...

    async def counters(self) -> Counters:
        """Counts of events per audience and of settled deliveries per lane, from one read transaction."""
        ...

    async def put_replay(self, replay: Replay) -> None: ...

    async def replays(self) -> list[Replay]:
        """Newest first: the last 200, and those that are not finished."""
        ...

    async def replay(self, id_: str) -> Replay | None: ...


class Records(Protocol):
    """The latest known state of each record, and what each resource's engine remembers."""

    async def known(self, source: str, resource: str, keys: Sequence[str]) -> dict[str, RecordState]: ...

    async def page(
        self,
        source: str,
        resource: str,
        *,
        updated_since_us: int | None = None,
        after_key: str | None = None,
        limit: int = 100,
        deleted: bool = False,
    ) -> list[RecordState]:
        """By key ascending; tombstones only with `deleted`."""
        ...

    async def commit(self, commit: RecordCommit) -> list[Appended]:
        """Records, change events, cursor and statistics, all or none.

        ChangedElsewhere when the id of a change came before with another body: a commit whose outcome was not known to
        the caller had taken effect. Nothing was changed; the records are to be read again.
        """
        ...

    async def state(self, source: str, resource: str) -> ResourceState: ...

    async def states(self) -> list[ResourceState]: ...

    async def count(self, source: str, resource: str) -> int:
        """Records that are not deleted."""
        ...


class Settings(Protocol):
    """Configuration, route revisions, keys, feeds, rejections and small values."""

    async def items(self) -> list[Item]:
        """All, the deleted ones too, by kind, place and number."""
        ...

    async def put_items(self, items: Sequence[Item], *, read: Mapping[int, bytes] | None = None) -> None:
        """Insert or replace, in one transaction. A `number` of 0 is given a new one; see `items()`.

        `read`: the bodies of those that are replaced, as they were when this was decided. ChangedElsewhere when one
        has another by now, or an item of that name was made first; nothing was changed.
        """
        ...

    async def route_revision(self, name: str, body: bytes, digest: bytes) -> int:
        """Number of this content of a route; the same `digest` of a name gets the same number. `body` is sealed."""
        ...

    async def route_revisions(self) -> dict[int, tuple[str, bytes]]:
        """revision -> (route name, sealed body)."""
        ...

    async def keys(self) -> list[ApiKey]: ...

    async def put_key(self, key: ApiKey | None, *, delete: str | None = None) -> None: ...

    async def feed(self, name: str, *, ack: int | None = None, now_us: int = 0) -> Feed | None:
        """A feed, or None when it has not been acked yet. `ack` moves it (never back) and makes it."""
        ...

    async def rejections(self, *, put: Sequence[Rejection] = (), limit: int = 100) -> list[Rejection]:
        """Add to the ring (the newest 1,000 stay), then the newest `limit`, newest first."""
        ...

    async def value(self, name: str, *, put: bytes | None = None) -> bytes | None:
        """A small named value (sealed by the caller when secret)."""
        ...

    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool:
        """Put a small value where it still is `was` (None: there is none). False, and no change, when it is not."""
        ...

    def watch(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the loop, within a second, when another node changed items, revisions or keys."""
        ...


class Holder(Protocol):
    """Who runs what partitions stand for: the gateway. Called by `Leases`, one call at a time.

    Only `lost` comes at any time: a `take` or `leave` under way is canceled then.
    """

    async def take(self, partitions: frozenset[int]) -> None:
        """This node now holds `partitions`: take up their work. Raises Fenced or StoreBusy: then they are given
        back.
        """
        ...

    async def leave(self, partitions: frozenset[int]) -> None:
        """End the work of `partitions`; on return nothing of it is in flight and all is settled."""
        ...

    def lost(self) -> None:
        """The lease is gone and others may already work: drop everything at once, write nothing."""
        ...

    async def answer(self, call: bytes) -> bytes:
        """Do what another node asks of a partition that is held here. TidegateError travels back to it."""
        ...


class Leases(Protocol):
    """The right to do what runs by itself, by partition. On SQLite one process holds them all for life.

    A node is leased, not its lanes: it renews one row, and every settle and every commit of records checks its fence.
    """

    @property
    def fence(self) -> int: ...

    @property
    def held(self) -> frozenset[int]:
        """Shares that are held now."""
        ...

    async def start(self, holder: Holder) -> None:
        """Join, take what is free, and go on taking and leaving as nodes come and go. Returns after the first round."""
        ...

    async def stop(self) -> None:
        """Give everything back; the holder has ended its work before."""
        ...

    async def ask(self, share: int, call: bytes) -> bytes:
        """Have `call` answered by the node that holds a partition. StoreBusy when none answered in time.

        It may be answered more than once, when the partition changes hands meanwhile.
        """
        ...

    def tell(self, status: bytes) -> None:
        """What others shall see of this node (JSON of at most a few kilobytes), with the next renewal."""
        ...

    async def nodes(self) -> list[Node]:
        """All that are alive, this one first."""
        ...


class Store(Protocol):
    """All five, opened together."""

    @property
    def log(self) -> Log: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def records(self) -> Records: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def leases(self) -> Leases: ...

    async def close(self) -> None: ...

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        """A consistent copy of the live store at `path` (which must not exist). progress(done, total) in pages."""
        ...

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        """Called once on the loop when the state became unknown: stop, and recover from disk at the next start."""
        ...

    async def facts(self) -> dict[str, Any]:
        """For doctor: kind, path or server, synchronous setting as read back, sizes, schema version."""
        ...


__all__ = [
    "FOREVER_US",
    "PARTITIONS",
    "ApiKey",
    "Counters",
    "Deliveries",
    "EventPage",
    "EventQuery",
    "Feed",
    "Holder",
    "Item",
    "Leases",
    "Log",
    "Node",
    "RecordCommit",
    "Records",
    "Rejection",
    "Replay",
    "ResourceState",
    "Settings",
    "Settlement",
    "Standing",
    "Store",
    "partition_of",
    "partition_of_name",
]
