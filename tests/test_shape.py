"""The code keeps its shape: short files and functions, few parameters, small classes.

The bounds hold for all of `src` and, for files and functions, of `tests`. What is over a bound has a row in `OVER`
with its size: it may shrink and may not grow, and a row that is no longer needed has to go.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES = 500
FUNCTION_LINES = 50
PARAMETERS = 6
PUBLIC_METHODS = 10

OVER = {
    "api/routes.py:_crud, parameters": 7,
    "cli/test_listen.py": 509,
    "config/problems.py:Problems, methods": 12,
    "config/validate.py:Validator, methods": 12,
    "dashboard/charts/flow.py:_lane, parameters": 7,
    "deliver/backlog.py:Backlog, methods": 14,
    "deliver/deferred.py:DeferredQueue, methods": 12,
    "deliver/engine.py:DeliverEngine, methods": 17,
    "deliver/engine.py:__init__, parameters": 7,
    "deliver/limits.py:SendLimits, methods": 11,
    "deliver/senders.py:Senders, methods": 12,
    "deliver/settler.py:Settler, methods": 12,
    "engine/test_webhooks_of_many_kinds.py": 585,
    "guarantees/test_nothing_leaves_for_a_forbidden_address.py:secretive": 52,
    "guarantees/test_nothing_leaves_for_a_forbidden_address.py:use_everything": 59,
    "guarantees/test_same_id_and_same_bytes.py:test_attempts_and_replays_keep_the_first_id_and_the_bytes": 57,
    "kinds/base.py:Kind, methods": 16,
    "outbound/connection.py:Connection, methods": 14,
    "outbound/connection.py:__init__, parameters": 7,
    "outbound/http.py:request, parameters": 8,
    "outbound/imap.py:ImapSession, methods": 13,
    "outbound/post.py:__init__, parameters": 8,
    "process/edge/protocol.py:StrictProtocol, methods": 11,
    "process/gateway.py:Gateway, methods": 11,
    "pull/engine.py:PullEngine, methods": 13,
    "pull/engine.py:__init__, parameters": 9,
    "pull/engine.py:pull, parameters": 7,
    "pull/sources.py:SourceClient, methods": 13,
    "pull/sources.py:request, parameters": 8,
    "pure/test_config_errors.py": 504,
    "query/deliveries.py:_of_event, parameters": 7,
    "query/deliveries.py:list_deliveries, parameters": 7,
    "query/records.py:list_records, parameters": 8,
    "receive/ingress.py:__init__, parameters": 9,
    "rules/language/filters.py:_parse_operator, parameters": 7,
    "rules/sync/changes.py:make_copy, parameters": 10,
    "rules/sync/http_cache.py:cache_status, parameters": 7,
    "runtime/active.py:ActiveConfiguration, methods": 12,
    "store/log.py:Log, methods": 20,
    "store/migrate_store/source.py:Source, methods": 14,
    "store/postgres/deliveries.py:PostgresDeliveries, methods": 11,
    "store/postgres/log.py:PostgresLog, methods": 24,
    "store/postgres/settings.py:PostgresSettings, methods": 16,
    "store/settings.py:Settings, methods": 14,
    "store/sqlite/engine.py:Engine, methods": 12,
    "store/sqlite/log.py:SqliteLog, methods": 22,
    "store/sqlite/settings.py:SqliteSettings, methods": 14,
    "support/browser/busy_gateway.py:_toml": 90,
}


def parsed(folder: str) -> Iterator[tuple[str, str, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text("utf-8")
        yield path.relative_to(ROOT / folder).as_posix(), text, ast.parse(text)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node: what holds functions and classes, without a look into expressions."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for one in getattr(node, field, ()) if not isinstance(node, ast.expr) else ():
            yield one
            yield from statements(one)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in statements(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A command of the command line has one parameter for each of its options."""
    return any(ast.unparse(one).startswith(("click.", "gateway_command")) for one in function.decorator_list)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    return len([one for one in (*given.posonlyargs, *given.args, *given.kwonlyargs) if one.arg not in ("self", "cls")])


def public_methods(node: ast.ClassDef) -> int:
    """Without properties, which are read like attributes."""
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return len({one.name for one in methods if not one.name.startswith("_") and not one.decorator_list})


def sizes() -> Iterator[tuple[str, int, int]]:
    """(name, size, bound) of everything that is over its bound."""
    for folder in ("src/tidegate", "tests"):
        for name, text, tree in parsed(folder):
            yield name, text.count("\n"), FILE_LINES
            for function in functions(tree):
                yield f"{name}:{function.name}", (function.end_lineno or 0) - function.lineno + 1, FUNCTION_LINES
    for name, _, tree in parsed("src/tidegate"):
        for function in functions(tree):
            if not is_command(function):
                yield f"{name}:{function.name}, parameters", parameters(function), PARAMETERS
        for node in statements(tree):
            if isinstance(node, ast.ClassDef):
                yield f"{name}:{node.name}, methods", public_methods(node), PUBLIC_METHODS


def over_their_bound() -> dict[str, int]:
    found: dict[str, int] = {}
    for name, size, bound in sizes():
        if size > bound:
            found[name] = max(size, found.get(name, 0))
    return found


def test_nothing_grows_over_its_bound_and_what_is_over_only_shrinks() -> None:
    found = over_their_bound()
    grown = {name: size for name, size in found.items() if size > OVER.get(name, 0)}
    assert grown == {}, "split it, so that each part can be read alone"
    assert OVER.keys() <= found.keys(), "it shrank below its bound: remove its row in OVER"


@pytest.mark.parametrize(
    ("code", "size"),
    [("def f(a, *, b): ...", 2), ("def f(self, a): ...", 1), ("async def f(a, /, *more, **named): ...", 1)],
)
def test_parameters_are_counted_without_self_and_what_takes_any_number(code: str, size: int) -> None:
    (function,) = functions(ast.parse(code))
    assert parameters(function) == size
