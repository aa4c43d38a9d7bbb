"""The protocol by which a kind of destination or credential validates its own keys.

Owns the interface between the kinds and the code that collects problems, which is in a higher folder. May not know how
problems are collected. Pure: a check adds problems and changes nothing. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from tidegate.core.spec import Auth

Path = tuple[str | int, ...]  # ("destinations", "crm", "retry", 0)


class Checker(Protocol):
    """Collects problems by path. `hint` is what to write instead."""

    def add(self, path: Path, message: str, hint: str) -> None: ...

    def compiled(
        self, path: Path, compile_: Callable[..., object], *arguments: object, item: Path | None = None
    ) -> None:
        """Run a compiler and keep the ConfigError that it raises, at `path`; with `item`, below that."""

    def url(self, path: Path, value: str, *, bare: bool = False) -> None:
        """Reject a value that is not an http or https URL; with `bare`, also a URL with a query."""

    def headers(self, path: Path, headers: Mapping[str, str]) -> None:
        """Reject header names and values that may not be sent."""

    def header_name(self, path: Path, name: str) -> None: ...

    def auth(self, path: Path, auth: Auth | None, headers: Mapping[str, str]) -> None:
        """Run the check of the credential's own kind. `headers`: the headers that are configured beside it."""

    def secrets(self, path: Path, secret: str | list[str]) -> None:
        """Reject an empty list, an empty secret in a list, and a list that is too long."""
