"""The content of one append statement, and what its result means for each waiting call. Pure.

A batch holds rows; a call holds events. They differ where an id occurs twice in a batch: only the first occurrence is a
row, the others get its offset. Invariant: a call that may be rejected as a whole (strict) shares no id with another
call of its batch, so no result depends on a row that is not written.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.core.errors import Conflict
from tidegate.core.model import Appended, Event, NewEvent
from tidegate.store.postgres.text import escape, escape_some
from tidegate.store.rows import ORIGIN_NUMBER, dedupe_key, event_from, id_conflict

ROWS_LIMIT = 2000
BYTES_LIMIT = 8 << 20  # of bodies in one statement; a single call may be larger
INDEXABLE_BYTES = 512
MOST_HOPS = 32767  # the largest value of the column; inputs reject far fewer hops


class Call(msgspec.Struct, gc=False):
    """One waiting call of append."""

    future: asyncio.Future[Any]
    events: Sequence[NewEvent]
    strict: bool


class Batch(msgspec.Struct):
    """`places[i]`: for each event of call i, (its row, its body hash)."""

    calls: list[Call]
    rows: list[NewEvent]
    row_calls: list[int]
    keys: list[bytes | None]
    places: list[list[tuple[int, bytes]]]

    def columns(self, node: str, notice: str | None = None) -> tuple[Any, ...]:
        """The parameters of the statement `append`, in its order. `notice` is sent to other nodes with the commit.
        `node`: whose rollups count the events."""
        rows = self.rows
        return (
            self.row_calls,
            [e.audience for e in rows],
            [escape(e.type) for e in rows],
            [escape_some(e.key) for e in rows],
            [ORIGIN_NUMBER[e.origin] for e in rows],
            [e.received_at_us for e in rows],
            [e.occurred_at_us for e in rows],
            [min(e.hops, MOST_HOPS) for e in rows],
            [escape(e.data_path) for e in rows],
            [escape(e.content_type) for e in rows],
            [e.headers for e in rows],
            [e.change for e in rows],
            [e.body for e in rows],
            self.keys,
            [e.body_hash for e in rows],
            [number for number, call in enumerate(self.calls) if call.strict],
            notice,
            node,
        )


class BatchResult(msgspec.Struct):
    """New events in order, an answer or an error per call, and offsets whose bodies differ."""

    events: list[Event]
    answers: list[list[Appended] | Conflict]
    differing: list[int]
    notified: bool  # a notification was sent to other nodes


def indexable(key: bytes) -> bytes:
    """The key to store: a long key is replaced by its hash, because an index entry has a limit."""
    if len(key) <= INDEXABLE_BYTES:
        return key
    return b"\xff" + hashlib.blake2b(key, digest_size=32).digest()


def make_batch(calls: Sequence[Call]) -> tuple[Batch, list[Call]]:
    """As many calls as fit in one statement, in order, and the calls left for the next. The first one always fits."""
    batch = Batch([], [], [], [], [])
    first_rows: dict[bytes, int] = {}
    strict_keys: set[bytes] = set()
    left: list[Call] = []
    size = 0
    for place, call in enumerate(calls):
        if batch.calls and (len(batch.rows) + len(call.events) > ROWS_LIMIT or size > BYTES_LIMIT):
            left.extend(calls[place:])
            break
        keys = [None if e.dedupe_id is None else indexable(dedupe_key(e.source, e.dedupe_id)) for e in call.events]
        shared = {key for key in keys if key is not None and key in first_rows}
        if shared and (call.strict or not shared.isdisjoint(strict_keys)):
            left.append(call)
            continue
        _add(batch, call, keys, first_rows)
        if call.strict:
            strict_keys.update(key for key in keys if key is not None)
        size += sum(len(e.body) for e in call.events)
    return batch, left


def _add(batch: Batch, call: Call, keys: list[bytes | None], first_rows: dict[bytes, int]) -> None:
    number = len(batch.calls)
    places: list[tuple[int, bytes]] = []
    for event, key in zip(call.events, keys, strict=True):
        row = len(batch.rows) if key is None else first_rows.setdefault(key, len(batch.rows))
        if row == len(batch.rows):
            batch.rows.append(event)
            batch.row_calls.append(number)
            batch.keys.append(key)
        places.append((row, event.body_hash))
    batch.calls.append(call)
    batch.places.append(places)


def conflict_within(events: Sequence[NewEvent]) -> Conflict | None:
    """The error of a strict call that has one id with two bodies."""
    seen: dict[tuple[str, str], bytes] = {}
    for place, event in enumerate(events):
        if event.dedupe_id is not None:
            first = seen.setdefault((event.source, event.dedupe_id), event.body_hash)
            if first != event.body_hash:
                return id_conflict(place, event)
    return None


def read_result(batch: Batch, row: Any) -> BatchResult:
    """From the one row that the statement `append` returns."""
    known = dict(
        zip(row["known"] or (), zip(row["known_offsets"] or (), row["known_hashes"] or (), strict=True), strict=True)
    )
    refused = frozenset(row["refused"] or ())
    events: list[Event] = []
    found: list[tuple[int, bytes, bool]] = []  # a row's offset, the stored body's hash, whether it was stored before
    offset = row["first"] or 0
    for n, (event, call) in enumerate(zip(batch.rows, batch.row_calls, strict=True), 1):
        if n in known:
            found.append((*known[n], True))
        elif call in refused:
            found.append((0, b"", False))
        else:
            events.append(event_from(event, offset))
            found.append((offset, event.body_hash, False))
            offset += 1
    answers: list[list[Appended] | Conflict] = []
    differing: set[int] = set()
    first_use: set[int] = set()
    for number, places in enumerate(batch.places):
        if number in refused:
            answers.append(_conflict(batch.calls[number], places, found))
            continue
        done = []
        for place, body_hash in places:
            at, stored_hash, before = found[place]
            again = before or place in first_use
            first_use.add(place)
            differs = again and body_hash != stored_hash
            if differs:
                differing.add(at)
            done.append(Appended(at, again, differs))
        answers.append(done)
    return BatchResult(events, answers, sorted(differing), row["notified"] is not None)


def _conflict(call: Call, places: list[tuple[int, bytes]], found: list[tuple[int, bytes, bool]]) -> Conflict:
    for number, (place, body_hash) in enumerate(places):
        _, stored_hash, before = found[place]
        if before and body_hash != stored_hash:
            return id_conflict(number, call.events[number])
    raise AssertionError("the statement rejected a call that has no conflict")
