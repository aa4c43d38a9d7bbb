"""CSV with a header line: each line is an object of strings. RFC 4180, and the delimiters that are in use.

Owns the choice of the delimiter, by the header line, and what a bad line is: too many or too few fields, or broken
quotes. Values stay text, because CSV has no types: `007` is not 7. A quote that is never closed makes the rest of the
body one bad row, which is reported as such and not read as one huge value.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from tidegate.rules.sync.formats.base import BadRow, Format, FormatPage
from tidegate.rules.sync.header_row import column_names

_DELIMITERS = ",;\t|"
_FIELD_CHARACTERS = 16 << 20  # as large as a body may be; the limit of the module, 128 KiB, is for the whole process


def _begins(head: bytes) -> bool:
    return False  # any text may be CSV


def _read(body: bytes) -> FormatPage:
    text = body.decode("utf-8", "surrogateescape")
    if "\0" in text:
        raise ValueError("the body has NUL characters, so it is not CSV")
    first = text.lstrip("\r\n").split("\n", 1)[0]
    if first.lstrip()[:1] in ("[", "{"):
        raise ValueError("the body is JSON, not CSV")
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_CHARACTERS))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
    lines = _lines(reader)
    header = _header(next(lines, []))
    return FormatPage(rows=[_row(header, line) for line in lines])


def _delimiter(header: str) -> str:
    """The delimiter that the header line has most often, outside of quotes."""
    plain = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=plain.count)


def _lines(reader: Any) -> Iterator[list[str] | BadRow]:
    """Lines that are not empty; one with broken quotes is a bad row."""
    while True:
        number = reader.line_num + 1
        try:
            line = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(f"line {number}: {error}", b"")
            continue
        if line:
            yield line


def _header(line: list[str] | BadRow) -> list[str]:
    if isinstance(line, BadRow):
        raise ValueError(f"the header of the CSV cannot be read: {line.reason}")
    if _is_broken("".join(line)):
        raise ValueError("the header of the CSV is not UTF-8")
    return column_names(line, "CSV")


def _row(header: list[str], line: list[str] | BadRow) -> dict[str, str] | BadRow:
    if isinstance(line, BadRow):
        return line
    text = ",".join(line)
    if len(line) != len(header):
        return BadRow(f"the line has {len(line)} fields, the header {len(header)}", text.encode("utf-8", "replace"))
    if _is_broken(text):
        return BadRow("the line is not UTF-8", text.encode("utf-8", "surrogateescape"))
    return dict(zip(header, line, strict=True))


def _is_broken(text: str) -> bool:
    """Whether the text was made of bytes that are not UTF-8."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


FORMAT = Format(
    name="csv",
    help="Lines of text under a header line, separated by comma, semicolon, tab or `|`.",
    media_types=("text/csv", "application/csv", "text/tab-separated-values", "text/x-csv"),
    begins=_begins,
    read=_read,
)
