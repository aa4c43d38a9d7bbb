"""Who may change the configuration: the file, the API, pauses, secrets.

Owns who owns what (`file` or `api`) and what an apply, a put or a delete does to the items of the store.

Changes are made one at a time, each decided by what the one before left. Each write seals the body anew, so its bytes
tell one write from another: the store refuses what another node came before, and it is decided again. A change that is
refused changes nothing; crash: it is in the store as a whole, or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from tidegate.config.checks import names_of
from tidegate.config.problems import nearest
from tidegate.config.spec import Config, Source
from tidegate.core import spec as config
from tidegate.core.clock import Clock
from tidegate.core.errors import ChangedElsewhere, ConfigError, Conflict, NotFound, StoreBusy, TidegateError
from tidegate.kinds import kind_of
from tidegate.rules.outbound.signing import new_secret
from tidegate.runtime.active import ActiveConfiguration
from tidegate.runtime.shapes import SPEC_TYPES, ActiveRoute, ItemChange, OldSecret, Spec, Stored, raw_of, spec_of
from tidegate.store import Item, Store
from tidegate.vault import Vault

API_PLACE = 1_000_000  # items of the API come after the file's, by number
ROTATION_OVERLAP_US = 24 * 3600 * 1_000_000  # how long the old secret signs too
MAX_OLD_SECRETS = 4  # of several rotations within a day
TRIES = 5  # of a change that other nodes come before
LEFT_FILE = "left_file"

T = TypeVar("T")
P = ParamSpec("P")
Change = Callable[Concatenate["ConfigurationEditor", P], Coroutine[Any, Any, T]]


def _in_turn(change: Change[P, T]) -> Change[P, T]:
    """Changes of this node go one after the other. One that another node came before is decided again, and so is one
    that is refused: by what the store holds now, for what stands in memory may be a second old.
    """

    @wraps(change)
    async def turn(self: ConfigurationEditor, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.changing:
            left, refused = TRIES, False
            while True:
                left -= 1
                try:
                    return await change(self, *args, **kwargs)
                except StoreBusy:
                    self.unsure()
                    raise
                except TidegateError as error:
                    if not left or (refused and not isinstance(error, ChangedElsewhere)):
                        raise
                    refused = True
                await self.active.load()

    return turn


class ConfigurationEditor:
    """Changes the active configuration in the store, one change at a time. Call it on the event loop only."""

    def __init__(self, active: ActiveConfiguration, store: Store, vault: Vault, clock: Clock) -> None:
        self.active = active
        self._store = store
        self._vault = vault
        self._clock = clock
        self.changing = asyncio.Lock()
        self.unsure: Callable[[], None] = lambda: None  # called when a change may be stored and is not yet active

    # -- changing ----------------------------------------------------------------------------------------

    async def _write(self, items: Sequence[Item], named: Sequence[tuple[str, str]] = ()) -> None:
        """ChangedElsewhere when one of them, or one that they name, is another by now than it was read."""
        if items:
            by_number = {item.number: item.body for item in self.active.items.values()}
            read = {item.number: by_number[item.number] for item in items if item.number}
            read |= {item.number: item.body for key in named if (item := self.active.items.get(key)) is not None}
            await self._store.settings.put_items(items, read=read)

    @_in_turn
    async def apply(self, loaded: Config, *, prune: bool = False) -> list[ItemChange]:
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
            item = self.active.items.get(key)
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
        for key, item in self.active.items.items():
            if item.owner == "file" and key not in wanted:
                self._left_file(item, prune, puts, changes)
        await self._write(puts)
        before, self.active.settings = self.active.settings, loaded
        await self.active.refresh()
        kinds = ("gateway", "egress", "retention")
        settings = [kind for kind in kinds if getattr(before, kind) != getattr(loaded, kind)]
        return [*(ItemChange(kind, "", "updated") for kind in settings), *changes]

    def _put_from_file(
        self, key: tuple[str, str], spec: Spec, place: int, puts: list[Item], changes: list[ItemChange]
    ) -> None:
        item = self.active.items.get(key)
        now = self._clock.now_us()
        if item is None:
            puts.append(self._item(key[0], key[1], spec, "file", place))
            changes.append(ItemChange(key[0], key[1], "created"))
            return
        stored = self.active.stored[item.number]
        came_back = item.pause_reason == LEFT_FILE
        same, taken = self._same(item, spec), item.owner == "api"
        if same and item.place == place and not came_back and not taken:
            return
        puts.append(
            self._again(
                item,
                msgspec.structs.replace(stored, spec=raw_of(spec)),
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
        return bool(spec_of(self.active.stored[item.number], SPEC_TYPES[item.kind]) == spec)

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
    async def put(self, kind: str, name: str, make: Callable[[Any], Spec]) -> bool:
        """Create (True) or replace (False) an item of the API. `make` gets what it replaces, or None.

        Conflict when the file owns it, or a route names what it has no more; ConfigError when it names what is not
        there.
        """
        item = self.active.items.get((kind, name))
        self._refuse_file(item, kind, name)
        spec = make(None if item is None else spec_of(self.active.stored[item.number], SPEC_TYPES[kind]))
        named: list[tuple[str, str]] = []
        if isinstance(spec, config.Route):
            self._check_route(name, spec)
            named = [("source", one) for one in names_of(spec.from_)]
            named += [("destination", one) for one in names_of(spec.to)]
        elif isinstance(spec, Source):
            self._check_resources(name, spec)
        if item is None:
            await self._write([self._item(kind, name, spec, "api", API_PLACE)], named)
        else:
            stored = msgspec.structs.replace(self.active.stored[item.number], spec=raw_of(spec))
            await self._write([self._again(item, stored, updated_at_us=self._clock.now_us())], named)
        await self.active.refresh()
        return item is None

    def _check_route(self, name: str, spec: config.Route) -> None:
        for what, names, known in (
            ("source", names_of(spec.from_), self.active.sources),
            ("destination", names_of(spec.to), self.active.destinations),
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

    def _check_resources(self, name: str, spec: Source) -> None:
        """A source keeps the resources whose changes a route names, as one that a route names is not deleted."""
        for route in self.active.routes.values():
            lost = self._resources_of(route.spec) - self._resources_of(route.spec, {name: spec})
            for resource in () if route.spec.changes is msgspec.UNSET else route.spec.changes:
                if resource in lost:
                    raise _in_use(route, f"resource {resource!r} of {name!r}")

    def _resources_of(self, spec: config.Route, changed: Mapping[str, Source] | None = None) -> set[str]:
        """Names of the resources whose changes a route may name, with the sources `changed` as they are to be."""
        sources = {name: one.spec for name, one in self.active.sources.items()} | dict(changed or {})
        names = sources if "*" in names_of(spec.from_) else names_of(spec.from_)
        return {resource for name in names if name in sources for resource in sources[name].resources}

    @_in_turn
    async def delete(self, kind: str, name: str) -> None:
        """NotFound, Conflict when the file owns it or a route still names it."""
        await self.active.refresh()  # a route that another node made just now counts
        item = self.active.items.get((kind, name))
        if item is None:
            raise NotFound(f"there is no {kind} {name!r}")
        self._refuse_file(item, kind, name)
        for route in self.active.routes.values():
            if (kind == "source" and name in names_of(route.spec.from_)) or (
                kind == "destination" and name in names_of(route.spec.to)
            ):
                raise _in_use(route, f"{kind} {name!r}")
        now = self._clock.now_us()
        await self._write([self._again(item, deleted_at_us=now, updated_at_us=now)])
        await self.active.refresh()

    def _refuse_file(self, item: Item | None, kind: str, name: str) -> None:
        if item is not None and item.owner == "file":
            raise Conflict(
                f"{kind} {name!r} is owned by the configuration file",
                hint="change it in tidegate.toml, then: tidegate config apply",
                code="owned_by_file",
            )

    # -- pausing and secrets -----------------------------------------------------------------------------

    def _destination_item(self, name: str) -> Item:
        item = self.active.items.get(("destination", name))
        if item is None:
            raise NotFound(f"there is no destination {name!r}")
        return item

    @_in_turn
    async def pause(self, name: str, reason: str = "operator") -> None:
        item = self._destination_item(name)
        if item.paused_at_us is None:
            await self._write([self._again(item, paused_at_us=self._clock.now_us(), pause_reason=reason)])
            await self.active.refresh()

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
            await self.active.refresh()

    @_in_turn
    async def rotate(self, name: str) -> str:
        """A new secret; what signed before signs beside it for a day. Conflict when the secret stands in the file."""
        item = self._destination_item(name)
        spec = self.active.destinations[name].spec
        kind = kind_of(spec)
        configured = kind.secrets(spec)
        if not kind.signs or (configured and item.owner == "file"):
            raise Conflict(
                f"the secret of {name!r} is not ours to rotate",
                hint="secrets that stand in the file are rotated there: secret = [NEW, OLD]",
                code="secret_in_configuration",
            )
        stored = self.active.stored[item.number]
        now = self._clock.now_us()
        fresh = new_secret()
        signing = configured or stored.made
        # The one before it may be what the receiver still has, when this was clicked twice.
        old = [*(OldSecret(secret, now + ROTATION_OVERLAP_US) for secret in signing)]
        old += [one for one in stored.old if one.until_us > now]
        own = raw_of(msgspec.structs.replace(spec, secret="")) if configured else stored.spec
        stored = msgspec.structs.replace(stored, spec=own, made=(fresh,), old=tuple(old[:MAX_OLD_SECRETS]))
        await self._write([self._again(item, stored, updated_at_us=now)])
        await self.active.refresh()
        return fresh

    # -- making items ------------------------------------------------------------------------------------

    def _seal(self, kind: str, stored: Stored) -> bytes:
        return self._vault.seal(msgspec.json.encode(stored), kind)

    def _again(self, item: Item, stored: Stored | None = None, **changes: Any) -> Item:
        """The item changed, its body sealed anew."""
        body = self._seal(item.kind, stored or self.active.stored[item.number])
        return msgspec.structs.replace(item, body=body, **changes)

    def _item(self, kind: str, name: str, spec: Spec, owner: str, place: int) -> Item:
        now = self._clock.now_us()
        made: tuple[str, ...] = ()
        if isinstance(spec, config.Destination) and kind_of(spec).signs:
            made = (new_secret(),)  # kept beside a configured one, so that removing that one has a successor
        body = self._seal(kind, Stored(raw_of(spec), made))
        return Item(kind, name, 0, owner, body, place, now, now)


def _in_use(route: ActiveRoute, what: str) -> Conflict:
    return Conflict(
        f"route {route.name!r} still names the {what}",
        hint=f"change or delete the route first: DELETE /api/v1/routes/{route.name}",
        code="in_use",
    )
