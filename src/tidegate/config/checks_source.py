"""Checks one source: its inputs, its API and its resources.

Owns the rules about inputs that exclude each other, about signatures, and about what a resource needs to be pulled,
polled, updated by webhooks and reconciled. May not know other items. Adds to `Problems`; pure, except that it reads
the provider files of the package. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tidegate.config.checks_webhook import check_webhook
from tidegate.config.lines import Path
from tidegate.config.spec import ApiInput, Source
from tidegate.config.validate import DAY, MILLISECOND, MINUTE, SECOND, Validator
from tidegate.core.spec import FormInput, Resource, WebhookFeed

_BRACES = re.compile(r"\{([^{}]*)\}")


def check_source(validator: Validator, path: Path, source: Source, public_url: str | None) -> None:
    """Check a source. `public_url` is None when it is not known (an item from the API)."""
    if source.webhook is not None and source.form is not None:
        validator.add(
            (*path, "form"),
            "the source has both a webhook and a form input",
            "move the form to a source of its own",
        )
    if source.webhook is None and source.form is None and source.publish is None and source.api is None:
        validator.add(path, "the source has no input", "add [sources.NAME.webhook], .form, .publish or .api")
    if source.webhook is not None:
        check_webhook(validator, (*path, "webhook"), source.webhook, public_url)
    if source.form is not None:
        _form(validator, (*path, "form"), source.form)
    if source.publish is not None:
        validator.body_size((*path, "publish", "max_body"), source.publish.max_body)
    if source.api is not None:
        _api(validator, (*path, "api"), source.api)
    for name, resource in source.resources.items():
        _resource(validator, (*path, "resources", name), resource, source)


# -- inputs ----------------------------------------------------------------------------------------------


def _form(validator: Validator, path: Path, form: FormInput) -> None:
    validator.body_size((*path, "max_body"), form.max_body)
    validator.text_at((*path, "event_type"), form.event_type, "the event type")
    if form.redirect:
        validator.link((*path, "redirect"), form.redirect)


def _api(validator: Validator, path: Path, api: ApiInput) -> None:
    validator.url((*path, "base_url"), api.base_url, bare=True)
    validator.headers((*path, "headers"), api.headers)
    validator.auth((*path, "auth"), api.auth, api.headers)
    validator.duration((*path, "timeout"), api.timeout, 100 * MILLISECOND, 10 * MINUTE)
    validator.rate((*path, "rate"), api.rate)


# -- resources -------------------------------------------------------------------------------------------


def _resource(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    _request_paths(validator, path, resource)
    validator.text_at((*path, "primary_key"), resource.primary_key, "the primary key")
    validator.duration((*path, "poll"), resource.poll, SECOND, 30 * DAY)
    validator.duration((*path, "reconcile"), resource.reconcile, 10 * SECOND, 30 * DAY)
    validator.duration((*path, "cache"), resource.cache, 0, 30 * DAY)
    validator.duration((*path, "stale_if_error"), resource.stale_if_error, 0, 30 * DAY)
    validator.duration((*path, "deletes", "every"), resource.deletes.every, 10 * SECOND, 365 * DAY)
    if resource.incremental is not None:
        at = (*path, "incremental")
        validator.duration((*at, "lag"), resource.incremental.lag, 0, 7 * DAY)
        validator.text_at((*at, "cursor_path"), resource.incremental.cursor_path, "the cursor's path")
        validator.text_at((*at, "param"), resource.incremental.param, "the parameter's name")
    _what_it_needs(validator, path, resource, source)
    if resource.webhook is not None:
        _feed(validator, (*path, "webhook"), resource.webhook, source)


def _request_paths(validator: Validator, path: Path, resource: Resource) -> None:
    for key, value in (("path", resource.path), ("item_path", resource.item_path)):
        if not value and key == "item_path":
            continue
        at = (*path, key)
        seen = validator.problems.show(at, value)
        if not value.startswith("/") or value.startswith("//") or re.search(r"[\s\x00-\x1f#]", value):
            validator.add(at, f"{seen} is not a path below base_url", "start it with one '/' and encode spaces and '#'")
        elif ".." in urlsplit(value).path.split("/"):
            validator.add(at, f"{seen} leads out of base_url", "remove '..'")
        placeholders = _BRACES.findall(value)
        for placeholder in placeholders:
            if key == "path" or placeholder != "id":
                hint = "the only placeholder is {id} in item_path"
                validator.add(at, f"unknown placeholder '{{{placeholder}}}' in {seen}", hint)
        if key == "item_path" and placeholders.count("id") != 1 and all(one == "id" for one in placeholders):
            validator.add(at, f"{seen} does not have '{{id}}' exactly once", "write it as /orders/{id}")


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
