"""Filters of doubles: from parameters, from bodies, and from query languages that join conditions with AND."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from support.catalog.shape import Ask, Refused, State, Table

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda value, wanted: value in wanted,
}
Reader = Callable[[Any], Any]


class Condition(msgspec.Struct, frozen=True):
    field: str  # of the table
    op: str
    value: Any

    def holds(self, table: Table, state: State) -> bool:
        return OPERATORS[self.op](table.field(self.field)(state), self.value)


Where = Callable[[Ask], list[Condition]]


def read(reader: Reader, value: Any, name: str) -> Any:
    try:
        return reader(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise Refused("bad_request", f"{name}: {error}") from None


def param(name: str, op: str, field: str, reader: Reader, *, truncate_us: int = 0) -> Where:
    """The parameter `name` (`body:a.b`, `header:NAME`) compares a field. `truncate_us`: the API cuts the value so."""

    def where(ask: Ask) -> list[Condition]:
        given = ask.get(name)
        if given in (None, ""):
            return []
        value = read(reader, given, name)
        return [Condition(field, op, value - value % truncate_us if truncate_us else value)]

    return where


def needed(name: str, kind: str = "bad_request", value: str = "") -> Where:
    """A parameter without which the API does not answer; with `value`, it must be this."""

    def where(ask: Ask) -> list[Condition]:
        given = ask.get(name)
        if given in (None, "") or (value and str(given) != value):
            raise Refused(kind, f"{name} is required{' to be ' + value if value else ''}, and it is {given!r}")
        return []

    return where


def hides_gone(unless: str = "", values: tuple[str, ...] = ("true",)) -> Where:
    """Deleted rows are shown only when the parameter `unless` has one of `values`."""

    def where(ask: Ask) -> list[Condition]:
        shown = bool(unless) and str(ask.get(unless, "")).lower() in values
        return [] if shown else [Condition("gone", "=", False)]

    return where


def only_gone(name: str, values: tuple[str, ...] = ("true",)) -> Where:
    """The parameter turns the list into one of deleted rows; without it they are hidden."""
    return lambda ask: [Condition("gone", "=", str(ask.get(name, "")).lower() in values)]


# -- query languages ---------------------------------------------------------------------------------------

_CONDITION = re.compile(
    r"""\s*(?P<field>[A-Za-z_][\w.]*)\s*(?P<op>>=|<=|!=|=|>|<|:>=|:<=|:>|:<|:)\s*"""
    r"""(?P<value>"[^"]*"|'[^']*'|[^\s()]+)\s*""",
)
_AND = re.compile(r"\s*(?:AND|&&|\+|,)\s*|\s+", re.IGNORECASE)


def conditions(text: str, fields: Mapping[str, tuple[str, Reader]]) -> list[Condition]:
    """`a >= 1 AND b = 'x'`, `updated_at:>='...'`: names of the language -> (field, reader of a bare value)."""
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _CONDITION.match(text, at)
        if match is None:
            raise Refused("bad_request", f"cannot read {text[at:]!r}")
        name, op, value = match["field"], match["op"].lstrip(":") or "=", match["value"].strip("'\"")
        if name not in fields:
            raise Refused("bad_request", f"{name} is not a field")
        field, reader = fields[name]
        found.append(Condition(field, op, read(reader, value, name)))
        at = match.end()
        joined = _AND.match(text, at)
        at = joined.end() if joined is not None else at
    return found


class Query(msgspec.Struct, frozen=True):
    """A parsed SELECT. `order`: (name, descending)."""

    fields: list[str]
    table: str
    where: str
    order: list[tuple[str, bool]]
    rest: str


_SELECT = re.compile(
    r"\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<table>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s*BY\s+(?P<order>.+?))?(?P<rest>\s+(?:LIMIT|OFFSET|STARTPOSITION|MAXRESULTS)\s+.+)?\s*",
    re.IGNORECASE | re.DOTALL,
)


def select(text: str) -> Query:
    """SELECT ... FROM ... WHERE ... ORDER BY ..., as SOQL and the queries of QuickBooks are written."""
    match = _SELECT.fullmatch(text or "")
    if match is None:
        raise Refused("bad_request", f"not a query: {text!r}")
    order = []
    for part in (match["order"] or "").split(","):
        words = part.split()
        if words:
            order.append((words[0], len(words) > 1 and words[1].upper() == "DESC"))
    fields = [one.strip() for one in match["fields"].split(",")]
    return Query(fields, match["table"], match["where"] or "", order, (match["rest"] or "").strip())
