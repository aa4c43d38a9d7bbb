"""Texts for people: a Jinja2 template over an event, for chat destinations.

Owns what a template may hold: lookups, `if`, comparisons, the filters listed here, and division by a number (cents).
Anything else (calls, loops, macros, imports, assignments) is refused at load by walking the syntax tree, so that no
template can run for long or reach into Python. May not know Slack beyond its three escaped characters. Invariant:
what comes from an event is escaped, so that `<!channel>` in a customer's name calls nobody; what the user wrote in
the template is left as written. Output is at most 4,000 characters.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.core.errors import ConfigError, TidegateError
from tidegate.rules.language.filters import PARTS
from tidegate.rules.language.view import MISSING, step

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_OUTPUT = 4000
MAX_TEMPLATE = 10_000
MAX_WORK = 100  # filters, and parts joined by ~, of one template: each may cost as much as the payload is long
MAX_WORDS = 10_000  # characters of one text that a filter works on; ten would not fit into the output
_CUT_ENTITY = re.compile(r"&[a-z]{0,3}\Z")

# Jinja's own filters that take time and space linear in their input. `replace`, `center`, `indent`, `format`,
# `map` and their like can blow up a small payload, or reach attributes, and are not here.
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


class RenderFailed(TidegateError):
    """A body or a text could not be made of this event. No request left; `Outcome.RENDER`."""

    code = "render_failed"
    status = 422
    hint = "tidegate explain ID shows the event as the template sees it"


def compile_text(template: str) -> Callable[[dict[str, Any]], str]:
    """`view -> text`. A field that is not there prints nothing.

    Raises ConfigError at once for what may not stand in a template. The returned function raises RenderFailed when
    an operation does not fit a value of the event (a text divided by 100).
    """
    from jinja2 import TemplateError, UndefinedError

    if len(template) > MAX_TEMPLATE:
        raise ConfigError(f"the text is longer than {MAX_TEMPLATE} characters", path="$.text")
    environment = _environment()
    try:
        _check(environment.parse(template))
        compiled = environment.from_string(template)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ConfigError(
            f"the text is no template: {error.message}" + (f" (line {line} of the text)" if line else ""),
            path="$.text",
        ) from None
    except (RecursionError, SyntaxError, MemoryError):  # parser and compiler, on hundreds of nested parentheses
        raise ConfigError("the text is nested too deep", path="$.text") from None

    def render(view: dict[str, Any]) -> str:
        try:
            return _gather(compiled.generate(**{name: view.get(name) for name in PARTS}))
        except UndefinedError as error:
            raise RenderFailed(f"the text could not be made: {error.message}") from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise RenderFailed(f"the text could not be made: {type(error).__name__}: {str(error)[:200]}") from None

    return render


def escape(value: Any) -> str:
    """A value as chat text. Slack reads `&`, `<` and `>` only (mentions, links), so these three are escaped."""
    return _words(value)[:MAX_OUTPUT].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _words(value: Any) -> str:
    if value is None or value is MISSING:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # 4900 / 100 is 49, not 49.0
    if isinstance(value, bool | int | float | list | dict):
        return _json(value)
    return ""  # undefined


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _gather(pieces: Any) -> str:
    """At most MAX_OUTPUT characters of what the template gives, without taking the rest."""
    out: list[str] = []
    room = MAX_OUTPUT
    for piece in pieces:
        if len(piece) > room:
            out.append(piece[: room - 1])
            return _CUT_ENTITY.sub("", "".join(out)[: MAX_OUTPUT - 1]) + "…"
        out.append(piece)
        room -= len(piece)
    return "".join(out)


# -- what may stand in a template ------------------------------------------------------------------------


def _check(tree: nodes.Template) -> None:
    stack: list[nodes.Node] = [tree]
    work = 0
    while stack:
        node = stack.pop()
        kind = type(node).__name__
        work += len(node.nodes) if kind == "Concat" else kind == "Filter"  # type: ignore[attr-defined]
        if work > MAX_WORK:
            raise _refused(f"the text has more than {MAX_WORK} filters and parts joined by ~", node)
        if kind not in _NODES:
            raise _refused(f"{_NAMES.get(kind, kind.lower())} may not stand in a text", node)
        judge = _CHECKS.get(kind)
        if judge is not None:
            judge(node)
        stack.extend(node.iter_child_nodes())


def _check_name(node: Any) -> None:
    if node.name not in PARTS:
        close = difflib.get_close_matches(node.name, PARTS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "paths start at the event: write data.NAME"
        raise _refused(f"a text names {', '.join(PARTS)}; not {node.name!r}", node, hint)


def _check_filter(node: Any) -> None:
    known = (*FILTERS, *OWN_FILTERS)
    if node.name not in known:
        raise _refused(f"there is no filter {node.name!r}; known are {', '.join(sorted(known))}", node)
    arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if node.name != "default" and any(type(argument).__name__ != "Const" for argument in arguments):
        raise _refused(f"the filter {node.name} takes constants only", node)
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise _refused("star arguments may not stand in a text", node)


def _check_test(node: Any) -> None:
    if node.name not in TESTS:
        raise _refused(f"there is no test {node.name!r}; known are {', '.join(sorted(TESTS))}", node)


def _check_item(node: Any) -> None:
    if type(node.arg).__name__ != "Const" or not isinstance(node.arg.value, str | int):
        raise _refused("square brackets take a name in quotes or a number", node)


def _check_division(node: Any) -> None:
    right = node.right
    if type(right).__name__ != "Const" or isinstance(right.value, bool) or not isinstance(right.value, int | float):
        raise _refused("division takes a number on its right, such as 100", node)
    if right.value == 0:
        raise _refused("division by 0", node)


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
    "Add": "addition (join texts with ~)",
    "Sub": "subtraction",
    "Mod": "the operator %",
    "Pow": "the operator **",
    "Assign": "an assignment",
    "AssignBlock": "an assignment",
}


def _refused(what: str, node: Any, hint: str = "") -> ConfigError:
    return ConfigError(f"{what} (line {node.lineno} of the text)", path="$.text", hint=hint)


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import ChainableUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Absent(ChainableUndefined):
        @property
        def _undefined_message(self) -> str:
            name = str(self._undefined_name)[:80]
            return f"{name!r} is missing, and nothing can be calculated with it; give it a value: {name} | default(0)"

    class Lookups(ImmutableSandboxedEnvironment):
        """Dots and brackets look into objects and lists only: `data.items` is the field, never a method."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            found = step(obj, str(argument))
            return self.undefined(obj=obj, name=str(argument)) if found is MISSING else found

    environment = Lookups(undefined=Absent, finalize=escape, cache_size=0, keep_trailing_newline=True)
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.filters.update({name: _shortened(environment.filters[name]) for name in _WORDY})
    environment.filters.update(json=_json, round=_round)
    environment.tests = {name: test for name, test in environment.tests.items() if name in (*TESTS, *_COMPARISONS)}
    environment.globals = {}
    return environment


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "in")


# Filters that are slow on a long text: `title` takes half a second for a megabyte.
_WORDY = ("capitalize", "float", "int", "lower", "title", "trim", "truncate", "upper")


def _shortened(work: Any) -> Any:
    """The filter on the beginning of a text. Jinja passes the environment to some as the first argument."""

    @functools.wraps(work)
    def shortened(*arguments: Any, **named: Any) -> Any:
        return work(*(one[:MAX_WORDS] if isinstance(one, str) else one for one in arguments), **named)

    return shortened


def _round(value: Any, digits: int = 0) -> Any:
    """Jinja's own raises 10 to the digits asked for, which is no bounded work."""
    return round(value, min(max(digits, 0), 10))
