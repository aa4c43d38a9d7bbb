"""JMESPath in transforms: what an expression may be, and what it gives of an event.

Owns the checks at load and the bounds. May not know what is done with a value. Invariants: an expression never raises
on an event, what fails gives null; its work and its result grow with the event and not beyond it. JMESPath can double a
value in eight characters (`| [@,@]`), and fifty of those are more than any machine holds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from tidegate.core.errors import ConfigError
from tidegate.rules.language.filters import PARTS

MAX_EXPRESSION = 1000  # characters
MAX_COPIES = 600  # of the event, in all that one transform sets: each of its paths may hold the whole of it
MAX_JOINED = 16 << 20  # characters of what join() gives
_MAX_DEPTH = 64

Value = Callable[[dict[str, Any]], Any]


class Copies:
    """Counts how often the values of one transform can hold the event, so that too often is refused at load."""

    def __init__(self) -> None:
        self.left = MAX_COPIES

    def spend(self, count: int, text: str, path: str) -> None:
        self.left -= count
        if self.left < 0:
            raise ConfigError(
                f"{_short(text)} makes more than {MAX_COPIES} copies of what it reads",
                path=path,
                hint="select less often",
            )


def compile_expression(text: str, path: str, copies: Copies) -> Value:
    """`view -> value`. ConfigError at `path` for what is no JMESPath, does not begin at the event, or explodes."""
    import jmespath

    text = text.strip()
    if not text or len(text) > MAX_EXPRESSION:
        raise ConfigError(f"an expression has 1 to {MAX_EXPRESSION} characters; got {len(text)}", path=path)
    try:
        parsed = jmespath.compile(text)
    except (ValueError, RecursionError) as error:  # JMESPathError is a ValueError
        first_line = str(error).partition("\n")[0]
        raise ConfigError(f"{text!r} is no JMESPath expression: {first_line}", path=path) from None
    _check(parsed.parsed, text, path, frozenset(jmespath.functions.Functions.FUNCTION_TABLE))
    copies.spend(_copies(parsed.parsed), text, path)
    options = _options()

    def evaluate(view: dict[str, Any]) -> Any:
        try:
            return _json_only(parsed.search(view, options))
        # What jmespath's functions raise on values of another type than they expect: an answer, never a crash.
        except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
            return None

    return evaluate


def _check(
    node: dict[str, Any], text: str, path: str, functions: frozenset[str], parent: str = "", depth: int = 0
) -> None:
    """Roots must be parts of the event, so that `object.id` for `data.object.id` is found out at load."""
    kind = node["type"]
    if depth > _MAX_DEPTH:
        raise ConfigError(f"{_short(text)} is nested too deep", path=path)
    if kind == "expref" and parent != "function_expression":
        raise ConfigError(f"{text!r}: '&' may only stand as an argument of a function", path=path)
    if kind == "function_expression" and node["value"] not in functions:
        raise ConfigError(f"{text!r}: JMESPath has no function {node['value']}()", path=path)
    if parent == "" and (root := _root(node)) is not None and root not in PARTS:
        raise ConfigError(
            f"{text!r} must start with one of {', '.join(PARTS)}",
            path=path,
            hint="paths start at the event: write data.NAME for a field of the payload",
        )
    for child in node["children"]:
        if isinstance(child, dict) and "type" in child:
            _check(child, text, path, functions, kind, depth + 1)


def _root(node: dict[str, Any]) -> str | None:
    """The leftmost field that an expression reads, when it starts with one."""
    while node["type"] in ("subexpression", "index_expression", "projection", "flatten", "value_projection", "pipe"):
        node = node["children"][0]
    return str(node["value"]) if node["type"] == "field" else None


_IN_TURN = ("pipe", "subexpression", "index_expression", "projection", "value_projection", "flatten", "expref")


def _copies(node: dict[str, Any]) -> int:
    """How often the result can hold what the expression reads: what stands in turn multiplies, the rest adds."""
    below = [_copies(child) for child in node["children"] if isinstance(child, dict) and "type" in child]
    if node["type"] == "filter_projection":
        start, then, condition = below
        return start * (then + condition)
    if node["type"] in _IN_TURN or node.get("value") == "map":
        return math.prod(below)
    return max(1, sum(below))


@functools.cache
def _options() -> Any:
    from jmespath import Options
    from jmespath.functions import Functions, signature

    class Bounded(Functions):  # type: ignore[misc]
        @signature({"types": ["string"]}, {"types": ["array-string"]})  # type: ignore[untyped-decorator]
        def _func_join(self, separator: str, array: list[str]) -> str:
            """Both may come from an event, and then one's length multiplies with the other's."""
            if len(separator) * len(array) > MAX_JOINED:
                raise ValueError("joined, it would be too long")
            return separator.join(array)

    return Options(custom_functions=Bounded())


def _short(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}..."


def _json_only(value: Any) -> Any:
    """A float out of range (`sum` of huge numbers) is null, as JSON has no word for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
