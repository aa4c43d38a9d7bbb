"""Finds the differences between two configurations. Pure.

Owns the comparison for `config diff` and for the log line of an apply. The order matters only for routes, because the
first route that wants a destination decides the transform. Invariant: the result has names of keys and never values.
Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.config.problems import dotted
from tidegate.config.secrets import Tree, tree_of
from tidegate.config.spec import SETTINGS, Config

KINDS = (
    ("credential", "credentials"), ("source", "sources"), ("destination", "destinations"), ("route", "routes"),
)  # fmt: skip


class Difference(msgspec.Struct, frozen=True):
    """One difference. `fields` are dotted paths inside the item, only for `changed`."""

    kind: str  # "gateway", "egress", "retention", "alerts", "credential", "source", "destination", "route"
    name: str  # "" for settings
    action: str  # "added", "removed", "changed", "moved"
    fields: tuple[str, ...] = ()


def diff(old: Config, new: Config) -> list[Difference]:
    """From `old` to `new`: the settings, then the items in the order of `new`, with removed ones last of their kind."""
    return diff_trees(tree_of(old), tree_of(new))


def diff_trees(old: Tree, new: Tree) -> list[Difference]:
    """As `diff`, for trees with the keys of the file. In trees with hidden secrets, these compare as set or not set."""
    found = []
    for kind in SETTINGS:
        fields = _changed(old.get(kind, {}), new.get(kind, {}), ())
        if fields:
            found.append(Difference(kind, "", "changed", tuple(fields)))
    for kind, table in KINDS:
        found.extend(_items(kind, old.get(table, {}), new.get(table, {})))
    return found


def _items(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    found = []
    moved = _moved(list(old), list(new)) if kind == "route" else set()
    for name, item in new.items():
        if name not in old:
            found.append(Difference(kind, name, "added"))
            continue
        fields = _changed(old[name], item, ())
        if fields:
            found.append(Difference(kind, name, "changed", tuple(fields)))
        elif name in moved:
            found.append(Difference(kind, name, "moved"))
    found.extend(Difference(kind, name, "removed") for name in old if name not in new)
    return found


def _moved(old: list[str], new: list[str]) -> set[str]:
    """The names in both lists whose order differs."""
    before = [name for name in old if name in new]
    after = [name for name in new if name in old]
    return {b for a, b in zip(before, after, strict=True) if a != b}


def _changed(old: Any, new: Any, path: tuple[str, ...]) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        out: list[str] = []
        for key in [*new, *(key for key in old if key not in new)]:
            out.extend(_changed(old.get(key), new.get(key), (*path, key)))
        return out
    return [] if _same(old, new) else [dotted(path).removeprefix("$.")]


def _same(old: Any, new: Any) -> bool:
    """Whether two values are equal in JSON: `1` and `true` differ, `1` and `1.0` are equal."""
    if isinstance(old, bool) != isinstance(new, bool):
        return False
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_same(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    return bool(old == new)
