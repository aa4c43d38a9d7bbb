"""The bounds on values that come from outside: event types, keys, delivery ids and times. Pure.

Owns what counts as a usable value. Knows no provider and no request. Invariant: nothing here raises, whatever the value
is; a key is never cut, because that would merge different keys. Crash: nothing is kept.
"""

from __future__ import annotations

import hashlib
from typing import Any

from tidegate.core.clock import parse_instant
from tidegate.rules.language.numbers import WrittenFloat

TYPE_CHARACTERS = 200
KEY_CHARACTERS = 512
DELIVERY_ID_CHARACTERS = 255


def as_text(value: Any) -> str:
    """A string or a number as text, with the digits that were written; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, WrittenFloat):
        return value.written
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value)


def bounded_type(value: Any) -> str:
    """The value as an event type; "" when it is empty, too long or not printable."""
    text = value if type(value) is str else as_text(value)
    return text if len(text) <= TYPE_CHARACTERS and text.isprintable() else ""


def bounded_key(value: Any) -> str | None:
    """The value as a key; None when it is empty, too long or not printable. A key is never cut, because that would
    merge different keys."""
    text = as_text(value)
    return text if 0 < len(text) <= KEY_CHARACTERS and text.isprintable() else None


def bounded_id(value: Any) -> str | None:
    """The value as a delivery id. A long or unprintable one is replaced by its hash, which identifies a repeat too."""
    text = value if type(value) is str else as_text(value)
    if not text:
        return None
    if len(text) <= DELIVERY_ID_CHARACTERS and text.isprintable():
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def instant_us(value: Any) -> int | None:
    """Microseconds since 1970 of a sender's time: seconds or milliseconds since 1970, or RFC 3339; else None."""
    if value is None:
        return None
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit() or len(value) > 16:
            try:
                return _storable(parse_instant(value))
            except (ValueError, OverflowError):
                return None
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    # 1e11 seconds are the year 5138; as milliseconds the same number is in 1973.
    return _storable(int(value * 1000) if value >= 1e11 else int(value * 1_000_000))


def as_it_is(value: Any) -> Any:
    """The value, None when there is nothing: to say what was there and could not be used."""
    return None if value == "" else value


def why_unusable(value: Any, most_characters: int) -> str:
    """What a value is, in words that hold nothing of it. `most_characters`: 0 for a time."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = as_text(value)
    if not text:
        return "true or false"
    if not most_characters:
        return f"{len(text)} characters that cannot be read as a time"
    if len(text) > most_characters:
        return f"{len(text)} characters, at most {most_characters} are allowed"
    return "it has characters that cannot be printed"


def _storable(at_us: int) -> int | None:
    """None outside the years 1970 to 9999, which is the range that pages can show."""
    return at_us if 0 <= at_us < 253_402_300_800_000_000 else None
