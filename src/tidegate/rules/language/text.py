"""Content types, charsets, and text as UTF-8.

Owns which charset a body is in: by its Content-Type, by its byte order mark, by the zero bytes of UTF-16. Knows no
format. Invariant: an unknown charset is named and never guessed. Crash: nothing is kept.
"""

from __future__ import annotations

import codecs
import functools
import re

FORM_TYPE = "application/x-www-form-urlencoded"
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_.:+-]{1,40})", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8 = frozenset({"utf-8", "ascii"})
# Encodings of Python that no sender writes in: they raise other errors, or take quadratic time.
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"})
_BEGINNINGS = b'{[<" \t\r\n'  # of JSON and XML
GUESSED = "cp1252"
"""What a form is read as that is not UTF-8 and names no charset: what browsers assume for text of that kind."""
# What browsers read under these names (WHATWG): a byte of 0x80 to 0x9F is a sign of Windows, not a control character.
_AS_WINDOWS = frozenset({"iso8859-1", "ascii"})


def media_type(content_type: str) -> str:
    """`application/json` of `Application/JSON; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def charset_of(content_type: str) -> str:
    """Python's name of the charset that a content type names; "" when it names none, or none that is known."""
    found = _CHARSET.search(content_type) if ";" in content_type else None
    return _known(found[1].lower()) if found else ""


def unknown_charset(content_type: str) -> str:
    """The charset that a content type names and that is not known; "" for any other."""
    found = _CHARSET.search(content_type) if ";" in content_type else None
    return found[1] if found and not _known(found[1].lower()) else ""


def as_text(raw: bytes, charset: str) -> tuple[str, bool]:
    """(text, whether it is a guess): bytes in `charset`, or by GUESSED where none is named and they are not UTF-8."""
    try:
        return raw.decode(charset or "utf-8"), False
    except UnicodeDecodeError:
        return raw.decode(charset or GUESSED, "replace"), True


@functools.lru_cache(maxsize=256)
def _known(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        if not getattr(codec, "_is_text_encoding", True) or codec.name in _NO_CHARSETS:
            return ""  # base64, rot13
        b"a".decode(name)
    except (LookupError, UnicodeError, ValueError):
        return "utf-16" if name.replace("_", "-") in ("utf-16", "utf16", "ucs-2") else ""
    return "cp1252" if codec.name in _AS_WINDOWS else codec.name


def to_utf8(body: bytes, content_type: str) -> tuple[bytes, bool, str]:
    """(the body in UTF-8, whether that changed it, "" or why it could not be done)."""
    charset = _charset(body, content_type)
    if not charset and (unknown := unknown_charset(content_type)) and not is_utf8(body):
        return body, False, f"its Content-Type names the charset {unknown!r}, which is not known"
    if not charset:
        return (body[3:], True, "") if body.startswith(codecs.BOM_UTF8) else (body, False, "")
    try:
        return body.decode(charset).encode("utf-8", "replace"), True, ""
    except UnicodeDecodeError as error:
        return body, False, f"the body is not {charset} at byte {error.start}"


def _charset(body: bytes, content_type: str) -> str:
    """ "" for UTF-8, with or without a byte order mark, which the reader of JSON handles."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return name
    named = charset_of(content_type)
    if named in ("utf-16", "utf-32"):  # without a mark; the first character of JSON and XML is ASCII
        return f"{named}-{'be' if body[:1] == bytes(1) else 'le'}"
    if named and named not in _UTF8 and not (named == "cp1252" and is_utf8(body)):
        return named
    if body[:1] == b"\x00" and body[1:2] and body[1:2] in _BEGINNINGS:
        return "utf-16-be"
    if body[1:2] == b"\x00" and body[:1] in _BEGINNINGS:
        return "utf-16-le"
    return ""


def mislabeled(body: bytes, content_type: str) -> str:
    """What is guessed of a body that its Content-Type labels as Latin-1 and that is UTF-8; "" for any other."""
    if body.isascii() or charset_of(content_type) != "cp1252" or not is_utf8(body):
        return ""
    return "the Content-Type names a charset, and the body is UTF-8; it was read as UTF-8"


def is_utf8(body: bytes) -> bool:
    """Senders that label UTF-8 as Latin-1 are more frequent than real Latin-1 that happens to be valid UTF-8."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
