"""Opaque cursors: a place in a list, as URL-safe text. Pure.

A cursor holds an offset of the log (never an ID or a clock) or the last key of a page of records. Its first character
names the list it belongs to, so a cursor of another list is rejected and not misread.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from tidegate.core.errors import BadRequest
from tidegate.query.schemas import Page

T = TypeVar("T")

BEFORE = "b"  # newest first: below this offset
AFTER = "a"  # ascending: above this offset
KEY = "k"  # records: after this key
NAME = "n"  # short lists held in memory: after this name
HISTORY = "h"  # records as of a time: after this key
PAIR = "d"  # deliveries: below this (offset, destination number)

_MAX_OFFSET = (1 << 63) - 1
_MAX_CHARACTERS = 4096


def encode_offset(kind: str, offset: int) -> str:
    return _encode(f"{kind}{offset}")


def encode_key(key: str) -> str:
    return _encode(KEY + key)


def decode_offset(kind: str, text: str | None) -> int | None:
    """The offset; None stays None. BadRequest (`bad_cursor`) for anything that is not a cursor of this kind."""
    if text is None:
        return None
    return _number(_decode(kind, text), text)


def encode_pair(pair: tuple[int, int]) -> str:
    return _encode(f"{PAIR}{pair[0]}.{pair[1]}")


def decode_pair(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    offset, dot, destination = _decode(PAIR, text).partition(".")
    if not dot:
        raise _bad(text)
    return _number(offset, text), _number(destination, text)


def page_of(items: Sequence[T], name: Callable[[T], str], limit: int | None, text: str | None) -> Page[T]:
    """A page of a list in memory; without `limit`, everything after the cursor.

    The cursor holds the name of the last item shown. BadRequest when that item is gone.
    """
    start = 0
    if text is not None:
        last = _decode(NAME, text)
        start = next((at for at, item in enumerate(items, 1) if name(item) == last), 0)
        if not start:
            raise BadRequest(
                f"the cursor is no longer valid: {last[:80]!r} was removed",
                code="bad_cursor",
                hint="start again without cursor",
            )
    shown = items[start:] if limit is None else items[start : start + limit]
    ended = start + len(shown) >= len(items)
    return Page(list(shown), None if ended else _encode(NAME + name(shown[-1])))


def decode_key(text: str | None) -> str | None:
    return None if text is None else _decode(KEY, text)


class HistoryPlace(NamedTuple):
    """Where a list of records as of a time goes on: the time, its offset of the log, the last key."""

    at_us: int
    offset: int
    key: str


def encode_history(place: HistoryPlace) -> str:
    return _encode(f"{HISTORY}{place.at_us}.{place.offset}.{place.key}")


def decode_history(text: str | None) -> HistoryPlace | None:
    """None for no cursor, and for one of a list of today. BadRequest for one that is broken."""
    if text is None or not _plain(text).startswith(HISTORY):
        return None
    at, dot, rest = _decode(HISTORY, text).partition(".")
    offset, second, key = rest.partition(".")
    if not dot or not second:
        raise _bad(text)
    return HistoryPlace(_number(at, text), _number(offset, text), key)


def _number(plain: str, text: str) -> int:
    if not plain.isascii() or not plain.isdigit() or len(plain) > 19 or int(plain) >= _MAX_OFFSET:
        raise _bad(text)
    return int(plain)


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii").rstrip("=")


def _decode(kind: str, text: str) -> str:
    plain = _plain(text)
    if not plain.startswith(kind):
        raise _bad(text)
    return plain[1:]


def _plain(text: str) -> str:
    if len(text) > _MAX_CHARACTERS or not text.isascii():
        raise _bad(text)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return raw.decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        raise _bad(text) from None


def _bad(text: str) -> BadRequest:
    return BadRequest(
        f"{text[:60]!r} is not a cursor of this list",
        code="bad_cursor",
        hint="use the next_cursor of the previous page unchanged, or leave the cursor out to start at the beginning",
    )
