"""Tables: a list of rows whose first row names the columns, as in CSV and in the cells of a spreadsheet. Pure.

Owns the names of columns, and how a row of cells becomes an object. Knows no resource. Invariants: each column has one
name of its own; a row that is not a list of cells is a bad row with its reason; a row without any value is a blank line
and no row. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.formats.base import BadRow
from tidegate.rules.sync.paths import is_raw

MAX_COLUMNS = 4096


def column_names(cells: Sequence[str], what: str = "table") -> list[str]:
    """A name for each column; one without a name is `column_N`. ValueError for too many, and for a name twice."""
    if len(cells) > MAX_COLUMNS:
        raise ValueError(f"the {what} has {len(cells):,} columns; at most {MAX_COLUMNS:,} are read")
    names = [cell.strip() or _numbered(number) for number, cell in enumerate(cells, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the {what} has more than one column {twice[0]!r}")
    return names


def _numbered(number: int) -> str:
    return f"column_{number}"


def named_rows(rows: Sequence[Any]) -> list[Any]:
    """Rows of cells as objects, by the names in the first row. ValueError when that row cannot name columns.

    Cells that are missing at the end of a row are "", because spreadsheets leave them out.
    """
    if not rows:
        return []
    head = _cells(rows[0])
    if head is None or not all(isinstance(cell, str | int | float) for cell in head):
        raise ValueError("header_row needs a first row that is a list of names")
    names = column_names([str(cell) for cell in head])
    found: list[Any] = []
    for row in rows[1:]:
        cells = _cells(row)
        if cells is None:
            found.append(BadRow("the row is not a list of cells", msgspec.json.encode(row)))
        elif any(cell not in ("", None) for cell in cells):
            found.append(_object(names, cells))
    return found


def _cells(row: Any) -> list[Any] | None:
    value = parse_json(row) if is_raw(row) else row
    return value if isinstance(value, list) else None


def _object(names: list[str], cells: list[Any]) -> dict[str, Any]:
    out = dict.fromkeys(names, "")
    for number, cell in enumerate(cells, 1):
        name = names[number - 1] if number <= len(names) else _numbered(number)
        if number <= len(names) or cell not in ("", None):
            out[name] = "" if cell is None else cell
    return out
