"""Ids: a prefix that names the thing, then text that sorts by time.

An event's id is computed from its offset and the instance (six letters drawn when the store was made), so
the log needs no column and no index for it: `evt_` + instance + offset in 13 base32 digits. A delivery is
(event, destination) for life, so its id is computed too. Nothing here reads the store.
"""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}
_INSTANCE_LETTERS = 6
_OFFSET_DIGITS = 13
_DESTINATION_DIGITS = 6
_NUMBER_DIGITS = 4


def new_instance() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(_INSTANCE_LETTERS))


def new_id(prefix: str, now_us: int) -> str:
    """A random id such as `rpl_...`: 11 digits of time, 8 of chance."""
    return f"{prefix}_{encode(now_us, 11)}{''.join(secrets.choice(ALPHABET) for _ in range(8))}"


def encode(value: int, digits: int) -> str:
    out = []
    for _ in range(digits):
        out.append(ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(out))


def decode(text: str) -> int:
    """ValueError when a letter is not of the alphabet."""
    value = 0
    for letter in text:
        digit = _VALUE.get(letter)
        if digit is None:
            raise ValueError(f"not base32: {letter!r}")
        value = value << 5 | digit
    return value


_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]


def event_id(instance: str, offset: int) -> str:
    """Unrolled by pairs of digits: it is on the path of every accepted event."""
    p = _PAIRS
    return (
        f"evt_{instance}0{p[offset >> 50 & 1023]}{p[offset >> 40 & 1023]}{p[offset >> 30 & 1023]}"
        f"{p[offset >> 20 & 1023]}{p[offset >> 10 & 1023]}{p[offset & 1023]}"
    )


def delivery_id(instance: str, offset: int, destination: int) -> str:
    return f"dlv_{instance}{encode(offset, _OFFSET_DIGITS)}{encode(destination, _DESTINATION_DIGITS)}"


def attempt_id(instance: str, offset: int, destination: int, number: int) -> str:
    return f"att_{delivery_id(instance, offset, destination)[4:]}{encode(number, _NUMBER_DIGITS)}"


def event_offset(instance: str, text: str) -> int | None:
    """The offset an event id names; None when it is malformed or of another instance."""
    if len(text) != 4 + _INSTANCE_LETTERS + _OFFSET_DIGITS or not text.startswith("evt_" + instance):
        return None
    try:
        return decode(text[4 + _INSTANCE_LETTERS :])
    except ValueError:
        return None


def delivery_parts(instance: str, text: str) -> tuple[int, int] | None:
    """(offset, destination number) a delivery id names; None when malformed or of another instance."""
    head = 4 + _INSTANCE_LETTERS
    if len(text) != head + _OFFSET_DIGITS + _DESTINATION_DIGITS or not text.startswith("dlv_" + instance):
        return None
    try:
        return decode(text[head : head + _OFFSET_DIGITS]), decode(text[head + _OFFSET_DIGITS :])
    except ValueError:
        return None
