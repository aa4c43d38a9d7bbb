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
    other = looks_like(document)
    if other and other != format:
        raise ImportRejected(
            f"{name} is {_TITLES[other]}, not {_TITLES[format]}", hint=f"tidegate import {other} {name}"
        )
    try:
        return FORMATS[format](document, choice)
    except RecursionError:
        raise ImportRejected(f"{name} is nested too deeply", hint="flatten it") from None


_TITLES = {
    "openapi": "an OpenAPI document",
    "postman": "a Postman collection",
    "dlt": "a dlt REST configuration",
    "airbyte": "an Airbyte manifest",
}


def looks_like(document: dict[str, Any]) -> str:
    """The format that a document is in, by its first keys; "" when nothing says so."""
    if "openapi" in document or "swagger" in document:
        return "openapi"
    info = document.get("info")
    if isinstance(info, dict) and "postman" in str(info.get("schema", "")):
        return "postman"
    if isinstance(document.get("client"), dict) and isinstance(document.get("resources"), list):
        return "dlt"
    return "airbyte" if "streams" in document and "check" in document else ""
