"""A payload as a tree of plain values for the template. Pure, bounded, and nothing in it is ever markup.

A payload is foreign: it may be deep, wide, huge or not JSON. The tree stops at a number of nodes, a depth and a length
of text, and says where it stopped; the raw view and the raw download have the rest.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

MAX_NODES = 260  # a page stays under 60 KB
MAX_DEPTH = 24
MAX_TEXT = 600
MAX_RAW = 14_000


class Node(NamedTuple):
    """One value. `kind`: object, list, string, number, word (true, false, null). `more`: children left out."""

    name: str
    kind: str
    text: str
    children: tuple[Node, ...] = ()
    size: int = 0
    more: int = 0


def tree(value: Any) -> Node:
    """The root node of a parsed JSON value."""
    budget = [MAX_NODES]
    return _node("", value, 0, budget)


def _node(name: str, value: Any, depth: int, budget: list[int]) -> Node:
    budget[0] -= 1
    name = _bounded(name, 120)
    if isinstance(value, dict | list):
        pairs = list(value.items()) if isinstance(value, dict) else [(str(i), item) for i, item in enumerate(value)]
        children: list[Node] = []
        if depth < MAX_DEPTH:
            for key, item in pairs:
                if budget[0] <= 0:
                    break
                children.append(_node(str(key), item, depth + 1, budget))
        kind = "object" if isinstance(value, dict) else "list"
        return Node(name, kind, "", tuple(children), len(pairs), len(pairs) - len(children))
    if isinstance(value, str):
        return Node(name, "string", _bounded(json.dumps(value, ensure_ascii=False), MAX_TEXT))
    if isinstance(value, bool) or value is None:
        return Node(name, "word", json.dumps(value))
    return Node(name, "number", _bounded(str(value), 80))


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


def raw(body: bytes) -> tuple[str, bool]:
    """The bytes as text for reading, and whether something was left out. Bytes that are no UTF-8 show as \\xNN."""
    cut = len(body) > MAX_RAW
    text = body[:MAX_RAW].decode("utf-8", "backslashreplace")
    return text.replace("\x00", "\\x00"), cut


def differences(before: Any, after: Any) -> list[tuple[str, str, str]]:
    """(field, before, after) of the top-level fields that differ, as JSON texts; "" where a side has none."""
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    rows = []
    for name in [*old, *(key for key in new if key not in old)]:
        if name in old and name in new and old[name] == new[name]:
            continue
        rows.append((str(name)[:120], _shown(old, name), _shown(new, name)))
    return rows[:60]


def _shown(side: dict[str, Any], name: str) -> str:
    return _bounded(json.dumps(side[name], ensure_ascii=False), MAX_TEXT) if name in side else ""
