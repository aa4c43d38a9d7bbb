"""Conflicts: a write that meets a change by somebody else of the same fields, decided by the setting of the operation.

Owns the decision before a write and its record. Knows no HTTP and no lanes. Invariants: a conflict has one decision,
which both directions follow; while a person has to decide, nothing is written; a decision is stored before the write.
Crash: the delivery comes again and finds the stored decision.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.findings import Findings
from tidegate.core.spec import Operation
from tidegate.kinds.operation import ChangeCause
from tidegate.rules.language.numbers import encode_hook
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.conflicts import Meeting, Rival, incoming_wins, meeting_of
from tidegate.store import StoredConflict
from tidegate.store.conflicts import Conflicts, Side

KEPT_US = 30 * 24 * 3600 * 1_000_000  # decided conflicts, for people
CHANGES_KEPT_US = 24 * 3600 * 1_000_000  # changes by others, for writes that come later
LISTED = 500


class Write(msgspec.Struct, frozen=True):
    """A write that is about to be made: where, what of the record it changes, and why."""

    source: str
    operation: str
    settings: Operation
    key: str  # of the record
    changes: dict[str, Any]
    sent: dict[str, Any]  # all of its members
    event: str  # its id
    cause: ChangeCause


class Decision(msgspec.Struct, frozen=True):
    """`use`: "incoming", "current", or "" when a person has to decide. `conflict`: the fields that both changed.

    `values`: fields that the write has to leave as the other side has them.
    """

    use: str
    conflict: frozenset[str]
    values: dict[str, Any]
    said: str


class ConflictDecider:
    """The conflicts of this node."""

    def __init__(self, store: Conflicts, findings: Findings, clock: Clock) -> None:
        self._store = store
        self._findings = findings
        self._clock = clock

    async def start(self) -> None:
        """Report the conflicts that were held before this start."""
        for one in await self._store.listed(True, LISTED):
            self._report(one)

    async def decide(self, write: Write) -> Decision | None:
        """None when the write meets nothing. A new conflict is stored and reported."""
        kept = await self._store.changes(write.source, write.settings.resource, write.key) if write.key else []
        if not kept:
            return None
        rivals, cause = [_rival(one) for one in kept], write.cause
        found = meeting_of(write.changes, write.sent, rivals, (cause.source, cause.received_us))
        if found is None:
            return None
        if not found.conflict:
            return Decision("incoming", frozenset(), found.stale, "")
        conflict = _conflict(write, found, self._clock.now_us())
        stored = await self._store.get(conflict.id)
        if stored is None:
            stored = msgspec.structs.replace(conflict, **await self._choice(write, found, conflict))
            await self._store.put(stored, self._clock.now_us() - KEPT_US)
            self._report(stored)
        left = found.stale if stored.use == "incoming" else {**found.stale, **found.conflict}
        return Decision(stored.use, frozenset(found.conflict), left, _said(stored, found))

    async def _choice(self, write: Write, found: Meeting, conflict: StoredConflict) -> dict[str, str]:
        """By the decision about the other direction, if there is one; else by the setting."""
        for other in await self._store.of_pair(conflict.pair):
            if other.use:
                mirrored = _incoming_source(other) != write.cause.source
                return {"use": opposite(other.use) if mirrored else other.use, "decided_by": other.decided_by}
        policy, cause = write.settings.on_conflict, write.cause
        if policy == "hold":
            return {"use": "", "decided_by": ""}
        wins = incoming_wins(
            policy, write.settings.prefer or "", (cause.occurred_us, cause.source), (found.occurred_us, write.source)
        )
        return {"use": "incoming" if wins else "current", "decided_by": policy}

    def _report(self, one: StoredConflict) -> None:
        code = "conflict_decided" if one.use else "conflict_held"
        incoming, current = one.sides()
        names = ", ".join(sorted(current.values))
        text = f"{one.key!r}: {names} changed in {incoming.source} and in {current.source}"
        text += f"; the value of {(incoming if one.use == 'incoming' else current).source} is kept" if one.use else ""
        self._findings.report(code, f"resource:{one.source}/{one.resource}", text)

    async def carried(self, cause: ChangeCause, target: str) -> None:
        """A change reached another system, or it was decided that it does not."""
        await self._store.carried((cause.source, cause.resource, cause.key, cause.number), target, self._clock.now_us())

    # -- for people --------------------------------------------------------------------------------------

    async def resolve(self, one: StoredConflict, use: str, by: str) -> list[StoredConflict]:
        """Decide a conflict and the same one of the other direction. Returns those whose deliveries can go on now."""
        changed = [msgspec.structs.replace(one, use=use, decided_by=by)]
        for other in await self._store.of_pair(one.pair):
            if other.id != one.id and not other.use:
                chosen = opposite(use) if _incoming_source(other) != _incoming_source(one) else use
                changed.append(msgspec.structs.replace(other, use=chosen, decided_by=by))
        for each in changed:
            await self._store.put(each, self._clock.now_us() - KEPT_US)
        held = {(each.source, each.resource) for each in await self._store.listed(True, LISTED)}
        for each in changed:
            if (each.source, each.resource) not in held:
                self._findings.resolve("conflict_held", f"resource:{each.source}/{each.resource}")
        return changed


def _incoming_source(one: StoredConflict) -> str:
    return one.sides()[0].source


def opposite(use: str) -> str:
    return "current" if use == "incoming" else "incoming"


def _rival(one: Any) -> Rival:
    return Rival(
        one.number, parse_json(one.fields), tuple(msgspec.json.decode(one.targets, type=list[str])),
        msgspec.json.decode(one.carried, type=dict[str, int]), one.at_us, one.occurred_us,
    )  # fmt: skip


def _conflict(write: Write, found: Meeting, now_us: int) -> StoredConflict:
    cause = write.cause
    ours = {name: write.changes[name] for name in found.conflict}
    incoming = Side(cause.source, cause.resource, cause.key, cause.number, cause.occurred_us, ours)
    current = Side(write.source, write.settings.resource, write.key, found.number, found.occurred_us, found.conflict)
    places = sorted(f"{one.source}/{one.resource}/{one.key}/{one.number}" for one in (incoming, current))
    digest = hashlib.sha256(f"{write.event}/{write.source}/{write.operation}".encode()).hexdigest()
    return StoredConflict(
        f"con_{digest[:20]}", write.source, write.operation, write.settings.resource, write.key, write.event,
        "\n".join(places), _place(incoming), _place(current), "", "", now_us,
    )  # fmt: skip


_encode = msgspec.json.Encoder(order="sorted", enc_hook=encode_hook).encode


def _place(side: Side) -> bytes:
    return _encode(side)


def _said(one: StoredConflict, found: Meeting) -> str:
    names = ", ".join(sorted(found.conflict))
    if not one.use:
        return f"{one.source} changed {names} too; a person decides: tidegate conflicts resolve {one.id}"
    return f"{one.source} changed {names} too, and its value stays ({one.decided_by})"
