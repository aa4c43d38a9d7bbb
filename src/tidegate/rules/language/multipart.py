"""`multipart/form-data` as fields, read with python-multipart.

Owns the bounds: at most 1,000 parts, 8 KiB of part headers. The content of a file is counted and not kept, because a
filter has no use for it; the raw body keeps it. Invariant: nothing here raises. Crash: nothing is kept.
"""

from __future__ import annotations

import binascii
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from tidegate.core.model import JsonObject
from tidegate.rules.language.text import as_text, charset_of
from tidegate.rules.language.urlencoded import guess_words

MAX_PARTS = 1000
MAX_HEADER_BYTES = 8 * 1024

_EXTENDED_NAME = re.compile(rb";\s*filename\*\s*=\s*[^\s;']*'[^']*'([^\s;]*)", re.IGNORECASE)

Pairs = list[tuple[str, Any]]


class _Stop(Exception):
    pass


class _Part(msgspec.Struct):
    """One part as it came. `filename`: None for a field."""

    name: bytes = b""
    filename: bytes | None = None
    headers: dict[str, str] = {}
    data: list[bytes] = []
    size: int = 0


class _Collector:
    """The callbacks of the parser."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.ended = False
        self._header: list[bytes] = []
        self._value: list[bytes] = []
        self._header_bytes = 0

    def callbacks(self) -> JsonObject:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._count(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._count(self._value, data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise _Stop(f"more than {MAX_PARTS} parts")
        self.parts.append(_Part())
        self._header_bytes = 0
        self._header, self._value = [], []

    def _count(self, kept: list[bytes], piece: bytes) -> None:
        self._header_bytes += len(piece)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise _Stop(f"a part has more than {MAX_HEADER_BYTES} bytes of headers")
        kept.append(piece)

    def _header_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        name, raw = b"".join(self._header).decode("latin-1").lower(), b"".join(self._value)
        self._header.clear()
        self._value.clear()
        part = self.parts[-1]
        part.headers[name] = raw.decode("utf-8", "replace")
        if name == "content-disposition":
            _, options = parse_options_header(raw)
            part.name = options.get(b"name", b"")
            extended = _EXTENDED_NAME.search(raw)  # RFC 8187, which the parser leaves out
            part.filename = options.get(b"filename", unquote_to_bytes(extended[1]) if extended else None)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.size += end - start
        if part.filename is None:
            part.data.append(data[start:end])

    def _end(self) -> None:
        self.ended = True


def _pairs_of(parts: list[_Part]) -> tuple[Pairs, str]:
    """(fields in order, "" or what was guessed). A file is `{"filename", "content_type", "bytes"}`."""
    default = next((b"".join(one.data) for one in parts if one.name == b"_charset_"), b"")
    named = charset_of(f"x; charset={default.decode('latin-1')}")
    pairs: Pairs = []
    guess = ""
    for part in parts:
        charset = charset_of(part.headers.get("content-type", "")) or named
        name = as_text(part.name, charset)[0]
        if part.filename is not None:
            filename, kind = as_text(part.filename, charset)[0], part.headers.get("content-type", "")
            pairs.append((name, {"filename": filename, "content_type": kind, "bytes": part.size}))
            continue
        text, is_guess = as_text(_without_coding(part), charset)
        guess = guess or (guess_words(charset) if is_guess else "")
        pairs.append((name, text))
    return pairs, guess


def _without_coding(part: _Part) -> bytes:
    """The data without its Content-Transfer-Encoding, which RFC 7578 deprecates and some libraries still use."""
    data, coding = b"".join(part.data), part.headers.get("content-transfer-encoding", "").strip().lower()
    if coding == "quoted-printable":
        return binascii.a2b_qp(data)
    if coding == "base64":
        try:
            return binascii.a2b_base64(data)
        except ValueError:
            return data
    return data


def read_multipart(body: bytes, content_type: str) -> tuple[Pairs, str, str]:
    """(fields in order, "" or why it cannot be read, "" or what was guessed)."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type.encode("latin-1", "replace"))[1].get(b"boundary", b"")
    if not boundary or len(boundary) > 70:
        return [], "its Content-Type names no boundary", ""
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except _Stop as stop:
        return [], str(stop), ""
    except FormParserError as error:
        return [], " ".join(str(error).split())[:120], ""
    if not collector.ended:
        return [], "it is cut off", ""
    pairs, guess = _pairs_of(collector.parts)
    return pairs, "", guess
