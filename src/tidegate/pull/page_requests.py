"""Requests for the pages of a run: each page is retried where it is, within the budget of the run.

Owns which answers are retried, how long a run waits, and the error of an answer that is not a page. Knows no records.
Invariants: a run waits at most RUN_WAIT_SECONDS in all, and never asks before the time that the source named; a page
that failed is asked again, never the pages before it. Crash: the run goes on at its place.
"""

from __future__ import annotations

from tidegate.core.clock import parse_http_date
from tidegate.core.errors import TidegateError, UpstreamError
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import Run
from tidegate.pull.sources import NOT_SENT, POLL_PATIENCE_SECONDS, PullResponse, SourceClient
from tidegate.rules.sync.items import shown
from tidegate.rules.sync.limits import ALWAYS_LIMITED
from tidegate.rules.sync.links import header
from tidegate.rules.sync.paginators import PageRequest, ends_by_status
from tidegate.rules.sync.spec import Resource
from tidegate.rules.sync.upstream_rate_limit import LIMITED

RUN_WAIT_SECONDS = 300.0  # in all; a run that needs more stops, keeps its place, and goes on later
MAX_TRIES = 4  # of one page, besides waits for a rate limit
FIRST_RETRY_SECONDS = 1.0
TOKEN_EXPIRED = (400, 404, 412, 422)  # what sources answer to a sync token that they do not know, besides 410
CONDITIONAL = {"if-none-match", "if-modified-since"}
RETRIED = (202, 408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)


class CursorExpired(Exception):
    """The source does not accept the cursor any more."""


class PlaceLost(Exception):
    """The source does not know the page where an earlier run stopped."""


class PageRequests:
    """The requests of one resource."""

    def __init__(self, source: SourceClient, resource: Resource, writer: RecordWriter) -> None:
        self._source = source
        self._resource = resource
        self._writer = writer
        self._clock = writer.clock

    async def get(self, run: Run, request: PageRequest, headers: dict[str, str]) -> PullResponse | None:
        """The answer for a page; None when its status is the end of the list. Retries what can be retried.

        CursorExpired and PlaceLost when the run must begin again; UpstreamError for an answer that is not a page.
        """
        tries = asked = 0
        while True:
            tries, asked = tries + 1, asked + 1
            failure: TidegateError
            try:
                response = await self._once(run, request, headers, again=asked > 1)
            except TidegateError as error:
                if not error.retryable or error.code == NOT_SENT:
                    raise
                failure = error
            else:
                if self._is_page(run, response, conditional={name.lower() for name in (*run.headers, *headers)}):
                    return response
                if self._is_end(run, response):
                    return None
                failure = self._failure(run, request, response)
                if not self._is_retried(response):
                    raise failure
                if self._is_held(response):
                    tries -= 1  # the wait is the source's, and is bounded by the budget of the run
            if tries >= MAX_TRIES:
                raise failure
            await self._wait(run, tries, failure)

    async def _once(self, run: Run, request: PageRequest, headers: dict[str, str], *, again: bool) -> PullResponse:
        run.requests += 1
        self._writer.statistics.requests += 1
        patience = min(POLL_PATIENCE_SECONDS, max(0.0, RUN_WAIT_SECONDS - run.waited_seconds))
        try:
            response = await self._source.request_page(
                request, self._resource, headers={**run.headers, **headers}, patience_seconds=patience
            )
        except TidegateError as error:
            if error.code != NOT_SENT:
                self._writer.counts.page(run, 0, again=again)
            raise
        self._writer.counts.usage(self._source.usage.take())
        self._writer.counts.page(run, len(response.body), again=again)
        self._writer.statistics.bytes += len(response.body)
        for code, sample in self._source.take_notes():
            self._writer.health.note(code, sample)
        if run.server_at_us is None:
            run.server_at_us = parse_http_date(header(response.headers, "date") or "")
        run.poll_interval_seconds = poll_interval(header(response.headers, "x-poll-interval"))
        return response

    def _is_page(self, run: Run, response: PullResponse, *, conditional: set[str]) -> bool:
        """`conditional`: names of the headers of the request. Without a validator among them, 304 is not a page."""
        status = response.status
        if status == 304:
            return run.walk.pages == 0 and not CONDITIONAL.isdisjoint(conditional)
        if status == 202:
            return False
        return 200 <= status < 300 or (status in self._resource.empty and run.walk.pages == 0)

    def _is_end(self, run: Run, response: PullResponse) -> bool:
        """Decides about a status that is not a success."""
        status = response.status
        first = run.pages == 0
        if run.resumed and first and status in (400, 404, 410, 422):
            raise PlaceLost
        if run.from_cursor and first and (status == 410 or (status in TOKEN_EXPIRED and self._has_token())):
            raise CursorExpired
        return not (run.resumed and first) and ends_by_status(self._resource.paginator, status, run.walk)

    def _has_token(self) -> bool:
        """Whether cursors are sync tokens or delta links, which sources forget."""
        rule = self._resource.incremental
        return rule is not None and bool(rule.token_path or rule.link_path)

    def _is_retried(self, response: PullResponse) -> bool:
        return response.status in RETRIED or response.status in ALWAYS_LIMITED or self._is_held(response)

    def _is_held(self, response: PullResponse) -> bool:
        """Whether the source refused for its rate limit, and has said how long to wait."""
        said = response.status in LIMITED or (
            response.status >= 400 and header(response.headers, "retry-after") is not None
        )
        return said and self._source.rate_limit.held_seconds(self._clock.monotonic()) > 0

    async def _wait(self, run: Run, tries: int, failure: TidegateError) -> None:
        """Wait before the page is asked again, or raise when that would take too long."""
        held = self._source.rate_limit.held_seconds(self._clock.monotonic())
        backoff = FIRST_RETRY_SECONDS * 2 ** max(0, tries - 1) * (0.8 + 0.4 * self._clock.random())
        seconds = max(held, backoff if tries else 0.0)
        if run.waited_seconds + seconds > RUN_WAIT_SECONDS or held > POLL_PATIENCE_SECONDS:
            raise failure
        run.retries += 1
        run.waited_seconds += seconds
        self._writer.statistics.retries += 1
        await self._clock.sleep(seconds)

    def _failure(self, run: Run, request: PageRequest, response: PullResponse) -> UpstreamError:
        """The error of an answer that is not a page, with the beginning of its body."""
        held = self._source.rate_limit.held_seconds(self._clock.monotonic()) or None
        page = f"page {run.walk.pages + 1} of {request.url.partition('?')[0]}"
        said = f": {shown(response.body)}" if response.body.strip() else ""
        if response.status == 202:
            return UpstreamError(
                f"{page}: the source answered 202, it is still preparing the list{said}",
                upstream_status=202,
                code="upstream_not_ready",
                hint="nothing: the next poll asks again",
                retry_after_seconds=held,
            )
        if response.status == 304:
            return UpstreamError(
                f"{page}: the source answered 304 to a request without validators, so there is no list",
                upstream_status=304,
                hint="look for a cache between here and the source; a header of the resource may ask it for a new copy",
            )
        return UpstreamError(
            f"{page}: the source answered {response.status}{said}",
            upstream_status=response.status,
            hint=hint_for_status(response.status, self._source.name),
            retry_after_seconds=held,
        )


def poll_interval(value: str | None) -> float:
    """Seconds of `X-Poll-Interval`, at most a day; 0 without one."""
    text = (value or "").strip()
    return float(min(int(text), 86_400)) if text.isdecimal() and text.isascii() and len(text) < 10 else 0.0


def hint_for_status(status: int, source: str) -> str:
    """What to look at when a list is answered with this status."""
    if status in (401, 403):
        return f"check auth in [sources.{source}.api], and what the key may read"
    if status == 404:
        return "check base_url and path; if this status means an empty list, set empty = [404] on the resource"
    if status == 429:
        return f"nothing: the next poll waits; a lower `rate` in [sources.{source}.api] asks less often"
    if status < 500:
        return "check path, params and paginator of the resource against the message of the source"
    return "nothing: the next poll goes on at this page; look at the status page of the source if this lasts"
