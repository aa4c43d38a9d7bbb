"""What must hold inside one resource: its paths, its cursor, its deletes, its parent, and the inputs it needs.

Owns the rules of the contract about what a resource needs to be polled, healed and updated by webhooks. Adds to
`Problems`. Pure. Invariant: what is accepted here is used by the engine, never ignored.
"""

from __future__ import annotations

import re

from tidegate.config.checks_request import check_request
from tidegate.config.checks_shadow import check_shadow
from tidegate.config.checks_unused import check_unused
from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.spec import Source
from tidegate.config.validate import DAY, SECOND, Validator
from tidegate.core import units
from tidegate.rules.sync import instants
from tidegate.rules.sync.paths import compiled
from tidegate.rules.sync.placeholders import END, START, names_in, names_in_json
from tidegate.rules.sync.spec import AUTO, Incremental, Resource, WebhookFeed

FORMATS = ("auto", "iso8601", "date", "http_date", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "text")
_LOOKS_LIKE_DELETE = re.compile(r"delet|remov|destroy", re.IGNORECASE)


def check_resource(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    check_request(validator, path, resource, source)
    _interval(validator, path, resource, "poll")
    _interval(validator, path, resource, "reconcile")
    validator.duration((*path, "cache"), resource.cache, 0, 30 * DAY)
    validator.duration((*path, "max_delay"), resource.max_delay, SECOND, 30 * DAY)
    validator.duration((*path, "stale_if_error"), resource.stale_if_error, 0, 30 * DAY)
    validator.duration((*path, "deletes", "every"), resource.deletes.every, SECOND, 365 * DAY)
    _json_paths(validator, path, resource)
    _deletes(validator, (*path, "deletes"), resource, source)
    _parent(validator, path, resource, source)
    if resource.incremental is not None:
        _incremental(validator, (*path, "incremental"), resource, resource.incremental)
    _what_it_needs(validator, path, resource, source)
    if resource.shadow is not None:
        check_shadow(validator, (*path, "shadow"), resource, source)
    if resource.webhook is not None:
        _feed(validator, (*path, "webhook"), resource, resource.webhook, source)
    check_unused(validator, path, resource, source)


def _interval(validator: Validator, path: Path, resource: Resource, key: str) -> None:
    """`poll` or `reconcile`, and the bounds that it has with "auto"."""
    if getattr(resource, key) != AUTO:
        validator.duration((*path, key), getattr(resource, key), SECOND, 30 * DAY)
        return
    shortest, longest = getattr(resource, f"{key}_min"), getattr(resource, f"{key}_max")
    for name, value in ((f"{key}_min", shortest), (f"{key}_max", longest)):
        validator.duration((*path, name), value, SECOND, 30 * DAY)
    if units.seconds(shortest) > units.seconds(longest):
        message = f"{key}_min = {shortest} is longer than {key}_max = {longest}"
        validator.add((*path, f"{key}_min"), message, f"make {key}_max the longer one")


def _json_paths(validator: Validator, path: Path, resource: Resource) -> None:
    """Every path that is followed in JSON must be one."""
    keys = [resource.primary_key] if isinstance(resource.primary_key, str) else resource.primary_key
    if not keys:
        validator.add((*path, "primary_key"), "the primary key is an empty list", 'write "id"')
    for one in keys:
        validator.text_at((*path, "primary_key"), one, "the primary key")
    found: list[tuple[str, str]] = [("primary_key", one) for one in keys]
    for name in ("data_selector", "item_selector", "version", "gone_path", "error_path", "ok_path", "key_field"):
        found.append((name, getattr(resource, name)))
    found += [("ignore", one) for one in resource.ignore]
    for name, text in found:
        _json_path(validator, (*path, name), text)
    for name in resource.paginator.__struct_fields__:
        if name.endswith("_path") or name == "cursor_from_last":
            _json_path(validator, (*path, "paginator", name), getattr(resource.paginator, name).removeprefix("!"))


def _json_path(validator: Validator, path: Path, text: str) -> None:
    try:
        compiled(text)
    except ValueError as error:
        validator.add(path, str(error), 'examples: data.items, data[0].id, ["@odata.nextLink"], files.*.url')


def _incremental(validator: Validator, path: Path, resource: Resource, rule: Incremental) -> None:
    validator.duration((*path, "lag"), rule.lag, 0, 7 * DAY)
    paths = [rule.cursor_path] if isinstance(rule.cursor_path, str) else rule.cursor_path
    ways = [name for name in ("cursor_path", "token_path", "link_path") if getattr(rule, name)]
    if len(ways) != 1:
        hint = "cursor_path: a field of the records; token_path or link_path: of the last page"
        validator.add(path, f"one of cursor_path, token_path and link_path is needed; got {len(ways)}", hint)
    for one in paths if rule.cursor_path else []:
        validator.text_at((*path, "cursor_path"), one, "the path of the cursor")
        _json_path(validator, (*path, "cursor_path"), one)
    for name in ("token_path", "link_path", "pinned_path"):
        _json_path(validator, (*path, name), getattr(rule, name))
    for name, used in (
        ("lag", rule.lag != "0s"),
        ("exclusive", rule.exclusive),
        ("row_order", bool(rule.row_order)),
        ("pinned_path", bool(rule.pinned_path)),
    ):
        if used and "cursor_path" not in ways:
            validator.add((*path, name), f"'{name}' only has a meaning with cursor_path", "remove it")
    _spans(validator, path, resource, rule)
    if rule.value and not rule.param:
        validator.add((*path, "value"), "'value' is what 'param' gets, and there is no param", "add param")
    if "cursor_path" in ways or "token_path" in ways:
        _is_used(validator, path, resource, rule)
    if rule.format not in FORMATS and "%" not in rule.format:
        hint = f"one of: {', '.join(FORMATS)}, or a pattern such as %Y-%m-%d %H:%M:%S"
        validator.add(
            (*path, "format"), f"{validator.problems.show((*path, 'format'), rule.format)} is not a format", hint
        )


def _spans(validator: Validator, path: Path, resource: Resource, rule: Incremental) -> None:
    """Windows and the oldest start: they need instants that can be counted with."""
    for name, shortest, value in (("window", 1 / 24, rule.window), ("max_age", 1, rule.max_age)):
        if value is None:
            continue
        validator.duration((*path, name), value, shortest * DAY, 3660 * DAY)
        if not rule.cursor_path or instants.declared(rule.format) is None:
            hint = "add format, such as iso8601 or epoch_s"
            validator.add((*path, name), f"'{name}' needs cursor_path and a format of instants", hint)
    if rule.window is not None and not rule.end_param and END not in _placed(resource):
        validator.add((*path, "window"), "'window' needs an end", f"add end_param, or put {{{END}}} into a request")
    if rule.window is not None and not rule.initial_value and rule.max_age is None:
        validator.add((*path, "window"), "'window' needs a start for the first poll", "add initial_value or max_age")
    if rule.max_age is not None and resource.deletes.mode == "scan":
        hint = "remove max_age, or use another mode of deletes"
        validator.add((*path, "max_age"), "a scan for deletes cannot see rows older than max_age", hint)


def _placed(resource: Resource) -> list[str]:
    """Names of the placeholders in path, params, headers and json."""
    texts = [one for value in resource.params.values() for one in (value if isinstance(value, list) else [value])]
    names = [name for text in (*texts, *resource.headers.values(), resource.path) for name in names_in(str(text))]
    return [*names, *names_in_json(resource.json)]


def _is_used(validator: Validator, path: Path, resource: Resource, rule: Incremental) -> None:
    """The start of an incremental poll must go somewhere; rows that come newest first end the walk instead."""
    if not rule.param and START not in _placed(resource) and rule.row_order != "desc":
        hint = f"add param, or put {{{START}}} into path, params, headers or json"
        validator.add((*path, "param"), "no request has the cursor in it", hint)


def _deletes(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    """The keys of each mode."""
    rule = resource.deletes
    needs = {"flag": "path", "in_band": "path", "feed": "resource"}.get(rule.mode)
    if needs is not None and not getattr(rule, needs):
        validator.add((*path, needs), f"mode = {rule.mode!r} needs '{needs}'", f"add {needs} = ...")
    for name, modes in (("path", ("flag", "in_band")), ("values", ("flag",)), ("resource", ("feed",))):
        if getattr(rule, name) and rule.mode not in modes:
            validator.add((*path, name), f"'{name}' has no meaning for mode = {rule.mode!r}", f"use it with {modes[0]}")
    _json_path(validator, (*path, "path"), rule.path)
    for one in [rule.id_path] if isinstance(rule.id_path, str) else rule.id_path:
        _json_path(validator, (*path, "id_path"), one)
    if rule.mode == "feed":
        _same_parts(validator, (*path, "id_path"), rule.id_path, resource)
    if rule.mode == "feed" and rule.resource:
        feed = source.resources.get(rule.resource)
        if feed is None or feed is resource:
            validator.add((*path, "resource"), f"unknown resource {rule.resource!r}", _others(rule.resource, source))
        elif not feed.polls:
            hint = f'add poll = "5m" to {rule.resource}'
            validator.add((*path, "resource"), f"{rule.resource} is not polled, so no delete is seen", hint)


def _parent(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    if resource.parent is None:
        return
    at, name = (*path, "parent"), resource.parent.resource
    parent = source.resources.get(name)
    if parent is None or parent is resource:
        validator.add((*at, "resource"), f"unknown resource {name!r}", _others(name, source))
    elif parent.parent is not None:
        validator.add((*at, "resource"), f"{name} has a parent itself", "name a resource without a parent")
    elif not parent.polls and parent.webhook is None:
        validator.add((*at, "resource"), f"{name} keeps no records", f'add poll = "5m" to {name}')
    if not resource.parent.with_:
        validator.add((*at, "with"), "the list of fields is empty", 'write with = ["id"]')
    for one in resource.parent.with_:
        _json_path(validator, (*at, "with"), one)
    keys = [resource.primary_key] if isinstance(resource.primary_key, str) else resource.primary_key
    missing = [f"_{name}_{one}" for one in resource.parent.with_ if f"_{name}_{one}" not in keys]
    if resource.item_path and missing:
        hint = f"primary_key = [{', '.join(repr(one) for one in (*missing, *keys))}], or remove item_path"
        validator.add((*path, "item_path"), "the answer for one item does not say which parent it is of", hint)
    used = [*names_in(resource.path), *names_in_json(resource.json)]
    used += [one for text in resource.params.values() if isinstance(text, str) for one in names_in(text)]
    used += [one for text in resource.headers.values() for one in names_in(text)]
    if not any(one.startswith(f"resources.{name}.") for one in used):
        hint = f"put {{resources.{name}.{resource.parent.with_[0] if resource.parent.with_ else 'id'}}} into path"
        validator.add(at, "every parent would be asked for the same list", hint)


def _others(name: str, source: Source) -> str:
    return nearest(name, list(source.resources), "resource")


def _what_it_needs(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    """Check that the source has the input that each key of a resource needs."""
    fed = resource.webhook is not None and (source.webhook is not None or source.publish is not None)
    if source.api is None and not fed:
        validator.add(path, "the resource has no data: the source has no API and no webhooks", "add [sources.NAME.api]")
    for key, used in (
        ("poll", resource.poll is not None),
        ("schedule", bool(resource.schedule)),
        ("parent", resource.parent is not None),
        ("reconcile", resource.reconcile is not None),
        ("item_path", bool(resource.item_path)),
        ("incremental", resource.incremental is not None),
        ("deletes", resource.deletes.mode == "scan"),
    ):
        if used and source.api is None:
            validator.add((*path, key), f"'{key}' needs an API, and the source has none", "add [sources.NAME.api]")
    if resource.reconcile is not None and resource.webhook is None:
        validator.add(
            (*path, "reconcile"),
            "'reconcile' finds what webhooks missed, but this resource has no webhook",
            "add webhook = { types = [...] }, or use poll",
        )
    if resource.deletes.mode == "scan":
        at = (*path, "deletes")
        if resource.deletes.confirm == "get" and not resource.item_path:
            validator.add(
                at,
                "deletes are confirmed by GET, but item_path is not set",
                'add item_path, or confirm = "second_scan"',
            )
        if not resource.polls and resource.reconcile is None and not _polls_to_measure(resource):
            validator.add(at, "a scan for deletes needs 'poll' or 'reconcile'", 'add poll = "5m"')
    asks = resource.polls or resource.reconcile is not None or _polls_to_measure(resource)
    if resource.incremental is not None and not asks:
        validator.problems.warn((*path, "incremental"), "'incremental' is never used without 'poll' or 'reconcile'")


def _polls_to_measure(resource: Resource) -> bool:
    return resource.shadow is not None and resource.shadow.way == "poll"


def _same_parts(validator: Validator, path: Path, keys: str | list[str], resource: Resource) -> None:
    """A webhook names a record by all parts of its key, or it would make records of its own."""
    parts = resource.primary_key if isinstance(resource.primary_key, list) else [resource.primary_key]
    given = keys if isinstance(keys, list) else [keys]
    if len(parts) != len(given):
        listed = ", ".join(f'"{one}"' for one in parts)
        text = f"the primary key has {len(parts)} parts ({listed}), and {len(given)} are named here"
        validator.add(path, text, f"write the path of each part, in this order: {path[-1]} = [{listed}]")


def _feed(validator: Validator, path: Path, resource: Resource, feed: WebhookFeed, source: Source) -> None:
    from tidegate.rules.language.patterns import compile_types

    if source.webhook is None and source.publish is None:
        # Only a warning, because polls and pulls work without the webhook.
        validator.problems.warn(path, "no webhook arrives yet, because the source has none; add [sources.NAME.webhook]")
    if not feed.types:
        validator.add((*path, "types"), "the list of types is empty", 'add at least one, such as "orders/*"')
    validator.compiled((*path, "types"), compile_types, feed.types)
    validator.compiled((*path, "deleted_types"), compile_types, feed.deleted_types)
    for one in [feed.key] if isinstance(feed.key, str) else feed.key:
        validator.text_at((*path, "key"), one, "the key's path")
        _json_path(validator, (*path, "key"), one)
    _same_parts(validator, (*path, "key"), feed.key, resource)
    deletes = [one for one in feed.types if _LOOKS_LIKE_DELETE.search(one)]
    if deletes and not feed.deleted_types:
        validator.problems.warn(
            (*path, "types"), f"{deletes[0]!r} looks like a delete, and deleted_types is empty: it would store a record"
        )
