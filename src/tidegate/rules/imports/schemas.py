"""Reads JSON Schemas of an OpenAPI document: `$ref`, `allOf`, and where a response has its list. Pure.

Owns the bounds on references: a cycle ends the walk where it closes, and each schema is read once. A reference into
another file gives nothing, and is counted. Knows no operations.
"""

from __future__ import annotations

from typing import Any

from tidegate.rules.imports.result import Tree

MAX_HOPS = 32
MAX_PARTS = 200  # parts of allOf, oneOf and anyOf that one schema may have together
MAX_PROPERTIES = 2000
DEPTH_OF_PATHS = 3  # how deep the fields of a response are looked at: meta.pagination.next

LISTS = ("data", "items", "results", "records", "values", "value", "entries", "rows", "content", "list", "objects")


class Schemas:
    """The schemas of one document. `outside`: references into other files."""

    def __init__(self, document: Tree) -> None:
        self.document = document
        self.outside: set[str] = set()
        self.broken: set[str] = set()
        self._known: dict[str, Tree] = {}

    def resolved(self, node: Any) -> Tree:
        """What a `$ref` leads to; {} for a cycle of references, another file, and a place that does not exist."""
        seen = 0
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            seen += 1
            if seen > MAX_HOPS:
                self.broken.add(node["$ref"])
                return {}
            node = self._at(node["$ref"])
        return node if isinstance(node, dict) else {}

    def _at(self, ref: str) -> Any:
        if not ref.startswith("#/"):
            self.outside.add(ref[:200])
            return {}
        node: Any = self.document
        for part in ref[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            if isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isdecimal() and len(name) < 7 and int(name) < len(node):
                node = node[int(name)]
            else:
                self.broken.add(ref[:200])
                return {}
        return node

    def object_of(self, node: Any) -> tuple[dict[str, Any], list[str]]:
        """(properties by name, names of required ones) of a schema, with those of `allOf`, and the first of `oneOf`."""
        properties: dict[str, Any] = {}
        required: list[str] = []
        waiting, parts, seen = [node], 0, set()
        while waiting and parts < MAX_PARTS:
            parts += 1
            one = self.resolved(waiting.pop(0))
            if id(one) in seen:
                continue
            seen.add(id(one))
            own = one.get("properties")
            if isinstance(own, dict):
                for name, value in own.items():
                    if len(properties) < MAX_PROPERTIES:
                        properties.setdefault(str(name), value)
            needed = one.get("required")
            if isinstance(needed, list):
                required += [name for name in needed if isinstance(name, str) and name not in required]
            waiting += _list(one.get("allOf"))
            for key in ("oneOf", "anyOf"):
                waiting += [part for part in _list(one.get(key)) if not _is_null(part)][:1]
        return properties, required

    def type_of(self, node: Any) -> str:
        """object, array, string, integer, number, boolean or ""."""
        one = self.resolved(node)
        for _ in range(8):
            kind = one.get("type")
            kind = next((name for name in kind if name != "null"), "") if isinstance(kind, list) else kind
            if isinstance(kind, str) and kind:
                return kind
            if "properties" in one:
                return "object"
            if "items" in one:
                return "array"
            inner = next(
                (part for key in ("allOf", "oneOf", "anyOf") for part in _list(one.get(key)) if not _is_null(part)),
                None,
            )
            if inner is None:
                return ""
            one = self.resolved(inner)
        return ""

    def items_of(self, node: Any) -> Any:
        """The schema of the items of an array."""
        one = self.resolved(node)
        if "items" in one:
            return one["items"]
        return next(
            (self.resolved(part)["items"] for part in _list(one.get("allOf")) if "items" in self.resolved(part)), {}
        )

    def fields(self, node: Any, depth: int = DEPTH_OF_PATHS) -> dict[str, Any]:
        """Dotted path -> schema of every field of an object that is not in a list, down to `depth` names."""
        found: dict[str, Any] = {}
        level: list[tuple[str, Any]] = [("", node)]
        for _ in range(depth):
            below: list[tuple[str, Any]] = []
            for prefix, one in level:
                for name, inner in self.object_of(one)[0].items():
                    if len(found) >= MAX_PROPERTIES or "." in name:
                        continue
                    found[prefix + name] = inner
                    if self.type_of(inner) == "object":
                        below.append((f"{prefix}{name}.", inner))
            level = below
        return found

    def list_in(self, node: Any, name: str) -> tuple[str, Any, str] | None:
        """(path of the list of objects, schema of an item, what was chosen among) of a response; None without one.

        `name`: the last part of the request's path, which names the list at many APIs.
        """
        if self.type_of(node) == "array":
            item = self.items_of(node)
            return ("", item, "") if self._is_object(item) else None
        found = {
            path: self.items_of(one)
            for path, one in self.fields(node, 2).items()
            if self.type_of(one) == "array" and self._is_object(self.items_of(one))
        }
        if not found:
            return None
        shallow = {path: item for path, item in found.items() if "." not in path} or found
        last = {path: path.rpartition(".")[2] for path in found}
        best = [path for path in found if last[path] == name] or [
            path for word in LISTS for path in shallow if last[path] == word
        ]
        best = best or (list(shallow) if len(shallow) == 1 else [])
        if best:
            return best[0], found[best[0]], ""
        first = next(iter(shallow))
        return first, shallow[first], ", ".join(list(shallow)[:6])

    def _is_object(self, node: Any) -> bool:
        return self.type_of(node) == "object" or bool(self.object_of(node)[0])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_null(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "null"
