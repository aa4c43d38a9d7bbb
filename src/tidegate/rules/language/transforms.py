"""Transforms: what a route keeps, renames and sets in an event before it is delivered.

Owns the meaning of `pick`, `rename` and `set`, which are applied in that order. Paths start at the event
(`data.object.id`). May not know bodies or destinations. Invariants: the input view is never changed, because other
routes use it too; the output view always has `type`, `source`, `origin` and `key`, shares the values that it does not
change, and holds only JSON values; no payload makes a transform raise, because an expression that fails gives null.
Crash: nothing is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tidegate.core.errors import ConfigError
from tidegate.core.model import JsonObject
from tidegate.rules.language.expressions import Copies, Value, compile_expression
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.language.paths import parse_path
from tidegate.rules.language.view import MISSING, PARTS, is_index, step, walk

if TYPE_CHECKING:
    from tidegate.core.spec import Transform

MAX_PATHS = 500  # in each of pick, rename and set
_MAX_DEPTH = 32
_ALWAYS = ("type", "source", "origin", "key")
_WRITABLE = ("type", "key", "data", "change")  # a route may not change where the event came from
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)

View = dict[str, Any]
Path = tuple[str, ...]


def compile_transform(transform: Transform) -> Callable[[View], View]:
    """`view -> new view`. Raises ConfigError, with its path below the route, for a wrong path or expression.

    `pick` leaves out `change` and `headers` unless it names them. A path that an event does not have is skipped. All
    values of `rename` are read before any is written; `set` reads the original event.
    """
    trie = _pick_trie(transform.pick)
    renames = [
        (path_of(start, "$.transform.rename"), path_of(end, "$.transform.rename", _WRITABLE))
        for start, end in _bounded(transform.rename, "$.transform.rename").items()
    ]
    copies = Copies()
    settings = [
        (path_of(target, "$.transform.set", _WRITABLE), _value(value, f"$.transform.set.{target}", 0, copies))
        for target, value in _bounded(transform.set, "$.transform.set").items()
    ]

    def apply(view: View) -> View:
        out = _project_view(view, trie) if trie else dict(view)
        if renames:
            out = _rename(out, renames)
        for target, value in settings:
            out = _write(out, target, value(view))
        out.setdefault("data", None)  # `data` itself was renamed
        return out

    return apply


def _bounded(entries: JsonObject, path: str) -> JsonObject:
    if len(entries) > MAX_PATHS:
        raise ConfigError(f"{len(entries)} paths are too many; {MAX_PATHS} are allowed", path=path)
    return entries


def path_of(text: str, where: str, parts: tuple[str, ...] = PARTS) -> Path:
    """The names of a dotted path into an event. ConfigError at `where` unless it starts with one of `parts`."""
    names = parse_path(text, where)
    if not names or len(names) > _MAX_DEPTH:
        raise ConfigError(f"{text!r} is not a path of 1 to {_MAX_DEPTH} names (example: data.object.id)", path=where)
    if names[0] not in parts:
        raise ConfigError(
            f"{text!r} must start with one of {', '.join(parts)}",
            path=where,
            hint="paths start at the event; write data.NAME for a field of the payload",
        )
    if len(names) > 1 and names[0] in _ALWAYS:
        raise ConfigError(f"{text!r} names a field of {names[0]}, which is a string without fields", path=where)
    return names


# -- pick ------------------------------------------------------------------------------------------------


def _pick_trie(picks: list[str]) -> JsonObject:
    """`["data.a", "data.b.c"]` is `{"data": {"a": {}, "b": {"c": {}}}}`; an empty object keeps the whole value."""
    if len(picks) > MAX_PATHS:
        raise ConfigError(f"{len(picks)} paths are too many; {MAX_PATHS} are allowed", path="$.transform.pick")
    trie: JsonObject = {}
    whole: set[Path] = {path_of(text, "$.transform.pick") for text in picks}
    for names in whole:
        if any(names[:length] in whole for length in range(1, len(names))):
            continue  # a shorter path already keeps it
        level = trie
        for name in names:
            level = level.setdefault(name, {})
    return trie


def _project_view(view: View, trie: JsonObject) -> View:
    out: View = {name: view.get(name) for name in _ALWAYS}
    out["data"] = None
    for part, below in trie.items():
        kept = _project(view.get(part), below)
        if kept is not MISSING and part not in _ALWAYS:
            out[part] = kept
    return out


def _project(value: Any, trie: JsonObject) -> Any:
    """The part of `value` that `trie` keeps. In a list a name applies to every item, a number selects one item."""
    if not trie:
        return value
    if isinstance(value, dict):
        below = ((name, _project(value[name], inner)) for name, inner in trie.items() if name in value)
        return {name: kept for name, kept in below if kept is not MISSING}
    if isinstance(value, list):
        indexes = sorted((name for name in trie if is_index(name)), key=int)
        if indexes:
            picked = [(step(value, name), trie[name]) for name in indexes]
            kept_items = [_project(item, inner) for item, inner in picked if item is not MISSING]
        else:
            kept_items = [_project(item, trie) for item in value]
        return [item for item in kept_items if item is not MISSING]
    return MISSING


# -- rename and set --------------------------------------------------------------------------------------


def _rename(view: View, renames: list[tuple[Path, Path]]) -> View:
    moved = [(start, end, walk(view, start)) for start, end in renames]
    for start, _end, value in moved:
        if value is not MISSING and start[0] not in _ALWAYS:
            view = _without(view, start)
    for _start, end, value in moved:
        if value is not MISSING:
            view = _write(view, end, value)
    return view


def _write(view: View, target: Path, value: Any) -> View:
    """`type` and `key` stay strings, and `type` is never empty, because every event has a type."""
    if target == ("type",):
        return {**view, "type": written(value)} if written(value) else view
    if target == ("key",):
        return {**view, "key": None if value is None else written(value)}
    return {**view, target[0]: _put(view.get(target[0]), target[1:], value)}


def _put(holder: Any, names: Path, value: Any) -> Any:
    """`holder` with `value` at `names`, copying the containers on the path. A scalar there becomes an object."""
    if not names:
        return value
    name, rest = names[0], names[1:]
    if isinstance(holder, list) and is_index(name) and int(name) < len(holder):
        index = int(name)
        return [*holder[:index], _put(holder[index], rest, value), *holder[index + 1 :]]
    held = holder if isinstance(holder, dict) else {}
    return {**held, name: _put(held.get(name), rest, value)}


def _without(holder: Any, names: Path) -> Any:
    """`holder` without the value at `names`; an item of a list is replaced by null."""
    name, rest = names[0], names[1:]
    if step(holder, name) is MISSING:
        return holder  # removed already with a parent that was renamed too
    if isinstance(holder, list):
        index = int(name)
        return [*holder[:index], _without(holder[index], rest) if rest else None, *holder[index + 1 :]]
    if rest:
        return {**holder, name: _without(holder[name], rest)}
    return {key: item for key, item in holder.items() if key != name}


# -- values ----------------------------------------------------------------------------------------------


def compile_value(value: Any, path: str, copies: Copies) -> Value:
    """A constant, or a string with `{{ expression }}`, also inside lists and objects. ConfigError."""
    return _value(value, path, 0, copies)


def split_expressions(text: str, path: str, copies: Copies) -> tuple[list[str], list[Value]]:
    """(literals, expressions between them) of a text with `{{ expression }}`. ConfigError."""
    pieces = _EXPRESSION.split(text)
    if any("{{" in literal or "}}" in literal for literal in pieces[::2]):
        raise ConfigError(f"{text!r} has an unmatched {{{{ or }}}}", path=path)
    return pieces[::2], [compile_expression(piece, path, copies) for piece in pieces[1::2]]


def _value(value: Any, path: str, depth: int, copies: Copies) -> Value:
    """A constant, or a string with `{{ expression }}`, also inside lists and objects."""
    if depth > _MAX_DEPTH:
        raise ConfigError(f"the value is nested more than {_MAX_DEPTH} levels deep", path=path)
    if isinstance(value, str):
        return _text_value(value, path, copies)
    if isinstance(value, list):
        items = [_value(item, f"{path}[{number}]", depth + 1, copies) for number, item in enumerate(value)]
        return lambda view: [item(view) for item in items]
    if isinstance(value, dict):
        fields = {name: _value(item, f"{path}.{name}", depth + 1, copies) for name, item in value.items()}
        return lambda view: {name: field(view) for name, field in fields.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{value} is not a JSON number", path=path, hint="write a finite number")
    if value is not None and not isinstance(value, int | float):
        raise ConfigError(f"{value!r} is not a JSON value", path=path, hint="write dates and times as quoted strings")
    return lambda _view: value


def _text_value(text: str, path: str, copies: Copies) -> Value:
    """`"{{ a.b }}"` alone gives the value itself; inside other text it is converted to a string."""
    literals, expressions = split_expressions(text, path, copies)
    if not expressions:
        return lambda _view: text
    if len(expressions) == 1 and not "".join(literals).strip():
        return expressions[0]

    def interpolate(view: View) -> str:
        out = [literals[0]]
        for expression, literal in zip(expressions, literals[1:], strict=True):
            out += (written(expression(view)), literal)
        return "".join(out)

    return interpolate


def written(value: Any) -> str:
    """A value as a string: null is empty, strings are unchanged, other values are JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return encode_json(value).decode()
    except (TypeError, ValueError, RecursionError):
        return ""
