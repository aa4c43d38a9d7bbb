"""Pages of a source as they come: what is not JSON to the letter is read as everybody else reads it, or refused."""

from __future__ import annotations

import msgspec
import pytest

from tidegate.rules.sync.canonical import without
from tidegate.rules.sync.items import (
    ErrorBody,
    cursor_value,
    decoded,
    item_value,
    key_parts,
    page_value,
    read_page,
    record_key,
    row_key,
    unwrap,
)
from tidegate.rules.sync.paths import compiled
from tidegate.rules.sync.spec import Resource

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("page", "selector"),
    [
        (BOM + b'[{"id": 7}]', ""),
        (BOM + b' {"orders": [{"id": 7}], "next": "x"}', "orders"),
        (BOM + b'{"orders": [{"id": 7}]}', ""),
        (BOM + b'{"orders": [{"id": 7, "name": "\\ud83d"}]}', "orders"),
        (b'[{"id": 1, "id": 7}]', ""),  # of two the last, as nearly everywhere
        (b'[{"id": 7.0}]', ""),
    ],
)
def test_a_page_with_a_byte_order_mark_or_half_an_emoji_has_its_items(page: bytes, selector: str) -> None:
    (item,) = read_page(200, page, Resource(path="/x", data_selector=selector)).rows
    assert record_key(item_value(item), "id") == "7"
    assert page_value(BOM + b'{"next": "x"}', "next") == "x"


@pytest.mark.parametrize(
    "page",
    [
        b"\x00", '[{"id": 1}]'.encode("utf-16"), b"[" * 100_000, b'{"a":' * 100_000, b"[NaN]", b"[1e999",
        b'[{"id": "\\ud800", "n": ' + b"9" * 5000 + b"}]", b'{"a": [], "b": []}', b'"text"', b"\xff",
    ],
)  # fmt: skip
def test_a_page_that_is_none_is_a_value_error(page: bytes) -> None:
    def read() -> list[object]:
        return [item_value(item) for item in read_page(200, page, Resource(path="/x")).rows]

    with pytest.raises(ValueError):
        read()


def resource(**keys: object) -> Resource:
    return msgspec.convert({"path": "/x", **keys}, Resource)


EMPTY: list[tuple[str, int, bytes, str]] = [
    ("a list", 200, b'{"users": []}', "[]"),
    ("null", 200, b'{"users": null, "total": 0}', "null"),
    ("an empty object for an empty list", 200, b'{"users": {}}', "{}"),
    ("an empty text for an empty list", 200, b'{"users": ""}', '""'),
    ("false for an empty list", 200, b'{"users": false}', "false"),
    ("the key is absent", 200, b'{"resultSizeEstimate": 0}', "absent"),
    ("an empty object", 200, b"{}", "absent"),
    ("204", 204, b"", "204"),
    ("205", 205, b"", "205"),
    ("an empty body", 200, b"", "empty body"),
    ("blanks", 200, b" \r\n", "empty body"),
    ("a byte order mark", 200, BOM, "empty body"),
    ("null in place of the page", 200, b" null", "null"),
    ("a list in place of the page", 200, b"[]", "[]"),
    ("a status that means empty", 404, b'{"error": "none"}', "404"),
]


@pytest.mark.parametrize(("status", "body", "form"), [row[1:] for row in EMPTY], ids=[row[0] for row in EMPTY])
def test_every_form_of_an_empty_list_is_empty_and_named(status: int, body: bytes, form: str) -> None:
    page = read_page(status, body, resource(data_selector="users", empty=[404]))
    assert (list(page.rows), page.empty_form) == ([], form)


NOT_A_LIST: list[tuple[str, bytes, str, str]] = [
    ("an error in place of the list", b'{"error": "quota"}', "users", "is an error"),
    ("errors in place of the list", b'{"errors": [{"m": 1}]}', "users", "is an error"),
    ("ok is false", b'{"ok": false, "detail": "x"}', "users", "ok is false"),
    ("an error without a selector", b'{"error": {"code": 5}}', "", "is an error"),
    ("HTML", b"<!doctype html><title>Sign in</title>", "users", "HTML"),
    ("an object", b'{"users": {"a": 1}}', "users", "an object at 'users'"),
    ("text", b'{"users": "x"}', "users", "no list at 'users'"),
    ("two lists", b'{"a": [], "b": []}', "", "2 lists"),
    ("an object without a list", b'{"a": 1, "b": 2}', "", "without a list; it has: a, b"),
    ("a list where an object should be", b"[1]", "users", "nothing at 'users'"),
]


@pytest.mark.parametrize(
    ("body", "selector", "said"), [row[1:] for row in NOT_A_LIST], ids=[row[0] for row in NOT_A_LIST]
)
def test_a_page_without_a_list_is_an_error_that_names_what_is_there(body: bytes, selector: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_page(200, body, resource(data_selector=selector))


def test_a_null_or_false_error_beside_the_list_is_not_an_error() -> None:
    page = read_page(200, b'{"error": null, "errors": [], "ok": true}', resource(data_selector="users"))
    assert page.empty_form == "absent"
    assert len(read_page(200, b'{"error": "partial", "users": [1]}', resource(data_selector="users")).rows) == 1


@pytest.mark.parametrize(
    ("keys", "body", "fails"),
    [
        ({"error_path": "meta.err"}, b'{"meta": {"err": "x"}, "users": []}', True),
        ({"error_path": "meta.err"}, b'{"meta": {"err": null}, "users": []}', False),
        ({"error_path": "code"}, b'{"code": 0, "users": []}', False),
        ({"ok_path": "ok"}, b'{"ok": false, "users": []}', True),
        ({"ok_path": "ok"}, b'{"users": []}', True),
        ({"ok_path": "ok"}, b'{"ok": true, "users": []}', False),
    ],
)
def test_error_path_and_ok_path_find_errors_with_status_200(keys: dict[str, str], body: bytes, fails: bool) -> None:
    found = resource(data_selector="users", **keys)
    if fails:
        with pytest.raises(ErrorBody):
            read_page(200, body, found)
    else:
        assert read_page(200, body, found).rows == []


SELECTORS = [
    ("data.items", b'{"data": {"items": [{"id": 1}]}}', [1]),
    ("data.*.items", b'{"data": [{"items": [{"id": 1}]}, {"items": [{"id": 2}, {"id": 3}]}]}', [1, 2, 3]),
    ("$.groups[*].rows", b'{"groups": {"a": {"rows": [{"id": 1}]}, "b": {"rows": []}}}', [1]),
    ('["odata.value"]', b'{"odata.value": [{"id": 1}]}', [1]),
    ("odata.value", b'{"odata.value": [{"id": 1}]}', [1]),
    ("$", b'{"id": 1}', [1]),
    ("$", b'[{"id": 1}, {"id": 2}]', [1, 2]),
    ("edges.*.node", b'{"edges": [{"node": {"id": 1}}, {"node": {"id": 2}}]}', [1, 2]),
]


@pytest.mark.parametrize(("selector", "body", "ids"), SELECTORS)
def test_a_selector_finds_the_rows(selector: str, body: bytes, ids: list[int]) -> None:
    assert [item_value(row)["id"] for row in read_page(200, body, resource(data_selector=selector)).rows] == ids


@pytest.mark.parametrize("charset", ["ISO-8859-1", "windows-1252", "utf-16-le", '"latin1"', "UTF-8", "x-unknown"])
def test_the_charset_of_the_content_type_is_obeyed(charset: str) -> None:
    name = charset.strip('"')
    body = '[{"id": "é"}]'.encode("utf-8" if name == "x-unknown" else name)
    assert decoded(body, f"application/json; charset={charset}") == '[{"id": "é"}]'.encode()


def test_a_body_that_is_not_in_its_charset_is_an_error_that_names_the_byte() -> None:
    with pytest.raises(ValueError, match="not shift_jis at byte 2"):
        decoded(b'["\x81\xff"]', "application/json; charset=shift_jis")


KEYS: list[tuple[object, object, str]] = [
    ({"uid": 1}, "id", "no key at 'id'; the row has: uid"),
    (11, "id", "the row is a number"),
    ("a", "id", "the row is text"),
    (None, "id", "the row is null"),
    ({"id": None}, "id", "no key at 'id'"),
    ({"id": ""}, "id", "no key at 'id'"),
    ({"id": True}, "id", "a boolean"),
    ({"id": {"$oid": "x"}}, "id", "an object"),
    ({"id": 1.5}, "id", "a number"),
    ({"id": "p" * 600}, "id", "600 characters"),
    ({"id": "a\0b"}, "id", "NUL"),
    ({"id": 1}, ["id", "place"], "no key at 'place'"),
]


@pytest.mark.parametrize(("row", "path", "said"), KEYS)
def test_a_row_without_a_usable_key_says_why(row: object, path: str | list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        row_key(row, path)
    assert record_key(row, path) is None


@pytest.mark.parametrize(
    ("row", "path", "key", "parts"),
    [
        ({"id": 1, "place": "A"}, ["id", "place"], "1|A", ["1", "A"]),
        ({"id": "a|b", "place": "c\\d"}, ["id", "place"], "a\\|b|c\\\\d", ["a|b", "c\\d"]),
        ({"a": {"b": 1}, "c.d": 2}, ["a.b", "c.d"], "1|2", ["1", "2"]),
        ({"_id": {"$oid": "x"}}, "_id.$oid", "x", ["x"]),
    ],
)
def test_a_composite_key_can_be_taken_apart_again(
    row: object, path: str | list[str], key: str, parts: list[str]
) -> None:
    assert row_key(row, path) == key
    assert key_parts(key) == parts


def test_parts_of_a_composite_key_never_run_into_each_other() -> None:
    assert row_key({"a": "x|", "b": "y"}, ["a", "b"]) != row_key({"a": "x", "b": "|y"}, ["a", "b"])


WRAPPED: list[tuple[object, str]] = [
    ({"id": "3", "a": 1}, ""),
    ({"order": {"id": "3", "a": 1}}, ""),
    ({"data": [{"id": "3", "a": 1}]}, ""),
    ([{"id": "3", "a": 1}], ""),
    ({"response": {"order": {"id": "3", "a": 1}}}, ""),
    ({"data": {"items": [{"id": "3", "a": 1}]}, "meta": {"id": "9"}}, ""),
    ({"id": "request-1", "result": {"id": "3", "a": 1}}, ""),
    ({"x": {"id": "3", "a": 1}, "y": {"id": "3", "a": 2}}, "x"),
    ({"x": [{"id": "3", "a": 1}]}, "x"),
]


@pytest.mark.parametrize(("value", "selector"), WRAPPED)
def test_the_record_in_the_answer_for_one_item_is_found(value: object, selector: str) -> None:
    assert unwrap(value, "id", "3", selector) == {"id": "3", "a": 1}


def test_a_cursor_has_fallbacks() -> None:
    assert cursor_value({"updated": None, "created": "c"}, ["updated", "created"]) == "c"
    assert cursor_value({"updated": "u", "created": "c"}, ["updated", "created"]) == "u"
    assert cursor_value({}, ["updated", "created"]) is None


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("files.0.url", {"files": [{"n": 1}, {"url": "b", "n": 2}], "a.b": {"c": 1}}),
        ("files.*.url", {"files": [{"n": 1}, {"n": 2}], "a.b": {"c": 1}}),
        ("files[].url", {"files": [{"n": 1}, {"n": 2}], "a.b": {"c": 1}}),
        ("$.files[-1].url", {"files": [{"url": "a", "n": 1}, {"n": 2}], "a.b": {"c": 1}}),
        ("files.1", {"files": [{"url": "a", "n": 1}], "a.b": {"c": 1}}),
        ("files", {"a.b": {"c": 1}}),
        ("a.b.c", {"files": [{"url": "a", "n": 1}, {"url": "b", "n": 2}], "a.b": {}}),
        ('"a.b"', {"files": [{"url": "a", "n": 1}, {"url": "b", "n": 2}]}),
        ("*.*.url", {"files": [{"n": 1}, {"n": 2}], "a.b": {"c": 1}}),
        ("files.5.url", None),
        ("nothing.here", None),
    ],
)
def test_ignore_reaches_into_lists_and_odd_names(path: str, left: object) -> None:
    value = {"files": [{"url": "a", "n": 1}, {"url": "b", "n": 2}], "a.b": {"c": 1}}
    assert without(value, path) == (value if left is None else left)
    assert (without(value, path) is value) is (left is None)


@pytest.mark.parametrize("path", ["a['b", "a[", '"a', "a['b'c]", ".".join(["a"] * 40)])
def test_a_text_that_is_not_a_path_is_an_error(path: str) -> None:
    with pytest.raises(ValueError):
        compiled(path)
