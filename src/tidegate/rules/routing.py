"""Which destinations want an event: decided once, by the routes in force at append.

Owns the meaning of `from`, `types`, `changes`, of the order of routes and of first-wins. May not know the store: a
caller interns the decision as an audience. Invariant: `decide` is a function of the rules, the event and nothing
else, so a repeat gives the same decision. Types are chosen by outsiders, so whatever is remembered by type is
bounded in number and in length, and forgetting costs time only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidegate.rules.language.filters import compile_filter, explain_filter
from tidegate.rules.language.patterns import compile_types

MAX_CACHED = 10_000
_MAX_VERDICTS = 64  # remembered for one (source, type, resource)
MAX_CACHED_TYPE = 200  # characters; a longer type is judged each time

View = Callable[[], dict[str, Any]]


class RouteRule(msgspec.Struct, frozen=True):
    """One route in force. `sources` None is "*"; `types` and `changes` None when the route does not say."""

    revision: int
    name: str
    sources: frozenset[str] | None
    destinations: tuple[int, ...]
    types: tuple[str, ...] | None = None
    changes: tuple[str, ...] | None = None
    filter: dict[str, Any] = {}


class Decision(msgspec.Struct, frozen=True):
    """`considered`: revisions of all routes that name the source, in deciding order. `wanted`: (destination, revision
    of the route that won it), ascending. `filtered`: destinations that a considered route names and none wanted.
    """

    considered: tuple[int, ...]
    wanted: tuple[tuple[int, int], ...]
    filtered: tuple[int, ...]


class _Compiled(msgspec.Struct, frozen=True):
    rule: RouteRule
    types: Callable[[str], bool] | None
    changes: frozenset[str] | None
    filter: Callable[[dict[str, Any]], bool] | None


class _Judged(msgspec.Struct, frozen=True):
    """What is left to judge for one (source, type, resource): some route in question has a filter."""

    considered: tuple[int, ...]
    destinations: tuple[int, ...]  # of all considered routes, ascending
    candidates: tuple[_Compiled, ...]
    covers: tuple[int, ...]  # of each candidate: its destinations as bits, by their place in `destinations`
    verdicts: dict[int, Decision]  # by which candidates won something, as bits


class RoutePlan:
    """The routes in force, indexed by source; remembers what it decided by (source, type, resource)."""

    def __init__(self, rules: Sequence[RouteRule], fed_resources: frozenset[tuple[str, str]]) -> None:
        self._fed = fed_resources
        compiled = [_compile(rule) for rule in rules]
        self._for_any = [one for one in compiled if one.rule.sources is None]
        named = {source for one in compiled if one.rule.sources is not None for source in one.rule.sources}
        self._by_source: dict[str, list[_Compiled]] = {source: [] for source in named}
        for one in compiled:
            for source in named if one.rule.sources is None else one.rule.sources:
                self._by_source[source].append(one)
        self._cache: dict[tuple[str, str, str | None], Decision | _Judged] = {}
        self._interned: dict[Decision, Decision] = {}

    def decide(self, source: str, type: str, resource: str | None, view: View) -> Decision:
        """The decision for one event. `resource` names the resource whose change this is, None for what came in.

        `view` is called at most once, and only when a filter has to be judged. Decisions that are equal are the same
        object until 10,000 different ones were made; hold the object itself when you cache by identity.
        """
        found = self._cache.get((source, type, resource))
        if found is None:
            found = self._look_up(source, type, resource)
        if found.__class__ is Decision:
            return found
        return self._judge(found, view)  # type: ignore[arg-type] # the other half of the union

    def _look_up(self, source: str, type_: str, resource: str | None) -> Decision | _Judged:
        considered = self._by_source.get(source, self._for_any)
        revisions = tuple([one.rule.revision for one in considered])
        destinations = tuple(sorted({number for one in considered for number in one.rule.destinations}))
        candidates = tuple([one for one in considered if _takes(one, source, type_, resource, self._fed)])
        bit = {number: 1 << place for place, number in enumerate(destinations)}
        covers = tuple([sum({bit[number] for number in one.rule.destinations}) for one in candidates])
        judged = _Judged(revisions, destinations, candidates, covers, {})
        found: Decision | _Judged = judged
        if all(one.filter is None for one in candidates):
            found = self._judge(judged, dict)
        if len(type_) <= MAX_CACHED_TYPE:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[source, type_, resource] = found
        return found

    def _judge(self, judged: _Judged, view: View) -> Decision:
        """Runs the filters that can still win something; bits, because a tuple of pairs costs 4 us to hash."""
        winners = covered = 0
        seen: dict[str, Any] | None = None
        for place, one in enumerate(judged.candidates):
            cover = judged.covers[place]
            if covered | cover == covered:
                continue
            if one.filter is not None:
                if seen is None:
                    seen = view()
                if not one.filter(seen):
                    continue
            covered |= cover
            winners |= 1 << place
        known = judged.verdicts.get(winners)
        if known is not None:
            return known
        decision = self._intern(_decision(judged, winners))
        if len(judged.verdicts) >= _MAX_VERDICTS:
            judged.verdicts.clear()
        judged.verdicts[winners] = decision
        return decision

    def _intern(self, decision: Decision) -> Decision:
        known = self._interned.get(decision)
        if known is not None:
            return known
        if len(self._interned) >= MAX_CACHED:
            self._interned.clear()
            self._cache.clear()  # it holds decisions too, and equal ones must stay one object
        self._interned[decision] = decision
        return decision


def _decision(judged: _Judged, winners: int) -> Decision:
    won: dict[int, int] = {}
    for place, one in enumerate(judged.candidates):
        if winners >> place & 1:
            for number in one.rule.destinations:
                won.setdefault(number, one.rule.revision)
    filtered = tuple([number for number in judged.destinations if number not in won])
    return Decision(judged.considered, tuple(sorted(won.items())), filtered)


def compile_routes(rules: Sequence[RouteRule], fed_resources: frozenset[tuple[str, str]]) -> RoutePlan:
    """A plan for `rules`, in deciding order. `fed_resources`: (source, resource) which a webhook feeds.

    Raises ConfigError for a bad pattern or filter, with the route's path.
    """
    return RoutePlan(rules, fed_resources)


def why_not(
    rule: RouteRule,
    source: str,
    type: str,
    resource: str | None,
    view: dict[str, Any] | View,
    fed_resources: frozenset[tuple[str, str]] = frozenset(),
) -> str:
    """Why `rule` does not want the event, in words; "" when it does."""
    if rule.sources is not None and source not in rule.sources:
        return f"it takes events from {_listed(rule.sources)}, this one is from {source}"
    if not _takes(_compile(rule), source, type, resource, fed_resources):
        return _wrong_kind(rule, source, type, resource)
    reason = explain_filter(rule.filter, view if isinstance(view, dict) else view())
    return "" if reason is None else f"filter: {reason}"


def _wrong_kind(rule: RouteRule, source: str, type_: str, resource: str | None) -> str:
    if resource is None:
        if rule.types is None:
            return "it takes changes only, this event came in"
        return f"its types are {_listed(rule.types)}, this one is {type_}"
    if rule.changes is not None:
        return f"it takes changes of {_listed(rule.changes)}, this is a change of {resource}"
    if rule.types is not None:
        return f"its types match what came in, this is a change of {resource}; name it under changes"
    return f"a webhook feeds {source}/{resource}, so its changes go only to routes that name it under changes"


def _compile(rule: RouteRule) -> _Compiled:
    return _Compiled(
        rule,
        None if rule.types is None else compile_types(rule.types),
        None if rule.changes is None else frozenset(rule.changes),
        compile_filter(rule.filter, f"$.routes.{rule.name}.filter") if rule.filter else None,
    )


def _takes(one: _Compiled, source: str, type_: str, resource: str | None, fed: frozenset[tuple[str, str]]) -> bool:
    """By kind and type alone, the filter apart."""
    if resource is None:
        return one.types(type_) if one.types is not None else one.changes is None
    if one.changes is not None:
        return "*" in one.changes or resource in one.changes
    return one.types is None and (source, resource) not in fed


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    shown = sorted(names)[:5]
    return ", ".join(shown) + (", ..." if len(names) > 5 else "")
