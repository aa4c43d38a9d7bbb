"""The event log on SQLite: appends in groups, reads by offset, stores routing decisions.

Implements `store.Log`. Owns offsets (from 1, without gaps while no append fails), dedupe and the tail ring; `counts.py`
counts what was accepted. Invariant: an offset is published only after its commit, in order. After a crash a group is
stored completely or not at all, and offsets continue from the highest one published (value 'head'), so no offset of a
trimmed log is used twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import apsw
import msgspec

from tidegate.core.errors import ChangedElsewhere
from tidegate.core.model import HEALED, Appended, Audience, Event, NewEvent, Origin
from tidegate.core.rollups import SOURCE, RollupRow, minute_of
from tidegate.rules.retention import Deletable, Owed, deletable, weigh
from tidegate.store import EventHead, EventPage, EventQuery, Listener, Receipt, Thinned, Weighed
from tidegate.store.rows import (
    ID_REUSED,
    ORIGIN_NUMBER,
    Audiences,
    audience_of,
    audience_row,
    dedupe_key,
    event_from,
    event_of,
    head_of,
    head_of_event,
    id_conflict,
)
from tidegate.store.sqlite.counts import AcceptedCounts
from tidegate.store.sqlite.engine import ROWS_OF_INSERT, Engine, insert_many, rows, sql
from tidegate.store.tail import Tail

log = logging.getLogger("tidegate.store")
DEDUPE_SLICE = 2000  # ids examined in one transaction: a few milliseconds


class Append(msgspec.Struct, gc=False):
    """One call of append in the writer's queue."""

    events: Sequence[NewEvent]
    strict: bool


class _Batch(msgspec.Struct):
    """The new events of a written batch, and the answers of the waiting calls."""

    events: list[Event]
    answers: list[tuple[asyncio.Future[Any], Any, bool]]
    ones: list[tuple[Receipt, Appended]] = []  # of `append_one`


class _Batches:
    """What the engine needs of the log: see `engine.Batches`."""

    def __init__(
        self, write: Callable[[apsw.Connection, list[Any]], _Batch], publish: Callable[[_Batch], None]
    ) -> None:
        self.write = write
        self.publish = publish

    @staticmethod
    def events(jobs: list[tuple[Any, Append | NewEvent]]) -> int:
        return len(jobs) + sum([len(item.events) - 1 for _, item in jobs if item.__class__ is Append])

    @staticmethod
    def describe(job: tuple[Any, Append | NewEvent]) -> tuple[str, int]:
        item = job[1]
        if isinstance(item, NewEvent):
            return item.source, 1
        return (item.events[0].source if item.events else ""), len(item.events)


class SqliteLog:
    """Implements `store.Log`."""

    def __init__(self, engine: Engine, instance: str) -> None:
        self.instance = instance
        self._engine = engine
        self._sql = sql("log")
        self._tail = Tail(is_owed=lambda event: self._audiences.wants(event.audience))
        self.settled = self._tail.settled
        self._listeners: list[Listener] = []
        self._audiences = Audiences()
        self._doubled: list[NewEvent] = []  # of the open transaction: their ids were stored before
        self._head = 0  # the highest offset used; only the writer thread changes it after the start
        self._published = 0
        self.counts = AcceptedCounts(engine)
        engine.set_batches(_Batches(self._write_batch, self._publish))

    def load(self, connection: apsw.Connection) -> None:
        """Before the writer starts: load the head and all routing decisions."""
        self._head = self._published = rows(connection, self._sql["head"])[0][0]
        self.counts.count_stored(connection, self._head)
        for row in rows(connection, self._sql["all_audiences"]):
            self._audiences.keep(audience_of(*row))

    # -- append ------------------------------------------------------------------------------------------

    def append(self, events: Sequence[NewEvent], strict: bool = False) -> asyncio.Future[list[Appended]]:
        """See `store.Log.append`."""
        future: asyncio.Future[list[Appended]] = self._engine.append(
            Append(events, strict), events[0].source if events else "", len(events)
        )
        return future

    def append_one(self, event: NewEvent, receipt: Receipt) -> None:
        """See `store.Log.append_one`."""
        self._engine.append(event, event.source, 1, receipt)

    @property
    def waiting(self) -> int:
        return self._engine.waiting

    def is_busy(self, limit: int, source: str) -> bool:
        """See `store.Log.is_busy`."""
        return self._engine.is_busy(limit, source)

    @property
    def stuck(self) -> bool:
        return self._engine.stuck

    @property
    def unavailable_reason(self) -> str | None:
        return "the disk does not keep up" if self._engine.stuck else None

    @property
    def published_offset(self) -> int:
        """The highest offset published to listeners."""
        return self._published

    def _write_batch(self, connection: apsw.Connection, jobs: list[tuple[Any, Append | NewEvent]]) -> _Batch:
        """On the writer thread, inside the group's transaction. A NewEvent alone is of `append_one`."""
        batch = _Batch([], [])
        self._doubled = []
        ones = [item for _, item in jobs if item.__class__ is NewEvent]
        if ones:
            receipts = [receipt for receipt, item in jobs if item.__class__ is NewEvent]
            batch.ones = list(zip(receipts, self._insert(connection, ones, batch.events), strict=True))
        if len(ones) < len(jobs):
            several = [(future, item) for future, item in jobs if isinstance(item, Append)]
            self._write_several(connection, several, batch)
        self._count_repeats()
        return batch

    def _write_several(self, connection: apsw.Connection, jobs: list[tuple[Any, Append]], batch: _Batch) -> None:
        plain = [(future, append) for future, append in jobs if not append.strict]
        if plain:
            events = [event for _, append in plain for event in append.events]
            done = iter(self._insert(connection, events, batch.events))
            for future, append in plain:
                batch.answers.append((future, [next(done) for _ in append.events], False))
        for future, append in jobs:
            if append.strict:
                self._write_strict(connection, future, append, batch)

    def _write_strict(
        self, connection: apsw.Connection, future: asyncio.Future[Any], append: Append, batch: _Batch
    ) -> None:
        head = self._head
        before, doubled = len(batch.events), len(self._doubled)
        connection.execute("SAVEPOINT strict")
        done = self._insert(connection, append.events, batch.events)
        bad = next((i for i, one in enumerate(done) if one.differs), None)
        if bad is not None:
            connection.execute("ROLLBACK TO strict")
            self._head = head
            del batch.events[before:], self._doubled[doubled:]
        connection.execute("RELEASE strict")
        if bad is None:
            batch.answers.append((future, done, False))
            return
        batch.answers.append((future, id_conflict(bad, append.events[bad]), True))

    def append_in(self, connection: apsw.Connection, events: Sequence[NewEvent]) -> list[Appended]:
        """Append inside a `write` function of another part of the store; publishes after the commit.

        Raises ChangedElsewhere when an id is stored with a different body: the function must not catch it.
        """
        batch = _Batch([], [])
        head = self._head
        done = self._insert(connection, events, batch.events)
        if any(one.differs for one in done):
            self._head = head
            self._doubled = []
            raise ChangedElsewhere(ID_REUSED)
        self._count_repeats()
        if batch.events:
            self._engine.publish_after_commit(batch)
        return done

    def _insert(self, connection: apsw.Connection, events: Sequence[NewEvent], new: list[Event]) -> list[Appended]:
        deduped = [
            (dedupe_key(event.source, event.dedupe_id), offset, event.body_hash, event.received_at_us)
            for offset, event in enumerate(events, self._head + 1)
            if event.dedupe_id is not None
        ]
        fresh: Sequence[NewEvent] = events
        answers: list[Appended] | None = None
        if len(deduped) > ROWS_OF_INSERT:
            connection.execute("SAVEPOINT dedupe")
        try:
            insert_many(connection, self._sql["insert_dedupe"], deduped)
        except apsw.ConstraintError:  # at least one is stored: check each. A single statement has undone itself
            if len(deduped) > ROWS_OF_INSERT:
                connection.execute("ROLLBACK TO dedupe")
            answers, fresh = self._dedupe_each(connection, events)
        if len(deduped) > ROWS_OF_INSERT:
            connection.execute("RELEASE dedupe")
        first = self._head + 1
        number = ORIGIN_NUMBER
        insert_many(
            connection,
            self._sql["insert_event"],
            [
                (
                    offset, e.audience, e.type, e.key, number[e.origin], e.received_at_us, e.occurred_at_us, e.hops,
                    e.data_path, e.content_type, e.headers, e.change, e.body,
                )
                for offset, e in enumerate(fresh, first)
            ],
        )  # fmt: skip
        new.extend([event_from(event, offset) for offset, event in enumerate(fresh, first)])
        self._head += len(fresh)
        if answers is None:
            answers = [Appended(offset) for offset in range(first, self._head + 1)]
        return answers

    def _dedupe_each(
        self, connection: apsw.Connection, events: Sequence[NewEvent]
    ) -> tuple[list[Appended], list[NewEvent]]:
        answers: list[Appended] = []
        fresh: list[NewEvent] = []
        for event in events:
            offset = self._head + 1 + len(fresh)
            if event.dedupe_id is not None:
                key = dedupe_key(event.source, event.dedupe_id)
                known = rows(connection, self._sql["find_dedupe"], (key,))
                if known:
                    first = known[0]
                    differs = first[1] != event.body_hash
                    if differs:
                        connection.execute(self._sql["mark_differs"], (first[0],))
                    self._doubled.append(event)
                    answers.append(Appended(first[0], duplicate=True, differs=differs))
                    continue
                connection.execute(self._sql["insert_dedupe"], (key, offset, event.body_hash, event.received_at_us))
            answers.append(Appended(offset))
            fresh.append(event)
        return answers, fresh

    def _count_repeats(self) -> None:
        """After an append, in its transaction."""
        if self._doubled:
            doubled, self._doubled = self._doubled, []
            self._engine.last_rows += [
                RollupRow(minute_of(one.received_at_us), SOURCE, one.source, "doubled", 1) for one in doubled
            ]

    def _publish(self, batch: _Batch) -> None:
        """On the loop, after the commit: first to the listeners, then answer the calls."""
        if batch.events:
            self._tail.add(batch.events)
            self._published = batch.events[-1].offset
            self.counts.add(batch.events)
            for listener in self._listeners:
                try:
                    listener(batch.events)
                except Exception:  # an error of a listener must not fail the calls: the events are on disk
                    log.exception("a listener of the log failed")
        self._engine.answer_all(batch.ones)
        answer = self._engine.answer
        for future, value, failed in batch.answers:
            answer(future, value, failed)

    # -- audiences ---------------------------------------------------------------------------------------

    def audiences(self) -> Mapping[int, Audience]:
        return self._audiences.by_number

    async def audience(
        self,
        source: str,
        considered: tuple[int, ...],
        wanted: tuple[tuple[int, int], ...],
        filtered: tuple[int, ...],
    ) -> Audience:
        found = self._audiences.find(source, considered, wanted, filtered)
        if found is not None:
            return found
        row = audience_row(source, considered, wanted, filtered)
        made = await self._engine.write(lambda c: rows(c, self._sql["insert_audience"], row), request=True)
        return self._audiences.keep(Audience(made[0][0], source, considered, wanted, filtered))

    # -- reading -----------------------------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> int:
        self._listeners.append(listener)
        return self._published

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    def cached(self, offset: int) -> Event | None:
        """The event if it is in memory; for hot paths that must not wait."""
        return self._tail.get(offset)

    async def read(self, offsets: Sequence[int]) -> list[Event]:
        found, missing = self._tail.among(offsets)
        if missing:
            wanted = msgspec.json.encode(missing).decode()
            for row in await self._engine.read(lambda c: rows(c, self._sql["read_events"], (wanted,))):
                found[row[0]] = self._event(row)
        return [found[offset] for offset in sorted(found)]

    async def heads(self, offsets: Sequence[int]) -> list[EventHead]:
        events, missing = self._tail.among(offsets)
        found = {offset: head_of_event(event) for offset, event in events.items()}
        if missing:
            wanted = msgspec.json.encode(missing).decode()
            for row in await self._engine.read(lambda c: rows(c, self._sql["heads"], (wanted,))):
                found[row[0]] = head_of(row, self._audiences.by_number[row[4]].source)
        return [found[offset] for offset in sorted(found)]

    def _event(self, row: tuple[Any, ...]) -> Event:
        return event_of(row, self._audiences.by_number[row[4]].source)

    async def scan(
        self, after: int, upto: int, limit: int, audiences: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        if audiences is None:
            return await self._engine.read(lambda c: rows(c, self._sql["scan_all"], (after, upto, limit)))

        def merge(connection: apsw.Connection) -> list[tuple[int, int]]:
            # One bounded query per audience by its index, then merged: a lane far behind reads only its own events.
            found: list[tuple[int, int]] = []
            for audience in audiences:
                mine = rows(connection, self._sql["scan_audience"], (audience, after, upto, limit))
                found.extend((row[0], audience) for row in mine)
            found.sort()
            return found[:limit]

        return await self._engine.read(merge)

    async def page(self, query: EventQuery) -> EventPage:
        audiences = None if query.source is None else self._audiences.of_source(query.source)
        return await self._engine.read(lambda c: self._page(c, query, audiences))

    def _page(self, connection: apsw.Connection, query: EventQuery, audiences: set[int] | None) -> EventPage:
        keyed = "_key" if query.key is not None else ""
        start = (query.after or 0) if query.ascending else (query.before or (1 << 62))
        cursor: Iterable[Any] = connection.execute(
            self._sql[f"page{keyed}_{'up' if query.ascending else 'down'}"],
            (query.key, start) if keyed else (start,),
        )
        text = query.text.encode() if query.text else None
        origin = ORIGIN_NUMBER[Origin(query.origin)] if query.origin else None
        found: list[Event] = []
        known = self._audiences.by_number
        edge, looked = start, 0
        for row in cursor:
            if len(found) == query.limit or looked == query.scan_limit:
                return EventPage(tuple(found), edge, True)
            edge = row[0]
            looked += 1
            if (
                (audiences is not None and row[4] not in audiences)
                or (query.type is not None and row[1] != query.type)
                or (origin is not None and row[2] != origin)
                or (query.since_us is not None and row[3] < query.since_us)
                or (query.until_us is not None and row[3] >= query.until_us)
                or (text is not None and text not in row[5])
                or (query.healed is not None and row[11].startswith(HEALED) is not query.healed)
                or row[4] not in known
            ):
                continue
            found.append(self._event(row))
        return EventPage(tuple(found), edge if query.ascending else 0, False)

    async def oldest(self) -> tuple[int, int] | None:
        """(offset, received_at_us) of the oldest event that is kept."""
        found = await self._engine.read(lambda c: rows(c, self._sql["oldest"]))
        return found[0] if found else None

    async def head(self) -> int:
        found = await self._engine.read(lambda c: rows(c, self._sql["head"]))
        return int(found[0][0])

    async def trimmed(self) -> int:
        found = await self._engine.read(lambda c: rows(c, self._sql["trimmed"]))
        return int(found[0][0])

    async def offset_at(self, at_us: int, after: int = 0) -> int | None:
        """The first offset above `after` received at or after an instant; None if there is none."""
        found = await self._engine.read(lambda c: rows(c, self._sql["offset_at"], (after + 1, at_us)))
        return found[0][0] if found else None

    # -- retention ---------------------------------------------------------------------------------------

    async def trim(self, upto: int, limit: int) -> int:
        await self.counts.flush()  # before they are gone

        def work(connection: apsw.Connection) -> tuple[int, int]:
            bound = rows(connection, self._sql["trim_bound"], (upto, limit))[0][0]
            if bound is None:
                return 0, 0
            connection.execute(self._sql["keep_head"], (self._head,))
            connection.execute(self._sql["trim_attempts"], (bound,))
            connection.execute(self._sql["trim_deferred"], (bound,))
            connection.execute(self._sql["trim_ranges"], (bound,))
            connection.execute(self._sql["trim_events"], (bound,))
            trimmed = connection.changes()
            connection.execute("PRAGMA incremental_vacuum(200)").fetchall()
            return trimmed, bound

        trimmed, bound = await self._engine.write(work)
        self._tail.forget(bound)
        return trimmed

    async def thin(self, after: int, limit: int, room: int, sources: Collection[str] | None = None) -> Thinned:
        audiences = dict(self._audiences.by_number)  # the writer's thread reads it
        await self.counts.flush()

        def work(connection: apsw.Connection) -> Deletable | None:
            found = rows(connection, self._sql["thin_slice"], (after, limit))
            if not found:
                return None
            lanes = dict(rows(connection, self._sql["thin_lanes"]))
            pending = rows(connection, self._sql["thin_pending"], (after, found[-1][0]))
            gone = deletable(found, Owed(audiences, lanes, frozenset(row[0] for row in pending)), room, sources)
            if gone.offsets:
                offsets = msgspec.json.encode(gone.offsets).decode()
                connection.execute(self._sql["keep_head"], (self._head,))
                for query in ("thin_attempts", "thin_deferred", "thin_events"):
                    connection.execute(self._sql[query], (offsets,))
                connection.execute(self._sql["put_thinned"], (str(gone.offsets[-1]),))
                connection.execute("PRAGMA incremental_vacuum(500)").fetchall()
            return gone

        done = await self._engine.write(work)
        if done is None:
            return Thinned(None, 0, 0)
        self._tail.remove(done.offsets)
        return Thinned(done.upto, len(done.offsets), done.body_bytes)

    async def weigh(self, after: int, limit: int) -> Weighed:
        def work(connection: apsw.Connection) -> tuple[Any, ...]:
            found = rows(connection, self._sql["weigh_slice"], (after, limit))
            span = (after, found[-1][0] if found else after)
            return (
                found,
                dict(rows(connection, self._sql["thin_lanes"])),
                rows(connection, self._sql["weigh_pending"], span),
            )

        found, lanes, pending = await self._engine.read(work)
        if not found:
            return Weighed(None)
        return Weighed(found[-1][0], weigh(found, Owed(self._audiences.by_number, lanes, frozenset()), pending))

    async def forget_dedupe(self, before_us: int) -> None:
        """Delete delivery ids seen before an instant, in slices by key."""
        after: bytes | None = b""

        def work(connection: apsw.Connection) -> bytes | None:
            upto: bytes | None = rows(connection, self._sql["dedupe_slice"], (after, DEDUPE_SLICE))[0][0]
            if upto is not None:
                connection.execute(self._sql["forget_dedupe"], (after, upto, before_us))
            return upto

        while after is not None:
            after = await self._engine.write(work)
