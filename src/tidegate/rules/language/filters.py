"""Filters: a JSON object that says which events are wanted, compiled to closures.

Owns the meaning of the operators, as the contract states it. A filter is first read into a tree of conditions, with
every mistake refused by its path; the tree gives both the closure that judges and the words that explain, so the
two cannot disagree. May not know routes. Invariant: a compiled filter never raises on an event view, and takes time
linear in the filter and in the values that it names; there are no regular expressions in it.

A missing field, or one of another type, is no match, save under `$neq`, `$nin` and `$not`. `true` is not 1, and 1 is
1.0. `$and`, `$or` and `$not` stand at any level and judge what stands there.
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

Judge = Callable[[Any], bool]


class Condition(msgspec.Struct, frozen=True):
    """One node. `op` is an operator, "all" (the conditions of one object) or "field" (descend to `name`)."""

    op: str
    operand: Any = None
    name: str = ""
    inner: tuple[Condition, ...] = ()


def compile_filter(spec: dict[str, Any], path: str = "$") -> Callable[[dict[str, Any]], bool]:
    """A predicate over event views (`view.event_view`). ConfigError with the path of what is wrong."""
    return _closure(_parse(spec, path))


def explain_filter(spec: dict[str, Any], view: dict[str, Any]) -> str | None:
    """The first reason, in plain words, why `spec` does not match `view`; None when it matches."""
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


# -- reading ---------------------------------------------------------------------------------------------


class _Budget:
    """Counts what a filter holds, so that a huge one is refused while it is read."""

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def spend(self, path: str, depth: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConfigError(f"the filter holds more than {MAX_VALUES} values", path=path)
        if depth > MAX_DEPTH:
            raise ConfigError(f"the filter is nested more than {MAX_DEPTH} deep", path=path)


def _parse(spec: dict[str, Any], path: str) -> Condition:
    return _parse_object(spec, path, 0, _Budget(), top=True)


def _parse_object(spec: Any, path: str, depth: int, budget: _Budget, *, top: bool, headers: bool = False) -> Condition:
    if not isinstance(spec, dict):
        if top:
            raise ConfigError(f"a filter is an object that names {', '.join(PARTS)}; got {_show(spec)}", path=path)
        budget.spend(path, depth)
        _check_value(spec, path, depth, budget)
        return Condition("$eq", spec)
    if not spec and not top:
        raise ConfigError(
            "an empty object says nothing", path=path, hint='write {"$exist": true}, or {"$eq": {}} for an empty object'
        )
    conditions = []
    for name, inner in spec.items():
        if not isinstance(name, str):
            raise ConfigError(f"a filter's names are text; got {name!r}", path=path)
        budget.spend(path, depth)
        at = f"{path}.{name}"
        if name.startswith("$"):
            conditions.append(_parse_operator(name, inner, at, depth + 1, budget, top=top, headers=headers))
            continue
        if top and name not in PARTS:
            raise ConfigError(f"a filter names {', '.join(PARTS)}; not {name!r}", path=at, hint=_nearest(name, PARTS))
        key = name.lower() if headers else name
        below = _parse_object(inner, at, depth + 1, budget, top=False, headers=top and name == "headers")
        conditions.append(Condition("field", name=key, inner=(below,)))
    return conditions[0] if len(conditions) == 1 else Condition("all", inner=tuple(conditions))


def _parse_operator(
    name: str, operand: Any, path: str, depth: int, budget: _Budget, *, top: bool, headers: bool
) -> Condition:
    if name in ("$and", "$or"):
        if not isinstance(operand, list) or not operand:
            raise ConfigError(f"{name} takes a list of at least one filter; got {_show(operand)}", path=path)
        inner = tuple(
            _parse_object(item, f"{path}[{number}]", depth + 1, budget, top=top, headers=headers)
            for number, item in enumerate(operand)
        )
        return Condition(name, inner=inner)
    if name == "$not":
        return Condition(name, inner=(_parse_object(operand, path, depth + 1, budget, top=top, headers=headers),))
    if name not in _JUDGES:
        known = (*_JUDGES, "$and", "$or", "$not")
        raise ConfigError(
            f"unknown operator {name!r}; known are {' '.join(known)}", path=path, hint=_nearest(name, known)
        )
    if top:
        raise ConfigError(f"{name} must stand under one of {', '.join(PARTS)}", path=path)
    _check_value(operand, path, depth, budget)
    _check_operand(name, operand, path)
    return Condition(name, operand)


def _check_operand(name: str, operand: Any, path: str) -> None:
    """The operand's type; comparing with another one could only ever be false, which is never meant."""
    if name in ("$gt", "$gte", "$lt", "$lte"):
        fits, wanted = isinstance(operand, str) or _is_number(operand), "a number or a text"
    elif name in ("$in", "$nin"):
        fits, wanted = isinstance(operand, list), "a list"
    elif name in ("$startsWith", "$endsWith"):
        fits, wanted = isinstance(operand, str), "a text"
    elif name == "$exist":
        fits, wanted = isinstance(operand, bool), "true or false"
    else:
        return
    if not fits:
        raise ConfigError(f"{name} takes {wanted}; got {_show(operand)}", path=path)


def _check_value(value: Any, path: str, depth: int, budget: _Budget) -> None:
    """Operands are JSON. TOML knows more (dates, nan, inf), and events do not."""
    budget.spend(path, depth)
    if isinstance(value, list):
        for number, item in enumerate(value):
            _check_value(item, f"{path}[{number}]", depth + 1, budget)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_value(item, f"{path}.{name}", depth + 1, budget)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{value} is no number that an event can hold", path=path)
    elif value is not None and not isinstance(value, str | int | float):
        raise ConfigError(f"{value!r} is no JSON value", path=path, hint="write dates and times as text in quotes")


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


# -- judging ---------------------------------------------------------------------------------------------


def _eq(operand: Any) -> Judge:
    """Closures for texts and `true`/`false`/`null` apart: they are nearly all of what filters hold."""
    if isinstance(operand, str):
        return lambda value: value == operand  # only a text equals a text
    if isinstance(operand, bool) or operand is None:
        return lambda value: value is operand
    return lambda value: same(value, operand)


def _in(operand: list[Any]) -> Judge:
    texts = frozenset(item for item in operand if isinstance(item, str))
    others = [item for item in operand if not isinstance(item, str)]
    if not others:
        return lambda value: isinstance(value, str) and value in texts
    return lambda value: value in texts if isinstance(value, str) else any(same(value, item) for item in others)


def _not(judge: Judge) -> Judge:
    return lambda value: not judge(value)


def _ordered(operand: Any, numbers: Judge, texts: Judge) -> Judge:
    """Numbers with numbers, texts with texts by code point (so RFC 3339 instants in UTC compare as instants)."""
    if isinstance(operand, str):
        return lambda value: isinstance(value, str) and texts(value)
    return lambda value: _is_number(value) and numbers(value)


def _compare(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Judge]:
    def build(operand: Any) -> Judge:
        def judge(value: Any) -> bool:
            return compare(value, operand)

        return _ordered(operand, judge, judge)

    return build


def _contains(operand: Any) -> Judge:
    def judge(value: Any) -> bool:
        if isinstance(value, list):
            # Python's own look first, thirty times as fast: what is the same in JSON is equal to Python.
            return operand in value and any(same(item, operand) for item in value)
        return isinstance(value, str) and isinstance(operand, str) and operand in value

    return judge


_JUDGES: dict[str, Callable[[Any], Judge]] = {
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


def _closure(condition: Condition) -> Judge:
    if condition.op in _JUDGES:
        return _JUDGES[condition.op](condition.operand)
    inner = [_closure(part) for part in condition.inner]
    if condition.op == "field":
        return _field(condition.name, inner[0])
    if condition.op == "$not":
        return _not(inner[0])
    if condition.op == "$or":
        return _any_of(inner)
    return _all_of(inner)


def _field(name: str, judge: Judge) -> Judge:
    if is_index(name):  # may be an index of a list as well
        return lambda value: judge(step(value, name))
    return lambda value: judge(value.get(name, MISSING) if isinstance(value, dict) else MISSING)


def _all_of(judges: list[Judge]) -> Judge:
    def judge(value: Any) -> bool:
        for one in judges:  # noqa: SIM110 - a plain loop is twice as fast as all() over a generator
            if not one(value):
                return False
        return True

    return judge


def _any_of(judges: list[Judge]) -> Judge:
    def judge(value: Any) -> bool:
        for one in judges:  # noqa: SIM110 - as above
            if one(value):
                return True
        return False

    return judge


# -- explaining ------------------------------------------------------------------------------------------

_WORDS = {
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
        return (
            f"{place or 'the event'} {_is(value)}, which $not excludes"
            if place
            else "the event fits what $not excludes"
        )
    if condition.op == "$exist":
        return f"{place} {_is(value)}, wanted it to {'exist' if condition.operand else 'be absent'}"
    return f"{place} {_is(value)}, {_WORDS[condition.op]} {_show(condition.operand)}"


def _is(value: Any) -> str:
    return "is missing" if value is MISSING else f"is {_show(value)}"


def _show(value: Any) -> str:
    """A value as short JSON; what is no JSON (a filter's mistake) as Python shows it."""
    try:
        text = msgspec.json.encode(value).decode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
