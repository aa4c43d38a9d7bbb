"""Imports in tests: made from a document, loaded as `tidegate check` does, and their notes as text."""

from __future__ import annotations

import json
from typing import Any

from tidegate.cli.import_ import HEADERS
from tidegate.config import toml
from tidegate.config.checks_provider import check_provider_text
from tidegate.config.export import source_toml
from tidegate.config.load import load_text
from tidegate.rules.imports import Choice, Imported, import_document

ALL = Choice(everything=True)


def imported(format: str, document: Any, choice: Choice = ALL, name: str = "api.json") -> Imported:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return import_document(format, data, name, choice)


def accepted(result: Imported, **values: str) -> dict[str, Any]:
    """The source as `tidegate check` accepts it; the provider file has no problem either."""
    tree, variables = result.source("shop", values)
    loaded = load_text(source_toml("shop", tree), "import.toml", dict.fromkeys(variables, "value"))
    assert list(loaded.config.sources) == ["shop"]
    _, problems = check_provider_text(toml.write(result.provider(), HEADERS), "shop", "shop.toml")
    assert [f"{one.path}: {one.message}" for one in problems.errors()] == []
    return tree


def noted(result: Imported, kind: str) -> str:
    return "\n".join(f"{one.where}: {one.what} -> {one.remedy}" for one in result.notes if one.kind == kind)
