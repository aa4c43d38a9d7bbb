"""A configuration going out as TOML, and single items coming in by the API.

Owns the layout of exports and the names of the variables that stand for secrets in them. It knows neither
HTTP nor the store. Invariants: an export holds no secret; the same configuration gives the same bytes; an
export read back with its variables set gives the same configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tidegate.config import toml
from tidegate.config.checks import check_item
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
from tidegate.config.shape import check_shape
from tidegate.config.spec import Config, Source
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Destination, Route
from tidegate.kinds import AnyDestination, kind_named, with_type

# Keys of the API's answer that are no keys of the configuration: a GET can be PUT back.
READ_ONLY = frozenset({"name", "owner", "paused_at", "pause_reason", "health", "revision"})
_RESOURCE: Mapping[str, Any] = {}
_HEADERS: Mapping[str, Any] = {
    "gateway": {},
    "egress": {},
    "retention": {},
    "sources": {"*": {"webhook": {}, "form": {}, "publish": {}, "api": {}, "resources": {"*": _RESOURCE}}},
    "destinations": {"*": {}},
    "routes": {"*": {}},
}
_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


# -- out -------------------------------------------------------------------------------------------------


def to_toml(config: Config) -> str:
    """Items in the order they have in `config`; secrets as `${env:...}`. For part of it, pass a Config of that part."""
    return toml.write(export_tree(config)[0], _HEADERS)


def export_tree(config: Config) -> tuple[Tree, dict[str, str]]:
    """(the tree that is written, variable -> secret that it stands for). The second is for tests and backups only."""
    variables: dict[str, str] = {}
    plain = tree_of(config)
    tree: Tree = _escaped(plain)
    for kind, prefix in (("sources", ""), ("destinations", "TO_")):
        for name, item in plain.get(kind, {}).items():
            address = open_address(item) if kind == "destinations" else ""
            stand_in = _StandIn(prefix + name, dict(secret_places(item)), variables, address)
            tree[kind][name] = replaced(tree[kind][name], stand_in.for_secret)
    return tree, variables


class _StandIn:
    """Names a variable for each secret of one item: PAYMENTS_WEBHOOK_SECRET, SHOP_API_TOKEN, TO_CRM_SECRET."""

    def __init__(self, name: str, secrets: dict[Path, Any], variables: dict[str, str], address: str) -> None:
        """`address`: the part of the item's own that is no secret, "" when it is secret altogether."""
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
    """Texts that look like a placeholder but came out of one, or by `$${`, are written so that they stay."""
    if isinstance(node, str):
        return _PLACEHOLDER.sub(lambda match: "$" + match[0], node)
    if isinstance(node, dict):
        return {key: _escaped(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_escaped(value) for value in node]
    return node


# -- in --------------------------------------------------------------------------------------------------

_I = TypeVar("_I", Source, Destination, Route)


def decode_source(name: str, payload: Tree | bytes, old: Source | None = None) -> Source:
    """A source as PUT. `old`: what it replaces; its secrets are kept where the payload has none.

    Raises ConfigError (ConfigRefused for several) for everything that the file would be refused for, and for `${...}`.
    Whether the items it names are there is not judged here.
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
            f"the name {name!r} is not allowed",
            hint="a name has small letters, digits, '-' and '_', 63 at most, and begins with a letter or digit",
        )
    tree = _tree(payload)
    if tree.get("name", name) != name:
        raise ConfigError(
            f"the body names {tree['name']!r}, the address {name!r}", path="$.name", hint="leave 'name' out of the body"
        )
    own = kind_named(tree).spec if struct is Destination else struct
    known = {field.encode_name for field in msgspec.structs.fields(own)}
    tree = {key: value for key, value in tree.items() if key in known or key not in READ_ONLY}
    problems = Problems()
    _refuse_placeholders(tree, (), problems)
    problems.refuse()
    tree = merge_secrets(tree, old)
    shape: Any = AnyDestination if struct is Destination else struct
    check_shape(tree, shape, problems)
    problems.refuse()
    item: _I = convert(tree, shape)
    check_item(kind, name, item, problems)
    problems.refuse()
    return item


def _tree(payload: Tree | bytes) -> Tree:
    if isinstance(payload, bytes):
        try:
            payload = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"not JSON: {error}", hint="send a JSON object with the keys of the file") from None
    if not isinstance(payload, dict):
        raise ConfigError("expected an object", hint="send a JSON object with the keys of the file")
    return payload


def _refuse_placeholders(node: Any, path: Path, problems: Problems) -> None:
    if len(path) > MAX_DEPTH:
        raise ConfigError(f"nested deeper than {MAX_DEPTH}", path=dotted(path[:3]), hint="flatten it")
    if isinstance(node, str):
        match = _PLACEHOLDER.search(node)
        if match:
            hint = "send the value itself; variables and files are read only for tidegate.toml"
            problems.add(path, f"{match[0]!r} is read only in the file", hint)
    elif isinstance(node, dict):
        for key, value in node.items():
            _refuse_placeholders(value, (*path, key), problems)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            _refuse_placeholders(value, (*path, number), problems)


__all__ = [
    "READ_ONLY",
    "decode_destination",
    "decode_route",
    "decode_source",
    "export_tree",
    "hide_secrets",
    "merge_secrets",
    "to_json",
    "to_toml",
]
