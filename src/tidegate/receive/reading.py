"""What a request says about itself: type, key, delivery id, time. Pure.

Owns the places a provider names and the bounds on what comes from outside. A place in the body costs one pass of
the parser over the body, made only when such a place is needed, and building only what the places name; bodies are
never re-encoded. It may not know signatures, the store or the clock. Invariant: any bytes give a `Reading`; what is
absent, not JSON, or of another shape is simply not there.
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
TYPE_LETTERS = 200
KEY_LETTERS = 512
DELIVERY_ID_LETTERS = 255
MAX_HOPS = 5


class Reading(msgspec.Struct, gc=False):
    """`delivery_id` None: this delivery cannot be recognized when it comes again."""

    type: str
    key: str | None
    delivery_id: str | None
    data_path: str
    occurred_at_us: int | None


Reader = Callable[[Headers, bytes], Reading]

# -- the body --------------------------------------------------------------------------------------------

_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_JSON_STARTS = (b"{", b"[")  # no place stands in anything else


def _tree(paths: Sequence[str]) -> dict[str, Any] | None:
    """`["type", "data.id"]` as `{"type": {}, "data": {"id": {}}}`; None when they do not make a tree of objects."""
    root: dict[str, Any] = {}
    for path in paths:
        node = root
        for step in path.split("."):
            if not step or step.isdigit():
                return None  # a place in a list
            node = node.setdefault(step, {})
    for path in paths:
        node = root
        for step in path.split("."):
            node = node[step]
        if node:
            return None  # one path lies inside another
    return root


def _shape(tree: dict[str, Any], name: str = "Body") -> Any:
    fields = [
        (f"f{index}", _shape(below, f"{name}{index}") if below else Any, msgspec.UNSET)
        for index, below in enumerate(tree.values())
    ]
    names = {f"f{index}": step for index, step in enumerate(tree)}
    return msgspec.defstruct(name, fields, rename=names, gc=False)


def compile_paths(paths: Sequence[str]) -> Callable[[bytes], list[Any]]:
    """A function from the raw body to the values at the paths, in order; None for what is not there.

    The shape of the wanted paths is handed to the parser, which then skips all the rest (a third of the time of
    a whole parse at 1 KiB). A body of another shape is parsed whole and walked; both ways give the same texts.
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
    """The whole body as JSON, None when it is none: as filters see it, half an emoji and a byte order mark included."""
    if body.lstrip(_BEFORE_JSON)[:1] not in _JSON_STARTS:
        return None
    return parse_body(NewEvent("", "", Origin.WEBHOOK, 0, 0, body, "application/json")).value


# -- what comes from outside, bounded --------------------------------------------------------------------


def as_text(value: Any) -> str:
    """A string or a number as text; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value)


def bounded_type(value: Any) -> str:
    """A type that pages, URLs and logs can show; "" when the sender's word is none such."""
    text = value if type(value) is str else as_text(value)
    return text if len(text) <= TYPE_LETTERS and text.isprintable() else ""


def bounded_key(value: Any) -> str | None:
    """A key as text. What is too long to be one (or holds a NUL, or half a letter) is no key: a cut one would lie."""
    text = as_text(value)
    return text if 0 < len(text) <= KEY_LETTERS and text.isprintable() else None


def bounded_id(value: Any) -> str | None:
    """A delivery id. A long or unprintable one is replaced by its hash, which recognizes a repeat just as well."""
    text = value if type(value) is str else as_text(value)
    if not text:
        return None
    if len(text) <= DELIVERY_ID_LETTERS and text.isprintable():
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def instant_us(value: Any) -> int | None:
    """Microseconds of what a sender calls a time: seconds or milliseconds since 1970, or RFC 3339."""
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
    """None outside the years 1970 to 9999, which no page could show."""
    return at_us if 0 <= at_us < 253_402_300_800_000_000 else None


# -- the whole -------------------------------------------------------------------------------------------

Take = Callable[[Headers, list[Any]], Any]


def compile_reader(provider: Provider) -> Reader:
    """A function (headers with lower-case names, raw body) -> Reading, by the places of a provider."""
    paths: list[str] = []
    standard = (Place(header="webhook-id"), Place(header="idempotency-key"))
    take_type = _first(provider.type, paths, bounded_type)
    take_id = _first(provider.delivery_id + standard, paths, bounded_id)
    take_key = _first(provider.key, paths, bounded_key)
    take_time = _first(provider.occurred_at, paths, instant_us)
    data_path = provider.data_path
    read_body = compile_paths(paths) if paths else None
    nothing: list[Any] = []

    def read(headers: Headers, body: bytes) -> Reading:
        values = read_body(body) if read_body is not None else nothing
        return Reading(
            take_type(headers, values) or FALLBACK_TYPE,
            take_key(headers, values),
            take_id(headers, values),
            data_path,
            take_time(headers, values),
        )

    return read


def _first(places: Sequence[Place], paths: list[str], bound: Callable[[Any], Any]) -> Take:
    """The first place that holds something of the wanted kind. Adds the places of the body to `paths`."""
    if not places:
        return lambda headers, values: None
    looks: list[tuple[bytes, int, Any]] = []
    for place in places:
        if place.path and place.path not in paths:
            paths.append(place.path)
        index = paths.index(place.path) if place.path else -1
        looks.append((place.header.lower().encode("latin-1"), index, bound(place.constant)))

    def take(headers: Headers, values: list[Any]) -> Any:
        for header, index, constant in looks:
            if header:
                raw = headers.get(header)
                found = bound(raw.decode("latin-1")) if raw else None
            else:
                found = bound(values[index]) if index >= 0 else constant
            if found is not None and found != "":
                return found
        return None

    return take


def body_hash(body: bytes) -> bytes:
    """16 bytes that tell "the same again" from "the same id with another body"."""
    return hashlib.sha256(body).digest()[:16]


def hops_of(headers: Headers) -> int:
    """Gateways an event came through, from `tidegate-hops`: 0 without the header; a value that is no number is 0 too.

    A value above MAX_HOPS is answered with a refusal by the doors; here it is only counted.
    """
    raw = headers.get(b"tidegate-hops")
    if raw is None:
        return 0
    return int(raw[:9]) + 1 if raw.isdigit() else 1
