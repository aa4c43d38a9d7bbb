"""`tidegate add resource URL` prints a resource that loads, what it would make, and no credential."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from tidegate.cli import propose
from tidegate.cli.add import add
from tidegate.config.load import load_text
from tidegate.core.errors import Blocked, UpstreamError

ROWS = {"orders": [{"id": "a", "updated_at": "2026-11-01T00:00:00Z"}], "next_cursor": "x"}
URL = "https://api.shop.example/v1/orders?state=all&api_key=s3cret"


def answer(monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> dict[str, Any]:
    """Each request gets this answer; returns what was asked."""
    asked: dict[str, Any] = {}

    async def get(url: str, headers: dict[str, str], allow: tuple[str, ...]) -> Any:
        asked.update(url=url, headers=headers)
        return status, [("content-type", "application/json")], body

    monkeypatch.setattr(propose, "_get", get)
    return asked


def test_the_remedy_of_a_private_address_is_an_option_of_this_command() -> None:
    ran = CliRunner().invoke(add, ["resource", "http://127.0.0.1:9/orders"])
    assert isinstance(ran.exception, Blocked)
    assert "--allow 127.0.0.1/32" in str(ran.exception.hint)


def test_the_printed_lines_are_a_configuration_that_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, 200, json.dumps(ROWS).encode())
    ran = CliRunner().invoke(add, ["resource", URL, "-H", "Authorization: Bearer s3cret"])
    assert ran.exit_code == 0, ran.output
    assert asked == {"url": URL, "headers": {"Authorization": "Bearer s3cret"}}
    resource = load_text(ran.output, "t.toml", {}).config.sources["shop"].resources["orders"]
    assert (resource.path, resource.params) == ("/v1/orders", {"state": "all"})
    assert (resource.data_selector, resource.version) == ("orders", "updated_at")
    assert "not known from one answer" in ran.output
    assert "s3cret" not in ran.output
    assert "# auth = ...    this request had: Authorization, api_key" in ran.output


def test_as_json_it_has_the_same_lines_and_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 200, json.dumps(ROWS).encode())
    found = json.loads(CliRunner().invoke(add, ["resource", URL, "--json"]).output)
    assert found["rows"] == 1
    assert found["records"] == [{"key": "a", "record": ROWS["orders"][0]}]
    assert "[sources.shop.resources.orders]" in found["toml"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(401, b"no key", "answered 401: no key"), (200, b"<html><title>Hi</title>", "HTML"), (200, b"oops", "not JSON")],
)
def test_an_answer_without_data_is_an_error(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, words: str
) -> None:
    answer(monkeypatch, status, body)
    ran = CliRunner().invoke(add, ["resource", URL], standalone_mode=False)
    assert isinstance(ran.exception, UpstreamError)
    assert words in ran.exception.message
