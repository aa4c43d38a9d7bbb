"""When a walk over pages ends: every rule of the table in `rules/sync/page_end.py`, with the siblings of each."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.upstream.walks import URL, Answer, paginator, params, walked
from tidegate.core.errors import UpstreamError
from tidegate.rules.sync.links import link_target
from tidegate.rules.sync.page_end import End, PageWalk
from tidegate.rules.sync.paginators import (
    PageRequest,
    ends_by_status,
)

# -- tokens of any type and any name ---------------------------------------------------------------------

TOKENS: list[tuple[str, Any, str]] = [
    ("text", "abc", "abc"),
    ("text with separators", "a&b=c d+e", "a&b=c d+e"),
    ("a whole number", 17, "17"),
    ("a large number", 12345678901234567890, "12345678901234567890"),
    ("a number with a fraction", 1764000000.5, "1764000000.5"),
    ("zero", 0, "0"),
    ("an object", {"pk": "a", "sk": 2}, '{"pk":"a","sk":2}'),
    ("a list", [1764000000, "2"], '[1764000000,"2"]'),
]


@pytest.mark.parametrize(("token", "sent"), [row[1:] for row in TOKENS], ids=[row[0] for row in TOKENS])
def test_a_page_token_of_any_json_type_is_sent_as_it_was_written(token: Any, sent: str) -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        if not request.params:
            return {"data": [{"id": 1}], "next": token}
        assert params(request) == {"cursor": sent}
        return {"data": [{"id": 2}], "next": None}

    ids, walk, _ = walked(paginator(type="cursor", cursor_path="next"), serve)
    assert (ids, walk.ended_by, walk.complete) == ([1, 2], End.NO_TOKEN, True)


@pytest.mark.parametrize("token", [None, "", False, [], {}, {"cursor": None}], ids=repr)
def test_every_form_of_no_page_token_is_the_end(token: Any) -> None:
    ids, walk, _ = walked(paginator(type="cursor", cursor_path="next"), lambda _: {"data": [{"id": 1}], "next": token})
    assert (ids, walk.ended_by) == ([1], End.NO_TOKEN)


def test_true_in_place_of_a_page_token_is_an_error_that_names_has_more_path() -> None:
    with pytest.raises(UpstreamError, match="has_more_path"):
        walked(paginator(type="cursor", cursor_path="more"), lambda _: {"data": [{"id": 1}], "more": True})


NAMES = [
    ("next", {"next": "t"}),
    ("@odata.nextLink", {"@odata.nextLink": "t"}),
    ('["@odata.nextLink"]', {"@odata.nextLink": "t"}),
    ("$.meta.next", {"meta": {"next": "t"}}),
    ("meta.page.next", {"meta": {"page.next": "t"}}),
    ("meta['page.next'].token", {"meta": {"page.next": {"token": "t"}}}),
    ("links.0.token", {"links": [{"token": "t"}]}),
    ("links[-1].token", {"links": [{}, {"token": "t"}]}),
    ("links.-1.token", {"links": [{}, {"token": "t"}]}),
    ("a.b", {"a.b": "t", "a": {"b": "not this one"}}),
    ('"a b".c', {"a b": {"c": "t"}}),
]


@pytest.mark.parametrize(("path", "envelope"), NAMES, ids=[row[0] for row in NAMES])
def test_a_page_token_is_found_under_any_name(path: str, envelope: dict[str, Any]) -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        return {"data": [{"id": 2}]} if request.params else {"data": [{"id": 1}], **envelope}

    ids, _, asked = walked(paginator(type="cursor", cursor_path=path), serve)
    assert ids == [1, 2]
    assert params(asked[1]) == {"cursor": "t"}


LINKS: list[tuple[str, Any]] = [
    ("text", "/rows?p=2"),
    ("an absolute address", URL + "?p=2"),
    ("a link object of JSON:API", {"href": URL + "?p=2", "meta": {}}),
    ("a link object with url", {"url": "?p=2"}),
    ("a link inside a link", {"next": {"href": "?p=2"}}),
    ("a list with rel", [{"rel": "self", "href": "?p=1"}, {"rel": "next", "href": "?p=2"}]),
    ("a list with relation, as FHIR has it", [{"relation": "next", "url": "?p=2"}]),
]


@pytest.mark.parametrize("link", [row[1] for row in LINKS], ids=[row[0] for row in LINKS])
def test_a_next_link_of_any_form_is_followed(link: Any) -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        return {"data": [{"id": 2}], "next": None} if "?" in request.url else {"data": [{"id": 1}], "next": link}

    ids, walk, asked = walked(paginator(type="json_link"), serve)
    assert (ids, asked[1].url, walk.ended_by) == ([1, 2], URL + "?p=2", End.NO_LINK)


def test_a_link_that_says_it_leads_to_nothing_is_not_followed() -> None:
    """Sentry sends a next link on every page."""
    for some, wanted in (("true", "/rows?cursor=2"), ("false", None)):
        value = f'</rows?cursor=0>; rel="previous"; results="false", </rows?cursor=2>; rel="next"; results="{some}"'
        assert link_target([("link", value)], "next") == wanted


def test_a_blank_in_a_next_link_is_encoded() -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        return {"data": [{"id": 2}]} if "?" in request.url else {"data": [{"id": 1}], "next": "?q=a b "}

    assert walked(paginator(type="json_link"), serve)[2][1].url == f"{URL}?q=a%20b"


@pytest.mark.parametrize("link", [None, "", False, {}, [], {"href": None}, [{"rel": "self", "href": "?p=1"}]], ids=repr)
def test_every_form_of_no_next_link_is_the_end(link: Any) -> None:
    assert walked(paginator(type="json_link"), lambda _: {"data": [{"id": 1}], "next": link})[0] == [1]


@pytest.mark.parametrize("link", [True, 5, {"page": 2}, [1, 2]], ids=repr)
def test_a_next_link_that_is_not_a_link_is_an_error(link: Any) -> None:
    with pytest.raises(UpstreamError, match="not a link"):
        walked(paginator(type="json_link"), lambda _: {"data": [{"id": 1}], "next": link})


@pytest.mark.parametrize("query", ["cursor=%FF%E9", "abc123%3D%3D", "a=b+c%20d", "flag&x=", "q=a%2Fb/c", "=", "a&a&a"])
def test_a_next_link_is_asked_byte_for_byte(query: str) -> None:
    def serve(request: PageRequest) -> Answer:
        return ([{"id": 1}], {"link": f'<{URL}?{query}>; rel="next"'}) if "?" not in request.url else ([{"id": 2}], {})

    _, _, asked = walked(paginator(type="header_link"), serve)
    assert (asked[1].url, asked[1].params) == (f"{URL}?{query}", ())


@pytest.mark.parametrize(
    "link", ["https://evil.example.com/rows", "http://api.example.com/rows", "//evil.example.com/"]
)
def test_a_next_link_to_another_origin_is_an_error(link: str) -> None:
    with pytest.raises(UpstreamError, match="leads away"):
        walked(paginator(type="json_link"), lambda _: {"data": [{"id": 1}], "next": link})


# -- the last item as cursor, has_more -------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{"cursor_from_last": "id"}, {"cursor_path": "data.-1.id"}], ids=["from_last", "path"])
def test_the_last_item_can_be_the_cursor(keys: dict[str, str]) -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        at = int(params(request).get("after", 0))
        return {"data": [{"id": i} for i in (at + 1, at + 2) if i <= 5]}

    ids, walk, _ = walked(paginator(type="cursor", cursor_param="after", **keys), serve)
    assert (ids, walk.ended_by) == ([1, 2, 3, 4, 5], End.NO_TOKEN)


@pytest.mark.parametrize(
    ("path", "more", "end"),
    [("more", True, False), ("more", "true", "false"), ("left", 3, 0), ("!done", False, True), ("m.more", {}, {})],
)
def test_has_more_path_decides_the_end(path: str, more: Any, end: Any) -> None:
    def serve(request: PageRequest) -> dict[str, Any]:
        last = params(request).get("after") == "2"
        said = {path.removeprefix("!"): end if last else more}
        if path == "m.more":
            said = {"m": {"more": not last}}
        return {"data": [{"id": 3}] if last else [{"id": 1}, {"id": 2}], **said}

    rule = paginator(type="cursor", cursor_param="after", cursor_from_last="id", has_more_path=path)
    ids, walk, asked = walked(rule, serve)
    assert (ids, walk.ended_by, walk.complete, len(asked)) == ([1, 2, 3], End.HAS_MORE, True, 2)


def test_more_that_leads_nowhere_is_a_contradiction() -> None:
    rule = paginator(type="cursor", cursor_path="next", has_more_path="more")
    _, walk, _ = walked(rule, lambda _: {"data": [{"id": 1}], "more": True})
    assert not walk.complete and "nothing leads there" in walk.contradictions[0]


def test_a_has_more_path_that_selects_nothing_is_reported_and_the_other_rules_decide() -> None:
    rule = paginator(type="cursor", cursor_path="next", has_more_path="mroe")
    _, walk, _ = walked(rule, lambda _: {"data": [{"id": 1}], "more": False})
    assert walk.ended_by is End.NO_TOKEN and "has_more_path" in walk.contradictions[0]


# -- offsets and numbers: totals, holes, bases -----------------------------------------------------------


def offset_source(rows: int, cap: int = 100, base: int = 0, total: Any = None, holes: tuple[int, ...] = ()) -> Any:
    def serve(request: PageRequest) -> dict[str, Any]:
        asked = params(request)
        at, limit = max(0, int(asked["offset"]) - base), min(cap, int(asked["limit"]))
        found = [{"id": i} for i in range(at, min(rows, at + limit)) if i not in holes]
        return {"data": found, **({} if total is None else {"total": total})}

    return serve


OFFSETS: list[tuple[str, Any, dict[str, Any], int, End]] = [
    ("short last page", offset_source(5), {}, 5, End.SHORT),
    ("full last page", offset_source(4), {}, 4, End.EMPTY),
    ("nothing", offset_source(0), {}, 0, End.EMPTY),
    ("one short page", offset_source(1), {}, 1, End.EMPTY),
    ("the source caps the limit", offset_source(7, cap=1), {}, 7, End.EMPTY),
    ("a total", offset_source(5, total=5), {"total_path": "total"}, 5, End.TOTAL),
    ("a total as text", offset_source(5, total="5"), {"total_path": "total"}, 5, End.TOTAL),
    ("a total and a cap", offset_source(7, cap=1, total=7), {"total_path": "total"}, 7, End.TOTAL),
    ("a total and a hole", offset_source(6, total=6, holes=(2, 3)), {"total_path": "total"}, 4, End.TOTAL),
    ("a hole at the end", offset_source(6, total=6, holes=(4, 5)), {"total_path": "total"}, 4, End.TOTAL),
    ("the total of the page only", offset_source(5, total=2), {"total_path": "total"}, 5, End.SHORT),
    ("a total of zero", offset_source(5, total=0), {"total_path": "total"}, 5, End.SHORT),
    ("a total that is not a number", offset_source(5, total="many"), {"total_path": "total"}, 5, End.SHORT),
    ("base 1", offset_source(5, base=1), {"base_offset": 1}, 5, End.SHORT),
    ("base 1 and a total", offset_source(6, base=1, total=6), {"base_offset": 1, "total_path": "total"}, 6, End.TOTAL),
]


@pytest.mark.parametrize(
    ("serve", "keys", "rows", "end"), [row[1:] for row in OFFSETS], ids=[row[0] for row in OFFSETS]
)
def test_offset_pages_show_every_row(serve: Any, keys: dict[str, Any], rows: int, end: End) -> None:
    ids, walk, _ = walked(paginator(type="offset", limit=2, **keys), serve)
    assert len(set(ids)) == rows
    assert walk.ended_by is end


@pytest.mark.parametrize(("rows", "end"), [(5, End.SHORT), (4, End.EMPTY), (0, End.EMPTY)])
def test_an_offset_in_a_query_shows_every_row(rows: int, end: End) -> None:
    asked = re.compile(r"SELECT \* FROM Invoice STARTPOSITION (\d+) MAXRESULTS 2")

    def serve(request: PageRequest) -> dict[str, Any]:
        match = asked.fullmatch(params(request)["query"])
        assert match is not None, request
        at = int(match[1]) - 1
        return {"data": [{"id": n} for n in range(at, min(rows, at + 2))]}

    ids, walk, _ = walked(
        paginator(type="offset_in_query", limit=2), serve, params=(("query", "SELECT * FROM Invoice"),)
    )
    assert (ids, walk.ended_by) == (list(range(rows)), end)


def test_the_own_offset_and_limit_of_a_resource_stay() -> None:
    rule = paginator(type="offset", offset_param="startIndex", limit_param="count", total_path="totalResults")

    def serve(request: PageRequest) -> dict[str, Any]:
        at, count = max(1, int(params(request)["startIndex"])), int(params(request)["count"])
        rows = [{"id": f"u{i}"} for i in range(at, min(6, at + count - 1) + 1)]
        return {"totalResults": 6, "data": rows}

    ids, walk, asked = walked(rule, serve, params=(("startIndex", "1"), ("count", "4")))
    assert ids == [f"u{i}" for i in range(1, 7)]
    assert [params(one)["startIndex"] for one in asked] == ["1", "5"]
    assert walk.contradictions == []


def test_a_source_that_counts_from_one_shows_its_last_row_although_the_base_is_not_configured() -> None:
    rule = paginator(type="offset", limit=2, offset_param="startIndex", limit_param="count", total_path="total")

    def serve(request: PageRequest) -> dict[str, Any]:
        at, count = max(1, int(params(request)["startIndex"])), int(params(request)["count"])
        return {"total": 6, "data": [{"id": i} for i in range(at, min(6, at + count - 1) + 1)]}

    ids, walk, _ = walked(rule, serve)
    assert set(ids) == {1, 2, 3, 4, 5, 6}
    assert walk.ended_by is End.TOTAL


def test_a_total_above_the_rows_that_came_is_reported() -> None:
    _, walk, _ = walked(paginator(type="offset", limit=2, total_path="total"), offset_source(6, total=6, holes=(2,)))
    assert "6 rows, and 5 different ones came" in walk.contradictions[0]


def test_a_total_below_the_rows_that_came_is_reported() -> None:
    _, walk, _ = walked(paginator(type="offset", limit=2, total_path="total"), offset_source(5, total=3))
    assert "total of 3 rows, and 4 were read" in walk.contradictions[0]


def number_source(pages: dict[int, list[int]], total: int | None = None) -> Any:
    def serve(request: PageRequest) -> dict[str, Any]:
        rows = pages.get(int(params(request)["page"]), [])
        return {"data": [{"id": i} for i in rows], **({} if total is None else {"total_pages": total})}

    return serve


NUMBERS: list[tuple[str, Any, dict[str, Any], list[int], End]] = [
    ("empty page", number_source({1: [1], 2: [2]}), {}, [1, 2], End.EMPTY),
    ("total", number_source({1: [1], 2: [2]}, 2), {"total_path": "total_pages"}, [1, 2], End.TOTAL),
    ("a hole", number_source({1: [1], 3: [3], 4: [4]}, 4), {"total_path": "total_pages"}, [1, 3, 4], End.TOTAL),
    ("an empty first page", number_source({2: [2]}, 2), {"total_path": "total_pages"}, [2], End.TOTAL),
    ("stop_on_empty", number_source({1: [1], 3: [3]}, 3), {"total_path": "total_pages", "stop_on_empty": True}, [1],
     End.EMPTY),
    ("total too low", number_source({1: [1], 2: [2], 3: [3]}, 0), {"total_path": "total_pages"}, [1, 2, 3], End.EMPTY),
    ("base 0", number_source({0: [1], 1: [2]}, 2), {"total_path": "total_pages", "base_page": 0}, [1, 2], End.TOTAL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("serve", "keys", "rows", "end"), [row[1:] for row in NUMBERS], ids=[row[0] for row in NUMBERS]
)
def test_numbered_pages_show_every_row(serve: Any, keys: dict[str, Any], rows: list[int], end: End) -> None:
    ids, walk, _ = walked(paginator(type="page_number", **keys), serve)
    assert (ids, walk.ended_by) == (rows, end)


def test_totals_may_be_in_headers() -> None:
    def serve(request: PageRequest) -> Answer:
        at = int(params(request)["offset"])
        return [{"id": i} for i in range(at, min(5, at + 2))], {"content-range": f"items {at}-{at + 1}/5"}

    ids, walk, _ = walked(paginator(type="offset", limit=2, total_header="Content-Range"), serve)
    assert (ids, walk.ended_by) == ([0, 1, 2, 3, 4], End.TOTAL)


# -- statuses past the end -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "status", "last", "largest", "ends", "complete"),
    [
        ("page_number", 404, 1, 2, True, True),
        ("page_number", 404, 2, 2, True, True),
        ("page_number", 400, 1, 2, True, True),
        ("page_number", 422, 0, 2, True, True),
        ("page_number", 416, 1, 2, True, True),
        ("page_number", 400, 2, 2, True, False),  # a full page before: it may be a limit of the source
        ("offset", 400, 1, 2, True, True),
        ("page_number", 500, 1, 2, False, True),
        ("page_number", 403, 1, 2, False, True),
        ("cursor", 404, 1, 2, True, False),
        ("cursor", 400, 1, 2, False, True),
        ("json_link", 422, 1, 2, False, True),
    ],
)
def test_a_status_past_the_last_page(
    type_: str, status: int, last: int, largest: int, ends: bool, complete: bool
) -> None:
    walk = PageWalk(pages=2, last=last, largest=largest)
    assert ends_by_status(paginator(type=type_), status, walk) is ends
    assert walk.complete is complete
    assert not ends_by_status(paginator(type=type_), status, PageWalk()), "the first page is never past the end"


# -- tokens and numbers in the body ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "body", "sent"),
    [
        ({"type": "cursor", "cursor_path": "next", "cursor_body_path": "page.after"}, {"q": 1},
         [{"q": 1}, {"q": 1, "page": {"after": [1, "a"]}}]),
        ({"type": "offset", "limit": 1, "offset_body_path": "from", "limit_body_path": "size"}, {"q": 1},
         [{"q": 1, "size": 1, "from": 0}, {"q": 1, "size": 1, "from": 1}, {"q": 1, "size": 1, "from": 2}]),
        ({"type": "page_number", "page_body_path": "p.n"}, {},
         [{"p": {"n": 1}}, {"p": {"n": 2}}, {"p": {"n": 3}}]),
    ],
)  # fmt: skip
def test_tokens_offsets_and_numbers_may_be_in_the_body(keys: dict[str, Any], body: Any, sent: list[Any]) -> None:
    calls = [0]

    def serve(request: PageRequest) -> dict[str, Any]:
        calls[0] += 1
        if keys["type"] == "cursor":
            return {"data": [{"id": calls[0]}], "next": [1, "a"] if calls[0] == 1 else None}
        return {"data": [{"id": calls[0]}] if calls[0] < 3 else []}

    _, _, asked = walked(paginator(**keys), serve, body=body)
    assert [one.body for one in asked] == sent
