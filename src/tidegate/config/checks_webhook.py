"""What must hold in `[sources.NAME.webhook]`: the provider or scheme, the secrets, and the places that are read.

Owns the promise that an input which passes `check` compiles: places, schemes and header names go through the compilers
that the running gateway uses. Adds to `Problems`; pure except for the provider files of the package. Crash: nothing is
kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.validate import DAY, SECOND, Validator
from tidegate.core.spec import HmacScheme, WebhookInput

if TYPE_CHECKING:
    from tidegate.rules.inbound.signatures import Scheme

_SIGNED_PARTS = ("body", "timestamp", "id", "url")
_BRACES = re.compile(r"\{([^{}]*)\}")
_PLACES = ("type_path", "id_path", "key_path", "time_path")


def check_webhook(validator: Validator, path: Path, input: WebhookInput, public_url: str | None) -> None:
    validator.secrets((*path, "secret"), input.secret)
    validator.body_size((*path, "max_body"), input.max_body)
    for key, value in (("type_header", input.type_header), ("id_header", input.id_header)):
        if value:
            validator.header_name((*path, key), value)
    for key in ("type_header", "type_path"):
        if input.event_type and getattr(input, key):
            validator.add((*path, key), f"'{key}' is never used, because 'event_type' is set", "keep one of the two")
    _places(validator, path, input)
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


def _places(validator: Validator, path: Path, input: WebhookInput) -> None:
    """Everything that is read from a request or left out of a comparison."""
    from tidegate.rules.inbound.repeats import volatile_paths
    from tidegate.rules.outbound.forwarding import check_names

    for key in _PLACES:
        _place(validator, (*path, key), getattr(input, key))
    at = (*path, "dedupe")
    if input.dedupe.scope is not msgspec.UNSET:
        for number, text in enumerate(input.dedupe.scope):
            if text not in ("type", "key"):
                _place(validator, (*at, "scope", number), text, "name type, key, header:NAME, query:NAME or a path")
    if input.dedupe.volatile is not msgspec.UNSET:
        for number, text in enumerate(input.dedupe.volatile):
            validator.compiled((*at, "volatile", number), lambda text: volatile_paths([text]), text)
            if not text:
                validator.add(
                    (*at, "volatile", number), "the path is empty, so every body would be a repeat", "name a field"
                )
    for number, name in enumerate(input.forward_headers):
        validator.compiled((*path, "forward_headers", number), lambda name: check_names([name]), name)


def _place(validator: Validator, path: Path, text: str, hint: str = "") -> None:
    from tidegate.rules.inbound.places import place_of
    from tidegate.rules.language.paths import parse_path

    if not text:
        if hint:
            validator.add(path, "the place is empty", hint)
        return
    place = place_of(text)
    if place.header:
        validator.header_name(path, place.header)
    elif place.path:
        validator.compiled(path, parse_path, place.path)
