"""Paths into bodies and events: `data.object.id`, `items.0.sku`, `labels."app.kubernetes.io/name"`, `data.$set`.

Owns the one grammar that `check` and the running gateway share, so that a path which passes `check` can be read. A name
is bare (any characters but `.` and `"`) or a JSON string in double quotes. Knows no values. Invariant: parsing takes
time linear in the path, and whatever `parse_path` accepts, `names_of` reads the same way. Crash: nothing is kept.
"""

from __future__ import annotations

import functools

import msgspec

from tidegate.core.errors import ConfigError

MAX_NAMES = 64  # bodies nested deeper are not read
MAX_CHARACTERS = 1000

Names = tuple[str, ...]


def parse_path(text: str, at: str = "$") -> Names:
    """The names of a path; "" has none and means the whole value. ConfigError at `at` when it is not a path."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"a path has at most {MAX_CHARACTERS} characters; got {len(text)}", path=at)
    names: list[str] = []
    place = 0
    while text:
        name, place = _name(text, place, at)
        names.append(name)
        if place == len(text):
            break
        place += 1  # the dot
    if len(names) > MAX_NAMES:
        raise ConfigError(f"a path has at most {MAX_NAMES} names; {_short(text)} has {len(names)}", path=at)
    if names and names[0] == "$" and not text.startswith('"'):
        raise ConfigError(
            f"{_short(text)} begins with $, which is not needed",
            path=at,
            hint='paths start at the body: leave out the "$."; a field that is named $ is written as "$" in quotes',
        )
    return tuple(names)


def _name(text: str, place: int, at: str) -> tuple[str, int]:
    """(name, the place behind it): the end of the text, or a dot."""
    if text[place : place + 1] == '"':
        return _quoted(text, place, at)
    end = text.find(".", place)
    end = len(text) if end < 0 else end
    name = text[place:end]
    if not name or '"' in name or name != name.strip():
        raise ConfigError(
            f"{_short(text)} is not a path such as data.object.id",
            path=at,
            hint='put a name that holds dots, quotes or blanks in double quotes: labels."app.kubernetes.io/name"',
        )
    return name, end


def _quoted(text: str, place: int, at: str) -> tuple[str, int]:
    end = place + 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    if end >= len(text) or text[end + 1 : end + 2] not in ("", "."):
        raise ConfigError(f"{_short(text)} has a quoted name that does not end", path=at, hint='close it with "')
    if text[end + 1 :] == ".":
        raise ConfigError(f"{_short(text)} ends in a dot", path=at)
    try:
        return msgspec.json.decode(text[place : end + 1].encode(), type=str), end + 1
    except (msgspec.DecodeError, UnicodeError):
        raise ConfigError(f"{_short(text)} has a quoted name that is not a JSON string", path=at) from None


@functools.lru_cache(maxsize=4096)
def names_of(text: str) -> Names | None:
    """As `parse_path`, but None for a text that is not a path. For paths that were stored with an event."""
    try:
        return parse_path(text)
    except ConfigError:
        return None


def path_text(names: Names) -> str:
    """The path that `parse_path` reads as `names`."""
    return ".".join(name if _is_bare(name) else msgspec.json.encode(name).decode() for name in names)


def _is_bare(name: str) -> bool:
    return bool(name) and "." not in name and '"' not in name and name == name.strip() and name != "$"


def _short(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."
