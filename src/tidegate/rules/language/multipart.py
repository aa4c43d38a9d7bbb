"""`multipart/form-data` as fields, read with python-multipart.

Owns the bounds: at most 1,000 parts, 8 KiB of part headers. The content of a file is counted and not kept, because a
filter has no use for it; the raw body keeps it. Invariant: nothing here raises. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any

from tidegate.core.model import JsonObject
from tidegate.rules.language.text import charset_of

MAX_PARTS = 1000
MAX_HEADER_BYTES = 8 * 1024

Pairs = list[tuple[str, Any]]


class _Stop(Exception):
    pass


class _Collector:
    """The callbacks of the parser. A part with a file name becomes `{"filename", "content_type", "bytes"}`."""

    def __init__(self) -> None:
        self.pairs: Pairs = []
        self._name = b""
        self._header: list[bytes] = []
        self._value: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._data: list[bytes] = []
        self._size = 0

    def callbacks(self) -> JsonObject:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._count(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._count(self._value, data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
        }

    def _begin(self) -> None:
        if len(self.pairs) >= MAX_PARTS:
            raise _Stop(f"more than {MAX_PARTS} parts")
        self._headers, self._data, self._size, self._header_bytes = {}, [], 0, 0
        self._header, self._value = [], []

    def _count(self, kept: list[bytes], piece: bytes) -> None:
        self._header_bytes += len(piece)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise _Stop(f"a part has more than {MAX_HEADER_BYTES} bytes of headers")
        kept.append(piece)

    def _header_end(self) -> None:
        name = b"".join(self._header).decode("latin-1").lower()
        self._headers[name] = b"".join(self._value).decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if "filename" not in self._headers.get("content-disposition", ""):
            self._data.append(data[start:end])

    def _part_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        content_type = self._headers.get("content-type", "")
        value: Any
        if b"filename" in options:
            filename = options[b"filename"].decode("utf-8", "replace")
            value = {"filename": filename, "content_type": content_type, "bytes": self._size}
        else:
            value = b"".join(self._data).decode(charset_of(content_type) or "utf-8", "replace")
        self.pairs.append((name, value))


def read_multipart(body: bytes, content_type: str) -> tuple[Pairs, str]:
    """(fields in order, "" or why it cannot be read)."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type.encode("latin-1", "replace"))[1].get(b"boundary", b"")
    if not boundary or len(boundary) > 70:
        return [], "its Content-Type names no boundary"
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except _Stop as stop:
        return [], str(stop)
    except FormParserError as error:
        return [], " ".join(str(error).split())[:120]
    if b"--" + boundary + b"--" not in body[-len(boundary) - 100 :]:
        return [], "it is cut off"
    return collector.pairs, ""
