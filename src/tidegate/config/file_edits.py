"""Changes keys of a resource in the text of a file, and keeps everything else: comments, order, spacing.

Owns where a new key goes: behind its neighbors, written as they are (below a header, dotted, or inline). What it cannot
place it refuses, with the lines that a person has to write. Pure. Invariant: the new text means the old one with the
edits and nothing else, which is checked by parsing both. Crash: nothing is kept.
"""

from __future__ import annotations

import copy
import tomllib
from typing import Any

from tidegate.config import toml
from tidegate.config.edits import Edits, toml_lines
from tidegate.config.lines import Lines, Path, Span
from tidegate.core.errors import ConfigError

_MARK = "\ufeff"  # a byte order mark stays where it is


def edit_text(text: str, source: str, resource: str, edits: Edits) -> str:
    """The text with the edits. ConfigError `not_editable` when the file is written in a way that this cannot keep."""
    ending = "\r\n" if "\r\n" in text else "\n"
    mark = _MARK if text.startswith(_MARK) else ""
    out = text.removeprefix(mark).replace("\r\n", "\n")
    base: Path = ("sources", source, "resources", resource)
    before = _table(out, base)
    if before is None:
        raise _not_editable(f"the file has no [sources.{source}.resources.{resource}]", source, resource, {}, edits)
    wanted = _expected(out, base, edits)
    for key, value in edits.items():
        spans = Lines(out).spans
        if value is not None:
            out = _set(out, spans, base, key, value)
        elif (*base, key) in spans:
            out = _remove(out, spans[(*base, key)])
    try:
        kept = tomllib.loads(out) == wanted
    except tomllib.TOMLDecodeError:
        kept = False
    if not kept:
        raise _not_editable("the file cannot be edited without changing its layout", source, resource, before, edits)
    return mark + out.replace("\n", ending)


def _set(text: str, spans: dict[Path, Span], base: Path, key: str, value: Any) -> str:
    own = spans.get((*base, key))
    if own is not None:
        return text[: own.value] + toml.value(value) + text[own.end :]
    neighbors = [(span, path) for path, span in spans.items() if len(path) == len(base) + 1 and path[:-1] == base]
    if not neighbors:
        return text
    last, _ = max(neighbors)
    if last.inline:
        return f"{text[: last.end]}, {toml.key(key)} = {toml.value(value)}{text[last.end :]}"
    line_start, line_end = text.rfind("\n", 0, last.start) + 1, _line_end(text, last.end)
    written = text[last.start : last.value].rpartition("=")[0].rstrip()
    prefix = text[line_start : last.start] + written[: _last_part(written)]
    return f"{text[:line_end]}\n{prefix}{toml.key(key)} = {toml.value(value)}{text[line_end:]}"


def _remove(text: str, span: Span) -> str:
    if not span.inline:
        return text[: text.rfind("\n", 0, span.start) + 1] + text[_line_end(text, span.end) + 1 :]
    after = text[span.end :]
    if after.lstrip().startswith(","):
        return text[: span.start] + after.lstrip()[1:].lstrip()
    return text[: span.start].rstrip().removesuffix(",") + after


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _last_part(key: str) -> int:
    """Where the last part of a dotted key begins; keys of a resource are bare."""
    return key.rfind(".") + 1


def _table(text: str, base: Path) -> dict[str, Any] | None:
    found: Any = tomllib.loads(text)
    for part in base:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _expected(text: str, base: Path, edits: Edits) -> dict[str, Any]:
    tree = copy.deepcopy(tomllib.loads(text))
    table: Any = tree
    for part in base:
        table = table[part]
    for key, value in edits.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return tree


def _not_editable(message: str, source: str, resource: str, before: dict[str, Any], edits: Edits) -> ConfigError:
    lines = toml_lines(source, resource, {key: before.get(key) for key in edits}, edits)
    written = " | ".join(one.strip() for one in lines)
    return ConfigError(message, code="not_editable", hint=f"write it yourself: {written}")
