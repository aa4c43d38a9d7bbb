"""The providers that ship: one TOML file each, and the functions that read them.

Owns the list of presets. Knows no single provider and no meaning of keys: `providers/shape.py` has the schema and
rejects what does not fit. To add a provider, add a file and a test vector. Invariant: files are read at first use and
cached, because they do not change while the program runs. Crash: nothing is kept.
"""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from tidegate.core.errors import ConfigError

_FOLDER = Path(__file__).parent
API_TABLES = ("api", "resources", "operations")  # the tables of a file that are about its API
# Systems of their own without a preset, whose names are near to that of one.
_OTHER_SYSTEMS = frozenset({"gitee", "paypay", "plain", "resent", "xerox", "attic"})


@cache
def provider_names() -> tuple[str, ...]:
    """The presets that ship, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))


def near_provider(name: str) -> str:
    """The preset that a misspelled name means, "" when none is near enough.

    A wrong preset is worse than none, so the names must share their beginning and differ in one or two characters, and
    the name of a system that has no preset means none.
    """
    if name in _OTHER_SYSTEMS:
        return ""
    for known in difflib.get_close_matches(name, [*provider_names(), "none"], n=3, cutoff=0.8):
        if known[:1] == name[:1] and abs(len(known) - len(name)) <= 1:
            return known
    return ""


def provider_data(name: str) -> dict[str, Any]:
    """The content of a preset's file. ConfigError names the nearest preset when the name is unknown."""
    return tomllib.loads(provider_text(name))


def provider_text(name: str) -> str:
    """The text of a preset's file. ConfigError as `provider_data`."""
    if name not in provider_names():
        near = near_provider(name)
        hint = f"did you mean {near!r}?" if near else f"one of: {', '.join(provider_names())}, none"
        raise ConfigError(f"unknown provider {name!r}", code="provider_unknown", hint=hint)
    return (_FOLDER / f"{name}.toml").read_text("utf-8")
