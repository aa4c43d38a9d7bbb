"""Placeholders in requests: each is filled where it stands or is an error, and no value leaves its place."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.rules.sync.placeholders import (
    END,
    START,
    NoValue,
    fill_header,
    fill_json,
    fill_mapping,
    fill_path,
    fill_text,
    names_in,
    names_in_json,
    unknown,
)

VALUES: dict[str, Any] = {
    START: "2026-01-01T00:00:00+01:00",
    END: None,
    "with.owner": "acme/eu",
    "with.limit": 50,
    "with.archived": False,
    "resources.projects.id": 7,
    "resources.projects.name": 'x" OR 1',
    "resources.projects.slug": "a b",
    "resources.projects.up": "..",
    "resources.projects.empty": "",
    "resources.projects.line": "a\r\nX-Admin: 1",
}


@pytest.mark.parametrize(
    ("text", "json", "names"),
    [
        ("/a/{id}/{with.owner}", False, ["id", "with.owner"]),
        ("/a/{{id}}/{with.owner}", False, ["with.owner"]),
        ("fields=comments{ id }", False, []),
        ('{"a": 1}', False, []),
        ("{ orders { nodes {id} } }", True, []),
        ("{ orders(q: \"{incremental.start_value}\") {id} }", True, [START]),
        ("{{with.owner}}", True, []),
        ("{}{1}{.a}{a.}{a..b}", False, []),
    ],
)  # fmt: skip
def test_a_placeholder_is_a_name_in_braces_and_other_braces_are_text(text: str, json: bool, names: list[str]) -> None:
    assert names_in(text, json=json) == names


def test_placeholders_of_a_body_are_found_in_names_and_lists_too() -> None:
    body = {"{with.a}": [{"x": "{with.b}"}, 1, None], "q": "a {with.c} {id}"}
    assert names_in_json(body) == ["with.a", "with.b", "with.c"]


def test_an_unknown_placeholder_is_named_with_the_nearest_one() -> None:
    known = [START, END, "with.owner", "resources.projects.*"]
    found = unknown(["incremental.start", "with.ownr", "resources.projects.any", "zzz"], known)
    assert [(one.name, one.nearest) for one in found] == [
        ("incremental.start", START),
        ("with.ownr", "with.owner"),
        ("zzz", ""),
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/repos/{with.owner}/issues", "/repos/acme%2Feu/issues"),
        (
            "/p/{resources.projects.slug}?since={incremental.start_value}",
            "/p/a%20b?since=2026-01-01T00%3A00%3A00%2B01%3A00",
        ),
        ("/p/{resources.projects.id}.json", "/p/7.json"),
        ("/p/{resources.projects.line}", "/p/a%0D%0AX-Admin%3A%201"),
        ("/p/{{with.owner}}", "/p/{with.owner}"),
        ("/p/{with.archived}", "/p/false"),
    ],
)  # fmt: skip
def test_a_value_in_a_path_stays_one_segment(text: str, path: str) -> None:
    assert fill_path(text, VALUES) == path


@pytest.mark.parametrize("name", ["up", "empty"])
def test_a_value_that_would_change_the_path_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="which a path cannot carry"):
        fill_path(f"/p/{{resources.projects.{name}}}/x", VALUES)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{resources.projects.name}", 'x" OR 1'),  # alone: the whole value, encoded when it is sent
        ("updated_at:>='{incremental.start_value}'", "updated_at:>='2026-01-01T00:00:00+01:00'"),
        ("project = {with.owner}", "project = acme/eu"),
        ("project = '{resources.projects.slug}'", "project = 'a b'"),
        ("id:{resources.projects.id}", "id:7"),
        ("gt {incremental.start_value}", "gt 2026-01-01T00:00:00+01:00"),
        ("{unchanged here}", "{unchanged here}"),
    ],
)
def test_a_value_fills_a_parameter(text: str, filled: str) -> None:
    assert fill_text(text, VALUES) == filled


@pytest.mark.parametrize(
    "text",
    ["name = '{resources.projects.name}'", "name = {resources.projects.slug}", "name = \"{resources.projects.name}\""],
)  # fmt: skip
def test_a_value_of_the_source_cannot_leave_its_quotes(text: str) -> None:
    for fill in (fill_text, fill_header):
        with pytest.raises(ValueError, match="quotes"):
            fill(text, VALUES)
    with pytest.raises(ValueError, match="quotes"):
        fill_json({"query": text}, VALUES)


def test_a_header_has_no_line_breaks_and_only_characters_of_headers() -> None:
    assert fill_header("{incremental.start_value}", VALUES) == VALUES[START]
    with pytest.raises(ValueError, match="header cannot carry"):
        fill_header("{resources.projects.line}", VALUES)
    with pytest.raises(ValueError, match="header cannot carry"):
        fill_header("{with.a}", {"with.a": "Zoë"})


def test_a_json_text_that_is_one_placeholder_keeps_the_type() -> None:
    body = {
        "limit": "{with.limit}",
        "archived": "{with.archived}",
        "q": "limit {with.limit}",
        "{with.owner}": ["{resources.projects.name}", 1, None],
        "graphql": "{ orders {id} }",
        "literal": "{{with.limit}}",
    }
    assert fill_json(body, VALUES) == {
        "limit": 50,
        "archived": False,
        "q": "limit 50",
        "acme/eu": ['x" OR 1', 1, None],
        "graphql": "{ orders {id} }",
        "literal": "{with.limit}",
    }


def test_a_parameter_without_a_value_yet_is_left_out_and_a_path_or_body_is_an_error() -> None:
    assert fill_mapping({"until": "{incremental.end_value}", "n": 1, "l": ["{with.limit}", 2]}, VALUES, fill_text) == {
        "n": 1,
        "l": ["50", 2],
    }
    for fill in (fill_path, fill_json):
        with pytest.raises(NoValue, match="initial_value"):
            fill("/x/{incremental.end_value}", VALUES)  # type: ignore[operator]


def test_a_placeholder_is_never_sent_as_it_is() -> None:
    for fill in (fill_path, fill_text, fill_header):
        with pytest.raises(ValueError, match="is not a placeholder"):
            fill("/x/{with.nobody}", VALUES)
