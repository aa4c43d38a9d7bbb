"""The bytes in which headers are stored: short or JSON, the same headers come out, of any release."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.rules.inbound.redaction import keep_headers
from tidegate.rules.language.stored_headers import NAMES, marks_of, read_headers
from tidegate.rules.language.view import QUERY, VERIFIED, header_list, noted

PLAIN = [(b"host", b"a.test"), (b"x-own", b'a: "b"\\'), (b"webhook-id", b"msg_1"), (b"x-own", b"")]


def test_plain_headers_take_few_bytes_and_come_out_as_they_were() -> None:
    notes = [(VERIFIED, "github 1 2"), (QUERY, "a=1")]
    stored = keep_headers(PLAIN, notes)
    expected = [*notes, *((name.decode(), value.decode()) for name, value in PLAIN)]
    assert read_headers(stored) == expected
    assert stored == b"\x83github 1 2\x80a=1\x86a.test\xffx-own:" + b'a: "b"\\' + b"\x8emsg_1\xffx-own:"
    assert header_list(stored) == expected[2:]
    assert noted(stored, VERIFIED) == "github 1 2" and noted(stored, QUERY) == "a=1" and noted(stored, ":test") == ""


@pytest.mark.parametrize("value", [b"\xe9", b"a\tb", b"\x7f", b"\x80", b"\xff"])
def test_other_values_are_json_with_the_headers_beside_them(value: bytes) -> None:
    stored = keep_headers([*PLAIN, (b"x-other", value)], [(QUERY, "a=1")])
    assert stored[:1] == b"["
    assert read_headers(stored)[1:-1] == [(name.decode(), one.decode()) for name, one in PLAIN]
    assert read_headers(stored)[-1] == ("x-other", value.decode("latin-1")) and noted(stored, QUERY) == "a=1"


def test_a_note_that_is_not_ascii_is_kept() -> None:
    assert noted(keep_headers(PLAIN, [(QUERY, "a=é")]), QUERY) == "a=é"


def test_headers_of_earlier_releases_are_read() -> None:
    assert read_headers(b'[[":verified","x 1 1"],["host","a"]]') == [(":verified", "x 1 1"), ("host", "a")]
    assert read_headers(b"") == read_headers(b"[]") == []


def test_the_numbers_of_names_stay() -> None:
    """Stored events have them: a name may only be added at the end."""
    first = (":query", ":parent", ":origin", ":verified", ":schema", ":test", "host", "content-type", "content-length")
    assert NAMES[: len(first)] == first
    assert (NAMES.index("webhook-signature"), NAMES.index("x-hub-signature-256"), NAMES.index("cf-ray")) == (16, 37, 31)
    assert NAMES.index("x-shopify-api-version") == 50 and len(set(NAMES)) == len(NAMES) <= 127


@given(st.binary(max_size=200))
def test_any_bytes_are_read(stored: bytes) -> None:
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in read_headers(stored))


@given(st.sampled_from([*NAMES[6:], "x-own", "x-other"]), st.sampled_from([b"v", b"\xe9"]))
def test_a_mark_of_a_name_is_in_what_has_the_name(name: str, value: bytes) -> None:
    stored = keep_headers([(b"x-first", b"1"), (name.encode(), value)])
    assert any(mark in stored for mark in marks_of(name))
    assert any(mark in stored for mark in marks_of(name[:3], beginning=True))


def test_a_header_cannot_be_a_note() -> None:
    assert json.loads(keep_headers([(b":verified", b"x")])) == [[":verified", "x"]]
