"""Decides which destinations want an event, once, by the routes that are active when the event is appended.

Owns the meaning of `from`, `types`, `changes`, of the order of routes and of the rule that the first route wins. May
not know the store: a caller interns the decision as an audience. Invariant: `decide` depends only on the rules and the
event, so a repeat gives the same decision. Outsiders choose event types, so the cache is bounded in the number and
length of types, and clearing it costs only time. Crash: the cache is built again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tidegate.core.model import SYSTEM_SOURCE, JsonObject
from tidegate.rules.language.filters import compile_filter, explain_filter
from tidegate.rules.language.patterns import compile_types

MAX_CACHED = 10_000
_MAX_DECISIONS = 64  # cached for one (source, type, resource)
MAX_CACHED_TYPE = 200  # characters; a longer type is not cached

View = Callable[[], JsonObject]


class RouteRule(msgspec.Struct, frozen=True):
    """One active route. `types` and `changes` are None when the route does not set them.

    `sources` None is "*", which is every source but that of system events.
    """

    revision: int
    name: str
    sources: frozenset[str] | None
    destinations: tuple[int, ...]
    types: tuple[str, ...] | None = None
    changes: tuple[str, ...] | None = None
    filter: JsonObject = {}


class Decision(msgspec.Struct, frozen=True):
    """`considered`: revisions of all routes that name the source, in the order of the routes. `wanted`: (destination,
    revision of the first route that wants the event for it), ascending. `filtered`: the other destinations of the
    considered routes.
    """

    considered: tuple[int, ...]
    wanted: tuple[tuple[int, int], ...]
    filtered: tuple[int, ...]


class _Compiled(msgspec.Struct, frozen=True):
    rule: RouteRule
    types: Callable[[str], bool] | None
    changes: frozenset[str] | None
    filter: Callable[[JsonObject], bool] | None


class _Candidates(msgspec.Struct, frozen=True):
    """The routes that match one (source, type, resource); filters of some of them are still to be applied."""

    considered: tuple[int, ...]
    destinations: tuple[int, ...]  # of all considered routes, ascending
    routes: tuple[_Compiled, ...]
    covers: tuple[int, ...]  # of each route: its destinations as bits, by their index in `destinations`
    decisions: dict[int, Decision]  # by the routes that won a destination, as bits


class RoutePlan:
    """The active routes, indexed by source; caches decisions by (source, type, resource)."""

    def __init__(self, rules: Sequence[RouteRule], fed_resources: frozenset[tuple[str, str]]) -> None:
        self._fed = fed_resources
        compiled = [_compile(rule) for rule in rules]
        self._for_any = [one for one in compiled if one.rule.sources is None]
        named = {source for one in compiled if one.rule.sources is not None for source in one.rule.sources}
        self._by_source: dict[str, list[_Compiled]] = {source: [] for source in named}
        for one in compiled:
            for source in named - {SYSTEM_SOURCE} if one.rule.sources is None else one.rule.sources:
                self._by_source[source].append(one)
        self._by_source.setdefault(SYSTEM_SOURCE, [])  # `*` does not mean system events
        self._cache: dict[tuple[str, str, str | None], Decision | _Candidates] = {}
        self._interned: dict[Decision, Decision] = {}

    def decide(self, source: str, type: str, resource: str | None, view: View) -> Decision:
        """The decision for one event. `resource` is the resource that changed, None when the event is not a change.

        `view` is called at most once, and only when a filter is needed. Equal decisions are the same object until
        10,000 different ones were made; keep a reference to the object when you cache by identity.
        """
        found = self._cache.get((source, type, resource))
        if found is None:
            found = self._look_up(source, type, resource)
        if found.__class__ is Decision:
            return found
        return self._apply_filters(found, view)  # type: ignore[arg-type] # the other half of the union

    def _look_up(self, source: str, type_: str, resource: str | None) -> Decision | _Candidates:
        considered = self._by_source.get(source, self._for_any)
        revisions = tuple([one.rule.revision for one in considered])
        destinations = tuple(sorted({number for one in considered for number in one.rule.destinations}))
        routes = tuple([one for one in considered if _matches(one, source, type_, resource, self._fed)])
        bit = {number: 1 << place for place, number in enumerate(destinations)}
        covers = tuple([sum({bit[number] for number in one.rule.destinations}) for one in routes])
        candidates = _Candidates(revisions, destinations, routes, covers, {})
        found: Decision | _Candidates = candidates
        if all(one.filter is None for one in routes):
            found = self._apply_filters(candidates, dict)
        if len(type_) <= MAX_CACHED_TYPE:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[source, type_, resource] = found
        return found

    def _apply_filters(self, candidates: _Candidates, view: View) -> Decision:
        """Apply the filters of routes that can still win a destination. Bits, because hashing pairs costs 4 us."""
        winners = covered = 0
        seen: JsonObject | None = None
        for place, one in enumerate(candidates.routes):
            cover = candidates.covers[place]
            if covered | cover == covered:
                continue
            if one.filter is not None:
                if seen is None:
                    seen = view()
                if not one.filter(seen):
                    continue
            covered |= cover
            winners |= 1 << place
        known = candidates.decisions.get(winners)
        if known is not None:
            return known
        decision = self._intern(_decision(candidates, winners))
        if len(candidates.decisions) >= _MAX_DECISIONS:
            candidates.decisions.clear()
        candidates.decisions[winners] = decision
        return decision

    def _intern(self, decision: Decision) -> Decision:
        known = self._interned.get(decision)
        if known is not None:
            return known
        if len(self._interned) >= MAX_CACHED:
            self._interned.clear()
            self._cache.clear()  # it holds decisions too, and equal decisions must stay one object
        self._interned[decision] = decision
        return decision


def _decision(candidates: _Candidates, winners: int) -> Decision:
    won: dict[int, int] = {}
    for place, one in enumerate(candidates.routes):
        if winners >> place & 1:
            for number in one.rule.destinations:
                won.setdefault(number, one.rule.revision)
    filtered = tuple([number for number in candidates.destinations if number not in won])
    return Decision(candidates.considered, tuple(sorted(won.items())), filtered)


def compile_routes(rules: Sequence[RouteRule], fed_resources: frozenset[tuple[str, str]]) -> RoutePlan:
    """A plan for `rules`, in order. `fed_resources`: the (source, resource) pairs that a webhook updates.

    Raises ConfigError for a wrong pattern or filter, with the route's path.
    """
    return RoutePlan(rules, fed_resources)


def why_not(
    rule: RouteRule,
    source: str,
    type: str,
    resource: str | None,
    view: JsonObject | View,
    fed_resources: frozenset[tuple[str, str]] = frozenset(),
) -> str:
    """Why `rule` does not want the event, as a sentence; "" when it does."""
    if rule.sources is None and source == SYSTEM_SOURCE:
        return f'`from = "*"` leaves out system events; a route for them says from = "{SYSTEM_SOURCE}"'
    if rule.sources is not None and source not in rule.sources:
        return f"the route takes events from {_listed(rule.sources)}; this event is from {source}"
    if not _matches(_compile(rule), source, type, resource, fed_resources):
        return _wrong_kind(rule, source, type, resource)
    reason = explain_filter(rule.filter, view if isinstance(view, dict) else view())
    return "" if reason is None else f"filter: {reason}"


def _wrong_kind(rule: RouteRule, source: str, type_: str, resource: str | None) -> str:
    if resource is None:
        if rule.types is None:
            return "the route takes only changes; this event is not a change"
        return f"the route takes the types {_listed(rule.types)}; this event has the type {type_}"
    if rule.changes is not None:
        return f"the route takes changes of {_listed(rule.changes)}; this is a change of {resource}"
    if rule.types is not None:
        return f"`types` does not apply to changes, and this is a change of {resource}; list it in `changes`"
    return f"a webhook updates {source}/{resource}, so its changes go only to routes that list it in `changes`"


def _compile(rule: RouteRule) -> _Compiled:
    return _Compiled(
        rule,
        None if rule.types is None else compile_types(rule.types),
        None if rule.changes is None else frozenset(rule.changes),
        compile_filter(rule.filter, f"$.routes.{rule.name}.filter") if rule.filter else None,
    )


def _matches(one: _Compiled, source: str, type_: str, resource: str | None, fed: frozenset[tuple[str, str]]) -> bool:
    """Whether the route matches by kind and type, without its filter."""
    if resource is None:
        return one.types(type_) if one.types is not None else one.changes is None
    if one.changes is not None:
        return "*" in one.changes or resource in one.changes
    return one.types is None and (source, resource) not in fed


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    shown = sorted(names)[:5]
    return ", ".join(shown) + (", ..." if len(names) > 5 else "")
