"""`tidegate add resource`: a proposal reads the answer that it was made from, and lists what it cannot know."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest

from tidegate.rules.sync.items import item_value, read_page, row_key
from tidegate.rules.sync.propose import propose
from tidegate.rules.sync.spec import Resource

NOW_US = 1_800_000_000_000_000
JSON = [("Content-Type", "application/json")]
T1, T2 = "2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (encoded([{"id": 1, "updated_at": T1}, {"id": 2, "updated_at": T2}]), JSON, {"version": "updated_at"}),
        (
            encoded({"object": "list", "data": [{"id": "a", "created": 1_700_000_000}], "has_more": True}), JSON,
            {"data_selector": "data", "primary_key": "id"},
        ),
        (
            encoded({"meta": {"tags": [{"t": 1}]}, "result": {"orders": [{"number": "a"}, {"number": "b"}]}}), JSON,
            {"data_selector": "result.orders", "primary_key": "number"},
        ),
        (encoded({"a": {"n": 1}, "b": {"n": 2}}), JSON, {"data_selector": "$", "key_field": "id"}),
        (
            encoded({"value": [{"ref": "x", "lastModified": T1, "n": 1}], "@odata.nextLink": "https://x/?2"}), JSON,
            {"version": "lastModified", "primary_key": "ref"},
        ),
        (b"id;changed\n1;2026-01-02 03:04:05\n", [("content-type", "text/csv")], {"format": "csv"}),
        (b'{"id": 1}\n{"id": 2}\n', JSON, {"format": "ndjson"}),
        (b"<r><o><id>1</id></o><o><id>2</id></o></r>", [], {"format": "xml", "data_selector": "r.o"}),
    ],
)  # fmt: skip
def test_a_proposal_reads_the_answer_it_was_made_from(
    body: bytes, headers: list[tuple[str, str]], expected: dict[str, Any]
) -> None:
    found = propose("/orders", headers, body, {}, NOW_US)
    resource = msgspec.convert(tomllib.loads("\n".join(found.toml)), Resource)
    assert {name: getattr(resource, name) for name in expected} == expected
    rows = read_page(200, body, resource, dict(headers).get("content-type", "")).rows
    assert len(rows) == found.rows > 0
    keys = [row_key(item_value(row), resource.primary_key) for row in rows]
    assert len(set(keys)) == len(keys)
    assert found.records[0]["key"] == keys[0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([{"n": 1}, {"n": 1}], "no field is different in every row"),
        ([{"id": 1, "created_at": T1}], "'created_at' is the only time"),
        ([{"id": 1}], "no field is a time"),
        ([{"id": 1, "updated_at": T1}], "which parameter asks only for rows changed since 'updated_at'"),
        ({"items": []}, "the list is empty"),
    ],
)
def test_what_one_answer_cannot_show_is_listed(body: Any, words: str) -> None:
    found = propose("/orders", JSON, encoded(body), {}, NOW_US)
    assert any(words in one for one in found.unknown)


def test_a_time_is_never_the_key() -> None:
    found = propose("/x", JSON, encoded([{"updated_at": T1, "ref": 5}, {"updated_at": T2, "ref": 6}]), {}, NOW_US)
    assert 'primary_key = "ref"' in found.toml


def test_html_is_an_error() -> None:
    with pytest.raises(ValueError, match="HTML"):
        propose("/orders", JSON, b"<html><title>Sign in</title>", {}, NOW_US)
