"""Checks shared credentials, and that each reference names one.

Owns the rules for `[credentials.NAME]`. May not know tokens. Adds to `Problems`. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.auth import client_certificate, header_names, referred, request_auth
from tidegate.config.checks_connection import check_connection
from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.spec import ApiInput, Config, Credential
from tidegate.config.validate import Validator
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Auth
from tidegate.rules.sync.base_urls import captured_names, place_of


def check_credential(validator: Validator, path: Path, credential: Credential) -> None:
    """Check one shared credential."""
    validator.auth((*path, "auth"), credential.auth, {})
    validator.rate((*path, "rate"), credential.rate)
    if client_certificate(credential.auth) is not None:
        validator.add(
            (*path, "auth"), "a client certificate belongs to a connection, so it cannot be shared",
            'write auth = { type = "mtls", certificate = "...", private_key = "...", auth = { credential = "NAME" } }'
            " where it is used",
        )  # fmt: skip
    check_connection(validator, path, "", (credential.ca, credential.proxy), None)
    if referred(credential.auth):
        validator.add((*path, "auth"), "a shared credential cannot refer to another one", "write its keys here")
    for number, origin in enumerate(credential.origins):
        validator.compiled((*path, "origins", number), check_origin, origin)


def check_origin(text: str) -> None:
    """ConfigError unless a text is an origin: scheme, host and perhaps a port, or a captured one."""
    if captured_names(text) and place_of(text) == text.lower():
        return
    from tidegate.rules.outbound.addresses import parse_target

    target = parse_target(text)
    if target.path not in ("", "/") or "?" in text:
        raise ConfigError(f"{text!r} is not an origin", hint=f"write it as {target.origin}")


def check_credential_references(validator: Validator, config: Config, rejected: Sequence[str]) -> None:
    """Each `auth = { credential = "NAME" }` names a credential of the file, and its header is not configured twice."""
    known = [*config.credentials, *rejected]
    for path, auth, headers in _users(config):
        name = referred(auth)
        if name and name not in known:
            hint = nearest(name, known, "credential") if known else f"add [credentials.{name}]"
            validator.add((*path, "credential"), f"unknown credential '{name}'", hint)
        elif name in config.credentials:
            _captured(validator, config, path, config.credentials[name].auth)
            shared = config.credentials[name].auth
            for header in header_names(shared):
                if header.lower() in headers:
                    validator.add(path, f"the credential '{name}' and headers both set '{header}'", "keep one of them")


def check_captured(validator: Validator, path: Path, api: ApiInput, auth: Auth | None) -> None:
    """Each `{credential.NAME}` of the base URL and of the headers is captured. `path`: of the API."""
    kept = [name.rpartition(".")[2] for name in getattr(auth, "capture", ())]
    places = {(*path, "base_url"): api.base_url, **{(*path, "headers", name): one for name, one in api.headers.items()}}
    for at, text in places.items():
        for name in captured_names(text):
            if name not in kept:
                hint = nearest(name, kept, "capture") if kept else f'add capture = ["{name}"] to the credential'
                validator.add(at, f"the credential does not capture '{name}'", hint)


def _captured(validator: Validator, config: Config, path: Path, auth: Auth) -> None:
    """Of a source with a shared credential. `path`: of its auth."""
    api = config.sources[str(path[1])].api if path[0] == "sources" else None
    if api is not None:
        check_captured(validator, path[:-1], api, request_auth(auth))


def _users(config: Config) -> Iterator[tuple[Path, Auth | None, set[str]]]:
    """(path, auth, names of the configured headers in lower case) of each source and destination."""
    for name, source in config.sources.items():
        if source.api is not None:
            yield ("sources", name, "api", "auth"), source.api.auth, {one.lower() for one in source.api.headers}
    for name, destination in config.destinations.items():
        auth: Auth | None = getattr(destination, "auth", None)
        headers: dict[str, str] = getattr(destination, "headers", {})
        yield ("destinations", name, "auth"), auth, {one.lower() for one in headers}
