"""A manifest of Airbyte with its references, `$parameters` and `config` values put in. Pure.

Owns the bounds of references: as deep as the document may be, and no cycle. Knows no components.
"""

from __future__ import annotations

import re
from typing import Any

from tidegate.rules.imports.guesses import slug
from tidegate.rules.imports.result import Imported, Tree

MAX_DEPTH = 40
MAX_NODES = 200_000
_CONFIG = re.compile(r"\{\{\s*config(?:\[['\"](\w+)['\"]\]|\.(\w+)|\.get\(['\"](\w+)['\"](?:,[^)]*)?\))\s*\}\}")
_PARAMETER = re.compile(r"\{\{\s*parameters(?:\[['\"](\w+)['\"]\]|\.(\w+)|\.get\(['\"](\w+)['\"](?:,[^)]*)?\))\s*\}\}")


class CannotTake(Exception):
    """A stream needs more than the subset. The message says what."""


def words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def child(node: Tree, key: str) -> Tree:
    found = node.get(key)
    return found if isinstance(found, dict) else {}


class Manifest:
    """The document, and the help of its `config` values."""

    def __init__(self, document: Tree, result: Imported) -> None:
        self.document = document
        self.result = result
        self.nodes = 0
        spec = child(child(document, "spec"), "connection_specification")
        self.fields = child(spec, "properties")

    def resolved(self, node: Any, parameters: Tree, depth: int = 0) -> Tree:
        """A component with everything it refers to. CannotTake beyond the bounds, as after a cycle."""
        found = self._resolved(node, parameters, depth)
        return found if isinstance(found, dict) else {}

    def _resolved(self, node: Any, parameters: Tree, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            return {"type": "too much"}  # a stream with this type cannot be taken
        if isinstance(node, str):
            if node.startswith("#/"):
                return self._resolved(self._at(node), parameters, depth + 1)
            return _PARAMETER.sub(lambda one: str(parameters.get(one[1] or one[2] or one[3], one[0])), node)
        if isinstance(node, list):
            return [self._resolved(one, parameters, depth + 1) for one in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            base = self._at(node["$ref"])
            base = base if isinstance(base, dict) else {}
            own = {key: value for key, value in node.items() if key != "$ref"}
            return self._resolved({**base, **own}, parameters, depth + 1)
        inner = {**child(node, "$parameters"), **parameters}
        out = {
            key: self._resolved(value, inner, depth + 1) for key, value in node.items() if key not in ("schema_loader",)
        }
        if out.get("type") in ("HttpRequester", "DeclarativeStream"):
            for key in ("path", "name", "primary_key", "url_base"):
                if (
                    key in inner
                    and key not in out
                    and (key in ("path", "url_base")) is (out["type"] == "HttpRequester")
                ):
                    out[key] = inner[key]
        return out

    def _at(self, ref: str) -> Any:
        node: Any = self.document
        for part in ref.removeprefix("#/").split("/"):
            node = node.get(part) if isinstance(node, dict) else None
        return node

    def text(self, text: str) -> str:
        """A text with `{with.NAME}` for each value of `config`. CannotTake for another expression."""
        found = _CONFIG.sub(lambda one: self._given(one[1] or one[2] or one[3]), text)
        if "{{" in found or "{%" in found:
            raise CannotTake(f"it has the expression {text[:80]}")
        return found

    def tree(self, node: Any) -> Any:
        """The same for every string below a node."""
        if isinstance(node, str):
            return self.text(node)
        if isinstance(node, dict):
            return {key: self.tree(value) for key, value in node.items()}
        return [self.tree(one) for one in node] if isinstance(node, list) else node

    def secret(self, text: str) -> str | None:
        """What a text is that is one secret of `config` and nothing else; None for another text."""
        match = _CONFIG.fullmatch(text.strip())
        name = (match[1] or match[2] or match[3]) if match is not None else ""
        field = child(self.fields, name)
        if field.get("airbyte_secret") is not True:
            return None
        help_text = " ".join(words(field.get("description") or field.get("title")).split())[:200]
        return help_text.replace("{", "(").replace("}", ")") or f"{name} of the configuration"

    def shown(self, text: str) -> str:
        """A text for people, with NAME for each value of `config`."""
        return _CONFIG.sub(lambda one: (one[1] or one[2] or one[3]).upper(), text).replace("{", "(").replace("}", ")")

    def _given(self, name: str) -> str:
        given, field = slug(name), child(self.fields, name)
        text = " ".join(words(field.get("description") or field.get("title")).split())[:200]
        self.result.given.setdefault(given, text.replace("{", "(").replace("}", ")") or f"{name} of the configuration")
        if field.get("airbyte_secret") is True:
            raise CannotTake(f"it puts the secret {name} where no credential goes")
        default = field.get("default")
        if isinstance(default, str) and re.fullmatch(r"[A-Za-z0-9._~-]+", default):
            self.result.defaults.setdefault(given, default)
        return f"{{with.{given}}}"
