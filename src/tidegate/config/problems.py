"""Collects the problems of a configuration, so that one run reports all of them.

Owns what all errors have in common: the value, the path, FILE:LINE and the nearest known name. It may not know what
keys mean. Invariant: the value of a secret's key, or a value from `${...}`, is never shown; other values are shown as
the user wrote them. Crash: nothing is kept between runs.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tidegate import auth, kinds
from tidegate.config.lines import Lines, Path
from tidegate.core.errors import ConfigError, NotBuilt
from tidegate.rules.inbound.redaction import is_credential

# Keys whose values are secret: of webhook inputs, and of every kind of credential and destination.
SECRET_KEYS = frozenset({"secret", "handshake_token"}) | auth.SECRET_FIELDS | kinds.SECRET_FIELDS
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_CHARACTERS = 60


def dotted(path: Sequence[str | int]) -> str:
    """`$.sources.shop.retry[0]`; parts that are not bare TOML keys are quoted."""
    out = "$"
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += f".{part}" if _BARE_KEY.fullmatch(part) else f".{json.dumps(part)}"
    return out


def nearest(seen: str, known: Iterable[str], what: str) -> str:
    """The hint for an unknown name: the nearest known one, else a list of the known ones."""
    names = sorted(set(known))
    match = difflib.get_close_matches(seen, names, n=1, cutoff=0.6)
    if match:
        return f"did you mean '{match[0]}'?"
    if not names:
        return f"no {what} is defined yet"
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"the keys here are: {listed}" if what == "key" else f"write one of: {listed}"


def _parts(path: str) -> Path:
    """`$.filter.data[0]` as parts; the reverse of `dotted`."""
    found = re.findall(r'\.("(?:[^"\\]|\\.)*"|[^.\[]+)|\[(\d+)\]', path)
    return tuple(
        int(number) if number else json.loads(name) if name.startswith('"') else name for name, number in found
    )


class ConfigRejected(ConfigError):
    """Several problems of one configuration. Reads as the first one; `problems` has all of them, by line."""

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.message + more, path=first.path, where=first.where, hint=first.hint, code=first.code)
        self.status = first.status
        self.problems = tuple(problems)


class Problems:
    """Collects problems. `raw` is the parsed file before `${...}` was replaced; None for an item from the API."""

    def __init__(self, name: str = "", text: str | None = None, raw: Any = None) -> None:
        self.name = name
        self.raw = raw
        self.warnings: list[str] = []
        self._lines = None if text is None else Lines(text)
        self._found: list[tuple[int, ConfigError]] = []
        self._settled: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._found)

    def line(self, path: Path) -> int:
        return 0 if self._lines is None else self._lines.of(path)

    def where(self, path: Path) -> str:
        return "" if self._lines is None else f"{self.name}:{self.line(path)}"

    def add(self, path: Path, message: str, hint: str = "", *, code: str | None = None) -> None:
        error = ConfigError(message, path=dotted(path), where=self.where(path), hint=hint, code=code)
        self._keep(path, error)

    def _keep(self, path: Path, error: ConfigError) -> None:
        if error.path not in self._settled:
            self._found.append((self.line(path), error))

    def ignore_further_at_known_paths(self) -> None:
        """From now on, ignore further problems at paths that already have one, because they follow from it."""
        self._settled = frozenset(error.path for _, error in self._found)

    def touch(self, path: Path) -> bool:
        """Whether there is a problem at `path` or below it."""
        place = dotted(path)
        return any(error.path == place or error.path.startswith((f"{place}.", f"{place}[")) for _, error in self._found)

    def not_built(self, path: Path, what: str, hint: str) -> None:
        error = NotBuilt(
            f"{what} is not available in this release", path=dotted(path), where=self.where(path), hint=hint
        )
        self._keep(path, error)

    def take(self, path: Path, error: ConfigError, item: Path | None = None) -> None:
        """Add the error of a compiler of `rules`, with its message, at `path`.

        With `item`, the path of the source or route, the error's own path (`$.filter.data`) is below that path.
        """
        if item is not None and error.path.startswith("$."):
            path = (*item, *_parts(error.path))
        placed = type(error)(error.message, path=dotted(path), where=self.where(path), hint=error.hint, code=error.code)
        self._keep(path, placed)

    def warn(self, path: Path, message: str) -> None:
        place = self.where(path)
        self.warnings.append(f"{message} - at {dotted(path)}" + (f" ({place})" if place else ""))

    def show(self, path: Path, value: Any = None) -> str:
        """The value at `path` as the user wrote it, shortened and quoted; of a secret only its type."""
        if any(isinstance(part, str) and part in SECRET_KEYS for part in path) or (
            "headers" in path and isinstance(path[-1], str) and is_credential(path[-1].lower())
        ):
            return f"(hidden) {kind_of(value)}"
        written = self.written(path)
        seen = value if written is None else written
        if isinstance(seen, dict):
            return "a table"
        text = repr(seen) if isinstance(seen, str) else json.dumps(seen, default=str)
        return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."

    def written(self, path: Path) -> Any:
        """The value at `path` in the file, before `${...}` was replaced; None without a value or a file."""
        node = self.raw
        for part in path:
            if isinstance(node, dict) and isinstance(part, str):
                node = node.get(part)
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            else:
                return None
        return node

    def errors(self) -> list[ConfigError]:
        """The problems by line, without duplicates."""
        seen: set[tuple[str, str]] = set()
        out = []
        for _, error in sorted(self._found, key=lambda pair: pair[0]):
            if (error.path, error.message) not in seen:
                seen.add((error.path, error.message))
                out.append(error)
        return out

    def raise_found(self) -> None:
        """Raise what was collected, if anything."""
        found = self.errors()
        if len(found) == 1:
            raise found[0]
        if found:
            raise ConfigRejected(found)


def kind_of(value: Any) -> str:
    """The type of a value, as a user calls it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    for type_, words in (
        (str, "a string"),
        (int, "an integer"),
        (float, "a number"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, type_):
            return words
    return f"a {type(value).__name__}"
