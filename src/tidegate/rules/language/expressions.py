"""JMESPath expressions in transforms: which are allowed, and how they are evaluated.

Owns the checks at load and the limits. May not know what a value is used for. Invariants: evaluating an expression
never raises, and a failure gives null; work and result are bounded by a fixed multiple of the event. The limits are
needed because JMESPath can double a value in eight characters (`| [@,@]`), and fifty of those exhaust any machine.
Crash: nothing is kept.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from tidegate.core.errors import ConfigError
from tidegate.core.model import JsonObject
from tidegate.rules.language.numbers import WrittenFloat
from tidegate.rules.language.view import PARTS

MAX_EXPRESSION = 1000  # characters
MAX_COPIES = 600  # copies of the event in all values that one transform sets; each path may hold a whole copy
MAX_JOINED = 16 << 20  # characters in the result of join()
_MAX_DEPTH = 64

Value = Callable[[JsonObject], Any]


class Copies:
    """Counts how many copies of the event the values of one transform can hold; too many are rejected at load.

    `parts`: the names that an expression may start with.
    """

    def __init__(self, parts: tuple[str, ...] = PARTS) -> None:
        self.left = MAX_COPIES
        self.parts = parts

    def spend(self, count: int, text: str, path: str) -> None:
        self.left -= count
        if self.left < 0:
            raise ConfigError(
                f"{_short(text)} can make more than {MAX_COPIES} copies of the values that it reads",
                path=path,
                hint="use fewer multi-selects ([@, @] or {a: @, b: @}), or set fewer paths",
            )


def compile_expression(text: str, path: str, copies: Copies) -> Value:
    """`view -> value`. ConfigError at `path` for invalid JMESPath, a path outside the event, or too many copies."""
    import jmespath

    text = text.strip()
    if not text or len(text) > MAX_EXPRESSION:
        raise ConfigError(f"the expression has {len(text)} characters; 1 to {MAX_EXPRESSION} are allowed", path=path)
    try:
        parsed = jmespath.compile(text)
    except (ValueError, RecursionError) as error:  # JMESPathError is a ValueError
        first_line = str(error).partition("\n")[0]
        raise ConfigError(f"{text!r} is not a JMESPath expression: {first_line}", path=path) from None
    functions = frozenset(jmespath.functions.Functions.FUNCTION_TABLE)
    _check(parsed.parsed, text, path, (functions, copies.parts))
    copies.spend(_copies(parsed.parsed), text, path)
    options = _options()

    def evaluate(view: JsonObject) -> Any:
        try:
            return _json_only(parsed.search(view, options))
        # What the functions of jmespath raise when a value does not have the expected type.
        except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
            return None

    return evaluate


def _check(
    node: JsonObject,
    text: str,
    path: str,
    known: tuple[frozenset[str], tuple[str, ...]],
    parent: str = "",
    depth: int = 0,
) -> None:
    """The first name must be a part of the event, so that `object.id` for `data.object.id` is rejected at load."""
    kind = node["type"]
    functions, parts = known
    if depth > _MAX_DEPTH:
        raise ConfigError(f"{_short(text)} is nested more than {_MAX_DEPTH} levels deep", path=path)
    if kind == "expref" and parent != "function_expression":
        raise ConfigError(f"{text!r} has '&' outside the arguments of a function", path=path)
    if kind == "function_expression" and node["value"] not in functions:
        raise ConfigError(
            f"{text!r} calls {node['value']}(), which is not a JMESPath function",
            path=path,
            hint=f"one of: {', '.join(sorted(functions))}",
        )
    if parent == "" and (root := _root(node)) is not None and root not in parts:
        raise ConfigError(
            f"{text!r} must start with one of {', '.join(parts)}",
            path=path,
            hint="paths start at the event; write data.NAME for a field of the payload",
        )
    for child in node["children"]:
        if isinstance(child, dict) and "type" in child:
            _check(child, text, path, known, kind, depth + 1)


def _root(node: JsonObject) -> str | None:
    """The first field that an expression reads, None when it does not start with a field."""
    while node["type"] in ("subexpression", "index_expression", "projection", "flatten", "value_projection", "pipe"):
        node = node["children"][0]
    return str(node["value"]) if node["type"] == "field" else None


_CHAINED = ("pipe", "subexpression", "index_expression", "projection", "value_projection", "flatten", "expref")


def _copies(node: JsonObject) -> int:
    """How many copies of its input the result can hold: chained parts multiply, other parts add."""
    below = [_copies(child) for child in node["children"] if isinstance(child, dict) and "type" in child]
    if node["type"] == "filter_projection":
        start, then, condition = below
        return start * (then + condition)
    if node["type"] in _CHAINED or node.get("value") == "map":
        return math.prod(below)
    return max(1, sum(below))


@functools.cache
def _options() -> Any:
    from jmespath import Options
    from jmespath.functions import Functions, signature

    class Bounded(Functions):  # type: ignore[misc]
        @signature({"types": ["string"]}, {"types": ["array-string"]})  # type: ignore[untyped-decorator]
        def _func_join(self, separator: str, array: list[str]) -> str:
            """Bounded, because both arguments may come from the event, and their lengths multiply."""
            if len(separator) * len(array) > MAX_JOINED:
                raise ValueError("the joined string is too long")
            return separator.join(array)

    return Options(custom_functions=Bounded())


def _short(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}..."


def _json_only(value: Any) -> Any:
    """The value, null for an infinite float or NaN (a `sum` of huge numbers), which JSON cannot hold."""
    if isinstance(value, float) and not math.isfinite(value) and not isinstance(value, WrittenFloat):
        return None
    return value
