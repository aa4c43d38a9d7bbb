"""What a destination kind or a credential kind may ask of the code that validates a configuration.

Owns the protocol between the two, so that a kind can validate its own keys and the code that collects problems can
stay above it. Pure: a check adds problems and changes nothing.
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
        """Runs a compiler and keeps the ConfigError that it raises, at `path`; with `item`, below that."""

    def url(self, path: Path, value: str, *, bare: bool = False) -> None:
        """Refuses what is not an http or https URL; `bare`: and one with a query."""

    def headers(self, path: Path, headers: Mapping[str, str]) -> None:
        """Refuses header names and values that may not be sent."""

    def header_name(self, path: Path, name: str) -> None: ...

    def auth(self, path: Path, auth: Auth | None, headers: Mapping[str, str]) -> None:
        """Runs the check of the credential's own kind. `headers`: those that are configured beside it."""

    def secrets(self, path: Path, secret: str | list[str]) -> None:
        """Refuses an empty list, an empty secret in a list, and a list that is too long."""
