"""Walks that go in circles, or that begin at the wrong page: how they end, and what is reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.upstream.walks import paginator, params, walked
from tidegate.rules.sync.page_end import MAX_EMPTY_PAGES, End
from tidegate.rules.sync.paginators import PageRequest

COUNT = [0]


def varying(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A page whose bytes differ each time."""
    COUNT[0] += 1
    return {"data": rows, "request_id": COUNT[0], "next": f"t{COUNT[0]}"}


CIRCLES: list[tuple[str, dict[str, Any], Callable[[int], list[dict[str, Any]]], int]] = [
    ("the page parameter is ignored", {"type": "page_number"}, lambda n: [{"id": 1}, {"id": 2}], 2),
    ("the offset is ignored", {"type": "offset", "limit": 2}, lambda n: [{"id": 1}, {"id": 2}], 2),
    ("a fresh token each time", {"type": "cursor", "cursor_path": "next"}, lambda n: [{"id": 1}, {"id": 2}], 2),
    ("rows that carry the time", {"type": "page_number"}, lambda n: [{"id": 1, "at": n}, {"id": 2, "at": n}], 4),
    ("two pages in turn", {"type": "page_number"}, lambda n: [{"id": n % 2}], 3),
    ("rows in another order", {"type": "page_number"}, lambda n: [{"id": n % 3}, {"id": (n + 1) % 3}], 6),
    ("the last page again and again", {"type": "page_number"}, lambda n: [{"id": min(n, 4)}], 5),
]


@pytest.mark.parametrize(("keys", "rows", "most"), [row[1:] for row in CIRCLES], ids=[row[0] for row in CIRCLES])
def test_a_walk_that_shows_the_same_rows_ends_although_the_bodies_differ(
    keys: dict[str, Any], rows: Callable[[int], list[dict[str, Any]]], most: int
) -> None:
    calls = [0]

    def serve(request: PageRequest) -> dict[str, Any]:
        calls[0] += 1
        return varying(rows(calls[0]))

    _, walk, asked = walked(paginator(**keys), serve)
    assert walk.ended_by is End.REPEATED_ROWS
    assert len(asked) <= most


def test_page_two_that_repeats_page_one_is_a_contradiction_and_a_later_repeat_is_the_end() -> None:
    _, first, _ = walked(paginator(type="page_number"), lambda _: {"data": [{"id": 1}]})
    assert not first.complete
    _, later, _ = walked(
        paginator(type="page_number"), lambda request: {"data": [{"id": min(2, int(params(request)["page"]))}]}
    )
    assert later.complete and later.ended_by is End.REPEATED_ROWS


def test_pages_from_one_that_are_asked_for_from_zero_are_all_read_and_this_is_reported() -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        number = max(1, int(params(request)["page"]))
        return {"data": [{"id": number}] if number < 4 else []}

    ids, walk, _ = walked(paginator(type="page_number", base_page=0), serve)
    assert (ids, walk.ended_by, walk.complete) == ([1, 1, 2, 3], End.EMPTY, True)
    assert "write base_page = 1" in walk.contradictions[0]
    _, ignored, asked = walked(paginator(type="page_number", base_page=0), lambda _: varying([{"id": 1}]))
    assert (len(asked), ignored.ended_by, ignored.complete) == (3, End.REPEATED_ROWS, False)


@pytest.mark.parametrize("envelope", [{"total_pages": 3}, {"total": 6}, {"meta": {"total": 6}}], ids=str)
def test_a_page_zero_that_was_not_asked_for_is_reported(envelope: dict[str, Any]) -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        number = int(params(request)["page"])
        return {**envelope, "data": [{"id": 2 * number}, {"id": 2 * number + 1}] if number < 3 else []}

    total = {"total_path": "total_pages"} if "total_pages" in envelope else {}
    _, walk, _ = walked(paginator(type="page_number", **total), serve)
    assert "does the source count pages from 0" in "".join(walk.contradictions)
    ids, right, _ = walked(paginator(type="page_number", base_page=0, **total), serve)
    assert (len(ids), right.contradictions) == (6, [])


def test_an_earlier_page_that_comes_again_is_reported_and_the_last_one_is_not() -> None:
    tokens = paginator(type="cursor", cursor_path="next")
    _, circle, _ = walked(tokens, lambda _: varying([{"id": COUNT[0] % 2}]))
    assert "rows of an earlier page" in circle.contradictions[0]
    COUNT[0] = 0
    _, last, _ = walked(tokens, lambda _: varying([{"id": min(COUNT[0], 2)}]))
    assert last.contradictions == []


def test_a_last_page_that_names_itself_is_the_end_and_its_rows_are_taken() -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        return {"data": [{"id": 2 if "?" in request.url else 1}], "next": "?after=1"}

    ids, walk, _ = walked(paginator(type="json_link"), serve)
    assert (ids, walk.ended_by, walk.complete) == ([1, 2], End.REPEATED_REQUEST, True)


def test_empty_pages_that_always_name_a_next_one_end_with_a_contradiction() -> None:
    _, walk, asked = walked(paginator(type="cursor", cursor_path="next"), lambda _: varying([]))
    assert len(asked) == MAX_EMPTY_PAGES
    assert not walk.complete and walk.ended_by is End.EMPTY_PAGES


def test_a_few_empty_pages_between_others_are_passed() -> None:
    rows = {0: [{"id": 1}], 6: [{"id": 2}]}

    def serve(request: PageRequest) -> dict[str, Any]:
        at = int(params(request).get("cursor", 0))
        return {"data": rows.get(at, []), "next": at + 1 if at < 6 else None}

    assert walked(paginator(type="cursor", cursor_path="next"), serve)[0] == [1, 2]


def test_max_pages_ends_a_walk_as_incomplete() -> None:
    rule = paginator(type="page_number", max_pages=3)
    ids, walk, _ = walked(rule, lambda request: {"data": [{"id": params(request)["page"]}]})
    assert ids == ["1", "2", "3"]
    assert not walk.complete and walk.ended_by is End.MAX_PAGES
