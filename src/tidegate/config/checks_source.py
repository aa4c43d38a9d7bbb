"""What must hold inside one source: its inputs, its API and its resources.

Owns the rules of the contract about inputs that exclude each other, signatures and what a resource needs to
be asked, polled, fed and healed. Adds to `Problems`; pure but for the provider files of the package.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.spec import ApiInput, Source
from tidegate.config.validate import DAY, MILLISECOND, MINUTE, SECOND, Judge
from tidegate.core.spec import FormInput, HmacScheme, Resource, WebhookFeed, WebhookInput

if TYPE_CHECKING:
    from tidegate.rules.inbound.signatures import Scheme

_SIGNED_PARTS = ("body", "timestamp", "id", "url")
_BRACES = re.compile(r"\{([^{}]*)\}")


def check_source(judge: Judge, path: Path, source: Source, public_url: str | None) -> None:
    """`public_url` None: not known here (an item that came by the API)."""
    if source.webhook is not None and source.form is not None:
        judge.add(
            (*path, "form"),
            "a source has a webhook or a form input, not both",
            "make a second source for the form",
        )
    if source.webhook is None and source.form is None and source.publish is None and source.api is None:
        judge.add(path, "the source has no input", "add one of: webhook, form, publish, api")
    if source.webhook is not None:
        _webhook(judge, (*path, "webhook"), source.webhook, public_url)
    if source.form is not None:
        _form(judge, (*path, "form"), source.form)
    if source.publish is not None:
        judge.body_size((*path, "publish", "max_body"), source.publish.max_body)
    if source.api is not None:
        _api(judge, (*path, "api"), source.api)
    for name, resource in source.resources.items():
        _resource(judge, (*path, "resources", name), resource, source)


# -- inputs ----------------------------------------------------------------------------------------------


def _webhook(judge: Judge, path: Path, input: WebhookInput, public_url: str | None) -> None:
    judge.secrets((*path, "secret"), input.secret)
    judge.body_size((*path, "max_body"), input.max_body)
    for key, value in (("type_header", input.type_header), ("id_header", input.id_header)):
        if value:
            judge.header_name((*path, key), value)
    for key in ("type_header", "type_path"):
        if input.event_type and getattr(input, key):
            judge.add((*path, key), f"'{key}' is never looked at: 'event_type' fixes the type", "keep one of them")
    at = (*path, "verify")
    if input.verify == "none":
        if input.secret:
            judge.add((*path, "secret"), 'a secret with verify = "none" is never used', "name the provider in verify")
    elif isinstance(input.verify, HmacScheme):
        if _scheme(judge, at, input.verify, public_url):
            _usable(judge, path, input, (_scheme_of(input.verify),), "this scheme")
    else:
        schemes = _provider(judge, at, input.verify, public_url)
        _usable(judge, path, input, schemes, f"verify = {input.verify!r}")


def _provider(judge: Judge, path: Path, name: str, public_url: str | None) -> tuple[Scheme, ...]:
    """The schemes of a preset; () when there is no such preset, or it signs nothing."""
    from tidegate.providers import provider_data, provider_names
    from tidegate.rules.inbound.signatures import Scheme

    names = list(provider_names())
    if name not in names:
        hint = nearest(name, [*names, "none"], "provider")
        judge.add(path, f"unknown provider {judge.problems.show(path, name)}", hint)
        return ()
    schemes = msgspec.convert(provider_data(name).get("schemes", []), tuple[Scheme, ...])
    if public_url == "" and schemes and all("{url}" in scheme.signed for scheme in schemes):
        judge.add(path, f"{name!r} signs the URL, but the gateway does not know its own", "set public_url in [gateway]")
    return schemes


def _scheme_of(table: HmacScheme) -> Scheme:
    """As much of it as says whether a secret can be one of it."""
    from tidegate.rules.inbound.signatures import Scheme

    return Scheme(header=table.header, secret_encoding=table.secret_encoding)


def _usable(judge: Judge, path: Path, input: WebhookInput, schemes: tuple[Scheme, ...], what: str) -> None:
    from tidegate.rules.inbound.signatures import usable

    if not schemes:
        return
    if input.secret == "":
        _no_secret(judge, path, what)
    secrets = [input.secret] if isinstance(input.secret, str) else input.secret
    for number, secret in enumerate(secrets):
        if secret and not usable(schemes, secret):
            at = (*path, "secret") if isinstance(input.secret, str) else (*path, "secret", number)
            judge.add(
                at, f"the secret ({len(secret)} letters) cannot be one of {what}", "copy it from the provider again"
            )


def _no_secret(judge: Judge, path: Path, what: str) -> None:
    """Many providers show the secret only after they know the address: until it is here, every delivery gets 401."""
    if judge.problems.written((*path, "secret")) is None:
        judge.problems.warn(path, f"{what} has no secret yet, so all that comes is answered 401: add `secret`")
    else:
        judge.add((*path, "secret"), f"the secret of {what} is empty", "check the variable it comes from")


def _scheme(judge: Judge, path: Path, scheme: HmacScheme, public_url: str | None) -> bool:
    """Whether the scheme itself can be used."""
    before = len(judge.problems)
    judge.header_name((*path, "header"), scheme.header)
    judge.duration((*path, "tolerance"), scheme.tolerance, SECOND, DAY)
    at = (*path, "signed")
    parts = _BRACES.findall(scheme.signed)
    for part in parts:
        if part not in _SIGNED_PARTS:
            judge.add(at, f"unknown part '{{{part}}}' in {scheme.signed!r}", nearest(part, _SIGNED_PARTS, "part"))
    if "body" not in parts:
        judge.add(at, f"{scheme.signed!r} does not sign the body", "put {body} in it")
    for part, key, header in (
        ("timestamp", "timestamp_header", scheme.timestamp_header),
        ("id", "id_header", scheme.id_header),
    ):
        if part in parts and not header:
            judge.add(at, f"'{{{part}}}' is signed, but no header is named for it", f"add {key} = ...")
        if header:
            judge.header_name((*path, key), header)
    if "url" in parts and public_url == "":
        judge.add(at, "'{url}' is signed, but the gateway does not know its address", "set public_url in [gateway]")
    return len(judge.problems) == before


def _form(judge: Judge, path: Path, form: FormInput) -> None:
    judge.body_size((*path, "max_body"), form.max_body)
    judge.text_at((*path, "event_type"), form.event_type, "the event type")
    if form.redirect:
        judge.link((*path, "redirect"), form.redirect)


def _api(judge: Judge, path: Path, api: ApiInput) -> None:
    judge.url((*path, "base_url"), api.base_url, bare=True)
    judge.headers((*path, "headers"), api.headers)
    judge.auth((*path, "auth"), api.auth, api.headers)
    judge.duration((*path, "timeout"), api.timeout, 100 * MILLISECOND, 10 * MINUTE)
    judge.rate((*path, "rate"), api.rate)


# -- resources -------------------------------------------------------------------------------------------


def _resource(judge: Judge, path: Path, resource: Resource, source: Source) -> None:
    _request_paths(judge, path, resource)
    judge.text_at((*path, "primary_key"), resource.primary_key, "the primary key")
    judge.duration((*path, "poll"), resource.poll, SECOND, 30 * DAY)
    judge.duration((*path, "reconcile"), resource.reconcile, 10 * SECOND, 30 * DAY)
    judge.duration((*path, "cache"), resource.cache, 0, 30 * DAY)
    judge.duration((*path, "stale_if_error"), resource.stale_if_error, 0, 30 * DAY)
    judge.duration((*path, "deletes", "every"), resource.deletes.every, 10 * SECOND, 365 * DAY)
    if resource.incremental is not None:
        at = (*path, "incremental")
        judge.duration((*at, "lag"), resource.incremental.lag, 0, 7 * DAY)
        judge.text_at((*at, "cursor_path"), resource.incremental.cursor_path, "the cursor's path")
        judge.text_at((*at, "param"), resource.incremental.param, "the parameter's name")
    _what_it_needs(judge, path, resource, source)
    if resource.webhook is not None:
        _feed(judge, (*path, "webhook"), resource.webhook, source)


def _request_paths(judge: Judge, path: Path, resource: Resource) -> None:
    for key, value in (("path", resource.path), ("item_path", resource.item_path)):
        if not value and key == "item_path":
            continue
        at = (*path, key)
        seen = judge.problems.show(at, value)
        if not value.startswith("/") or value.startswith("//") or re.search(r"[\s\x00-\x1f#]", value):
            judge.add(at, f"{seen} is no path below base_url", "begin it with one '/'")
        elif ".." in urlsplit(value).path.split("/"):
            judge.add(at, f"{seen} leads out of base_url", "leave '..' out")
        holes = _BRACES.findall(value)
        for hole in holes:
            if key == "path" or hole != "id":
                hint = "only item_path has a hole, and it is {id}"
                judge.add(at, f"unknown hole '{{{hole}}}' in {seen}", hint)
        if key == "item_path" and holes.count("id") != 1 and all(hole == "id" for hole in holes):
            judge.add(at, f"{seen} has no single '{{id}}'", "write it as /orders/{id}")


def _what_it_needs(judge: Judge, path: Path, resource: Resource, source: Source) -> None:
    """Which input of the source each key of a resource leans on."""
    fed = resource.webhook is not None and (source.webhook is not None or source.publish is not None)
    if source.api is None and not fed:
        judge.add(path, "nothing feeds this resource: neither an API nor webhooks", "add [sources.NAME.api]")
    for key, used in (
        ("poll", resource.poll is not None),
        ("reconcile", resource.reconcile is not None),
        ("item_path", bool(resource.item_path)),
        ("incremental", resource.incremental is not None),
        ("deletes", resource.deletes.mode == "scan"),
    ):
        if used and source.api is None:
            judge.add((*path, key), f"'{key}' needs an API to ask", "add [sources.NAME.api] with base_url")
    if resource.reconcile is not None and resource.webhook is None:
        judge.add(
            (*path, "reconcile"),
            "'reconcile' heals what webhooks missed, but no webhook feeds this resource",
            "add webhook = { types = [...] }, or use poll",
        )
    if resource.deletes.mode == "scan":
        at = (*path, "deletes")
        if resource.deletes.confirm == "get" and not resource.item_path:
            judge.add(
                at,
                "deletes are confirmed by GET, but there is no item_path",
                'add item_path, or confirm = "second_scan"',
            )
        if resource.poll is None and resource.reconcile is None:
            judge.add(at, "a scan for deletes needs a poll or a reconcile to run with", 'add poll = "5m"')
    if resource.incremental is not None and resource.poll is None and resource.reconcile is None:
        judge.problems.warn((*path, "incremental"), "never used: there is neither poll nor reconcile")


def _feed(judge: Judge, path: Path, feed: WebhookFeed, source: Source) -> None:
    from tidegate.rules.language.patterns import compile_types

    if source.webhook is None and source.publish is None:
        # No refusal: the contract's sample has the feed before the input, and the API side works without it.
        judge.problems.warn(path, "nothing feeds this yet: the source has no webhook input, add [sources.NAME.webhook]")
    if not feed.types:
        judge.add((*path, "types"), "the list of types is empty", 'name at least one, such as "orders/*"')
    judge.compiled((*path, "types"), compile_types, feed.types)
    judge.compiled((*path, "deleted_types"), compile_types, feed.deleted_types)
    judge.text_at((*path, "key"), feed.key, "the key's path")
