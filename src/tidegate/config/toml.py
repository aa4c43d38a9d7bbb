"""Writes a tree of tables as TOML.

Owns the layout: which tables have a header and which are inline. May not know secrets or what keys mean. Invariants:
the same tree gives the same bytes, and `tomllib.loads(write(tree))` gives the tree. Crash: nothing is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_CONTROL = re.compile(r'[\x00-\x1f\x7f"\\]')


def write(tree: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    """`tree` as TOML, in order. `headers` has the keys of the tables that get a `[header]`; "*" matches any name."""
    out: list[str] = []
    _table(tree, headers, (), out)
    return "\n".join(out).lstrip("\n") + "\n" if out else ""


def _table(table: Mapping[str, Any], headers: Mapping[str, Any], path: tuple[str, ...], out: list[str]) -> None:
    below: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = []
    lines: list[str] = []
    for name, item in table.items():
        inner = headers.get(name, headers.get("*"))
        if isinstance(item, Mapping) and inner is not None:
            below.append((name, item, inner))
        else:
            lines.append(f"{key(name)} = {value(item)}")
    if path and (lines or not below):
        out.append("")
        out.append(f"[{'.'.join(key(part) for part in path)}]")
    out.extend(lines)
    for name, item, inner in below:
        _table(item, inner, (*path, name), out)


def key(name: str) -> str:
    return name if _BARE.fullmatch(name) else text(name)


def text(value: str) -> str:
    """A basic string on one line."""
    return '"' + _CONTROL.sub(lambda m: _SHORT.get(m[0], f"\\u{ord(m[0]):04x}"), value) + '"'


def value(item: Any) -> str:
    """One value, with tables inline. ValueError for a value that TOML does not have (null)."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return text(item)
    if isinstance(item, int):
        return str(item)
    if isinstance(item, float) and math.isfinite(item):
        return repr(item)
    if isinstance(item, list | tuple):
        return f"[{', '.join(value(one) for one in item)}]"
    if isinstance(item, Mapping):
        pairs = ", ".join(f"{key(name)} = {value(one)}" for name, one in item.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    raise ValueError(f"TOML has no value for {item!r}")
