"""The only writer of one resource's records: merges copies into them and makes the changes.

Owns the resource's state (cursor, validators, committed offset, counters, engine state) and the transaction that writes
records, change events and state together. Knows no HTTP and no schedule: callers hand in copies. Invariant: a change
event exists exactly when its record's number moved, and the state is never ahead of the records.

Crash: a commit is whole or absent. After a failed commit the writer reads its state back from the store before it
writes again, so it knows what was written.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.findings import Findings
from tidegate.core.model import Change, Healed, JsonObject, NewEvent, Origin, RecordState
from tidegate.pull.counts import LOOKED, ResourceCounts
from tidegate.pull.engine_state import MAX_HELD, MAX_OF_ANSWERS, EngineState, Held, Mark
from tidegate.pull.own_writes import OwnWrites
from tidegate.pull.resource_health import ResourceHealth
from tidegate.pull.run import Applied
from tidegate.pull.shadow import Sighter
from tidegate.pull.statistics import Statistics
from tidegate.pull.yielding import Yielder
from tidegate.rules.language.view import event_view
from tidegate.rules.measure.shadow import Sightings
from tidegate.rules.sync.answers import fitted
from tidegate.rules.sync.canonical import HASH_BYTES, hash_bytes, parse_json
from tidegate.rules.sync.changes import Copy, compare, only_in_one
from tidegate.rules.sync.healing import earliest_us, healed
from tidegate.rules.sync.merge import MergeDecision, MergeRule, merge, stored
from tidegate.rules.sync.own_writes import ExpectedWrite, leaves, not_written
from tidegate.rules.sync.spec import Resource
from tidegate.rules.sync.versions import order, version_instant
from tidegate.store import RecordCommit, ResourceState, Store

COMMIT_EVERY_SECONDS = 30.0  # a long run without changes still stores its place this often
COPIES_AT_ONCE = 8  # between two looks at the clock
MAX_BYTES_AT_ONCE = 4096  # of a copy that is merged without one
MAX_RECENT = 5000  # records whose earlier states are remembered, to know a replica that is behind
RECENT_STATES = 4
STALE_RUNS = 3  # a copy equal to an earlier state must be shown by so many runs to be believed

View = Callable[[], dict[str, Any]]

_encode = msgspec.json.Encoder().encode


class WrittenRecords(Protocol):
    """Which records operations write to."""

    def targets(self, source: str, resource: str, audience: int, /) -> list[str] | None:
        """The sources that a change is written to; None when no operation writes to records of the resource."""
        ...


class Router(Protocol):
    """The active routing decision. `decide` answers from memory, None when it must intern a new decision."""

    def decide(self, source: str, type_: str, view: View, resource: str, /) -> int | None: ...

    async def decide_slow(self, source: str, type_: str, view: View, resource: str, /) -> int: ...

    async def decide_own(self, source: str, type_: str, view: View, resource: str, chain: Sequence[str], /) -> int:
        """As `decide_slow`, without the destinations that call a source of `chain`."""
        ...

    @property
    def written(self) -> WrittenRecords: ...


class RecordWriter:
    """One resource's records. Calls of `apply` run one at a time."""

    def __init__(
        self, store: Store, router: Router, clock: Clock, resource: tuple[str, str, Resource], fence: int,
        findings: Findings,
    ) -> None:  # fmt: skip
        """`resource`: source, name, configuration."""
        self.source, self.name, self.resource = resource
        self.clock = clock
        self.state = ResourceState(self.source, self.name)
        self.statistics = Statistics()
        self.engine_state = EngineState()
        self.counts = ResourceCounts(self.source, self.name, has_webhooks=self.resource.webhook is not None)
        self.health = ResourceHealth(findings, clock, self.source, self.name)
        self.changed: set[str] = set()  # keys of the changes that the last `apply` made
        self.sighter: Sighter | None = None  # with `shadow`, before `load`
        self.webhooks = 0  # slices of webhooks that were merged: a list requested before one may be older than it
        self._store = store
        self._router = router
        self._fence = fence
        self._rule = self._merge_rule()
        self._own_writes = OwnWrites(store.operations, store.conflicts, (self.source, self.name), self.resource.version)
        self._pending: dict[str, Any] = {}  # columns of the state that moved since the last commit
        self._committed_at = clock.monotonic()
        self._recent: OrderedDict[str, bytes] = OrderedDict()  # hashes, one after the other
        self._lock = asyncio.Lock()
        self._stale = False  # a commit failed: memory may differ from the store, so read it again
        self._writing: asyncio.Future[Any] | None = None

    async def load(self) -> None:
        """Read the state back."""
        self.state = await self._store.records.state(self.source, self.name)
        self.statistics = msgspec.json.decode(self.state.statistics, type=Statistics)
        self.engine_state = msgspec.json.decode(self.state.engine_state, type=EngineState)
        now_us = self.clock.now_us()
        self.statistics.since_us = self.statistics.since_us or now_us
        self.statistics.history_since_us = self.statistics.history_since_us or now_us
        configured = hash_bytes(msgspec.json.encode(self.resource)).hex()
        if self.engine_state.configured not in ("", configured):
            self.statistics.notes = {}  # what was noticed of another configuration says nothing of this one
        self.engine_state.configured = configured
        self.health.use(self.statistics.notes)
        self._rule = self._merge_rule()
        self._pending = {}
        self.counts.forget()
        if self.sighter is not None:
            self.sighter.use()
        elif self.engine_state.sightings.tag:
            self.engine_state.sightings = Sightings()
        self._stale = False

    def _merge_rule(self) -> MergeRule:
        one = self.resource
        return MergeRule(bool(one.item_path), one.version_kind, tuple(one.ignore), self.engine_state.of_answers)

    async def apply(
        self,
        copies: Sequence[Copy],
        *,
        silent: bool = False,
        fetched: Sequence[tuple[str, Mark]] = (),
        run_us: int = 0,
        writes: Mapping[str, ExpectedWrite] | None = None,
        **moved: Any,
    ) -> Applied:
        """Merge at most MAX_ROWS copies and commit them with the columns of the state in `moved`.

        `silent`: make records and no events (the first snapshot). `fetched`: entries of `engine_state.dirty` that need
        no fetch any more, unless they became dirty again since. `run_us`: the start of the run that read the copies.
        `writes`: the copies are answers to these writes, by key.
        When nothing but the state moved in a run, it is committed by the next commit or `save`. Raises the store's
        errors; then the outcome is unknown, and the next call reads the state again.
        """
        async with self._lock:
            await self._refresh()
            self._stale = True
            self.changed = set()
            applied, records, changes = await self._merge(copies, silent, run_us, writes or {})
            if silent and records:
                self.statistics.history_since_us = self.clock.now_us()
            for key, mark in fetched:
                if self.engine_state.dirty.get(key) == mark:  # not by order: instants of other nodes have other clocks
                    del self.engine_state.dirty[key]
            self.move(**moved)
            due = self.clock.monotonic() - self._committed_at >= COMMIT_EVERY_SECONDS
            if run_us and not records and not applied.to_fetch and not due:
                self._stale = False
            else:
                await self._own_writes.before_commit()
                await self._commit(records, changes)
                await self._own_writes.end()
            return applied

    def move(self, **moved: Any) -> None:
        """Columns of the state that the next commit writes."""
        self._pending.update(moved)
        self.state = msgspec.structs.replace(self.state, **moved)

    async def save(self, **moved: Any) -> None:
        """Commit the state alone."""
        async with self._lock:
            if self._stale:
                moved = {**self._pending, **moved}
                await self._refresh()
            self._stale = True
            self.move(**moved)
            await self._commit([], [])

    @property
    def looked_at_us(self) -> int | None:
        """When the last poll or reconciling poll ended."""
        return max(self.state.polled_at_us or 0, self.state.reconciled_at_us or 0) or None

    async def _refresh(self) -> None:
        if self._stale:
            await self.close()
            await self.load()

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

    async def _merge(
        self, copies: Sequence[Copy], silent: bool, run_us: int, writes: Mapping[str, ExpectedWrite]
    ) -> tuple[Applied, list[RecordState], list[NewEvent]]:
        known = await self._store.records.known(self.source, self.name, list({copy.key for copy in copies}))
        applied = Applied()
        moved: dict[str, RecordState] = {}
        events: list[NewEvent] = []
        held, of_answers = self.engine_state.held, self.engine_state.of_answers
        yielder, now_us, same = Yielder(), 0, 0
        for at, copy in enumerate(copies):
            if not at % COPIES_AT_ONCE or len(copy.body) > MAX_BYTES_AT_ONCE:
                await yielder.pause()
                now_us = self.clock.now_us()
            before = (moved.get(copy.key) if moved else None) or known.get(copy.key)
            write = writes.get(copy.key) if writes else None
            if write is not None:
                shown = self._fitted(copy, before, write)
                if shown is None:
                    applied.left += 1
                    continue
                copy = shown
            if before is not None and _is_same(before, copy):
                same += 1
                if of_answers and write is None:
                    of_answers.discard(copy.key)
                if copy.fetched and copy.origin is Origin.WEBHOOK and before.origin in LOOKED:
                    self.counts.hint_was_late()
                    if self.sighter is not None:
                        self.sighter.changed(copy)
                if held:
                    held.pop(copy.key, None)
                continue
            decision = merge(before, copy, self._rule, confirmed=bool(held) and self._confirmed(copy, run_us))
            change: Change | None = None
            if decision in _STORED:
                after = self._stored(before, copy, decision, now_us)
                moved[copy.key] = after
                change = self._change(before, copy, decision, silent, applied)
                if change is not None and self.measures:
                    self._changed(change.kind, copy, now_us, applied)
                elif change is not None:
                    events.append(await self._event(change, before, after, copy, applied, write))
            else:
                self._count(decision, before, copy, run_us, applied)
            self._note_found(decision, before, copy, changed=change is not None)
        applied.same += same
        return applied, list(moved.values()), events

    @property
    def measures(self) -> bool:
        """Whether it makes no events: the part of a resource with `shadow` that only measures."""
        return self.sighter is not None and self.sighter.measures

    def _note_found(self, decision: MergeDecision, before: RecordState | None, copy: Copy, *, changed: bool) -> None:
        """Count a webhook, and note what was found for a comparison of both ways."""
        if copy.pushed:
            result = self.counts.webhook(decision, before.origin if before is not None else None, changed=changed)
            if self.sighter is not None:
                self.sighter.pushed(copy, result)
        elif self.sighter is not None:
            if changed:
                self.sighter.changed(copy)
            elif before is not None and before.origin is Origin.WRITE:
                self.sighter.wrote(copy)  # the list has the version that the answer did not have

    def _fitted(self, copy: Copy, before: RecordState | None, write: ExpectedWrite) -> Copy | None:
        """The answer to a write in the form of the record; None when the next poll has to bring the change."""
        of_answers = self.engine_state.of_answers
        if len(of_answers) >= MAX_OF_ANSWERS and copy.key not in of_answers and _is_other_form(before):
            return None
        return fitted(copy, before, self.resource, write)

    def _count(
        self, decision: MergeDecision, before: RecordState | None, copy: Copy, run_us: int, applied: Applied
    ) -> None:
        """A copy that is not stored."""
        if decision is MergeDecision.SAME:
            applied.same += 1
            self.engine_state.held.pop(copy.key, None)
        elif decision is MergeDecision.OLDER:
            applied.older += 1
            self.statistics.older += 1
        elif decision is MergeDecision.FETCH:
            applied.to_fetch += 1
            self._hold(before, copy, run_us)
            self.engine_state.dirty[copy.key] = (copy.answered_at_us, copy.origin.value)
        else:
            applied.held += 1
            self._hold(before, copy, run_us)

    def _hold(self, before: RecordState | None, copy: Copy, run_us: int) -> None:
        """Remember a copy that conflicts with the record, until the source confirms it."""
        if before is None or copy.pushed:
            return
        fingerprint = _fingerprint(copy)
        held = self.engine_state.held.get(copy.key)
        if held is None or held.fingerprint != fingerprint:
            if held is None and len(self.engine_state.held) >= MAX_HELD:
                self.health.note("copies_not_held", f"{copy.key!r}")
                return
            self.engine_state.held[copy.key] = Held(fingerprint, run_us)
        elif run_us and held.run_us != run_us:
            self.engine_state.held[copy.key] = Held(fingerprint, run_us, held.runs + 1)
        if before.deleted:
            self.health.note("seen_after_delete", f"{copy.key!r} is still listed after its delete")
        elif _is_lower(before, copy, self._rule):
            self.health.note("version_went_back", f"{copy.key!r} has {copy.version} after {before.version}")

    def _confirmed(self, copy: Copy, run_us: int) -> bool:
        """Whether this very copy was held before, and the source shows it again: by itself, or in a later run."""
        held = self.engine_state.held.get(copy.key)
        if held is None or copy.pushed or held.fingerprint != _fingerprint(copy):
            return False
        states = self._recent.get(copy.key, b"")
        seen_before = any(states[at : at + HASH_BYTES] == copy.hash for at in range(0, len(states), HASH_BYTES))
        if seen_before and held.runs < STALE_RUNS:
            return False  # the record had this state before: more likely a replica that is behind
        return copy.fetched or (run_us > 0 and held.run_us != run_us)

    def _stored(self, before: RecordState | None, copy: Copy, decision: MergeDecision, now_us: int) -> RecordState:
        self.engine_state.held.pop(copy.key, None)
        if copy.origin is not Origin.WRITE and not copy.pushed:
            self.engine_state.of_answers.discard(copy.key)
        elif copy.origin is Origin.WRITE and _is_other_form(before):
            self.engine_state.of_answers.add(copy.key)
        after = stored(before, copy, now_us, self.source, self.name, decision)
        if before is None:
            return after
        if before.hash != after.hash:
            states = self._recent.pop(copy.key, b"")
            self._recent[copy.key] = (states + before.hash)[-RECENT_STATES * HASH_BYTES :]
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        if decision is MergeDecision.REPLACE and not before.deleted and before.version != copy.version:
            self._report_opaque(before, copy)
        between = Origin.WRITE not in (before.origin, copy.origin)
        if decision is MergeDecision.RENEW and between and not copy.deleted and before.hash != copy.hash:
            names = ", ".join(only_in_one(parse_json(before.body), copy.value)[:5])
            self.health.note("shapes_differ", f"{copy.key!r}: {names or 'values are written differently'}")
        return after

    def _report_opaque(self, before: RecordState, copy: Copy) -> None:
        if _is_lower(before, copy, self._rule):
            self.health.note("version_not_ordered", f"{copy.key!r}: {copy.version} came after {before.version}")
        elif self.resource.version_kind == "auto":
            self.health.note("version_opaque", f"{before.version} and {copy.version} have no order")

    def _change(
        self, before: RecordState | None, copy: Copy, decision: MergeDecision, silent: bool, applied: Applied
    ) -> Change | None:
        """The change of a stored copy; None when there is nothing to see, or in a snapshot."""
        change = None if decision is MergeDecision.RENEW else compare(before, copy, self.resource.ignore)
        if change is None:
            applied.same += 1
        return None if silent else change

    async def _event(
        self,
        change: Change,
        before: RecordState | None,
        after: RecordState,
        copy: Copy,
        applied: Applied,
        own: ExpectedWrite | None,
    ) -> NewEvent:
        """The event of a change, counted. `own`: the write whose answer showed it."""
        if own is None and not self._own_writes.none_expected:
            change, own = await self._own_writes.of(change, after.key)
        kind, now_us = change.kind, after.changed_at_us
        at_us = self._changed(kind, copy, now_us, applied)
        if change.version != copy.version:
            at_us = version_instant(change.version)
        caused = self._caused(change, own)
        event = self._made(change, before, after, caused, self._healed(copy, kind, now_us))
        if kind != "deleted" and at_us is not None and at_us <= now_us:
            event.occurred_at_us = at_us
        view = partial(event_view, event)
        if own is not None and "own" not in caused:
            event.audience = await self._router.decide_own(self.source, event.type, view, self.name, own.chain)
            return event
        audience = self._router.decide(self.source, event.type, view, self.name)
        if audience is None:
            audience = await self._router.decide_slow(self.source, event.type, view, self.name)
        event.audience = audience
        targets = self._router.written.targets(self.source, self.name, audience) if kind == "updated" else None
        if targets is not None:
            self._own_writes.note(change, event, targets, caused.get("own", ()))
        return event

    def _healed(self, copy: Copy, kind: str, now_us: int) -> Healed | None:
        """What a webhook should have reported; None for a change that a webhook brought, or without webhooks."""
        if self.resource.webhook is None or copy.origin not in LOOKED:
            return None
        state = self.engine_state
        since_us = earliest_us(self.resource, kind, state.looked_from_us, state.scanned_from_us)
        # The version of a deleted record is of its last change, not of its delete.
        exact_us = None if kind == "deleted" else version_instant(copy.version)
        found = healed(self.resource, kind, exact_us, since_us, now_us)
        self.statistics.healed_one(found, f"{self.name}.{kind} {copy.key}", now_us)
        return found

    def _changed(self, kind: str, copy: Copy, now_us: int, applied: Applied) -> int | None:
        """Count a change; when it happened, where its version is a time."""
        self.changed.add(copy.key)
        at_us = version_instant(copy.version)
        self.statistics.changed(kind, copy.origin, at_us, now_us)
        # The version of a deleted record is of its last change, not of its delete.
        self.counts.change(copy.origin, None if kind == "deleted" else at_us, now_us, self.looked_at_us)
        setattr(applied, kind, getattr(applied, kind) + 1)
        return at_us

    def _caused(self, change: Change, own: ExpectedWrite | None) -> JsonObject:
        """What the event of our own change says. `own`: the members that we wrote, when others differ too."""
        if own is None:
            return {}
        others = not_written(own, change, self.resource.version)
        caused: JsonObject = {"caused_by": own.cause, "chain": own.chain}
        return {**caused, "own": sorted(own.written.keys() & leaves(change.after).keys())} if others else caused

    def _made(
        self, change: Change, before: RecordState | None, after: RecordState, caused: JsonObject, found: Healed | None
    ) -> NewEvent:
        content: dict[str, Any] = {} if found is None else {"healed": found}  # first, see HEALED
        content |= {
            "resource": self.name,
            "before": msgspec.Raw(before.body) if before is not None and change.before is not None else None,
            "fields": change.fields,
            "version": change.version,
            "number": change.number,
            **caused,
        }
        return NewEvent(
            source=self.source,
            type=f"{self.name}.{change.kind}",
            origin=after.origin,
            received_at_us=after.changed_at_us,
            audience=0,
            body=after.body,
            content_type="application/json",
            key=after.key,
            # NUL first: no delivery id that comes over HTTP can be this one and so swallow a change.
            dedupe_id=f"\0{self.name}/{after.key}/{change.number}",
            body_hash=after.hash,
            change=_encode(content),
        )

    async def _commit(self, records: list[RecordState], changes: list[NewEvent]) -> None:
        state = msgspec.structs.replace(
            self.state,
            statistics=msgspec.json.encode(self.statistics),
            engine_state=msgspec.json.encode(self.engine_state),
        )
        counted = self.counts.take(self.clock.now_us())
        commit = RecordCommit(self.source, self.name, records, changes, state, self._fence, counted)
        self._writing = asyncio.ensure_future(self._store.records.commit(commit))
        await asyncio.shield(self._writing)
        self._stale = False
        self._pending = {}
        self._committed_at = self.clock.monotonic()
        self.state = msgspec.structs.replace(self.state, statistics=state.statistics, engine_state=state.engine_state)


_STORED = (MergeDecision.STORE, MergeDecision.REPLACE, MergeDecision.RENEW)


def _is_same(before: RecordState, copy: Copy) -> bool:
    """What `merge` decides for most copies of a poll, in a fraction of the time: nothing new was read."""
    return (
        before.hash == copy.hash
        and before.version == copy.version
        and not (before.deleted or copy.deleted or copy.pushed)
    )


def _is_other_form(before: RecordState | None) -> bool:
    """Whether a record that an answer makes or changes has other fields than the list may have."""
    return before is None or before.deleted or before.origin is Origin.WEBHOOK


def _fingerprint(copy: Copy) -> str:
    return f"{copy.version}/{copy.hash.hex()[:16]}"


def _is_lower(before: RecordState, copy: Copy, rule: MergeRule) -> bool:
    if before.version is None or copy.version is None:
        return False
    return (order(copy.version, before.version, rule.version_kind) or 0) < 0
