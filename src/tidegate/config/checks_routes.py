"""Routes that can never match: event types that no source of the route makes, and changes of resources without records.

Owns what is known of the types of a source without asking it. Adds warnings to `Problems`, because a source may get
another input later. Pure. Invariant: a warning is given only when nothing can match, never for what is not known:
publishers and webhooks may send any type, unless `event_type` fixes it.
"""

from __future__ import annotations

from msgspec import UNSET

from tidegate.config.checks_alerts import check_system_route
from tidegate.config.lines import Path
from tidegate.config.spec import Config, Source
from tidegate.config.validate import Validator
from tidegate.core.errors import ConfigError
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.core.spec import Route
from tidegate.rules.alerts.kinds import SYSTEM_TYPES
from tidegate.rules.language.patterns import compile_types
from tidegate.rules.sync.spec import Resource

KINDS = ("created", "updated", "deleted")


def check_routes(validator: Validator, config: Config) -> None:
    for name, route in config.routes.items():
        names = [route.from_] if isinstance(route.from_, str) else route.from_
        if set(names) == {SYSTEM_SOURCE}:
            check_system_route(validator, ("routes", name), route)
            continue
        sources = (
            config.sources if "*" in names else {one: config.sources[one] for one in names if one in config.sources}
        )
        if "*" not in names and len(sources) < len(set(names) - {SYSTEM_SOURCE}):
            continue  # an unknown source is reported elsewhere
        _types(validator, ("routes", name, "types"), route, sources)
        _changes(validator, ("routes", name, "changes"), route, sources)


def _types(validator: Validator, path: Path, route: Route, sources: dict[str, Source]) -> None:
    """Each entry of `types` that no source of the route can send."""
    if route.types is UNSET:
        return
    known = [one for source in sources.values() for one in [types_of(source)]]
    if not isinstance(route.from_, str) and SYSTEM_SOURCE in route.from_:
        known.append(frozenset(SYSTEM_TYPES))
    if any(one is None for one in known):
        return  # a source that may send any type
    fixed = {one for types in known for one in types or ()}
    changes = {f"{name}.{kind}": name for source in sources.values() for name in source.resources for kind in KINDS}
    for number, pattern in enumerate(route.types):
        try:
            matches = compile_types([pattern])
        except ConfigError:
            continue  # reported already
        if any(matches(one) for one in fixed):
            continue
        resources = sorted({resource for type_, resource in changes.items() if matches(type_)})
        if resources:
            listed = ", ".join(f'"{one}"' for one in resources)
            text = f"{pattern!r} is a change, and 'types' never matches changes: write changes = [{listed}]"
        else:
            sent = f"they send: {', '.join(sorted(fixed))}" if fixed else "they have no webhook, form or publish input"
            text = f"{pattern!r} never matches an event of {', '.join(sources)}: {sent}"
        validator.problems.warn((*path, number), text)


def types_of(source: Source) -> frozenset[str] | None:
    """The event types that a source can send besides changes; None when it may send any."""
    if source.publish is not None:
        return None
    found = set()
    if source.webhook is not None:
        if not source.webhook.event_type:
            return None
        found.add(source.webhook.event_type)
    if source.form is not None:
        found.add(source.form.event_type)
    return frozenset(found)


def _changes(validator: Validator, path: Path, route: Route, sources: dict[str, Source]) -> None:
    """Each resource of `changes` that keeps no records, so that no change of it is ever seen."""
    if route.changes is UNSET:
        return
    for number, name in enumerate(route.changes):
        found = [one.resources[name] for one in sources.values() if name in one.resources]
        if found and not any(_keeps_records(one) for one in found):
            validator.problems.warn(
                (*path, number), f"no change of {name!r} is ever seen: it has no poll, schedule, reconcile or webhook"
            )


def _keeps_records(resource: Resource) -> bool:
    return resource.polls or resource.reconcile is not None or resource.webhook is not None
