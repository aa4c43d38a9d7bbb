"""The write side of the active configuration: applies the file, and changes items for the API and the pages.

Owns the owner of each item (`file` or `api`), and what an apply, put, delete, pause or rotation does to the items of
the store. May not know HTTP. Changes run one at a time, each on the result of the one before. Each write seals the body
again, so its bytes identify the write: the store rejects a write when another node changed the item first, and the
change is decided again. Invariant: a rejected change changes nothing. Crash: a change is stored completely or not at
all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from tidegate.config.checks import names_of
from tidegate.config.expand import with_secret
from tidegate.config.export import expanded_again
from tidegate.config.problems import nearest
from tidegate.config.spec import SETTINGS, Config, ExpandedSource, Source
from tidegate.core import spec as config
from tidegate.core.clock import Clock
from tidegate.core.errors import ChangedElsewhere, ConfigError, Conflict, NotFound, StoreBusy, TidegateError
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.kinds import kind_of
from tidegate.providers.shape import provider_of
from tidegate.rules.inbound.signatures import secret_forms, usable
from tidegate.rules.outbound.signing import new_secret
from tidegate.runtime.active import ActiveConfiguration
from tidegate.runtime.credential_use import credential_use
from tidegate.runtime.shapes import SPEC_TYPES, ActiveRoute, ItemChange, OldSecret, Spec, Stored, raw_of, spec_of
from tidegate.store import Item, Store
from tidegate.vault import Vault, item_purpose

API_PLACE = 1_000_000  # items of the API come after the file's, by number
ROTATION_OVERLAP_US = 24 * 3600 * 1_000_000  # how long the old secret also signs
MAX_OLD_SECRETS = 4  # kept after several rotations within a day
TRIES = 5  # of a change, when other nodes change the same items first
LEFT_FILE = "left_file"

T = TypeVar("T")
P = ParamSpec("P")
Change = Callable[Concatenate["ConfigurationEditor", P], Coroutine[Any, Any, T]]


def _in_turn(change: Change[P, T]) -> Change[P, T]:
    """Run the changes of this node one after the other.

    A change is decided again on the current state of the store when another node changed the same items first, and once
    when it is rejected, because the state in memory can be a second old.
    """

    @wraps(change)
    async def turn(self: ConfigurationEditor, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.changing:
            left, rejected = TRIES, False
            while True:
                left -= 1
                try:
                    return await change(self, *args, **kwargs)
                except StoreBusy:
                    self.unsure()
                    raise
                except TidegateError as error:
                    if not left or (rejected and not isinstance(error, ChangedElsewhere)):
                        raise
                    rejected = True
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
        self.not_expanded: list[str] = []  # of the last apply: sources of the API that no provider file fits any more
        self.unsure: Callable[[], None] = lambda: None  # called when a change may be stored but is not active

    # -- changes -----------------------------------------------------------------------------------------

    async def _write(self, items: Sequence[Item], named: Sequence[tuple[str, str]] = ()) -> None:
        """Write items. ChangedElsewhere when one of them, or one in `named`, was changed since it was read."""
        if items:
            by_number = {item.number: item.body for item in self.active.items.values()}
            read = {item.number: by_number[item.number] for item in items if item.number}
            read |= {item.number: item.body for key in named if (item := self.active.items.get(key)) is not None}
            await self._store.settings.put_items(items, read=read)

    @_in_turn
    async def apply(self, loaded: Config, *, prune: bool = False) -> list[ItemChange]:
        """Apply the items of the file. A destination that is no longer in the file is paused, or deleted with `prune`.

        When the file has an item that the API created and both are equal (an export that was added to the file), the
        file takes it over, with its backlog and its secret. ConfigError when they differ; nothing is changed then.
        Nodes that start together apply the same file; the second one finds nothing to change.
        """
        wanted: dict[tuple[str, str], Spec] = {}
        for kind, specs in (
            ("credential", loaded.credentials),
            ("source", loaded.sources),
            ("destination", loaded.destinations),
            ("route", loaded.routes),
        ):
            wanted.update({(kind, name): spec for name, spec in specs.items()})
        for key, spec in wanted.items():
            item = self.active.items.get(key)
            if item is not None and item.owner == "api" and not self._same(item, spec):
                raise ConfigError(
                    f"{key[0]} {key[1]!r} is in the file, but the API created one with other settings",
                    path=f"$.{key[0]}s.{key[1]}",
                    hint="copy it from the output of: tidegate config export; or rename it in the file",
                    code="owned_twice",
                )
        self.not_expanded = []
        puts: list[Item] = []
        changes: list[ItemChange] = []
        for place, (key, spec) in enumerate(wanted.items()):
            self._put_from_file(key, spec, place, puts, changes)
        for key, item in self.active.items.items():
            if item.owner == "file" and key not in wanted:
                self._left_file(item, prune, puts, changes)
            elif item.owner == "api" and key not in wanted and item.kind == "source":
                self._expand_again(item, puts, changes)
        await self._write(puts)
        before, self.active.settings = self.active.settings, loaded
        await self.active.refresh()
        settings = [kind for kind in SETTINGS if getattr(before, kind) != getattr(loaded, kind)]
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
        if not same and isinstance(spec, Source):
            stored = _file_rotated(stored, spec, now)
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

    def _expand_again(self, item: Item, puts: list[Item], changes: list[ItemChange]) -> None:
        """A source of the API takes what its provider file gives now; it stays as it is when that does not fit."""
        stored = self.active.stored[item.number]
        old = spec_of(stored, Source)
        if not isinstance(old, ExpandedSource):
            return
        try:
            new = expanded_again(item.name, old)
        except ConfigError as error:
            self.not_expanded.append(f"source {item.name} keeps what its provider file gave before: {error.message}")
            return
        if new != old:
            changed = msgspec.structs.replace(stored, spec=raw_of(new))
            puts.append(self._again(item, changed, updated_at_us=self._clock.now_us()))
            changes.append(ItemChange("source", item.name, "updated"))

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
    async def put(
        self, kind: str, name: str, make: Callable[[Any], Spec], note: Callable[[Stored], Stored] | None = None
    ) -> bool:
        """Create (True) or replace (False) an item of the API. `make` gets the item that it replaces, or None.

        `note` writes what is stored beside the spec of an item that is replaced.
        Conflict when the file owns it, or when a route names a resource that it no longer has. ConfigError when it
        names an item that does not exist.
        """
        item = self.active.items.get((kind, name))
        self._reject_file_item(item, kind, name)
        spec = make(None if item is None else spec_of(self.active.stored[item.number], SPEC_TYPES[kind]))
        named: list[tuple[str, str]] = []
        if isinstance(spec, config.Route):
            self._check_route(name, spec)
            named = [("source", one) for one in names_of(spec.from_)]
            named += [("destination", one) for one in names_of(spec.to)]
        elif isinstance(spec, Source):
            self._check_resources(name, spec)
            self._check_operations(name, spec)
        elif isinstance(spec, config.Destination) and kind_of(spec).calls(spec)[0]:
            self._check_operation(*kind_of(spec).calls(spec))
            named = [("source", kind_of(spec).calls(spec)[0])]
        credential = self._check_credential(spec)
        named += [("credential", credential)] if credential else []
        if item is None:
            await self._write([self._item(kind, name, spec, "api", API_PLACE)], named)
        else:
            stored = msgspec.structs.replace(self.active.stored[item.number], spec=raw_of(spec))
            stored = note(stored) if note is not None else stored
            await self._write([self._again(item, stored, updated_at_us=self._clock.now_us())], named)
        await self.active.refresh()
        return item is None

    def _check_route(self, name: str, spec: config.Route) -> None:
        for what, names, known in (
            ("source", names_of(spec.from_), (*self.active.sources, SYSTEM_SOURCE)),
            ("destination", names_of(spec.to), self.active.destinations),
            ("resource", () if spec.changes is msgspec.UNSET else spec.changes, self._resources_of(spec)),
        ):
            for one in names:
                if one not in known and (what == "destination" or one != "*"):
                    create = f"create it: tidegate add {what} {one} ..."
                    first = "add it to its source" if what == "resource" else create
                    raise ConfigError(
                        f"route {name!r} names the {what} {one!r}, which does not exist",
                        path=f"$.routes.{name}",
                        hint=f"{nearest(one, known, what)}, or {first}",
                        code="unknown_name",
                    )

    def _check_operation(self, source: str, name: str) -> None:
        """ConfigError when the operation of a destination does not exist."""
        found = self.active.sources.get(source)
        if found is None or name not in found.spec.operations:
            known = [f"{one.name}/{key}" for one in self.active.sources.values() for key in one.spec.operations]
            raise ConfigError(
                f"unknown operation '{source}/{name}'",
                path="$.operation",
                hint=nearest(f"{source}/{name}", known, "operation"),
                code="unknown_name",
            )

    def _check_operations(self, name: str, spec: Source) -> None:
        """Conflict when the new source lacks an operation that a destination names."""
        for user, destination in self.active.destinations.items():
            source, operation = kind_of(destination.spec).calls(destination.spec)
            if source == name and operation not in spec.operations:
                raise Conflict(
                    f"destination {user!r} still uses the operation {name}/{operation}",
                    hint=f"change or delete the destination first: DELETE /api/v1/destinations/{user}",
                    code="in_use",
                )

    def _check_credential(self, spec: Spec) -> str:
        """The name of the shared credential that an item of the API refers to, "" for none. ConfigError."""
        user = credential_use(spec)
        if user is None:
            return ""
        name, origin = user
        found = self.active.credentials.get(name)
        if found is None:
            hint = f"{nearest(name, self.active.credentials, 'credential')}, or create it first"
            raise ConfigError(f"unknown credential {name!r}", path="$.auth.credential", hint=hint, code="unknown_name")
        if origin not in found.spec.origins and (found.owner == "file" or found.spec.origins):
            raise ConfigError(
                f"the credential {name!r} may not be used for {origin}",
                path="$.auth.credential",
                hint=f'add "{origin}" to origins of [credentials.{name}]',
                code="credential_elsewhere",
            )
        return name

    def _check_resources(self, name: str, spec: Source) -> None:
        """Conflict when the new source lacks a resource whose changes a route names."""
        for route in self.active.routes.values():
            lost = self._resources_of(route.spec) - self._resources_of(route.spec, {name: spec})
            for resource in () if route.spec.changes is msgspec.UNSET else route.spec.changes:
                if resource in lost:
                    raise _in_use(route, f"resource {resource!r} of {name!r}")

    def _resources_of(self, spec: config.Route, changed: Mapping[str, Source] | None = None) -> set[str]:
        """Names of the resources whose changes a route may name, with the new versions of the sources `changed`."""
        sources = {name: one.spec for name, one in self.active.sources.items()} | dict(changed or {})
        names = sources if "*" in names_of(spec.from_) else names_of(spec.from_)
        return {resource for name in names if name in sources for resource in sources[name].resources}

    @_in_turn
    async def delete(self, kind: str, name: str) -> None:
        """Delete an item. NotFound; Conflict when the file owns it or a route still names it."""
        await self.active.refresh()  # so that a route that another node has just created counts
        item = self.active.items.get((kind, name))
        if item is None:
            raise NotFound(f"there is no {kind} {name!r}")
        self._reject_file_item(item, kind, name)
        if kind == "credential":
            self._reject_used_credential(name)
        elif kind == "source":
            self._check_operations(name, Source())
        for route in self.active.routes.values():
            if (kind == "source" and name in names_of(route.spec.from_)) or (
                kind == "destination" and name in names_of(route.spec.to)
            ):
                raise _in_use(route, f"{kind} {name!r}")
        now = self._clock.now_us()
        await self._write([self._again(item, deleted_at_us=now, updated_at_us=now)])
        await self.active.refresh()

    def _reject_used_credential(self, name: str) -> None:
        for what, items in (("source", self.active.sources), ("destination", self.active.destinations)):
            for user, item in items.items():
                used = credential_use(item.spec)
                if used is not None and used[0] == name:
                    raise Conflict(
                        f"{what} {user!r} still uses the credential {name!r}",
                        hint=f"change or delete the {what} first",
                        code="in_use",
                    )

    def _reject_file_item(self, item: Item | None, kind: str, name: str) -> None:
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
                f"destination {name!r} is paused because it is no longer in the configuration file",
                hint="add it to the file again, or delete it with: tidegate config apply --prune",
                code="left_file",
            )
        if item.paused_at_us is not None:
            await self._write([self._again(item, paused_at_us=None, pause_reason="")])
            await self.active.refresh()

    @_in_turn
    async def rotate(self, name: str) -> str:
        """Create a new secret; the old one also signs for a day. Conflict when the file has the secret."""
        item = self._destination_item(name)
        spec = self.active.destinations[name].spec
        kind = kind_of(spec)
        configured = kind.secrets(spec)
        if not kind.signs or (configured and item.owner == "file"):
            raise Conflict(
                f"the secret of {name!r} is set in the configuration file or not used for signing",
                hint="rotate a secret of the file in the file: secret = [NEW, OLD]",
                code="secret_in_configuration",
            )
        stored = self.active.stored[item.number]
        now = self._clock.now_us()
        fresh = new_secret()
        signing = configured or stored.made
        # Older secrets are kept too: after two rotations the receiver may still have the first one.
        old = [*(OldSecret(secret, now + ROTATION_OVERLAP_US) for secret in signing)]
        old += [one for one in stored.old if one.until_us > now]
        own = raw_of(msgspec.structs.replace(spec, secret="")) if configured else stored.spec
        stored = msgspec.structs.replace(stored, spec=own, made=(fresh,), old=tuple(old[:MAX_OLD_SECRETS]))
        await self._write([self._again(item, stored, updated_at_us=now)])
        await self.active.refresh()
        return fresh

    @_in_turn
    async def rotate_source(self, name: str, secret: str, keep_us: int) -> None:
        """Accept webhooks that are signed with `secret`, and with the old secrets for `keep_us` more.

        A secret of the file stays accepted until the file changes. NotFound; Conflict when the source has no webhook
        that is signed, or has the secret already; ConfigError for a secret that cannot be one of this source.
        """
        source = self.active.sources.get(name)
        if source is None:
            raise NotFound(f"there is no source {name[:80]!r}", hint="list them: tidegate config show")
        webhook = source.spec.webhook
        schemes = provider_of(webhook).schemes if webhook is not None else ()
        if webhook is None or not schemes:
            raise Conflict(
                f"source {name!r} has no webhook that is signed, so it has no secret",
                hint="set `verify` in its [webhook] first",
                code="no_secret",
            )
        now = self._clock.now_us()
        if not usable(schemes, secret):
            raise ConfigError(
                f"the secret ({len(secret)} characters) is not valid for {name!r}",
                path="$.secret",
                hint=f"it is {secret_forms(schemes)}; copy it again",
            )
        if secret in source.secrets(now):
            raise Conflict(
                f"source {name!r} accepts this secret already", hint="give the new secret", code="secret_known"
            )
        item = self.active.items["source", name]
        stored = self.active.stored[item.number]
        ending = source.made
        if item.owner == "api":  # the new one takes the place of the configured ones
            configured = (webhook.secret,) if isinstance(webhook.secret, str) else tuple(webhook.secret)
            ending += tuple(one for one in configured if one)
            spec = with_secret(source.spec, secret)
            stored = msgspec.structs.replace(stored, spec=raw_of(spec), made=())
        else:
            stored = msgspec.structs.replace(stored, made=(secret,))
        old = [OldSecret(one, now + keep_us) for one in ending] if keep_us else []
        old += [one for one in stored.old if one.until_us > now] if keep_us else []
        stored = msgspec.structs.replace(stored, old=tuple(old[:MAX_OLD_SECRETS]))
        await self._write([self._again(item, stored, updated_at_us=now)])
        await self.active.refresh()

    # -- items -------------------------------------------------------------------------------------------

    def _seal(self, kind: str, name: str, stored: Stored) -> bytes:
        return self._vault.seal(msgspec.json.encode(stored), item_purpose(kind, name))

    def _again(self, item: Item, stored: Stored | None = None, **changes: Any) -> Item:
        """The changed item, with its body sealed again."""
        body = self._seal(item.kind, item.name, stored or self.active.stored[item.number])
        return msgspec.structs.replace(item, body=body, **changes)

    def _item(self, kind: str, name: str, spec: Spec, owner: str, place: int) -> Item:
        now = self._clock.now_us()
        made: tuple[str, ...] = ()
        if isinstance(spec, config.Destination) and kind_of(spec).signs:
            made = (new_secret(),)  # also created beside a configured one, for the case that it is removed
        body = self._seal(kind, name, Stored(raw_of(spec), made))
        return Item(kind, name, 0, owner, body, place, now, now)


def _file_rotated(stored: Stored, spec: Source, now_us: int) -> Stored:
    """The file has new content, so a secret that a command added and the file lacks ends in a day."""
    secret = spec.webhook.secret if spec.webhook is not None else ""
    listed = [secret] if isinstance(secret, str) else secret
    ending = [OldSecret(one, now_us + ROTATION_OVERLAP_US) for one in stored.made if one not in listed]
    return msgspec.structs.replace(stored, made=(), old=(*ending, *stored.old)[:MAX_OLD_SECRETS])


def _in_use(route: ActiveRoute, what: str) -> Conflict:
    return Conflict(
        f"route {route.name!r} still names the {what}",
        hint=f"change or delete the route first: DELETE /api/v1/routes/{route.name}",
        code="in_use",
    )
