"""Members that come twice in one object of a JSON body.

JSON does not say which of them counts: everything here takes the last one, as most parsers do, and a receiver may take
the first. Owns the look for them. Knows no events. Invariants: nothing here raises; a body of more than `at_most` bytes
is not looked at. Crash: nothing is kept.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from tidegate.rules.language import multipart
from tidegate.rules.language.compressed import unpack
from tidegate.rules.language.text import FORM_TYPE, media_type, to_utf8
from tidegate.rules.language.urlencoded import read_urlencoded

MAX_LOOKED = 1 << 20  # bytes
MAX_NAMES = 3
SHOWN_CHARACTERS = 60


def repeated_members(body: bytes, content_type: str, encoding: str = "", at_most: int = MAX_LOOKED) -> list[str]:
    """Names of members that come twice in one object, at most MAX_NAMES; [] for a body that is not JSON."""
    plain = unpack(body, encoding, at_most) if encoding or body[:2] == b"\x1f\x8b" else body
    found: dict[str, None] = {}
    if isinstance(plain, bytes) and len(plain) <= at_most:
        for text in _texts(plain, content_type):
            _look(text, found)
    return [name[:SHOWN_CHARACTERS] for name in list(found)[:MAX_NAMES]]


def _texts(body: bytes, content_type: str) -> Iterator[str | bytes]:
    """The JSON of a body: all of it, each line, or the fields of a form that hold JSON."""
    kind = media_type(content_type)
    if kind in (FORM_TYPE, "multipart/form-data") and body.lstrip()[:1] not in (b"{", b"["):
        read = multipart.read_multipart if kind == "multipart/form-data" else read_urlencoded
        yield from (value for _, value in read(body, content_type)[0] if isinstance(value, str) and value[:1] in "{[")
        return
    plain, _, why = to_utf8(body, content_type)
    if why:
        return
    if "ndjson" in kind or "jsonl" in kind:
        yield from (line for line in plain.splitlines() if line.strip())
    elif plain.lstrip()[:1] in (b"{", b"["):
        yield plain


def _look(text: str | bytes, found: dict[str, None]) -> None:
    def of_object(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) == len(pairs):
            return
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                found[name] = None
            names.add(name)

    with contextlib.suppress(ValueError, RecursionError):  # `explain` says why it is not JSON
        json.loads(text, object_pairs_hook=of_object)
