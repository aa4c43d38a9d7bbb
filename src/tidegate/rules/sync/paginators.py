"""What to ask for next: every paginator of the configuration as a pure step from one answer to the next request.

Owns page tokens, the `Link` header (RFC 8288) and the two guards: a next link never leaves the source's origin (the
credentials would go with it), and the same request or the same page twice ends the run with an error instead of a
loop. May not know records or clocks. The state of a run is a `PageWalk`; it is not kept over a crash: a run that
did not finish starts again, and what was committed already compares as equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

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
from tidegate.rules.sync.items import page_value

STEADY = (CursorPages, HeaderCursor, SinglePage)  # the next page begins where the last one ended, whatever moves
MAX_PAGES = 100_000  # ten million items at 100 a page; a run this long is a loop

Params = tuple[tuple[str, str], ...]


class PageRequest(msgspec.Struct, frozen=True):
    """`url` without a query; `params` in order, credentials not among them."""

    url: str
    params: Params = ()


class PageAnswer(msgspec.Struct, frozen=True):
    """What a paginator looks at. `items`: how many the page had."""

    headers: list[tuple[str, str]]
    body: bytes
    items: int


class PageWalk(msgspec.Struct):
    """One run over the pages of a resource."""

    pages: int = 0
    seen: set[bytes] = msgspec.field(default_factory=set)  # hashes of the requests made
    last_page: bytes = b""  # hash of the page before
    full_page: bool = False  # a page had exactly as many items as asked for: the source keeps to the limit


def first_request(paginator: Paginator, url: str, params: Iterable[tuple[str, str]]) -> PageRequest:
    """The request of the first page."""
    asked = tuple(params)
    if isinstance(paginator, OffsetPages):
        asked = _put(asked, paginator.limit_param, str(paginator.limit))
        return PageRequest(url, _put(asked, paginator.offset_param, "0"))
    if isinstance(paginator, PageNumber):
        return PageRequest(url, _put(asked, paginator.page_param, str(paginator.base_page)))
    return PageRequest(url, asked)


def next_page(paginator: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk) -> PageRequest | None:
    """The request of the next page, None after the last. `walk` is moved.

    UpstreamError with code page_loop, page_foreign or page_unreadable; the run must then not count as complete.
    """
    walk.pages += 1
    walk.seen.add(_fingerprint(request))
    try:
        following = _step(paginator, request, answer, walk)
    except ValueError as error:
        raise UpstreamError(
            f"page {walk.pages} of {request.url} cannot be read: {error}",
            code="page_unreadable",
            hint="look at the page: tidegate pull SOURCE/RESOURCE, then set paginator and data_selector to fit it",
        ) from None
    if following is None:
        return None
    page = hashlib.blake2b(answer.body, digest_size=16).digest()
    if _fingerprint(following) in walk.seen or (answer.items and page == walk.last_page) or walk.pages >= MAX_PAGES:
        raise UpstreamError(
            f"page {walk.pages} of {request.url} leads to a page that was read before",
            code="page_loop",
            hint="the source ignores the page parameter or links in a circle: check `paginator` of the resource",
        )
    walk.last_page = page
    return following


def _step(paginator: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk) -> PageRequest | None:
    if isinstance(paginator, SinglePage):
        return None
    if isinstance(paginator, HeaderLink):
        link = link_target(answer.headers, paginator.rel)
        return None if link is None else linked(request, link)
    if isinstance(paginator, JsonLink):
        link = page_value(answer.body, paginator.next_url_path)
        return linked(request, link) if isinstance(link, str) and link else None
    if isinstance(paginator, CursorPages):
        return _token(request, paginator.cursor_param, page_value(answer.body, paginator.cursor_path))
    if isinstance(paginator, HeaderCursor):
        return _token(request, paginator.cursor_param, header(answer.headers, paginator.cursor_key))
    if isinstance(paginator, OffsetPages):
        return _next_offset(paginator, request, answer, walk)
    return _next_number(paginator, request, answer)


def _token(request: PageRequest, param: str, token: Any) -> PageRequest | None:
    if isinstance(token, bool) or not isinstance(token, str | int) or token == "":
        return None
    return PageRequest(request.url, _put(request.params, param, str(token)))


def _next_offset(
    paginator: OffsetPages, request: PageRequest, answer: PageAnswer, walk: PageWalk
) -> PageRequest | None:
    if not answer.items:
        return None
    offset = int(dict(request.params)[paginator.offset_param]) + answer.items
    if paginator.total_path:
        total = _count(answer.body, paginator.total_path)
        if total is not None:
            return _at_offset(paginator, request, offset) if offset < total else None
    # A short page is the last one only of a source that was seen to keep to our limit: many cap it silently.
    if answer.items < paginator.limit and walk.full_page:
        return None
    walk.full_page = walk.full_page or answer.items == paginator.limit
    return _at_offset(paginator, request, offset)


def _at_offset(paginator: OffsetPages, request: PageRequest, offset: int) -> PageRequest:
    return PageRequest(request.url, _put(request.params, paginator.offset_param, str(offset)))


def _next_number(paginator: PageNumber, request: PageRequest, answer: PageAnswer) -> PageRequest | None:
    if not answer.items:
        return None
    number = int(dict(request.params)[paginator.page_param])
    total = _count(answer.body, paginator.total_path) if paginator.total_path else None
    if total is not None and number >= paginator.base_page + total - 1:
        return None
    return PageRequest(request.url, _put(request.params, paginator.page_param, str(number + 1)))


def _count(body: bytes, path: str) -> int | None:
    value = page_value(body, path)
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


# -- links -----------------------------------------------------------------------------------------------


def origin_of(url: str) -> str:
    """`https://shop.example.com:443`: scheme, host and port. ValueError when the URL has none of it."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in ("http", "https") or not host:
        raise ValueError(f"{url!r} is not an http or https URL")
    port = parts.port or (443 if scheme == "https" else 80)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def linked(request: PageRequest, link: str) -> PageRequest:
    """A next link, relative or absolute, as a request. UpstreamError page_foreign when it leaves the origin.

    The error names the origin alone: sources write the credentials of the request into their links.
    """
    own, there = origin_of(request.url), "something other than an address"
    try:
        target = urljoin(request.url, link)
        parts = urlsplit(target)
        there = origin_of(target) if parts.username is None else "an address with a user in it"
    except ValueError:
        parts = None
    if parts is None or there != own:
        raise UpstreamError(
            f"the next link leads away from {own}, to {there}",
            code="page_foreign",
            hint="credentials stay with their origin; set base_url of the source to the host that its links name",
        )
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return PageRequest(url, tuple(parse_qsl(parts.query, keep_blank_values=True)))


def link_target(headers: Iterable[tuple[str, str]], rel: str) -> str | None:
    """The target of the first link with this relation, RFC 8288 section 3; None without one."""
    for name, value in headers:
        if name.lower() == "link":
            for target, params in parse_link(value):
                if rel.lower() in params.get("rel", "").lower().split() and not params.get("anchor"):
                    return target
    return None


def parse_link(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(target, parameters) of each link of a header's value. Of a parameter given twice the first counts."""
    at, end = 0, len(value)
    while (start := value.find("<", at)) >= 0:
        close = value.find(">", start)
        if close < 0:
            return
        target, at = value[start + 1 : close].strip(), close + 1
        params: dict[str, str] = {}
        while at < end and value[at] != ",":
            if value[at] == ";" or value[at] in " \t":
                at += 1
                continue
            name, text, at = _link_param(value, at)
            if name:
                params.setdefault(name.lower(), text)
        yield target, params
        at += 1


def _link_param(value: str, at: int) -> tuple[str, str, int]:
    """(name, value, place after) of the parameter that begins at `at`."""
    end = len(value)
    start = at
    while at < end and value[at] not in "=;,":
        at += 1
    name = value[start:at].strip()
    if at >= end or value[at] != "=":
        return name, "", at
    at += 1
    while at < end and value[at] in " \t":
        at += 1
    if at < end and value[at] == '"':
        return _quoted(value, at, name)
    start = at
    while at < end and value[at] not in ";,":
        at += 1
    return name, value[start:at].strip(), at


def _quoted(value: str, at: int, name: str) -> tuple[str, str, int]:
    out: list[str] = []
    at += 1
    while at < len(value) and value[at] != '"':
        if value[at] == "\\" and at + 1 < len(value):
            at += 1
        out.append(value[at])
        at += 1
    return name, "".join(out), at + 1


def header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first header of a name, whatever its case."""
    name = name.lower()
    for one, value in headers:
        if one.lower() == name:
            return value
    return None


def _put(params: Params, name: str, value: str) -> Params:
    """`params` with one name set, at its old place when it had one."""
    if any(one == name for one, _ in params):
        kept = []
        placed = False
        for one, old in params:
            if one != name:
                kept.append((one, old))
            elif not placed:
                kept.append((name, value))
                placed = True
        return tuple(kept)
    return (*params, (name, value))


def _fingerprint(request: PageRequest) -> bytes:
    text = "\0".join((request.url, *(f"{name}\1{value}" for name, value in sorted(request.params))))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
