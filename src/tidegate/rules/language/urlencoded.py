"""`application/x-www-form-urlencoded` as fields.

Owns the charset of a form: by its Content-Type, by the field that names it, else UTF-8. What is not UTF-8 and names no
charset is read as browsers do, and that guess is said. Invariants: nothing here raises; an unknown charset is named and
not guessed. Crash: nothing is kept.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from tidegate.rules.language.text import GUESSED, as_text, charset_of, unknown_charset

MAX_FORM_FIELDS = 1000
TOO_MANY = f"the form has more than {MAX_FORM_FIELDS} fields"


def read_urlencoded(body: bytes, content_type: str) -> tuple[list[tuple[str, str]], str, str]:
    """(fields in order, "" or why it cannot be read, "" or what was guessed)."""
    named = charset_of(content_type) or _named_charset(body)
    if not named and (unknown := unknown_charset(content_type)):
        return [], f"its Content-Type names the charset {unknown!r}, which is not known", ""
    text, is_guess = as_text(body.removeprefix(b"\xef\xbb\xbf"), named)
    charset = named or (GUESSED if is_guess else "utf-8")
    try:
        pairs = _pairs(text, charset, "strict")
    except UnicodeDecodeError:
        is_guess = True
        pairs = _pairs(text, named or GUESSED, "replace")
    except ValueError:
        return [], TOO_MANY, ""
    return pairs, "", guess_words(named) if is_guess else ""


def _pairs(text: str, charset: str, errors: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, encoding=charset, errors=errors)


def guess_words(named: str) -> str:
    """What was done with bytes outside the charset that is named, or without one."""
    if named:
        return f"some bytes are not {named}, which the form names; U+FFFD replaces them"
    return "the form is not UTF-8 and names no charset; it was read as windows-1252"


def _named_charset(body: bytes) -> str:
    """The charset that a field of the form names: `charset` (PayPal) or `_charset_` (HTML)."""
    for name in (b"charset=", b"_charset_="):
        at = 0 if body.startswith(name) else body.find(b"&" + name) + 1
        if at or body.startswith(name):
            value = body[at + len(name) : at + len(name) + 40].partition(b"&")[0]
            return charset_of(f"x; charset={value.decode('latin-1')}")
    return ""
