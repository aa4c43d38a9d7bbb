"""XML as JSON, in the shape that webhooks in XML have too, so that both write a record alike.

Attributes are `@name`, text beside them is `#text`, repeated elements are a list. XML cannot write a list of one, so
where a list is expected one object counts as one row. A document type is refused, so no entity expands and nothing
external is read.
"""

from __future__ import annotations

import msgspec

from tidegate.rules.language.xml import read_xml
from tidegate.rules.sync.formats.base import Format, FormatPage

MAX_ELEMENTS = 2_000_000  # of a page, which is larger than a webhook


def _begins(head: bytes) -> bool:
    return head[:1] == b"<"


def _read(body: bytes) -> FormatPage:
    # A body that is UTF-8 may have been decoded by its Content-Type, whatever its declaration says.
    value, why = read_xml(body, encoding="utf-8" if _is_utf8(body) else None, max_elements=MAX_ELEMENTS)
    if why:
        raise ValueError(f"the XML cannot be read: {why}")
    return FormatPage(msgspec.json.encode(value), no_lists=True)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


FORMAT = Format(
    name="xml",
    help="XML as JSON: attributes are `@name`, text beside them `#text`, repeated elements a list.",
    media_types=("application/xml", "text/xml", "+xml"),
    begins=_begins,
    read=_read,
)
