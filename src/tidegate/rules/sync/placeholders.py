"""Placeholders in requests: `{incremental.start_value}`, `{resources.projects.id}`, `{with.owner}`, `{cursor}`. Pure.

Owns their syntax, and how a value is written where it goes: encoded in a path, on one line in a header, with its type
in JSON. Knows no resource and no clock. Invariants: a placeholder is filled or is an error, it is never sent as it is;
a value cannot leave the place that the template gives it, whatever the source wrote into it.

| text | is |
|---|---|
| `{word}` or `{word.word}` in a path, a parameter or a header | a placeholder |
| `{word.word}` in JSON | a placeholder; `{word}` stays as it is, because query languages have braces |
| `{{word.word}}` | the text `{word.word}` |
| braces around anything else | text |

A JSON text that is one placeholder alone becomes the value with its type. Between quotes of a query language, a value
with a quote or a backslash is an error, because each language escapes them in another way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

import msgspec

from tidegate.core.model import JsonObject
from tidegate.rules.language.numbers import encode_json

START = "incremental.start_value"
END = "incremental.end_value"
CURSOR = "cursor"

Scalar = str | int | float | bool
Values = Mapping[str, Scalar | None]
"""Placeholder -> value. None: there is no value yet, as before the first poll."""

_HOLE = re.compile(r"\{\{([A-Za-z_][\w-]*(?:\.[\w@$-]+)*)\}\}|\{([A-Za-z_][\w-]*(?:\.[\w@$-]+)*)\}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LOOSE = re.compile(r"[\s'\"\\();,&|<>=]")  # what could end a value that no quotes are around
_QUOTES = "'\"`"


class NoValue(ValueError):
    """A placeholder that has no value yet."""


class UnknownPlaceholder(msgspec.Struct, frozen=True):
    """For `check`: the placeholder, and the known one that is most like it, or ""."""

    name: str
    nearest: str


def names_in(text: str, *, json: bool = False) -> list[str]:
    """The placeholders of a text."""
    return [name for name, _ in _holes(text, json)]


def names_in_json(value: Any) -> list[str]:
    """The placeholders of all strings in a JSON value, names of members included."""
    return [name for text in _strings(value) for name in names_in(text, json=True)]


def unknown(names: Collection[str], known: Collection[str]) -> list[UnknownPlaceholder]:
    """Those that are not known. A known name that ends in `.*` allows every name that begins like it."""
    free = tuple(name[:-1] for name in known if name.endswith(".*"))
    found = []
    for name in dict.fromkeys(names):
        if name not in known and not name.startswith(free or ("\0",)):
            found.append(UnknownPlaceholder(name, next(iter(get_close_matches(name, list(known), 1, 0.4)), "")))
    return found


# -- filling -----------------------------------------------------------------------------------------------


def fill_path(text: str, values: Values) -> str:
    """A path, its query included, with each value percent-encoded: it stays one segment or one value of the query.

    ValueError for a value that a path cannot carry, NoValue for one that is missing.
    """
    return _filled(text, values, _in_path)


def fill_text(text: str, values: Values) -> str:
    """The value of a parameter; it is encoded when the request is sent."""
    return _filled(text, values, _in_text)


def fill_header(text: str, values: Values) -> str:
    """The value of a header. ValueError for a value with a line break, or with characters that no header can have."""
    return _filled(text, values, _in_header)


def fill_json(value: Any, values: Values) -> Any:
    """A JSON value with all its strings filled. A text that is one placeholder alone keeps the type of the value."""
    if isinstance(value, str):
        found = _HOLE.fullmatch(value)
        if found is not None and found[2] is not None and "." in found[2]:
            return _value(found[2], values)
        return _filled(value, values, _in_text, json=True)
    if isinstance(value, list):
        return [fill_json(one, values) for one in value]
    if isinstance(value, dict):
        return {_filled(name, values, _in_text, json=True): fill_json(one, values) for name, one in value.items()}
    return value


def fill_mapping(given: Mapping[str, Any], values: Values, fill: Callable[[str, Values], str]) -> JsonObject:
    """Parameters or headers. One whose placeholder has no value yet is left out; lists are filled one by one."""
    out: JsonObject = {}
    for name, one in given.items():
        try:
            if isinstance(one, list):
                out[name] = [fill(item, values) if isinstance(item, str) else item for item in one]
            else:
                out[name] = fill(one, values) if isinstance(one, str) else one
        except NoValue:
            continue
    return out


def _filled(text: str, values: Values, write: Callable[[str, Scalar, str, int, int], str], json: bool = False) -> str:
    if "{" not in text:
        return text
    out: list[str] = []
    at = 0
    for match in _HOLE.finditer(text):
        literal, name = match[1], match[2]
        if literal is not None and (not json or "." in literal):
            out += [text[at : match.start()], f"{{{literal}}}"]
        elif name is not None and (not json or "." in name):
            value = _value(name, values)
            out += [text[at : match.start()], write(name, value, text, match.start(), match.end())]
        else:
            continue
        at = match.end()
    return "".join([*out, text[at:]])


def _value(name: str, values: Values) -> Scalar:
    if name not in values:
        raise ValueError(f"{{{name}}} is not a placeholder of this resource")
    value = values[name]
    if value is None:
        raise NoValue(f"{{{name}}} has no value yet; set initial_value")
    return value


def text_of(value: Scalar) -> str:
    """A value as text: numbers and booleans as JSON writes them."""
    return value if isinstance(value, str) else encode_json(value).decode()


def _in_path(name: str, value: Scalar, text: str, start: int, end: int) -> str:
    written = text_of(value)
    if written in ("", ".", "..") or "\0" in written:
        raise ValueError(f"{{{name}}} is {written!r}, which a path cannot carry")
    return quote(written, safe="", errors="surrogatepass")


def _in_header(name: str, value: Scalar, text: str, start: int, end: int) -> str:
    written = _in_text(name, value, text, start, end)
    if _CONTROL.search(written) is not None or not written.isascii():
        raise ValueError(f"{{{name}}} is {written!r}, which a header cannot carry")
    return written


def _in_text(name: str, value: Scalar, text: str, start: int, end: int) -> str:
    """The value as text. Inside of a larger text it may not end the part it is in."""
    written = text_of(value)
    if start == 0 and end == len(text):
        return written
    before, after = text[start - 1 : start], text[end : end + 1]
    if _is_quoted(text, start, end):
        if "\\" in written or any(one in written for one in _QUOTES):
            raise ValueError(f"{{{name}}} is {written!r}: a quote or backslash cannot be put between quotes")
    elif name.startswith("resources.") and _LOOSE.search(written) is not None:
        raise ValueError(
            f"{{{name}}} is {written!r}: put quotes around the placeholder between {before!r} and {after!r}"
        )
    return written


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Whether a quote is open before the placeholder and is closed after it."""
    return any(text.count(one, 0, start) % 2 == 1 and one in text[end:] for one in _QUOTES)


def _holes(text: str, json: bool) -> Iterator[tuple[str, re.Match[str]]]:
    for match in _HOLE.finditer(text):
        if match[2] is not None and (not json or "." in match[2]):
            yield match[2], match


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _strings(one)
