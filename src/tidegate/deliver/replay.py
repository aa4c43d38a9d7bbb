"""Replay jobs: deliveries made again from the log, by the routes of today.

A job is durable: it walks (position, upto] in slices and reopens what fits as PENDING rows; its position moves only
after the rows of its slice are settled. It waits while a sender has more than a window of such rows open, so a replay
of a million events costs distance, not memory. `upto` is fixed at creation. Crash: the slice under way is walked
again, and what it reopened already is PENDING and passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from tidegate.core import ids
from tidegate.core.clock import parse_instant
from tidegate.core.errors import BadRequest, NotFound, TidegateError
from tidegate.core.model import DeliveryState, Event
from tidegate.deliver.commands import NEVER_OWED, Reopen, Walk, takes
from tidegate.deliver.retry_until_done import AGAIN_SECONDS, retry_until_done
from tidegate.rules.language.patterns import compile_types
from tidegate.rules.language.view import event_view
from tidegate.runtime import ActiveDestination
from tidegate.store import Replay, partition_of_name

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine

_SLICE = 256
_CALL = 100  # deliveries in one call: a call between nodes has to fit into a few kilobytes
_ROOM_SECONDS = 0.05


class ReplayQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deliver again. Times bound by when the event was received."""

    source: str | None = None
    destination: str | None = None
    types: list[str] | None = None
    since_us: int | None = None
    until_us: int | None = None
    state: str | None = None
    event: str | None = None
    dry_run: bool = False


class Replays:
    """The jobs of the shares that this node holds."""

    def __init__(self, engine: DeliverEngine) -> None:
        self._engine = engine
        self._running: dict[str, asyncio.Task[None]] = {}
        self._begun: set[int] = set()

    async def take(self, partitions: frozenset[int]) -> None:
        """Go on with unfinished jobs of `partitions`."""
        for job in await self._engine.store.deliveries.replays():
            if job.finished_at_us is None and partition_of_name(job.id) in partitions & self._engine.partitions:
                self._run(job)

    async def take_job(self, name: str) -> None:
        """Another node made a job whose partition is held here."""
        for job in await self._engine.store.deliveries.replays():
            if job.id == name and job.finished_at_us is None and partition_of_name(name) in self._engine.partitions:
                self._run(job)

    async def leave(self, partitions: frozenset[int]) -> None:
        leaving = [task for name, task in self._running.items() if partition_of_name(name) in partitions]
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    def lost(self) -> None:
        for task in self._running.values():
            task.cancel()

    async def start_of(self, destination: ActiveDestination) -> None:
        """A destination that begins in the past: a replay of what it never had, once, as soon as a route names it."""
        if destination.number in self._begun:
            return
        name = f"started:{destination.number}"
        since = None if destination.spec.start == "beginning" else parse_instant(destination.spec.start)
        self._begun.add(destination.number)
        try:
            if await self._engine.store.settings.value(name) is None:
                # In this order: a job that a kill makes twice finds nothing the second time.
                await self._begin(ReplayQuery(destination=destination.name, since_us=since, state=NEVER_OWED))
                await self._engine.store.settings.value(name, put=b"1")
        except TidegateError:
            self._begun.discard(destination.number)
            raise

    async def create(self, query: ReplayQuery) -> Replay:
        """Begin a job. NotFound and BadRequest for names and states that are not there; with dry_run it only counts."""
        engine = self._engine
        if query.destination is not None and query.destination not in engine.active.destinations:
            raise NotFound(f"there is no destination {query.destination!r}", hint="list them: tidegate config show")
        if query.source is not None and query.source not in engine.active.sources:
            raise NotFound(f"there is no source {query.source!r}", hint="list them: tidegate config show")
        if query.state is not None and query.state not in {s.value for s in DeliveryState}:
            raise BadRequest(f"{query.state!r} is no state", hint="use exhausted, delivered or canceled")
        if query.since_us is not None and query.until_us is not None and query.since_us >= query.until_us:
            raise BadRequest("since is not before until, so nothing could be chosen", hint="swap them")
        return await self._begin(query)

    async def _begin(self, query: ReplayQuery) -> Replay:
        engine = self._engine
        compile_types(query.types or ["*"])
        now = engine.clock.now_us()
        start, upto = 0, engine.log.published_offset
        if query.since_us is not None:
            first = await engine.log.offset_at(query.since_us)
            start = upto if first is None else first - 1
        if query.until_us is not None:
            beyond = await engine.log.offset_at(query.until_us)
            upto = upto if beyond is None else min(upto, beyond - 1)
        if query.event is not None:
            offset = ids.event_offset(engine.log.instance, query.event)
            if offset is None or not await engine.log.read([offset]):
                raise NotFound(
                    f"there is no event {query.event!r}",
                    hint="it may be past the retention; list what is kept: tidegate events",
                )
            start, upto = offset - 1, offset
        job = Replay(ids.new_id("rpl", now), now, msgspec.json.encode(query), min(start, upto), upto)
        if query.dry_run:
            while job.finished_at_us is None:
                job = await self._step(job, query, dry_run=True)
            return job
        await engine.store.deliveries.put_replay(job)
        share = partition_of_name(job.id)
        if share in engine.partitions:
            self._run(job)
        else:
            with contextlib.suppress(TidegateError):  # a hint only: who takes the partition finds the job
                await engine.ask(share, msgspec.json.encode(Walk(job.id, 0)))
        return job

    def _run(self, job: Replay) -> None:
        if job.id in self._running:
            return
        task = asyncio.get_running_loop().create_task(retry_until_done(self._walk, job), name=f"replay {job.id}")
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._running.pop(job.id, None))

    async def _walk(self, job: Replay) -> None:
        query = msgspec.json.decode(job.query, type=ReplayQuery)
        while job.finished_at_us is None:
            try:
                job = await self._step(job, query, dry_run=False)
                await self._engine.settler.flush()
                await self._engine.store.deliveries.put_replay(job)
            except TidegateError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)

    async def _step(self, job: Replay, query: ReplayQuery, *, dry_run: bool) -> Replay:
        """One slice; the job as it stands after it."""
        engine = self._engine
        rows = await engine.log.scan(job.committed_offset, job.upto, _SLICE)
        end = rows[-1][0] if len(rows) == _SLICE else job.upto
        fits = compile_types(query.types or ["*"])
        events = [
            event
            for event in await engine.log.read([offset for offset, _ in rows])
            if (query.source is None or event.source == query.source) and fits(event.type)
        ]
        wanted: dict[int, list[tuple[int, int]]] = {}
        for event in events:
            for number, revision in self._wanted(event, query):
                wanted.setdefault(number, []).append((event.offset, revision))
        pairs = [(offset, number) for number, items in wanted.items() for offset, _ in items]
        views = await engine.states(pairs) if pairs else {}
        matched = sum(takes(views.get(pair), query.state) for pair in pairs)
        reopened = 0
        if not dry_run:
            for number, items in wanted.items():
                fitting = [item for item in items if takes(views.get((item[0], number)), query.state)]
                reopened += await self._reopen(number, fitting, query.state, job.id)
        done = end >= job.upto
        return msgspec.structs.replace(
            job,
            committed_offset=end,
            matched=job.matched + matched,
            reopened=job.reopened + reopened,
            finished_at_us=engine.clock.now_us() if done else None,
        )

    def _wanted(self, event: Event, query: ReplayQuery) -> Iterable[tuple[int, int]]:
        """(destination, revision) by the routes of today; with a state, those of then that had it too."""
        live = self._engine.active
        resource = msgspec.json.decode(event.change).get("resource") if event.change else None
        today = dict(live.decision_today(event.source, event.type, lambda: event_view(event), resource).wanted)
        if query.state is not None:
            for number, revision in self._engine.log.audiences()[event.audience].wanted:
                today.setdefault(number, revision)
        if query.destination is not None:
            only = live.destinations.get(query.destination)
            return [(n, r) for n, r in today.items() if only is not None and n == only.number]
        return [(n, r) for n, r in today.items() if n in live.by_number]

    async def _reopen(self, number: int, items: list[tuple[int, int]], state: str | None, job: str) -> int:
        """All items, as the destination's sender finds room for them; returns how many became pending."""
        reopened = 0
        while items:
            answer = await self._engine.commands.reopen(Reopen(number, job, state, items[:_CALL]))
            reopened += answer.reopened
            items = items[answer.done :]
            if items and not answer.done:
                await asyncio.sleep(_ROOM_SECONDS)
        return reopened
