"""NDJSON, also called JSON Lines: one JSON value a line. Each line is a row, parsed in its turn.

Lines are split at LF and CRLF and at the record separator of RFC 7464. An empty line is white space. A line that is
not JSON is a bad row with its number; the others are read.
"""

from __future__ import annotations

import msgspec

from tidegate.rules.sync.formats.base import BadRow, Format, FormatPage

_SEPARATOR = b"\x1e"
_PROOF_BYTES = 1 << 20  # of the first line, to tell NDJSON from JSON


def _begins(head: bytes) -> bool:
    """Two lines, the first of which is a whole JSON object, and the second begins like one."""
    if head[:1] == _SEPARATOR:
        return True
    first, found, rest = head[:_PROOF_BYTES].partition(b"\n")
    if not found or first[:1] != b"{" or rest.lstrip()[:1] != b"{":
        return False
    return _is_json(first)


def _read(body: bytes) -> FormatPage:
    lines = body.replace(_SEPARATOR, b"").split(b"\n")
    rows = [_row(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    return FormatPage(rows=rows)


def _row(number: int, line: bytes) -> bytes | BadRow:
    line = line.strip()
    return line if line[:1] == b"{" else BadRow(f"line {number} is not a JSON object", line)


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    except RecursionError:
        return False
    return True


FORMAT = Format(
    name="ndjson",
    help="One JSON object a line (JSON Lines).",
    media_types=(
        "application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines",
        "application/x-jsonlines", "application/json-seq", "application/json-lines",
    ),
    begins=_begins,
    read=_read,
)  # fmt: skip
