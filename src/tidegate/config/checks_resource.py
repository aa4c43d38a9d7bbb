"""What must hold inside one resource: its request, its paths, its paginator, and the inputs it needs.

Owns the rules of the contract about what a resource needs to be polled, healed and updated by webhooks. Adds to
`Problems`. Pure. Invariant: what is accepted here is used by the engine, never ignored.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tidegate.config.lines import Path
from tidegate.config.spec import Source
from tidegate.config.validate import DAY, SECOND, Validator
from tidegate.rules.sync.paths import compiled
from tidegate.rules.sync.spec import Incremental, Resource, WebhookFeed

FORMATS = ("auto", "iso8601", "date", "http_date", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "text")
_LOOKS_LIKE_DELETE = re.compile(r"delet|remov|destroy", re.IGNORECASE)
_BRACES = re.compile(r"\{([^{}]*)\}")


def check_resource(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    _request_paths(validator, path, resource)
    validator.duration((*path, "poll"), resource.poll, SECOND, 30 * DAY)
    validator.duration((*path, "reconcile"), resource.reconcile, SECOND, 30 * DAY)
    validator.duration((*path, "cache"), resource.cache, 0, 30 * DAY)
    validator.duration((*path, "stale_if_error"), resource.stale_if_error, 0, 30 * DAY)
    validator.duration((*path, "deletes", "every"), resource.deletes.every, SECOND, 365 * DAY)
    _json_paths(validator, path, resource)
    _request(validator, path, resource)
    if resource.incremental is not None:
        _incremental(validator, (*path, "incremental"), resource.incremental)
    _what_it_needs(validator, path, resource, source)
    if resource.webhook is not None:
        _feed(validator, (*path, "webhook"), resource.webhook, source)


def _request_paths(validator: Validator, path: Path, resource: Resource) -> None:
    keys = [resource.primary_key] if isinstance(resource.primary_key, str) else resource.primary_key
    for key, value in (("path", resource.path), ("item_path", resource.item_path)):
        if not value and key == "item_path":
            continue
        at = (*path, key)
        seen = validator.problems.show(at, value)
        if not value.startswith("/") or value.startswith("//") or re.search(r"[\s\x00-\x1f#]", value):
            validator.add(at, f"{seen} is not a path below base_url", "start it with one '/' and encode spaces and '#'")
        elif ".." in urlsplit(value).path.split("/"):
            validator.add(at, f"{seen} leads out of base_url", "remove '..'")
        holes = _BRACES.findall(value)
        for hole in holes:
            if key == "path" or hole not in ("id", *(keys if len(keys) > 1 else ())):
                hint = "the only placeholder is {id} in item_path"
                if len(keys) > 1:
                    hint = "the placeholders of item_path are {id} or the names of primary_key"
                validator.add(at, f"unknown placeholder '{{{hole}}}' in {seen}", hint)
        names = [hole for hole in holes if hole != "id"] if len(keys) > 1 else []
        if key == "item_path" and not names and holes.count("id") != 1 and all(hole == "id" for hole in holes):
            validator.add(at, f"{seen} does not have '{{id}}' exactly once", "write it as /orders/{id}")


def _json_paths(validator: Validator, path: Path, resource: Resource) -> None:
    """Every path that is followed in JSON must be one."""
    keys = [resource.primary_key] if isinstance(resource.primary_key, str) else resource.primary_key
    if not keys:
        validator.add((*path, "primary_key"), "the primary key is an empty list", 'write "id"')
    for one in keys:
        validator.text_at((*path, "primary_key"), one, "the primary key")
    found: list[tuple[str, str]] = [("primary_key", one) for one in keys]
    for name in ("data_selector", "item_selector", "version", "gone_path", "error_path", "ok_path"):
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


def _request(validator: Validator, path: Path, resource: Resource) -> None:
    validator.headers((*path, "headers"), resource.headers)
    for name in ("cursor_body_path", "offset_body_path", "page_body_path", "limit_body_path"):
        if getattr(resource.paginator, name, "") and not isinstance(resource.json, dict):
            validator.add(
                (*path, "paginator", name), f"'{name}' needs a JSON body", 'add method = "POST" and json = { }'
            )
    if resource.json is not None and resource.method == "GET":
        validator.add((*path, "json"), "a GET request has no body", 'add method = "POST"')
    for number, origin in enumerate(resource.origins):
        validator.url((*path, "origins", number), origin, bare=True)
    if 410 in resource.empty:
        validator.add((*path, "empty"), "410 means that the cursor has expired", "remove it")


def _incremental(validator: Validator, path: Path, rule: Incremental) -> None:
    validator.duration((*path, "lag"), rule.lag, 0, 7 * DAY)
    for one in [rule.cursor_path] if isinstance(rule.cursor_path, str) else rule.cursor_path:
        validator.text_at((*path, "cursor_path"), one, "the path of the cursor")
        _json_path(validator, (*path, "cursor_path"), one)
    validator.text_at((*path, "param"), rule.param, "the name of the parameter")
    if rule.format not in FORMATS and "%" not in rule.format:
        hint = f"one of: {', '.join(FORMATS)}, or a pattern such as %Y-%m-%d %H:%M:%S"
        validator.add(
            (*path, "format"), f"{validator.problems.show((*path, 'format'), rule.format)} is not a format", hint
        )


def _what_it_needs(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    """Check that the source has the input that each key of a resource needs."""
    fed = resource.webhook is not None and (source.webhook is not None or source.publish is not None)
    if source.api is None and not fed:
        validator.add(path, "the resource has no data: the source has no API and no webhooks", "add [sources.NAME.api]")
    for key, used in (
        ("poll", resource.poll is not None),
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
        if resource.poll is None and resource.reconcile is None:
            validator.add(at, "a scan for deletes needs 'poll' or 'reconcile'", 'add poll = "5m"')
    if resource.incremental is not None and resource.poll is None and resource.reconcile is None:
        validator.problems.warn((*path, "incremental"), "'incremental' is never used without 'poll' or 'reconcile'")


def _feed(validator: Validator, path: Path, feed: WebhookFeed, source: Source) -> None:
    from tidegate.rules.language.patterns import compile_types

    if source.webhook is None and source.publish is None:
        # Only a warning, because polls and pulls work without the webhook.
        validator.problems.warn(path, "no webhook arrives yet, because the source has none; add [sources.NAME.webhook]")
    if not feed.types:
        validator.add((*path, "types"), "the list of types is empty", 'add at least one, such as "orders/*"')
    validator.compiled((*path, "types"), compile_types, feed.types)
    validator.compiled((*path, "deleted_types"), compile_types, feed.deleted_types)
    validator.text_at((*path, "key"), feed.key, "the key's path")
    deletes = [one for one in feed.types if _LOOKS_LIKE_DELETE.search(one)]
    if deletes and not feed.deleted_types:
        validator.problems.warn(
            (*path, "types"), f"{deletes[0]!r} looks like a delete, and deleted_types is empty: it would store a record"
        )
