"""One run over the list of a resource: pages in, records and changes out.

Owns the order of a run: request a page, apply webhooks up to its answer, compare, commit, next page; then, after a
complete scan, decide about missing records. Knows no schedule. Invariants: the cursor, the validators and the end of
the first snapshot move with the last page only; a page that failed leaves everything before it committed, and the place
of the walk with it. Crash between pages: the next run goes on at the place, and what was committed compares as equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import UpstreamError
from tidegate.core.model import Origin
from tidegate.core.units import seconds
from tidegate.pull.cursor_row import CursorRow
from tidegate.pull.delete_scan import DeleteScan
from tidegate.pull.engine_state import EngineState
from tidegate.pull.family import Family
from tidegate.pull.fetch import Fetcher
from tidegate.pull.page_requests import CONDITIONAL, CursorExpired, PageRequests, PlaceLost
from tidegate.pull.page_rows import PageRowReader
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.resource_cursor import ResourceCursor
from tidegate.pull.run import Run
from tidegate.pull.run_checks import RunChecks
from tidegate.pull.sources import PullResponse, SourceClient
from tidegate.pull.windows import Windows
from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.http_cache import settled_last_modified
from tidegate.rules.sync.items import ErrorBody, PageRows, decoded, partial_errors, read_page
from tidegate.rules.sync.links import follow, header
from tidegate.rules.sync.page_end import End, check_total
from tidegate.rules.sync.paginators import (
    PageAnswer,
    PageRequest,
    fingerprint,
    first_number,
    first_request,
    is_counted,
    next_page,
    put,
)
from tidegate.rules.sync.placeholders import END, START, Values, text_of
from tidegate.rules.sync.spec import Resource
from tidegate.store import Records

_MARKED = ("flag", "in_band")  # deletes that a row of the list shows
PLACE_KEPT_US = 86_400_000_000  # an older place is not used: page tokens expire, and lists move


class Poller:
    """Runs over one resource. One run at a time: the caller's lock."""

    def __init__(
        self,
        source: SourceClient,
        resource: Resource,
        writer: RecordWriter,
        records: Records,
        fetcher: Fetcher,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._source = source
        self._resource = resource
        self._writer = writer
        self._clock: Clock = writer.clock
        self._catch_up = catch_up
        self._pages = PageRequests(source, resource, writer)
        self._cursor = ResourceCursor(resource, writer)
        self._windows = Windows(resource, self._cursor, self._clock)
        self._rows = PageRowReader(resource, writer, records)
        self._checks = RunChecks(resource, writer, self._cursor)
        self._cursor_row = CursorRow(resource, writer, fetcher)
        self._scan = DeleteScan(resource, writer, records, fetcher, self._clock)
        # A tenth less: polls are spread by a tenth, and one that is early must not put the scan off by a whole poll.
        self._scan_every_us = int(seconds(resource.deletes.every) * 900_000)
        self._tag = _tag_of(source, resource)
        parent = resource.parent
        self._family = None if parent is None else Family(parent, writer, records, self._list, self._tag)
        self._unfinished: Run | None = None  # what a run that goes on at its place remembers; lost by a restart

    @property
    def _state(self) -> EngineState:
        return self._writer.engine_state

    def plan(self, origin: Origin, accepted_missing: int = 0, *, baseline: bool = False) -> Run:
        """What the next run is, by the state: it goes on at the place of one that did not finish, or begins.

        `accepted_missing`: how many missing records a person accepts as deleted; such a run is a scan. `baseline`: the
        run reads everything and makes no events.
        """
        state, resource = self._writer.state, self._resource
        now_us = self._clock.now_us()
        silent = baseline or (not state.first_done and resource.initial == "snapshot")
        place = self._state.place
        if (
            not accepted_missing
            and not baseline
            and place is not None
            and place.tag == self._tag
            and now_us - place.started_us < PLACE_KEPT_US
        ):
            run = Run.at_place(place, origin, silent)
            before = self._unfinished
            if before is not None and before.started_us == run.started_us:
                run.seen, run.hashes, run.not_unique = before.seen, before.hashes, before.not_unique
                run.came_twice = before.came_twice
                run.duplicates, run.rows_lost = before.duplicates, before.rows_lost
            else:
                run.find_deletes, run.rows_lost = False, True
            return run
        due = state.scanned_at_us is None or state.scanned_at_us + self._scan_every_us <= now_us
        scan = resource.deletes.mode == "scan" and (due or baseline or accepted_missing > 0)
        # After an expired cursor, a full run found records missing and nothing can be asked for: it is read once more.
        again = bool(self._state.candidates) and not self._state.stopped_missing
        scan = scan or (resource.deletes.mode in _MARKED and (again or accepted_missing > 0))
        return Run(
            origin=origin,
            full=scan or baseline or resource.incremental is None,
            find_deletes=scan,
            silent=silent,
            started_us=now_us,
            accepted_missing=accepted_missing,
            ignores_unused=set(resource.ignore),
        )

    async def run(self, run: Run) -> None:
        """Raises TidegateError when the run could not be finished; what `run` counts is then what was committed."""
        place = self._state.place if run.resumed else None
        await self._source.prepare(self._resource)
        if self._family is None:
            await self._list(run, place.request if place is not None else None)
        else:
            await self._family.run(run, place)
        await self._cursor_row.check(run)
        duplicates = await self._rows.settle_duplicates(run)
        if duplicates:
            run.applied.add(await self._writer.apply(duplicates, silent=run.silent, run_us=run.started_us))
        # Where the source is asked for each missing item, a walk that may have passed over rows costs requests only.
        asked = self._resource.deletes.confirm == "get" and bool(self._resource.item_path)
        if run.find_deletes and (run.complete or asked) and not run.not_modified:
            await self._scan.finish(run)

    async def _list(self, run: Run, request: PageRequest | None) -> None:
        """Walk one list, from its first page when `request` is None. Begins again when the source lost the place."""
        try:
            await self._walk(run, request)
        except PlaceLost:
            self._writer.health.note("place_lost", "the page where the last run stopped is not known any more")
            self._begin_again(run)
            await self._walk(run, None)
        except CursorExpired:
            # Rule 5: a full scan with comparison, so that only differences become changes.
            self._writer.health.note("cursor_expired", f"cursor {self._cursor.known(run) or ''}")
            run.full = True
            # Rows that were deleted while the cursor was not known are in no list: they are what the full run misses.
            run.find_deletes = run.find_deletes or (self._resource.deletes.mode in _MARKED and run.parent is None)
            self._begin_again(run)
            await self._walk(run, None)

    def _begin_again(self, run: Run) -> None:
        fresh = Run(run.origin, run.full, run.find_deletes, run.silent, self._clock.now_us(), requests=run.requests)
        fresh.waited_seconds, fresh.retries = run.waited_seconds, run.retries
        if run.parent is not None:  # the lists of other parents were read: their keys stay
            fresh.parent, fresh.started_us, fresh.seen = run.parent, run.started_us, run.seen
            fresh.hashes, fresh.duplicates, fresh.not_unique = run.hashes, run.duplicates, run.not_unique
        fresh.poll_interval_seconds = run.poll_interval_seconds
        for name in run.__struct_fields__:
            setattr(run, name, getattr(fresh, name))
        self._state.place = None

    # -- pages -------------------------------------------------------------------------------------------

    async def _walk(self, run: Run, request: PageRequest | None) -> None:
        first = request is None
        start = run.start = self._cursor.start(run)
        values = self._source.values(self._resource, start, run.parent.values if run.parent is not None else None)
        run.from_cursor = not run.full and self._cursor.known(run) is not None
        if request is None and (window := self._windows.first(run)) is not None:
            values = {**values, START: window[0], END: window[1]}
        run.headers = self._source.headers_of(self._resource, values)
        if request is None:
            request = self._first(run, start, values)
            run.walk.base = first_number(self._resource.paginator, request)
        tag = fingerprint(request).hex()
        webhooks = self._writer.webhooks
        validators = self._validators(run, tag) if first else {}
        answer: PullResponse | None = None
        last: PageRequest | None = None
        self._unfinished = run
        while request is not None:
            response = await self._pages.get(run, request, validators if run.pages == 0 else {})
            if response is None:
                break
            if response.status == 304:
                run.not_modified = True
                run.walk.end(End.NOT_MODIFIED)
                self._writer.statistics.not_modified += 1
                return
            answer = answer or response
            # The log first: webhooks that came before this answer must be applied before the page is compared.
            await self._catch_up()
            last = request
            request = await self._page(run, request, response) or self._next_window(run, values)
        if last is not None:
            self._cursor.step_over(run, last)
        self._end(run, answer if first else None, tag)
        if run.applied.older or run.applied.to_fetch or run.applied.held or not run.complete:
            self._writer.move(etag=None, last_modified=None)
        elif self._writer.webhooks != webhooks:
            # A webhook changed what was just read: read the same page again, although the source did not change it.
            self._writer.move(etag=None, last_modified=None)

    def _next_window(self, run: Run, values: Values) -> PageRequest | None:
        """The first page of the next window; None when this one was the last, or could not be walked to its end."""
        if not run.window_end_us:
            return None
        self._check_walk(run)
        if not run.walk.complete:
            return None
        window = self._windows.following(run)
        if window is None:
            return None
        request = self._first(run, window[0], {**values, START: window[0], END: window[1]})
        run.walk.base = first_number(self._resource.paginator, request)
        self._state.place = run.place(request, self._tag)
        return request

    async def _page(self, run: Run, request: PageRequest, response: PullResponse) -> PageRequest | None:
        """Apply one page; the request of the next one."""
        body, page = self._read(run, request, response)
        if page.rows and (partial := partial_errors(body, self._resource.data_selector)):
            run.walk.complete = False
            self._writer.health.note("partial_page", self._source.masked(partial))
        following: PageRequest | None = None
        refused: UpstreamError | None = None
        async for copies, last in self._rows.copies(run, page.rows, response):
            if last:
                answer = PageAnswer(response.headers, body, len(page.rows), page.rows[-1] if page.rows else MISSING)
                origins = self._source.origins_of(self._resource)
                try:
                    following = next_page(self._resource.paginator, request, answer, run.walk, origins)
                except UpstreamError as error:
                    refused = error  # the rows of this page are good
                if refused is not None:
                    pass
                elif following is None:
                    self._cursor.see_last_page(run, body)
                elif self._cursor.passed(run, run.start):
                    run.walk.end(End.KNOWN)
                    following = None
                run.pages += 1
                if run.pages == 1 and not run.resumed:
                    run.first_highest = run.highest
                    if run.walk.found_by:
                        self._writer.health.note("paginator_found", run.walk.found_by)
                self._keep_place(run, request, following)
            run.applied.add(await self._writer.apply(copies, silent=run.silent, run_us=run.started_us))
            self._checks.see_slice(run, copies)
        if refused is not None:
            raise refused
        return following

    def _keep_place(self, run: Run, request: PageRequest, following: PageRequest | None) -> None:
        """Where the run goes on when it stops here. Numbered pages are read twice, since rows may have moved up."""
        if following is None:
            return
        again = request if is_counted(self._resource.paginator, run.walk) else following
        self._state.place = run.place(again, self._tag)

    def _first(self, run: Run, start: str | None, values: Values) -> PageRequest:
        """The request of the first page. A delta link is asked as the source wrote it."""
        request = self._source.list_request(self._resource, values)
        link = self._cursor.link(run)
        if link is not None:
            return PageRequest(follow(request.url, link, self._source.origins_of(self._resource)), (), request.body)
        params = request.params
        rule = self._resource.incremental
        for pair in (self._cursor.param(start), (rule.end_param, values[END]) if rule is not None else None):
            if pair is not None and pair[0] and pair[1] is not None:
                params = put(params, pair[0], text_of(pair[1]))
        return first_request(self._resource.paginator, PageRequest(request.url, params, request.body))

    def _validators(self, run: Run, tag: str) -> dict[str, str]:
        """For the first page, when they belong to this very request and nothing has moved the records since."""
        state, engine_state = self._writer.state, self._state
        if run.find_deletes or engine_state.dirty or engine_state.held or engine_state.validated != tag:
            return {}
        own = CONDITIONAL & {name.lower() for name in run.headers}  # the resource sets them itself
        if not state.first_done or run.parent is not None or own:
            return {}
        if state.etag:
            return {"If-None-Match": state.etag}
        return {"If-Modified-Since": state.last_modified} if state.last_modified else {}

    def _read(self, run: Run, request: PageRequest, response: PullResponse) -> tuple[bytes, PageRows]:
        page = f"page {run.walk.pages + 1} of {request.url.partition('?')[0]}"
        try:
            content_type = header(response.headers, "content-type") or ""
            rows = read_page(response.status, decoded(response.body, content_type), self._resource, content_type)
        except ErrorBody as error:
            if run.resumed and run.pages == 0:
                raise PlaceLost from None  # GraphQL says with status 200 that a page token has expired
            raise UpstreamError(
                f"{page}: {self._source.masked(str(error))}",
                code="upstream_error_body",
                upstream_status=response.status,
                hint="correct what the source complains about; if this is a list, set data_selector to its path",
            ) from None
        except ValueError as error:
            raise UpstreamError(
                f"{page} cannot be read: {self._source.masked(str(error))}",
                code="page_unreadable",
                upstream_status=response.status,
                hint="set data_selector to the path of the list in the answer",
            ) from None
        if rows.empty_form:
            self._writer.statistics.count_empty(rows.empty_form)
            if rows.empty_form == "absent" and run.walk.pages == 0 and not self._writer.state.first_done:
                self._writer.health.note(
                    "list_never_seen", f"nothing at {self._resource.data_selector!r} in {response.body[:120]!r}"
                )
        return rows.body, rows

    # -- the end -----------------------------------------------------------------------------------------

    def _check_walk(self, run: Run) -> None:
        """After the last page of a list, or of a window: what contradicts itself is reported."""
        check_total(run.walk)
        for what in run.walk.contradictions:
            self._writer.health.note("page_end_unclear", what)
        if run.walk.overlooked:
            self._writer.health.note("pages_not_read", run.walk.overlooked)

    def _end(self, run: Run, first: PullResponse | None, tag: str) -> None:
        """Move what moves with the last page. It is committed with the end of the run."""
        health, state = self._writer.health, self._writer.state
        self._state.place = None
        self._check_walk(run)
        self._rows.forget_circle(run)
        if run.unreadable and not run.records_seen + run.records_before and not state.first_done:
            raise UpstreamError(
                f"none of {run.unreadable:,} rows could be read: {_last(health.of_run, 'rows_skipped')}",
                code="rows_unreadable",
                hint="set primary_key to the path of the key in a row, and data_selector to the path of the rows",
            )
        self._checks.at_end(run)
        single = (
            first is not None and run.walk.pages == 1 and not run.windows
        )  # validators of page one say nothing of page two
        self._state.validated = tag if single else ""
        moved: dict[str, Any] = {
            "etag": header(first.headers, "etag") if single and first is not None else None,
            "last_modified": settled_last_modified(first.headers) if single and first is not None else None,
        }
        self._cursor.move(run)
        if run.parent is not None:
            return
        # Beside webhooks, an empty list is a snapshot too: a record that appears later is one that a webhook missed.
        if run.records_seen + run.records_before or self._resource.webhook is not None:
            moved["first_done"] = True
            health.resolve("snapshot_empty")
            health.resolve("list_never_seen")
        elif not state.first_done and self._resource.initial == "snapshot":
            health.note("snapshot_empty", "the first poll that finds records is the snapshot, and makes no events")
        self._writer.move(**moved)


def _last(notes: dict[str, Any], code: str) -> str:
    return notes[code].samples[-1] if code in notes and notes[code].samples else "no key"


def _tag_of(source: SourceClient, resource: Resource) -> str:
    """Equal while the configuration asks for the same pages."""
    asked = [
        source.api.base_url, resource.path, resource.params, resource.paginator, resource.incremental,
        resource.data_selector, resource.primary_key, resource.json, resource.method, resource.with_, resource.format,
        resource.parent,
    ]  # fmt: skip
    return hashlib.blake2b(msgspec.json.encode(asked), digest_size=8).hexdigest()
