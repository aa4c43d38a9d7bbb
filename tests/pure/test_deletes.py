"""What a row says about being deleted, as the configuration writes it."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.config.load import load_text
from tidegate.rules.sync.deletes import is_deleted

FILE = '[sources.s.api]\nbase_url = "https://api.example.com"\n[sources.s.resources.r]\npath = "/r"\npoll = "1h"\n'
FLAG, GONE = 'mode = "flag", path = "f"', 'mode = "in_band", path = "f"'


@pytest.mark.parametrize(
    ("rule", "row", "deleted"),
    [
        (f"{FLAG}, values = [false]", {"f": False}, True),
        (f"{FLAG}, values = [false]", {"f": True}, False),
        (f"{FLAG}, values = [false]", {"f": 0}, False),
        (f"{FLAG}, values = [false]", {}, False),
        (f"{FLAG}, values = [0, 'deleted']", {"f": "deleted"}, True),
        (f"{FLAG}, values = [0, 'deleted']", {"f": 0}, True),
        (f"{FLAG}, values = [0, 'deleted']", {"f": False}, False),
        (FLAG, {"f": False}, False),
        (FLAG, {"f": "2026-01-01"}, True),
        (FLAG, {"f": None}, False),
        (GONE, {"f": False}, False),
        (GONE, {"f": {"reason": "deleted"}}, True),
        (GONE, {}, False),
    ],
)
def test_a_row_is_deleted_by_the_values_that_the_configuration_names(rule: str, row: Any, deleted: bool) -> None:
    config = load_text(f"{FILE}deletes = {{ {rule} }}\n", "tidegate.toml", {}).config
    assert is_deleted(row, config.sources["s"].resources["r"].deletes) is deleted
