"""What a paginator is: its spec, where its number or token goes in a request, and the step to the next request. Pure.

Owns the protocol of this package and what paginators share. Knows no records and no clock. Invariant: a paginator that
finds no next page names what ended the walk; a token that cannot be used is a ValueError, never the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Meta

from tidegate.core.spec import Paginator
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.canonical import canonical, parse_json
from tidegate.rules.sync.links import header
from tidegate.rules.sync.page_end import End, PageWalk
from tidegate.rules.sync.paths import compiled, first_byte, skim

Params = tuple[tuple[str, str], ...]
S = TypeVar("S", bound=Paginator)


class Pages(Paginator, frozen=True):
    """The keys of every paginator that has more than one page."""

    has_more_path: str = ""  # a field that says whether there are more pages; "!path" for one that says it is the last
    max_pages: Annotated[int, Meta(ge=1)] | None = None  # a walk that reaches it is reported as incomplete


class CountedPages(Pages, frozen=True):
    """Pages by offset or number."""

    total_path: str = ""
    total_header: str = ""
    stop_on_empty: bool = False  # an empty page is the end, whatever the total says


PAGE_KEYS = {
    "has_more_path": "A field that says whether there are more pages; `!PATH` for one that says it is the last page.",
    "max_pages": "The most pages of one run. A run that reaches it is reported as incomplete.",
}
COUNTED_KEYS = {
    "total_header": "The response header with the total, in place of `total_path`.",
    "stop_on_empty": "An empty page is the last one, whatever the total says.",
    **PAGE_KEYS,
}


class PageRequest(msgspec.Struct, frozen=True):
    """`url` with its query as it is sent; `params` are added to it, in order. `body` is JSON, None for GET."""

    url: str
    params: Params = ()
    body: Any = None


class PageAnswer(msgspec.Struct, frozen=True):
    """What a paginator looks at. `items`: the number of rows; `last`: the last row, raw or parsed."""

    headers: list[tuple[str, str]]
    body: bytes
    items: int
    last: Any = MISSING


class Step(msgspec.Struct, frozen=True):
    """One page that was read. `more`: what `has_more_path` says. `origins`: those that next links may also name."""

    request: PageRequest
    answer: PageAnswer
    walk: PageWalk
    more: bool | None
    origins: Collection[str]


class PaginatorKind(Generic[S]):
    """One kind of paginator; the registry keeps one instance of each."""

    name: ClassVar[str]  # the value of `type`
    spec: type[S]
    help: ClassVar[str]  # a sentence for the reference
    keys: ClassVar[dict[str, str]]  # key -> a sentence for the reference
    counted: ClassVar[bool] = False  # pages by offset or number: rows that move are passed over or come twice
    steady: ClassVar[bool] = False  # the next page begins where the last one ended, whatever moves
    no_next: ClassVar[End] = End.NO_TOKEN

    def first(self, spec: S, request: PageRequest) -> PageRequest:
        """The request of the first page."""
        return request

    def number(self, spec: S, request: PageRequest) -> int | None:
        """The offset or page number in a request; None for paginators without one."""
        return None

    def step(self, spec: S, step: Step) -> PageRequest | None:
        """The request of the next page; None when nothing leads to one, or when `step.walk` was ended."""
        raise NotImplementedError

    def headers(self, spec: S) -> tuple[str, ...]:
        """Response headers that the next page depends on."""
        return ()


# -- requests ----------------------------------------------------------------------------------------------


def placed(request: PageRequest, param: str, body_path: str, value: Any) -> PageRequest:
    """The request with a value at a place of its JSON body, or as a parameter."""
    if body_path:
        return PageRequest(request.url, request.params, put_in(request.body, body_path.split("."), value))
    return PageRequest(request.url, put(request.params, param, str(value)), request.body)


def put_in(body: Any, names: list[str], value: Any) -> Any:
    """A copy of a JSON body with a value at a dotted path. Objects on the way are made."""
    if not names:
        return value
    inner = body if isinstance(body, dict) else {}
    return {**inner, names[0]: put_in(inner.get(names[0]), names[1:], value)}


def put(params: Iterable[tuple[str, str]], name: str, value: str) -> Params:
    """`params` with one name set, at its old place when it had one."""
    out: list[tuple[str, str]] = []
    is_placed = False
    for one, old in params:
        if one != name:
            out.append((one, old))
        elif not is_placed:
            out.append((name, value))
            is_placed = True
    return tuple(out if is_placed else [*out, (name, value)])


def number_in(request: PageRequest, param: str, body_path: str) -> int | None:
    """The number that a request names; None when it names none."""
    if body_path:
        value = compiled(body_path).first(request.body)
    else:
        value = next((text for name, text in request.params if name == param), None)
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def fingerprint(request: PageRequest) -> bytes:
    """Equal for requests that ask for the same page."""
    parts = [request.url, *(f"{name}\1{value}" for name, value in sorted(request.params))]
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12)
    if request.body is not None:
        digest.update(canonical(request.body))
    return digest.digest()


# -- answers -----------------------------------------------------------------------------------------------


def total_in(spec: CountedPages, answer: PageAnswer) -> int | None:
    """The total that the source names, a whole number; None when it names none."""
    if spec.total_header:
        value: Any = header(answer.headers, spec.total_header)
        value = value.rpartition("/")[2] if isinstance(value, str) else value  # Content-Range: items 0-9/50
    elif spec.total_path:
        raw = skim(answer.body, spec.total_path)
        value = None if raw is MISSING else parse_json(raw)
    else:
        return None
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _all_null(value: Any) -> bool:
    """`{"cursor": null}`: the object of a token without the token."""
    return isinstance(value, dict) and all(one is None for one in value.values())


def with_token(request: PageRequest, param: str, body_path: str, raw: Any, place: str) -> PageRequest | None:
    """The request with a token of any JSON type: text, a number as it is written, an object or a list as JSON.

    None when there is no token. `place` is where it was found, for the error.
    """
    if raw is MISSING:
        return None
    if not isinstance(raw, msgspec.Raw | bytes):
        raw = encode_json(raw)
    value = parse_json(raw)
    if value is None or value is False or value in ("", [], {}) or _all_null(value):
        return None
    if value is True:
        raise ValueError(f"there is true at {place!r}, not a page token; a field that says so is has_more_path")
    if body_path:
        return placed(request, "", body_path, value)
    if first_byte(raw) in b"[{":
        return placed(request, param, "", encode_json(value).decode())
    return placed(request, param, "", value if isinstance(value, str) else bytes(raw).decode().strip())
