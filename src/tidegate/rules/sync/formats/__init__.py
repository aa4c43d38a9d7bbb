"""Formats of answers, one file each: JSON, NDJSON, CSV, XML. Pure.

Owns the registry and the recognition of `format = "auto"`: every module of this package but `base` is a format and
brings one `FORMAT`. It may not know resources or HTTP. Invariant: what a body proves comes before what its
Content-Type says, and HTML is named as such, because a login page with status 200 is not an empty list.
"""

from __future__ import annotations

import importlib
import pkgutil
import re

from tidegate.rules.sync.formats.base import BadRow, Format, FormatPage, shown

__all__ = ["AUTO", "FORMATS", "BadRow", "Format", "FormatPage", "is_html", "read_format", "recognized"]

AUTO = "auto"
_NOT_A_FORMAT = frozenset({"base"})
_TITLE = re.compile(rb"<title[^>]*>(.{0,200}?)</title", re.IGNORECASE | re.DOTALL)
_HTML = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta")
_BOM = b"\xef\xbb\xbf"


def _found() -> dict[str, Format]:
    modules = sorted(one.name for one in pkgutil.iter_modules(__path__) if one.name not in _NOT_A_FORMAT)
    formats = [importlib.import_module(f"tidegate.rules.sync.formats.{name}").FORMAT for name in modules]
    return {one.name: one for one in formats}


FORMATS: dict[str, Format] = _found()


def read_format(name: str, body: bytes, content_type: str = "") -> FormatPage:
    """The page in a body that is UTF-8. `name` is a key of FORMATS or `auto`. ValueError says what the body is instead.

    An empty body is an empty page in every format.
    """
    body = body.removeprefix(_BOM)
    if not body.strip():
        return FormatPage(b"null", ())
    if is_html(body):
        raise ValueError(f"the answer is HTML, not data{_titled(body)}: {shown(body)}")
    found = FORMATS[recognized(body, content_type) if name == AUTO else name]
    return found.read(body)


def recognized(body: bytes, content_type: str = "") -> str:
    """The format of a body, by its first bytes, else by its Content-Type; JSON when neither says another."""
    head = body.lstrip()
    for one in FORMATS.values():
        if one.begins(head):
            return one.name
    media_type = content_type.partition(";")[0].strip().lower()
    for one in FORMATS.values():
        if any(media_type == kind or (kind[0] == "+" and media_type.endswith(kind)) for kind in one.media_types):
            return one.name
    return "json"


def is_html(body: bytes) -> bool:
    """Whether a body is a page for people. XHTML with an XML declaration is one too."""
    head = body[:2048].lstrip().lower()
    if head.startswith(b"<?xml") and b"?>" in head:
        head = head.partition(b"?>")[2].lstrip()
    while head.startswith(b"<!--") and b"-->" in head:
        head = head.partition(b"-->")[2].lstrip()
    return head.startswith(_HTML)


def _titled(body: bytes) -> str:
    match = _TITLE.search(body[:65536])
    return f" (its title is {shown(match[1])!r})" if match is not None and match[1].strip() else ""
