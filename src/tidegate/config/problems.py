"""What is wrong with a configuration, collected, so that one run names everything.

Owns the wording that all errors share: the value seen, the path, FILE:LINE and the nearest known name.
It may not know what keys mean. Invariant: a value that came through `${...}` or stands under a secret's key
is never shown; what is shown is the text as the user wrote it. It keeps nothing between runs.
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
SECRET_KEYS = frozenset({"secret"}) | auth.SECRET_FIELDS | kinds.SECRET_FIELDS
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_LETTERS = 60


def dotted(path: Sequence[str | int]) -> str:
    """`$.sources.shop.retry[0]`; parts that are no bare TOML key are quoted."""
    out = "$"
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += f".{part}" if _BARE_KEY.fullmatch(part) else f".{json.dumps(part)}"
    return out


def nearest(seen: str, known: Iterable[str], what: str) -> str:
    """The hint for a name that is not known: the nearest one, else what there is."""
    names = sorted(set(known))
    match = difflib.get_close_matches(seen, names, n=1, cutoff=0.6)
    if match:
        return f"did you mean '{match[0]}'?"
    if not names:
        return f"there is no {what} yet"
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"known here: {listed}" if what == "key" else f"one of: {listed}"


def _parts(path: str) -> Path:
    """`$.filter.data[0]` as parts; the reverse of `dotted`."""
    found = re.findall(r'\.("(?:[^"\\]|\\.)*"|[^.\[]+)|\[(\d+)\]', path)
    return tuple(
        int(number) if number else json.loads(name) if name.startswith('"') else name for name, number in found
    )


class ConfigRefused(ConfigError):
    """All that is wrong with one configuration; reads as the first, `problems` has every one, by line."""

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.message + more, path=first.path, where=first.where, hint=first.hint, code=first.code)
        self.status = first.status
        self.problems = tuple(problems)


class Problems:
    """Collects rejections. `raw` is the parsed text before `${...}` was filled in; None for what came by the API."""

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
        """From now on, a place that was refused already is not refused again for what follows from it."""
        self._settled = frozenset(error.path for _, error in self._found)

    def touch(self, path: Path) -> bool:
        """Whether something was refused at `path` or below it."""
        place = dotted(path)
        return any(error.path == place or error.path.startswith((f"{place}.", f"{place}[")) for _, error in self._found)

    def not_built(self, path: Path, what: str, hint: str) -> None:
        error = NotBuilt(f"{what} is not built in this release", path=dotted(path), where=self.where(path), hint=hint)
        self._keep(path, error)

    def take(self, path: Path, error: ConfigError, item: Path | None = None) -> None:
        """A refusal from a compiler of rules: keep its words, and place it at `path`.

        With `item`, where the source or route stands, a path of the error's own (`$.filter.data`) is below that.
        """
        if item is not None and error.path.startswith("$."):
            path = (*item, *_parts(error.path))
        placed = type(error)(error.message, path=dotted(path), where=self.where(path), hint=error.hint, code=error.code)
        self._keep(path, placed)

    def warn(self, path: Path, message: str) -> None:
        place = self.where(path)
        self.warnings.append(f"{message} - at {dotted(path)}" + (f" ({place})" if place else ""))

    def show(self, path: Path, value: Any = None) -> str:
        """The value at `path` as the user wrote it, short, in quotes; secrets only by kind."""
        if any(isinstance(part, str) and part in SECRET_KEYS for part in path) or (
            "headers" in path and isinstance(path[-1], str) and is_credential(path[-1].lower())
        ):
            return f"(hidden) {kind_of(value)}"
        written = self.written(path)
        seen = value if written is None else written
        if isinstance(seen, dict):
            return "a table"
        text = repr(seen) if isinstance(seen, str) else json.dumps(seen, default=str)
        return text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 3] + "..."

    def written(self, path: Path) -> Any:
        """What the file has at `path`, before `${...}` was filled in; None for nothing, and when the API was asked."""
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
        """By line, in the order found on one line, each once."""
        seen: set[tuple[str, str]] = set()
        out = []
        for _, error in sorted(self._found, key=lambda pair: pair[0]):
            if (error.path, error.message) not in seen:
                seen.add((error.path, error.message))
                out.append(error)
        return out

    def refuse(self) -> None:
        """Raise what was collected; nothing when all is well."""
        found = self.errors()
        if len(found) == 1:
            raise found[0]
        if found:
            raise ConfigRefused(found)


def kind_of(value: Any) -> str:
    """A value's kind in a user's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    for type_, words in (
        (str, "a text"),
        (int, "a whole number"),
        (float, "a number"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, type_):
            return words
    return f"a {type(value).__name__}"
