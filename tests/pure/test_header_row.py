"""Rows of cells under a first row of names: the cells of a spreadsheet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.gateway.sample_config import rejections
from tidegate.rules.sync.formats import BadRow
from tidegate.rules.sync.items import item_value, read_page
from tidegate.rules.sync.spec import Resource

SHEET = Resource(path="/values", data_selector="values", header_row=True)


def rows_of(values: Any) -> list[Any]:
    page = read_page(200, json.dumps({"values": values}).encode(), SHEET)
    return [one if isinstance(one, BadRow) else item_value(one) for one in page.rows]


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        ([["Id", "Name"], [1, "Mira"]], [{"Id": 1, "Name": "Mira"}]),
        ([["Id", "Name"], [1]], [{"Id": 1, "Name": ""}]),
        ([["Id", ""], [1, "x"]], [{"Id": 1, "column_2": "x"}]),
        ([["Id"], [1, "", "x"]], [{"Id": 1, "column_3": "x"}]),
        ([["Id", "Name"], [], ["", ""], [2, None]], [{"Id": 2, "Name": ""}]),
        ([[2026, 1.5], ["a", False]], [{"2026": "a", "1.5": False}]),
        ([["Id"]], []),
        ([], []),
    ],
)
def test_rows_have_the_names_of_the_first_row(values: Any, rows: Any) -> None:
    assert rows_of(values) == rows


def test_a_range_without_values_is_an_empty_list() -> None:
    assert list(read_page(200, b'{"range": "A1:Z"}', SHEET).rows) == []


def test_a_row_that_is_not_a_list_is_bad_and_says_so() -> None:
    bad, good = rows_of([["Id"], {"Id": 1}, [2]])
    assert isinstance(bad, BadRow) and "not a list of cells" in bad.reason
    assert good == {"Id": 2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([["Id", "Id"], [1, 2]], "more than one column 'Id'"),
        ([["column_2", ""], [1, 2]], "more than one column 'column_2'"),
        ([{"Id": 1}], "a first row that is a list of names"),
        ([[["Id"]], [1]], "a first row that is a list of names"),
        ([["x"] * 5000], "at most 4,096"),
    ],
)
def test_a_first_row_that_cannot_name_columns_is_an_error(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rows_of(values)


def test_names_on_the_first_page_alone_and_more_pages_exclude_each_other() -> None:
    keys = 'header_row = true\npaginator = { type = "page_number" }\ndeletes = { mode = "scan" }\n'
    text = f'[sources.s.api]\nbase_url = "https://s.example.com"\n[sources.s.resources.o]\npath = "/o"\n{keys}'
    assert any("only the first page has the names" in line for line in rejections(text))
