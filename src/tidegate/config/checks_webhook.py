"""What must hold in `[sources.NAME.webhook]`: the provider or scheme, the secrets, and the places that are read.

Owns the promise that an input which passes `check` compiles: places, schemes and header names go through the compilers
that the running gateway uses. Adds to `Problems`; pure except for the provider files of the package. Crash: nothing is
kept.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.validate import DAY, MINUTE, SECOND, Validator
from tidegate.core.spec import CustomScheme, WebhookInput

if TYPE_CHECKING:
    from tidegate.rules.inbound.signatures import Scheme

_PLACES = ("type_path", "id_path", "key_path", "time_path")
_WITH_BODY = ("body", "form", "url_and_form", "query_and_form")
_BRACES = re.compile(r"\{([^{}]*)\}")


def check_webhook(validator: Validator, path: Path, input: WebhookInput, public_url: str | None) -> None:
    """Check a webhook input. `public_url` is None when it is not known (an item from the API)."""
    from tidegate.rules.inbound.senders import parse_networks

    _secrets(validator, path, input)
    validator.compiled((*path, "allow_from"), parse_networks, input.allow_from)
    if input.max_body is not None:
        validator.body_size((*path, "max_body"), input.max_body)
    for key, value in (("type_header", input.type_header), ("id_header", input.id_header)):
        if value:
            validator.header_name((*path, key), value)
    for key in ("type_header", "type_path"):
        if input.event_type and getattr(input, key):
            validator.add((*path, key), f"'{key}' is never used, because 'event_type' is set", "keep one of the two")
    _places(validator, path, input)
    _schemas(validator, path, input)
    at = (*path, "verify")
    if input.verify == "none":
        if input.secret:
            message = 'the secret is never used with verify = "none"'
            validator.add((*path, "secret"), message, "set verify to the provider, or remove the secret")
    elif isinstance(input.verify, CustomScheme):
        scheme = _scheme(validator, at, input.verify, public_url)
        if scheme is not None:
            _usable(validator, path, input, (scheme,), "this scheme")
    else:
        schemes = _provider(validator, at, input.verify, public_url)
        _usable(validator, path, input, schemes, f"verify = {input.verify!r}")
    _handshake(validator, path, input)
    _websub(validator, path, input, public_url)


def _websub(validator: Validator, path: Path, input: WebhookInput, public_url: str | None) -> None:
    from tidegate.rules.inbound.websub import SECRET_BYTES

    spec = input.websub
    if (input.verify == "websub") != (spec is not None):
        at, hint = ((*path, "verify"), 'add [sources.NAME.webhook.websub] with topic = "https://..."')
        if spec is not None:
            at, hint = ((*path, "websub"), 'set verify = "websub"')
        validator.add(at, 'a subscription needs both verify = "websub" and a table `websub`', hint)
    if spec is None:
        return
    at = (*path, "websub")
    validator.url((*at, "topic"), spec.topic)
    if spec.hub:
        validator.url((*at, "hub"), spec.hub)
    validator.duration((*at, "lease"), spec.lease, MINUTE, 365 * DAY)
    if public_url == "":
        validator.add(at, "hubs call this gateway, but public_url is not set", "set public_url in [gateway]")
    for secret in [input.secret] if isinstance(input.secret, str) else input.secret:
        if len(secret.encode()) > SECRET_BYTES:
            validator.add((*path, "secret"), f"a hub takes at most {SECRET_BYTES} bytes", "use a shorter secret")


def _secrets(validator: Validator, path: Path, input: WebhookInput) -> None:
    from tidegate.rules.inbound.signatures.scheme import tidy

    validator.secrets((*path, "secret"), input.secret)
    for number, secret in enumerate([input.secret] if isinstance(input.secret, str) else input.secret):
        if secret and tidy(secret) != secret:
            at = (*path, "secret") if isinstance(input.secret, str) else (*path, "secret", number)
            validator.problems.warn(at, "the secret has blanks, a line end or quotes around it, which are left out")


def _schemas(validator: Validator, path: Path, input: WebhookInput) -> None:
    from tidegate.rules.inbound.schemas import compile_schemas

    for pattern, text in input.schemas.items():
        validator.compiled((*path, "schemas", pattern), compile_schemas, {pattern: text})


def _provider(validator: Validator, path: Path, name: str, public_url: str | None) -> tuple[Scheme, ...]:
    """The schemes of a preset; () when the preset is unknown or signs nothing."""
    from tidegate.providers import webhook_names
    from tidegate.providers.shape import load_provider

    if name not in webhook_names():
        _unknown_provider(validator, path, name)
        return ()
    schemes = load_provider(name).schemes
    if public_url == "" and schemes and all(_signs_url(scheme) for scheme in schemes):
        validator.add(path, f"{name!r} signs the URL, but public_url is not set", "set public_url in [gateway]")
    return schemes


def _unknown_provider(validator: Validator, path: Path, name: str) -> None:
    from tidegate.providers import near_provider

    near = near_provider(name)
    hint = (
        f"did you mean {near!r}?"
        if near
        else "list them: docs/reference/providers.md; or describe the scheme: verify = { type = ... }"
    )
    validator.add(path, f"unknown provider {validator.problems.show(path, name)}", hint)


def _signs_url(scheme: Scheme) -> bool:
    return "{url" in scheme.signed or "{url_sha256_hex}" in scheme.claims.values()


def _usable(validator: Validator, path: Path, input: WebhookInput, schemes: tuple[Scheme, ...], what: str) -> None:
    from tidegate.rules.inbound.signatures import secret_forms, usable

    if not schemes or all(scheme.kind == "certificate" and "{secret}" not in scheme.signed for scheme in schemes):
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
                f"it is {secret_forms(schemes)}; copy it again",
            )


def _no_secret(validator: Validator, path: Path, what: str) -> None:
    """Warn when the secret is not set: many providers show it only after they have the address."""
    if validator.problems.written((*path, "secret")) is None:
        validator.problems.warn(path, f"{what} has no secret yet, so every request is answered 401; add `secret`")
    else:
        hint = "check the variable or file that it comes from"
        validator.add((*path, "secret"), f"the secret of {what} is empty", hint)


def _scheme(validator: Validator, path: Path, table: CustomScheme, public_url: str | None) -> Scheme | None:
    """The scheme, None when it cannot be used."""
    from tidegate.providers.shape import scheme_of
    from tidegate.rules.inbound.signatures.parts import TEMPLATE_PARTS
    from tidegate.rules.inbound.signatures.readers import check_scheme

    before = len(validator.problems)
    for key in ("header", "timestamp_header", "id_header"):
        if value := getattr(table, key):
            validator.header_name((*path, key), value)
    if table.type == "mtls" and not table.header:
        validator.add(path, "'mtls' needs `header`", "name the header in which your proxy passes the subject")
    if table.keys_url:
        validator.url((*path, "keys_url"), table.keys_url)
    validator.duration((*path, "tolerance"), table.tolerance, SECOND, DAY)
    validator.duration((*path, "max_age"), table.max_age, 0, DAY)
    at = (*path, "signed")
    parts = _BRACES.findall(table.signed)
    known = [part.partition(":")[0] for part in TEMPLATE_PARTS] + (["secret"] if table.type == "hash" else [])
    for part in parts:
        if part.partition(":")[0] not in known:
            validator.add(at, f"unknown part '{{{part}}}' in {table.signed!r}", nearest(part, known, "part"))
    signs = table.type in ("hmac", "hash", "ed25519", "ecdsa", "rsa")
    if signs and not any(part in _WITH_BODY or part.startswith("path:") for part in parts):
        validator.add(at, f"{table.signed!r} does not sign the body", "add {body}")
    has_time = table.timestamp_header or table.timestamp_prefix or table.timestamp_path or table.timestamp_first
    for part, key, given in (("timestamp", "timestamp_header", has_time), ("id", "id_header", table.id_header)):
        if part in parts and not given:
            validator.add(at, f"'{{{part}}}' is signed, but '{key}' is not set", f'add {key} = "HEADER"')
    if signs and has_time and "timestamp" not in parts and not table.timestamp_path:
        validator.problems.warn(
            at, "the time is not signed, so a sender can change it; add {timestamp} if the sender signs it"
        )
    scheme = scheme_of(table)
    if _signs_url(scheme) and public_url == "":
        validator.add(at, "'{url}' is signed, but public_url is not set", "set public_url in [gateway]")
    if len(validator.problems) == before:
        validator.compiled(path, check_scheme, scheme)
    return scheme if len(validator.problems) == before else None


def _handshake(validator: Validator, path: Path, input: WebhookInput) -> None:
    from tidegate.providers import webhook_names
    from tidegate.providers.shape import provider_of

    if input.handshake:
        at = (*path, "handshake")
        if input.handshake not in webhook_names():
            _unknown_provider(validator, at, input.handshake)
            return
        if isinstance(input.verify, str) and input.verify != "none":
            validator.add(at, f"the provider {input.verify!r} has its own handshakes", "remove `handshake`")
    known = isinstance(input.verify, CustomScheme) or input.verify in ("none", *webhook_names())
    if not known:
        return
    rules = [rule for rule in provider_of(input).handshakes if rule.needs_token()]
    if rules and not input.handshake_token:
        validator.problems.warn(path, f"the handshake needs `handshake_token`, {rules[0].token_help}")
    if input.handshake_token and not rules:
        validator.add((*path, "handshake_token"), "no handshake of this source has a token", "remove it")


def _places(validator: Validator, path: Path, input: WebhookInput) -> None:
    """Everything that is read from a request or left out of a comparison."""
    from tidegate.rules.inbound.repeats import volatile_paths
    from tidegate.rules.language.paths import parse_path
    from tidegate.rules.outbound.forwarding import check_names

    for key in _PLACES:
        _place(validator, (*path, key), getattr(input, key))
    at = (*path, "dedupe")
    if input.dedupe.scope is not msgspec.UNSET:
        for number, text in enumerate(input.dedupe.scope):
            if text not in ("type", "key"):
                hint = "name type, key, header:NAME, query:NAME or a path"
                _place(validator, (*at, "scope", number), text, hint)
    if input.dedupe.volatile is not msgspec.UNSET:
        for number, text in enumerate(input.dedupe.volatile):
            validator.compiled((*at, "volatile", number), lambda text: volatile_paths([text]), text)
            if not text:
                message = "the path is empty, so every body would be a repeat"
                validator.add((*at, "volatile", number), message, "name a field")
    for number, name in enumerate(input.forward_headers):
        validator.compiled((*path, "forward_headers", number), lambda name: check_names([name]), name)
    if input.split == "feed" and find_spec("feedparser") is None:
        validator.problems.warn((*path, "split"), 'reading RSS and Atom needs an extra: pip install "tidegate[feeds]"')
    if input.split not in ("", "$", "auto", "feed"):
        validator.compiled((*path, "split"), parse_path, input.split)


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
