"""A message as data: headers, text, HTML and attachments of the bytes that a mail server gave. Pure.

Owns the shape of `data` of a `mail.received` event (contract section 6) and its limits. May not know IMAP or the log.
Reads with the standard library's `email` package, which accepts what real mail contains; what it refuses (unknown
charsets, broken transfer encodings, broken headers) is read as far as it can be, and named in `problems`.

Invariants: `read_message` never raises, whatever the bytes; every string in the result is valid Unicode without NUL and
control characters other than tab and newline; nothing is bounded without a line in `problems`. HTML is text here: it is
never rendered, and nothing that it names is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Literal

import msgspec

from tidegate.rules.mail.headers import Address, addresses, decoded, fields, instant_text, message_ids, one_line
from tidegate.rules.mail.sender_checks import SenderChecks, sender_checks

Attachments = Literal["none", "meta", "keep"]

MAX_TEXT_CHARACTERS = 1_000_000  # of `text` and of `html`
MAX_HEADERS = 200
MAX_HEADER_CHARACTERS = 4_000
MAX_PARTS = 200
MAX_DEPTH = 20
MAX_ATTACHMENTS = 100
MAX_PROBLEMS = 20
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# What the standard library raises for odd parameters, charsets and encodings.
_BROKEN = (LookupError, ValueError, TypeError, AssertionError, MessageError)
_PARSER = BytesParser(policy=compat32)


class Attachment(msgspec.Struct):
    """One attachment. `content` is Base64, only with `attachments = "keep"`."""

    name: str
    type: str
    bytes: int
    sha256: str
    inline: bool = False
    content: str | msgspec.UnsetType = msgspec.UNSET


class Mail(msgspec.Struct):
    """`data` of a `mail.received` event. `date` is RFC 3339, null when the message has none that can be read."""

    message_id: str | None
    from_: list[Address] = msgspec.field(name="from")
    to: list[Address]
    cc: list[Address]
    reply_to: list[Address]
    subject: str
    date: str | None
    in_reply_to: list[str]
    references: list[str]
    text: str | None
    html: str | None
    headers: dict[str, list[str]]
    attachments: list[Attachment]
    sender_checks: SenderChecks
    problems: list[str] = []


def read_message(raw: bytes, attachments: Attachments, trusted_host: str = "") -> Mail:
    """The message in `raw`. `trusted_host`: whose Authentication-Results count; "" takes the topmost."""
    problems: list[str] = []
    parsed = _parsed(raw, problems)
    headers = _headers(parsed, problems)
    body = _Body(attachments, problems)
    for part in _leaves(parsed, problems):
        body.add(part)
    date = one_line(parsed, "date")
    at = instant_text(date)
    if date and at is None:
        _note(problems, f"the date cannot be read: {date[:60]!r}")
    ids = message_ids(one_line(parsed, "message-id"))
    if len(fields(parsed, "message-id")) > 1:
        _note(problems, "there are several Message-IDs; the first one is taken")
    return Mail(
        message_id=ids[0] if ids else None,
        from_=addresses(parsed, "from"),
        to=addresses(parsed, "to"),
        cc=addresses(parsed, "cc"),
        reply_to=addresses(parsed, "reply-to"),
        subject=clean(decoded(one_line(parsed, "subject"))),
        date=at,
        in_reply_to=message_ids(one_line(parsed, "in-reply-to")),
        references=message_ids(one_line(parsed, "references"))[:100],
        text=body.text,
        html=body.html,
        headers=headers,
        attachments=body.attachments,
        sender_checks=sender_checks(headers.get("authentication-results", []), trusted_host),
        problems=problems,
    )


def _parsed(raw: bytes, problems: list[str]) -> Message:
    try:
        return _PARSER.parsebytes(raw)
    except _BROKEN:  # a Content-Type on which the standard library fails
        _note(problems, "the structure of the message cannot be read; its body is shown as one text")
        parsed = _PARSER.parsebytes(raw, headersonly=True)
        del parsed["content-type"]
        return parsed


def clean(text: str) -> str:
    """`text` without control characters and unpaired surrogates, with plain line ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


class _Body:
    """Collects the text, the HTML and the attachments of a message, part by part."""

    def __init__(self, policy: Attachments, problems: list[str]) -> None:
        self.text: str | None = None
        self.html: str | None = None
        self.attachments: list[Attachment] = []
        self._policy = policy
        self._problems = problems

    def add(self, part: Message) -> None:
        kind = part.get_content_type()
        file = _is_file(part)
        if not file and kind == "text/plain":
            self.text = self._joined(self.text, self._content(part))
        elif not file and kind == "text/html":
            self.html = self._joined(self.html, self._content(part))
        elif self._policy != "none":
            self._attach(part, kind)

    def _joined(self, before: str | None, text: str) -> str:
        """Several parts of one kind are one text, in order, as mail programs show them."""
        whole = text if before is None else f"{before}\n{text}"
        if len(whole) > MAX_TEXT_CHARACTERS:
            _note(self._problems, f"a text was cut to {MAX_TEXT_CHARACTERS:,} characters")
        return whole[:MAX_TEXT_CHARACTERS]

    def _content(self, part: Message) -> str:
        raw = _decoded_bytes(part, self._problems)
        charset = str(part.get_content_charset("") or "")
        return clean(_unicode(raw, charset, self._problems))

    def _attach(self, part: Message, kind: str) -> None:
        if len(self.attachments) >= MAX_ATTACHMENTS:
            _note(self._problems, f"there are more than {MAX_ATTACHMENTS} attachments; the rest is left out")
            return
        raw = _inner_message(part, self._problems) if kind == "message/rfc822" else _decoded_bytes(part, self._problems)
        self.attachments.append(
            Attachment(
                name=clean(_file_name(part)).replace("\n", " ")[:255],
                type=clean(kind)[:127],
                bytes=len(raw),
                sha256=hashlib.sha256(raw).hexdigest(),
                inline=part.get_content_disposition() == "inline",
                content=base64.b64encode(raw).decode() if self._policy == "keep" else msgspec.UNSET,
            )
        )


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_file_name(part))


def _file_name(part: Message) -> str:
    try:
        return decoded(part.get_filename() or "")
    except _BROKEN:  # a broken RFC 2231 parameter
        return ""


def _leaves(parsed: Message, problems: list[str]) -> Iterator[Message]:
    """The parts that are not multiparts, in order. A message inside a message is one part: its text is its own."""
    waiting: list[tuple[Message, int]] = [(parsed, 0)]
    count = 0
    while waiting:
        part, depth = waiting.pop()
        _repair(part, problems)
        inner = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inner, list) and inner:
            if depth >= MAX_DEPTH:
                _note(problems, f"parts nested deeper than {MAX_DEPTH} levels are left out")
                continue
            waiting.extend((one, depth + 1) for one in reversed(inner) if isinstance(one, Message))
            continue
        count += 1
        if count > MAX_PARTS:
            _note(problems, f"there are more than {MAX_PARTS} parts; the rest is left out")
            return
        if part.get_content_maintype() == "multipart":
            _note(problems, "a multipart without its boundary is read as text")
            part = _as_text(part)
        yield part


def _repair(part: Message, problems: list[str]) -> None:
    """Drop the parameters of a Content-Type on which the standard library fails (RFC 2231 pieces that do not fit)."""
    try:
        part.get_payload()
        part.get_content_charset("")
        part.get_filename()
    except _BROKEN:
        _note(problems, "the parameters of a part's Content-Type cannot be read and are left out")
        kind = part.get_content_type()
        del part["content-type"]
        del part["content-disposition"]
        part["content-type"] = kind


def _inner_message(part: Message, problems: list[str]) -> bytes:
    inner = part.get_payload()
    if not (isinstance(inner, list) and inner and isinstance(inner[0], Message)):
        return b""
    try:
        return inner[0].as_bytes()
    except _BROKEN:
        _note(problems, "a message inside the message cannot be read")
        return b""


def _as_text(part: Message) -> Message:
    """A multipart whose boundary never appears: its content is shown as it is."""
    plain = Message(policy=compat32)
    plain["content-type"] = "text/plain; charset=utf-8"
    payload = part.get_payload()
    plain.set_payload(payload if isinstance(payload, str) else "")
    return plain


def _decoded_bytes(part: Message, problems: list[str]) -> bytes:
    """The content of a part without its transfer encoding; as it is when the encoding is broken."""
    try:
        raw = part.get_payload(decode=True)
    except _BROKEN as error:
        _note(problems, f"a transfer encoding cannot be read: {type(error).__name__}")
        raw = None
    if isinstance(raw, bytes):
        return raw
    payload = part.get_payload()
    return payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""


def _unicode(raw: bytes, charset: str, problems: list[str]) -> str:
    """Text in the charset that it names; else UTF-8; else Windows-1252, which most mislabeled mail is."""
    for name in (charset, "utf-8"):
        try:
            if name:
                return raw.decode(name)
        except (LookupError, UnicodeDecodeError, ValueError):
            if name == charset:
                _note(problems, f"the text is not {name[:40]!r}")
    return raw.decode("cp1252", "replace")


def _headers(parsed: Message, problems: list[str]) -> dict[str, list[str]]:
    """Names in lower case; each value decoded, on one line."""
    found: dict[str, list[str]] = {}
    for number, (name, value) in enumerate(parsed.raw_items()):
        if number >= MAX_HEADERS:
            _note(problems, f"there are more than {MAX_HEADERS} header fields; the rest is left out")
            break
        text = clean(decoded(" ".join(str(value).split())))
        if len(text) > MAX_HEADER_CHARACTERS:
            _note(problems, f"a header field was cut to {MAX_HEADER_CHARACTERS:,} characters")
        found.setdefault(clean(name.lower())[:100], []).append(text[:MAX_HEADER_CHARACTERS])
    return found


def _note(problems: list[str], text: str) -> None:
    text = clean(text)
    if text not in problems and len(problems) < MAX_PROBLEMS:
        problems.append(text)
