"""Filters: a JSON object that selects events, compiled to closures.

Owns the form of a filter. It is first parsed into a tree of conditions, which rejects every error with its path; the
same tree gives the closure and the explanation, so the two cannot disagree. The operators are rows of `operators.py`.
May not know routes. Invariant: a compiled filter never raises on an event view and takes time linear in the filter and
in the values that it names. Crash: nothing is kept.

A missing field, or a field of another type, does not match, except under `$neq`, `$nin` and `$not`. `true` is not 1,
and 1 equals 1.0. `$and`, `$or` and `$not` are allowed at every level and apply to the value at that level. A name in
double quotes is a field, even when it looks like an operator.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.core.model import JsonObject
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.language.operators import FOREIGN, ITEM_OPERATORS, KNOWN, OPERATORS, Predicate, negate
from tidegate.rules.language.view import MISSING, PARTS, is_index, step

MAX_DEPTH = 32
MAX_VALUES = 5000  # names, operators and operands together
_SHOWN = 80  # characters of a value in an explanation
_FROM_THE_BODY = re.compile(r"\b(?:data|body|context)(?:\.| (?:is|which)\b)")


class Condition(msgspec.Struct, frozen=True):
    """One node. `op` is an operator, "all" (every condition of one object) or "field" (the field called `name`)."""

    op: str
    operand: Any = None
    name: str = ""
    inner: tuple[Condition, ...] = ()


def compile_filter(spec: JsonObject, path: str = "$") -> Callable[[JsonObject], bool]:
    """A predicate over event views (`view.event_view`). ConfigError with the path of the error."""
    return _closure(_parse(spec, path))


def explain_filter(spec: JsonObject, view: JsonObject) -> str | None:
    """The first reason why `spec` does not match `view`, as a sentence; None when it matches."""
    reason = _why_not(_parse(spec, "$"), view, "")
    why = getattr(view, "unreadable", "")
    if reason is not None and why and _FROM_THE_BODY.search(reason):
        return f"the body could not be read, so no field of it matches: {why}"
    return reason


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


def _parse(spec: JsonObject, path: str) -> Condition:
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
        if _is_operator(name, at):
            conditions.append(_parse_operator(name, inner, at, depth + 1, limits, top=top, headers=headers))
            continue
        if top and name not in PARTS:
            raise ConfigError(
                f"{name!r} is not a part of an event; a filter may name {', '.join(PARTS)}",
                path=at,
                hint=_nearest(name, PARTS) or "paths start at the event; write data.NAME for a field of the payload",
            )
        field = _unquoted(name, at)
        key = field.lower() if headers else field
        below = _parse_object(inner, at, depth + 1, limits, top=False, headers=top and name == "headers")
        conditions.append(Condition("field", name=key, inner=(below,)))
    return conditions[0] if len(conditions) == 1 else Condition("all", inner=tuple(conditions))


def _is_operator(name: str, path: str) -> bool:
    """A `$name` that is near an operator, or is one of another language, is refused; any other is a field's name."""
    if not name.startswith("$"):
        return False
    if name in KNOWN:
        return True
    close = FOREIGN.get(name, "") or next(iter(difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.75)), "")
    if name in FOREIGN or close:
        hint = f"did you mean {close}? " if close else ""
        raise ConfigError(
            f"unknown operator {name!r}; the operators are {' '.join(KNOWN)}",
            path=path,
            hint=f"""{hint}A field of this name is written in double quotes: '"{name}"'""",
        )
    return False


def _unquoted(name: str, path: str) -> str:
    """The field that `"$set"` in double quotes names; other names are taken as they are written, dots included."""
    if len(name) < 2 or name[0] != '"' or name[-1] != '"':
        return name
    try:
        return msgspec.json.decode(name.encode("utf-8", "replace"), type=str)
    except (msgspec.DecodeError, UnicodeError):
        raise ConfigError(f"{name} is not a name in double quotes", path=path) from None


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
    if top:
        raise ConfigError(f"{name} is at the top of the filter; put it under one of {', '.join(PARTS)}", path=path)
    if name in ITEM_OPERATORS:
        return Condition(name, inner=(_parse_object(operand, path, depth + 1, limits, top=False),))
    operator = OPERATORS[name]
    _check_value(operand, path, depth, limits)
    if operator.fits is not None and not operator.fits(operand):
        raise ConfigError(f"{name} needs {operator.wanted}, found {_show(operand)}", path=path)
    try:
        operator.build(operand)
    except ConfigError as error:
        raise ConfigError(error.message, path=path, hint=error.hint) from None
    return Condition(name, operand)


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


def _closure(condition: Condition) -> Predicate:
    if condition.op in OPERATORS:
        return OPERATORS[condition.op].build(condition.operand)
    inner = [_closure(part) for part in condition.inner]
    if condition.op == "field":
        return _field(condition.name, inner[0])
    if condition.op in ITEM_OPERATORS:
        return ITEM_OPERATORS[condition.op](inner[0])
    if condition.op == "$not":
        return negate(inner[0])
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


def _why_not(condition: Condition, value: Any, place: str) -> str | None:
    if _closure(condition)(value):
        return None
    if condition.op == "field":
        below = f"{place}.{condition.name}" if place else condition.name
        if isinstance(value, list) and not is_index(condition.name):
            return f"{place} is a list of {len(value)}, which has no field {condition.name!r}; $any looks at each item"
        return _why_not(condition.inner[0], step(value, condition.name), below)
    if condition.op in ("all", "$and"):
        return next(reason for part in condition.inner if (reason := _why_not(part, value, place)))
    if condition.op == "$or":
        reasons = [_why_not(part, value, place) for part in condition.inner[:3]]
        more = len(condition.inner) - len(reasons)
        return f"none of $or: {'; '.join(str(reason) for reason in reasons)}" + (f"; and {more} more" if more else "")
    if condition.op in ITEM_OPERATORS:
        return _why_no_item(condition, value, place)
    if condition.op == "$not":
        return f"{place} {_is(value)}, which $not excludes" if place else "the event matches what $not excludes"
    if condition.op == "$exist":
        return f"{place} {_is(value)}, wanted it to {'exist' if condition.operand else 'be absent'}"
    return f"{place} {_is(value)}, {OPERATORS[condition.op].words} {_show(condition.operand)}"


def _why_no_item(condition: Condition, value: Any, place: str) -> str:
    """The first item that does not fit stands for all of them."""
    if not isinstance(value, list):
        return f"{place} {_is(value)}, and {condition.op} looks into lists only"
    inner = condition.inner[0]
    for number, item in enumerate(value):
        reason = _why_not(inner, item, f"{place}.{number}")
        if reason is not None:
            return f"none of the {len(value)} items of {place} fits: {reason}" if condition.op == "$any" else reason
    return f"{place} is an empty list"


def _is(value: Any) -> str:
    return "is missing" if value is MISSING else f"is {_show(value)}"


def _show(value: Any) -> str:
    """A value as short JSON; a value that JSON cannot hold is shown as Python shows it."""
    try:
        text = encode_json(value).decode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
