"""Query parameters: declared in the table of routes, parsed here. Pure.

An undeclared name, a repeated name, and a value of another kind are rejected with 400, so that a typing error never
widens a list. An empty value counts as absent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

from tidegate.core import units
from tidegate.core.clock import parse_instant
from tidegate.core.errors import BadRequest

Kind = Literal["text", "limit", "instant", "boolean", "word"]

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_TEXT = 4096
_DIGITS = re.compile(r"[0-9]{1,9}")
_BROKEN_OFFSET = re.compile(r"(T[0-9:.]+) ([0-9]{2}:[0-9]{2})$")


class Parameter(msgspec.Struct, frozen=True):
    """One query parameter. `words` are the values of a "word"; `default` is the default of a limit (None: no limit)."""

    name: str
    kind: Kind
    description: str
    words: tuple[str, ...] = ()
    default: int | None = DEFAULT_LIMIT


def pairs_of(query_string: bytes) -> list[tuple[str, str]]:
    """Names and values, decoded. BadRequest when they are not UTF-8, or too many."""
    if not query_string:
        return []
    try:
        return parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:  # UnicodeDecodeError included
        raise BadRequest("the query string is not UTF-8, or has more than 100 parameters") from None


def parse_values(query_string: bytes, declared: Sequence[Parameter], now_us: int) -> dict[str, Any]:
    """Values by name: text unchanged, limits as int, instants as microseconds, booleans as bool."""
    known = {parameter.name: parameter for parameter in declared}
    values: dict[str, Any] = {p.name: p.default for p in declared if p.kind == "limit"}
    seen: set[str] = set()
    for name, value in pairs_of(query_string):
        parameter = known.get(name)
        if parameter is None:
            raise _unknown(name, list(known))
        if name in seen:
            raise BadRequest(f"parameter {name!r} is given twice", hint="send it once")
        seen.add(name)
        if value:
            values[name] = _value(parameter, value, now_us)
    return values


def _unknown(name: str, known: list[str]) -> BadRequest:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"its parameters: {', '.join(known) or 'none'}"
    return BadRequest(f"this call has no parameter {name[:80]!r}", hint=hint, code="unknown_parameter")


def _value(parameter: Parameter, value: str, now_us: int) -> Any:
    name = parameter.name
    if len(value) > MAX_TEXT:
        raise BadRequest(f"{name} is longer than {MAX_TEXT} characters")
    if parameter.kind == "limit":
        number = int(value) if _DIGITS.fullmatch(value) else 0
        if not 1 <= number <= MAX_LIMIT:
            raise BadRequest(f"{name}: {value[:80]!r} is not a number from 1 to {MAX_LIMIT}")
        return number
    if parameter.kind == "instant":
        return instant(name, value, now_us)
    if parameter.kind == "boolean":
        if value not in ("true", "false"):
            raise BadRequest(f"{name}: {value[:80]!r} is not true or false")
        return value == "true"
    if parameter.kind == "word" and value not in parameter.words:
        raise BadRequest(f"{name}: {value[:80]!r} is not allowed (allowed: {', '.join(parameter.words)})")
    return value


def instant(name: str, value: str, now_us: int) -> int:
    """Microseconds since 1970 of an RFC 3339 text, or of a duration back from now (`1h`). BadRequest."""
    try:
        at_us = now_us - int(units.seconds(value) * 1_000_000)
    except (ValueError, OverflowError):
        try:
            at_us = parse_instant(_BROKEN_OFFSET.sub(r"\1+\2", value))  # "+01:00" that came as " 01:00"
        except (ValueError, OverflowError):
            at_us = 1 << 63
    if not -(1 << 62) < at_us < 1 << 62:
        raise BadRequest(f"{name}: {value[:80]!r} is not a time (examples: 2026-11-24T17:00:00Z, 1h)")
    return at_us


def max_age(value: str) -> float:
    """Seconds of `?max_age=`: `0`, `10`, `10s`, `5m`. BadRequest."""
    if _DIGITS.fullmatch(value):
        return float(value)
    try:
        return units.seconds(value)
    except ValueError as error:
        raise BadRequest(f"max_age: {error}", hint="use max_age=10s, or max_age=0 to always ask the source") from None
