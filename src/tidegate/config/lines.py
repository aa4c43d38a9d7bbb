"""Finds the line of a key in the file: from a path such as ("sources", "shop", "api") to a line number.

Owns a small scanner for TOML that `tomllib` has already accepted: table headers, dotted keys, inline tables and arrays.
May not know what keys mean. Invariant: it never raises; on text that it cannot scan it stops, and the line is that of
the nearest known parent, at worst 1. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

Path = tuple[str | int, ...]

_BARE_END = " \t\r\n=.[]{},#\"'"
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


class Span(NamedTuple):
    """Where a pair `key = value` is, as offsets into the text with `\\n` at the end of lines."""

    start: int  # of the key, with the dotted part before it
    value: int
    end: int  # of the value
    inline: bool  # within `{ ... }`


class Lines:
    """Lines of one file, by path; and the spans of its pairs."""

    def __init__(self, text: str) -> None:
        scanner = _Scanner(text)
        # If the scan stops early, the keys before that point still have their lines.
        with suppress(IndexError, ValueError, RecursionError):
            scanner.document()
        self._lines = scanner.lines
        self.spans = scanner.spans

    def of(self, path: Sequence[str | int]) -> int:
        """The line (from 1) of `path`, or of its nearest parent in the file."""
        for end in range(len(path), 0, -1):
            line = self._lines.get(tuple(path[:end]))
            if line is not None:
                return line
        return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.spans: dict[Path, Span] = {}
        self._counts: dict[Path, int] = {}  # tables of an array of tables seen so far

    # -- the file ----------------------------------------------------------------------------------------

    def document(self) -> None:
        table: Path = ()
        while True:
            self._skip_blank(newlines=True)
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line = self.line
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        path = self._resolve(self._key())
        self.at += 2 if array else 1
        if array:
            number = self._counts.get(path, 0)
            self._counts[path] = number + 1
            self._note(path, line)
            path = (*path, number)
        self._note(path, line)
        return path

    def _resolve(self, path: Path) -> Path:
        """Insert the index of the last table of `a` when `[a.b]` follows `[[a]]`."""
        out: Path = ()
        for part in path[:-1]:
            out = (*out, part)
            if out in self._counts:
                out = (*out, self._counts[out] - 1)
        return (*out, path[-1])

    def _pair(self, table: Path, *, inline: bool = False) -> None:
        line, start = self.line, self.at
        path = table + self._key()
        for end in range(len(table) + 1, len(path) + 1):
            self._note(path[:end], line)
        self._skip_blank()
        self.at += 1  # the "="
        self._skip_blank()
        value = self.at
        self._value(path)
        end = value + len(self.text[value : self.at].rstrip())
        self.spans.setdefault(path, Span(start, value, end, inline))

    def _note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)

    # -- keys and values ---------------------------------------------------------------------------------

    def _key(self) -> Path:
        """A dotted key; stops at the character after it."""
        parts: list[str | int] = []
        while True:
            self._skip_blank()
            letter = self.text[self.at]
            parts.append(self._string() if letter in "\"'" else self._bare())
            self._skip_blank()
            if self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def _bare(self) -> str:
        start = self.at
        while self.text[self.at] not in _BARE_END:
            self.at += 1
        if start == self.at:
            raise ValueError("no key here")
        return self.text[start : self.at]

    def _value(self, path: Path) -> None:
        self._skip_blank()
        letter = self.text[self.at]
        if letter in "\"'":
            self._string()
        elif letter == "[":
            self._array(path)
        elif letter == "{":
            self._inline(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while True:
            self._skip_blank(newlines=True)
            letter = self.text[self.at]
            if letter == "]":
                self.at += 1
                return
            if letter == ",":
                self.at += 1
                continue
            self._note((*path, number), self.line)
            self._value((*path, number))
            number += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while True:
            self._skip_blank(newlines=True)
            letter = self.text[self.at]
            if letter == "}":
                self.at += 1
                return
            if letter == ",":
                self.at += 1
                continue
            self._pair(path, inline=True)

    def _string(self) -> str:
        quote = self.text[self.at]
        if self.text.startswith(quote * 3, self.at):
            return self._long_string(quote)
        self.at += 1
        out = []
        while (letter := self.text[self.at]) != quote:
            self.at += 1
            out.append(self._escape() if letter == "\\" and quote == '"' else letter)
        self.at += 1
        return "".join(out)

    def _escape(self) -> str:
        letter = self.text[self.at]
        self.at += 1
        digits = {"u": 4, "U": 8, "x": 2}.get(letter)
        if digits is None:
            return _ESCAPES.get(letter, letter)
        code = self.text[self.at : self.at + digits]
        self.at += digits
        return chr(int(code, 16))

    def _long_string(self, quote: str) -> str:
        start = self.at
        self.at += 3
        while not self.text.startswith(quote * 3, self.at):
            self.at += 2 if self.text[self.at] == "\\" and quote == '"' else 1
        self.at += 3
        while self.at < len(self.text) and self.text[self.at] == quote:
            self.at += 1  # up to two quotes are allowed before the closing three
        text = self.text[start : self.at]
        self.line += text.count("\n")
        return text[3:-3]

    def _skip_blank(self, *, newlines: bool = False) -> None:
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == "\n":
                if not newlines:
                    return
                self.line += 1
            elif letter == "#" and newlines:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
                continue
            elif letter not in " \t\r":
                return
            self.at += 1
