"""What is known of a write to another system, from before it is sent until its answer is in the records.

Owns the steps of a pending write in the store. Knows no HTTP and no records. Invariants: a write is stored before it is
sent, and its answer before anything else follows from it; an attempt whose answer is stored is never sent again. Crash:
between sending and storing the answer nobody knows whether the write was carried out, so the attempt is made again, and
both writes are kept, because both can come back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.spec import Operation
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.language.view import dig
from tidegate.rules.outbound.operations import ApiCall, json_body
from tidegate.rules.sync.canonical import canonical, parse_json
from tidegate.rules.sync.items import record_key
from tidegate.rules.sync.own_writes import leaves
from tidegate.rules.sync.spec import Resource
from tidegate.store import ANSWERED, DELETES, SENT, Operations, PendingWrite

WRITES_KEPT_US = 24 * 3600 * 1_000_000  # how long our own change is expected to come back


class Writing(msgspec.Struct, frozen=True):
    """A write that is about to be made. `key`: of the record, "" when it is not known. `attempt`: of the delivery."""

    source: str
    operation: str
    resource: str
    key: str
    event: str  # its id
    chain: Sequence[str]
    attempt: int


class PendingWrites:
    """The pending writes of all operations."""

    def __init__(self, store: Operations, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(self, one: Writing, call: ApiCall) -> PendingWrite:
        """Store what the call will change. Its state is not SENT when this very attempt was answered before."""
        now_us, body = self._clock.now_us(), json_body(call.body or b"")
        digest = hashlib.sha256(f"{call.method} {call.path}\n".encode() + (call.body or b"")).hexdigest()[:16]
        id = f"{one.event}/{one.source}/{one.operation}/{digest}/{one.attempt}"
        if one.attempt:
            earlier = await self._store.write(id)
            if earlier is not None and earlier.state != SENT:
                return earlier
            id += "/again" if earlier is not None else ""
        written = DELETES if call.method == "DELETE" else encode_json(leaves(body))
        write = PendingWrite(
            id, one.source, one.resource, one.key, written, b"", one.event,
            msgspec.json.encode(list(one.chain)), now_us,
        )  # fmt: skip
        await self._store.put_write(write, now_us - WRITES_KEPT_US)
        return write

    async def answered(
        self, write: PendingWrite, operation: Operation, resource: Resource | None, body: bytes, times: tuple[int, int]
    ) -> bool:
        """Store the record as the answer has it, which is also what a poll will bring. False when it has none, as the
        answer to a deletion: what it shows is gone.

        `times`: when the call was sent and answered.
        """
        if write.written == DELETES:
            return False
        try:
            record = dig(parse_json(body), operation.record_path)
            answer = canonical(record)
        except ValueError:
            return False
        if not isinstance(record, dict):
            return False
        key = record_key(record, resource.primary_key) if resource is not None else None
        found = msgspec.structs.replace(
            write, key=key or write.key, answer=answer, state=ANSWERED,
            sent_at_us=times[0], answered_at_us=times[1],
        )  # fmt: skip
        await self._store.put_write(found, self._clock.now_us() - WRITES_KEPT_US)
        return True

    async def not_carried_out(self, write: PendingWrite) -> None:
        await self._store.delete_write(write.id)
