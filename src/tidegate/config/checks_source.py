"""Checks one source: its inputs, its API and its resources.

Owns the rules about inputs that exclude each other, about signatures, and about what a resource needs to be pulled,
polled, updated by webhooks and reconciled. May not know other items. Adds to `Problems`; pure, except that it reads
the provider files of the package. Crash: nothing is kept.
"""

from __future__ import annotations

import re

from tidegate.auth import referred, request_auth
from tidegate.config.checks_connection import check_connection
from tidegate.config.checks_credential import check_captured
from tidegate.config.checks_limits import check_limits
from tidegate.config.checks_mail import check_imap
from tidegate.config.checks_operation import check_source_operation
from tidegate.config.checks_resource import check_resource
from tidegate.config.checks_webhook import check_webhook
from tidegate.config.lines import Path
from tidegate.config.spec import ApiInput, Source
from tidegate.config.validate import MILLISECOND, MINUTE, Validator
from tidegate.core import units
from tidegate.core.spec import FormInput
from tidegate.rules.sync.base_urls import BaseUrl

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
_BRACES = re.compile(r"\{([^{}]*)\}")


def check_source(validator: Validator, path: Path, source: Source, public_url: str | None) -> None:
    """Check a source. `public_url` is None when it is not known (an item from the API)."""
    if source.webhook is not None and source.form is not None:
        validator.add(
            (*path, "form"),
            "the source has both a webhook and a form input",
            "move the form to a source of its own",
        )
    if all(one is None for one in (source.webhook, source.form, source.publish, source.api, source.imap)):
        validator.add(path, "the source has no input", "add [sources.NAME.webhook], .form, .publish, .api or .imap")
    if source.webhook is not None:
        check_webhook(validator, (*path, "webhook"), source.webhook, public_url)
    if source.form is not None:
        _form(validator, (*path, "form"), source.form)
    if source.publish is not None:
        validator.body_size((*path, "publish", "max_body"), source.publish.max_body)
    if source.imap is not None:
        check_imap(validator, (*path, "imap"), source.imap)
    if source.api is not None:
        _api(validator, (*path, "api"), source.api)
    for name, operation in source.operations.items():
        check_source_operation(validator, (*path, "operations", name), operation, source)
    for name, resource in source.resources.items():
        check_resource(validator, (*path, "resources", name), resource, source)


# -- inputs ----------------------------------------------------------------------------------------------


def _form(validator: Validator, path: Path, form: FormInput) -> None:
    validator.body_size((*path, "max_body"), form.max_body)
    validator.text_at((*path, "event_type"), form.event_type, "the event type")
    if form.redirect:
        validator.link((*path, "redirect"), form.redirect)
    for number, origin in enumerate(form.allowed_origins):
        if _ORIGIN.fullmatch(origin) is None:
            validator.add(
                (*path, "allowed_origins", number),
                f"{origin[:80]!r} is not an origin",
                'write scheme, host and port only, in lower case: "https://www.example.com"',
            )
    if form.rate is not None:
        validator.compiled((*path, "rate"), units.per_second, form.rate)


def _api(validator: Validator, path: Path, api: ApiInput) -> None:
    base = BaseUrl(api.base_url)
    validator.url((*path, "base_url"), base.sample, bare=True)
    validator.headers((*path, "headers"), api.headers)
    validator.auth((*path, "auth"), api.auth, api.headers)
    if not referred(request_auth(api.auth)):
        check_captured(validator, path, api, request_auth(api.auth))
    validator.duration((*path, "timeout"), api.timeout, 100 * MILLISECOND, 10 * MINUTE)
    validator.rate((*path, "rate"), api.rate)
    if api.limits is not None:
        check_limits(validator, (*path, "limits"), api.limits)
    check_connection(validator, path, base.sample, (api.ca, api.proxy), api.auth)
