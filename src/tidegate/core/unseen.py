"""Characters that nobody sees: controls, marks of direction, characters without width, halves of surrogate pairs.

Owns which characters these are, and how they are written out. The command line, the pages and the log use it, so that a
name never looks like another one, and text from outside neither moves a cursor nor hides anything. Pure. Invariant:
every character of the Unicode categories Cc, Cf, Cs, Zl and Zp is one, and so are those that have no width by default;
the two selectors that ask for the text or the emoji form of a character are not.
"""

from __future__ import annotations

import re

_RANGES = (
    "\x00-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
UNSEEN = re.compile(f"[{_RANGES}]")
_UNSEEN_IN_LINES = re.compile(rf"(?!\t|\r?\n)[{_RANGES}]")


def visible(text: str) -> str:
    """`text` on one line, with what cannot be seen written out (`\\u202e`)."""
    return UNSEEN.sub(_written_out, text)


def visible_lines(text: str) -> str:
    """As `visible`; tabs and the ends of lines stay."""
    return _UNSEEN_IN_LINES.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    """As in JSON, so that JSON stays JSON."""
    number = ord(found[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
