"""Recognizes the changes of one resource that our own operations made, so that they do not go round in a circle.

Owns the reading of pending writes and the audience of such a change: everyone gets its event, except destinations that
call a source of its own causal chain. Knows no HTTP. Crash: pending writes are in the store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from tidegate.core.model import Change, NewEvent
from tidegate.pull.conflicts import CHANGES_KEPT_US
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.changes import differing
from tidegate.rules.sync.conflicts import changed
from tidegate.rules.sync.own_writes import ExpectedWrite, own_write
from tidegate.store import DELETES, Conflicts, Operations, OtherChange, PendingWrite


class OwnWrites:
    """The pending writes of one resource, read at the first change of a merge."""

    def __init__(self, store: Operations, conflicts: Conflicts, place: tuple[str, str], version: str) -> None:
        """`place`: source, resource."""
        source, resource = place
        self._store = store
        self._conflicts = conflicts
        self._source = source
        self._resource = resource
        self._version = version
        self._writes: list[ExpectedWrite] | None = None
        self._changed_by_others: set[str] = set()
        self._noted: list[OtherChange] = []

    @property
    def none_expected(self) -> bool:
        """Whether the pending writes were read, and there are none: then every change is somebody else's."""
        return self._writes is not None and not self._writes

    async def of(self, change: Change, key: str) -> tuple[Change, ExpectedWrite | None]:
        """The change, and our write that made it; None when somebody else made it.

        A record that we created, and that somebody changed before a poll saw it, was updated and not created: its
        first state is the answer to our write.
        """
        if self._writes is None:
            self._writes = [expected(one) for one in await self._store.writes(self._source, self._resource)]
        if not self._writes:
            return change, None
        found = own_write(change, key, self._writes, self._version)
        ours = [one for one in self._writes if one.key == key]
        if found is None and ours:
            self._writes = [one for one in self._writes if one.key != key]
            self._changed_by_others.add(key)
            answer = ours[-1].answer
            if change.kind == "created" and answer is not None:
                fields = differing(answer, change.after)
                change = Change("updated", answer, change.after, fields, change.version, change.number)
        return change, found

    def note(self, change: Change, event: NewEvent, targets: Sequence[str], own: Collection[str]) -> None:
        """Somebody else changed a record that operations write to: their next write may meet it. `own`: members that
        the change has from us."""
        values = changed(change.before, change.after, {self._version.rpartition(".")[2], *own})
        self._noted.append(
            OtherChange(
                self._source, self._resource, event.key or "", change.number, encode_json(values),
                msgspec.json.encode(list(targets)), b"{}", event.received_at_us,
                event.occurred_at_us or event.received_at_us,
            )
        )  # fmt: skip

    async def before_commit(self) -> None:
        """Store what was noted: before the commit, so that no write can come between."""
        noted, self._noted = self._noted, []
        for one in noted:
            await self._conflicts.put_change(one, one.at_us - CHANGES_KEPT_US)

    async def end(self) -> None:
        """After the commit: writes of records that somebody else changed explain nothing any more."""
        self._writes = None
        for key in self._changed_by_others:
            await self._store.delete_writes_of(self._source, self._resource, key)
        self._changed_by_others.clear()


def expected(one: PendingWrite) -> ExpectedWrite:
    answer: Any = parse_json(one.answer) if one.answer else None
    return ExpectedWrite(
        one.id, one.key, {} if one.written == DELETES else parse_json(one.written), answer, one.cause,
        tuple(msgspec.json.decode(one.chain, type=list[str])), one.written == DELETES,
    )  # fmt: skip
