"""The configuration in force: what the file and the API define, compiled for the engines.

Owns who owns what (`file` or `api`), numbers of destinations, revisions of routes, and the routing decision with
its interning. Knows no engine: engines ask it, and are told of a change by `on_change`. Everything that stands here
is in the store first, so a restart finds it; the file's items are applied again at each start, and an invalid file
changes nothing.

Changes are made one at a time, each decided by what the one before left. Each write seals the body anew, so its bytes
tell one write from another: the store refuses what another node came before, and it is decided again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from tidegate.clock import Clock
from tidegate.config import model as config
from tidegate.config.checks import names_of
from tidegate.config.problems import nearest
from tidegate.errors import ChangedElsewhere, ConfigError, Conflict, NotFound
from tidegate.rules.routing import Decision, RoutePlan, RouteRule, compile_routes
from tidegate.rules.signing import new_secret
from tidegate.rules.transforms import compile_transform
from tidegate.store import Item, Store
from tidegate.vault import Vault

API_PLACE = 1_000_000  # items of the API come after the file's, by number
ROTATION_OVERLAP_US = 24 * 3600 * 1_000_000  # how long the old secret signs too
MAX_OLD_SECRETS = 4  # of several rotations within a day
TRIES = 5  # of a change that other nodes come before
LEFT_FILE = "left_file"

T = TypeVar("T")
P = ParamSpec("P")
Change = Callable[Concatenate["Live", P], Coroutine[Any, Any, T]]
Spec = config.Source | config.Destination | config.Route


class OldSecret(msgspec.Struct, frozen=True):
    secret: str
    until_us: int


class Stored(msgspec.Struct, frozen=True):
    """What an item's sealed body holds. `made` are secrets drawn by us, newest first."""

    spec: msgspec.Raw
    made: tuple[str, ...] = ()
    old: tuple[OldSecret, ...] = ()


class LiveSource(msgspec.Struct, frozen=True):
    number: int
    name: str
    spec: config.Source
    owner: str


class LiveDestination(msgspec.Struct, frozen=True):
    number: int
    name: str
    spec: config.Destination
    owner: str
    paused_at_us: int | None
    pause_reason: str
    secrets: tuple[str, ...]  # newest first; () for kinds that do not sign


class LiveRoute(msgspec.Struct, frozen=True):
    number: int
    name: str
    revision: int
    spec: config.Route
    owner: str


class ItemChange(msgspec.Struct, frozen=True):
    """What an apply did to one item: `action` is created, updated, deleted, paused or resumed.

    The settings of the file are told likewise, with `kind` as the file calls them and no name.
    """

    kind: str
    name: str
    action: str


_SPEC_TYPES: dict[str, type[Spec]] = {
    "source": config.Source,
    "destination": config.Destination,
    "route": config.Route,
}


class _RevisionBody(msgspec.Struct, frozen=True):
    """A revision as it stands with the events it decided: the route, and the numbers its names meant then."""

    route: msgspec.Raw
    destinations: tuple[int, ...]


def _in_turn(change: Change[P, T]) -> Change[P, T]:
    """Changes of this node go one after the other; one that another node came before is decided again."""

    @wraps(change)
    async def turn(self: Live, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.changing:
            for _ in range(TRIES - 1):
                try:
                    return await change(self, *args, **kwargs)
                except ChangedElsewhere:
                    await self.load()
            return await change(self, *args, **kwargs)

    return turn


class Live:
    """The configuration in force. `load()` first; all methods belong to the event loop."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._items: dict[tuple[str, str], Item] = {}
        self._stored: dict[int, Stored] = {}
        self._rules: dict[int, RouteRule] = {}
        self._transforms: dict[int, Callable[[dict[str, Any]], dict[str, Any]] | None] = {}
        self._route_specs: dict[int, config.Route] = {}
        self._listeners: list[Callable[[], None]] = []
        self._revisions: dict[tuple[str, bytes], int] = {}  # (route name, digest of its content) -> revision
        self.changing = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._plan: RoutePlan = compile_routes((), frozenset())
        self._numbers: dict[tuple[str, int], int] = {}
        self._decisions: dict[int, Decision] = {}  # keeps decisions alive while their id() is a key
        self.sources: dict[str, LiveSource] = {}
        self.destinations: dict[str, LiveDestination] = {}
        self.routes: dict[str, LiveRoute] = {}
        self.destination_names: dict[int, str] = {}
        self.by_number: dict[int, LiveDestination] = {}
        self.deleted: dict[int, int] = {}  # destination number -> deleted_at_us
        self.fed_resources: frozenset[tuple[str, str]] = frozenset()  # (source, resource) that a webhook feeds
        self.settings = config.Config()  # gateway, egress and retention of the file

    # -- loading and compiling ---------------------------------------------------------------------------

    async def load(self) -> None:
        """Read items and route revisions from the store, and compile."""
        for revision, (name, sealed) in (await self._store.settings.route_revisions()).items():
            self._keep_revision(revision, name, self._vault.open(sealed, "route_revision"))
        await self._refresh()

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    async def _refresh(self) -> None:
        async with self._refreshing:  # two at once could end with the older reading
            await self._read_and_compile()

    async def _read_and_compile(self) -> None:
        """Everything is worked out first and comes into force in one step: nobody sees a half of it."""
        items = await self._store.settings.items()
        current = sorted((item for item in items if item.deleted_at_us is None), key=lambda i: (i.place, i.number))
        stored = {
            item.number: msgspec.json.decode(self._vault.open(item.body, item.kind), type=Stored) for item in current
        }
        sources = {
            item.name: LiveSource(item.number, item.name, _spec(stored[item.number], config.Source), item.owner)
            for item in current
            if item.kind == "source"
        }
        destinations = {
            item.name: self._live_destination(item, stored[item.number])
            for item in current
            if item.kind == "destination"
        }
        routes = {}
        for item in current:
            if item.kind == "route":
                spec = _spec(stored[item.number], config.Route)
                revision = await self._revise(item.name, spec, destinations)
                routes[item.name] = LiveRoute(item.number, item.name, revision, spec, item.owner)
        self._items = {(item.kind, item.name): item for item in current}
        self._stored = stored
        self.sources, self.destinations, self.routes = sources, destinations, routes
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

    def _live_destination(self, item: Item, stored: Stored) -> LiveDestination:
        spec: config.Destination = _spec(stored, config.Destination)
        own = [spec.secret] if isinstance(spec.secret, str) else list(spec.secret)
        now = self._clock.now_us()
        secrets = tuple(s for s in own if s) or stored.made
        secrets += tuple(old.secret for old in stored.old if old.until_us > now)
        if spec.type != "webhook":
            secrets = ()
        return LiveDestination(item.number, item.name, spec, item.owner, item.paused_at_us, item.pause_reason, secrets)

    def _compile(self) -> None:
        rules = [self._rules[route.revision] for route in self.routes.values() if route.spec.enabled]
        self.fed_resources = frozenset(
            (source.name, name)
            for source in self.sources.values()
            for name, resource in source.spec.resources.items()
            if resource.webhook is not None
        )
        self._plan = compile_routes(rules, self.fed_resources)
        self._numbers = {}
        self._decisions = {}

    # -- route revisions ---------------------------------------------------------------------------------

    async def _revise(self, name: str, spec: config.Route, destinations: Mapping[str, LiveDestination]) -> int:
        numbers = tuple(destinations[one].number for one in names_of(spec.to) if one in destinations)
        plain = msgspec.json.encode(_RevisionBody(msgspec.Raw(msgspec.json.encode(spec)), numbers))
        known = self._revisions.get((name, _digest(plain)))
        if known is not None:
            return known
        sealed = self._vault.seal(plain, "route_revision")
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

    def transform(self, revision: int) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
        """The compiled transform of a revision, None when it has none."""
        if revision not in self._transforms:
            spec = self._route_specs.get(revision)
            self._transforms[revision] = (
                compile_transform(spec.transform) if spec is not None and spec.transform is not None else None
            )
        return self._transforms[revision]

    def husk(self, number: int) -> LiveDestination | None:
        """A destination that was deleted, as something that can settle what it still owes; it sends nothing."""
        deleted_at_us = self.deleted.get(number)
        if deleted_at_us is None:
            return None
        spec = config.Destination(url="http://deleted.invalid/")
        name = self.destination_names.get(number, f"number-{number}")
        return LiveDestination(number, name, spec, "api", deleted_at_us, "deleted", ())

    # -- the routing decision ----------------------------------------------------------------------------

    def decide(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int | None:
        """Number of the audience, None when this decision was not interned yet (then `decide_slow`)."""
        return self._numbers.get((source, id(self._plan.decide(source, type, resource, view))))

    async def decide_slow(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int:
        plan = self._plan
        decision = plan.decide(source, type, resource, view)
        audience = await self._store.log.audience(source, decision.considered, decision.wanted, decision.filtered)
        if plan is self._plan and len(self._numbers) < 50_000:
            self._numbers[(source, id(decision))] = audience.number
            self._decisions[id(decision)] = decision
        return audience.number

    def decision_today(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None
    ) -> Decision:
        """What the routes of today say, for a replay."""
        return self._plan.decide(source, type, resource, view)

    # -- changing ----------------------------------------------------------------------------------------

    async def _write(self, items: Sequence[Item]) -> None:
        """ChangedElsewhere when one of them is another by now than it was read."""
        if items:
            by_number = {item.number: item.body for item in self._items.values()}
            read = {item.number: by_number[item.number] for item in items if item.number}
            await self._store.settings.put_items(items, read=read)

    @_in_turn
    async def apply(self, loaded: config.Config, *, prune: bool = False) -> list[ItemChange]:
        """Make the file's items what stands in the file. A destination that left is paused, or deleted by `prune`.

        What the API made and the file now has word for word (an export put into the file) becomes the file's, with
        its backlog and its secret. ConfigError when the two differ; nothing is changed then.
        Nodes that start together apply the same file: whoever comes second finds it done.
        """
        wanted: dict[tuple[str, str], Spec] = {}
        for kind, specs in (
            ("source", loaded.sources),
            ("destination", loaded.destinations),
            ("route", loaded.routes),
        ):
            wanted.update({(kind, name): spec for name, spec in specs.items()})
        for key, spec in wanted.items():
            item = self._items.get(key)
            if item is not None and item.owner == "api" and not self._same(item, spec):
                raise ConfigError(
                    f"{key[0]} {key[1]!r} stands in the file and was made otherwise through the API",
                    path=f"$.{key[0]}s.{key[1]}",
                    hint="put into the file what stands in: tidegate config export; or rename it in the file",
                    code="owned_twice",
                )
        puts: list[Item] = []
        changes: list[ItemChange] = []
        for place, (key, spec) in enumerate(wanted.items()):
            self._put_from_file(key, spec, place, puts, changes)
        for key, item in self._items.items():
            if item.owner == "file" and key not in wanted:
                self._left_file(item, prune, puts, changes)
        await self._write(puts)
        before, self.settings = self.settings, loaded
        await self._refresh()
        kinds = ("gateway", "egress", "retention")
        settings = [kind for kind in kinds if getattr(before, kind) != getattr(loaded, kind)]
        return [*(ItemChange(kind, "", "updated") for kind in settings), *changes]

    def _put_from_file(
        self, key: tuple[str, str], spec: Spec, place: int, puts: list[Item], changes: list[ItemChange]
    ) -> None:
        item = self._items.get(key)
        now = self._clock.now_us()
        if item is None:
            puts.append(self._item(key[0], key[1], spec, "file", place))
            changes.append(ItemChange(key[0], key[1], "created"))
            return
        stored = self._stored[item.number]
        came_back = item.pause_reason == LEFT_FILE
        same, taken = self._same(item, spec), item.owner == "api"
        if same and item.place == place and not came_back and not taken:
            return
        puts.append(
            self._again(
                item,
                msgspec.structs.replace(stored, spec=_raw(spec)),
                owner="file",
                place=place,
                updated_at_us=item.updated_at_us if same else now,
                paused_at_us=None if came_back else item.paused_at_us,
                pause_reason="" if came_back else item.pause_reason,
            )
        )
        if not same:
            changes.append(ItemChange(key[0], key[1], "updated"))
        elif came_back:
            changes.append(ItemChange(key[0], key[1], "resumed"))
        elif taken:
            changes.append(ItemChange(key[0], key[1], "taken over"))

    def _same(self, item: Item, spec: Spec) -> bool:
        return bool(msgspec.json.decode(self._stored[item.number].spec, type=_SPEC_TYPES[item.kind]) == spec)

    def _left_file(self, item: Item, prune: bool, puts: list[Item], changes: list[ItemChange]) -> None:
        now = self._clock.now_us()
        if item.kind == "destination" and not prune:
            if item.pause_reason != LEFT_FILE:
                puts.append(self._again(item, paused_at_us=now, pause_reason=LEFT_FILE, updated_at_us=now))
                changes.append(ItemChange(item.kind, item.name, "paused"))
            return
        puts.append(self._again(item, deleted_at_us=now, updated_at_us=now))
        changes.append(ItemChange(item.kind, item.name, "deleted"))

    @_in_turn
    async def put(self, kind: str, name: str, spec: Spec) -> bool:
        """Create (True) or replace (False) an item of the API.

        Conflict when the file owns it; ConfigError when it names what is not there.
        """
        item = self._items.get((kind, name))
        self._refuse_file(item, kind, name)
        if isinstance(spec, config.Route):
            self._check_route(name, spec)
        if item is None:
            await self._write([self._item(kind, name, spec, "api", API_PLACE)])
        else:
            stored = msgspec.structs.replace(self._stored[item.number], spec=_raw(spec))
            await self._write([self._again(item, stored, updated_at_us=self._clock.now_us())])
        await self._refresh()
        return item is None

    def _check_route(self, name: str, spec: config.Route) -> None:
        for what, names, known in (
            ("source", names_of(spec.from_), self.sources),
            ("destination", names_of(spec.to), self.destinations),
            ("resource", () if spec.changes is msgspec.UNSET else spec.changes, self._resources_of(spec)),
        ):
            for one in names:
                if one not in known and (what == "destination" or one != "*"):
                    first = "add it to its source" if what == "resource" else f"make it: tidegate add {what} {one} ..."
                    raise ConfigError(
                        f"route {name!r} names the {what} {one!r}, which is not there",
                        path=f"$.routes.{name}",
                        hint=f"{nearest(one, known, what)}, or first {first}",
                        code="unknown_name",
                    )

    def _resources_of(self, spec: config.Route) -> set[str]:
        """Names of the resources whose changes a route may name."""
        names = self.sources if "*" in names_of(spec.from_) else names_of(spec.from_)
        return {resource for name in names if name in self.sources for resource in self.sources[name].spec.resources}

    @_in_turn
    async def delete(self, kind: str, name: str) -> None:
        """NotFound, Conflict when the file owns it or a route still names it."""
        item = self._items.get((kind, name))
        if item is None:
            raise NotFound(f"there is no {kind} {name!r}")
        self._refuse_file(item, kind, name)
        for route in self.routes.values():
            if (kind == "source" and name in names_of(route.spec.from_)) or (
                kind == "destination" and name in names_of(route.spec.to)
            ):
                raise Conflict(
                    f"route {route.name!r} still names the {kind} {name!r}",
                    hint=f"change or delete the route first: DELETE /api/v1/routes/{route.name}",
                    code="in_use",
                )
        now = self._clock.now_us()
        await self._write([self._again(item, deleted_at_us=now, updated_at_us=now)])
        await self._refresh()

    def _refuse_file(self, item: Item | None, kind: str, name: str) -> None:
        if item is not None and item.owner == "file":
            raise Conflict(
                f"{kind} {name!r} is owned by the configuration file",
                hint="change it in tidegate.toml, then: tidegate config apply",
                code="owned_by_file",
            )

    # -- pausing and secrets -----------------------------------------------------------------------------

    def _destination_item(self, name: str) -> Item:
        item = self._items.get(("destination", name))
        if item is None:
            raise NotFound(f"there is no destination {name!r}")
        return item

    @_in_turn
    async def pause(self, name: str, reason: str = "operator") -> None:
        item = self._destination_item(name)
        if item.paused_at_us is None:
            await self._write([self._again(item, paused_at_us=self._clock.now_us(), pause_reason=reason)])
            await self._refresh()

    @_in_turn
    async def resume(self, name: str) -> None:
        item = self._destination_item(name)
        if item.pause_reason == LEFT_FILE:
            raise Conflict(
                f"destination {name!r} left the configuration file",
                hint="put it back into the file, or: tidegate config apply --prune",
                code="left_file",
            )
        if item.paused_at_us is not None:
            await self._write([self._again(item, paused_at_us=None, pause_reason="")])
            await self._refresh()

    @_in_turn
    async def rotate(self, name: str) -> str:
        """A new secret; what signed before signs beside it for a day. Conflict when the secret stands in the file."""
        item = self._destination_item(name)
        spec = self.destinations[name].spec
        if spec.type != "webhook" or (spec.secret and item.owner == "file"):
            raise Conflict(
                f"the secret of {name!r} is not ours to rotate",
                hint="secrets that stand in the file are rotated there: secret = [NEW, OLD]",
                code="secret_in_configuration",
            )
        stored = self._stored[item.number]
        now = self._clock.now_us()
        fresh = new_secret()
        signing = names_of(spec.secret) if spec.secret else stored.made
        # The one before it may be what the receiver still has, when this was clicked twice.
        old = [*(OldSecret(secret, now + ROTATION_OVERLAP_US) for secret in signing)]
        old += [one for one in stored.old if one.until_us > now]
        own = _raw(msgspec.structs.replace(spec, secret="")) if spec.secret else stored.spec
        stored = msgspec.structs.replace(stored, spec=own, made=(fresh,), old=tuple(old[:MAX_OLD_SECRETS]))
        await self._write([self._again(item, stored, updated_at_us=now)])
        await self._refresh()
        return fresh

    # -- making items ------------------------------------------------------------------------------------

    def _seal(self, kind: str, stored: Stored) -> bytes:
        return self._vault.seal(msgspec.json.encode(stored), kind)

    def _again(self, item: Item, stored: Stored | None = None, **changes: Any) -> Item:
        """The item changed, its body sealed anew."""
        body = self._seal(item.kind, stored or self._stored[item.number])
        return msgspec.structs.replace(item, body=body, **changes)

    def _item(self, kind: str, name: str, spec: Spec, owner: str, place: int) -> Item:
        now = self._clock.now_us()
        made: tuple[str, ...] = ()
        if isinstance(spec, config.Destination) and spec.type == "webhook":
            made = (new_secret(),)  # kept beside a configured one, so that removing that one has a successor
        body = self._seal(kind, Stored(_raw(spec), made))
        return Item(kind, name, 0, owner, body, place, now, now)


def _spec(stored: Stored, kind: type[Any]) -> Any:
    return msgspec.json.decode(stored.spec, type=kind)


def _digest(plain: bytes) -> bytes:
    return hashlib.blake2b(plain, digest_size=16).digest()


def _raw(spec: Spec) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(spec))
