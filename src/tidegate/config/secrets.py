"""Finds the secrets of a source or destination, hides them in answers, and keeps them on updates.

Owns the list of keys that hold secrets. It works on plain trees (the JSON form of the structs) and never logs or
stores. Invariants: the result of `hide` has no secrets; a credential is kept only for the origin that it was given for,
so a person who may change an address cannot have the credential sent elsewhere. Crash: nothing is kept.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tidegate.config.lines import Path
from tidegate.config.problems import SECRET_KEYS, dotted
from tidegate.config.spec import Credential, ExpandedSource, Source
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Destination
from tidegate.kinds import MASK, kind_named
from tidegate.rules.inbound.redaction import is_credential

Tree = dict[str, Any]

# Of resources and credentials; their queries can carry credentials. A `base_url` has no query.
_ADDRESSES = ("path", "item_path", "access_token_url", "token_url", "authorization_url")
_NAMED = ("headers", "params", "extra", "authorization_extra")  # tables whose keys may name a credential
_TOKEN_URLS = ("access_token_url", "token_url", "api_url")  # where the secrets of a credential are sent


def tree_of(struct: msgspec.Struct) -> Tree:
    """The JSON form in the order of the struct, with its secrets; values that equal the default are left out.

    msgspec's `omit_defaults` compares strings by identity, so it would keep a default that the user wrote out. A source
    that takes keys from a provider file is as the user wrote it.
    """
    if isinstance(struct, ExpandedSource):
        return copy.deepcopy(struct.written)
    out: Tree = {}
    config = struct.__struct_config__
    if config.tag_field is not None:
        out[config.tag_field] = config.tag
    # Required keys first: the struct of a kind has its own keys after those that all kinds share.
    for field in _fields(type(struct)):
        value = getattr(struct, field.name)
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if value is not msgspec.UNSET and value != default:
            out[field.encode_name] = _plain(value)
    return out


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    return sorted(msgspec.structs.fields(kind), key=lambda one: not one.required)


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return tree_of(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def secret_places(tree: Tree) -> Iterator[tuple[Path, Any]]:
    """(path, value) of every secret of one source or destination, in order."""
    yield from _places(tree, ())


def _places(node: Tree, path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in node.items():
        at = (*path, key)
        if key in SECRET_KEYS and isinstance(value, str | list):
            if value:
                yield at, value
        elif path and path[-1] in _NAMED:
            if is_credential(key.lower()) and value:
                yield at, value
        elif key in _ADDRESSES and isinstance(value, str) and _carries_credential(value):
            yield at, value
        elif isinstance(value, dict):
            yield from _places(value, at)
    if not path and isinstance(node.get("url"), str) and open_address(node) != node["url"]:
        yield ("url",), node["url"]


def _carries_credential(address: str) -> bool:
    """Whether the query of a path or URL has a parameter whose name says that it is a credential."""
    query = address.partition("?")[2]
    return any(is_credential(name.lower()) for name, value in parse_qsl(query) if value)


def replaced(tree: Tree, change: Callable[[Path, Any], Any]) -> Tree:
    """A copy with every secret replaced by what `change(path, value)` returns."""
    out = copy.deepcopy(tree)
    for path, value in list(secret_places(tree)):
        _set(out, path, change(path, value))
    return out


def hide(tree: Tree) -> Tree:
    """Secrets become `{"set": true}` (a list: with its `count`); the hidden part of an address becomes `...`."""
    return replaced(tree, lambda path, value: masked(tree) if path == ("url",) else _marker(value))


def hide_secrets(struct: msgspec.Struct) -> Tree:
    """The API form of a source, destination or route: same keys as the file, no secret in it."""
    tree = tree_of(struct)
    return hide(tree) if isinstance(struct, Credential | Source | Destination) else tree


def to_json(struct: msgspec.Struct) -> bytes:
    """`hide_secrets` as JSON bytes."""
    return msgspec.json.encode(hide_secrets(struct))


def open_address(destination: Tree) -> str:
    """The part of a destination's address that may be shown, by its kind; "" when it is secret altogether."""
    return kind_named(destination).open_part(str(destination.get("url", "")))


def masked(destination: Tree) -> str:
    """A URL with its secret part hidden: `https://hooks.slack.com/...`, `https://crm.example.com/hooks?...`."""
    return (open_address(destination) or f"{origin_of(destination['url'])}/") + MASK


def origin_of(url: Any) -> str:
    """The origin `https://host:port` in lower case, or `{credential.NAME}`; "" when the value is not a URL."""
    if isinstance(url, str) and url.startswith("{credential."):
        return url.partition("}")[0] + "}"
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        port = parts.port
    except ValueError:
        return ""
    if not parts.hostname:
        return ""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{shown}" + ("" if port in (None, default) else f":{port}")


def is_marker(value: Any) -> bool:
    return isinstance(value, dict) and value.get("set") is True and set(value) <= {"set", "count"}


def _marker(value: Any) -> Tree:
    return {"set": True, "count": len(value)} if isinstance(value, list) else {"set": True}


def merge_secrets(new: Tree, old: msgspec.Struct | None, full: Callable[[Tree], Tree] = lambda tree: tree) -> Tree:
    """`new` (from a PUT) with the secrets of `old` where it leaves them out or has them hidden.

    `full` fills in what a provider file gives: the addresses that a credential goes to may come from there.

    A signing secret is kept whenever it is left out. A credential (auth, headers, params) is kept only while its table
    is present, the URL has the same origin, and neither `ca` nor `proxy` is new. ConfigError for a hidden secret that
    cannot be kept.
    """
    out = copy.deepcopy(new)
    before = tree_of(old) if isinstance(old, Credential | Source | Destination) else {}
    was, becomes = full(before), full(out)
    for path, value in secret_places(before):
        if path == ("url",):
            if out.get("url", masked(before)) == masked(before) and kind_named(out) is kind_named(before):
                out["url"] = value
            continue
        parent = _get(out, path[:-1])
        if not isinstance(parent, dict):
            continue
        given = parent.get(path[-1])
        named = path[-2] if len(path) > 1 else ""
        left_out = given is None and named not in _NAMED
        if left_out and _signs_no_more(path, before, out):
            continue
        if named == "auth" and parent.get("type") != _get(before, path[:-1])["type"]:
            continue
        if is_marker(given) or left_out:
            if path[-1] != "secret":
                _same_origin(path, was, becomes)
                _same_server(path, was, becomes)
                _same_way(path, was, becomes)
            parent[path[-1]] = copy.deepcopy(value)
    _no_marker_left(out, ())
    _no_mask_left(out)
    return out


def _signs_no_more(path: Path, before: Tree, after: Tree) -> bool:
    """Whether the secret is not needed: the destination has a new type, or the webhook is no longer verified."""
    if path == ("secret",):
        return kind_named(after) is not kind_named(before)
    return path == ("webhook", "secret") and bool(after["webhook"].get("verify") == "none")


def _same_origin(path: Path, before: Tree, after: Tree) -> None:
    token_urls = tuple((path[:-1], key) for key in _TOKEN_URLS)
    owners: tuple[tuple[Path, str], ...] = (((), "url"), (("api",), "base_url"), *token_urls)
    if len(path) > 1 and path[-2] == "proxy":
        owners = ((path[:-1], "url"),)  # its password goes to the proxy alone
    for owner, key in owners:
        if (*owner, key) == path:
            continue
        was, is_ = _get(before, (*owner, key)), _get(after, (*owner, key))
        if was is not None and is_ is not None and origin_of(was) != origin_of(is_):
            raise ConfigError(
                f"the credential is for {origin_of(was)}, but the new URL is at {origin_of(is_) or 'no origin'}",
                path=dotted(path),
                hint=f"send '{path[-1]}' together with the new URL",
            )


def _same_server(path: Path, before: Tree, after: Tree) -> None:
    """A password of mail goes to the server and the port, and by the TLS, that it was given for."""
    owner: Path = ("imap",) if path[:1] == ("imap",) else ()
    was, is_ = _get(before, owner), _get(after, owner)
    if not isinstance(was, dict) or not isinstance(is_, dict) or "host" not in was:
        return
    for key in ("host", "port", "tls"):
        if was.get(key) != is_.get(key):
            raise ConfigError(
                f"the credential is for another mail server: '{key}' has changed",
                path=dotted(path),
                hint=f"send '{path[-1]}' together with the new '{key}'",
            )


def _same_way(path: Path, before: Tree, after: Tree) -> None:
    """A new authority or proxy can read what is sent, so only a person who knows the credential may set one."""
    for owner in ((), ("api",), ("imap",)):
        for key in ("ca", "proxy"):
            new = _get(after, (*owner, key))
            if new and path[-2:-1] != ("proxy",) and _where(new) != _where(_get(before, (*owner, key))):
                raise ConfigError(
                    f"the credential could be read on the new way: '{key}' has changed",
                    path=dotted(path),
                    hint=f"send '{path[-1]}' together with the new '{key}'",
                )


def _where(way: Any) -> Any:
    """A proxy without its credentials."""
    return (way.get("url"), way.get("ca")) if isinstance(way, dict) else way


def _no_marker_left(node: Any, path: Path) -> None:
    if is_marker(node) and path and path[0] not in ("filter", "transform"):
        raise ConfigError("the secret is hidden, but none is stored", path=dotted(path), hint="send the secret itself")
    if isinstance(node, dict):
        for key, value in node.items():
            _no_marker_left(value, (*path, key))


def _no_mask_left(new: Tree) -> None:
    if isinstance(new.get("url"), str) and new["url"] == masked(new):
        raise ConfigError("the URL is hidden, but none is stored", path="$.url", hint="send the whole URL")


def _get(tree: Any, path: Path) -> Any:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _set(tree: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        tree = tree[part]
    tree[path[-1]] = value
