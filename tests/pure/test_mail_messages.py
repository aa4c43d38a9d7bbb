"""Mail as data: every form that real mail has, and none that can break the reader."""

from __future__ import annotations

import base64
import hashlib
import quopri
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.rules.mail.message import MAX_DEPTH, Mail, read_message

HEAD = b"From: Ann <ann@example.com>\r\nSubject: s\r\n"
PDF = base64.b64encode(b"%PDF-1.7").decode()


def read(raw: bytes, attachments: Any = "meta", trusted_host: str = "") -> Mail:
    mail = read_message(raw, attachments, trusted_host)
    msgspec.json.encode(mail)  # what cannot be stored must not come out
    return mail


def parts(*bodies: str, kind: str = "mixed") -> bytes:
    inner = "".join(f"--b\r\n{body}\r\n" for body in bodies)
    return HEAD + f'Content-Type: multipart/{kind}; boundary="b"\r\n\r\n{inner}--b--\r\n'.encode("latin-1")


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"Subject: plain\r\n\r\n", "plain"),
        (b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n", "café"),
        (b"Subject: =?UTF-8?B?Y2Fmw6k=?=\r\n\r\n", "café"),
        (b"Subject: =?iso-8859-1?q?caf=e9?= =?utf-8?b?IPCfmIA=?=\r\n\r\n", "café \U0001f600"),
        (b"Subject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\n\r\n", "ab"),
        (b"Subject: folded\r\n line\r\n\r\n", "folded line"),
        (b"Subject: caf\xc3\xa9 raw\r\n\r\n", "café raw"),
        (b"Subject: caf\xe9 raw\r\n\r\n", "café raw"),
        (b"Subject: =?unknown-8bit?q?caf=E9?=\r\n\r\n", "café"),
        (b"Subject: =?utf-8?b?broken!?=\r\n\r\n", "=?utf-8?b?broken!?="),
        (b"Subject: =?gb2312?B?xOO6ww==?=\r\n\r\n", "你好"),
        (b"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\n\r\n", "日本"),
        (b"\r\nno header at all", ""),
    ],
)
def test_a_subject_is_read_in_every_encoding(raw: bytes, wanted: str) -> None:
    assert read(raw).subject == wanted


@pytest.mark.parametrize(
    ("charset", "raw", "wanted", "problem"),
    [
        ("utf-8", "Grüße".encode(), "Grüße", ""),
        ("iso-8859-15", "10 €".encode("iso-8859-15"), "10 €", ""),
        ("windows-1252", "“x”".encode("cp1252"), "“x”", ""),
        ("koi8-r", "привет".encode("koi8-r"), "привет", ""),
        ("shift_jis", "日本".encode("shift_jis"), "日本", ""),
        ("us-ascii", "Grüße".encode(), "Grüße", "not 'us-ascii'"),
        ("utf-8", "Grüße".encode("cp1252"), "Grüße", "not 'utf-8'"),
        ("x-made-up", "Grüße".encode(), "Grüße", "not 'x-made-up'"),
        ("utf-16", b"\xff", "ÿ", "not 'utf-16'"),
    ],
)
def test_a_text_is_read_in_its_charset_and_says_when_that_is_wrong(
    charset: str, raw: bytes, wanted: str, problem: str
) -> None:
    mail = read(HEAD + f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + raw)
    assert mail.text == wanted
    assert (problem in str(mail.problems)) if problem else mail.problems == []


@pytest.mark.parametrize(
    ("encoding", "raw", "wanted"),
    [
        ("7bit", b"a\r\nb", "a\nb"),
        ("quoted-printable", b"caf=C3=A9 =\r\nnext", "café next"),
        ("base64", base64.b64encode("café".encode()), "café"),
        ("base64", b"Y2Fmw6k", "café"),
        ("x-unknown", b"as it is", "as it is"),
        ("8bit", "café".encode(), "café"),
    ],
)
def test_a_transfer_encoding_is_removed(encoding: str, raw: bytes, wanted: str) -> None:
    head = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    assert read(HEAD + head + raw).text == wanted


def test_alternatives_give_text_and_html_and_related_files_are_attachments() -> None:
    inner = 'Content-Type: multipart/related; boundary="c"\r\n\r\n' + "".join(
        [
            "--c\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n",
            "--c\r\nContent-Type: image/png; name=a.png\r\nContent-Disposition: inline\r\n\r\npng\r\n--c--\r\n",
        ]
    )
    mail = read(parts("Content-Type: text/plain\r\n\r\nhi", inner, kind="alternative"))
    assert (mail.text, mail.html) == ("hi", "<p>hi</p>")
    assert [(one.name, one.type, one.inline) for one in mail.attachments] == [("a.png", "image/png", True)]


def test_an_attachment_has_name_type_size_and_digest_and_its_content_only_when_kept() -> None:
    raw = parts(
        "Content-Type: text/plain\r\n\r\nhi",
        f'Content-Type: application/pdf; name="x.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n{PDF}',
        "Content-Type: text/csv\r\nContent-Disposition: attachment; filename*=utf-8''%C3%BC.csv\r\n\r\na,b",
    )
    pdf, csv = read(raw).attachments
    assert (pdf.name, pdf.type, pdf.bytes, pdf.content) == ("x.pdf", "application/pdf", 8, msgspec.UNSET)
    assert pdf.sha256 == hashlib.sha256(b"%PDF-1.7").hexdigest()
    assert (csv.name, csv.bytes) == ("ü.csv", 3)
    assert read(raw, "keep").attachments[0].content == PDF
    assert read(raw, "none").attachments == []


def test_a_mail_inside_a_mail_and_a_calendar_part_are_attachments() -> None:
    mail = read(
        parts(
            "Content-Type: text/plain\r\n\r\nsee below",
            "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text",
            "Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR",
        )
    )
    assert mail.text == "see below"
    assert [one.type for one in mail.attachments] == ["message/rfc822", "text/calendar"]


@pytest.mark.parametrize(
    ("raw", "message_id", "problem"),
    [
        (b"Message-ID: <a@b>\r\n\r\n", "a@b", ""),
        (b"Message-ID: a@b\r\n\r\n", "a@b", ""),
        (b"Message-Id: <a@b>\r\nMESSAGE-ID: <c@d>\r\n\r\n", "a@b", "several Message-IDs"),
        (b"Message-ID: <>\r\n\r\n", None, ""),
        (b"Subject: x\r\n\r\n", None, ""),
    ],
)
def test_a_message_id_may_be_odd_missing_or_repeated(raw: bytes, message_id: str | None, problem: str) -> None:
    mail = read(raw)
    assert mail.message_id == message_id
    assert problem in str(mail.problems)


@pytest.mark.parametrize(
    ("date", "wanted"),
    [
        ("Mon, 30 Nov 2026 10:00:00 +0100", "2026-11-30T09:00:00Z"),
        ("30 Nov 2026 10:00:00 GMT", "2026-11-30T10:00:00Z"),
        ("Mon, 30 Nov 2026 10:00:00 -0000", "2026-11-30T10:00:00Z"),
        ("yesterday", None),
        ("Mon, 99 Nov 2026 10:00:00 +0100", None),
        ("", None),
    ],
)
def test_a_date_is_rfc_3339_or_null(date: str, wanted: str | None) -> None:
    assert read(f"Date: {date}\r\n\r\n".encode()).date == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('"Lee, Ann" <ann@example.com>, bob@example.com', [("Lee, Ann", "ann@example.com"), ("", "bob@example.com")]),
        ("=?utf-8?q?J=C3=B6rg?= <j@example.com>", [("Jörg", "j@example.com")]),
        ("Undisclosed recipients:;", []),
        ('"ann@bank.example" <evil@example.com>', [("ann@bank.example", "evil@example.com")]),
    ],
)
def test_addresses_are_name_and_address(line: str, wanted: list[tuple[str, str]]) -> None:
    assert [(one.name, one.address) for one in read(f"To: {line}\r\n\r\n".encode()).to] == wanted


def test_what_the_server_says_of_the_sender_is_repeated_and_never_ours() -> None:
    raw = (
        b"Authentication-Results: mx.example.net; spf=pass (ok) smtp.mailfrom=a; dkim=fail; dkim=pass; dmarc=none\r\n"
        b"Authentication-Results: forged.example; spf=pass; dkim=pass; dmarc=pass\r\n\r\n"
    )
    found = read(raw).sender_checks
    assert (found.by, found.spf, found.dkim, found.dmarc) == ("mx.example.net", "pass", "pass", "none")
    assert read(raw, trusted_host="other.example").sender_checks.spf == "", "the field of a stranger does not count"
    assert read(b"Subject: x\r\n\r\n").sender_checks.dmarc == ""


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (HEAD + b"Content-Type: multipart/mixed; boundary=never\r\n\r\nhello", "without its boundary"),
        (HEAD + b"Content-Type: multipart/mixed\r\n\r\nhello", "without its boundary"),
        (HEAD + b"Content-Type: text/plain; charset*0*=x''%ff; charset*1=a\r\n\r\nhello", ""),
        (HEAD + b"Content-Type: multipart/mixed; boundary*0*=a''b; boundary*=c\r\n\r\nhello", ""),
        (b"".join(b"X-%d: a\r\n" % number for number in range(500)) + b"\r\nhello", "more than 200 header fields"),
        (b"X: " + b"y" * 10_000 + b"\r\n\r\nhello", "cut to 4,000"),
    ],
)
def test_broken_mail_is_read_as_far_as_it_goes_and_says_so(raw: bytes, problem: str) -> None:
    mail = read(raw)
    assert "hello" in (mail.text or "")
    assert problem in str(mail.problems)


def test_deep_nesting_many_parts_and_many_attachments_are_bounded() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(100))
    assert f"deeper than {MAX_DEPTH}" in str(read(HEAD + deep + b"\r\nx").problems)
    many = read(parts(*["Content-Type: image/png\r\n\r\nx"] * 300))
    assert len(many.attachments) <= 100
    assert "more than" in str(many.problems)
    long = read(HEAD + b"\r\n" + b"x" * 1_500_000)
    assert len(long.text or "") == 1_000_000
    assert "cut to 1,000,000" in str(long.problems)


def test_hostile_text_stays_text_without_control_characters() -> None:
    raw = b"Subject: =?utf-8?q?a=00b=1B=5B31m?=\r\n\r\n<script>alert(1)</script>\x00\x1b[31m\x07"
    mail = read(raw)
    assert mail.subject == "ab[31m"
    assert mail.text == "<script>alert(1)</script>[31m"


CHARSETS = {
    "utf-8": "Grüße, 你好, привет €", "iso-8859-1": "Grüße für Zoë", "iso-8859-2": "zażółć gęślą",
    "iso-8859-15": "10 € für Zoë", "windows-1252": "“Grüße” 10 €", "windows-1251": "привет, мир",
    "koi8-r": "привет, мир", "shift_jis": "日本語の手紙", "gb2312": "你好世界", "euc-kr": "안녕하세요",
}  # fmt: skip


def encoded(text: str, charset: str, encoding: str) -> bytes:
    raw = text.encode(charset)
    if encoding == "base64":
        return base64.encodebytes(raw)
    return quopri.encodestring(raw) if encoding == "quoted-printable" else raw


def structured(part: bytes, structure: str) -> bytes:
    """A text part alone, beside HTML, beside a file, or inside three levels of parts."""
    boundary = f"--{structure}".encode()
    other = {
        "alternative": b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>html</p>",
        "mixed": b"Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF",
    }
    if structure == "plain":
        return HEAD + part
    if structure == "nested":
        for level in ("c", "b", "a"):
            lines = f"Content-Type: multipart/mixed; boundary={level}\r\n\r\n--{level}\r\n".encode()
            part = lines + part + f"\r\n--{level}--\r\n".encode()
        return HEAD + part
    head = f"Content-Type: multipart/{structure}; boundary={structure}\r\n\r\n".encode()
    return HEAD + head + b"\r\n".join([boundary, part, boundary, other[structure], boundary + b"--", b""])


@pytest.mark.parametrize("structure", ["plain", "alternative", "mixed", "nested"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("charset", CHARSETS)
def test_a_text_is_read_in_every_charset_encoding_and_structure(charset: str, encoding: str, structure: str) -> None:
    head = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    mail = read(structured(head + encoded(CHARSETS[charset], charset, encoding), structure))
    assert (mail.text or "").strip() == CHARSETS[charset]
    assert (mail.html == "<p>html</p>") is (structure == "alternative")
    assert [one.name for one in mail.attachments] == (["a.pdf"] if structure == "mixed" else [])
    assert mail.problems == []


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("field", ["Subject", "From", "To", "Cc", "Reply-To"])
def test_a_header_field_is_read_in_every_charset(field: str, charset: str) -> None:
    word = CHARSETS[charset].split(",")[0].strip("“”").split("”")[0]
    packed = base64.b64encode(word.encode(charset)).decode()
    value = f"=?{charset}?B?{packed}?="
    line = value if field == "Subject" else f"{value} <x@example.com>"
    mail = read(f"{field}: {line}\r\n\r\n".encode())
    if field == "Subject":
        assert mail.subject == word
        return
    (found,) = {"From": mail.from_, "To": mail.to, "Cc": mail.cc, "Reply-To": mail.reply_to}[field]
    assert (found.name, found.address) == (word, "x@example.com")


_SEED = (
    b"From: =?utf-8?q?J=C3=B6rg?= <a@b.c>\r\nSubject: =?iso-8859-1?q?caf=e9?=\r\nMessage-ID: <1@x>\r\n"
    b"Authentication-Results: mx; spf=pass\r\nContent-Type: multipart/mixed; boundary=b; charset*0*=x''%ff\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''%e2%82\r\n\r\n--b\r\nContent-Type: text/plain; charset=latin1"
    b"\r\n\r\ncaf\xe9\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: x\r\n\r\nhi\r\n--b\r\nContent-Type: "
    b"application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"
)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(_SEED)),
            st.integers(0, 30),
            st.sampled_from(
                [b"", b"\x00", b"\xff", b"=?utf-8?b?", b"=?x?q?", b"*0*=", b"*=", b";", b"--b", b"\r\n ", b"(", b"<"]
            )
            | st.binary(max_size=5),
        ),
        max_size=8,
    )
)
def test_no_bytes_make_the_reader_fail(edits: list[tuple[int, int, bytes]]) -> None:
    raw = _SEED
    for at, removed, added in edits:
        raw = raw[:at] + added + raw[at + removed :]
    read(raw, "keep")
