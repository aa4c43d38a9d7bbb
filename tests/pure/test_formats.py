"""Formats of answers: a body becomes its rows, an unreadable row stays a bad row, hostile input is an error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tidegate.rules.sync.formats import FORMATS, BadRow, is_html, read_format, recognized

NDJSON = b'{"id": 1}\n{"id": 2}\r\n\n{"id": 3}'


def rows(name: str, body: bytes) -> list[Any]:
    """Rows as values, bad rows as the text of their reason."""
    page = read_format(name, body)
    assert page.rows is not None
    return [
        one.reason if isinstance(one, BadRow) else msgspec.json.decode(one) if isinstance(one, bytes) else one
        for one in page.rows
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "name"),
    [
        (b"[]", "application/json", "json"),
        (b'{"items": []}', "text/html", "json"),  # servers name the wrong type; the body is what it is
        (b'{\n  "id": 1\n}', "", "json"),
        (b'{"id": 1}', "application/json", "json"),
        (b'{"id": 1}\n{"id": 2}', "application/json", "ndjson"),
        (b'{"id": 1}\n', "application/x-ndjson; charset=utf-8", "ndjson"),
        (b'\x1e{"id": 1}\n', "", "ndjson"),
        (b"id,name\n1,a\n", "text/csv", "csv"),
        (b"id\tname\n1\ta\n", "Text/Tab-Separated-Values", "csv"),
        (b"id,name\n1,a\n", "text/plain", "json"),  # nothing says CSV: the error of JSON shows the body
        (b"  <orders/>", "application/json", "xml"),
        (b"<?xml version='1.0'?><orders/>", "", "xml"),
        (b"", "application/problem+json", "json"),
        (b"", "application/atom+xml", "rss"),
        (b"", "application/soap+xml", "xml"),
    ],
)
def test_auto_goes_by_the_body_before_the_content_type(body: bytes, content_type: str, name: str) -> None:
    assert recognized(body, content_type) == name


@pytest.mark.parametrize("name", ["auto", *FORMATS])
@pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_an_empty_page_in_every_format(name: str, body: bytes) -> None:
    assert rows(name, body) == []


@pytest.mark.parametrize("name", ["auto", *FORMATS])
@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><title>Sign in</title>",
        b"\n<HTML><head><title>Sign in</title></head>",
        b"<?xml version='1.0'?>\n<!-- x --><html xmlns='y'><title>Sign in</title></html>",
    ],
)
def test_html_is_named_with_its_title_whatever_the_format(name: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"the answer is HTML, not data \(its title is 'Sign in'\)"):
        read_format(name, body)


def test_xml_that_only_mentions_html_is_not_html() -> None:
    assert not is_html(b"<rss><description>&lt;html&gt;</description></rss>")
    assert not is_html(b"<headlines/>") or read_format("xml", b"<a/>")


# -- ndjson ------------------------------------------------------------------------------------------------


def test_every_line_of_ndjson_is_a_row() -> None:
    assert rows("ndjson", NDJSON) == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_a_line_that_is_not_an_object_is_a_bad_row_with_its_number_and_the_others_are_read() -> None:
    found = rows("ndjson", b'{"id": 1}\noops\n[1]\n{"id": 4}')
    assert found == [{"id": 1}, "line 2 is not a JSON object", "line 3 is not a JSON object", {"id": 4}]


def test_a_cut_line_stays_a_row_that_fails_when_it_is_parsed() -> None:
    page = read_format("ndjson", b'{"id": 1}\n{"id": 2, "na')
    assert page.rows is not None
    assert list(page.rows) == [b'{"id": 1}', b'{"id": 2, "na']


# -- csv ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"id,name\n7,Ann\n", [{"id": "7", "name": "Ann"}]),
        (b"id;name\r\n007;Ann, Bob\r\n", [{"id": "007", "name": "Ann, Bob"}]),
        (b"id\tname\n7\t\n", [{"id": "7", "name": ""}]),
        (b"id|name\n7|Ann\n\n", [{"id": "7", "name": "Ann"}]),
        (b'"id","a,b"\n7,"two\nlines ""quoted"""\n', [{"id": "7", "a,b": 'two\nlines "quoted"'}]),
        (b"id,,x\n1,2,3\n", [{"id": "1", "column_2": "2", "x": "3"}]),
        (b"id\n1\n2\n", [{"id": "1"}, {"id": "2"}]),
        (b"id,name\n", []),
        ("id,name\n1,Zoë\n".encode(), [{"id": "1", "name": "Zoë"}]),
    ],
)
def test_csv_lines_are_objects_of_texts(body: bytes, expected: list[Any]) -> None:
    assert rows("csv", body) == expected


def test_bad_lines_of_csv_are_bad_rows_and_the_others_are_read() -> None:
    found = rows("csv", b'id,name\n1,a\n2\n3,b,c\n4,"x"y\n5,\xff\n6,f\n7,"never closed\n8,h\n')
    assert found[0] == {"id": "1", "name": "a"}
    assert found[1] == "the line has 1 fields, the header 2"
    assert found[2] == "the line has 3 fields, the header 2"
    assert "line 5" in found[3]
    assert found[4] == "the line is not UTF-8"
    assert found[5] == {"id": "6", "name": "f"}
    assert "unexpected end of data" in found[6]
    assert len(found) == 7


def test_a_field_of_five_megabytes_is_read() -> None:
    (row,) = rows("csv", b"id,text\n1," + b"x" * 5_000_000 + b"\n")
    assert len(row["text"]) == 5_000_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"id,id\n1,2\n", "more than one column 'id'"),
        (b'{"id": 1}', "is JSON, not CSV"),
        (b"id,\0\n", "NUL"),
        (b"i\xff,a\n", "header of the CSV is not UTF-8"),
        (b'"id,name', "header of the CSV cannot be read"),
        (b"," * 5000 + b"\n", "columns"),
    ],
)
def test_a_body_that_is_not_csv_is_an_error_that_says_why(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_format("csv", body)


# -- xml ---------------------------------------------------------------------------------------------------


def xml(body: bytes) -> Any:
    page = read_format("xml", body)
    assert page.rows is None
    assert page.no_lists
    return msgspec.json.decode(page.body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"<a/>", {"a": ""}),
        (b"<a> x </a>", {"a": "x"}),
        (b"<a><id>1</id><id>2</id></a>", {"a": {"id": ["1", "2"]}}),
        (b"<a n='1'>x<b/></a>", {"a": {"@n": "1", "b": "", "#text": "x"}}),
        (b"<a xmlns='u' xmlns:m='v'><m:t m:k='1'/></a>", {"a": {"t": {"@k": "1"}}}),
        (b"<a><![CDATA[<b>&amp;]]>&lt;&#65;</a>", {"a": "<b>&amp;<A"}),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><a>Zo\xeb</a>", {"a": "Zoë"}),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a>Zoë</a>".encode(), {"a": "Zoë"}),
        ("<a>Zoë</a>".encode("utf-16"), {"a": "Zoë"}),
    ],
)
def test_xml_becomes_the_json_that_selectors_read(body: bytes, value: Any) -> None:
    assert xml(body) == value


BILLION = b"<!DOCTYPE a [" + b"".join(
    b"<!ENTITY e%d '%b'>" % (number, b"&e%d;" % (number - 1) * 10 if number else b"ha") for number in range(10)
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (BILLION + b"]><a>&e9;</a>", "document type"),
        (b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "document type"),
        (b"<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1/'>%x;]><a/>", "document type"),
        (b"<a>" * 100 + b"</a>" * 100, "nested more than 60 deep"),
        (b"<a><b></a>", "cannot be read: mismatched tag"),
        (b"<a>\n<b>", "no element found at byte 7"),
        (b"<a>&nbsp;</a>", "undefined entity"),
        (b"<a x='1' x='2'/>", "duplicate attribute"),
        (b"<a>\x01</a>", "not well-formed"),
        (b"[1]", "syntax error"),
    ],
)
def test_xml_that_is_broken_or_hostile_is_an_error(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_format("xml", body)


def test_one_file_is_one_format() -> None:
    assert set(FORMATS) >= {"json", "ndjson", "csv", "xml"}
    assert all(one.help and one.name == name for name, one in FORMATS.items())
