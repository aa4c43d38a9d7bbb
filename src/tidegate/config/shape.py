"""Checks that a parsed value fits a struct, and reports every unknown key, wrong type and missing key at once.

Owns the walk over the structs of a configuration with `msgspec.inspect`, so that the structs stay the only definition.
msgspec's own conversion stops at the first error and leaves names of tables out of its paths; it still runs afterwards
and decides. May not know what keys mean. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import inspect

from tidegate import auth, kinds
from tidegate.config.lines import Path
from tidegate.config.problems import Problems, kind_of, nearest
from tidegate.core import spec as model

# Planned keys and types that this release does not have: (struct, key) or (struct, tag) -> what to do instead.
KEYS_NOT_BUILT: dict[tuple[str, str], str] = {
    ("Resource", "resolve"): 'write parent = { resource = "NAME" } and {resources.NAME.id} in path',
}


def _planned(names: tuple[str, ...], registry: Mapping[str, object]) -> tuple[tuple[str, ...], str]:
    """(the planned kinds that have no file yet, what to use instead)."""
    return tuple(name for name in names if name not in registry), f"use one of: {', '.join(registry)}"


_AUTH, _AUTH_HINT = _planned(model.AUTH_PLANNED, auth.KINDS)
_DESTINATIONS, _DESTINATION_HINT = _planned(model.DESTINATION_PLANNED, kinds.KINDS)
# Name of the struct, or of the one that it inherits its keys from -> (tags, what they are, what to do instead).
TAGS_NOT_BUILT: dict[str, tuple[tuple[str, ...], str, str]] = {
    "Auth": (_AUTH, "auth type", _AUTH_HINT),
    "Destination": (_DESTINATIONS, "destination type", _DESTINATION_HINT),
}
MISSING_HINTS: dict[tuple[str, str], str] = {
    (kind.spec.__name__, key): f"add {key} = {example}"
    for kind in kinds.KINDS.values()
    for key, example in kind.examples.items()
} | {
    ("WebhookInput", "verify"): 'write verify = "standard-webhooks", another provider, or verify = "none"',
    ("Route", "from"): 'add from = the name of a source, a list of them, or "*"',
    ("Route", "to"): "add to = the name of a destination, or a list of them",
    ("ApiInput", "base_url"): 'add base_url = "https://...", or provider = "NAME"',
    ("Resource", "path"): 'add path = "/...", or use = "NAME" with a provider',
    ("Operation", "path"): 'add path = "/...", or use = "NAME" with a provider',
}
_FORMATS = {
    r"(ms|s|m|h|d))$": "is not a duration (examples: 30s, 5m, 2h), and not one of the words that are allowed here",
    r"(ms|s|m|h|d)$": "is not a duration (examples: 100ms, 5s, 5m, 2h, 1d)",
    r"/(s|m|h|d)$": "is not a rate (examples: 50/s, 1000/h)",
    r"(B|KiB|MiB|GiB)$": "is not a size (examples: 64KiB, 1MiB)",
}


# Keys that users look for in this file and that are options of a command: (struct, key) -> what to do instead.
KEYS_ELSEWHERE: dict[tuple[str, str], str] = {
    ("GatewaySettings", key): f"it is an option of the command: tidegate serve {option}"
    for key, option in {
        "port": "--port 8420",
        "host": "--host 127.0.0.1",
        "listen": "--host 127.0.0.1 --port 8420",
        "data": "--data DIRECTORY",
        "database": "--database postgresql://...",
    }.items()
}
# What `_expected` asks for -> how to write it after the name of the key.
_WRITTEN = {
    "a string": 'write it in quotes: {}"..."',
    "a list": "write it in brackets: {}[...]",
    "an integer": "write a whole number without quotes: {}8",
    "a number": "write a number without quotes: {}0.5",
    "true or false": "write it without quotes: {}true",
    "a table": "write it as a table: {}{{ ... }}",
}
NAME_HINT = "use lower-case letters, digits, '-' and '_': at most 63 characters, and the first one is a letter or digit"


def check_shape(value: Any, struct: Any, problems: Problems, path: Path = ()) -> None:
    """Add one problem for each place where `value` does not fit `struct`, a struct or a union of tagged ones."""
    _ShapeChecker(problems).value(value, _info(struct), path)


@lru_cache(maxsize=64)
def _info(struct: Any) -> inspect.Type:
    return inspect.type_info(struct)


_TYPES: dict[type, type] = {bool: inspect.BoolType, int: inspect.IntType, float: inspect.FloatType}


class _ShapeChecker:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    # -- tables ------------------------------------------------------------------------------------------

    def struct(
        self, value: Any, info: inspect.StructType, path: Path, union: Sequence[inspect.StructType] = ()
    ) -> None:
        """`union`: the structs of the other tags, whose keys are named when one of them is used here."""
        if not isinstance(value, dict):
            self._expected("a table", value, path)
            return
        name = info.cls.__name__
        fields = {field.encode_name: field for field in info.fields}
        known = set(fields) | ({info.tag_field} if info.tag_field else set())
        for key in value:
            if key in known:
                continue
            if (name, key) in KEYS_NOT_BUILT:
                self.problems.not_built((*path, key), f"'{key}'", KEYS_NOT_BUILT[name, key])
            else:
                self._unknown_key(key, known, info, path, union)
        for key, field in fields.items():
            if key in value:
                self.value(value[key], field.type, (*path, key))
            elif field.required:
                hint = MISSING_HINTS.get((name, key), f"add {key} = ...")
                self.problems.add(path, f"the key '{key}' is missing", hint)

    def _unknown_key(
        self, key: str, known: set[str], info: inspect.StructType, path: Path, union: Sequence[inspect.StructType]
    ) -> None:
        others = [str(one.tag) for one in union if any(field.encode_name == key for field in one.fields)]
        if others:
            hint = f"leave it out; it is a key of: {', '.join(sorted(others))}"
            self.problems.add((*path, key), f"'{key}' has no meaning for {info.tag_field} = '{info.tag}'", hint)
        else:
            hint = KEYS_ELSEWHERE.get((info.cls.__name__, key)) or nearest(key, known, "key")
            self.problems.add((*path, key), f"unknown key '{key}'", hint)

    def _not_built(self, value: Any, entry: tuple[tuple[str, ...], str, str], path: Path) -> bool:
        names, what, hint = entry
        if isinstance(value, str) and value in names:
            self.problems.not_built(path, f"{what} '{value}'", hint)
            return True
        return False

    def _union_of_tables(self, value: dict[str, Any], structs: list[inspect.StructType], path: Path) -> None:
        if len(structs) == 1 and not structs[0].tag_field:
            self.struct(value, structs[0], path)
            return
        tag_field = structs[0].tag_field or "type"
        tags = {str(info.tag): info for info in structs}
        tag = value.get(tag_field, getattr(structs[0].cls, "default_tag", None))
        if tag is None:
            self.problems.add(path, f"the key '{tag_field}' is missing", f"write one of: {', '.join(sorted(tags))}")
        elif isinstance(tag, str) and tag in tags:
            self.struct(value, tags[tag], path, structs)
        else:
            names = [cls.__name__ for cls in structs[0].cls.__mro__]
            missing = next((TAGS_NOT_BUILT[name] for name in names if name in TAGS_NOT_BUILT), None)
            if missing is None or not self._not_built(tag, missing, (*path, tag_field)):
                seen = self.problems.show((*path, tag_field), tag)
                self.problems.add((*path, tag_field), f"unknown type {seen}", nearest(str(tag), tags, "type"))

    # -- values ------------------------------------------------------------------------------------------

    def value(self, value: Any, info: inspect.Type, path: Path) -> None:
        if isinstance(info, inspect.Metadata):
            info = info.type
        if isinstance(info, inspect.UnionType):
            self._union(value, info, path)
        elif isinstance(info, inspect.StructType):
            if info.tag_field and isinstance(value, dict):
                self._union_of_tables(value, [info], path)
            else:
                self.struct(value, info, path)
        elif isinstance(info, inspect.DictType):
            self._dict(value, info, path)
        elif isinstance(info, inspect.ListType | inspect.VarTupleType):
            if not isinstance(value, list):
                self._expected("a list", value, path)
                return
            for number, item in enumerate(value):
                self.value(item, info.item_type, (*path, number))
        elif isinstance(info, inspect.LiteralType):
            if value not in info.values or isinstance(value, bool):
                words = [str(word) for word in info.values]
                self.problems.add(
                    path, f"{self.problems.show(path, value)} is not allowed here", nearest(str(value), words, "value")
                )
        else:
            self._scalar(value, info, path)

    def _union(self, value: Any, info: inspect.UnionType, path: Path) -> None:
        members = [member.type if isinstance(member, inspect.Metadata) else member for member in info.types]
        if value is None and any(isinstance(member, inspect.NoneType) for member in members):
            return
        structs = [member for member in members if isinstance(member, inspect.StructType)]
        if structs and isinstance(value, dict):
            self._union_of_tables(value, structs, path)
            return
        others = [m for m in members if not isinstance(m, inspect.StructType | inspect.NoneType)]
        fitting = _TYPES.get(type(value))
        if fitting is not None:  # of a text, a number and a boolean, the one that fits
            others.sort(key=lambda member: not isinstance(member, fitting))
        for member in others:
            if isinstance(value, list) == isinstance(member, inspect.ListType):
                self.value(value, member, path)
                return
        if structs and not others:
            self._expected("a table", value, path)
        else:
            self._expected("a string or a list" if not structs else "a string or a table", value, path)

    def _dict(self, value: Any, info: inspect.DictType, path: Path) -> None:
        if not isinstance(value, dict):
            self._expected("a table", value, path)
            return
        key_type = info.key_type
        pattern = getattr(key_type, "pattern", None)
        for key, item in value.items():
            if pattern is not None and not re.fullmatch(pattern, key):
                self.problems.add(
                    (*path, key),
                    f"{json.dumps(key)} is not a valid name",
                    NAME_HINT,
                )
            self.value(item, info.value_type, (*path, key))

    def _scalar(self, value: Any, info: inspect.Type, path: Path) -> None:
        if isinstance(info, inspect.AnyType):
            return
        if isinstance(info, inspect.StrType):
            if not isinstance(value, str):
                self._expected("a string", value, path)
            elif info.pattern is not None and not re.fullmatch(info.pattern, value):
                self.problems.add(
                    path, f"{self.problems.show(path, value)} {_format(info.pattern)}", "write it like the examples"
                )
        elif isinstance(info, inspect.BoolType):
            if not isinstance(value, bool):
                self._expected("true or false", value, path)
        elif isinstance(info, inspect.IntType):
            if not isinstance(value, int) or isinstance(value, bool):
                self._expected("an integer", value, path)
            else:
                self._range(value, info, path)
        elif isinstance(info, inspect.FloatType):
            if not isinstance(value, int | float) or isinstance(value, bool):
                self._expected("a number", value, path)
            else:
                self._range(value, info, path)

    def _range(self, value: float, info: inspect.IntType | inspect.FloatType, path: Path) -> None:
        low = info.ge if info.ge is not None else info.gt
        high = info.le if info.le is not None else info.lt
        fits = (
            (info.ge is None or value >= info.ge)
            and (info.gt is None or value > info.gt)
            and (info.le is None or value <= info.le)
            and (info.lt is None or value < info.lt)
        )
        if not fits:
            above = "" if low is None else f" {'from' if info.ge is not None else 'above'} {low}"
            below = "" if high is None else f" {'up to' if info.le is not None else 'below'} {high}"
            self.problems.add(
                path, f"{self.problems.show(path, value)} is out of range", f"write a number{above}{below}"
            )

    def _expected(self, what: str, value: Any, path: Path) -> None:
        seen = kind_of(value)
        shown = "" if isinstance(value, dict | list) or value is None else f" {self.problems.show(path, value)}"
        if shown.startswith(" (hidden)"):
            shown = ""
        last = path[-1] if path else ""
        key = f"{last} = " if isinstance(last, str) and re.fullmatch("[a-z_]+", last) else ""
        hint = _WRITTEN.get(what, f"write {what} here").format(key)
        self.problems.add(path, f"expected {what}, found {seen}{shown}", hint)


def _format(pattern: str) -> str:
    for end, words in _FORMATS.items():
        if pattern.endswith(end):
            return words
    return "has the wrong format"
