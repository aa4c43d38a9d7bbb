"""What to ask for next: every paginator of the configuration as a pure step from one answer to the next request.

Owns where page tokens, links, offsets and page numbers are, and where they go in a request. Knows no records and no
clock. Invariant: a token of any JSON type is used or is an error, never the end without a word. When the walk ends is
decided in `page_end.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from tidegate.core.errors import UpstreamError
from tidegate.core.spec import (
    CursorPages,
    HeaderCursor,
    HeaderLink,
    JsonLink,
    OffsetPages,
    PageNumber,
    Paginator,
    SinglePage,
)
from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.links import follow, header, link_in, link_target
from tidegate.rules.sync.page_end import End, PageWalk, ends_by_offset, ends_by_page, ends_walk, has_more
from tidegate.rules.sync.paths import compiled, first_byte, skim

STEADY = (CursorPages, HeaderCursor, SinglePage)  # the next page begins where the last one ended, whatever moves
COUNTED = (OffsetPages, PageNumber)

Params = tuple[tuple[str, str], ...]


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


def first_request(paginator: Paginator, request: PageRequest) -> PageRequest:
    """The request of the first page. Offsets, limits and page numbers that the request names itself stay."""
    if isinstance(paginator, OffsetPages):
        limit = _number_in(request, paginator.limit_param, paginator.limit_body_path)
        if limit is None:
            request = _placed(request, paginator.limit_param, paginator.limit_body_path, paginator.limit)
        if _number_in(request, paginator.offset_param, paginator.offset_body_path) is None:
            request = _placed(request, paginator.offset_param, paginator.offset_body_path, paginator.base_offset)
    if (
        isinstance(paginator, PageNumber)
        and _number_in(request, paginator.page_param, paginator.page_body_path) is None
    ):
        request = _placed(request, paginator.page_param, paginator.page_body_path, paginator.base_page)
    return request


def first_number(paginator: Paginator, request: PageRequest) -> int:
    """The offset or page number that the walk begins with; 0 for other paginators."""
    return current_number(paginator, request) or 0


def current_number(paginator: Paginator, request: PageRequest) -> int | None:
    if isinstance(paginator, OffsetPages):
        return _number_in(request, paginator.offset_param, paginator.offset_body_path)
    if isinstance(paginator, PageNumber):
        return _number_in(request, paginator.page_param, paginator.page_body_path)
    return None


def next_page(
    paginator: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk, origins: Collection[str] = ()
) -> PageRequest | None:
    """The request of the next page, None after the last; `walk` says what ended it.

    UpstreamError with code page_foreign or page_unreadable; then the run did not finish.
    """
    walk.count(fingerprint(request), answer.items)
    try:
        following = _step(paginator, request, answer, walk, origins)
    except ValueError as error:
        raise UpstreamError(
            f"page {walk.pages} of {request.url.partition('?')[0]} cannot be read: {error}",
            code="page_unreadable",
            hint="look at the page: tidegate pull SOURCE/RESOURCE, then set paginator and data_selector to fit it",
        ) from None
    if following is None:
        return None
    return None if ends_walk(paginator, fingerprint(following), walk) else following


def _step(
    paginator: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk, origins: Collection[str]
) -> PageRequest | None:
    if isinstance(paginator, SinglePage):
        walk.end(End.SINGLE_PAGE)
        return None
    more = has_more(paginator, answer.body, walk)
    if more is False:
        walk.end(End.HAS_MORE)
        return None
    if isinstance(paginator, OffsetPages):
        return _next_offset(paginator, request, answer, walk, more)
    if isinstance(paginator, PageNumber):
        return _next_number(paginator, request, answer, walk, more)
    if isinstance(paginator, HeaderLink | JsonLink):
        link = _link(paginator, answer)
        following = None if link is None else PageRequest(follow(request.url, link, origins), (), request.body)
    else:
        following = _by_token(paginator, request, answer)
    if following is None:
        walk.end(End.NO_LINK if isinstance(paginator, HeaderLink | JsonLink) else End.NO_TOKEN)
        if more:
            walk.contradict(
                f"page {walk.pages}: {paginator.has_more_path} says there are more, but nothing leads there"
            )
    return following


def _link(paginator: HeaderLink | JsonLink, answer: PageAnswer) -> str | None:
    if isinstance(paginator, HeaderLink):
        return link_target(answer.headers, paginator.rel)
    raw = skim(answer.body, paginator.next_url_path)
    return None if raw is MISSING else link_in(parse_json(raw))


def _by_token(paginator: CursorPages | HeaderCursor, request: PageRequest, answer: PageAnswer) -> PageRequest | None:
    if isinstance(paginator, HeaderCursor):
        text = header(answer.headers, paginator.cursor_key)
        return None if not text else _placed(request, paginator.cursor_param, paginator.cursor_body_path, text)
    if paginator.cursor_from_last:
        raw = MISSING if answer.last is MISSING else compiled(paginator.cursor_from_last).first(answer.last)
        if raw is MISSING and answer.items:
            raise ValueError(f"the last item has nothing at cursor_from_last {paginator.cursor_from_last!r}")
    else:
        raw = skim(answer.body, paginator.cursor_path)
    return _with_token(paginator, request, raw)


def _with_token(paginator: CursorPages, request: PageRequest, raw: Any) -> PageRequest | None:
    """A token of any JSON type: text, a number as it is written, an object or a list as JSON."""
    if raw is MISSING:
        return None
    if not isinstance(raw, msgspec.Raw | bytes):
        raw = msgspec.json.encode(raw)
    value = parse_json(raw)
    if value is None or value is False or value in ("", [], {}):
        return None
    if value is True:
        place = paginator.cursor_from_last or paginator.cursor_path
        raise ValueError(f"there is true at {place!r}, not a page token; a field that says so is has_more_path")
    if paginator.cursor_body_path:
        return _placed(request, "", paginator.cursor_body_path, value)
    if first_byte(raw) in b"[{":
        return _placed(request, paginator.cursor_param, "", msgspec.json.encode(value).decode())
    return _placed(
        request, paginator.cursor_param, "", value if isinstance(value, str) else bytes(raw).decode().strip()
    )


def _next_offset(
    paginator: OffsetPages, request: PageRequest, answer: PageAnswer, walk: PageWalk, more: bool | None
) -> PageRequest | None:
    offset = current_number(paginator, request) or 0
    limit = _number_in(request, paginator.limit_param, paginator.limit_body_path) or paginator.limit
    total = _total(paginator, answer)
    following = offset + (answer.items or limit)
    if not more and ends_by_offset(paginator, walk, answer.items, limit, following, total):
        return None
    return _placed(request, paginator.offset_param, paginator.offset_body_path, following)


def _next_number(
    paginator: PageNumber, request: PageRequest, answer: PageAnswer, walk: PageWalk, more: bool | None
) -> PageRequest | None:
    number = current_number(paginator, request) or 0
    if not more and ends_by_page(paginator, walk, answer.items, number, _total(paginator, answer)):
        return None
    return _placed(request, paginator.page_param, paginator.page_body_path, number + 1)


def _total(paginator: OffsetPages | PageNumber, answer: PageAnswer) -> int | None:
    """The total that the source names, a whole number; None when it names none."""
    if paginator.total_header:
        value: Any = header(answer.headers, paginator.total_header)
        value = value.rpartition("/")[2] if isinstance(value, str) else value  # Content-Range: items 0-9/50
    elif paginator.total_path:
        raw = skim(answer.body, paginator.total_path)
        value = None if raw is MISSING else parse_json(raw)
    else:
        return None
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _number_in(request: PageRequest, param: str, body_path: str) -> int | None:
    if body_path:
        value = compiled(body_path).first(request.body)
    else:
        value = next((text for name, text in request.params if name == param), None)
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _placed(request: PageRequest, param: str, body_path: str, value: Any) -> PageRequest:
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
    placed = False
    for one, old in params:
        if one != name:
            out.append((one, old))
        elif not placed:
            out.append((name, value))
            placed = True
    return tuple(out if placed else [*out, (name, value)])


def fingerprint(request: PageRequest) -> bytes:
    """Equal for requests that ask for the same page."""
    parts = [request.url, *(f"{name}\1{value}" for name, value in sorted(request.params))]
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12)
    if request.body is not None:
        digest.update(msgspec.json.encode(request.body, order="deterministic"))
    return digest.digest()
