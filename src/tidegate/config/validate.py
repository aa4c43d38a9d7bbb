"""The checks that sources, destinations and routes share: addresses, headers, credentials, ranges, compilers.

Owns what is a sensible range for a duration, a rate or a size. It adds to `Problems` and decides nothing
else. Pure. The compilers of `rules` are imported where they are called, so that `tidegate --help` stays quick.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.auth import kind_of
from tidegate.config.lines import Path
from tidegate.config.problems import Problems
from tidegate.core import units
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Auth

MAX_BODY_BYTES = 64 << 20
MAX_RATE_PER_SECOND = 100_000.0
MILLISECOND, SECOND, MINUTE, HOUR, DAY = 0.001, 1.0, 60.0, 3600.0, 86400.0
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Judge:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def add(self, path: Path, message: str, hint: str) -> None:
        self.problems.add(path, message, hint)

    def compiled(self, path: Path, compile_: Callable[..., object], *arguments: Any, item: Path | None = None) -> None:
        """Runs a compiler of `rules`; its refusal becomes one of ours, at `path` (`Problems.take`)."""
        try:
            compile_(*arguments)
        except ConfigError as error:
            self.problems.take(path, error, item)

    # -- addresses and headers ---------------------------------------------------------------------------

    def url(self, path: Path, value: str, *, bare: bool = False) -> None:
        """A URL that we call; `bare`: without a query, because paths are put after it."""
        from tidegate.rules.outbound.addresses import parse_target

        self.compiled(path, parse_target, value)
        if bare and "?" in value:
            self.add(path, "the URL has a query, and paths are put after it", "leave out the part from the ? on")

    def link(self, path: Path, value: str) -> None:
        """A URL that a browser is sent to."""
        if re.fullmatch(r"(https?://[^\s/?#\\]+)?(/(?![/\\])[^\s\\]*)?", value) is None or not value:
            seen = self.problems.show(path, value)
            self.add(
                path, f"{seen} is neither an http or https URL nor a path", "write it as https://www.example.com/thanks"
            )

    def headers(self, path: Path, headers: Mapping[str, str]) -> None:
        from tidegate.rules.inbound.redaction import egress_safe, value_safe

        seen: dict[str, str] = {}
        for name, value in headers.items():
            lower = name.lower()
            if not _HEADER_NAME.fullmatch(name):
                self.header_name((*path, name), name)
            elif not egress_safe(name):
                self.add((*path, name), f"the header '{name}' is set by the gateway itself", "leave it out")
            if lower in seen:
                self.add((*path, name), f"the header '{name}' is there twice, also as '{seen[lower]}'", "keep one")
            seen[lower] = name
            if not value_safe(value):
                self.add(
                    (*path, name), f"the value of the header '{name}' has a control character", "write it on one line"
                )

    def header_name(self, path: Path, name: str) -> None:
        if not _HEADER_NAME.fullmatch(name):
            self.add(path, f"{name!r} is not a header name", "use letters, digits and '-'")

    def auth(self, path: Path, auth: Auth | None, headers: Mapping[str, str]) -> None:
        """The check of the credential's kind, and that no configured header is set by the credential too."""
        if auth is None:
            return
        kind = kind_of(auth)
        kind.check(self, path, auth)
        configured = {header.lower() for header in headers}
        for name, _ in kind.add(auth).headers:
            if name.lower() in configured:
                self.add(path, f"auth and headers both set '{name}'", "keep one of them")

    def secrets(self, path: Path, secret: str | list[str]) -> None:
        if isinstance(secret, list):
            if not secret:
                self.add(path, "the list of secrets is empty", "leave the key out, or name a secret")
            for number, item in enumerate(secret):
                if not item:
                    self.add((*path, number), "the secret is empty", "check the variable it comes from")
            if len(secret) > 10:
                self.add(path, f"{len(secret)} secrets, more than 10", "drop those that are no longer in use")

    # -- ranges ------------------------------------------------------------------------------------------

    def duration(self, path: Path, text: str | None, low: float, high: float) -> None:
        if text is not None and not low <= units.seconds(text) <= high:
            self.add(path, f"{self.problems.show(path, text)} is out of range", f"write {_span(low)} to {_span(high)}")

    def rate(self, path: Path, text: str | None) -> None:
        if text is None:
            return
        try:
            fits = units.per_second(text) <= MAX_RATE_PER_SECOND
        except ValueError:  # zero
            fits = False
        if not fits:
            self.add(path, f"{self.problems.show(path, text)} is out of range", "write above 0 and up to 100000/s")

    def body_size(self, path: Path, text: str) -> None:
        if not 1 <= units.size_bytes(text) <= MAX_BODY_BYTES:
            self.add(path, f"{self.problems.show(path, text)} is out of range", "write 1B to 64MiB")

    def text_at(self, path: Path, value: str, what: str) -> None:
        if not value.strip():
            self.add(path, f"{what} is empty", "leave the key out, or write a value")


def _span(seconds: float) -> str:
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{round(seconds * 1000)}ms"
