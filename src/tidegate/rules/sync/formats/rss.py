"""Feeds: RSS, Atom and JSON Feed as rows of one shape, so that a site that changes its format keeps its records.

Rows have `id`, `title`, `link`, `published`, `updated`, `author`, `summary`, `content`, `categories` and `enclosures`.
`id` is the guid or id of the entry, else its link, else a digest of title and date; times are RFC 3339, null where the
feed gives none that can be read. Reads RSS and Atom with feedparser (extra `feeds`), which knows what real feeds break;
its relative links are resolved and the HTML of summaries is cleaned, and both are text here, never rendered.

A feed shows its latest entries only, so an entry that is gone says nothing: `deletes` has no use.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from tidegate.rules.sync.formats.base import BadRow, Format, FormatPage, shown

MAX_ENTRIES = 100_000
_XML_ROOT = re.compile(rb"<(?:rss|feed|rdf:RDF|channel)[\s>]", re.IGNORECASE)
_END = re.compile(rb"</(?:rss|feed|rdf:RDF|channel)\s*>", re.IGNORECASE)
_JSON_FEED = re.compile(rb'"version"\s*:\s*"https?:(?:\\?/){2}jsonfeed\.org\\?/version\\?/', re.IGNORECASE)


class Enclosure(msgspec.Struct):
    url: str
    type: str
    bytes: int | None


class Entry(msgspec.Struct):
    """One entry as a row."""

    id: str
    title: str
    link: str
    published: str | None
    updated: str | None
    author: str
    summary: str
    content: str
    categories: list[str]
    enclosures: list[Enclosure]


def _begins(head: bytes) -> bool:
    if head[:1] == b"<":
        return _XML_ROOT.search(head[:2048]) is not None
    return head[:1] == b"{" and _JSON_FEED.search(head[:4096]) is not None


def _read(body: bytes) -> FormatPage:
    if body.lstrip()[:1] == b"{":
        return FormatPage(rows=_json_feed(body))
    try:
        import feedparser
    except ImportError:
        raise ValueError('reading feeds needs an extra: pip install "tidegate[feeds]"') from None
    if _END.search(body[-4096:]) is None:
        raise ValueError(f"the feed ends early, without its closing tag: {shown(body[-100:])}")
    parsed = feedparser.parse(body, response_headers={"content-type": "application/xml"})
    if not parsed.get("version") and not parsed.entries:
        reason = parsed.get("bozo_exception")
        raise ValueError(f"the answer is not a feed{f' ({reason})' if reason else ''}: {shown(body)}")
    return FormatPage(rows=[_row(one) for one in _bounded(parsed.entries)])


def _row(entry: Any) -> dict[str, Any] | BadRow:
    # `dict.get`, because that of feedparser answers a missing `updated` with `published`, and warns.
    published, updated = (_instant(dict.get(entry, f"{name}_parsed")) for name in ("published", "updated"))
    title, link = str(entry.get("title", "")), str(entry.get("link", ""))
    name = str(entry.get("id", "")) or link
    if not name and not title:
        return BadRow("the entry has no guid, link or title", str(entry)[:500].encode("utf-8", "replace"))
    row = Entry(
        id=name or _digest(title, published or updated or ""),
        title=title,
        link=link,
        published=published,
        updated=updated or published,
        author=str(entry.get("author", "")),
        summary=str(entry.get("summary", "")),
        content="\n".join(str(one.get("value", "")) for one in entry.get("content", [])),
        categories=[str(one.get("term") or one.get("label") or "") for one in entry.get("tags", [])],
        enclosures=[
            Enclosure(str(one.get("href", "")), str(one.get("type", "")), _number(one.get("length")))
            for one in entry.get("enclosures", [])
        ],
    )
    return dict(msgspec.to_builtins(row))


# -- JSON Feed 1.1 (jsonfeed.org/version/1.1) --------------------------------------------------------------


def _json_feed(body: bytes) -> list[dict[str, Any] | BadRow]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the JSON Feed cannot be read: {error}") from None
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise ValueError(f"the JSON Feed has no list `items`: {shown(body)}")
    return [_json_row(one) for one in _bounded(items)]


def _json_row(item: Any) -> dict[str, Any] | BadRow:
    if not isinstance(item, dict) or item.get("id") in (None, ""):
        return BadRow("the item has no id", msgspec.json.encode(item)[:500])
    authors = _list(item.get("authors")) or [item.get("author")]
    names = [str(one.get("name", "")) for one in authors if isinstance(one, dict)]
    published, updated = _rfc3339(item.get("date_published")), _rfc3339(item.get("date_modified"))
    row = Entry(
        id=str(item["id"]),
        title=str(item.get("title") or ""),
        link=str(item.get("url") or item.get("external_url") or ""),
        published=published,
        updated=updated or published,
        author=", ".join(filter(None, names)),
        summary=str(item.get("summary") or ""),
        content=str(item.get("content_html") or item.get("content_text") or ""),
        categories=[str(one) for one in _list(item.get("tags"))],
        enclosures=[
            Enclosure(str(one.get("url", "")), str(one.get("mime_type", "")), _number(one.get("size_in_bytes")))
            for one in _list(item.get("attachments"))
            if isinstance(one, dict)
        ],
    )
    return dict(msgspec.to_builtins(row))


# -- values ------------------------------------------------------------------------------------------------


def _instant(parsed: Any) -> str | None:
    """A time of feedparser."""
    try:
        return datetime(*parsed[:6]).strftime("%Y-%m-%dT%H:%M:%SZ") if parsed else None  # noqa: DTZ001 - in UTC already
    except (ValueError, TypeError, OverflowError):
        return None


def _rfc3339(value: Any) -> str | None:
    try:
        at = datetime.fromisoformat(str(value).upper()) if value else None
    except ValueError:
        return None
    return None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat().replace("+00:00", "Z")


def _bounded(entries: list[Any]) -> list[Any]:
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"the feed has {len(entries):,} entries; at most {MAX_ENTRIES:,} are read")
    return entries


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


FORMAT = Format(
    name="rss",
    help="RSS, Atom and JSON Feed: each entry is a row with `id`, `title`, `link`, `published`, `updated`, and more.",
    media_types=("application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"),
    begins=_begins,
    read=_read,
)
