"""The links of a page or a feed about itself: `<link rel= href=>` of HTML and Atom, `<atom:link>` of RSS. Pure.

Apart from `websub.py`, because the parser costs a start. Owns where such links end: at the body of a page and at the
first entry of a feed. Invariant: any bytes give a list. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser


def content_links(body: bytes) -> list[tuple[str, str]]:
    """(target, relation) of the links of a page or a feed, without those of its entries."""
    reader = _Links()
    encoding = "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        reader.feed(body.decode(encoding, "replace"))
    except _Done:
        pass
    except (AssertionError, ValueError):  # what the parser raises on declarations that nobody writes
        return []
    return reader.found


class _Done(Exception):
    """The rest of the document has no links of the topic."""


class _Links(HTMLParser):
    """`<link rel=... href=...>` of HTML and Atom, `<atom:link ...>` of RSS."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        name = tag.rpartition(":")[2]
        if name in ("body", "entry", "item"):
            raise _Done
        if name == "link":
            values = {key: value or "" for key, value in attrs}
            self.found += [(values.get("href", ""), one) for one in values.get("rel", "").lower().split()]
