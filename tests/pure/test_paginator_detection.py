"""`paginator = { type = "auto" }`: the signs of the first page name the paginator; without one nothing is guessed."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest

from tidegate.rules.sync.page_end import End, PageWalk
from tidegate.rules.sync.paginators import KINDS, AnyPaginator, PageAnswer, PageRequest, first_request, next_page
from tidegate.rules.sync.paginators.auto import AutoPages
from tidegate.rules.sync.paginators.cursor import CursorPages
from tidegate.rules.sync.paginators.detect import detect
from tidegate.rules.sync.paginators.header_link import HeaderLink
from tidegate.rules.sync.paginators.json_link import JsonLink
from tidegate.rules.sync.paginators.offset import OffsetPages
from tidegate.rules.sync.paginators.page_number import PageNumber
from tidegate.rules.sync.paginators.single_page import SinglePage

ROWS = [{"id": 1}, {"id": 2}]
CASES: list[tuple[list[tuple[str, str]], Any, dict[str, str], Any]] = [
    ([("Link", '<https://x/?page=2>; rel="next"')], ROWS, {}, HeaderLink()),
    ([("link", '<https://x/?page=1>; rel="first"')], ROWS, {}, HeaderLink()),
    ([], {"results": ROWS, "next": "https://x/?page=2", "count": 9}, {}, JsonLink(next_url_path="next")),
    ([], {"value": ROWS, "@odata.nextLink": "https://x/?t=1"}, {}, JsonLink(next_url_path="@odata.nextLink")),
    ([], {"items": ROWS, "_links": {"next": {"href": "/x?p=2"}}}, {}, JsonLink(next_url_path="_links.next.href")),
    ([], {"records": ROWS, "nextRecordsUrl": "/q/1-2000"}, {}, JsonLink(next_url_path="nextRecordsUrl")),
    ([], {"results": ROWS, "next": None, "count": 2}, {}, JsonLink(next_url_path="next")),
    (
        [], {"results": ROWS, "paging": {"next": {"after": "2", "link": "https://x"}}}, {},
        JsonLink(next_url_path="paging.next.link"),
    ),
    (
        [], {"results": ROWS, "paging": {"next": {"after": "2"}}}, {},
        CursorPages(cursor_path="paging.next.after", cursor_param="after"),
    ),
    (
        [], {"ok": True, "messages": ROWS, "has_more": True, "response_metadata": {"next_cursor": "x="}}, {},
        CursorPages(cursor_path="response_metadata.next_cursor", cursor_param="cursor", has_more_path="has_more"),
    ),
    (
        [], {"items": ROWS, "nextPageToken": "t"}, {},
        CursorPages(cursor_path="nextPageToken", cursor_param="pageToken"),
    ),
    (
        [], {"object": "list", "data": ROWS, "has_more": True}, {},
        CursorPages(cursor_from_last="id", cursor_param="starting_after", has_more_path="has_more"),
    ),
    ([], {"items": ROWS, "page": 1, "total_pages": 3}, {}, PageNumber(total_path="total_pages")),
    ([("X-WP-TotalPages", "3")], ROWS, {}, PageNumber(total_header="x-wp-totalpages")),
    (
        [], {"items": ROWS, "offset": 0, "limit": 2, "total": 9}, {"limit": "2"},
        OffsetPages(limit=2, total_path="total"),
    ),
    (
        [], {"issues": ROWS, "startAt": 0, "maxResults": 2, "total": 9}, {},
        OffsetPages(limit=2, offset_param="startAt", total_path="total"),
    ),
    ([("X-Total-Count", "9")], ROWS, {"offset": "0"}, OffsetPages(limit=2, total_header="x-total-count")),
    ([], ROWS, {}, SinglePage()),
    ([], {"items": ROWS, "count": 2}, {}, SinglePage()),
    ([], {"items": ROWS, "next_page": 2}, {}, SinglePage()),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "body", "params", "expected"), CASES)
def test_the_first_page_shows_the_paginator(
    headers: list[tuple[str, str]], body: Any, params: dict[str, str], expected: Any
) -> None:
    found = detect(headers, body, params, 2)
    assert found.paginator == expected
    assert found.evidence


@pytest.mark.parametrize(("headers", "body", "params", "expected"), CASES)
def test_the_line_that_pins_it_is_the_same_paginator(
    headers: list[tuple[str, str]], body: Any, params: dict[str, str], expected: Any
) -> None:
    pinned = tomllib.loads(detect(headers, body, params, 2).pin)["paginator"]
    assert msgspec.convert(pinned, AnyPaginator) == expected


def walk_of(paginator: Any, pages: list[Any]) -> tuple[list[PageRequest], PageWalk]:
    """The requests that a walk over these bodies makes."""
    walk = PageWalk()
    request: PageRequest | None = first_request(paginator, PageRequest("https://x.example/items", (("limit", "2"),)))
    requests = []
    for body in pages:
        assert request is not None
        requests.append(request)
        rows = body["items"]
        walk.note_rows({hash(str(row)) for row in rows}, hash(str(rows)), unique=True)
        request = next_page(paginator, request, PageAnswer([], msgspec.json.encode(body), len(rows)), walk)
    assert request is None
    return requests, walk


def test_auto_walks_by_what_it_found_and_says_how_to_pin_it() -> None:
    pages = [{"items": [{"id": 1}, {"id": 2}], "nextCursor": "a"}, {"items": [{"id": 3}]}]
    requests, walk = walk_of(AutoPages(), pages)
    assert requests[1].params == (("limit", "2"), ("cursor", "a"))
    assert walk.ended_by is End.NO_TOKEN
    assert 'paginator = { type = "cursor", cursor_path = "nextCursor" }' in walk.found_by


@pytest.mark.parametrize("extra", [{"total_pages": 2}, {"offset": 0, "total": 4}])
def test_auto_goes_on_from_the_page_that_was_read(extra: dict[str, int]) -> None:
    pages = [{"items": [{"id": 1}, {"id": 2}], **extra}, {"items": [{"id": 3}, {"id": 4}], **extra}]
    requests, walk = walk_of(AutoPages(), pages)
    assert dict(requests[1].params).get("page", dict(requests[1].params).get("offset")) == "2"
    assert walk.ended_by is End.TOTAL
    assert walk.contradictions == []


def test_auto_keeps_the_limit_of_pages_that_the_resource_sets() -> None:
    pages = [{"items": [{"id": n}], "nextCursor": str(n)} for n in range(2)]
    _, walk = walk_of(AutoPages(max_pages=2), pages)
    assert walk.ended_by is End.MAX_PAGES


def test_every_paginator_is_a_file_with_its_keys_described() -> None:
    assert len(KINDS) >= 8
    for name, kind in KINDS.items():
        assert kind.name == name
        assert set(kind.keys) == set(kind.spec.__struct_fields__)
