"""Paths into JSON: `data.items`, `$.data[0]`, `["@odata.nextLink"]`, `data.-1.id`, `files.*.url`. Pure.

Owns the syntax of paths in resources and what they select, in parsed values and in raw JSON that is only skimmed, so a
page of ten thousand items is not parsed twice. Knows no resources. Invariants: a name that contains dots needs no
quoting, because the longest name that exists wins; a path that selects nothing gives MISSING, never an error. Raw JSON
that is not valid is a ValueError.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from tidegate.core.model import JsonObject
from tidegate.rules.language.view import MISSING

MAX_STEPS = 32


class _Any:
    """The step `*`: every item of a list, every value of an object."""


ANY = _Any()
_Step = str | int | _Any
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_RAW = (msgspec.Raw, bytes)


class JsonPath:
    """A compiled path. `steps` are names, indexes and ANY; `joins[i]` are the names that begin at step i."""

    def __init__(self, text: str) -> None:
        self.text = text
        parsed = _parse(text)
        self.steps = tuple(step for step, _ in parsed)
        self.wildcard = ANY in self.steps
        self._joins = tuple(_joins(parsed, at) for at in range(len(parsed)))

    def first(self, value: Any) -> Any:
        """The first value selected in a parsed value or in raw JSON; MISSING when there is none."""
        return next(self._select(value, 0), MISSING)

    def all(self, value: Any) -> list[Any]:
        """All values selected: more than one only with `*`."""
        return list(self._select(value, 0))

    def _select(self, value: Any, at: int) -> Iterator[Any]:
        if at == len(self.steps):
            yield value
            return
        step = self.steps[at]
        inner = _opened(value)
        if isinstance(step, _Any):
            for child in inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ():
                yield from self._select(child, at + 1)
        elif isinstance(inner, dict):
            for name, after in self._joins[at]:
                if name in inner:
                    yield from self._select(inner[name], after)
                    return
        elif isinstance(inner, list):
            index = _index(step)
            if index is not None and -len(inner) <= index < len(inner):
                yield from self._select(inner[index], at + 1)

    def removed(self, value: Any) -> Any:
        """A copy of a parsed value without what the path selects; the same object when it selects nothing."""
        return self._removed(value, 0) if self.steps else value

    def _removed(self, value: Any, at: int) -> Any:
        if isinstance(value, dict):
            names = self._names(value, at)
            kept = {name: self._inner(value[name], after) for name, after in names}
            if all(kept[name] is value[name] for name, _ in names):
                return value
            return {name: kept.get(name, inner) for name, inner in value.items() if kept.get(name) is not MISSING}
        if isinstance(value, list):
            inner = {index: self._inner(value[index], at + 1) for index in self._indexes(value, at)}
            if all(one is value[index] for index, one in inner.items()):
                return value
            kept_items = [inner.get(index, item) for index, item in enumerate(value)]
            return [item for item in kept_items if item is not MISSING]
        return value

    def _inner(self, value: Any, at: int) -> Any:
        return MISSING if at == len(self.steps) else self._removed(value, at)

    def _names(self, value: JsonObject, at: int) -> list[tuple[str, int]]:
        if isinstance(self.steps[at], _Any):
            return [(name, at + 1) for name in value]
        return [(name, after) for name, after in self._joins[at] if name in value][:1]

    def _indexes(self, value: list[Any], at: int) -> list[int]:
        step = self.steps[at]
        if isinstance(step, _Any):
            return list(range(len(value)))
        index = _index(step)
        return [index % len(value)] if index is not None and -len(value) <= index < len(value) else []


@lru_cache(maxsize=1024)
def compiled(text: str) -> JsonPath:
    """The path of a text. ValueError when the text is not a path."""
    return JsonPath(text)


def is_raw(value: Any) -> bool:
    """Whether a selected value is JSON that is not parsed yet."""
    return isinstance(value, _RAW)


def first_byte(raw: Any) -> bytes:
    """The first byte of raw JSON that is not white space: b"[" is a list, b"{" an object."""
    return bytes(memoryview(raw)[:64]).lstrip()[:1]


def _opened(value: Any) -> Any:
    if not is_raw(value):
        return value
    try:
        first = first_byte(value)
        if first == b"{":
            return _ENVELOPE.decode(value)
        return _LIST.decode(value) if first == b"[" else None
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def skim(data: bytes, path: str) -> Any:
    """The raw JSON of the first value at `path` of a page, without parsing the rest; MISSING when it is not there."""
    return compiled(path).first(without_bom(data))


def without_bom(data: bytes) -> bytes:
    """A text without the byte order mark that some sources begin with."""
    return data.removeprefix(BOM_UTF8)


def _joins(parsed: list[tuple[_Step, bool]], at: int) -> tuple[tuple[str, int], ...]:
    """(name, index of the step after it), the longest name first. A quoted name is never joined with others."""
    step, plain = parsed[at]
    if isinstance(step, _Any):
        return ()
    names = [(str(step), at + 1)]
    for end in range(at + 1, len(parsed) if plain else at + 1):
        following, joinable = parsed[end]
        if not joinable:
            break
        names.append((f"{names[-1][0]}.{'*' if isinstance(following, _Any) else following}", end + 1))
    return tuple(reversed(names))


def _index(step: _Step) -> int | None:
    if isinstance(step, int):
        return step
    digits = step.removeprefix("-") if isinstance(step, str) else ""
    return int(step) if digits.isdecimal() and digits.isascii() and len(digits) < 9 else None  # type: ignore[arg-type]


def _parse(text: str) -> list[tuple[_Step, bool]]:
    """[(step, whether it may be joined with its neighbors into one name)]."""
    if text == "$":
        return []
    steps: list[tuple[_Step, bool]] = []
    at = 1 if text[:2] in ("$.", "$[") else 0
    while at < len(text):
        if text[at] == ".":
            at += 1
        if text[at : at + 1] == "[":
            step, at = _bracket(text, at)
            steps.append((step, False))
        elif text[at : at + 1] in ('"', "'"):
            step, at = _quoted(text, at)
            steps.append((step, False))
        else:
            end = _end_of_name(text, at)
            name = text[at:end]
            steps.append((ANY if name == "*" else name, True))
            at = end
        if len(steps) > MAX_STEPS:
            raise ValueError(f"a path has at most {MAX_STEPS} steps")
    return steps


def _end_of_name(text: str, at: int) -> int:
    end = at
    while (
        end < len(text)
        and text[end] != "."
        and not (text[end] == "[" and text[end + 1 : end + 2] in "-0123456789*'\"]")
    ):
        end += 1
    return end


def _bracket(text: str, at: int) -> tuple[_Step, int]:
    if text[at + 1 : at + 2] in ('"', "'"):
        name, end = _quoted(text, at + 1)
        if text[end : end + 1] != "]":
            raise ValueError(f"{text!r}: no ']' after the quoted name")
        return name, end + 1
    end = text.find("]", at)
    inner = text[at + 1 : end].strip() if end > 0 else ""
    if inner in ("*", "") and end > 0:
        return ANY, end + 1
    index = _index(inner)
    if index is None:
        raise ValueError(f"{text!r}: write a name in quotes or a number between '[' and ']'")
    return index, end + 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    end = text.find(text[at], at + 1)
    if end < 0:
        raise ValueError(f"{text!r}: the quote is not closed")
    return text[at + 1 : end], end + 1
