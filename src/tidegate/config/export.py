"""Writes a configuration as TOML, and reads single items from the API.

Owns the layout of exports and the names of the variables that replace secrets. Knows neither HTTP nor the store.
Invariants: an export has no secrets; the same configuration gives the same bytes; loading an export with its variables
set gives the same configuration. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tidegate.config import toml
from tidegate.config.auth_types import item_with_auth_type
from tidegate.config.checks import check_item
from tidegate.config.expand import expand, with_written
from tidegate.config.lines import Path
from tidegate.config.load import MAX_DEPTH, convert
from tidegate.config.problems import Problems, dotted
from tidegate.config.secrets import (
    Tree,
    hide_secrets,
    merge_secrets,
    open_address,
    replaced,
    secret_places,
    to_json,
    tree_of,
)
from tidegate.config.shape import NAME_HINT, check_shape
from tidegate.config.spec import Config, Credential, ExpandedSource, Source
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Destination, Route
from tidegate.kinds import AnyDestination, kind_named, with_type
from tidegate.providers import provider_data

# Keys that only the API's answer has. They are dropped, so that the answer of GET can be sent with PUT.
READ_ONLY = frozenset({"name", "owner", "paused_at", "pause_reason", "health", "revision"})
_RESOURCE: Mapping[str, Any] = {}
_HEADERS: Mapping[str, Any] = {
    "gateway": {},
    "egress": {},
    "retention": {},
    "alerts": {"quiet": {}},
    "credentials": {"*": {}},
    "sources": {
        "*": {
            "webhook": {},
            "form": {},
            "publish": {},
            "api": {},
            "imap": {},
            "resources": {"*": _RESOURCE},
            "operations": {"*": {}},
        }
    },
    "destinations": {"*": {}},
    "routes": {"*": {}},
}
_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
_BODY_HINT = "send a JSON object with the keys of the file"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


# -- out -------------------------------------------------------------------------------------------------


def to_toml(config: Config) -> str:
    """The configuration as TOML, in order, with secrets as `${env:...}`. To export a part, pass a partial Config."""
    return toml.write(export_tree(config)[0], _HEADERS)


def source_toml(name: str, tree: Tree) -> str:
    """One source as TOML, as it is: values may be `${env:...}`."""
    return toml.write({"sources": {name: tree}}, _HEADERS)


def export_tree(config: Config) -> tuple[Tree, dict[str, str]]:
    """(the tree that is written, the secret of each variable). The secrets are only for tests and backups."""
    variables: dict[str, str] = {}
    plain = tree_of(config)
    tree: Tree = _escaped(plain)
    for kind, prefix in (("credentials", "CREDENTIAL_"), ("sources", ""), ("destinations", "TO_")):
        for name, item in plain.get(kind, {}).items():
            address = open_address(item) if kind == "destinations" else ""
            names = _VariableNames(prefix + name, dict(secret_places(item)), variables, address)
            tree[kind][name] = replaced(tree[kind][name], names.for_secret)
    return tree, variables


class _VariableNames:
    """Names a variable for each secret of one item: PAYMENTS_WEBHOOK_SECRET, SHOP_API_TOKEN, TO_CRM_SECRET."""

    def __init__(self, name: str, secrets: dict[Path, Any], variables: dict[str, str], address: str) -> None:
        """`address`: the part of the item's URL that is not secret, "" when all of it is secret."""
        self.name = name
        self.secrets = secrets
        self.variables = variables
        self.address = address

    def for_secret(self, path: Path, _escaped_value: Any) -> Any:
        value = self.secrets[path]
        if isinstance(value, list):
            return [self._one((*path, str(number + 1)), one) for number, one in enumerate(value)]
        if path == ("url",) and self.address:
            return _escaped(self.address) + self._one((*path, "query"), value.removeprefix(self.address))
        return self._one(path, value)

    def _one(self, path: Path, value: str) -> str:
        words = [self.name, *(str(part) for part in path if part not in ("auth", "headers", "params", "resources"))]
        base = re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper()).strip("_")
        if base[0].isdigit():
            base = "_" + base
        variable, number = base, 2
        while variable in self.variables:
            variable, number = f"{base}_{number}", number + 1
        self.variables[variable] = value
        return f"${{env:{variable}}}"


def _escaped(node: Any) -> Any:
    """Escape `${...}` in values as `$${...}`, so that loading the export gives the same value."""
    if isinstance(node, str):
        return _PLACEHOLDER.sub(lambda match: "$" + match[0], node)
    if isinstance(node, dict):
        return {key: _escaped(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_escaped(value) for value in node]
    return node


# -- in --------------------------------------------------------------------------------------------------

_I = TypeVar("_I", Credential, Source, Destination, Route)


def decode_credential(name: str, payload: Tree | bytes, old: Credential | None = None) -> Credential:
    """As `decode_source`."""
    return _decode("credential", name, payload, Credential, old)


def decode_source(name: str, payload: Tree | bytes, old: Source | None = None) -> Source:
    """The source of a PUT. `old` is the source that it replaces; its secrets are kept where the payload has none.

    Raises ConfigError (ConfigRejected for several problems) for everything that is wrong in the file too, and for
    `${...}`. Does not check whether the items that it names exist.
    """
    return _decode("source", name, payload, Source, old)


def decode_destination(name: str, payload: Tree | bytes, old: Destination | None = None) -> Destination:
    """As `decode_source`. The kind is the one that `type` names, a webhook when it is left out."""
    return _decode("destination", name, with_type(_tree(payload)), Destination, old)


def decode_route(name: str, payload: Tree | bytes, old: Route | None = None) -> Route:
    """As `decode_source`; a route has no secrets."""
    return _decode("route", name, payload, Route, old)


def _decode(kind: str, name: str, payload: Tree | bytes, struct: type[_I], old: _I | None) -> _I:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is not a valid name",
            hint=NAME_HINT,
        )
    tree = _tree(payload)
    if tree.get("name", name) != name:
        raise ConfigError(
            f"the name in the body is {tree['name']!r}, but the one in the URL is {name!r}",
            path="$.name",
            hint="remove 'name' from the body",
        )
    own = kind_named(tree).spec if struct is Destination else struct
    known = {field.encode_name for field in msgspec.structs.fields(own)}
    tree = {key: value for key, value in tree.items() if key in known or key not in READ_ONLY}
    problems = Problems()
    _reject_placeholders(tree, (), problems)
    problems.raise_found()
    written = merge_secrets(item_with_auth_type(tree), old, _full)
    tree = expand(written, (), provider_data, problems) if struct is Source else written
    problems.raise_found()
    shape: Any = AnyDestination if struct is Destination else struct
    check_shape(tree, shape, problems)
    problems.raise_found()
    item: Any = convert(tree, shape)
    if isinstance(item, Source):
        item = with_written(item, written)
    check_item(kind, name, item, problems)
    problems.raise_found()
    out: _I = item
    return out


def expanded_again(name: str, old: ExpandedSource) -> Source:
    """A source of the API with what its provider file gives now. ConfigError when that does not fit any more."""
    problems = Problems()
    tree = expand(old.written, (), provider_data, problems)
    check_shape(tree, Source, problems)
    problems.raise_found()
    source = with_written(convert(tree, Source), old.written)
    check_item("source", name, source, problems)
    problems.raise_found()
    return source


def _full(tree: Tree) -> Tree:
    """A source's tree with what its provider file gives; what is wrong with it is reported later."""
    full: Tree = expand(tree, (), provider_data, Problems())
    return full


def _tree(payload: Tree | bytes) -> Tree:
    if isinstance(payload, bytes):
        try:
            payload = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"the body is not JSON: {error}", hint=_BODY_HINT) from None
    if not isinstance(payload, dict):
        raise ConfigError("the body is not a JSON object", hint=_BODY_HINT)
    return payload


def _reject_placeholders(node: Any, path: Path, problems: Problems) -> None:
    if len(path) > MAX_DEPTH:
        raise ConfigError(
            f"the value is nested more than {MAX_DEPTH} levels deep", path=dotted(path[:3]), hint="flatten it"
        )
    if isinstance(node, str):
        match = _PLACEHOLDER.search(node)
        if match:
            hint = "send the value itself; ${env:...} and ${file:...} work only in tidegate.toml"
            problems.add(path, f"{match[0]!r} cannot be used through the API", hint)
    elif isinstance(node, dict):
        for key, value in node.items():
            _reject_placeholders(value, (*path, key), problems)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            _reject_placeholders(value, (*path, number), problems)


__all__ = [
    "READ_ONLY",
    "decode_credential",
    "decode_destination",
    "decode_route",
    "decode_source",
    "export_tree",
    "hide_secrets",
    "merge_secrets",
    "to_json",
    "to_toml",
]
