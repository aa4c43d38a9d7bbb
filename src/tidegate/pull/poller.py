"""One run over the list of a resource: pages in, records and changes out.

Owns the order of a run: request a page, apply webhooks up to its answer, compare, commit, next page; then, after a
complete scan, decide about missing records. Knows no schedule. Invariants: the cursor, the validators and the end of
the first snapshot move with the last page only; a page that failed leaves everything before it committed and the cursor
where it was. Crash between pages: the next run reads them again, and what was committed compares as equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from tidegate.core.clock import Clock, parse_http_date
from tidegate.core.errors import UpstreamError
from tidegate.core.model import Origin
from tidegate.core.spec import Resource
from tidegate.core.units import seconds
from tidegate.pull.fetch import Fetcher
from tidegate.pull.record_writer import MAX_ROW_BYTES, MAX_ROWS, Applied, RecordWriter
from tidegate.pull.sources import POLL_PATIENCE_SECONDS, PullResponse, SourceClient
from tidegate.pull.yielding import Yielder
from tidegate.rules.sync import incremental
from tidegate.rules.sync.deletes import decide, twice_missing
from tidegate.rules.sync.items import item_value, page_items, record_key, record_version
from tidegate.rules.sync.merge import Copy, compare_versions, make_copy
from tidegate.rules.sync.paginators import STEADY, PageAnswer, PageRequest, PageWalk, first_request, header, next_page
from tidegate.store import Records

MAX_CANDIDATES = 10_000  # of one scan; the rest are found again by the next


class Run(msgspec.Struct):
    """What one run is and what it has seen so far."""

    origin: Origin
    full: bool  # without the incremental start: every record is shown
    find_deletes: bool
    silent: bool
    requests: int = 0
    pages: int = 0
    records_seen: int = 0
    not_modified: bool = False
    complete: bool = True  # no item was unreadable
    server_at_us: int | None = None  # the source's clock at the first page
    started_us: int = 0
    highest: str | None = None
    first_highest: str | None = None  # on the first of several pages: no row of it can have been passed over
    applied: Applied = msgspec.field(default_factory=Applied)
    seen: set[str] = msgspec.field(default_factory=set)  # keys, only when the run looks for deletes


class _Expired(Exception):
    """The source does not accept the cursor any more."""


class Poller:
    """Runs over one resource. One run at a time: the caller's lock."""

    def __init__(
        self,
        source: SourceClient,
        resource: Resource,
        writer: RecordWriter,
        records: Records,
        fetcher: Fetcher,
        clock: Clock,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._source = source
        self._resource = resource
        self._writer = writer
        self._records = records
        self._fetcher = fetcher
        self._clock = clock
        self._catch_up = catch_up
        self._scan_every_us = int(seconds(resource.deletes.every) * 1_000_000)

    def plan(self, origin: Origin) -> Run:
        """What the next run is, by the state."""
        state, resource = self._writer.state, self._resource
        now_us = self._clock.now_us()
        due = state.scanned_at_us is None or state.scanned_at_us + self._scan_every_us <= now_us
        scan = resource.deletes.mode == "scan" and due
        return Run(
            origin=origin,
            full=scan or resource.incremental is None,
            find_deletes=scan,
            silent=not state.first_done and resource.initial == "snapshot",
            started_us=now_us,
        )

    async def run(self, run: Run) -> None:
        """Raises TidegateError when the run could not be finished; what `run` counts is then what was committed."""
        try:
            await self._pages(run)
        except _Expired:
            # Rule 5: a full scan with comparison, so that only differences become changes.
            run.full = True
            run.highest = run.first_highest = None
            await self._pages(run)
        if run.find_deletes and run.complete and not run.not_modified:
            await self._find_deletes(run)

    # -- pages -------------------------------------------------------------------------------------------

    async def _pages(self, run: Run) -> None:
        request: PageRequest | None = self._first(run)
        assert request is not None
        tag = _tag(request)
        walk = PageWalk()
        webhooks = self._writer.webhooks
        validators = self._validators(run, tag)
        first: PullResponse | None = None
        while request is not None:
            response = await self._ask(run, request, validators if walk.pages == 0 else {})
            if response.status == 304 and walk.pages == 0:
                run.not_modified = True
                self._writer.statistics.not_modified += 1
                return
            first = first or response
            # The log first: webhooks that came before this answer must be applied before the page is compared.
            await self._catch_up()
            items = self._items(request, response)
            run.pages += 1
            following = next_page(
                self._resource.paginator, request, PageAnswer(response.headers, response.body, len(items)), walk
            )
            async for copies, last in self._copies(run, items, response):
                if run.pages == 1:
                    run.first_highest = run.highest
                moved = self._moved(run, first, walk, tag) if last and following is None else {}
                run.applied.add(await self._writer.apply(copies, silent=run.silent, **moved))
            request = following
        if run.applied.older or run.applied.to_fetch or not run.complete or self._writer.webhooks != webhooks:
            # Copies were put aside, or a webhook changed what was just read: read the same page again, although
            # the source did not change it.
            await self._writer.save(etag=None, last_modified=None)

    def _first(self, run: Run) -> PageRequest:
        url, params = self._source.list_url(self._resource)
        rule = self._resource.incremental
        if rule is not None and not run.full:
            cursor = self._writer.state.cursor or rule.initial_value
            if cursor:
                params = [pair for pair in params if pair[0] != rule.param]
                params.append((rule.param, incremental.start(cursor, seconds(rule.lag))))
        return first_request(self._resource.paginator, url, params)

    def _validators(self, run: Run, tag: str) -> dict[str, str]:
        """For the first page, when they belong to this very request and nothing has moved our records since."""
        state, engine_state = self._writer.state, self._writer.engine_state
        if run.find_deletes or engine_state.dirty or engine_state.validated != tag or not state.first_done:
            return {}
        if state.etag:
            return {"If-None-Match": state.etag}
        return {"If-Modified-Since": state.last_modified} if state.last_modified else {}

    async def _ask(self, run: Run, request: PageRequest, headers: dict[str, str]) -> PullResponse:
        statistics = self._writer.statistics
        run.requests += 1
        statistics.requests += 1
        response = await self._source.request(
            request.url, request.params, headers=headers, patience_seconds=POLL_PATIENCE_SECONDS
        )
        statistics.bytes += len(response.body)
        if run.server_at_us is None:
            run.server_at_us = parse_http_date(header(response.headers, "date") or "")
        if response.status == 410 and not run.full:
            raise _Expired
        if response.status != 304 and not 200 <= response.status < 300:
            raise UpstreamError(
                f"page {run.pages + 1} of {request.url}: the source answered {response.status}",
                upstream_status=response.status,
                retry_after_seconds=self._source.rate_limit.wait_seconds(self._clock.monotonic()) or None,
            )
        return response

    def _items(self, request: PageRequest, response: PullResponse) -> Any:
        try:
            return page_items(response.body, self._resource.data_selector)
        except ValueError as error:
            raise UpstreamError(
                f"page of {request.url} cannot be read: {error}",
                code="page_unreadable",
                upstream_status=response.status,
                hint="look at it: tidegate pull SOURCE/RESOURCE; then set data_selector to the path of the list",
            ) from None

    async def _copies(self, run: Run, items: Any, response: PullResponse) -> AsyncIterator[tuple[list[Copy], bool]]:
        """The page's copies in slices of at most MAX_ROWS, the last one (which may be empty) marked."""
        yielder = Yielder()
        slice_: list[Copy] = []
        size = 0
        for item in items:
            await yielder.pause()
            copy = self._copy(run, item, response)
            if copy is None:
                continue
            if len(slice_) == MAX_ROWS or size > MAX_ROW_BYTES:
                yield slice_, False
                slice_, size = [], 0
            slice_.append(copy)
            size += len(copy.body)
        yield slice_, True

    def _copy(self, run: Run, item: Any, response: PullResponse) -> Copy | None:
        resource, statistics = self._resource, self._writer.statistics
        try:
            value = item_value(item)
            key = record_key(value, resource.primary_key)
            if key is None:
                raise ValueError(f"an item without a key at {resource.primary_key!r}")
            copy = make_copy(
                key,
                value,
                ignore=resource.ignore,
                version=record_version(value, resource.version),
                origin=run.origin,
                asked_at_us=response.sent_at_us,
                answered_at_us=response.received_at_us,
            )
        except ValueError as error:
            # One bad row must not stop a resource forever, but then a missing record proves nothing.
            statistics.unreadable += 1
            statistics.failed(f"skipped an item: {error}", self._clock.now_us())
            run.complete = False
            return None
        run.records_seen += 1
        if run.find_deletes:
            run.seen.add(key)
        if resource.incremental is not None:
            at = record_version(value, resource.incremental.cursor_path)
            if at is not None and (run.highest is None or compare_versions(at, run.highest) > 0):
                run.highest = at
        return copy

    def _moved(self, run: Run, first: PullResponse, walk: PageWalk, tag: str) -> dict[str, Any]:
        """What of the state moves with the last page."""
        state = self._writer.state
        single = walk.pages == 1  # validators of page one say nothing of page two
        self._writer.engine_state.validated = tag if single else ""
        cursor = state.cursor
        if self._resource.incremental is not None:
            shifts = walk.pages > 1 and not isinstance(self._resource.paginator, STEADY)
            moved = shifts and incremental.disturbed(run.highest, run.server_at_us)
            cursor = incremental.advance(cursor, run.first_highest if moved else run.highest, run.server_at_us)
        return {
            "cursor": cursor,
            "etag": header(first.headers, "etag") if single else None,
            "last_modified": header(first.headers, "last-modified") if single else None,
            "first_done": True,
        }

    # -- deletes -----------------------------------------------------------------------------------------

    async def _find_deletes(self, run: Run) -> None:
        writer, rule = self._writer, self._resource.deletes
        missing, live = await self._missing(run)
        decision = decide(missing, live, rule.max_ratio)
        writer.statistics.scans += 1
        if decision.stopped_by_ratio:
            writer.statistics.stopped_by_ratio += 1
            writer.statistics.failed(
                f"a scan missed {len(missing)} of {live} records ({decision.ratio:.0%}, max_ratio is "
                f"{rule.max_ratio:.0%}): nothing was deleted",
                self._clock.now_us(),
            )
            writer.engine_state.candidates = []
        candidates = decision.candidates[:MAX_CANDIDATES]
        if rule.confirm == "get" and self._resource.item_path:
            copies, failure = await self._fetcher.fetch_all([(key, run.origin) for key in candidates])
            run.requests += len(candidates)
            if failure is not None:  # those stay known, and the next scan asks again
                writer.statistics.failed(failure.message, self._clock.now_us())
        else:
            gone = twice_missing(candidates, writer.engine_state.candidates)
            writer.engine_state.candidates = sorted(set(candidates) - set(gone))
            copies = [self._tombstone(key, run) for key in gone]
        for at in range(0, len(copies), MAX_ROWS):
            run.applied.add(await writer.apply(copies[at : at + MAX_ROWS]))
        await writer.save(scanned_at_us=self._clock.now_us())

    async def _missing(self, run: Run) -> tuple[list[str], int]:
        """(live keys that the scan did not show, number of live records). Later records are not missing."""
        missing: list[str] = []
        live = 0
        after: str | None = None
        while page := await self._records.page(self._writer.source, self._writer.name, after_key=after, limit=MAX_ROWS):
            live += len(page)
            after = page[-1].key
            missing.extend(one.key for one in page if one.key not in run.seen and one.answered_at_us < run.started_us)
        return missing, live

    def _tombstone(self, key: str, run: Run) -> Copy:
        return make_copy(
            key,
            None,
            ignore=(),
            version=None,
            origin=run.origin,
            asked_at_us=run.started_us,
            answered_at_us=self._clock.now_us(),
            deleted=True,
        )


def _tag(request: PageRequest) -> str:
    text = "\0".join((request.url, *(f"{name}\1{value}" for name, value in request.params)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
