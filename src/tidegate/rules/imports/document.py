"""Reads a document of another tool, JSON, YAML or TOML, within bounds. Pure.

Owns the bounds on size, depth, nodes and aliases. YAML is built from its events, in one walk, with the values of JSON
only; a tag that makes an object is rejected. An alias counts with the size of what it repeats, so a document that grows
through aliases is rejected before it grows. May not know what keys mean.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from tidegate.rules.imports.result import ImportRejected, Tree

MAX_BYTES = 32 << 20
MAX_NODES = 3_000_000
MAX_DEPTH = 200
MAX_ALIASES = 10_000
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,29})(\.[0-9]{0,30})?([eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
          "false": False, "False": False, "FALSE": False}  # fmt: skip
_SCALAR_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "timestamp"))
_PLAIN_TAGS = ("tag:yaml.org,2002:str", "!")


def parse(data: bytes, name: str) -> Tree:
    """The document as a tree. `name` is that of the file: .toml is TOML; what begins with { or [ is JSON.

    ImportRejected when it is too large or deep, when it is none of the three, and when it is not an object.
    """
    if len(data) > MAX_BYTES:
        raise ImportRejected(
            f"{name} has {len(data):,} bytes; {MAX_BYTES:,} are allowed", hint="cut it to the paths that you need"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImportRejected(f"{name} is not UTF-8 text", hint="convert it to UTF-8") from None
    try:
        found = _parsed(text, name)
    except RecursionError:
        raise ImportRejected(f"{name} is nested too deeply", hint=f"{MAX_DEPTH} levels are allowed") from None
    if not isinstance(found, dict):
        raise ImportRejected(f"{name} has no object at its top", hint="is it the right file?")
    _check_depth(found, name)
    return found


def _parsed(text: str, name: str) -> Any:
    if name.lower().endswith(".toml"):
        try:
            return tomllib.loads(text)
        except ValueError as error:
            raise ImportRejected(f"{name} is not valid TOML: {str(error)[:200]}") from None
    if text.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text)
        except ValueError as error:
            if name.lower().endswith(".json"):
                raise ImportRejected(f"{name} is not valid JSON: {str(error)[:200]}") from None
    return yaml_tree(text, name)


def _check_depth(tree: Tree, name: str) -> None:
    level: list[Any] = [tree]
    nodes = 0
    for _ in range(MAX_DEPTH):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, dict | list)
        ]
        nodes += len(level)
        if nodes > MAX_NODES:
            raise ImportRejected(f"{name} has more than {MAX_NODES:,} values", hint="cut it to what you need")
        if not level:
            return
    raise ImportRejected(f"{name} is nested more than {MAX_DEPTH} levels deep", hint="flatten it")


# -- YAML ------------------------------------------------------------------------------------------------


def yaml_tree(text: str, name: str) -> Any:
    """The first document of a YAML text, as JSON values. ImportRejected as above, or when PyYAML is missing."""
    try:
        import yaml
    except ImportError:
        raise ImportRejected(
            f"{name} is YAML, and PyYAML is not installed", code="not_built", hint="pip install 'tidegate[yaml]'"
        ) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ImportRejected(f"{name}{line} is not valid YAML: {str(problem)[:200]}") from None
    return builder.root


def _merged(value: Any) -> Tree | None:
    """What a merge key brings: a map, or a list of maps of which the first one counts; None for anything else."""
    maps = value if isinstance(value, list) else [value]
    if not maps or not all(isinstance(one, dict) for one in maps):
        return None
    return {key: one[key] for one in reversed(maps) for key in one}


class _Open:
    """A map or list that has not ended. `key`: of the map, where its value is awaited."""

    __slots__ = ("anchor", "key", "nodes_before", "value", "waits")

    def __init__(self, value: Any, anchor: str | None, nodes_before: int) -> None:
        self.value = value
        self.anchor = anchor
        self.nodes_before = nodes_before
        self.key: str = ""
        self.waits = False


class _Builder:
    """Builds the tree from events. `sizes`: of each anchored value, in nodes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.open: list[_Open] = []
        self.anchors: dict[str, Any] = {}
        self.sizes: dict[str, int] = {}
        self.nodes = 0
        self.aliases = 0
        self.documents = 0

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self._value(self._scalar(event), event.anchor, 1)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
                raise self._rejected(event, f"has the tag {event.tag[:60]!r}")
            if len(self.open) >= MAX_DEPTH:
                raise self._rejected(event, f"is nested more than {MAX_DEPTH} levels deep")
            self._count(1, event)
            self.open.append(_Open({} if kind[0] == "M" else [], event.anchor, self.nodes))
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            ended = self.open.pop()
            self._value(ended.value, ended.anchor, self.nodes - ended.nodes_before + 1)
        elif kind == "AliasEvent":
            self._alias(event)
        elif kind == "DocumentStartEvent":
            self.documents += 1
            if self.documents > 1:
                raise self._rejected(event, "begins a second document")

    def _alias(self, event: Any) -> None:
        self.aliases += 1
        if event.anchor not in self.anchors:
            raise self._rejected(event, f"repeats *{event.anchor[:60]}, which is not complete there")
        if self.aliases > MAX_ALIASES:
            raise self._rejected(event, f"has more than {MAX_ALIASES:,} aliases")
        self._count(self.sizes[event.anchor], event)
        self._value(self.anchors[event.anchor], None, 0)

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self._rejected(event, f"has more than {MAX_NODES:,} values, with what its aliases repeat")

    def _value(self, value: Any, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self.anchors[anchor], self.sizes[anchor] = value, max(size, 1)
        if not self.open:
            self.root = value
            return
        above = self.open[-1]
        if isinstance(above.value, list):
            above.value.append(value)
        elif not above.waits:
            if isinstance(value, dict | list):
                raise ImportRejected(f"{self.name} has a key that is not text", hint="JSON has none; write it as text")
            above.key, above.waits = str(value), True
        else:
            above.waits = False
            if above.key == "<<" and (merged := _merged(value)) is not None:
                above.value = {**merged, **above.value}
                self._count(len(merged), None)
            else:
                above.value[above.key] = value

    def _scalar(self, event: Any) -> Any:
        self._count(1, event)
        text: str = event.value
        if self.open and isinstance(self.open[-1].value, dict) and not self.open[-1].waits:
            return text  # a key: 200 is "200", as in JSON
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            if event.tag not in _SCALAR_TAGS:
                raise self._rejected(event, f"has the tag {event.tag[:60]!r}")
        elif event.tag in _PLAIN_TAGS or not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _rejected(self, event: Any, what: str) -> ImportRejected:
        mark = getattr(event, "start_mark", None)
        line = f", line {mark.line + 1}," if mark else ""
        return ImportRejected(f"{self.name}{line} {what}", hint="write it out as plain maps, lists and strings")
