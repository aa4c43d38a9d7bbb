"""What an event type pattern matches."""

from __future__ import annotations

import pytest

from tidegate.core.errors import ConfigError
from tidegate.rules.language.patterns import MAX_PATTERNS, compile_types


@pytest.mark.parametrize(
    ("patterns", "type_", "wanted"),
    [
        (["*"], "anything/at.all", True),
        (["*"], "", True),
        ([], "a", False),
        (["a.b"], "a.b", True),
        (["a.b"], "a.bc", False),
        (["a.b"], "A.B", False),
        (["a.*"], "a.b", True),
        (["a.*"], "a.b.c", True),
        (["a.*"], "a", False),
        (["a.*"], "ab.c", False),
        (["orders/*"], "orders/create", True),
        (["orders/*"], "orders", False),
        (["x", "a.*"], "a.b", True),
        (["x", "a.*"], "x", True),
        (["x", "a.*"], "y", False),
    ],
)
def test_a_star_at_the_end_matches_any_rest(patterns, type_, wanted):
    assert compile_types(patterns)(type_) is wanted


@pytest.mark.parametrize("bad", ["", " a", "a ", "*.a", "a.*.b", "a**", "**", 5, None, "x" * 201])
def test_a_bad_pattern_is_refused(bad):
    with pytest.raises(ConfigError):
        compile_types(["fine", bad])


def test_a_bare_text_or_a_huge_list_is_refused():
    for bad in ("a.*", ["a"] * (MAX_PATTERNS + 1)):
        with pytest.raises(ConfigError):
            compile_types(bad)
