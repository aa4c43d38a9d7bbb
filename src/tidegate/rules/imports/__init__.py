"""Imports: from the description of an API by another tool to a source, with notes about what was lost. Pure.

Owns the registry of formats, one module each. A module brings `FORMAT` and `read(document, choice)`. To add a format,
add its module and its tests. May not know files, the command line or the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidegate.rules.imports import airbyte, dlt, openapi, postman
from tidegate.rules.imports.document import parse
from tidegate.rules.imports.result import Choice, Imported, ImportRejected, Note

__all__ = ["FORMATS", "Choice", "ImportRejected", "Imported", "Note", "import_document"]

_MODULES: tuple[Any, ...] = (openapi, postman, dlt, airbyte)
FORMATS: dict[str, Callable[[dict[str, Any], Choice], Imported]] = {one.FORMAT: one.read for one in _MODULES}


def import_document(format: str, data: bytes, name: str, choice: Choice) -> Imported:
    """The import of a file called `name`. ImportRejected when it does not fit its format or its bounds."""
    document = parse(data, name)
    try:
        return FORMATS[format](document, choice)
    except RecursionError:
        raise ImportRejected(f"{name} is nested too deeply", hint="flatten it") from None
