"""Ids: a prefix that names the type, then characters that sort by time.

Owns the format of all ids. May not know the store. Invariant: the id of an event is computed from its offset and the
instance (six characters drawn when the store was created), so the log needs neither a column nor an index for it:
`evt_` + instance + offset in 13 base32 digits. A delivery is always the same (event, destination), so its id is
computed too. Crash: nothing is kept.
"""

from __future__ import annotations

import functools
import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_INSTANCE_CHARACTERS = 6
_OFFSET_DIGITS = 13
_DESTINATION_DIGITS = 6
_NUMBER_DIGITS = 4


def new_instance() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(_INSTANCE_CHARACTERS))


def new_id(prefix: str, now_us: int) -> str:
    """A random id such as `rpl_...`: 11 digits of time and 8 random ones."""
    return f"{prefix}_{encode(now_us, 11)}{''.join(secrets.choice(ALPHABET) for _ in range(8))}"


def encode(value: int, digits: int) -> str:
    out = []
    for _ in range(digits):
        out.append(ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(out))


def decode(text: str) -> int:
    """The number. ValueError for a character outside the alphabet."""
    value = 0
    for character in text:
        digit = _VALUE.get(character)
        if digit is None:
            raise ValueError(f"{character!r} is not a base32 digit")
        value = value << 5 | digit
    return value


_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]


def event_id(instance: str, offset: int) -> str:
    """The id of an event. Every accepted event needs it, so the digits that rarely change are kept."""
    return f"{_head(instance, offset >> 10)}{_PAIRS[offset & 1023]}"


@functools.lru_cache(maxsize=256)
def _head(instance: str, thousands: int) -> str:
    """An event id without its last two digits."""
    return f"evt_{instance}{encode(thousands, _OFFSET_DIGITS - 2)}"


def delivery_id(instance: str, offset: int, destination: int) -> str:
    return f"dlv_{instance}{encode(offset, _OFFSET_DIGITS)}{encode(destination, _DESTINATION_DIGITS)}"


def attempt_id(instance: str, offset: int, destination: int, number: int) -> str:
    return f"att_{delivery_id(instance, offset, destination)[4:]}{encode(number, _NUMBER_DIGITS)}"


def event_offset(instance: str, text: str) -> int | None:
    """The offset of an event id; None when the id is malformed or of another instance."""
    if len(text) != 4 + _INSTANCE_CHARACTERS + _OFFSET_DIGITS or not text.startswith("evt_" + instance):
        return None
    try:
        return decode(text[4 + _INSTANCE_CHARACTERS :])
    except ValueError:
        return None


def delivery_parts(instance: str, text: str) -> tuple[int, int] | None:
    """(offset, destination number) of a delivery id; None when the id is malformed or of another instance."""
    head = 4 + _INSTANCE_CHARACTERS
    if len(text) != head + _OFFSET_DIGITS + _DESTINATION_DIGITS or not text.startswith("dlv_" + instance):
        return None
    try:
        return decode(text[head : head + _OFFSET_DIGITS]), decode(text[head + _OFFSET_DIGITS :])
    except ValueError:
        return None
