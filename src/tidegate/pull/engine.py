"""Pulls on demand, polls and the records of every resource, behind one class for the API and the gateway.

Owns which resources run, by the active configuration. Knows no record and no HTTP: the engines of resources exchange
data with the rest of the gateway only through the store. Invariant: at most one engine runs for a resource; after a
change of configuration the new one starts when the last commit of the old one is done, and only while this node holds
the partition of the source. Every node answers pulls on demand, with its own cache and rate limit. Crash: nothing here
is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy

import msgspec

from tidegate.auth import client_certificate, referred
from tidegate.config.spec import ApiInput, Source
from tidegate.config.spec import Credential as Shared
from tidegate.core.clock import Clock
from tidegate.core.errors import Conflict, NotFound, StoreBusy
from tidegate.core.figures import ResourceFigures
from tidegate.core.findings import Findings
from tidegate.core.model import Event
from tidegate.outbound.credentials import Credentials
from tidegate.pull.answers import AnswerPlaces
from tidegate.pull.on_demand import CACHE_BYTES, CachedCopy, OnDemand, PullAnswer, PullCounts, Target
from tidegate.pull.pull_counts import PullCountsWriter
from tidegate.pull.record_writer import Router
from tidegate.pull.resource import Ports, ResourceEngine, figures_of
from tidegate.pull.run import SCHEDULED, PollOptions, PollReport
from tidegate.pull.shadow import Comparison, Part
from tidegate.pull.sources import PullClient, PullResponse, SourceClient, SourceLimits
from tidegate.rules.outbound.proxies import connect_options
from tidegate.rules.sync.base_urls import place_of
from tidegate.rules.sync.shadow import is_shadow, main_name, main_of, shadow_name, shadow_of
from tidegate.rules.sync.spec import Resource
from tidegate.rules.sync.upstream_rate_limit import UpstreamRateLimit
from tidegate.store import Store, partition_of_name

ResourceName = tuple[str, str]  # (source, resource)


class _Wanted(msgspec.Struct, frozen=True):
    """What an engine is made from: while this is equal, the engine stays."""

    api: ApiInput
    resource: Resource


class PullEngine:
    """All methods belong to the event loop. `configure` may be called before `start` and any time after."""

    name = "pull"

    def __init__(
        self,
        store: Store,
        router: Router,
        client: PullClient,
        clock: Clock,
        *,
        cache_bytes: int = CACHE_BYTES,
        ask: Callable[[int, bytes], Awaitable[bytes]] | None = None,
        findings: Findings | None = None,
        over_share: Callable[[str], bool] = lambda _source: False,
        credentials: Credentials | None = None,
    ) -> None:
        """`ask(partition, call)` reaches the node that holds a partition; its answer is that of `handle` there."""
        self._store = store
        self._router = router
        self._client = client
        self._clock = clock
        self._findings = findings or Findings(clock)
        self._over_share = over_share
        self._credentials = credentials or Credentials()
        self._shared: dict[str, Shared] = {}
        self._quotas: dict[str, UpstreamRateLimit] = {}  # by shared credential
        self._on_demand = OnDemand(clock, self._observe, cache_bytes)
        self._sources: dict[str, Source] = {}
        self._clients: dict[str, SourceClient] = {}
        self._targets: dict[ResourceName, Target] = {}
        self._wanted: dict[ResourceName, _Wanted] = {}
        self._engines: dict[ResourceName, ResourceEngine] = {}
        self._running: dict[ResourceName, _Wanted] = {}
        self._comparisons: dict[ResourceName, Comparison] = {}
        self._by_source: dict[str, tuple[ResourceEngine, ...]] = {}
        self._pull_counts = PullCountsWriter(store.rollups, clock, self._live_targets)
        self._published_offset = 0
        self._partitions: frozenset[int] = frozenset()
        self._ask = ask or store.leases.ask
        self.answers = AnswerPlaces(self._engine_of, self._partition_elsewhere, self._ask)
        self._elsewhere: dict[ResourceName, ResourceFigures] = {}  # figures of resources that run on other nodes
        self._started = False
        self._change: asyncio.Task[None] | None = None

    # -- configuration -----------------------------------------------------------------------------------

    def configure(self, sources: Mapping[str, Source], shared: Mapping[str, Shared] | None = None) -> None:
        """Run what this configuration says. Unchanged resources go on undisturbed; rate limits and counters stay.

        `shared`: the credentials that sources refer to.
        """
        before_shared, self._shared = self._shared, dict(shared or {})
        old_clients, old_targets = self._clients, self._targets
        self._clients, self._targets, self._wanted = {}, {}, {}
        for name, source in sources.items():
            if source.api is None:
                continue
            same = before_shared.get(referred(source.api.auth)) == self._shared.get(referred(source.api.auth))
            client = self._client_of(name, source.api, old_clients.get(name), same)
            self._clients[name] = client
            for resource_name, resource in source.resources.items():
                place = (name, resource_name)
                old = old_targets.get(place)
                self._targets[place] = Target.of(client, resource_name, resource, old.counts if old else PullCounts())
                main, shadow = main_of(resource), shadow_of(resource)
                if main.polls or main.reconcile or main.webhook:
                    self._wanted[place] = _Wanted(source.api, main)
                if shadow is not None:
                    self._wanted[name, shadow_name(resource_name)] = _Wanted(source.api, shadow)
        for name in self._sources.keys() | sources.keys():
            if self._sources.get(name) != sources.get(name):
                self._on_demand.forget(name)
        self._sources = dict(sources)
        if self._started:
            self._bring_about()

    def client_of(self, source: str) -> SourceClient | None:
        """The client of a source, whose rate polls, pulls and operations share; None without an API."""
        return self._clients.get(source)

    def _client_of(self, name: str, api: ApiInput, old: SourceClient | None, same_credential: bool) -> SourceClient:
        if old is not None and old.api == api and same_credential:
            return old
        # The quota belongs to the source, not to the configuration: its state stays.
        rate_limit = self._quota_of(referred(api.auth)) or (old.rate_limit if old is not None else UpstreamRateLimit())
        budgets = (self._credentials.budget_of_source(name, api.rate), self._credentials.budget_of(api.auth))
        options = connect_options(api.ca, api.proxy, client_certificate(api.auth))
        credential = self._credentials.of(f"source/{name}", api.auth, place_of(api.base_url), options)
        limits = SourceLimits(rate_limit, tuple(one for one in budgets if one is not None))
        return SourceClient(name, api, self._client, self._clock, limits, credential)

    def _quota_of(self, credential: str) -> UpstreamRateLimit | None:
        """What the answers to all sources of a shared credential say about its quota; None without one."""
        return self._quotas.setdefault(credential, UpstreamRateLimit()) if credential in self._shared else None

    def _bring_about(self) -> None:
        before = self._change
        self._change = asyncio.create_task(self._reconfigure(before))

    async def _reconfigure(self, before: asyncio.Task[None] | None) -> None:
        """One change after the other; stops first, then starts."""
        if before is not None:
            await asyncio.wait({before})
        partitions = self._partitions
        wanted = {place: one for place, one in self._wanted.items() if partition_of_name(place[0]) in partitions}
        leaving = [place for place in self._engines if self._running[place] != wanted.get(place)]
        stopping = [self._engines.pop(place) for place in leaving]
        for place in leaving:
            del self._running[place]
        self._index()
        if stopping:
            await asyncio.gather(*(engine.stop() for engine in stopping))
        for place, one in wanted.items():
            if place not in self._engines:
                client = self._clients.get(place[0])
                if client is None or client.api != one.api:
                    continue  # configured again meanwhile: the next change in line starts it
                ports = Ports(
                    self._store, self._router, self._clock, self._findings, lambda: self._published_offset,
                    self._over_share,
                )  # fmt: skip
                engine = ResourceEngine(ports, client, place[1], one.resource, self._part(place, one.resource))
                self._engines[place] = engine
                self._running[place] = one
                await engine.start()
        self._index()

    def _part(self, place: ResourceName, resource: Resource) -> Part | None:
        """What a resource with `shadow` is of the comparison of its two ways."""
        if resource.shadow is None:
            return None
        source, name = place
        found = self._comparisons.get((source, main_name(name)))
        if found is None or found.rule != resource.shadow:
            found = Comparison(self._store.records, self._clock, resource.shadow)
            self._comparisons[source, main_name(name)] = found
        return found.part(measures=is_shadow(name))

    def _live_targets(self) -> list[Target]:
        return list(self._targets.values())

    def _index(self) -> None:
        by_source: dict[str, list[ResourceEngine]] = {}
        for (source, _), engine in self._engines.items():
            by_source.setdefault(source, []).append(engine)
        self._by_source = {source: tuple(engines) for source, engines in by_source.items()}

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to follow the log. Nothing polls before partitions are taken."""
        self._published_offset = self._store.log.subscribe(self._on_published)
        self._started = True
        self._pull_counts.start()

    async def take(self, partitions: frozenset[int]) -> None:
        """Poll the sources of `partitions` too. Returns when their engines are started, not when they have polled."""
        self._partitions |= partitions
        await self._changed()

    async def leave(self, partitions: frozenset[int]) -> None:
        """Cancel requests to the sources of `partitions`, and wait for commits that are under way."""
        self._partitions -= partitions
        await self._changed()

    def lost(self) -> None:
        """The lease is gone: engines stop, and the store fences what they still try to commit."""
        self._partitions = frozenset()
        if self._started:
            self._bring_about()

    async def _changed(self) -> None:
        self._bring_about()
        assert self._change is not None
        await asyncio.wait({self._change})

    async def stop(self) -> None:
        if self._started:
            self._started = False
            self._store.log.unsubscribe(self._on_published)
        await self.leave(self._partitions)
        await self._on_demand.close()
        await self._pull_counts.stop()

    def _on_published(self, events: Sequence[Event]) -> None:
        self._published_offset = events[-1].offset
        by_source = self._by_source
        if not by_source:
            return
        for event in events:
            engines = by_source.get(event.source)
            if engines is not None:
                for engine in engines:
                    engine.on_published(event)

    def _observe(self, source: str, resource: str, key: str, response: PullResponse) -> None:
        engine = self._engines.get((source, resource))
        if engine is not None:
            engine.observe(key, response)

    # -- pulls and polls ---------------------------------------------------------------------------------

    def cached(self, source: str, resource: str, key: str | None) -> CachedCopy | None:
        """The cached copy of `pull` without parameters; None when there is none that may be served."""
        target = self._targets.get((source, resource))
        return None if target is None else self._on_demand.cached(target, key)

    async def pull(
        self,
        source: str,
        resource: str,
        key: str | None,
        query: list[tuple[str, str]],
        *,
        max_age: float | None,
        no_cache: bool,
        if_none_match: str | None,
    ) -> PullAnswer:
        """The source's data now: a list page, or one item by its key (not encoded).

        `query` goes to the source, except parameters that the configuration sets: a header of the answer names them.
        `max_age` in seconds, 0 means fresh. The answer is 200, or 304 when `if_none_match` fits. NotFound for an
        unknown name or a resource without item_path; UpstreamError (502; 404 when the source answered 404 or 410) or
        UpstreamTimeout (504) when no cached copy may be served.
        """
        target = self._targets.get((source, resource)) or self._unknown(source, resource)
        return await self._on_demand.pull(
            target, key, query, max_age=max_age, no_cache=no_cache, if_none_match=if_none_match
        )

    async def poll_now(self, source: str, resource: str, options: PollOptions = SCHEDULED) -> PollReport:
        """Poll at once, after a run that is under way. A failure at the source is the report's `error`.

        NotFound for an unknown name; Conflict (code not_polled) for a resource that is only pulled on demand, and (code
        no_deletes_stopped) for `accept_deletes` when the last scan was not stopped.
        """
        if (source, resource) not in self._targets:
            self._unknown(source, resource)
        if self._change is not None:
            await asyncio.wait({self._change})
        engine = self._engines.get((source, resource))
        if engine is None and (source, resource) in self._wanted:
            return await self._poll_elsewhere(source, resource, options)
        if engine is None:
            raise Conflict(
                f"{source}/{resource} has neither poll, reconcile nor webhook: it keeps no records",
                hint=f'set poll = "5m" in [sources.{source}.resources.{resource}]',
                code="not_polled",
            )
        return await engine.poll(options=options)

    async def _poll_elsewhere(self, source: str, resource: str, options: PollOptions) -> PollReport:
        partition = partition_of_name(source)
        if partition in self._partitions:
            raise StoreBusy(f"{source}/{resource} starts on this node", retry_after_seconds=1)
        call = msgspec.json.encode([source, resource, options])
        return msgspec.json.decode(await self._ask(partition, call), type=PollReport)

    async def handle(self, call: bytes) -> bytes:
        """Run a poll that another node asks for, or merge the answers to its writes."""
        source, resource, options = msgspec.json.decode(call, type=tuple[str, str, PollOptions | None])
        if options is None:
            return msgspec.json.encode(await self.answers.merge_here(source, resource))
        return msgspec.json.encode(await self.poll_now(source, resource, options))

    def _engine_of(self, source: str, resource: str) -> ResourceEngine | None:
        return self._engines.get((source, resource))

    def _partition_elsewhere(self, source: str, resource: str) -> int | None:
        partition = partition_of_name(source)
        return partition if (source, resource) in self._wanted and partition not in self._partitions else None

    def _unknown(self, source: str, resource: str) -> Target:
        known = sorted(f"{one}/{other}" for one, other in self._targets)
        raise NotFound(
            f"there is no resource {source}/{resource}",
            hint=f"one of: {', '.join(known[:20])}" if known else "add one to the file: [sources.NAME.resources.NAME]",
            code="unknown_resource",
        )

    # -- figures -----------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, ResourceFigures]:
        """The figures of each resource by `SOURCE/RESOURCE`, as in `GET /stats`."""
        found: dict[str, ResourceFigures] = {}
        for place, target in self._targets.items():
            engine = self._engines.get(place)
            figures = engine.figures() if engine is not None else copy(self._elsewhere.get(place)) or ResourceFigures()
            counts = target.counts
            figures.pulls, figures.pull_hits = counts.pulls, counts.hits
            figures.pull_requests, figures.pull_stale = counts.requests, counts.stale
            found["/".join(place)] = figures
        return found

    async def refresh(self) -> None:
        """Read the figures of resources that run on other nodes; `statistics` shows them from then on."""
        if self._wanted.keys() <= self._engines.keys():
            return
        states = {(state.source, state.resource): state for state in await self._store.records.states()}
        self._elsewhere = {
            place: figures_of(one.resource, states[place]) for place, one in self._wanted.items() if place in states
        }
