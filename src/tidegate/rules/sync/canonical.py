"""The canonical bytes of a JSON value and their 16-byte hash, which show whether two copies of a record differ.

Owns parsing what a source sent into plain values, and their canonical bytes: keys sorted, no spaces, a number
with an integral value written as an integer (1.0 is 1, true is not), a decimal with all of its digits. Knows no
records. Invariant: equal JSON values give equal bytes, whatever their order of keys or spelling of numbers and
strings. Hostile input (depth, lone surrogates, numbers out of range) is a ValueError or a replaced character, never a
crash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tidegate.rules.language.numbers import encode_hook, read_exact
from tidegate.rules.sync.paths import compiled

MAX_DEPTH = 64  # as deep as filters see; no API is known to nest deeper than about 20
HASH_BYTES = 16

_decode = msgspec.json.Decoder(float_hook=read_exact).decode
_encode = msgspec.json.Encoder(order="deterministic", enc_hook=encode_hook).encode

# What msgspec writes for a float: "1.0", "1e22". A match inside a string only costs time.
_FLOAT = re.compile(rb"[0-9](?:\.0(?![0-9])|[eE][+-]?[0-9])")


def parse_json(data: bytes | memoryview | msgspec.Raw) -> Any:
    """The value of a JSON text. ValueError when it is not JSON, or is nested too deeply."""
    try:
        return _decode(data)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _parse_lenient(bytes(data))


def _parse_lenient(data: bytes) -> Any:
    """Parses what most JSON parsers accept: lone surrogates, a byte order mark. Half of a character becomes U+FFFD."""
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse, parse_float=read_exact)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at character {error.pos}: {error.msg.lower()}") from None
    return _normal(value, 0, lenient=True)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def canonical(value: Any, ignore: Iterable[str] = ()) -> bytes:
    """Canonical bytes of a parsed value without the fields named by the dotted paths of `ignore`.

    ValueError when the value is nested deeper than MAX_DEPTH.
    """
    for path in ignore:
        value = without(value, path)
    try:
        data = _encode(value)
        if len(data) > MAX_DEPTH and data.count(b"[") + data.count(b"{") > MAX_DEPTH:
            _check_depth(value, 0)
        if _FLOAT.search(data) is None:
            return data
        return _encode(_normal(value, 0))
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except UnicodeEncodeError:
        return _encode(_normal(value, 0, lenient=True))


def hash_bytes(data: bytes) -> bytes:
    """The 16-byte hash of canonical bytes."""
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()


def without(value: Any, path: str) -> Any:
    """A copy of `value` without what a path selects, in lists too; the same object when the path selects nothing."""
    return compiled(path).removed(value)


def _check_depth(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"JSON is nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        for inner in value.values():
            _check_depth(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_depth(inner, depth + 1)


def _normal(value: Any, depth: int, lenient: bool = False) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"JSON is nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {_text(name, lenient): _normal(inner, depth + 1, lenient) for name, inner in value.items()}
    if isinstance(value, list):
        return [_normal(inner, depth + 1, lenient) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _text(value, lenient)


def _text(value: Any, lenient: bool) -> Any:
    if not lenient or not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
