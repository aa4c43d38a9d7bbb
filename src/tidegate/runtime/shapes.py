"""What the active configuration is made of: sources, destinations and routes, as engines see them and as kept.

Plain structs without behavior. The body of an item is sealed JSON of `Stored`; only this package reads it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.core import spec as config

Spec = config.Source | config.Destination | config.Route

SPEC_TYPES: dict[str, type[Spec]] = {
    "source": config.Source,
    "destination": config.Destination,
    "route": config.Route,
}


class OldSecret(msgspec.Struct, frozen=True):
    secret: str
    until_us: int


class Stored(msgspec.Struct, frozen=True):
    """What an item's sealed body holds. `made` are secrets drawn by us, newest first."""

    spec: msgspec.Raw
    made: tuple[str, ...] = ()
    old: tuple[OldSecret, ...] = ()


class ActiveSource(msgspec.Struct, frozen=True):
    number: int
    name: str
    spec: config.Source
    owner: str


class ActiveDestination(msgspec.Struct, frozen=True):
    number: int
    name: str
    spec: config.Destination
    owner: str
    paused_at_us: int | None
    pause_reason: str
    secrets: tuple[str, ...]  # newest first; () for kinds that do not sign


class ActiveRoute(msgspec.Struct, frozen=True):
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


def spec_of(stored: Stored, kind: type[Any]) -> Any:
    return msgspec.json.decode(stored.spec, type=kind)


def raw_of(spec: Spec) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(spec))
