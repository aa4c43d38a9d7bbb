"""`paginator = { type = "auto" }`: which paginator fits the first answer of a list. Pure.

Owns the signs of pagination that APIs have in common: the `Link` header, links and tokens in the body, `has_more`,
totals in headers and body. Knows no request but its parameters. Invariants: a sign is found or is not, nothing is
tried out on the source; what was found is said with its evidence and the TOML that pins it; without a sign the list
has one page, and that is said too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tidegate.rules.sync.paginators.cursor import CursorPages
from tidegate.rules.sync.paginators.header_link import HeaderLink
from tidegate.rules.sync.paginators.json_link import JsonLink
from tidegate.rules.sync.paginators.offset import OffsetPages
from tidegate.rules.sync.paginators.page_number import PageNumber
from tidegate.rules.sync.paginators.single_page import SinglePage

LINKS = (
    "next", "links.next", "_links.next.href", "_links.next", "paging.next", "paging.next.link", "pagination.next",
    "pagination.next_url", "pagination.next_link", "meta.pagination.next", "meta.next",
    "meta.next_page_url", "@odata.nextLink", "odata.nextLink",
    "nextLink", "next_link", "nextPage", "next_page", "next_page_url", "nextPageUrl", "next_url",
    "nextUrl", "nextRecordsUrl", "info.next", "resultSet.next", "page.next",
)  # fmt: skip
# Where a token is, and the parameter that takes it.
TOKENS = {
    "next_cursor": "cursor", "nextCursor": "cursor", "meta.next_cursor": "cursor", "meta.nextCursor": "cursor",
    "pagination.next_cursor": "cursor", "pagination.nextCursor": "cursor", "pagination.cursor": "cursor",
    "response_metadata.next_cursor": "cursor", "meta.cursor.next": "cursor", "paging.cursors.after": "after",
    "paging.next.after": "after", "meta.page.after": "page[after]", "page.after": "after", "after": "after",
    "nextPageToken": "pageToken", "next_page_token": "page_token", "pagination.nextPageToken": "pageToken",
    "meta.nextPageToken": "pageToken", "meta.next_page_token": "page_token", "pagination.next_page_token": "page_token",
    "nextToken": "nextToken", "NextToken": "NextToken", "next_token": "next_token",
    "meta.next_token": "pagination_token",
    "continuationToken": "continuationToken", "continuation_token": "continuation_token", "next_offset": "offset",
    "cursor": "cursor", "offset": "offset",
}  # fmt: skip
MORE = ("has_more", "hasMore", "has_next", "hasNext", "meta.has_more", "pagination.has_more", "pagination.hasMore",
        "more", "page_info.has_next_page", "pageInfo.hasNextPage", "meta.has_next_page",
        "moreItemsInCollection")  # fmt: skip
PAGE_TOTALS = ("total_pages", "totalPages", "pages", "last_page", "page_count", "pageCount", "meta.total_pages",
               "meta.last_page", "meta.totalPages", "meta.pagination.total_pages", "meta.pagination.pages",
               "pagination.total_pages", "pagination.totalPages", "pagination.pages", "info.pages")  # fmt: skip
PAGE_TOTAL_HEADERS = ("x-total-pages", "x-wp-totalpages", "x-pagination-total-pages", "x-pagination-page-count")
ROW_TOTALS = ("total", "total_count", "totalCount", "count", "meta.total", "meta.total_count", "pagination.total",
              "paging.total", "total_results", "totalResults", "totalSize")  # fmt: skip
ROW_TOTAL_HEADERS = ("x-total-count", "x-total", "x-pagination-total-count")
OFFSETS = ("offset", "meta.offset", "pagination.offset", "paging.offset", "startAt", "skip", "start")
_PAGE_PARAMS = ("page", "page[number]", "pageNumber", "page_number", "p")
_OFFSET_PARAMS = {"startAt": "startAt", "skip": "skip", "start": "start"}
_LIMIT_PARAMS = ("limit", "per_page", "page_size", "pageSize", "maxResults", "count", "top", "$top", "size")

Found = HeaderLink | JsonLink | CursorPages | OffsetPages | PageNumber | SinglePage


class Detected(msgspec.Struct, frozen=True):
    """`evidence` in words; `pin` is the line of TOML that makes it explicit."""

    paginator: Found
    evidence: str
    pin: str


def detect(
    headers: Iterable[tuple[str, str]], body: Any, params: Mapping[str, str], rows: int, key: str = "id"
) -> Detected:
    """The paginator of a list by its first answer. `body` is parsed, `params` are those of the request.

    `key`: the field of a row that is its key, for sources whose next page begins after the last row.
    """
    known = {name.lower(): value for name, value in headers}
    for found in (
        _by_header_link(known), *_by_link(body), _by_token(body, params), _by_last_row(body, rows, key),
        _by_pages(known, body, params), _by_rows(known, body, params, rows),
    ):  # fmt: skip
        if found is not None:
            return found
    return _detected(SinglePage(), "no sign of a next page: neither a link, a token, has_more nor a total")


def _by_header_link(headers: Mapping[str, str]) -> Detected | None:
    link = headers.get("link", "")
    if 'rel="next"' in link or "rel=next" in link:
        return _detected(HeaderLink(), 'a Link header with rel="next"')
    if 'rel="last"' in link or 'rel="first"' in link or 'rel="prev"' in link:
        return _detected(HeaderLink(), "a Link header, on the last page without rel=next")
    return None


def _by_link(body: Any) -> Iterator[Detected | None]:
    """Links with a value first; a link that is null on the only page is a sign too."""
    for path in LINKS:
        value = at(body, path)
        if isinstance(value, dict) and isinstance(value.get("href"), str):
            value = value["href"]
        if isinstance(value, str) and _is_link(value):
            yield _detected(JsonLink(next_url_path=path), f"a link at {path!r}")
    for path in LINKS:
        missing = path not in ("nextPage", "next_page") and at(body, path) is None and _has(body, path)
        if missing and _by_token(body, {}) is None:
            yield _detected(JsonLink(next_url_path=path), f"null at {path!r}, where a next link would be")


def _by_token(body: Any, params: Mapping[str, str]) -> Detected | None:
    for path, param in TOKENS.items():
        value = at(body, path)
        if value is None or isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            continue
        if path == "offset" and not isinstance(value, str):
            continue  # a number that says where this page begins
        if path in ("cursor", "after") and params.get(param) == str(value):
            continue  # the token of this page, repeated
        more = _more_path(body)
        return _detected(
            CursorPages(cursor_path=path, cursor_param=param, has_more_path=more), f"a page token at {path!r}"
        )
    for path, param in TOKENS.items():
        if path not in ("after", "cursor", "offset", "next_offset") and _has(body, path):
            return _detected(
                CursorPages(cursor_path=path, cursor_param=param), f"nothing at {path!r}, where a token would be"
            )
    return None


def _by_last_row(body: Any, rows: int, key: str) -> Detected | None:
    """Stripe's way: `has_more`, and the next page begins after the key of the last row."""
    path = _more_path(body)
    if not path or not isinstance(at(body, "data"), list) or at(body, "object") != "list":
        return None
    return _detected(
        CursorPages(cursor_from_last=key, cursor_param="starting_after", has_more_path=path),
        f"{path!r} beside a list of objects, and no link or token",
    )


def _by_pages(headers: Mapping[str, str], body: Any, params: Mapping[str, str]) -> Detected | None:
    param = next((one for one in _PAGE_PARAMS if one in params), "page")
    for name in PAGE_TOTAL_HEADERS:
        if headers.get(name, "").isdecimal():
            return _detected(PageNumber(page_param=param, total_header=name), f"a number of pages in the header {name}")
    for path in PAGE_TOTALS:
        if _is_count(at(body, path)):
            return _detected(PageNumber(page_param=param, total_path=path), f"a number of pages at {path!r}")
    return None


def _by_rows(headers: Mapping[str, str], body: Any, params: Mapping[str, str], rows: int) -> Detected | None:
    """A total number of rows: by offset where the answer or the request names one, else by page number."""
    header = next((name for name in ROW_TOTAL_HEADERS if headers.get(name, "").isdecimal()), "")
    path = next((one for one in ROW_TOTALS if _is_count(at(body, one))), "")
    offset = next((one for one in OFFSETS if _is_count(at(body, one))), "")
    if not offset and not any(name in params for name in ("offset", "skip", "startAt", "start")):
        return None
    limit_param = next((one for one in _LIMIT_PARAMS if one in params), "limit")
    limit = int(params[limit_param]) if params.get(limit_param, "").isdecimal() else max(rows, 1)
    name = offset.rpartition(".")[2] or next(one for one in ("offset", "skip", "startAt", "start") if one in params)
    found = OffsetPages(
        limit=limit, limit_param=limit_param, offset_param=_OFFSET_PARAMS.get(name, name),
        total_path="" if header else path, total_header=header,
    )  # fmt: skip
    return _detected(found, f"an offset at {offset!r}" if offset else f"the parameter {name!r} of the request")


def at(body: Any, path: str) -> Any:
    """The value at a dotted path of an object; None when it is not there. A name may have dots itself."""
    if not isinstance(body, dict):
        return None
    if path in body:
        return body[path]
    name, _, rest = path.partition(".")
    return at(body.get(name), rest) if rest else None


def _has(body: Any, path: str) -> bool:
    """Whether the last name of a path is there, with any value."""
    name, _, last = path.rpartition(".")
    holder = at(body, name) if name else body
    return isinstance(holder, dict) and (last in holder or (isinstance(body, dict) and path in body))


def _more_path(body: Any) -> str:
    return next((path for path in MORE if isinstance(at(body, path), bool)), "")


def _is_link(value: str) -> bool:
    return value.startswith(("http://", "https://", "/", "?")) and len(value) > 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _detected(paginator: Found, evidence: str) -> Detected:
    return Detected(paginator, evidence, pin(paginator))


def pin(paginator: Any) -> str:
    """The line of TOML of a paginator, without the keys that have their defaults."""
    pairs = msgspec.to_builtins(paginator).items()
    return f"paginator = {{ {', '.join(f'{name} = {msgspec.json.encode(value).decode()}' for name, value in pairs)} }}"
