"""Providers are data: one TOML file each, and the reader of those files.

Owns which presets ship. Knows nothing about any provider and nothing of what the keys mean: `providers/shape.py`
has the shape and refuses what does not fit. A newcomer adds a provider by adding a file and a test vector. Files
are read when first asked for and kept; they cannot change while the program runs.
"""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from importlib import resources
from typing import Any

from tidegate.core.errors import ConfigError


@cache
def provider_names() -> tuple[str, ...]:
    """The presets that ship, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def provider_data(name: str) -> dict[str, Any]:
    """The content of a preset's file. ConfigError names the nearest preset when there is none of that name."""
    if name not in provider_names():
        near = difflib.get_close_matches(name, [*provider_names(), "none"], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(provider_names())}, none"
        raise ConfigError(f"there is no provider {name!r}", code="provider_unknown", hint=hint)
    return tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))
