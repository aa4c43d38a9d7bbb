"""A payload as a tree of plain values for the template. Pure, bounded, and nothing in it is ever markup.

A payload is foreign: it may be deep, wide, huge or not JSON. The tree stops at a depth and a size,
and says where it stopped; the raw view and the raw download have the rest.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any, NamedTuple

from tidegate.core.unseen import visible_lines
from tidegate.rules.language.numbers import json_text

MAX_DEPTH = 16
MAX_TEXT = 600
MAX_PAGE = 10_000  # bytes of a payload on a page, with its HTML escapes: a page stays under 60 KB
NODE_BYTES = 62  # of markup around a value
MAX_FIELDS = 40


class Node(NamedTuple):
    """One value. `kind`: object, list, string, number, word (true, false, null). `more`: children left out."""

    name: str
    kind: str
    text: str
    children: tuple[Node, ...] = ()
    size: int = 0
    more: int = 0


class Space:
    """What is left of a page for foreign text. Counted with its HTML escapes: `<` takes four characters."""

    def __init__(self, size: int = MAX_PAGE) -> None:
        self.left = size

    def take(self, text: str, most: int) -> str:
        """The text, or as much of it as fits, with an ellipsis where it was cut."""
        shown = text[:most]
        cost = weight(shown)
        while cost > max(self.left, 0) and shown:
            shown = shown[: min(len(shown) - 1, len(shown) * max(self.left, 0) // cost)]
            cost = weight(shown)
        self.left -= cost
        return shown if len(shown) == len(text) else shown + "…"


def weight(text: str) -> int:
    """Bytes of a text on a page."""
    return len(escape(visible_lines(text)).encode())


def tree(value: Any, space: Space | None = None) -> Node:
    """The root node of a parsed JSON value, as far as there is space."""
    return _node("", value, 0, space or Space())


def _node(name: str, value: Any, depth: int, space: Space) -> Node:
    space.left -= NODE_BYTES
    name = space.take(name, 120)
    if isinstance(value, dict | list):
        pairs = list(value.items()) if isinstance(value, dict) else [(str(i), item) for i, item in enumerate(value)]
        children: list[Node] = []
        if depth < MAX_DEPTH:
            for key, item in pairs:
                if space.left <= 0:
                    break
                children.append(_node(str(key), item, depth + 1, space))
        kind = "object" if isinstance(value, dict) else "list"
        return Node(name, kind, "", tuple(children), len(pairs), len(pairs) - len(children))
    if isinstance(value, str):
        return Node(name, "string", space.take(json.dumps(value[: MAX_TEXT + 1], ensure_ascii=False), MAX_TEXT))
    if isinstance(value, bool) or value is None:
        return Node(name, "word", json.dumps(value))
    return Node(name, "number", space.take(str(value), 80))


def nodes(root: Node | None) -> int:
    """How many values a tree shows."""
    return 1 + sum(nodes(child) for child in root.children) if root is not None else 0


def raw(body: bytes, space: Space | None = None) -> tuple[str, bool]:
    """The bytes as text for reading, and whether something was left out. Bytes that are no UTF-8 show as \\xNN."""
    text = (space or Space()).take(body[: MAX_PAGE + 1].decode("utf-8", "backslashreplace"), MAX_PAGE)
    return text, text.endswith("…") and len(body) > 0


def differences(before: Any, after: Any, space: Space | None = None) -> list[tuple[str, str, str]]:
    """(field, before, after) of the top-level fields that differ, as JSON; "" where a side has none."""
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    rows: list[tuple[str, str, str]] = []
    space = space or Space()
    for name in [*old, *(key for key in new if key not in old)]:
        if name in old and name in new and old[name] == new[name]:
            continue
        if space.left <= 0 or len(rows) == MAX_FIELDS:
            rows.append(("…", "", ""))
            break
        space.left -= NODE_BYTES
        rows.append((space.take(str(name), 120), _shown(old, name, space), _shown(new, name, space)))
    return rows


def _shown(side: dict[str, Any], name: str, space: Space) -> str:
    return space.take(json_text(side[name]), MAX_TEXT) if name in side else ""
