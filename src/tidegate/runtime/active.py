"""The read side of the active configuration: the items of the store, decrypted and compiled, and the routing decision.

Owns the numbers of destinations, the revisions of routes that decided events, and the interning of decisions. May not
know who may change an item. Invariant: a new configuration is computed first and becomes active in one step, so no
reader sees half of it; it is read again after each change of this node or another one. Crash: nothing is kept; a start
reads the store.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tidegate.config.checks import names_of
from tidegate.config.spec import Config, Credential, Source
from tidegate.core import spec as config
from tidegate.core.clock import Clock
from tidegate.core.model import JsonObject
from tidegate.kinds import kind_of
from tidegate.kinds.webhook import WebhookDestination
from tidegate.providers.shape import provider_of
from tidegate.rules.language.transforms import compile_transform
from tidegate.rules.outbound.forwarding import NOTHING, HeaderNames
from tidegate.rules.routing import Decision, RoutePlan, RouteRule, compile_routes
from tidegate.rules.sync.shadow import main_of
from tidegate.runtime.shapes import (
    ActiveCredential,
    ActiveDestination,
    ActiveRoute,
    ActiveSource,
    Stored,
    raw_of,
    spec_of,
)
from tidegate.runtime.written_records import WrittenRecords
from tidegate.store import Item, Store
from tidegate.vault import REVISION, Vault, item_purpose

MAX_DECISIONS = 50_000  # interned in memory; further decisions are looked up in the store each time


class _RevisionBody(msgspec.Struct, frozen=True):
    """A stored revision: the route, and the numbers of its destinations at that time."""

    route: msgspec.Raw
    destinations: tuple[int, ...]


class ActiveConfiguration:
    """Gives access to the items and decides routing. Call `load()` first, and all methods on the event loop."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self.items: dict[tuple[str, str], Item] = {}
        self.stored: dict[int, Stored] = {}
        self._rules: dict[int, RouteRule] = {}
        self._transforms: dict[int, Callable[[JsonObject], JsonObject] | None] = {}
        self._route_specs: dict[int, config.Route] = {}
        self._listeners: list[Callable[[], None]] = []
        self._revisions: dict[tuple[str, bytes], int] = {}  # (route name, digest of its content) -> revision
        self._refreshing = asyncio.Lock()
        self._plan: RoutePlan = compile_routes((), frozenset())
        self._numbers: dict[tuple[str, int], int] = {}
        self._decisions: dict[int, Decision] = {}  # keeps decisions alive while their id() is a key
        self.credentials: dict[str, ActiveCredential] = {}
        self.sources: dict[str, ActiveSource] = {}
        self.destinations: dict[str, ActiveDestination] = {}
        self.routes: dict[str, ActiveRoute] = {}
        self.destination_names: dict[int, str] = {}
        self.by_number: dict[int, ActiveDestination] = {}
        self.deleted: dict[int, int] = {}  # destination number -> deleted_at_us
        self.fed_resources: frozenset[tuple[str, str]] = frozenset()  # (source, resource) that a webhook updates
        self.settings = Config()  # gateway, egress and retention of the file
        self._forwards: dict[str, HeaderNames] = {}
        self.written = WrittenRecords(lambda: self.sources, lambda: self.by_number, self._wanted_by)

    # -- loading and compiling ---------------------------------------------------------------------------

    async def load(self) -> None:
        """Read items and route revisions from the store, and compile."""
        for revision, (name, sealed) in (await self._store.settings.route_revisions()).items():
            if revision not in self._rules:  # a known revision never changes
                plain = self._vault.open(sealed, item_purpose(REVISION, name))
                self._keep_revision(revision, name, plain)
        await self.refresh()

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    async def refresh(self) -> None:
        async with self._refreshing:  # two at the same time could end with the older state
            await self._read_and_compile()

    async def _read_and_compile(self) -> None:
        """Compute everything first, then make it active in one step."""
        items = await self._store.settings.items()
        current = sorted((item for item in items if item.deleted_at_us is None), key=lambda i: (i.place, i.number))
        stored = {
            item.number: msgspec.json.decode(
                self._vault.open(item.body, item_purpose(item.kind, item.name)), type=Stored
            )
            for item in current
        }
        credentials = {
            item.name: ActiveCredential(item.number, item.name, spec_of(stored[item.number], Credential), item.owner)
            for item in current
            if item.kind == "credential"
        }
        sources = {item.name: _active_source(item, stored[item.number]) for item in current if item.kind == "source"}
        destinations = {
            item.name: self._active_destination(item, stored[item.number])
            for item in current
            if item.kind == "destination"
        }
        routes = {}
        for item in current:
            if item.kind == "route":
                spec = spec_of(stored[item.number], config.Route)
                revision = await self._revise(item.name, spec, destinations)
                routes[item.name] = ActiveRoute(item.number, item.name, revision, spec, item.owner)
        self.items = {(item.kind, item.name): item for item in current}
        self.stored = stored
        self.credentials = credentials
        self.sources, self.destinations, self.routes = sources, destinations, routes
        self._forwards = {}
        self.by_number = {one.number: one for one in destinations.values()}
        self.destination_names = {item.number: item.name for item in items if item.kind == "destination"}
        self.deleted = {
            item.number: item.deleted_at_us
            for item in items
            if item.kind == "destination" and item.deleted_at_us is not None
        }
        self._compile()
        for listener in self._listeners:
            listener()

    def forwards(self, source: str) -> HeaderNames:
        """The request headers that a source passes on to its receivers."""
        found = self._forwards.get(source)
        if found is None:
            active = self.sources.get(source)
            webhook = active.spec.webhook if active is not None else None
            found = HeaderNames(provider_of(webhook).forward_headers) if webhook is not None else NOTHING
            self._forwards[source] = found
        return found

    def _active_destination(self, item: Item, stored: Stored) -> ActiveDestination:
        spec: config.Destination = spec_of(stored, config.Destination)
        kind = kind_of(spec)
        secrets: tuple[str, ...] = ()
        if kind.signs:
            now = self._clock.now_us()
            secrets = kind.secrets(spec) or stored.made
            secrets += tuple(old.secret for old in stored.old if old.until_us > now)
        return ActiveDestination(
            item.number, item.name, spec, item.owner, item.paused_at_us, item.pause_reason, secrets
        )

    def _compile(self) -> None:
        rules = [self._rules[route.revision] for route in self.routes.values() if route.spec.enabled]
        self.fed_resources = frozenset(
            (source.name, name)
            for source in self.sources.values()
            for name, resource in source.spec.resources.items()
            if main_of(resource).webhook is not None
        )
        self._plan = compile_routes(rules, self.fed_resources)
        self._numbers = {}
        self._decisions = {}

    # -- route revisions ---------------------------------------------------------------------------------

    async def _revise(self, name: str, spec: config.Route, destinations: Mapping[str, ActiveDestination]) -> int:
        numbers = tuple(destinations[one].number for one in names_of(spec.to) if one in destinations)
        plain = msgspec.json.encode(_RevisionBody(raw_of(spec), numbers))
        known = self._revisions.get((name, _digest(plain)))
        if known is not None:
            return known
        sealed = self._vault.seal(plain, item_purpose(REVISION, name))
        revision = await self._store.settings.route_revision(name, sealed, _digest(plain))
        self._keep_revision(revision, name, plain)
        return revision

    def _keep_revision(self, revision: int, name: str, plain: bytes) -> None:
        self._revisions[name, _digest(plain)] = revision
        if revision in self._rules:
            return
        body = msgspec.json.decode(plain, type=_RevisionBody)
        spec = msgspec.json.decode(body.route, type=config.Route)
        sources = names_of(spec.from_)
        self._rules[revision] = RouteRule(
            revision=revision,
            name=name,
            sources=None if "*" in sources else frozenset(sources),
            destinations=body.destinations,
            types=None if spec.types is msgspec.UNSET else tuple(spec.types),
            changes=None if spec.changes is msgspec.UNSET else tuple(spec.changes),
            filter=spec.filter,
        )
        self._route_specs[revision] = spec

    def revision(self, number: int) -> RouteRule | None:
        return self._rules.get(number)

    def route_name(self, revision: int) -> str:
        rule = self._rules.get(revision)
        return rule.name if rule is not None else ""

    def transform(self, revision: int) -> Callable[[JsonObject], JsonObject] | None:
        """The compiled transform of a revision, None when it has none."""
        if revision not in self._transforms:
            spec = self._route_specs.get(revision)
            self._transforms[revision] = (
                compile_transform(spec.transform) if spec is not None and spec.transform is not None else None
            )
        return self._transforms[revision]

    def tombstone_of(self, number: int) -> ActiveDestination | None:
        """A deleted destination, so that its open deliveries can be settled. It sends nothing."""
        deleted_at_us = self.deleted.get(number)
        if deleted_at_us is None:
            return None
        spec = WebhookDestination(url="http://deleted.invalid/")
        name = self.destination_names.get(number, f"number-{number}")
        return ActiveDestination(number, name, spec, "api", deleted_at_us, "deleted", ())

    # -- the routing decision ----------------------------------------------------------------------------

    def decide(self, source: str, type: str, view: Callable[[], JsonObject], resource: str | None = None) -> int | None:
        """The number of the audience; None when the decision is not interned yet (call `decide_slow` then)."""
        return self._numbers.get((source, id(self._plan.decide(source, type, resource, view))))

    async def decide_slow(
        self, source: str, type: str, view: Callable[[], JsonObject], resource: str | None = None
    ) -> int:
        plan = self._plan
        decision = plan.decide(source, type, resource, view)
        audience = await self._store.log.audience(source, decision.considered, decision.wanted, decision.filtered)
        if plan is self._plan and len(self._numbers) < MAX_DECISIONS:
            self._numbers[(source, id(decision))] = audience.number
            self._decisions[id(decision)] = decision
        return audience.number

    async def decide_own(
        self, source: str, type: str, view: Callable[[], JsonObject], resource: str, chain: Sequence[str]
    ) -> int:
        """The number of the audience of a change that our own write made: without destinations that would write to a
        source of its causal chain."""
        decision = self._plan.decide(source, type, resource, view)
        inside = {one.number for one in self.destinations.values() if kind_of(one.spec).calls(one.spec)[0] in chain}
        wanted = tuple(pair for pair in decision.wanted if pair[0] not in inside)
        dropped = {number for number, _ in decision.wanted if number in inside}
        filtered = tuple(sorted({*decision.filtered, *dropped}))
        return (await self._store.log.audience(source, decision.considered, wanted, filtered)).number

    def _wanted_by(self, audience: int) -> list[int]:
        return [number for number, _ in self._store.log.audiences()[audience].wanted]

    def decision_today(self, source: str, type: str, view: Callable[[], JsonObject], resource: str | None) -> Decision:
        """The decision of the current routes, for a replay."""
        return self._plan.decide(source, type, resource, view)


def _active_source(item: Item, stored: Stored) -> ActiveSource:
    spec = spec_of(stored, Source)
    return ActiveSource(item.number, item.name, spec, item.owner, stored.made, stored.old, stored.followed)


def _digest(plain: bytes) -> bytes:
    return hashlib.blake2b(plain, digest_size=16).digest()
