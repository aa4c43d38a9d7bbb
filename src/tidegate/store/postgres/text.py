"""Escapes characters that PostgreSQL cannot store as text, reversibly: NUL and lone surrogates are valid input.

`escape` is applied to what goes in, `unescape` to what comes out. Both return all other text unchanged, except the
escape character itself. Different strings stay different, so equality in SQL is equality here. Pure.
"""

from __future__ import annotations

import re

_ESCAPE = "\x1a"  # the control character SUBSTITUTE
_UNFIT = re.compile("[\0\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a(....)", re.DOTALL)


def escape(text: str) -> str:
    """The text to store."""
    if _UNFIT.search(text) is None:
        return text
    return _UNFIT.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", text)


def escape_some(text: str | None) -> str | None:
    return None if text is None else escape(text)


def unescape(text: str) -> str:
    """The text that was given to `escape`."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def unescape_some(text: str | None) -> str | None:
    return None if text is None else unescape(text)
