"""Keys of a resource that can have no effect, and values that can never match what they are for.

Owns the warnings of `check` about one resource. Adds to `Problems`; nothing here stops a load, because a key may wait
for another one. Pure. Invariant: a warning is given only when the key has no effect whatever the source sends.
"""

from __future__ import annotations

from tidegate.config.checks_routes import types_of
from tidegate.config.lines import Path
from tidegate.config.spec import Source
from tidegate.config.validate import Validator
from tidegate.core import units
from tidegate.core.errors import ConfigError
from tidegate.rules.language.patterns import compile_types
from tidegate.rules.sync import instants
from tidegate.rules.sync.spec import Deletes, Incremental, Resource

_DEFAULTS = Deletes()
_BOUNDS = {"poll": ("poll_min", "poll_max"), "reconcile": ("reconcile_min", "reconcile_max")}


def check_unused(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    if resource.delay_price is not None and (source.api is None or source.api.price_per_call is None):
        text = "'delay_price' is compared with the price of a request; add price_per_call to [sources.NAME.api]"
        validator.problems.warn((*path, "delay_price"), text)
    for key, text in _without_effect(resource):
        validator.problems.warn((*path, key), text)
    _deletes(validator, (*path, "deletes"), resource)
    _types(validator, (*path, "webhook"), resource, source)
    if resource.incremental is not None:
        _initial_value(validator, (*path, "incremental", "initial_value"), resource.incremental)


def _without_effect(resource: Resource) -> list[tuple[str, str]]:
    """(key, warning)."""
    found = []
    for key in ("item_selector", "gone_path", "item_params"):
        if getattr(resource, key) not in ("", None) and not resource.item_path:
            found.append((key, f"{key!r} is never used without item_path"))
    if resource.version_kind != "auto" and not resource.version and not _webhook_version(resource):
        found.append(("version_kind", "'version_kind' is never used without version"))
    if resource.key_field and resource.format in ("csv", "ndjson"):
        found.append(("key_field", f"'key_field' is never used: a row of {resource.format} has no name"))
    if getattr(resource.paginator, "total_path", "") and getattr(resource.paginator, "total_header", ""):
        found.append(("paginator", "'total_path' is never used beside total_header"))
    plain = Resource(path=resource.path)
    for key, bounds in _BOUNDS.items():
        for bound in bounds:
            if getattr(resource, key) != "auto" and getattr(resource, bound) != getattr(plain, bound):
                found.append((bound, f"'{bound}' is never used without {key} = \"auto\""))
    if _polls_too_seldom(resource):
        found.append(("max_delay", f"polling every {resource.poll} cannot keep max_delay = {resource.max_delay}"))
    for one in resource.ignore:
        if one == "*":
            found.append(("ignore", "'*' ignores every field, so no update is ever seen"))
        elif one in ("", "$"):
            found.append(("ignore", f"{one!r} names no field, so it has no effect"))
    return found


def _polls_too_seldom(resource: Resource) -> bool:
    """Whether one change of a hundred waits longer than `max_delay` whatever happens."""
    if resource.poll in (None, "auto") or resource.max_delay is None or resource.webhook is not None:
        return False
    return units.seconds(resource.poll) * 0.99 > units.seconds(resource.max_delay)


def _webhook_version(resource: Resource) -> bool:
    return resource.webhook is not None and bool(resource.webhook.version)


def _deletes(validator: Validator, path: Path, resource: Resource) -> None:
    rule = resource.deletes
    if rule.mode == "scan":
        return
    for key in ("every", "confirm", "max_ratio"):
        if getattr(rule, key) != getattr(_DEFAULTS, key):
            validator.problems.warn((*path, key), f"'{key}' is never used: it is for mode = \"scan\"")


def _types(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    """Each type of `webhook` that the source cannot send."""
    feed = resource.webhook
    if feed is None or (source.webhook is None and source.publish is None):
        return
    sent = types_of(source)
    for key, patterns in (("types", feed.types), ("deleted_types", feed.deleted_types)):
        for number, pattern in enumerate(patterns):
            if sent is not None and not _matches_any(pattern, sent):
                listed = ", ".join(sorted(sent)) or "nothing"
                text = f"{pattern!r} never matches an event of the source; it sends: {listed}"
                validator.problems.warn((*path, key, number), text)


def _matches_any(pattern: str, sent: frozenset[str]) -> bool:
    try:
        return any(map(compile_types([pattern]), sent))
    except ConfigError:
        return True  # reported elsewhere


def _initial_value(validator: Validator, path: Path, rule: Incremental) -> None:
    """A first value that is not in the declared format is sent as it is, and compares with no record."""
    form = instants.declared(rule.format)
    if rule.initial_value and form is not None and instants.read_as(rule.initial_value, form) is None:
        seen = validator.problems.show(path, rule.initial_value)
        validator.problems.warn(path, f"{seen} is not in the format {rule.format}, so it is sent as it is")
