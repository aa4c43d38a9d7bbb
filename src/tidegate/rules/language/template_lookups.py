"""How a template reads a payload: the classes that Jinja works with.

Owns what a dot, a bracket, a missing field and a null mean. May not know which templates are allowed or how output is
escaped: `templates` decides that. Imported when the first template is built, so that a gateway without one never loads
Jinja. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any

from jinja2 import ChainableUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tidegate.rules.language.view import MISSING, step


class Absent(ChainableUndefined):
    """A missing field: it prints nothing, takes a default, and fails in a calculation."""

    @property
    def _undefined_message(self) -> str:
        name = str(self._undefined_name)[:80]
        return f"{name!r} is missing, so it cannot be used in a calculation; write {name} | default(0)"

    def __int__(self) -> int:  # type: ignore[override]
        raise TypeError("not a number")  # the filters `int` and `float` give their default then

    def __float__(self) -> float:  # type: ignore[override]
        raise TypeError("not a number")


class Null(Absent):
    """A null of the payload: it prints nothing and takes a default, as a missing field does, and is `none`."""

    @property
    def _undefined_message(self) -> str:
        name = str(self._undefined_name)[:80]
        return f"{name!r} is null, so it cannot be used in a calculation; write {name} | default(0)"

    def __eq__(self, other: object) -> bool:
        return other is None or type(other) is Null

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = ChainableUndefined.__hash__


class Lookups(ImmutableSandboxedEnvironment):
    """Dots and brackets read only objects and lists, so `data.items` is a field and never a method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        found = step(obj, str(argument))
        if found is MISSING:
            return self.undefined(obj=obj, name=str(argument))
        return self.null(str(argument)) if found is None else found

    def null(self, name: str) -> Null:
        return Null(name=name)
