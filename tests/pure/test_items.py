"""Pages of a source as they come: what is not JSON to the letter is read as everybody else reads it, or refused."""

from __future__ import annotations

import pytest

from tidegate.rules.sync.items import item_value, page_value, read_page, record_key
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
