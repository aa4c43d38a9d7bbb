"""A source as a user writes it: the provider by name, each of its resources and operations by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from support.catalog.shape import Double
from tidegate.config import toml
from tidegate.config.load import load_text
from tidegate.config.spec import Source
from tidegate.providers import provider_data


def source_of(double: Double, *, only: Collection[str] = ()) -> Source:
    """The source `s` of `tidegate.toml` with all that the provider file has, or only some resources."""
    data = provider_data(double.name)
    api: dict[str, Any] = {"provider": double.name, "auth": double.auth.config, **double.settings}
    declared = data["api"].get("with", {})
    values = {name: value for name, value in double.values.items() if name in declared}
    if values:
        api["with"] = {**values, **api.get("with", {})}
    resources = {name: {"use": name, "poll": "1h"} for name in data.get("resources", {}) if not only or name in only}
    operations = {name: {"use": name} for name in data.get("operations", {})}
    tree = {"sources": {"s": {"api": api, "resources": resources, "operations": operations}}}
    return load_text(toml.write(tree, {}), "tidegate.toml", {}).config.sources["s"]
