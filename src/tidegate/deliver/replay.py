"""Replay jobs: deliver events of the log again, by the routes of today.

Owns the running jobs of the partitions held here. A job is durable: it goes through (committed offset, upto] in slices
and reopens what fits as PENDING rows. May not know the engine. Invariants: its committed offset moves only after the
rows of its slice are settled; it waits while a sender has more than a window of such rows open, so a replay of a
million events needs time and not memory. Crash: the slice under way is done again, and what it had reopened is PENDING
by then and left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import msgspec

from tidegate.config.checks import names_of
from tidegate.core import ids
from tidegate.core.clock import parse_instant
from tidegate.core.errors import Conflict, NotFound, TidegateError
from tidegate.core.model import Event
from tidegate.deliver.background import RETRY_SECONDS, retry_until_done
from tidegate.deliver.calls import NEVER_OWED, Reopen, ReplayCanceled, ReplayCreated, takes
from tidegate.deliver.commands import Commands
from tidegate.deliver.ports import Ports
from tidegate.deliver.replay_query import ReplayQuery, check_query, span_of
from tidegate.deliver.senders import Senders
from tidegate.deliver.status import delivery_states
from tidegate.rules.language.patterns import compile_types
from tidegate.rules.language.view import event_view
from tidegate.runtime import ActiveDestination
from tidegate.store import Replay, partition_of_name

_SLICE = 256
_CALL_ITEMS = 100  # deliveries in one call: a call between nodes must fit into a few kilobytes
_ROOM_SECONDS = 0.05


class Replays:
    """Creates jobs anywhere, and runs those whose partition is held here."""

    def __init__(self, ports: Ports, senders: Senders, commands: Commands) -> None:
        self._ports = ports
        self._senders = senders
        self._commands = commands
        self._running: dict[str, asyncio.Task[None]] = {}
        self._started: set[int] = set()  # destinations whose replay from the past was created

    # -- partitions --------------------------------------------------------------------------------------

    async def take(self, partitions: frozenset[int]) -> None:
        """Continue the unfinished jobs of `partitions`."""
        held = partitions & self._ports.held.numbers
        await self._run_unfinished(lambda job: partition_of_name(job.id) in held)

    async def take_job(self, job_id: str) -> None:
        """Another node created a job whose partition is held here."""
        held = self._ports.held.numbers
        await self._run_unfinished(lambda job: job.id == job_id and partition_of_name(job_id) in held)

    async def leave(self, partitions: frozenset[int]) -> None:
        """Stop the jobs of `partitions`; the node that takes them continues."""
        leaving = [task for job_id, task in self._running.items() if partition_of_name(job_id) in partitions]
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    def lost(self) -> None:
        """The lease is gone: stop every job."""
        for task in self._running.values():
            task.cancel()

    # -- creating ----------------------------------------------------------------------------------------

    async def create(self, query: ReplayQuery) -> Replay:
        """Create a job; with `dry_run` only count. NotFound and BadRequest for names and states that do not exist."""
        check_query(self._ports, query)
        return await self._begin(query)

    def start_from_past(self) -> None:
        """Replay to each destination held here that does not start at the end of the log and that a route names."""
        active = self._ports.active
        named = {name for route in active.routes.values() if route.spec.enabled for name in names_of(route.spec.to)}
        for name in named:
            destination = active.destinations.get(name)
            if destination and destination.spec.start != "end" and self._ports.held.has_destination(destination.number):
                self._ports.background.spawn(self._start_of, destination)

    async def _start_of(self, destination: ActiveDestination) -> None:
        """A replay, once, of what a destination never had since its `start`."""
        if destination.number in self._started:
            return
        name = f"started:{destination.number}"
        since = None if destination.spec.start == "beginning" else parse_instant(destination.spec.start)
        self._started.add(destination.number)
        settings = self._ports.settings
        try:
            if await settings.value(name) is None:
                # In this order: a job that a crash makes twice finds nothing the second time.
                await self._begin(ReplayQuery(destination=destination.name, since_us=since, state=NEVER_OWED))
                await settings.value(name, put=b"1")
        except TidegateError:
            self._started.discard(destination.number)
            raise

    async def _begin(self, query: ReplayQuery) -> Replay:
        ports = self._ports
        now_us = ports.clock.now_us()
        after, upto = await span_of(ports, query)
        job = Replay(ids.new_id("rpl", now_us), now_us, msgspec.json.encode(query), after, upto)
        if query.dry_run:
            while job.finished_at_us is None:
                job = await self._step(job, query, dry_run=True)
            return job
        await ports.deliveries.put_replay(job)
        partition = partition_of_name(job.id)
        if partition in ports.held.numbers:
            self._run(job)
        else:
            with contextlib.suppress(TidegateError):  # only a hint: the node that takes the partition finds the job
                await ports.ask(partition, msgspec.json.encode(ReplayCreated(job.id)))
        return job

    async def cancel(self, job_id: str) -> Replay:
        """End a job: what it has not reopened yet stays as it is. NotFound; Conflict when it has ended."""
        job = await self._ports.deliveries.replay(job_id)
        if job is None:
            raise NotFound(f"there is no replay {job_id[:80]!r}", hint="list them: GET /api/v1/replays")
        if job.finished_at_us is not None:
            raise Conflict("the replay has ended, so there is nothing to cancel", code="replay_ended")
        partition = partition_of_name(job_id)
        if partition in self._ports.held.numbers:
            await self.cancel_here(job_id)
        else:
            await self._ports.ask(partition, msgspec.json.encode(ReplayCanceled(job_id)))
        return await self._ports.deliveries.replay(job_id) or job

    async def cancel_here(self, job_id: str) -> None:
        """End a job of a partition that is held here."""
        task = self._running.get(job_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        job = await self._ports.deliveries.replay(job_id)
        if job is not None and job.finished_at_us is None:
            ended = msgspec.structs.replace(job, finished_at_us=self._ports.clock.now_us(), cause="canceled")
            await self._ports.deliveries.put_replay(ended)

    # -- running -----------------------------------------------------------------------------------------

    async def _run_unfinished(self, fits: Callable[[Replay], bool]) -> None:
        for job in await self._ports.deliveries.replays():
            if job.finished_at_us is None and fits(job):
                self._run(job)

    def _run(self, job: Replay) -> None:
        if job.id in self._running:
            return
        task = asyncio.get_running_loop().create_task(retry_until_done(self._replay, job), name=f"replay {job.id}")
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._running.pop(job.id, None))

    async def _replay(self, job: Replay) -> None:
        query = msgspec.json.decode(job.query, type=ReplayQuery)
        while job.finished_at_us is None:
            try:
                job = await self._step(job, query, dry_run=False)
                await self._ports.settler.flush()
                await self._ports.deliveries.put_replay(job)
            except TidegateError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _step(self, job: Replay, query: ReplayQuery, *, dry_run: bool) -> Replay:
        """Go through one slice; returns the job after it."""
        rows = await self._ports.log.scan(job.committed_offset, job.upto, _SLICE)
        end = rows[-1][0] if len(rows) == _SLICE else job.upto
        wanted = await self._wanted_of([offset for offset, _ in rows], query)
        pairs = [(offset, number) for number, items in wanted.items() for offset, _ in items]
        views = await delivery_states(self._ports, self._senders, pairs, dict(rows)) if pairs else {}
        matched = sum(takes(views.get(pair), query.state) for pair in pairs)
        reopened = 0
        if not dry_run:
            for number, items in wanted.items():
                fitting = [item for item in items if takes(views.get((item[0], number)), query.state)]
                reopened += await self._reopen(number, fitting, query.state, job.id)
        return msgspec.structs.replace(
            job,
            committed_offset=end,
            matched=job.matched + matched,
            reopened=job.reopened + reopened,
            finished_at_us=self._ports.clock.now_us() if end >= job.upto else None,
        )

    async def _wanted_of(self, offsets: list[int], query: ReplayQuery) -> dict[int, list[tuple[int, int]]]:
        """By destination, the (offset, revision) of events that a query selects."""
        if query.source is not None or query.types is not None:  # read the bodies of those that fit only
            fits = compile_types(query.types or ["*"])
            heads = await self._ports.log.heads(offsets)
            offsets = [
                head.offset
                for head in heads
                if (query.source is None or head.source == query.source) and fits(head.type)
            ]
        wanted: dict[int, list[tuple[int, int]]] = {}
        for event in await self._ports.log.read(offsets):
            for number, revision in self._decide_today(event, query):
                wanted.setdefault(number, []).append((event.offset, revision))
        return wanted

    def _decide_today(self, event: Event, query: ReplayQuery) -> Iterable[tuple[int, int]]:
        """(destination, revision) by the routes of today; with a state, also those that were owed it then."""
        active = self._ports.active
        resource = msgspec.json.decode(event.change).get("resource") if event.change else None
        today = dict(active.decision_today(event.source, event.type, lambda: event_view(event), resource).wanted)
        if query.state is not None:
            for number, revision in self._ports.log.audiences()[event.audience].wanted:
                today.setdefault(number, revision)
        if query.destination is not None:
            only = active.destinations.get(query.destination)
            if query.direct and only is not None:
                return [(only.number, today.get(only.number, 0))]
            return [(n, r) for n, r in today.items() if only is not None and n == only.number]
        return [(n, r) for n, r in today.items() if n in active.by_number]

    async def _reopen(self, number: int, items: list[tuple[int, int]], state: str | None, job: str) -> int:
        """Reopen all items, as the destination's sender has room for them; returns how many became pending."""
        reopened = 0
        while items:
            reply = await self._commands.reopen(Reopen(number, job, state, items[:_CALL_ITEMS]))
            reopened += reply.reopened
            items = items[reply.done :]
            if items and not reply.done:
                await asyncio.sleep(_ROOM_SECONDS)
        return reopened
