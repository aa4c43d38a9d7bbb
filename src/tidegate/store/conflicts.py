"""Changes that others made in records which operations write to, and the conflicts between the two.

Owns the protocol `Conflicts`, which `sqlite/conflicts.py` and `postgres/conflicts.py` implement, and its shapes. Times
are microseconds since 1970 UTC. Each call is one transaction: after a crash its change is stored completely or not at
all.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from tidegate.rules.language.numbers import read_float


class OtherChange(msgspec.Struct, frozen=True):
    """A change of a record that none of our writes made."""

    source: str
    resource: str
    key: str
    number: int  # of the change, in the life of the record
    fields: bytes  # JSON: the members that changed, with their values
    targets: bytes  # JSON: names of the sources that routes send it to
    carried: bytes  # JSON: source -> when it was written there
    at_us: int  # received
    occurred_us: int


class Side(msgspec.Struct, frozen=True):
    """One of the two changes. `values`: the fields in conflict, as this side has them."""

    source: str
    resource: str
    key: str
    number: int
    occurred_us: int
    values: dict[str, Any]


_side = msgspec.json.Decoder(Side, float_hook=read_float).decode


class StoredConflict(msgspec.Struct, frozen=True):
    """A write that met a change by somebody else. `incoming` and `current` are a `Side` as JSON."""

    id: str
    source: str  # that is written to
    operation: str
    resource: str
    key: str
    cause: str  # id of the event whose delivery writes
    pair: str  # the same for both directions
    incoming: bytes
    current: bytes
    use: str  # "incoming", "current", or "" while it is held
    decided_by: str
    at_us: int

    def sides(self) -> tuple[Side, Side]:
        """(incoming, current)"""
        return _side(self.incoming), _side(self.current)


class Conflicts(Protocol):
    """Other changes and conflicts."""

    async def put_change(self, change: OtherChange, forget_before_us: int) -> None:
        """Store a change; one with the same number stays. Older ones than `forget_before_us` are deleted."""
        ...

    async def changes(self, source: str, resource: str, key: str) -> list[OtherChange]:
        """The changes of a record, oldest first."""
        ...

    async def carried(self, change: tuple[str, str, str, int], target: str, at_us: int) -> None:
        """Note that a change (source, resource, key, number) and those before it were written to `target`."""
        ...

    async def put(self, conflict: StoredConflict, forget_before_us: int) -> None:
        """Store a conflict, in place of one with the same id. Decided ones before `forget_before_us` are deleted."""
        ...

    async def get(self, id: str) -> StoredConflict | None: ...

    async def of_pair(self, pair: str) -> list[StoredConflict]: ...

    async def listed(self, held: bool, limit: int) -> list[StoredConflict]:
        """The newest first; `held`: only those that wait for a person."""
        ...
