"""The structs of the active configuration: sources, destinations and routes, as engines see them and as stored.

Owns the format of an item's body: sealed JSON of `Stored`, which only this package reads. May not know how items are
stored or changed. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate import kinds
from tidegate.config.spec import Credential, ExpandedSource, Source
from tidegate.core.spec import Destination, Route

Spec = Credential | Source | Destination | Route

SPEC_TYPES: dict[str, type[Spec]] = {
    "credential": Credential,
    "source": Source,
    "destination": Destination,
    "route": Route,
}


class OldSecret(msgspec.Struct, frozen=True):
    secret: str
    until_us: int


class Followed(msgspec.Struct, frozen=True):
    """The keys of a resource that advice changed, before and after; None where a key is absent."""

    before: dict[str, Any]
    after: dict[str, Any]


class Stored(msgspec.Struct, frozen=True):
    """The content of an item's sealed body. `made` are generated secrets, newest first.

    `followed`: of a source, the last advice that was applied, by resource, so that it can be undone.
    """

    spec: msgspec.Raw
    made: tuple[str, ...] = ()
    old: tuple[OldSecret, ...] = ()
    followed: dict[str, Followed] = {}


class ActiveCredential(msgspec.Struct, frozen=True):
    number: int
    name: str
    spec: Credential
    owner: str


class ActiveSource(msgspec.Struct, frozen=True):
    """`made` and `old` are what a rotation put beside the configured secret."""

    number: int
    name: str
    spec: Source
    owner: str
    made: tuple[str, ...] = ()
    old: tuple[OldSecret, ...] = ()
    followed: Mapping[str, Followed] = {}

    def secrets(self, now_us: int) -> list[str]:
        """All secrets by which a webhook may be signed now, newest first."""
        webhook = self.spec.webhook
        configured: list[str] = []
        if webhook is not None:
            configured = [webhook.secret] if isinstance(webhook.secret, str) else list(webhook.secret)
        old = [one.secret for one in self.old if one.until_us > now_us]
        return list(dict.fromkeys(one for one in (*self.made, *configured, *old) if one))

    def next_end_us(self, now_us: int) -> int:
        """When the next of the secrets ends; 0 when none does."""
        return min((one.until_us for one in self.old if one.until_us > now_us), default=0)


class ActiveDestination(msgspec.Struct, frozen=True):
    number: int
    name: str
    spec: Destination
    owner: str
    paused_at_us: int | None
    pause_reason: str
    secrets: tuple[str, ...]  # newest first; () for kinds that do not sign


class ActiveRoute(msgspec.Struct, frozen=True):
    number: int
    name: str
    revision: int
    spec: Route
    owner: str


class ItemChange(msgspec.Struct, frozen=True):
    """What an apply did to one item. `action` is created, updated, deleted, paused, resumed or taken over.

    For settings of the file, `kind` is the name of their table and `name` is empty.
    """

    kind: str
    name: str
    action: str


def spec_of(stored: Stored, kind: type[Any]) -> Any:
    """The spec of an item, `kind` as in SPEC_TYPES. A destination may be stored without `type`, as a webhook."""
    if kind is Source:
        source = msgspec.json.decode(stored.spec, type=ExpandedSource)
        return source if source.written else msgspec.json.decode(stored.spec, type=Source)
    return kinds.decode(stored.spec) if kind is Destination else msgspec.json.decode(stored.spec, type=kind)


def raw_of(spec: Spec) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(spec))
