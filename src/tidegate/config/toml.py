"""Writing TOML: a tree of tables as text, byte for byte the same for the same tree.

Owns the layout: which tables get a header of their own and which stand inline. Knows no secrets and no
meaning. Invariant: `tomllib.loads(write(tree))` gives the tree back.
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
    """`tree` in its own order. `headers` has the same keys as the tables that get a `[header]`; "*" is any name."""
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
    """One value; tables inline. ValueError for what TOML has no word for (null)."""
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
    raise ValueError(f"TOML has no word for {item!r}")
