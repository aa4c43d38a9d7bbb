"""Changes single keys of a resource: in a source, and as lines that a person can read.

Owns what an edit is: keys of the resource with their new value, None to remove one. Checks the source as the loader
does. Pure. Invariant: what is returned is a source that a file could have. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.config import toml
from tidegate.config.checks import check_item
from tidegate.config.load import convert
from tidegate.config.problems import Problems
from tidegate.config.secrets import tree_of
from tidegate.config.spec import Source
from tidegate.core.errors import NotFound
from tidegate.rules.sync.spec import Resource

Edits = Mapping[str, Any]


def current(source: Source, resource: str, keys: Edits) -> dict[str, Any]:
    """The present values of `keys`, None where a key is absent. NotFound for an unknown resource."""
    tree = tree_of(_resource(source, resource))
    return {key: tree.get(key) for key in keys}


def edited(name: str, source: Source, resource: str, edits: Edits) -> Source:
    """The source with the edits. ConfigError (ConfigRejected) when it would not be valid."""
    tree = {**tree_of(_resource(source, resource)), **edits}
    changed: Resource = convert({key: value for key, value in tree.items() if value is not None}, Resource)
    result = msgspec.structs.replace(source, resources={**source.resources, resource: changed})
    problems = Problems()
    check_item("source", name, result, problems)
    problems.raise_found()
    return result


def toml_lines(name: str, resource: str, before: Edits, after: Edits) -> list[str]:
    """The edits as lines of the file: the header of the table, then `-` and `+`."""
    lines = [f" [sources.{toml.key(name)}.resources.{toml.key(resource)}]"]
    for key, value in after.items():
        if before.get(key) == value:
            continue
        lines += [f"-{toml.key(key)} = {toml.value(before[key])}"] if before.get(key) is not None else []
        lines += [f"+{toml.key(key)} = {toml.value(value)}"] if value is not None else []
    return lines if len(lines) > 1 else []


def _resource(source: Source, resource: str) -> Resource:
    found = source.resources.get(resource)
    if found is None:
        raise NotFound(f"there is no resource {resource[:80]!r}", hint="list them: tidegate advise")
    return found
