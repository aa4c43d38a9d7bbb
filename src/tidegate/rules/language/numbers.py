"""Numbers that keep the digits they were written with, and the encoder that writes them.

Owns `WrittenFloat` and `encode_json`, which everything uses that writes values of an event as JSON. Knows no events.
Invariant: a number that is read and written again has the same characters, whatever its length. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class WrittenFloat(float):
    """A float whose text Python would write differently: `10.50`, `0.1234567890123456789`, `1e400`."""

    __slots__ = ("written",)
    written: str


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
