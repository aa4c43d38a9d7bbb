"""XML as plain values, with the standard library's expat.

Owns the shape: an element without attributes and children is its text; any other is an object with its attributes
under `@name`, its children by name (several of one name are a list) and its text under `#text`. Namespace prefixes are
left out. Invariants: nothing here raises; a document type, and with it every entity, is refused; depth, number of
elements and of attributes are bounded. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from tidegate.core.model import JsonObject

MAX_DEPTH = 60  # the object of the root and those of its attributes count too
MAX_ELEMENTS = 100_000


class _Refused(Exception):
    pass


class _Builder:
    def __init__(self, max_elements: int) -> None:
        self.root: JsonObject = {}
        self._max_elements = max_elements
        self._stack: list[tuple[JsonObject, list[str]]] = [(self.root, [])]
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1 + len(attributes)
        if len(self._stack) > MAX_DEPTH:
            raise _Refused(f"it is nested more than {MAX_DEPTH} deep")
        if self._elements > self._max_elements:
            raise _Refused(f"it has more than {self._max_elements} elements and attributes")
        fields: JsonObject = {
            f"@{_local(key)}": value for key, value in attributes.items() if not key.startswith("xmlns")
        }
        self._stack.append((fields, []))

    def text(self, data: str) -> None:
        self._stack[-1][1].append(data)

    def end(self, name: str) -> None:
        fields, pieces = self._stack.pop()
        text = "".join(pieces).strip()
        value: Any = text
        if fields:
            value = {**fields, "#text": text} if text else fields
        holder = self._stack[-1][0]
        name = _local(name)
        held = holder.get(name)
        if name not in holder:
            holder[name] = value
        elif isinstance(held, list):
            held.append(value)
        else:
            holder[name] = [held, value]


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _no_doctype(*_: Any) -> None:
    raise _Refused("it has a document type, which is refused")


def read_xml(body: bytes, *, encoding: str | None = None, max_elements: int = MAX_ELEMENTS) -> tuple[Any, str]:
    """(`{root name: value}`, "") or (None, why it cannot be read). `encoding` overrules the document's own."""
    builder = _Builder(max_elements)
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(body, True)
    except _Refused as refused:
        return None, str(refused)
    except expat.ExpatError as error:
        return None, f"{expat.ErrorString(error.code)} at byte {parser.ErrorByteIndex}"
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        return None, str(error)[:120]
    return builder.root, ""
