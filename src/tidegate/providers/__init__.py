"""The providers that ship and those of the user: one TOML file each, and the functions that read them.

Owns the list of provider files. Knows no single provider and no meaning of keys: `providers/shape.py` and
`providers/api.py` have the schema and reject what does not fit. To add a provider, add a file with samples. Invariant:
files that ship are read at first use and cached, because they do not change while the program runs; those of the user
are registered when the configuration is loaded, and never take the name of one that ships. Crash: nothing is kept.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tidegate.core.errors import ConfigError

_FOLDER = Path(__file__).parent
API_TABLES = ("api", "resources", "operations")  # the tables of a file that are about its API
_WEBHOOK = re.compile(r"^\[{1,2}webhook[\].]", re.MULTILINE)
# Systems of their own without a preset, whose names are near to that of one.
_OTHER_SYSTEMS = frozenset({"asaas", "attic", "gitee", "openapi", "paypay", "plain", "resent", "xerox"})
_OTHER_NAMES = {
    "amazon-sns": "aws-sns", "sns": "aws-sns", "eventgrid": "azure-event-grid", "event-grid": "azure-event-grid",
    "coinbase": "coinbase-commerce", "hellosign": "dropbox-sign", "pubsub": "google-pubsub", "facebook": "meta",
    "instagram": "meta", "messenger": "meta", "whatsapp": "meta", "graph": "microsoft-graph",
    "office365": "microsoft-graph", "twitter": "x",
}  # fmt: skip
"""Other names of a system -> its file."""

_user: dict[str, str] = {}  # name -> text, of [gateway] providers


@cache
def shipped_names() -> tuple[str, ...]:
    """The providers that ship, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))


def shipped_file(name: str) -> Path:
    """Where the file of a provider that ships is."""
    return _FOLDER.resolve() / f"{name}.toml"


def register(files: Mapping[str, str]) -> None:
    """The user's own files from now on, by name, of this process. None has the name of one that ships."""
    _user.clear()
    _user.update(files)


def registered() -> dict[str, str]:
    """The user's own files, by name."""
    return dict(_user)


def provider_names() -> tuple[str, ...]:
    """All providers, sorted: those that ship and the user's."""
    return tuple(sorted({*shipped_names(), *_user})) if _user else shipped_names()


def webhook_names() -> tuple[str, ...]:
    """The providers whose file has a webhook half, which `verify` may name."""
    return (*_shipped_webhooks(), *sorted(name for name, text in _user.items() if _WEBHOOK.search(text)))


@cache
def _shipped_webhooks() -> tuple[str, ...]:
    return tuple(name for name in shipped_names() if _WEBHOOK.search(provider_text(name)))


def near_provider(name: str) -> str:
    """The preset that a misspelled name means, "" when none is near enough.

    A wrong preset is worse than none, so the names must share their beginning and differ in one or two characters, and
    the name of a system that has no preset means none.
    """
    if name in _OTHER_SYSTEMS or name in _OTHER_NAMES:
        return _OTHER_NAMES.get(name, "")
    for known in difflib.get_close_matches(name, [*webhook_names(), "none"], n=3, cutoff=0.8):
        if known[:1] == name[:1] and abs(len(known) - len(name)) <= 1:
            return known
    return ""


def provider_data(name: str) -> dict[str, Any]:
    """The content of a provider's file. ConfigError names the nearest one when the name is unknown."""
    return tomllib.loads(provider_text(name))


def provider_text(name: str) -> str:
    """The text of a provider's file. ConfigError as `provider_data`."""
    if name in _user:
        return _user[name]
    if name not in shipped_names():
        near = near_provider(name)
        hint = f"did you mean {near!r}?" if near else f"one of: {', '.join(provider_names())}, none"
        raise ConfigError(f"unknown provider {name!r}", code="provider_unknown", hint=hint)
    return (_FOLDER / f"{name}.toml").read_text("utf-8")
