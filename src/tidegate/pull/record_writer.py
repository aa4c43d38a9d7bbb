"""The only writer of one resource's records: merges copies into them and makes the changes.

Owns the resource's state (cursor, validators, committed offset, counters, engine state) and the transaction that writes
records, change events and state together. Knows no HTTP and no schedule: callers hand in copies. Invariant: a change
event exists exactly when its record's number moved, and the state is never ahead of the records.

Crash: a commit is whole or absent. After a failed commit the writer reads its state back from the store before it
writes again, so it knows what was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.model import Change, NewEvent, RecordState
from tidegate.core.spec import Resource
from tidegate.pull.statistics import Statistics
from tidegate.pull.yielding import Yielder
from tidegate.rules.language.view import event_view
from tidegate.rules.sync.merge import Copy, MergeDecision, compare, merge, stored, version_instant
from tidegate.store import RecordCommit, ResourceState, Store

MAX_ROWS = 500  # of one transaction
MAX_ROW_BYTES = 2 << 20
MAX_DIRTY = 1000  # records that wait to be fetched; beyond, webhooks and polls wait too

View = Callable[[], dict[str, Any]]
Mark = tuple[int, str]  # since when, origin


class Router(Protocol):
    """The active routing decision. `decide` answers from memory, None when it must intern a new decision."""

    def decide(self, source: str, type_: str, view: View, resource: str, /) -> int | None: ...

    async def decide_slow(self, source: str, type_: str, view: View, resource: str, /) -> int: ...


class EngineState(msgspec.Struct, omit_defaults=True):
    """What the engine stores besides the named columns, as JSON."""

    begun: bool = False  # the committed offset was set
    dirty: dict[str, Mark] = {}  # by key: to be fetched (key -> since when, origin)
    candidates: list[str] = []  # missing in the last scan (confirm = "second_scan")
    validated: str = ""  # the request that etag and last_modified belong to


class Applied(msgspec.Struct):
    """Counts of the decisions for a slice of copies."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    same: int = 0
    older: int = 0
    to_fetch: int = 0

    @property
    def changes(self) -> int:
        return self.created + self.updated + self.deleted

    def add(self, other: Applied) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class RecordWriter:
    """One resource's records. Calls of `apply` run one at a time."""

    def __init__(
        self, store: Store, router: Router, clock: Clock, source: str, name: str, resource: Resource, fence: int
    ) -> None:
        self.source = source
        self.name = name
        self.resource = resource
        self.state = ResourceState(source, name)
        self.statistics = Statistics()
        self.engine_state = EngineState()
        self._store = store
        self._router = router
        self._clock = clock
        self._fence = fence
        self._can_fetch = bool(resource.item_path)
        self.webhooks = 0  # slices of webhooks that were merged: a list requested before one may be older than it
        self._lock = asyncio.Lock()
        self._stale = False  # a commit failed: memory may differ from the store, so read it again
        self._writing: asyncio.Future[Any] | None = None

    async def load(self) -> None:
        """Read the state back."""
        self.state = await self._store.records.state(self.source, self.name)
        self.statistics = msgspec.json.decode(self.state.statistics, type=Statistics)
        self.engine_state = msgspec.json.decode(self.state.engine_state, type=EngineState)
        self.statistics.since_us = self.statistics.since_us or self._clock.now_us()
        self._stale = False

    async def apply(
        self,
        copies: Sequence[Copy],
        *,
        silent: bool = False,
        fetched: Sequence[tuple[str, Mark]] = (),
        **moved: Any,
    ) -> Applied:
        """Merge at most MAX_ROWS copies and commit them with the columns of the state in `moved`.

        `silent`: make records and no events (the first snapshot). `fetched`: entries of `engine_state.dirty` that need
        no fetch any more, unless they became dirty again since. Raises the store's errors; then the outcome is unknown,
        and the next call reads the state again.
        """
        async with self._lock:
            if self._stale:
                await self.close()
                await self.load()
            self._stale = True
            applied, records, changes = await self._merge(copies, silent)
            for key, mark in fetched:
                if (
                    self.engine_state.dirty.get(key) == mark
                ):  # by no order of instants: those of other nodes have another clock
                    del self.engine_state.dirty[key]
            await self._commit(records, changes, moved)
            return applied

    async def save(self, **moved: Any) -> None:
        """Commit the state alone."""
        await self.apply((), **moved)

    def note_offset(self, offset: int) -> None:
        """The log has nothing for this resource up to `offset`. Written with the next commit."""
        if offset > self.state.committed_offset:
            self.state = msgspec.structs.replace(self.state, committed_offset=offset)

    async def close(self) -> None:
        """Wait for a commit that is under way, so that the next reader sees what it wrote."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
            if not self._writing.cancelled():
                self._writing.exception()  # mark the error as retrieved: the task that waited may be gone

    # -- merging -----------------------------------------------------------------------------------------

    async def _merge(self, copies: Sequence[Copy], silent: bool) -> tuple[Applied, list[RecordState], list[NewEvent]]:
        known = await self._store.records.known(self.source, self.name, list({copy.key for copy in copies}))
        applied = Applied()
        moved: dict[str, RecordState] = {}
        events: list[NewEvent] = []
        yielder = Yielder()
        now_us = self._clock.now_us()
        for copy in copies:
            await yielder.pause()
            before = moved.get(copy.key) or known.get(copy.key)
            decision = merge(before, copy, can_fetch=self._can_fetch)
            if decision is MergeDecision.SAME:
                applied.same += 1
            elif decision is MergeDecision.OLDER:
                applied.older += 1
                self.statistics.older += 1
            elif decision is MergeDecision.FETCH:
                applied.to_fetch += 1
                self.engine_state.dirty[copy.key] = (copy.answered_at_us, copy.origin.value)
            else:
                after = stored(before, copy, now_us, self.source, self.name)
                moved[copy.key] = after
                change = compare(before, copy, self.resource.ignore) if decision is MergeDecision.STORE else None
                if change is None:
                    applied.same += 1
                elif not silent:
                    events.append(await self._event(change, before, after, now_us))
                    self.statistics.changed(change.kind, copy.origin, copy.version, now_us)
                    setattr(applied, change.kind, getattr(applied, change.kind) + 1)
        return applied, list(moved.values()), events

    async def _event(self, change: Change, before: RecordState | None, after: RecordState, now_us: int) -> NewEvent:
        content = {
            "resource": self.name,
            "before": msgspec.Raw(before.body) if before is not None and change.before is not None else None,
            "fields": change.fields,
            "version": change.version,
            "number": change.number,
        }
        at_us = None if change.kind == "deleted" else version_instant(change.version)
        event = NewEvent(
            source=self.source,
            type=f"{self.name}.{change.kind}",
            origin=after.origin,
            received_at_us=now_us,
            audience=0,
            body=after.body,
            content_type="application/json",
            key=after.key,
            occurred_at_us=at_us if at_us is not None and at_us <= now_us else None,
            # NUL first: no delivery id that comes over HTTP can be this one and so swallow a change.
            dedupe_id=f"\0{self.name}/{after.key}/{change.number}",
            body_hash=after.hash,
            change=msgspec.json.encode(content),
        )
        view = partial(event_view, event)
        audience = self._router.decide(self.source, event.type, view, self.name)
        if audience is None:
            audience = await self._router.decide_slow(self.source, event.type, view, self.name)
        event.audience = audience
        return event

    async def _commit(self, records: list[RecordState], changes: list[NewEvent], moved: dict[str, Any]) -> None:
        state = msgspec.structs.replace(
            self.state,
            **moved,
            statistics=msgspec.json.encode(self.statistics),
            engine_state=msgspec.json.encode(self.engine_state),
        )
        commit = RecordCommit(self.source, self.name, records, changes, state, self._fence)
        self._writing = asyncio.ensure_future(self._store.records.commit(commit))
        await asyncio.shield(self._writing)
        self._stale = False
        self.state = state
