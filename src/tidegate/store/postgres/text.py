"""What PostgreSQL's text cannot hold, escaped reversibly: NUL and lone surrogates are legal input of ours.

`keep` goes in, `back` comes out; both are the identity on all other text, save the escape letter itself. Different
texts stay different, so equality in SQL means equality here. Pure.
"""

from __future__ import annotations

import re

_ESCAPE = "\x1a"  # SUBSTITUTE: the control letter made for this
_UNFIT = re.compile("[\0\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a(....)", re.DOTALL)


def keep(text: str) -> str:
    """The form to store."""
    if _UNFIT.search(text) is None:
        return text
    return _UNFIT.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", text)


def keep_some(text: str | None) -> str | None:
    return None if text is None else keep(text)


def back(text: str) -> str:
    """The text that was given to `keep`."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def back_some(text: str | None) -> str | None:
    return None if text is None else back(text)
