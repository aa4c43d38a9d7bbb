"""Filters: a JSON object that selects events, compiled to closures.

Owns the meaning of the operators. A filter is first parsed into a tree of conditions, which rejects every error with
its path; the same tree gives the closure and the explanation, so the two cannot disagree. May not know routes.
Invariant: a compiled filter never raises on an event view and takes time linear in the filter and in the values that
it names; it has no regular expressions. Crash: nothing is kept.

A missing field, or a field of another type, does not match, except under `$neq`, `$nin` and `$not`. `true` is not 1,
and 1 equals 1.0. `$and`, `$or` and `$not` are allowed at every level and apply to the value at that level.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.rules.language.view import MISSING, is_index, step

PARTS = ("type", "source", "origin", "key", "data", "headers", "change")
MAX_DEPTH = 32
MAX_VALUES = 5000  # names, operators and operands together
_SHOWN = 80  # characters of a value in an explanation

Predicate = Callable[[Any], bool]


class Condition(msgspec.Struct, frozen=True):
    """One node. `op` is an operator, "all" (every condition of one object) or "field" (the field called `name`)."""

    op: str
    operand: Any = None
    name: str = ""
    inner: tuple[Condition, ...] = ()


def compile_filter(spec: dict[str, Any], path: str = "$") -> Callable[[dict[str, Any]], bool]:
    """A predicate over event views (`view.event_view`). ConfigError with the path of the error."""
    return _closure(_parse(spec, path))


def explain_filter(spec: dict[str, Any], view: dict[str, Any]) -> str | None:
    """The first reason why `spec` does not match `view`, as a sentence; None when it matches."""
    return _why_not(_parse(spec, "$"), view, "")


# -- values ----------------------------------------------------------------------------------------------


def same(left: Any, right: Any) -> bool:
    """Equality of JSON: `true` is not 1, 1 is 1.0, objects without order, lists with it. `right` is the filter's."""
    if isinstance(right, bool) or right is None:
        return left is right
    if isinstance(right, str):
        return isinstance(left, str) and left == right
    if isinstance(right, int | float):
        return _is_number(left) and bool(left == right)
    if isinstance(right, list):
        return isinstance(left, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(right, dict):
        return (
            isinstance(left, dict)
            and left.keys() == right.keys()
            and all(same(left[name], item) for name, item in right.items())
        )
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- parsing ---------------------------------------------------------------------------------------------


class _Limits:
    """Counts the values of a filter, so that a huge one is rejected while it is parsed."""

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def spend(self, path: str, depth: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConfigError(f"the filter has more than {MAX_VALUES} values", path=path)
        if depth > MAX_DEPTH:
            raise ConfigError(f"the filter is nested more than {MAX_DEPTH} levels deep", path=path)


def _parse(spec: dict[str, Any], path: str) -> Condition:
    return _parse_object(spec, path, 0, _Limits(), top=True)


def _parse_object(spec: Any, path: str, depth: int, limits: _Limits, *, top: bool, headers: bool = False) -> Condition:
    if not isinstance(spec, dict):
        if top:
            raise ConfigError(
                f"{_show(spec)} is not a filter", path=path, hint=f"write an object with keys of: {', '.join(PARTS)}"
            )
        limits.spend(path, depth)
        _check_value(spec, path, depth, limits)
        return Condition("$eq", spec)
    if not spec and not top:
        raise ConfigError(
            "the condition is an empty object, which is ambiguous",
            path=path,
            hint='write {"$exist": true} to match any value, or {"$eq": {}} to match an empty object',
        )
    conditions = []
    for name, inner in spec.items():
        if not isinstance(name, str):
            raise ConfigError(f"{name!r} is not a field name; field names are strings", path=path)
        limits.spend(path, depth)
        at = f"{path}.{name}"
        if name.startswith("$"):
            conditions.append(_parse_operator(name, inner, at, depth + 1, limits, top=top, headers=headers))
            continue
        if top and name not in PARTS:
            raise ConfigError(
                f"{name!r} is not a part of an event; a filter may name {', '.join(PARTS)}",
                path=at,
                hint=_nearest(name, PARTS) or "paths start at the event; write data.NAME for a field of the payload",
            )
        key = name.lower() if headers else name
        below = _parse_object(inner, at, depth + 1, limits, top=False, headers=top and name == "headers")
        conditions.append(Condition("field", name=key, inner=(below,)))
    return conditions[0] if len(conditions) == 1 else Condition("all", inner=tuple(conditions))


def _parse_operator(
    name: str, operand: Any, path: str, depth: int, limits: _Limits, *, top: bool, headers: bool
) -> Condition:
    if name in ("$and", "$or"):
        if not isinstance(operand, list) or not operand:
            raise ConfigError(f"{name} needs a list with at least one filter, found {_show(operand)}", path=path)
        inner = tuple(
            _parse_object(item, f"{path}[{number}]", depth + 1, limits, top=top, headers=headers)
            for number, item in enumerate(operand)
        )
        return Condition(name, inner=inner)
    if name == "$not":
        return Condition(name, inner=(_parse_object(operand, path, depth + 1, limits, top=top, headers=headers),))
    if name not in OPERATORS:
        known = (*OPERATORS, "$and", "$or", "$not")
        raise ConfigError(
            f"unknown operator {name!r}; the operators are {' '.join(known)}", path=path, hint=_nearest(name, known)
        )
    if top:
        raise ConfigError(f"{name} is at the top of the filter; put it under one of {', '.join(PARTS)}", path=path)
    _check_value(operand, path, depth, limits)
    _check_operand(name, operand, path)
    return Condition(name, operand)


def _check_operand(name: str, operand: Any, path: str) -> None:
    """Check the operand's type, because a comparison with another type is always false, which nobody intends."""
    if name in ("$gt", "$gte", "$lt", "$lte"):
        fits, wanted = isinstance(operand, str) or _is_number(operand), "a number or a string"
    elif name in ("$in", "$nin"):
        fits, wanted = isinstance(operand, list), "a list"
    elif name in ("$startsWith", "$endsWith"):
        fits, wanted = isinstance(operand, str), "a string"
    elif name == "$exist":
        fits, wanted = isinstance(operand, bool), "true or false"
    else:
        return
    if not fits:
        raise ConfigError(f"{name} needs {wanted}, found {_show(operand)}", path=path)


def _check_value(value: Any, path: str, depth: int, limits: _Limits) -> None:
    """Operands are JSON values. TOML also has dates, nan and inf, which no event can hold."""
    limits.spend(path, depth)
    if isinstance(value, list):
        for number, item in enumerate(value):
            _check_value(item, f"{path}[{number}]", depth + 1, limits)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_value(item, f"{path}.{name}", depth + 1, limits)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{value} is not a JSON number", path=path, hint="write a finite number")
    elif value is not None and not isinstance(value, str | int | float):
        raise ConfigError(f"{value!r} is not a JSON value", path=path, hint="write dates and times as quoted strings")


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


# -- predicates ------------------------------------------------------------------------------------------


def _eq(operand: Any) -> Predicate:
    """Separate closures for strings and `true`/`false`/`null`, which are nearly all operands in filters."""
    if isinstance(operand, str):
        return lambda value: value == operand  # only a string equals a string
    if isinstance(operand, bool) or operand is None:
        return lambda value: value is operand
    return lambda value: same(value, operand)


def _in(operand: list[Any]) -> Predicate:
    strings = frozenset(item for item in operand if isinstance(item, str))
    others = [item for item in operand if not isinstance(item, str)]
    if not others:
        return lambda value: isinstance(value, str) and value in strings
    return lambda value: value in strings if isinstance(value, str) else any(same(value, item) for item in others)


def _not(predicate: Predicate) -> Predicate:
    return lambda value: not predicate(value)


def _ordered(operand: Any, numbers: Predicate, strings: Predicate) -> Predicate:
    """Compares numbers with numbers, and strings with strings by code point (RFC 3339 times in UTC sort by time)."""
    if isinstance(operand, str):
        return lambda value: isinstance(value, str) and strings(value)
    return lambda value: _is_number(value) and numbers(value)


def _compare(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Predicate]:
    def build(operand: Any) -> Predicate:
        def predicate(value: Any) -> bool:
            return compare(value, operand)

        return _ordered(operand, predicate, predicate)

    return build


def _contains(operand: Any) -> Predicate:
    def predicate(value: Any) -> bool:
        if isinstance(value, list):
            # Python's `in` first, thirty times as fast: values that are the same in JSON are equal in Python.
            return operand in value and any(same(item, operand) for item in value)
        return isinstance(value, str) and isinstance(operand, str) and operand in value

    return predicate


OPERATORS: dict[str, Callable[[Any], Predicate]] = {
    "$eq": _eq,
    "$neq": lambda operand: _not(_eq(operand)),
    "$gt": _compare(lambda value, operand: bool(value > operand)),
    "$gte": _compare(lambda value, operand: bool(value >= operand)),
    "$lt": _compare(lambda value, operand: bool(value < operand)),
    "$lte": _compare(lambda value, operand: bool(value <= operand)),
    "$in": _in,
    "$nin": lambda operand: _not(_in(operand)),
    "$contains": _contains,
    "$startsWith": lambda operand: lambda value: isinstance(value, str) and value.startswith(operand),
    "$endsWith": lambda operand: lambda value: isinstance(value, str) and value.endswith(operand),
    "$exist": lambda operand: lambda value: (value is not MISSING) is operand,
}


def _closure(condition: Condition) -> Predicate:
    if condition.op in OPERATORS:
        return OPERATORS[condition.op](condition.operand)
    inner = [_closure(part) for part in condition.inner]
    if condition.op == "field":
        return _field(condition.name, inner[0])
    if condition.op == "$not":
        return _not(inner[0])
    if condition.op == "$or":
        return _any_of(inner)
    return _all_of(inner)


def _field(name: str, predicate: Predicate) -> Predicate:
    if is_index(name):  # may be an index of a list as well
        return lambda value: predicate(step(value, name))
    return lambda value: predicate(value.get(name, MISSING) if isinstance(value, dict) else MISSING)


def _all_of(predicates: list[Predicate]) -> Predicate:
    def predicate(value: Any) -> bool:
        for one in predicates:  # noqa: SIM110 - a plain loop is twice as fast as all() over a generator
            if not one(value):
                return False
        return True

    return predicate


def _any_of(predicates: list[Predicate]) -> Predicate:
    def predicate(value: Any) -> bool:
        for one in predicates:  # noqa: SIM110 - as above
            if one(value):
                return True
        return False

    return predicate


# -- explanations ----------------------------------------------------------------------------------------

_WANTED = {
    "$eq": "wanted",
    "$neq": "wanted anything but",
    "$gt": "wanted >",
    "$gte": "wanted >=",
    "$lt": "wanted <",
    "$lte": "wanted <=",
    "$in": "wanted one of",
    "$nin": "wanted none of",
    "$contains": "wanted it to contain",
    "$startsWith": "wanted it to start with",
    "$endsWith": "wanted it to end with",
}


def _why_not(condition: Condition, value: Any, place: str) -> str | None:
    if _closure(condition)(value):
        return None
    if condition.op == "field":
        below = f"{place}.{condition.name}" if place else condition.name
        return _why_not(condition.inner[0], step(value, condition.name), below)
    if condition.op in ("all", "$and"):
        return next(reason for part in condition.inner if (reason := _why_not(part, value, place)))
    if condition.op == "$or":
        reasons = [_why_not(part, value, place) for part in condition.inner[:3]]
        more = len(condition.inner) - len(reasons)
        return f"none of $or: {'; '.join(str(reason) for reason in reasons)}" + (f"; and {more} more" if more else "")
    if condition.op == "$not":
        return f"{place} {_is(value)}, which $not excludes" if place else "the event matches what $not excludes"
    if condition.op == "$exist":
        return f"{place} {_is(value)}, wanted it to {'exist' if condition.operand else 'be absent'}"
    return f"{place} {_is(value)}, {_WANTED[condition.op]} {_show(condition.operand)}"


def _is(value: Any) -> str:
    return "is missing" if value is MISSING else f"is {_show(value)}"


def _show(value: Any) -> str:
    """A value as short JSON; a value that JSON cannot hold is shown as Python shows it."""
    try:
        text = msgspec.json.encode(value).decode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
