"""XML as JSON: elements by name, attributes as `@name`, text beside them as `#text`.

An element that has only text is that text; one that occurs several times in its parent is a list. XML cannot write a
list of one, so where a list is expected one object counts as one row. Names keep the prefix that the source writes;
namespace declarations are left out. Text is stripped of white space at its ends.

Hostile input: entities that a document declares are refused, so nothing expands and nothing external is read; depth
and the number of elements are bounded.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

import msgspec

from tidegate.rules.sync.formats.base import Format, FormatPage

MAX_DEPTH = 60
MAX_ELEMENTS = 2_000_000


def _begins(head: bytes) -> bool:
    return head[:1] == b"<"


def _read(body: bytes) -> FormatPage:
    return FormatPage(msgspec.json.encode(xml_value(body)), no_lists=True)


def xml_value(body: bytes) -> dict[str, Any]:
    """`{root: value}` of a document. ValueError with the line when it is not well-formed.

    A body that is UTF-8 is read as such: it may have been decoded by its Content-Type, whatever its declaration says.
    """
    tree = _Tree()
    parser = expat.ParserCreate("utf-8" if _is_utf8(body) else None)
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.EntityDeclHandler = _refuse_entity
    parser.ExternalEntityRefHandler = _refuse_external
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise ValueError(f"the XML is not well-formed at line {error.lineno}: {reason}") from None
    return tree.root


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_entity(name: str, *_: object) -> None:
    raise ValueError(f"the XML declares the entity {name[:40]!r}; documents with entities are not read")


def _refuse_external(*_: object) -> int:
    raise ValueError("the XML names an external entity; documents with entities are not read")


class _Tree:
    """Builds the value while the parser runs."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[tuple[dict[str, Any], list[str]]] = [(self.root, [])]
        self._elements = 0

    def start(self, name: str, attributes: list[str]) -> None:
        self._elements += 1
        if len(self._open) > MAX_DEPTH:
            raise ValueError(f"the XML is nested deeper than {MAX_DEPTH}")
        if self._elements > MAX_ELEMENTS:
            raise ValueError(f"the XML has more than {MAX_ELEMENTS:,} elements")
        pairs = zip(attributes[::2], attributes[1::2], strict=True)
        members: dict[str, Any] = {f"@{key}": value for key, value in pairs if key.partition(":")[0] != "xmlns"}
        self._open.append((members, []))

    def text(self, data: str) -> None:
        self._open[-1][1].append(data)

    def end(self, name: str) -> None:
        members, parts = self._open.pop()
        text = "".join(parts).strip()
        value: Any = members
        if not members:
            value = text
        elif text:
            members["#text"] = text
        parent = self._open[-1][0]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]


FORMAT = Format(
    name="xml",
    help="XML as JSON: attributes are `@name`, text beside them `#text`, repeated elements a list.",
    media_types=("application/xml", "text/xml", "+xml"),
    begins=_begins,
    read=_read,
)
