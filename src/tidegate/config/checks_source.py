"""Checks one source: its inputs, its API and its resources.

Owns the rules about inputs that exclude each other, about signatures, and about what a resource needs to be pulled,
polled, updated by webhooks and reconciled. May not know other items. Adds to `Problems`; pure, except that it reads
the provider files of the package. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.spec import ApiInput, Source
from tidegate.config.validate import DAY, MILLISECOND, MINUTE, SECOND, Validator
from tidegate.core.spec import FormInput, HmacScheme, Resource, WebhookFeed, WebhookInput

if TYPE_CHECKING:
    from tidegate.rules.inbound.signatures import Scheme

_SIGNED_PARTS = ("body", "timestamp", "id", "url")
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
        _webhook(validator, (*path, "webhook"), source.webhook, public_url)
    if source.form is not None:
        _form(validator, (*path, "form"), source.form)
    if source.publish is not None:
        validator.body_size((*path, "publish", "max_body"), source.publish.max_body)
    if source.api is not None:
        _api(validator, (*path, "api"), source.api)
    for name, resource in source.resources.items():
        _resource(validator, (*path, "resources", name), resource, source)


# -- inputs ----------------------------------------------------------------------------------------------


def _webhook(validator: Validator, path: Path, input: WebhookInput, public_url: str | None) -> None:
    validator.secrets((*path, "secret"), input.secret)
    validator.body_size((*path, "max_body"), input.max_body)
    for key, value in (("type_header", input.type_header), ("id_header", input.id_header)):
        if value:
            validator.header_name((*path, key), value)
    for key in ("type_header", "type_path"):
        if input.event_type and getattr(input, key):
            validator.add((*path, key), f"'{key}' is never used, because 'event_type' is set", "keep one of the two")
    at = (*path, "verify")
    if input.verify == "none":
        if input.secret:
            message = 'the secret is never used with verify = "none"'
            validator.add((*path, "secret"), message, "set verify to the provider, or remove the secret")
    elif isinstance(input.verify, HmacScheme):
        if _scheme(validator, at, input.verify, public_url):
            _usable(validator, path, input, (_scheme_of(input.verify),), "this scheme")
    else:
        schemes = _provider(validator, at, input.verify, public_url)
        _usable(validator, path, input, schemes, f"verify = {input.verify!r}")


def _provider(validator: Validator, path: Path, name: str, public_url: str | None) -> tuple[Scheme, ...]:
    """The schemes of a preset; () when the preset is unknown or signs nothing."""
    from tidegate.providers import provider_data, provider_names
    from tidegate.rules.inbound.signatures import Scheme

    names = list(provider_names())
    if name not in names:
        hint = nearest(name, [*names, "none"], "provider")
        validator.add(path, f"unknown provider {validator.problems.show(path, name)}", hint)
        return ()
    schemes = msgspec.convert(provider_data(name).get("schemes", []), tuple[Scheme, ...])
    if public_url == "" and schemes and all("{url}" in scheme.signed for scheme in schemes):
        validator.add(path, f"{name!r} signs the URL, but public_url is not set", "set public_url in [gateway]")
    return schemes


def _scheme_of(table: HmacScheme) -> Scheme:
    """The part of the scheme that decides whether a secret is valid."""
    from tidegate.rules.inbound.signatures import Scheme

    return Scheme(header=table.header, secret_encoding=table.secret_encoding)


def _usable(validator: Validator, path: Path, input: WebhookInput, schemes: tuple[Scheme, ...], what: str) -> None:
    from tidegate.rules.inbound.signatures import usable

    if not schemes:
        return
    if input.secret == "":
        _no_secret(validator, path, what)
    secrets = [input.secret] if isinstance(input.secret, str) else input.secret
    for number, secret in enumerate(secrets):
        if secret and not usable(schemes, secret):
            at = (*path, "secret") if isinstance(input.secret, str) else (*path, "secret", number)
            validator.add(
                at,
                f"the secret ({len(secret)} characters) is not valid for {what}",
                "copy it from the provider again",
            )


def _no_secret(validator: Validator, path: Path, what: str) -> None:
    """Warn when the secret is not set: many providers show it only after they have the address."""
    if validator.problems.written((*path, "secret")) is None:
        validator.problems.warn(path, f"{what} has no secret yet, so every request is answered 401; add `secret`")
    else:
        hint = "check the variable or file that it comes from"
        validator.add((*path, "secret"), f"the secret of {what} is empty", hint)


def _scheme(validator: Validator, path: Path, scheme: HmacScheme, public_url: str | None) -> bool:
    """Whether the scheme itself can be used."""
    before = len(validator.problems)
    validator.header_name((*path, "header"), scheme.header)
    validator.duration((*path, "tolerance"), scheme.tolerance, SECOND, DAY)
    at = (*path, "signed")
    parts = _BRACES.findall(scheme.signed)
    for part in parts:
        if part not in _SIGNED_PARTS:
            validator.add(at, f"unknown part '{{{part}}}' in {scheme.signed!r}", nearest(part, _SIGNED_PARTS, "part"))
    if "body" not in parts:
        validator.add(at, f"{scheme.signed!r} does not sign the body", "add {body}")
    for part, key, header in (
        ("timestamp", "timestamp_header", scheme.timestamp_header),
        ("id", "id_header", scheme.id_header),
    ):
        if part in parts and not header:
            validator.add(at, f"'{{{part}}}' is signed, but '{key}' is not set", f'add {key} = "HEADER"')
        if header:
            validator.header_name((*path, key), header)
    if "url" in parts and public_url == "":
        validator.add(at, "'{url}' is signed, but public_url is not set", "set public_url in [gateway]")
    return len(validator.problems) == before


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
