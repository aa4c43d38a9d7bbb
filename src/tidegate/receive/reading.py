"""Reads the event type, key, delivery id and time of a request. Pure.

Owns the lookup of the places that a provider names, and the bounds on values from outside. Places in the body cost
one parser pass that builds only the named values, and only when a place is in the body; bodies are never re-encoded.
It may not know signatures, the store or the clock. Invariant: any bytes give a `Reading`; a value that is absent, not
JSON or of another type counts as not given. Crash: nothing is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidegate.core.clock import parse_instant
from tidegate.core.model import NewEvent, Origin
from tidegate.providers.shape import Place, Provider
from tidegate.rules.inbound.signatures import Headers
from tidegate.rules.language.view import parse_body, value_at

FALLBACK_TYPE = "webhook.received"
TYPE_CHARACTERS = 200
KEY_CHARACTERS = 512
DELIVERY_ID_CHARACTERS = 255
MAX_HOPS = 5


class Reading(msgspec.Struct, gc=False):
    """`delivery_id` is None when the request has none, so a repeat of it cannot be recognized."""

    type: str
    key: str | None
    delivery_id: str | None
    data_path: str
    occurred_at_us: int | None


Reader = Callable[[Headers, bytes], Reading]

# -- the body --------------------------------------------------------------------------------------------

_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_JSON_STARTS = (b"{", b"[")  # no other JSON value can have a path in it


def _tree(paths: Sequence[str]) -> dict[str, Any] | None:
    """`["type", "data.id"]` as `{"type": {}, "data": {"id": {}}}`; None when they do not make a tree of objects."""
    root: dict[str, Any] = {}
    for path in paths:
        node = root
        for step in path.split("."):
            if not step or step.isdigit():
                return None  # an index of a list
            node = node.setdefault(step, {})
    for path in paths:
        node = root
        for step in path.split("."):
            node = node[step]
        if node:
            return None  # one path is inside another
    return root


def _shape(tree: dict[str, Any], name: str = "Body") -> Any:
    fields = [
        (f"f{index}", _shape(below, f"{name}{index}") if below else Any, msgspec.UNSET)
        for index, below in enumerate(tree.values())
    ]
    names = {f"f{index}": step for index, step in enumerate(tree)}
    return msgspec.defstruct(name, fields, rename=names, gc=False)


def compile_paths(paths: Sequence[str]) -> Callable[[bytes], list[Any]]:
    """A function from the raw body to the values at the paths, in order; None for an absent value.

    The parser gets the shape of the paths and skips the rest of the body, which takes a third of the time of a full
    parse at 1 KiB. A body of another shape is parsed in full; both ways give the same values.
    """
    tree = _tree(paths)
    decoder = msgspec.json.Decoder(_shape(tree)) if tree is not None else None
    fields = [_attributes(tree, path.split(".")) for path in paths] if tree is not None else []

    def read(body: bytes) -> list[Any]:
        if decoder is not None:
            try:
                shaped = decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
            else:
                return [_follow(shaped, names) for names in fields]
        whole = parse(body)
        return [value_at(whole, path) for path in paths]

    return read


def _attributes(tree: dict[str, Any], steps: Sequence[str]) -> list[str]:
    names = []
    for step in steps:
        names.append(f"f{list(tree).index(step)}")
        tree = tree[step]
    return names


def _follow(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        value = getattr(value, name)
        if value is msgspec.UNSET:
            return None
    return value


def parse(body: bytes) -> Any:
    """The whole body as JSON, None when it is not JSON. Reads exactly what filters read (see `parse_body`)."""
    if body.lstrip(_BEFORE_JSON)[:1] not in _JSON_STARTS:
        return None
    return parse_body(NewEvent("", "", Origin.WEBHOOK, 0, 0, body, "application/json")).value


# -- bounds on values from outside -----------------------------------------------------------------------


def as_text(value: Any) -> str:
    """A string or a number as text; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value)


def bounded_type(value: Any) -> str:
    """The value as an event type; "" when it is empty, too long or not printable."""
    text = value if type(value) is str else as_text(value)
    return text if len(text) <= TYPE_CHARACTERS and text.isprintable() else ""


def bounded_key(value: Any) -> str | None:
    """The value as a key; None when it is empty, too long or not printable. A key is never cut, because that would
    merge different keys."""
    text = as_text(value)
    return text if 0 < len(text) <= KEY_CHARACTERS and text.isprintable() else None


def bounded_id(value: Any) -> str | None:
    """The value as a delivery id. A long or unprintable one is replaced by its hash, which identifies a repeat too."""
    text = value if type(value) is str else as_text(value)
    if not text:
        return None
    if len(text) <= DELIVERY_ID_CHARACTERS and text.isprintable():
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def instant_us(value: Any) -> int | None:
    """Microseconds since 1970 of a sender's time: seconds or milliseconds since 1970, or RFC 3339; else None."""
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit() or len(value) > 16:
            try:
                return _storable(parse_instant(value))
            except (ValueError, OverflowError):
                return None
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    # 1e11 seconds are the year 5138; as milliseconds the same number is in 1973.
    return _storable(int(value * 1000) if value >= 1e11 else int(value * 1_000_000))


def _storable(at_us: int) -> int | None:
    """None outside the years 1970 to 9999, which is the range that pages can show."""
    return at_us if 0 <= at_us < 253_402_300_800_000_000 else None


# -- the reader ------------------------------------------------------------------------------------------

PlaceReader = Callable[[Headers, list[Any]], Any]


def compile_reader(provider: Provider) -> Reader:
    """A function (headers with lower-case names, raw body) -> Reading, for the places of a provider."""
    paths: list[str] = []
    standard = (Place(header="webhook-id"), Place(header="idempotency-key"))
    read_type = _first(provider.type, paths, bounded_type)
    read_id = _first(provider.delivery_id + standard, paths, bounded_id)
    read_key = _first(provider.key, paths, bounded_key)
    read_time = _first(provider.occurred_at, paths, instant_us)
    data_path = provider.data_path
    read_body = compile_paths(paths) if paths else None
    nothing: list[Any] = []

    def read(headers: Headers, body: bytes) -> Reading:
        values = read_body(body) if read_body is not None else nothing
        return Reading(
            read_type(headers, values) or FALLBACK_TYPE,
            read_key(headers, values),
            read_id(headers, values),
            data_path,
            read_time(headers, values),
        )

    return read


def _first(places: Sequence[Place], paths: list[str], bound: Callable[[Any], Any]) -> PlaceReader:
    """Reads the first place with a usable value. Adds the places of the body to `paths`."""
    if not places:
        return lambda headers, values: None
    lookups: list[tuple[bytes, int, Any]] = []
    for place in places:
        if place.path and place.path not in paths:
            paths.append(place.path)
        index = paths.index(place.path) if place.path else -1
        lookups.append((place.header.lower().encode("latin-1"), index, bound(place.constant)))

    def read(headers: Headers, values: list[Any]) -> Any:
        for header, index, constant in lookups:
            if header:
                raw = headers.get(header)
                found = bound(raw.decode("latin-1")) if raw else None
            else:
                found = bound(values[index]) if index >= 0 else constant
            if found is not None and found != "":
                return found
        return None

    return read


def body_hash(body: bytes) -> bytes:
    """16 bytes that distinguish a repeat from another body with the same delivery id."""
    return hashlib.sha256(body).digest()[:16]


def hops_of(headers: Headers) -> int:
    """The number of gateways an event passed through, from `tidegate-hops`: 0 without the header, 1 for a value that
    is not a number. The caller rejects a value above MAX_HOPS.
    """
    raw = headers.get(b"tidegate-hops")
    if raw is None:
        return 0
    return int(raw[:9]) + 1 if raw.isdigit() else 1
