"""Splits a request with several events into its items (`split`). Pure.

Owns where the list is and the bytes of each item: as they were written where the body is JSON, else as JSON of the
item; entries of a feed have the shape of `rules/sync/formats/rss.py`. Knows no event and no store. Invariant: nothing
here raises on a body; a body without the list gives None, and the request is one event. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tidegate.providers.shape import FEED
from tidegate.rules.inbound.places import Headers
from tidegate.rules.language.body import read_body
from tidegate.rules.language.compressed import unpack
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.language.paths import parse_path
from tidegate.rules.language.view import walk

MAX_ITEMS = 1000
WHOLE = "$"

Split = Callable[[Headers, bytes], list[bytes] | None]


def compile_split(path: str) -> Split | None:
    """A function from headers and raw body to the items; None for a source that does not split."""
    if not path:
        return None
    if path == FEED:
        return _entries
    names = () if path == WHOLE else parse_path(path)
    shape: Any = list[msgspec.Raw]
    for name in reversed(names):
        if any(one in '"\\' or one < " " for one in name):
            shape = None  # the parser takes no such field
            break
        shape = msgspec.defstruct("Level", [("below", shape)], rename={"below": name})
    decoder = msgspec.json.Decoder(shape) if shape is not None else None
    depth = len(names)

    def split(headers: Headers, body: bytes) -> list[bytes] | None:
        if decoder is not None:
            try:
                found = decoder.decode(body)
            except (ValueError, RecursionError):
                pass
            else:
                for _ in range(depth):
                    found = found.below
                return [bytes(item) for item in found]
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        encoding = headers.get(b"content-encoding", b"").decode("latin-1")
        listed = walk(read_body(body, content_type, encoding).value, names)
        return [encode_json(item) for item in listed] if isinstance(listed, list) else None

    return split


def _entries(headers: Headers, body: bytes) -> list[bytes] | None:
    """The entries of a feed, oldest first where the feed has the newest first, as feeds usually do."""
    from tidegate.rules.sync.formats.rss import FORMAT  # the parser of feeds is loaded for those who need it

    plain = unpack(body, headers.get(b"content-encoding", b"").decode("latin-1"))
    try:
        rows = FORMAT.read(plain).rows if isinstance(plain, bytes) else None
    except ValueError:
        return None
    if rows is None:
        return None
    return [encode_json(row) for row in reversed(rows) if isinstance(row, dict)]
