"""Provider files with an API half: every one that ships can be used by name, and a wrong one is refused at its line."""

from __future__ import annotations

import pytest

from tidegate.config.checks_provider import check_provider_text
from tidegate.core.errors import ConfigError
from tidegate.providers import provider_names, provider_text

CLOCKS = """
title = "Clocks"

[api]
base_url = "https://{with.subdomain}.clocks.example/api"
with.subdomain = { help = "The part before .clocks.example.", pattern = "[a-z0-9-]{1,63}", example = "acme" }
with.shelf = { help = "The shelf.", example = "b1" }
auth.bearer.fields.token = { help = "The token.", pattern = "clk_[a-z0-9]{8,}", example = "clk_12345678" }

[resources.cards]
path = "/shelves/{with.shelf}/cards"
data_selector = "cards"
version = "updated"
incremental = { cursor_path = "updated", param = "since", format = "iso8601" }
sample = '{"cards":[{"id":1,"updated":"2026-11-24T17:18:43Z"}]}'

[operations.add_card]
path = "/shelves/{with.shelf}/cards"
json = { title = "{{ data.title }}" }
resource = "cards"
"""


def found(text: str) -> list[str]:
    _, problems = check_provider_text(text, "clocks", "clocks.toml")
    return [f"{error.where} {error.message}" for error in problems.errors()]


@pytest.mark.parametrize("name", provider_names())
def test_each_file_that_ships_can_be_used_by_name(name):
    file, problems = check_provider_text(provider_text(name), name, f"{name}.toml")
    assert [f"{error.where} {error.message}" for error in problems.errors()] == []
    if file.api is not None:
        assert file.api.docs.startswith("https://")
        assert file.api.sources, "name where each fact can be checked"
        assert file.resources or file.operations
        for key, resource in file.resources.items():
            assert resource.description and resource.sample, key
        for key, operation in file.operations.items():
            assert operation.description, key


def test_a_file_of_a_user_is_checked_in_the_same_way():
    assert found(CLOCKS) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('{with.shelf}/cards"\ndata', '{with.bord}/cards"\ndata', 11, "{with.bord} is not declared"),
        ('since"', 'since", value = "{curser}"', 14, "unknown placeholder '{curser}'"),
        ('data_selector = "cards"', 'data_selector = "items"', 15, "the sample has no rows"),
        ('"cards":[{"id":1', '"cards":[{"key":1', 15, "a row of the sample has no key"),
        ('version = "updated"', 'version = "changed"', 15, "no version at 'changed'"),
        ('cursor_path = "updated"', 'cursor_path = "id"', 15, "the cursor '1' of the sample is not a time"),
        ('"/shelves/{with.shelf}/cards"\ndata', '"shelves/{with.shelf}"\ndata', 11, "is not a path below base_url"),
        ("{{ data.title }}", "{{ data. }}", 19, "data."),
        ('resource = "cards"', 'resource = "card"', 20, "unknown resource 'card'"),
        ("auth.bearer.fields.token", "auth.berer.fields.token", 8, "'berer' is not a kind of auth"),
        ("fields.token", "fields.tokan", 8, "bearer has no key 'tokan'"),
        ("clk_12345678", "12345678", 8, "the example does not fit the pattern"),
        ("[a-z0-9-]{1,63}", "[a-z", 6, "the pattern is not a regular expression"),
        ("with.shelf =", "with.other =", 11, "{with.shelf} is not declared"),
        ('version = "updated"', 'poll = "1m"', 13, "'poll' is a key of the user"),
        ('version = "updated"', 'versions = "updated"', 13, "unknown key 'versions'"),
        ("https://{with.subdomain}", "{with.subdomain}", 5, "URL"),
    ],
)
def test_a_wrong_file_is_refused_at_its_line(old, new, line, words):
    assert old in CLOCKS
    problems = found(CLOCKS.replace(old, new, 1))
    assert any(one.startswith(f"clocks.toml:{line} ") and words in one for one in problems), problems


def test_a_file_that_is_too_large_or_not_toml_is_refused():
    with pytest.raises(ConfigError, match="more than"):
        found("#" * (1 << 20) + "\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        found("[api\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        found("a = " + "[" * 5000 + "]" * 5000)
