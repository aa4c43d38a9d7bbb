"""Jinja2 templates over an event, for the messages of chat destinations.

Owns what a template may contain: lookups, `if`, comparisons, the filters listed here, and division by a number
(cents). Everything else (calls, loops, macros, imports, assignments) is rejected at load by checking the syntax tree,
so a template cannot run for long or reach into Python. May not know chats: how values are escaped and how
long the output may be is passed in. Invariants: values of the event are escaped, so `<!channel>` in a customer's name
notifies nobody; the user's own text is left as written; output that was cut says so. Crash: nothing is kept.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.core.errors import ConfigError, TidegateError
from tidegate.core.model import JsonObject
from tidegate.rules.language.chat_links import (
    ANGLES,
    FILTER,
    START_FILTER,
    Address,
    Links,
    at_start,
    in_address,
    mark_addresses,
)
from tidegate.rules.language.numbers import WrittenFloat, encode_json
from tidegate.rules.language.view import MISSING, PARTS

if TYPE_CHECKING:
    from jinja2 import nodes

MAX_OUTPUT = 40_000
MAX_TEMPLATE = 10_000
MAX_WORK = 100  # filters, and parts joined by ~, in one template; each can cost time linear in the payload
MAX_FILTERED = MAX_OUTPUT + 1  # characters of one string that a filter processes; more never fit into the output

# Filters of Jinja that take time and space linear in their input. `replace`, `center`, `indent`, `format`, `map` and
# similar ones are left out, because they can multiply a small payload or reach attributes.
FILTERS = (
    "capitalize", "count", "default", "first", "float", "int", "join", "last", "length", "lower", "title", "trim",
    "truncate", "upper",
)  # fmt: skip
OWN_FILTERS = ("json", "round")
TESTS = ("defined", "undefined", "none", "number", "string", "true", "false", "boolean")
_NODES = frozenset(
    {
        "Template", "Output", "TemplateData", "Name", "Getattr", "Getitem", "Const", "Filter", "If", "CondExpr",
        "Compare", "Operand", "And", "Or", "Not", "Test", "Concat", "Keyword", "Div", "Neg",
    }
)  # fmt: skip


class Escaping(NamedTuple):
    """How a value is written into the output. `unfinished` matches an escape at the end that a cut left incomplete.

    `links`: how addresses of the template's author are recognized; values inside them are percent-encoded.
    """

    escape: Callable[[str], str]
    unfinished: re.Pattern[str]
    links: Links | None = None


class Output(NamedTuple):
    text: str
    cut: bool  # it was longer, and ends with an ellipsis instead


def _markup(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


MARKUP = Escaping(_markup, re.compile(r"&[a-z]{0,3}\Z"), ANGLES)  # `&`, `<` and `>`, as in XML
PLAIN = Escaping(str, re.compile(r"(?!)"))  # for chats that read no markup


class RenderFailed(TidegateError):
    """A body or message could not be rendered for this event, so no request was sent; `Outcome.RENDER`."""

    code = "render_failed"
    status = 422
    hint = "tidegate explain ID shows the event as the template sees it"


def compile_template(
    template: str, escaping: Escaping = MARKUP, limit: int = MAX_OUTPUT
) -> Callable[[JsonObject], Output]:
    """`view -> message` of at most `limit` characters. A missing field prints nothing.

    Raises ConfigError for everything that a template may not contain. The returned function raises RenderFailed when
    an operation does not work with a value of the event (a string divided by 100).
    """
    from jinja2 import TemplateError, UndefinedError

    if len(template) > MAX_TEMPLATE:
        raise ConfigError(f"the template is longer than {MAX_TEMPLATE} characters", path="$.text")
    environment = _environment(escaping, limit)
    try:
        tree = environment.parse(template)
        _check(tree)
        if escaping.links is not None:
            mark_addresses(tree, escaping.links)
        compiled = environment.from_string(tree)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ConfigError(
            f"the template is not valid: {error.message}" + (f" (line {line} of the template)" if line else ""),
            path="$.text",
            hint="write a field as {{ data.NAME }}; a literal {{ is {{ '{{' }}",
        ) from None
    except (RecursionError, SyntaxError, MemoryError):  # parser and compiler, on hundreds of nested parentheses
        raise ConfigError("the template is nested too deeply", path="$.text") from None

    def render(view: JsonObject) -> Output:
        parts = {name: environment.null(name) if view.get(name) is None else view[name] for name in PARTS}
        try:
            return _gather(compiled.generate(**parts), escaping, limit)
        except UndefinedError as error:
            raise RenderFailed(f"the template could not be rendered: {error.message}") from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise RenderFailed(f"the template could not be rendered: {_in_words(error)}") from None

    return render


def _in_words(error: Exception) -> str:
    if isinstance(error, ZeroDivisionError):
        return "it divides by zero"
    if isinstance(error, TypeError):
        return f"an operation does not fit the type of a value ({str(error)[:160]})"
    return str(error)[:200]


def _plain(value: Any) -> str:
    if value is None or value is MISSING:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, WrittenFloat):
        return value.written
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # 4900 / 100 is 49, not 49.0
    if isinstance(value, bool | int | float | list | dict):
        return _json(value)
    return ""  # undefined


def _json(value: Any) -> str:
    return encode_json(value).decode()


def _gather(pieces: Iterable[str], escaping: Escaping, limit: int) -> Output:
    """At most `limit` characters of what the template gives, without taking the rest."""
    out: list[str] = []
    room = limit
    for piece in pieces:
        if len(piece) > room:
            out.append(piece[:room])
            return Output(escaping.unfinished.sub("", "".join(out)[: limit - 1]) + "…", True)
        out.append(piece)
        room -= len(piece)
    return Output("".join(out), False)


# -- what a template may contain -------------------------------------------------------------------------


def _check(tree: nodes.Template) -> None:
    stack: list[nodes.Node] = [tree]
    work = 0
    while stack:
        node = stack.pop()
        kind = type(node).__name__
        work += len(node.nodes) if kind == "Concat" else kind == "Filter"  # type: ignore[attr-defined]
        if work > MAX_WORK:
            raise _error(f"the template has more than {MAX_WORK} filters and parts joined by ~", node)
        if kind not in _NODES:
            raise _error(f"a template may not contain {_NAMES.get(kind, kind.lower())}", node)
        check = _CHECKS.get(kind)
        if check is not None:
            check(node)
        stack.extend(node.iter_child_nodes())


def _check_name(node: Any) -> None:
    if node.name not in PARTS:
        close = difflib.get_close_matches(node.name, PARTS, n=1)
        hint = (
            f"did you mean {close[0]!r}?"
            if close
            else "paths start at the event; write data.NAME for a field of the payload"
        )
        raise _error(f"{node.name!r} is not a part of an event; a template may name {', '.join(PARTS)}", node, hint)


def _check_filter(node: Any) -> None:
    known = (*FILTERS, *OWN_FILTERS)
    if node.name not in known:
        raise _error(f"unknown filter {node.name!r}; the filters are {', '.join(sorted(known))}", node)
    arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if node.name != "default" and any(type(argument).__name__ != "Const" for argument in arguments):
        raise _error(f"the arguments of the filter {node.name} must be constants", node)
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise _error("a template may not contain star arguments", node)


def _check_test(node: Any) -> None:
    if node.name not in TESTS:
        raise _error(f"unknown test {node.name!r}; the tests are {', '.join(sorted(TESTS))}", node)


def _check_item(node: Any) -> None:
    if type(node.arg).__name__ != "Const" or not isinstance(node.arg.value, str | int):
        raise _error("square brackets must contain a quoted name or a number", node)


def _check_division(node: Any) -> None:
    right = node.right
    if type(right).__name__ != "Const" or isinstance(right.value, bool) or not isinstance(right.value, int | float):
        raise _error("the divisor must be a number, such as 100", node)
    if right.value == 0:
        raise _error("the divisor is 0", node)


_CHECKS: dict[str, Callable[[Any], None]] = {
    "Name": _check_name,
    "Filter": _check_filter,
    "Test": _check_test,
    "Getitem": _check_item,
    "Div": _check_division,
}
_NAMES = {
    "Call": "a call",
    "CallBlock": "a call",
    "For": "a loop",
    "FromImport": "an import",
    "Mul": "multiplication",
    "Add": "addition (join strings with ~)",
    "Sub": "subtraction",
    "Mod": "the operator %",
    "Pow": "the operator **",
    "Assign": "an assignment",
    "AssignBlock": "an assignment",
}


def _error(what: str, node: Any, hint: str = "") -> ConfigError:
    return ConfigError(f"{what} (line {node.lineno} of the template)", path="$.text", hint=hint)


@functools.lru_cache(maxsize=16)
def _environment(escaping: Escaping, limit: int) -> Any:
    from jinja2 import Undefined

    from tidegate.rules.language.template_lookups import Absent, Lookups, Null

    def finalize(value: Any) -> str:
        if isinstance(value, Address):
            return str(value)
        return escaping.escape(_plain(value)[: limit + 1])

    environment = Lookups(undefined=Absent, finalize=finalize, cache_size=0, keep_trailing_newline=True)
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.filters.update({name: _shortened(environment.filters[name]) for name in _SLOW})
    environment.filters.update(json=_json_filter, round=_round, join=_join, first=_first, last=_last)
    environment.tests = {name: test for name, test in environment.tests.items() if name in (*TESTS, *_COMPARISONS)}
    environment.tests["none"] = lambda value: value is None or isinstance(value, Null)
    environment.tests["defined"] = lambda value: not isinstance(value, Undefined) or isinstance(value, Null)
    environment.tests["undefined"] = lambda value: isinstance(value, Undefined) and not isinstance(value, Null)
    if (links := escaping.links) is not None:
        environment.filters[FILTER] = lambda value: in_address(_plain(value)[: limit + 1], links.ampersand)
        environment.filters[START_FILTER] = lambda value: at_start(_plain(value)[: limit + 1], links.ampersand)
    environment.globals = {}
    return environment


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "in")


# Filters that are slow on a long string: `title` takes half a second per megabyte.
_SLOW = ("capitalize", "float", "int", "lower", "title", "trim", "truncate", "upper")


def _shortened(work: Any) -> Any:
    """The filter applied to the start of a string. Jinja passes the environment to some filters as first argument."""

    @functools.wraps(work)
    def shortened(*arguments: Any, **named: Any) -> Any:
        return work(*(one[:MAX_FILTERED] if isinstance(one, str) else one for one in arguments), **named)

    return shortened


def _round(value: Any, digits: int = 0) -> Any:
    """Replaces Jinja's `round`, which computes 10 to the power of the digits, whatever their number.

    A missing field and a null stay what they are, so they print nothing and take a default.
    """
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        return value
    return round(value, min(max(digits, 0), 10))


def _json_filter(value: Any) -> str:
    """JSON of a value; a missing field prints nothing, and null prints `null`."""
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        return "null" if value == None else ""  # noqa: E711 - a null of the payload equals None
    return _json(value)


def _join(value: Any, separator: str = "") -> str:
    """Replaces Jinja's `join`, which prints a null as `None`."""
    return str(separator).join(_plain(one) for one in value) if isinstance(value, list) else _plain(value)


def _first(value: Any) -> Any:
    """Replaces Jinja's `first`; a null and the item of an empty list print nothing."""
    return "" if not value or value[0] is None else value[0]


def _last(value: Any) -> Any:
    return "" if not value or value[-1] is None else value[-1]
