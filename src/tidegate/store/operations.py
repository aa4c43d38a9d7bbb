"""What operations keep: ids of other systems beside our keys, and the answers to calls with an idempotency key.

Owns the protocol `Operations`, which `sqlite/operations.py` and `postgres/operations.py` implement, and its shapes.
Times are microseconds since 1970 UTC. Each call is one transaction: after a crash its change is stored completely or
not at all.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class StoredCall(msgspec.Struct, frozen=True):
    """A call that began. `answer` is b"" until it ended."""

    digest: bytes  # of what was asked
    answer: bytes
    at_us: int


SENT, ANSWERED, MERGED = 0, 1, 2  # states of a write: its answer is not known, is stored, is in the records

DELETES = b"null"  # `written` of a write that removes the record


class PendingWrite(msgspec.Struct, frozen=True):
    """A change that an operation makes in a record of another system. `key` and `answer` are empty until known."""

    id: str
    source: str
    resource: str
    key: str
    written: bytes  # JSON: what was sent, or `DELETES`
    answer: bytes  # JSON: the record as the answer has it
    cause: str  # id of the event that led to it
    chain: bytes  # JSON: names of the sources that led to it
    at_us: int
    state: int = SENT
    sent_at_us: int = 0
    answered_at_us: int = 0


class Operations(Protocol):
    """Remembered ids and repeated calls."""

    async def remembered(self, source: str, key: str) -> dict[str, str]:
        """The ids that a source has for our key, by name; {} for none."""
        ...

    async def remember(self, source: str, key: str, ids: dict[str, str], at_us: int) -> None:
        """Add ids to those of our key; one that is known is replaced."""
        ...

    async def begin_call(self, name: str, digest: bytes, at_us: int, forget_before_us: int) -> StoredCall | None:
        """Begin a call. None: it is new and now stored as begun. Else what was stored, which is not changed.

        Calls that began before `forget_before_us` are deleted first.
        """
        ...

    async def put_write(self, write: PendingWrite, forget_before_us: int) -> None:
        """Store a write, in place of one with the same id. Older ones than `forget_before_us` are deleted."""
        ...

    async def write(self, id: str) -> PendingWrite | None: ...

    async def writes(self, source: str, resource: str, state: int | None = None) -> list[PendingWrite]:
        """The writes of a resource, oldest first; with `state` only those in it."""
        ...

    async def delete_write(self, id: str) -> None:
        """Delete one: it was not carried out."""
        ...

    async def delete_writes_of(self, source: str, resource: str, key: str) -> None:
        """Delete the writes of a record: somebody else changed it since."""
        ...

    async def end_call(self, name: str, answer: bytes | None) -> None:
        """Store the answer of a call that began; None deletes it, so that it can be repeated."""
        ...
