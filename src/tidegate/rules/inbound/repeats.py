"""Decides whether a request that carries a known delivery id is the same event again, or another one. Pure.

Owns the comparison of two events of one delivery id: same type, and the same body once the paths are left out that the
provider declares volatile (attempt counters and the like). Without a body, the parameters of the query are compared.
Knows no store. Invariant: what cannot be compared counts as
different, because an event that is stored twice can be recognized and a lost one cannot. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidegate.core.model import Event, NewEvent
from tidegate.rules.language.operators import same
from tidegate.rules.language.paths import Names, parse_path
from tidegate.rules.language.view import parse_body, query_of

ANY = "*"  # every item of a list, every field of an object


def is_repeat(first: Event, again: NewEvent, volatile: Sequence[Names]) -> bool:
    """Whether `again` is the same event as `first`, which was stored under the same delivery id."""
    if first.type != again.type:
        return False
    if not first.body and not again.body:  # then the query string is all there is
        named = [(name.removeprefix("query:"),) for name, *below in volatile if not below]
        return same(_without(query_of(first.headers), named), _without(query_of(again.headers), named))
    if first.body == again.body:
        return True
    if not volatile:
        return False
    before, after = parse_body(first), parse_body(again)
    if not before.readable or not after.readable:
        return False
    return same(_without(before.value, volatile), _without(after.value, volatile))


def volatile_paths(paths: Sequence[str]) -> tuple[Names, ...]:
    """ConfigError for a text that is not a path. `*` stands for every item: `entries.*.attempt`; `query:NAME` is a
    parameter of the query string, for requests without a body."""
    return tuple(parse_path(path) for path in paths)


def _without(value: Any, paths: Sequence[Names]) -> Any:
    """`value` without what is at `paths`; what it shares with `value` is not copied."""
    here = [names for names in paths if names]
    if not here:
        return value
    if isinstance(value, dict):
        return {name: _without(item, _below(name, here)) for name, item in value.items() if not _ends_at(name, here)}
    if isinstance(value, list):
        return [
            None if _ends_at(str(index), here) else _without(item, _below(str(index), here))
            for index, item in enumerate(value)
        ]
    return value


def _ends_at(name: str, paths: Sequence[Names]) -> bool:
    return any(len(names) == 1 and _fits(names[0], name) for names in paths)


def _below(name: str, paths: Sequence[Names]) -> list[Names]:
    return [names[1:] for names in paths if len(names) > 1 and _fits(names[0], name)]


def _fits(step: str, name: str) -> bool:
    return step in (ANY, name)
