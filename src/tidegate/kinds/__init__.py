"""Kinds of destination, one file each. Pure.

Owns the registry: every module of this package but `answers`, `base` and `chat` is a kind and brings one `KIND`. It may
not know who sends, and no code outside this package may decide by the name of a kind. To add a kind, add its file and
its test; the loader, the checks, the masking, the export, the API, the JSON Schema, the pages, the reference and the
sender read the registry. Run `make docs` after it.
"""

from __future__ import annotations

import functools
import importlib
import operator
import pkgutil
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.core.model import JsonObject
from tidegate.core.spec import Destination
from tidegate.kinds.base import MASK, Kind, Prepare, Request, Result, ShownRequest

__all__ = [
    "KINDS", "MASK", "SECRET_FIELDS", "AnyDestination", "Kind", "Prepare", "Request", "Result", "ShownRequest",
    "decode", "kind_named", "kind_of", "with_type",
]  # fmt: skip

_NOT_A_KIND = frozenset({"answers", "base", "chat"})
DEFAULT = Destination.default_tag


def _found() -> dict[str, Kind[Any]]:
    modules = sorted(one.name for one in pkgutil.iter_modules(__path__) if one.name not in _NOT_A_KIND)
    kinds = [importlib.import_module(f"tidegate.kinds.{name}").KIND for name in modules]
    return {kind.name: kind for kind in kinds}


KINDS: dict[str, Kind[Any]] = _found()
SECRET_FIELDS: frozenset[str] = frozenset().union(*(kind.secret_fields for kind in KINDS.values()))

if TYPE_CHECKING:
    AnyDestination = Destination
else:  # msgspec reads the union of the structs; the type checker knows their base
    AnyDestination = functools.reduce(operator.or_, [kind.spec for kind in KINDS.values()])


def kind_of(spec: Destination) -> Kind[Any]:
    """The kind of a destination as it is configured."""
    return KINDS[str(spec.__struct_config__.tag)]


def kind_named(tree: JsonObject) -> Kind[Any]:
    """The kind that a plain tree names, the default one when it names none or one that is not there."""
    return KINDS.get(str(tree.get("type", DEFAULT)), KINDS[DEFAULT])


def with_type(tree: Any) -> Any:
    """A destination's tree with `type`, which may be left out of the file. Anything but a table stays as it is."""
    return {"type": DEFAULT, **tree} if isinstance(tree, dict) else tree


def decode(raw: bytes | msgspec.Raw) -> Destination:
    """A destination of its JSON. msgspec.ValidationError when it does not fit."""
    spec: Destination = msgspec.convert(with_type(msgspec.json.decode(raw)), AnyDestination, strict=True)
    return spec
