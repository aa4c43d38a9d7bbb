"""Places of a request where a value can be: a header, the query, a path of the body, or a constant. Pure.

Owns how places are read from JSON, forms, multipart and XML alike. Places in a JSON body cost one parser pass that
builds only the named values; any other body is read as filters read it (`rules/language/body.py`). Knows no provider.
Invariants: any bytes give values, None for an absent one; places that `compile_places` accepts can be read from every
request. Crash: nothing is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.core.model import JsonObject
from tidegate.rules.inbound.redaction import text_of_query
from tidegate.rules.inbound.values import as_text
from tidegate.rules.language.body import read_body
from tidegate.rules.language.numbers import read_float
from tidegate.rules.language.paths import Names, parse_path
from tidegate.rules.language.text import charset_of, is_utf8
from tidegate.rules.language.view import MISSING, walk

Headers = Mapping[bytes, bytes]  # names in lower case; of a repeated name one value

MAX_QUERY_FIELDS = 1000


class Place(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """Where a value is: in a header, in the query string, at a path of the body, or always the same.

    Of a list of places the first with a value wins. Exactly one of the four is given. `plus` is a second path whose
    value follows after a dot: type and action of Linear are `Issue.create`.
    """

    header: str = ""
    query: str = ""
    path: str = ""
    constant: str = ""
    plus: str = ""

    def __post_init__(self) -> None:
        if bool(self.header) + bool(self.query) + bool(self.path) + bool(self.constant) != 1:
            raise ValueError("a place is one of header, query, path, constant")


def place_of(text: str) -> Place:
    """`header:NAME`, `query:NAME`, or a path of the body."""
    kind, _, name = text.partition(":")
    if kind == "header" and name:
        return Place(header=name)
    if kind == "query" and name:
        return Place(query=name)
    return Place(path=text)


class Body(msgspec.Struct, gc=False):
    """The values at the paths of a body, in order. `why`: why the body could not be read, "" when it was; `guess`:
    what was guessed to read it."""

    values: list[Any]
    why: str = ""
    guess: str = ""


BodyReader = Callable[[Headers, bytes], Body]

# -- paths of the body -----------------------------------------------------------------------------------


def compile_paths(paths: Sequence[str]) -> BodyReader:
    """A function from headers and raw body to the values at the paths; None for an absent value.

    The parser gets the shape of the paths and skips the rest of the body, which takes a third of the time of a full
    parse at 1 KiB. A body of another shape or format is read in full; both ways give the same values. ConfigError for
    a text that is not a path.
    """
    parsed = [parse_path(path) for path in paths]
    tree = _tree(parsed)
    decoder = msgspec.json.Decoder(_shape(tree), float_hook=read_float) if tree is not None else None
    get = attrgetter(*(_attribute(tree, names) for names in parsed)) if tree is not None and parsed else None
    several = len(parsed) > 1

    def read(headers: Headers, body: bytes) -> Body:
        quick: list[Any] | None = None
        if decoder is not None and get is not None:
            try:
                shaped = decoder.decode(body)
            except (ValueError, RecursionError):  # not JSON, or another shape; DecodeError and UnicodeError are of it
                pass
            else:
                quick = list(get(shaped)) if several else [get(shaped)]
                plain = b"content-encoding" not in headers and _is_read_as_json(headers.get(b"content-type", b""))
                if plain and (body.isascii() or (is_utf8(body) and not _is_labeled(headers))):
                    return Body(quick)  # the parser does not look into strings that nobody asked for
        whole = read_body(
            body,
            headers.get(b"content-type", b"").decode("latin-1"),
            headers.get(b"content-encoding", b"").decode("latin-1"),
        )
        if whole.why and quick is not None:
            return Body(quick, whole.why)
        found = [walk(whole.value, names) for names in parsed]
        return Body([None if one is MISSING else one for one in found], whole.why, whole.guess)

    return read


@functools.lru_cache(maxsize=256)
def _is_read_as_json(content_type: bytes) -> bool:
    """Whether JSON in ASCII with this Content-Type is read as what it is: not as XML, multipart or UTF-16."""
    return read_body(b'{"a":1}', content_type.decode("latin-1")).value in ({"a": 1}, [{"a": 1}])


def _is_labeled(headers: Headers) -> bool:
    """Whether a charset is named that is not UTF-8."""
    return charset_of(headers.get(b"content-type", b"").decode("latin-1")) not in ("", "utf-8")


def _tree(paths: Sequence[Names]) -> JsonObject | None:
    """`[("type",), ("data", "id")]` as `{"type": {}, "data": {"id": {}}}`; None if it is not a tree of objects."""
    root: JsonObject = {}
    for names in paths:
        node = root
        for name in names:
            if not _can_be_field(name):
                return None
            node = node.setdefault(name, {})
    for names in paths:
        node = root
        for name in names:
            node = node[name]
        if node or not names:
            return None  # one path is inside another
    return root


def _can_be_field(name: str) -> bool:
    """Digits may index a list, and the parser takes no field whose name needs an escape in JSON."""
    return bool(name) and not name.isdigit() and not any(one in '"\\' or one < " " for one in name)


def _shape(tree: JsonObject, name: str = "Body") -> Any:
    """A struct that holds the named values alone. An absent object is one whose values are all absent."""
    fields: list[tuple[str, Any, Any]] = []
    for index, below in enumerate(tree.values()):
        if below:
            shape = _shape(below, f"{name}{index}")
            fields.append((f"f{index}", shape, shape()))
        else:
            fields.append((f"f{index}", Any, None))
    names = {f"f{index}": field for index, field in enumerate(tree)}
    return msgspec.defstruct(name, fields, rename=names, frozen=True, gc=False)


def _attribute(tree: JsonObject, names: Names) -> str:
    """The place of a value in the struct, such as `f0.f1`."""
    attributes = []
    for name in names:
        attributes.append(f"f{list(tree).index(name)}")
        tree = tree[name]
    return ".".join(attributes)


# -- places ----------------------------------------------------------------------------------------------

Bound = Callable[[Any], Any]  # the value when it is usable, else None or ""
Take = Callable[[Headers, list[Any], Mapping[str, str]], Any]
Nothing: Mapping[str, str] = {}


class Reads(msgspec.Struct):
    """Collects the paths of several lists of places, so that a body is read once for all of them."""

    paths: list[str] = []
    query: bool = False

    def first(self, places: Sequence[Place], bound: Bound) -> Take:
        """A function that gives the first usable value of the places, else None."""
        if not places:
            return lambda headers, values, query: None
        lookups: list[tuple[bytes, str, int, int, Any]] = []
        for place in places:
            self.query = self.query or bool(place.query)
            index, plus = self._index(place.path), self._index(place.plus)
            lookups.append((_header(place.header), place.query, index, plus, bound(place.constant)))

        header, _, index, plus, _ = lookups[0]
        if len(lookups) == 1 and not header and index >= 0 and plus < 0:  # nearly all types and times
            return lambda headers, values, query: bound(values[index])
        names = [header for header, *_ in lookups]
        if all(names):  # nearly all delivery ids
            return lambda headers, values, query: _first_header(headers, names, bound)

        def take(headers: Headers, values: list[Any], query: Mapping[str, str]) -> Any:
            for header, parameter, index, plus, constant in lookups:
                if header:
                    raw = headers.get(header)
                    found = bound(header_text(header, raw)) if raw else None
                elif plus >= 0 and (second := as_text(values[plus])):
                    found = bound(f"{first}.{second}") if (first := as_text(values[index])) else None
                elif index >= 0:
                    found = bound(values[index])
                else:
                    found = bound(query.get(parameter)) if parameter else constant
                if found is not None and found != "":
                    return found
            return None

        return take

    def _index(self, path: str) -> int:
        if not path:
            return -1
        if path not in self.paths:
            parse_path(path)
            self.paths.append(path)
        return self.paths.index(path)


def header_text(name: bytes, raw: bytes) -> str:
    """The value of a header. Attributes of CloudEvents are percent-encoded."""
    text = raw.decode("latin-1")
    return unquote(text) if name[:3] == b"ce-" and "%" in text else text


def _first_header(headers: Headers, names: Sequence[bytes], bound: Bound) -> Any:
    for name in names:
        if raw := headers.get(name):
            found = bound(header_text(name, raw))
            if found is not None and found != "":
                return found
    return None


def _header(name: str) -> bytes:
    try:
        return name.lower().encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigError(f"{name!r} is not a header name") from None


def query_fields(query_string: bytes) -> dict[str, str]:
    """The parameters of a query string by name; {} when there are too many."""
    try:
        text = text_of_query(query_string)
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS))
    except ValueError:
        return {}
