"""JSON of the API, of files and of arguments, with the digits that were written.

Owns how the command line reads and writes JSON. A decimal such as `10.50` or one of 30 digits is printed, edited and
sent as it came. The encoder is imported when something is written, so that commands start fast.
"""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """ValueError when it is not JSON."""
    return json.loads(text, parse_float=_number)


def _number(text: str) -> float:
    from tidegate.rules.language.numbers import read_float

    return read_float(text)


def json_text(value: Any, *, indent: int = 0) -> str:
    """On one line, or indented."""
    import msgspec

    from tidegate.rules.language.numbers import encode_json

    try:
        return msgspec.json.format(encode_json(value), indent=indent).decode()
    except UnicodeEncodeError:  # half of a character, of a file or an argument
        return json.dumps(value, ensure_ascii=True, indent=indent or None)


def typed(value: Any, shape: Any) -> Any:
    """A value of `read_json` as a struct of the API."""
    import msgspec

    from tidegate.rules.language.numbers import encode_json, read_float

    return msgspec.json.Decoder(shape, float_hook=read_float).decode(encode_json(value))
