"""Numbers that keep the digits they were written with, and the encoder that writes them.

Owns `WrittenFloat` and `encode_json`, which everything uses that writes values of an event as JSON, and `ExactFloat`,
which stands for a decimal of a record that has more digits than a float. Knows no events.
Invariants: a number that is read and written again has the same characters, whatever its length; two records differ
when their decimals do, at whatever digit. Crash: nothing is kept.
"""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Final

import msgspec


class WrittenFloat(float):
    """A float whose text Python would write differently: `10.50`, `0.1234567890123456789`, `1e400`."""

    __slots__ = ("written",)
    written: str

    def __repr__(self) -> str:
        return self.written


# JMESPath knows a type by this name; with another one its functions would reject the number.
WrittenFloat.__name__ = "float"


def read_float(text: str) -> float:
    """For `float_hook`: a plain float when it writes back as `text`, else one that remembers `text`."""
    value = float(text)
    if repr(value) == text:
        return value
    kept = WrittenFloat(value)
    kept.written = text
    return kept


class ExactFloat(WrittenFloat):
    """A decimal that no float is equal to. `written` is the same for every spelling of it, and decides equality."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ExactFloat):
            return self.written == other.written
        return isinstance(other, WrittenFloat) and read_exact(other.written) == self

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.written)

    def is_integer(self) -> bool:
        return False


ExactFloat.__name__ = "float"
FLOAT_DIGITS = 17  # of the longest text that a float needs
_EXPANDED_DIGITS = 767  # of the longest exact value of a float
_PLAIN_EXPONENT = 400  # a larger number is written with its exponent


def read_exact(text: str) -> float | int:
    """For `float_hook` where values are compared: a plain float when it says all that `text` does, an integer when the
    number is whole and has too many digits for a float, else an `ExactFloat`.

    A text that is the expansion of a float, such as `0.1000000000000000055`, is that float.
    """
    value = float(text)
    finite = math.isfinite(value)
    if finite and (len(text) <= FLOAT_DIGITS or repr(value) == text):
        return value
    digits = len(text.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0"))
    if finite and digits <= FLOAT_DIGITS:
        return value
    try:
        number = Decimal(text).normalize(Context(prec=max(digits, 1), Emax=MAX_EMAX, Emin=MIN_EMIN))
    except InvalidOperation:  # an exponent of 19 digits
        return _exact(value, text)
    if finite and digits <= _EXPANDED_DIGITS and Decimal(f"{value:.{digits - 1}e}") == number:
        return value
    exponent = number.adjusted()
    if abs(exponent) >= _PLAIN_EXPONENT:
        return _exact(value, str(number))
    return int(number) if number == number.to_integral_value() else _exact(value, f"{number:f}")


def _exact(value: float, written: str) -> ExactFloat:
    made = ExactFloat(value)
    made.written = written
    return made


def encode_hook(value: Any) -> Any:
    """For `enc_hook` of any encoder that writes values of an event."""
    if isinstance(value, WrittenFloat):
        return msgspec.Raw(value.written.encode())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


decode_json: Final = msgspec.json.Decoder(float_hook=read_float).decode
"""`(bytes) -> value`. Raises what `msgspec.json.decode` raises."""

_ENCODER: Final = msgspec.json.Encoder(enc_hook=encode_hook)
encode_json = _ENCODER.encode
"""`(value) -> bytes`. Raises what `msgspec.json.encode` raises."""


def json_text(value: Any) -> str:
    """JSON on one line, with a blank after each comma and colon, for people."""
    return msgspec.json.format(encode_json(value), indent=0).decode()
