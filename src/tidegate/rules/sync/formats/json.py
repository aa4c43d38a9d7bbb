"""JSON. The body goes on as it is: selectors cut the rows out of it without parsing the rest."""

from __future__ import annotations

from tidegate.rules.sync.formats.base import Format, FormatPage


def _begins(head: bytes) -> bool:
    return False  # JSON and NDJSON begin alike; JSON is what remains


def _read(body: bytes) -> FormatPage:
    return FormatPage(body)


FORMAT = Format(
    name="json",
    help="One JSON value; `data_selector` says where its list is.",
    media_types=("application/json", "text/json", "+json"),
    begins=_begins,
    read=_read,
)
