"""Runs one resource: its schedule, its reader of the log, its fetch-backs, and the record writer that all of them use.

Owns the tasks and nothing durable: what is due follows from the state in the store. Knows the source only through
`SourceClient`. Invariant: one run at a time, one writer. Crash: the next start reads the state, goes on in the log from
the committed offset, and polls when it is due.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from tidegate.core.clock import Clock, rfc3339
from tidegate.core.errors import Conflict, TidegateError
from tidegate.core.figures import ResourceFigures
from tidegate.core.findings import Findings
from tidegate.core.ids import new_id
from tidegate.core.model import Event, Origin
from tidegate.core.units import seconds
from tidegate.pull.answers import AnswerMerger
from tidegate.pull.engine_state import EngineState
from tidegate.pull.fetch import AT_ONCE, Fetcher
from tidegate.pull.poller import Poller
from tidegate.pull.pull_observer import PullObserver
from tidegate.pull.reconciling import Reconciling, rule_of, show
from tidegate.pull.record_writer import RecordWriter, Router
from tidegate.pull.run import SCHEDULED, PollOptions, PollReport, Run, findings_of
from tidegate.pull.schedule import Schedule, intervals_of
from tidegate.pull.shadow import STEP_SECONDS, Part, ShadowEnded
from tidegate.pull.sources import PullResponse, SourceClient
from tidegate.pull.statistics import Statistics
from tidegate.pull.webhooks import WebhookReader
from tidegate.rules.sync.spec import AUTO, Resource
from tidegate.store import ResourceState, Store

log = logging.getLogger("tidegate.pull")
RESTART_SECONDS = 5.0  # after an error that stopped a resource
OVER_SHARE_SECONDS = 30.0  # until a source over its share is looked at again


class Ports(NamedTuple):
    """What an engine uses of the gateway."""

    store: Store
    router: Router
    clock: Clock
    findings: Findings
    published_offset: Callable[[], int]
    over_share: Callable[[str], bool]  # whether a source may add nothing to the log now


class ResourceEngine:
    """One resource. `stop` waits until its tasks have ended and its last commit is done."""

    def __init__(
        self, ports: Ports, source: SourceClient, name: str, resource: Resource, part: Part | None = None
    ) -> None:
        """`part`: of a comparison of both ways."""
        self.source = source
        self._part = part
        self.name = name
        self.resource = resource
        self._store, self._router, self._clock, self._findings, self._published_offset, self._over_share = ports
        self._begin_at = self._published_offset()  # a resource that is new reads webhooks from here on
        self._label = f"resource {source.name}/{name}"
        self._ready = asyncio.Event()
        self._wake = asyncio.Event()
        self._to_fetch = asyncio.Event()
        self._polling = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._run_by: asyncio.Task[Any] | None = None  # whose run is under way
        self.schedule = Schedule(self._clock, intervals_of(resource, source.api))
        self.writer = self._writer(0)
        self._build()

    def _writer(self, fence: int) -> RecordWriter:
        resource = (self.source.name, self.name, self.resource)
        writer = RecordWriter(self._store, self._router, self._clock, resource, fence, self._findings)
        if self._part is not None:
            writer.sighter = self._part.sighter(writer)
        return writer

    def _build(self) -> None:
        self._fetcher = Fetcher(self.source, self.name, self.resource, self.writer, self._clock)
        rule = rule_of(self.resource, self.source.api)
        self._reconciling = Reconciling(self._store.rollups, self._clock, self.writer, rule)
        self._observer = PullObserver(self.writer, self._store.records, self._fetcher, self._clock)
        self._answers = AnswerMerger(self.writer, self._store.operations, self._clock)
        self._webhooks = WebhookReader(self._store.log, self.writer, self.resource, self._to_fetch.set)
        self._poller = Poller(
            self.source, self.resource, self.writer, self._store.records, self._fetcher, self.catch_up
        )

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._tasks.add(asyncio.create_task(self._run(), name=self._label))

    async def stop(self) -> None:
        """Cancel requests that are under way and wait for a commit, so that a successor reads it."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.writer.close()
        self._ready.clear()

    async def _run(self) -> None:
        """Work, and start again after any error: a resource must never stop without a log line."""
        while True:
            try:
                await self._work()
            except ShadowEnded:
                log.info("%s: the time of the comparison is over; it makes no more requests", self._label)
                await self._end_run()
                return
            except TidegateError as error:
                log.warning("%s stopped, goes on in %g s: %s", self._label, RESTART_SECONDS, error.message)
            except Exception:  # an internal error must not stop a resource forever
                log.exception("%s failed, goes on in %g s", self._label, RESTART_SECONDS)
            self._ready.clear()
            await self._end_run()
            await asyncio.sleep(RESTART_SECONDS)

    async def _end_run(self) -> None:
        """A run that a person started outlives the work: end it, so that two record writers never write at once."""
        if self._run_by is not None:
            self._run_by.cancel()
            await asyncio.wait({self._run_by})
        await self.writer.close()

    async def _work(self) -> None:
        self.writer = self._writer(self._store.leases.fence)
        self._build()
        await self.writer.load()
        await self._compare()
        if not self.writer.engine_state.begun:
            self.writer.engine_state.begun = True
            await self.writer.save(committed_offset=max(self.writer.state.committed_offset, self._begin_at))
        await self._answers.merge()
        state = self.writer.state
        last = {Origin.POLL: state.polled_at_us, Origin.RECONCILE: state.reconciled_at_us}
        if (every := self._reconciling.every) is not None:
            self.schedule.every[Origin.RECONCILE] = every
        self.schedule.begin(last, self.writer.engine_state.looked)
        self._wake.set()
        self._ready.set()
        if self.writer.engine_state.dirty:
            self._to_fetch.set()
        parts = (
            self._follow(), self._fetch_back(), self._observer.run(), self._keep_schedule(), self._compare_always(),
        )  # fmt: skip
        works = {asyncio.create_task(work) for work in parts}
        try:
            done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_EXCEPTION)
            for work in done:
                work.result()
        finally:
            for work in works:
                work.cancel()
            await asyncio.wait(works)

    # -- the log -----------------------------------------------------------------------------------------

    def on_published(self, event: Event) -> None:
        """Wake up for an event that was published."""
        if self._webhooks.concerns(event):
            self._wake.set()

    def observe(self, key: str, response: PullResponse) -> None:
        """The source answered a pull of an item: it may be newer than the record."""
        self._observer.observe(key, response)

    async def merge_answers(self) -> None:
        """Bring what operations wrote into the records. Waits for an engine that starts."""
        await self._ready.wait()
        await self._answers.merge()

    async def catch_up(self) -> None:
        """Apply the events published so far."""
        await self._webhooks.catch_up(self._published_offset())

    async def _follow(self) -> None:
        if not self._webhooks.reads:
            return
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.catch_up()
            except TidegateError as error:
                self._wake.set()
                self.writer.statistics.failed(error.message, self._clock.now_us())
                await asyncio.sleep(error.retry_after_seconds or 1.0)

    # -- fetch-backs -------------------------------------------------------------------------------------

    async def _fetch_back(self) -> None:
        failures = 0
        while True:
            await self._to_fetch.wait()
            self._to_fetch.clear()
            while self.writer.engine_state.dirty:
                error = await self._fetch_some()
                failures = failures + 1 if error is not None else 0
                if error is not None:
                    self.writer.statistics.failed(error.message, self._clock.now_us())
                    wait = min(60.0, 0.5 * 2 ** min(failures, 10))
                    await self._clock.sleep(max(wait, error.retry_after_seconds or 0.0))

    async def _fetch_some(self) -> TidegateError | None:
        """Fetch a few of the dirty records, the oldest first, and commit the copies."""
        dirty = sorted(self.writer.engine_state.dirty.items(), key=lambda pair: pair[1][0])[: AT_ONCE * 4]
        high_water_marks = dict(dirty)
        try:
            copies, failures = await self._fetcher.fetch_all([(key, Origin(mark[1])) for key, mark in dirty])
            if copies:
                await self.writer.apply(copies, fetched=[(copy.key, high_water_marks[copy.key]) for copy in copies])
        except TidegateError as error:
            return error
        self._webhooks.fetched(len(self.writer.engine_state.dirty))
        for failure in failures.values():
            self.writer.health.note("fetch_back_failed", failure.message)
        unreadable = [key for key, failure in failures.items() if failure.code == "page_unreadable"]
        if unreadable:
            # An item that cannot be read now stays unreadable: leave it to the next poll or webhook.
            await self.writer.apply((), fetched=[(key, high_water_marks[key]) for key in unreadable])
        return next(iter(failures.values()), None)

    # -- polls -------------------------------------------------------------------------------------------

    async def _keep_schedule(self) -> None:
        while (following := self.schedule.next()) is not None:
            origin, wait = following
            if wait > 0:
                await asyncio.sleep(min(wait, 3600.0))
                continue  # a run that a person started may have moved it
            subject = f"resource:{self.source.name}/{self.name}"
            if self._over_share(self.source.name):
                self._findings.report("polls_over_share", subject)
                await asyncio.sleep(OVER_SHARE_SECONDS)
                continue
            self._findings.resolve("polls_over_share", subject)
            await self._compare()
            await self._poll_in_turn(origin)

    async def _compare(self) -> None:
        """Decide what both ways have shown. ShadowEnded for the part that measures, when its time is over."""
        if self._part is not None and self._part.measures:
            await self._part.comparison.step()

    async def _compare_always(self) -> None:
        while self._part is not None and self._part.measures:
            await asyncio.sleep(STEP_SECONDS)
            await self._compare()

    async def poll(self, origin: Origin | None = None, options: PollOptions = SCHEDULED) -> PollReport:
        """Run now, after a run that is under way. Without `origin` a poll when the resource polls, else a reconcile.

        The run belongs to the engine: it goes on when the caller disconnects. When the engine stops or starts again,
        this raises Conflict with code `reconfigured`.
        """
        run = asyncio.create_task(self._poll_in_turn(origin, options))
        self._tasks.add(run)
        run.add_done_callback(self._tasks.discard)
        await asyncio.wait({run})
        if run.cancelled():
            raise Conflict(
                f"{self.source.name}/{self.name} was stopped or configured again during the run",
                hint=f"tidegate poll {self.source.name}/{self.name}",
                code="reconfigured",
                retryable=True,
            )
        return run.result()

    async def _poll_in_turn(self, origin: Origin | None, options: PollOptions = SCHEDULED) -> PollReport:
        if origin is None:
            reconcile = Origin.POLL not in self.schedule.every and self.resource.webhook is not None
            origin = Origin.RECONCILE if reconcile else Origin.POLL
        async with self._polling:
            await self._ready.wait()
            self._run_by = asyncio.current_task()
            try:
                return await self._poll(origin, options)
            finally:
                self._run_by = None

    async def _poll(self, origin: Origin, options: PollOptions) -> PollReport:
        began = self._clock.monotonic()
        self.writer.health.begin_run()
        accepted = self._accepted() if options.accept_deletes else 0
        run = self._poller.plan(origin, accepted, baseline=options.baseline)
        error: TidegateError | None = None
        try:
            await self._answers.merge()
            await self._poller.run(run)
        except TidegateError as failed:
            error = failed
        if error is None and origin is Origin.POLL and not run.silent:
            self._see(run, self._clock.monotonic() - began)
        try:
            if error is None and origin is Origin.RECONCILE:
                await self._plan_reconciles(run, self._clock.monotonic() - began)
            await self._finish(run, error)
        except TidegateError as failed:
            error = error or failed
        if self.writer.engine_state.dirty:
            self._to_fetch.set()
        progress = run.pages > (1 if run.resumed else 0)
        self.schedule.ran(run.origin, error, progress=progress, at_least_seconds=run.poll_interval_seconds)
        return self._report(run, error, self._clock.monotonic() - began)

    def _see(self, run: Run, seconds_taken: float) -> None:
        """What a poll found moves the next ones, with `poll = "auto"`."""
        self.schedule.see(run.applied.changes + run.applied.to_fetch, seconds_taken, run.requests)
        for clamped in self.schedule.clamped:
            self.writer.health.note("poll_interval_clamped", clamped)

    async def _plan_reconciles(self, run: Run, seconds_taken: float) -> None:
        """What reconciliations found moves the next ones, with `reconcile = "auto"`."""
        await self._reconciling.after(run, seconds_taken)
        if (every := self._reconciling.every) is not None:
            self.schedule.every[Origin.RECONCILE] = every

    def _accepted(self) -> int:
        """How many missing records a person accepts as deleted: as many as the last scan missed."""
        stopped = self.writer.engine_state.stopped_missing
        if not stopped:
            raise Conflict(
                f"no deletes of {self.source.name}/{self.name} were stopped",
                hint=f"tidegate poll {self.source.name}/{self.name}",
                code="no_deletes_stopped",
            )
        return stopped

    def _report(self, run: Run, error: TidegateError | None, seconds_taken: float) -> PollReport:
        held = self.source.rate_limit.held_seconds(self._clock.monotonic())
        return PollReport(
            id=new_id("pol", self._clock.now_us()),
            source=self.source.name,
            resource=self.name,
            origin=run.origin.value,
            requests=run.requests,
            pages=run.pages,
            records_seen=run.records_seen,
            created=run.applied.created,
            updated=run.applied.updated,
            deleted=run.applied.deleted,
            not_modified=run.not_modified,
            duration_us=int(seconds_taken * 1_000_000),
            error=error.message if error is not None else "",
            error_code=error.code if error is not None else "",
            error_hint=error.hint if error is not None else "",
            unreadable=run.unreadable,
            retries=run.retries,
            ended_by=run.walk.ended_by.value if run.walk.ended_by is not None and error is None else "",
            resumed=run.resumed,
            snapshot=run.silent,
            waited_seconds=round(run.waited_seconds, 3),
            held_seconds=round(held, 3),
            held_reason=self.source.rate_limit.reason if held else "",
            findings=findings_of(self.writer.health.of_run, f"{self.source.name}/{self.name}"),
        )

    async def _finish(self, run: Run, error: TidegateError | None) -> None:
        """Count the run and note when it was. A failed one does not count as done: its time stays."""
        now_us = self._clock.now_us()
        statistics = self.writer.statistics
        statistics.polls += 1
        statistics.resumed += run.resumed
        statistics.last_poll_at_us = now_us
        self.writer.counts.look(run, now_us, self.writer.looked_at_us, failed=error is not None)
        if error is not None:
            await self._finish_failed(error, now_us)
            return
        if statistics.failing_since_us is not None:
            gone = (now_us - statistics.failing_since_us) / 1_000_000
            statistics.failing_since_us = None
            log.info("%s: polls work again, after %.0f s", self._label, gone)
        # A copy that needs a fetch-back counts as found: the fetch-back will make the change.
        if not run.applied.changes + run.applied.to_fetch:
            statistics.empty_polls += 1
        self.writer.engine_state.looked_from_us = run.started_us
        if self.writer.sighter is not None:
            self.writer.sighter.polled(run.started_us)
        at = "reconciled_at_us" if run.origin is Origin.RECONCILE else "polled_at_us"
        await self.writer.save(**{at: now_us})

    async def _finish_failed(self, error: TidegateError, now_us: int) -> None:
        statistics = self.writer.statistics
        statistics.failed(error.message, now_us, "" if error.hint == type(error).hint else error.hint)
        statistics.failed_polls += 1
        if statistics.failing_since_us is None:
            statistics.failing_since_us = now_us
            log.warning("%s: polls fail, and are tried again: %s", self._label, error.message)
        await self.writer.save()

    # -- for the API -------------------------------------------------------------------------------------

    def figures(self) -> ResourceFigures:
        """The resource's part of `GET /stats`."""
        figures = figures_of(self.resource, self.writer.state, self.writer.statistics)
        if self.schedule.adaptive is not None:
            figures.poll_every_seconds = self.schedule.adaptive.plan.mean_seconds
        figures.next_poll_at = rfc3339(self.schedule.next_at_us)
        figures.waiting_for_fetch = len(self.writer.engine_state.dirty)
        return figures


def figures_of(resource: Resource, state: ResourceState, statistics: Statistics | None = None) -> ResourceFigures:
    """The figures of a resource from its stored state: all that is known of one that runs on another node."""
    counted = statistics or msgspec.json.decode(state.statistics, type=Statistics)
    figures = counted.figures()
    figures.polled_at = rfc3339(state.polled_at_us)
    figures.reconciled_at = rfc3339(state.reconciled_at_us)
    figures.scanned_at = rfc3339(state.scanned_at_us)
    figures.poll_every_seconds = None if resource.poll in (None, AUTO) else seconds(resource.poll)
    figures.reconcile_every_seconds = None if resource.reconcile in (None, AUTO) else seconds(resource.reconcile)
    if resource.reconcile == AUTO:
        show(figures, resource, msgspec.json.decode(state.engine_state, type=EngineState))
    figures.committed_offset = state.committed_offset
    return figures
