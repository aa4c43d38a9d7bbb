"""The operators of filters, one row each: what an operand may be, how it is compared, and the words that explain it.

Owns the table OPERATORS. To add an operator, add a row and describe it in `docs/reference/filters.md`. May not know
filters. Invariant: a compiled operator never raises on a JSON value and takes time linear in operand and value; regular
expressions run on RE2, which has no exponential case. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tidegate.core.errors import ConfigError
from tidegate.rules.language.view import MISSING

Predicate = Callable[[Any], bool]

MAX_PATTERN = 1000  # characters of a regular expression
MAX_MATCHED = 1 << 20  # characters of a text that one is matched against; a longer text does not match
_RE2_MEMORY = 4 << 20


class Operator(NamedTuple):
    """`build` makes the predicate of an operand; `wanted` describes the operand ("" takes any JSON value)."""

    build: Callable[[Any], Predicate]
    words: str
    fits: Callable[[Any], bool] | None = None
    wanted: str = ""


# -- values ----------------------------------------------------------------------------------------------


def same(left: Any, right: Any) -> bool:
    """Equality of JSON: `true` is not 1, 1 is 1.0, objects without order, lists with it. `right` is the filter's."""
    if isinstance(right, bool) or right is None:
        return left is right
    if isinstance(right, str):
        return isinstance(left, str) and left == right
    if isinstance(right, int | float):
        return is_number(left) and bool(left == right)
    if isinstance(right, list):
        return isinstance(left, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(right, dict):
        return (
            isinstance(left, dict)
            and left.keys() == right.keys()
            and all(same(left[name], item) for name, item in right.items())
        )
    return False


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- predicates ---------------------------------------------------------------------------------------------


def _eq(operand: Any) -> Predicate:
    """Closures for strings and `true`/`false`/`null` apart: they are nearly all of what filters hold."""
    if isinstance(operand, str):
        return lambda value: value == operand  # only a string equals a string
    if isinstance(operand, bool) or operand is None:
        return lambda value: value is operand
    return lambda value: same(value, operand)


def _eqi(operand: str) -> Predicate:
    folded = operand.casefold()
    return lambda value: isinstance(value, str) and value.casefold() == folded


def _in(operand: list[Any]) -> Predicate:
    strings = frozenset(item for item in operand if isinstance(item, str))
    others = [item for item in operand if not isinstance(item, str)]
    if not others:
        return lambda value: isinstance(value, str) and value in strings
    return lambda value: value in strings if isinstance(value, str) else any(same(value, item) for item in others)


def negate(predicate: Predicate) -> Predicate:
    return lambda value: not predicate(value)


def _ordered(operand: Any, numbers: Predicate, strings: Predicate) -> Predicate:
    """Numbers with numbers, strings with strings by code point (so RFC 3339 instants in UTC compare as instants)."""
    if isinstance(operand, str):
        return lambda value: isinstance(value, str) and strings(value)
    return lambda value: is_number(value) and numbers(value)


def _compare(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Predicate]:
    def build(operand: Any) -> Predicate:
        def predicate(value: Any) -> bool:
            return compare(value, operand)

        return _ordered(operand, predicate, predicate)

    return build


def _contains(operand: Any) -> Predicate:
    def predicate(value: Any) -> bool:
        if isinstance(value, list):
            # Python's own look first, thirty times as fast: what is the same in JSON is equal to Python.
            return operand in value and any(same(item, operand) for item in value)
        return isinstance(value, str) and isinstance(operand, str) and operand in value

    return predicate


def _regex(operand: str) -> Predicate:
    pattern = compile_regex(operand)
    return lambda value: isinstance(value, str) and len(value) <= MAX_MATCHED and pattern(value)


def compile_regex(text: str) -> Predicate:
    """Whether a string contains a match of an RE2 pattern. ConfigError for a bad one, or without RE2 installed."""
    try:
        import re2  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigError(
            "$regex needs the RE2 library, which is not installed",
            hint="pip install 'tidegate[regex]', or use $startsWith, $endsWith, $contains or $in",
        ) from None
    if len(text) > MAX_PATTERN:
        raise ConfigError(f"a regular expression has at most {MAX_PATTERN} characters; got {len(text)}")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _RE2_MEMORY
    try:
        pattern = re2.compile(text, options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        words = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise ConfigError(
            f"{text!r} is not a regular expression of RE2: {words}",
            hint="RE2 has no look-around and no back references: https://github.com/google/re2/wiki/Syntax",
        ) from None
    return lambda value: pattern.search(value) is not None


def _any_item(predicate: Predicate) -> Predicate:
    return lambda value: isinstance(value, list) and any(map(predicate, value))


def _every_item(predicate: Predicate) -> Predicate:
    return lambda value: isinstance(value, list) and all(map(predicate, value))


ITEM_OPERATORS: dict[str, Callable[[Predicate], Predicate]] = {"$any": _any_item, "$all": _every_item}
"""Operators whose operand is a filter of each item of a list. `$all` of an empty list matches, as in logic."""

LOGIC_OPERATORS = ("$and", "$or", "$not")


def _is_text(operand: Any) -> bool:
    return isinstance(operand, str)


def _is_ordered(operand: Any) -> bool:
    return isinstance(operand, str) or is_number(operand)


def _is_list(operand: Any) -> bool:
    return isinstance(operand, list)


def _is_flag(operand: Any) -> bool:
    return isinstance(operand, bool)


_ORDER = "a number or a string"
OPERATORS: dict[str, Operator] = {
    "$eq": Operator(_eq, "wanted"),
    "$neq": Operator(lambda operand: negate(_eq(operand)), "wanted anything but"),
    "$eqi": Operator(_eqi, "wanted, in any case,", _is_text, "a string"),
    "$gt": Operator(_compare(lambda value, operand: bool(value > operand)), "wanted >", _is_ordered, _ORDER),
    "$gte": Operator(_compare(lambda value, operand: bool(value >= operand)), "wanted >=", _is_ordered, _ORDER),
    "$lt": Operator(_compare(lambda value, operand: bool(value < operand)), "wanted <", _is_ordered, _ORDER),
    "$lte": Operator(_compare(lambda value, operand: bool(value <= operand)), "wanted <=", _is_ordered, _ORDER),
    "$in": Operator(_in, "wanted one of", _is_list, "a list"),
    "$nin": Operator(lambda operand: negate(_in(operand)), "wanted none of", _is_list, "a list"),
    "$contains": Operator(_contains, "wanted it to contain"),
    "$startsWith": Operator(
        lambda operand: lambda value: isinstance(value, str) and value.startswith(operand),
        "wanted it to start with",
        _is_text,
        "a string",
    ),
    "$endsWith": Operator(
        lambda operand: lambda value: isinstance(value, str) and value.endswith(operand),
        "wanted it to end with",
        _is_text,
        "a string",
    ),
    "$regex": Operator(_regex, "wanted a match of", _is_text, "a string"),
    "$exist": Operator(lambda operand: lambda value: (value is not MISSING) is operand, "", _is_flag, "true or false"),
}

KNOWN = (*OPERATORS, *ITEM_OPERATORS, *LOGIC_OPERATORS)

# Operators of other filter languages, refused with the name they have here; any other `$name` is a field of the body.
FOREIGN = {
    "$ne": "$neq",
    "$exists": "$exist",
    "$nor": "$not with $or",
    "$elemMatch": "$any",
    "$match": "$regex",
    "$like": "$contains or $regex",
    "$ilike": "$eqi or $regex",
    "$size": "",
    "$type": "",
    "$mod": "",
    "$where": "",
    "$expr": "",
    "$text": "$contains",
    "$options": "$regex with (?i)",
}
