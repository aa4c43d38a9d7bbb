"""A path finds its line in any way of writing TOML; what cannot be found falls back to the nearest parent."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from tidegate.config import toml
from tidegate.config.lines import Lines

TEXT = '''\
# a comment = { not = "a key" }
top = 1
[a.b]  # [not.a.table]
c = "x # y = [1" # trailing
d.e.f = [1,
  { g = 2 },
  "s",
]
long = """
[looks.like.a.table]
k = 1
"""
after = 'lit"eral'
[a."quoted key".x]
y = { p = 1, q = { r = 2 } }

[[arr]]
n = 1
[[arr]]
n = 2
[arr.sub]
m = 3
'''


def test_every_way_of_writing_a_key_has_its_line() -> None:
    tomllib.loads(TEXT)  # the scanner is only asked about text that this accepts
    lines = Lines(TEXT)
    expected = {
        ("top",): 2,
        ("a",): 1,  # never written by itself
        ("a", "b"): 3,
        ("a", "b", "c"): 4,
        ("a", "b", "d"): 5,
        ("a", "b", "d", "e", "f"): 5,
        ("a", "b", "d", "e", "f", 0): 5,
        ("a", "b", "d", "e", "f", 1): 6,
        ("a", "b", "d", "e", "f", 1, "g"): 6,
        ("a", "b", "d", "e", "f", 2): 7,
        ("a", "b", "long"): 9,
        ("a", "b", "after"): 13,
        ("a", "quoted key", "x"): 14,
        ("a", "quoted key", "x", "y", "q", "r"): 15,
        ("arr", 0, "n"): 18,
        ("arr", 1, "n"): 20,
        ("arr", 1, "sub", "m"): 22,
    }
    assert {path: lines.of(path) for path in expected} == expected


def test_a_path_that_is_not_there_has_the_line_of_its_parent() -> None:
    lines = Lines("[a]\nb = 1\n")
    assert lines.of(("a", "b", "missing", 3)) == 2
    assert lines.of(("a", "missing")) == 1
    assert lines.of(("missing",)) == 1


def test_lines_are_counted_with_either_line_end() -> None:
    assert Lines("[a]\r\nb = 1\r\nc = 2\r\n").of(("a", "c")) == 3


KEYS = st.text(min_size=1, max_size=8)
LEAVES = st.one_of(
    st.text(max_size=12), st.integers(-5, 5), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    max_size=4,
)
SAFE = TREES.filter(lambda tree: all(ord(c) < 0xD800 or ord(c) > 0xDFFF for c in repr(tree)))


@given(st.dictionaries(KEYS, SAFE, max_size=4))
def test_what_is_written_reads_back_and_every_key_is_found(tree: dict[str, dict[str, object]]) -> None:
    text = toml.write(tree, {"*": {}})
    assert tomllib.loads(text) == tree
    lines = Lines(text)
    written = text.split("\n")
    for name, table in tree.items():
        for key in table:
            assert written[lines.of((name, key)) - 1].startswith(toml.key(key))


@given(st.text(max_size=60))
def test_the_scanner_never_raises(text: str) -> None:
    assert Lines(text).of(("a", "b")) >= 1
