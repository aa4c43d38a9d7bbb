"""The checks that sources, destinations and routes share: URLs, headers, credentials, ranges, compilers.

Owns the allowed ranges of durations, rates and sizes. May not know which item it checks; it only adds to `Problems`.
Pure. The compilers of `rules` are imported where they are called, so that `tidegate --help` stays fast. Crash: nothing
is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.auth import header_names, kind_of, request_auth
from tidegate.config.lines import Path
from tidegate.config.problems import Problems
from tidegate.core import units
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Auth

MAX_BODY_BYTES = 64 << 20
MAX_RATE_PER_SECOND = 100_000.0
MAX_SECRETS = 10
MILLISECOND, SECOND, MINUTE, HOUR, DAY = 0.001, 1.0, 60.0, 3600.0, 86400.0
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Validator:
    """Checks single values and adds what is wrong to `problems`."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def add(self, path: Path, message: str, hint: str) -> None:
        self.problems.add(path, message, hint)

    def compiled(self, path: Path, compile_: Callable[..., object], *arguments: Any, item: Path | None = None) -> None:
        """Run a compiler of `rules`; its ConfigError becomes a problem at `path` (see `Problems.take`)."""
        try:
            compile_(*arguments)
        except ConfigError as error:
            self.problems.take(path, error, item)

    # -- addresses and headers ---------------------------------------------------------------------------

    def url(self, path: Path, value: str, *, bare: bool = False) -> None:
        """A URL that the gateway calls. `bare`: it may not have a query, because paths are appended to it."""
        from tidegate.rules.outbound.addresses import parse_target

        self.compiled(path, parse_target, value)
        if bare and "?" in value:
            self.add(path, "the URL has a query, but paths are appended to it", "remove the ? and everything after it")

    def link(self, path: Path, value: str) -> None:
        """A URL that browsers are redirected to."""
        if re.fullmatch(r"(https?://[^\s/?#\\]+)?(/(?![/\\])[^\s\\]*)?", value) is None or not value:
            seen = self.problems.show(path, value)
            self.add(
                path, f"{seen} is not an http or https URL or a path", "write it as https://www.example.com/thanks"
            )

    def headers(self, path: Path, headers: Mapping[str, str]) -> None:
        from tidegate.rules.inbound.redaction import egress_safe, value_safe

        seen: dict[str, str] = {}
        for name, value in headers.items():
            lower = name.lower()
            if not _HEADER_NAME.fullmatch(name):
                self.header_name((*path, name), name)
            elif not egress_safe(name):
                self.add((*path, name), f"the header '{name}' is set by Tidegate", "remove it")
            if lower in seen:
                self.add((*path, name), f"the header '{name}' is set twice, also as '{seen[lower]}'", "remove one")
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
        if not kind.for_http:
            self.add(path, f"auth of type '{kind.name}' is for mail servers", "use http_basic")
            return
        kind.check(self, path, auth)
        carried = request_auth(auth)
        if carried is not auth:
            self.auth((*path, "auth"), carried, headers)
            return
        configured = {header.lower() for header in headers}
        for name in header_names(auth):
            if name.lower() in configured:
                self.add(path, f"auth and headers both set '{name}'", "keep one of them")

    def secrets(self, path: Path, secret: str | list[str]) -> None:
        if isinstance(secret, list):
            if not secret:
                self.add(path, "the list of secrets is empty", "remove the key, or add a secret")
            for number, item in enumerate(secret):
                if not item:
                    self.add((*path, number), "the secret is empty", "check the variable or file that it comes from")
            if len(secret) > MAX_SECRETS:
                self.add(path, f"{len(secret)} secrets are too many", f"keep at most {MAX_SECRETS}")

    # -- ranges ------------------------------------------------------------------------------------------

    def duration(self, path: Path, text: str | None, low: float, high: float) -> None:
        if text is not None and not low <= units.seconds(text) <= high:
            hint = f"write a value from {_span(low)} to {_span(high)}"
            self.add(path, f"{self.problems.show(path, text)} is out of range", hint)

    def rate(self, path: Path, text: str | None) -> None:
        if text is None:
            return
        try:
            fits = units.per_second(text) <= MAX_RATE_PER_SECOND
        except ValueError:  # zero
            fits = False
        if not fits:
            hint = "write a rate above 0 and up to 100000/s"
            self.add(path, f"{self.problems.show(path, text)} is out of range", hint)

    def body_size(self, path: Path, text: str) -> None:
        if not 1 <= units.size_bytes(text) <= MAX_BODY_BYTES:
            self.add(path, f"{self.problems.show(path, text)} is out of range", "write a size from 1B to 64MiB")

    def text_at(self, path: Path, value: str, what: str) -> None:
        if not value.strip():
            self.add(path, f"{what} is empty", "remove the key, or write a value")


def _span(seconds: float) -> str:
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{round(seconds * 1000)}ms"
