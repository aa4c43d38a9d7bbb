"""A pull: one request on demand, answered from the cache within its age or from the source, bytes unchanged.

Owns the cache (memory only, bounded in bytes) and single flight: one request goes upstream for any number of callers,
and a caller that disconnects does not cancel it for the others. Knows no records and no schedule. Invariant: bytes go
out as the source sent them, with their age. A crash empties the cache, which costs requests and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import quote

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, TidegateError, UpstreamError
from tidegate.core.units import seconds
from tidegate.pull.sources import PullResponse, SourceClient, initial_value
from tidegate.rules.sync import http_cache as freshness
from tidegate.rules.sync.items import shown
from tidegate.rules.sync.links import header
from tidegate.rules.sync.paginators import PageRequest, kind_of
from tidegate.rules.sync.placeholders import Scalar
from tidegate.rules.sync.spec import Resource

CACHE_BYTES = 64 << 20
ENTRY_OVERHEAD_BYTES = 1500
MAX_ENTRY_SHARE = 4  # one answer may fill at most a quarter of the cache
# Headers of the source that a caller sees. Never cookies, never hop-by-hop headers.
_SHOWN = ("content-type", "content-language", "content-disposition", "last-modified", "link", "x-total-count")
IGNORED = "x-tidegate-ignored-params"  # names of the caller's parameters that the configuration sets
STALE_WARNING = '111 Tidegate "Revalidation Failed"'  # RFC 7234 section 5.5.2; obsolete, and still the one with a name

PARENT = "parent."  # begins the parameters that name the parent of a child list

Pairs = tuple[tuple[str, str], ...]
CacheKey = tuple[str, str, str | None, tuple[tuple[str, str], ...]]
Observe = Callable[[str, str, str, PullResponse], None]  # source, resource, key, the answer


class PullAnswer(msgspec.Struct):
    """What goes to the caller."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class PullCounts(msgspec.Struct):
    """Of one resource since the process began."""

    pulls: int = 0
    hits: int = 0
    requests: int = 0
    stale: int = 0
    shared: int = 0  # waited for the request of another caller
    not_modified: int = 0
    bytes: int = 0


class _Entry(msgspec.Struct):
    status: int
    headers: list[tuple[str, str]]  # shown ones and ETag
    body: bytes
    etag: str
    upstream_etag: str | None
    last_modified: str | None
    came_aged: int
    answered_at_us: int
    size: int


class _Flight(msgspec.Struct, frozen=True):
    """The outcome of one request upstream, shared by all callers that wait for it."""

    entry: _Entry
    fwd: str
    fwd_status: int
    stored: bool


class CachedCopy(msgspec.Struct, frozen=True, gc=False):
    """A copy that may be served, `age` seconds old and fresh for `ttl` more."""

    entry: _Entry
    age: float
    ttl: float

    def answer(self) -> PullAnswer:
        """As `pull` answers it."""
        return _answer(self.entry, self.age, freshness.cache_status(hit=True, ttl=self.ttl), None)


class Target(msgspec.Struct, frozen=True):
    """A resource as it is configured now, with its durations in seconds."""

    source: SourceClient
    name: str
    resource: Resource
    cache_seconds: float
    stale_if_error_seconds: float
    counts: PullCounts
    shown: frozenset[str]
    fixed: frozenset[str]  # names of parameters that a caller cannot set, as the configuration sets them

    @classmethod
    def of(cls, source: SourceClient, name: str, resource: Resource, counts: PullCounts | None = None) -> Target:
        shown = set(_SHOWN)
        shown.update(kind_of(resource.paginator).headers(resource.paginator))
        return cls(
            source,
            name,
            resource,
            seconds(resource.cache),
            seconds(resource.stale_if_error),
            counts or PullCounts(),
            frozenset(shown),
            source.fixed_params(resource),
        )


class OnDemand:
    """Answers pulls. One object for all sources, so that memory has one bound."""

    def __init__(self, clock: Clock, observe: Observe, cache_bytes: int = CACHE_BYTES) -> None:
        """`observe` is called with each item that the source answered."""
        self._clock = clock
        self._observe = observe
        self._limit = cache_bytes
        self._bytes = 0
        self._cache: OrderedDict[CacheKey, _Entry] = OrderedDict()
        self._flights: dict[CacheKey, asyncio.Task[_Flight]] = {}

    @property
    def cached_bytes(self) -> int:
        return self._bytes

    def cached(self, target: Target, key: str | None) -> CachedCopy | None:
        """The cached copy of a pull without parameters, when it is young enough; counted like a pull."""
        place = (target.source.name, target.name, key, ())
        entry = self._cache.get(place)
        if entry is None:
            return None
        age = freshness.age_seconds(entry.answered_at_us, entry.came_aged, self._clock.now_us())
        allowed = freshness.allowed_age(target.cache_seconds, None, False)
        if age > allowed:
            return None
        self._cache.move_to_end(place)
        target.counts.pulls += 1
        target.counts.hits += 1
        return CachedCopy(entry, age, allowed - age)

    async def pull(
        self,
        target: Target,
        key: str | None,
        query: list[tuple[str, str]],
        *,
        max_age: float | None,
        no_cache: bool,
        if_none_match: str | None,
    ) -> PullAnswer:
        """See `PullEngine.pull`."""
        target.counts.pulls += 1
        ignored = [name for name, _ in query if name in target.fixed]
        if ignored:
            query = [(name, value) for name, value in query if name not in target.fixed]
        answer = await self._pull(target, key, query, max_age=max_age, no_cache=no_cache, if_none_match=if_none_match)
        if ignored:
            answer.headers.append((IGNORED, ", ".join(quote(name) for name in dict.fromkeys(ignored))))
        return answer

    async def _pull(
        self,
        target: Target,
        key: str | None,
        query: list[tuple[str, str]],
        *,
        max_age: float | None,
        no_cache: bool,
        if_none_match: str | None,
    ) -> PullAnswer:
        place = (target.source.name, target.name, key, tuple(query))
        entry = self._cache.get(place)
        if entry is not None:
            age = freshness.age_seconds(entry.answered_at_us, entry.came_aged, self._clock.now_us())
            allowed = freshness.allowed_age(target.cache_seconds, max_age, no_cache)
            if age <= allowed:
                self._cache.move_to_end(place)
                target.counts.hits += 1
                return _answer(entry, age, freshness.cache_status(hit=True, ttl=allowed - age), if_none_match)
        fwd = "request" if no_cache or max_age is not None else "uri-miss" if entry is None else "stale"
        return await self._from_source(target, place, entry, fwd, if_none_match)

    async def _from_source(
        self, target: Target, place: CacheKey, entry: _Entry | None, fwd: str, if_none_match: str | None
    ) -> PullAnswer:
        flight = self._flights.get(place)
        collapsed = flight is not None
        target.counts.shared += collapsed
        if flight is None:
            flight = asyncio.create_task(self._ask(target, place, entry, fwd))
            self._flights[place] = flight
            flight.add_done_callback(lambda done: self._landed(place, done))
        try:
            outcome = await asyncio.shield(flight)
        except TidegateError as error:
            return self._stale(target, place, error, if_none_match)
        status = freshness.cache_status(
            fwd=outcome.fwd, fwd_status=outcome.fwd_status, stored=outcome.stored, collapsed=collapsed
        )
        age = freshness.age_seconds(outcome.entry.answered_at_us, outcome.entry.came_aged, self._clock.now_us())
        return _answer(outcome.entry, age, status, if_none_match)

    def _landed(self, place: CacheKey, flight: asyncio.Task[_Flight]) -> None:
        if self._flights.get(place) is flight:
            del self._flights[place]
        if not flight.cancelled():
            flight.exception()  # every caller may have disconnected: mark the error as retrieved

    # -- upstream ----------------------------------------------------------------------------------------

    async def _ask(self, target: Target, place: CacheKey, entry: _Entry | None, fwd: str) -> _Flight:
        source, resource = target.source, target.resource
        key, query = place[2], place[3]
        await source.prepare(resource)
        if key is None:
            parent, query = parent_in(target, query)
            request = source.list_request(resource, source.values(resource, initial_value(resource), parent))
        else:
            request = PageRequest(*source.item_request(target.name, resource, key))
        target.counts.requests += 1
        request = PageRequest(request.url, (*request.params, *query), request.body)
        response = await source.request_page(
            request, resource, headers=_validators(entry), patience_seconds=source.timeout_seconds, item=key is not None
        )
        target.counts.bytes += len(response.body)
        if response.status == 304 and entry is not None:
            entry = self._renewed(entry, response)
            target.counts.not_modified += 1
            stored = self._keep(place, entry)
            return _Flight(entry, fwd, 304, stored)
        if not 200 <= response.status < 300:
            if response.status in (404, 410):
                self._drop(place)  # gone at the source: no copy may be served for it later
            raise refused(target, response)
        entry = _entry(target, response)
        if key is not None and not query and response.status == 200 and self._is_current(place):
            self._observe(source.name, target.name, key, response)
        keep = freshness.may_keep(response.status, header(response.headers, "cache-control"), target.cache_seconds)
        if not keep:
            self._drop(place)
        return _Flight(entry, fwd, response.status, keep and self._keep(place, entry))

    def _renewed(self, entry: _Entry, response: PullResponse) -> _Entry:
        return msgspec.structs.replace(
            entry,
            answered_at_us=response.received_at_us,
            came_aged=freshness.initial_age(header(response.headers, "age")),
        )

    def _stale(self, target: Target, place: CacheKey, error: TidegateError, if_none_match: str | None) -> PullAnswer:
        """Serve the cached copy when the source failed and the resource allows it; else raise the error."""
        upstream = error.upstream_status if isinstance(error, UpstreamError) else None
        failed = isinstance(error, UpstreamError) and (upstream is None or upstream in freshness.STALE_STATUSES)
        entry = self._cache.get(place)
        if not failed or entry is None:
            raise error
        age = freshness.age_seconds(entry.answered_at_us, entry.came_aged, self._clock.now_us())
        if not freshness.may_serve_stale(age, target.cache_seconds, target.stale_if_error_seconds):
            raise error
        target.counts.stale += 1
        status = freshness.cache_status(
            fwd="stale", fwd_status=upstream, ttl=target.cache_seconds - age, detail="stale-if-error"
        )
        answer = _answer(entry, age, status, if_none_match)
        answer.headers.append(("warning", STALE_WARNING))
        return answer

    # -- the cache ---------------------------------------------------------------------------------------

    def _keep(self, place: CacheKey, entry: _Entry) -> bool:
        if not self._is_current(place):
            return False
        self._drop(place)
        if entry.size > self._limit // MAX_ENTRY_SHARE:
            return False
        self._cache[place] = entry
        self._bytes += entry.size
        while self._bytes > self._limit:
            _, oldest = self._cache.popitem(last=False)
            self._bytes -= oldest.size
        return True

    def _is_current(self, place: CacheKey) -> bool:
        """Whether the current configuration made the request that runs in this task."""
        return self._flights.get(place) is asyncio.current_task()

    def _drop(self, place: CacheKey) -> None:
        old = self._cache.pop(place, None)
        if old is not None:
            self._bytes -= old.size

    def forget(self, source: str) -> None:
        """The configuration of the source changed: do not serve what was read with the old one."""
        for place in [place for place in self._cache if place[0] == source]:
            self._drop(place)
        for place in [place for place in self._flights if place[0] == source]:
            del self._flights[place]  # callers that wait get their answer; a new caller makes a new request

    async def close(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)


def parent_in(target: Target, query: Pairs) -> tuple[dict[str, Scalar | None], Pairs]:
    """(fields of the parent, the other parameters) of a pull: `?parent.id=p1` names the parent of a child list.

    BadRequest when a field is missing: there is no list of all children.
    """
    rule = target.resource.parent
    if rule is None:
        return {}, query
    fields: dict[str, Scalar | None] = {
        name.removeprefix(PARENT): value for name, value in query if name.startswith(PARENT)
    }
    missing = [name for name in rule.with_ if name not in fields]
    if missing:
        name, first = f"{target.source.name}/{target.name}", missing[0]
        raise BadRequest(
            f"{name} has one list for each record of {rule.resource}; the request names none",
            hint=f"tidegate pull {name} --param {PARENT}{first}=VALUE (over HTTP: ?{PARENT}{first}=VALUE)",
            code="parent_missing",
        )
    return fields, tuple((name, value) for name, value in query if not name.startswith(PARENT))


def refused(target: Target, response: PullResponse) -> UpstreamError:
    """The error for an answer outside 2xx. 404 and 410 keep their status: the source did answer."""
    status = response.status
    name = f"{target.source.name}/{target.name}"
    if status in (404, 410):
        return UpstreamError(
            f"{name}: the source answered {status}: {shown(response.body)}",
            upstream_status=status,
            code="upstream_not_found",
            status=status,
            retryable=False,
            hint=f"the source does not have it; see the last known record: tidegate records {name}",
        )
    hint = "check path and params of the resource against the message of the source" if status < 500 else None
    if status in (401, 403):
        hint = f"the source rejects the credentials: check auth in [sources.{target.source.name}.api]"
    return UpstreamError(
        f"{name}: the source answered {status}: {shown(response.body)}",
        upstream_status=status,
        hint=hint,
        retryable=status in freshness.STALE_STATUSES,
    )


def _entry(target: Target, response: PullResponse) -> _Entry:
    upstream_etag = header(response.headers, "etag")
    etag = target.source.masked(upstream_etag or freshness.body_etag(response.body))
    shown_headers = [(name.lower(), value) for name, value in response.headers if name.lower() in target.shown]
    headers = [(name, target.source.masked(value)) for name, value in shown_headers]
    headers.append(("etag", etag))
    return _Entry(
        response.status,
        headers,
        response.body,
        etag,
        upstream_etag,
        header(response.headers, "last-modified"),
        freshness.initial_age(header(response.headers, "age")),
        response.received_at_us,
        len(response.body) + ENTRY_OVERHEAD_BYTES,
    )


def _validators(entry: _Entry | None) -> dict[str, str]:
    if entry is None:
        return {}
    if entry.upstream_etag:
        return {"If-None-Match": entry.upstream_etag}
    return {"If-Modified-Since": entry.last_modified} if entry.last_modified else {}


def _answer(entry: _Entry, age: float, status: str, if_none_match: str | None) -> PullAnswer:
    headers = [*entry.headers, ("age", str(int(age))), ("cache-status", status)]
    if entry.status == 200 and if_none_match is not None and freshness.etag_matches(if_none_match, entry.etag):
        return PullAnswer(304, headers, b"")
    return PullAnswer(entry.status, headers, entry.body)
