"""What a format of answers is: how it is recognized, and how its body becomes rows. Pure.

Owns the shapes that every format uses. Knows no resource, no HTTP and no paginator. Invariants: a row that cannot be
read stays in its place as a `BadRow`, so that it is counted and shown; a body that is not in the format is a
ValueError that says where. Bodies are bounded by the client before they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

SHOWN_CHARACTERS = 200


class BadRow(msgspec.Struct, frozen=True):
    """A row that cannot be read: the reason, and the row as it came."""

    reason: str
    text: bytes


class FormatPage(msgspec.Struct, frozen=True):
    """A page, read.

    `rows`: the rows of a format that has nothing but rows: raw JSON, parsed values or BadRow. None when the rows are
    somewhere in `body`, which is JSON. `no_lists`: the format cannot write a list of one, so an object in its place is
    one row.
    """

    body: bytes = b"null"
    rows: Sequence[Any] | None = None
    no_lists: bool = False


class Format(msgspec.Struct, frozen=True):
    """One format. To add one, add its file with a `FORMAT` to this package.

    `media_types`: types of Content-Type, a trailing `+xml` or `+json` included. `begins`: whether the first bytes of a
    body, without white space, prove the format; it is asked before the Content-Type, which is often wrong.
    """

    name: str
    help: str
    media_types: tuple[str, ...]
    begins: Callable[[bytes], bool]
    read: Callable[[bytes], FormatPage]


def shown(data: bytes) -> str:
    """The beginning of a text on one line."""
    text = " ".join(data[: SHOWN_CHARACTERS * 4].decode("utf-8", "replace").split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
