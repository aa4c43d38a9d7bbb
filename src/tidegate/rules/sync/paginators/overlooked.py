"""A walk of one page whose answer says that there are more: which sign it has, and the paginator that fits. Pure.

Owns the difference between a sign that could be there and one that proves a next page: a link or a token with a value,
`has_more`, a total above the rows. Knows no requests. Invariant: the answer of a paginator that found its own next page
is never looked at; without a proof there is no word.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.core.spec import Paginator
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.page_end import End, PageWalk
from tidegate.rules.sync.paginators.base import PageAnswer, PageRequest
from tidegate.rules.sync.paginators.cursor import CursorPages
from tidegate.rules.sync.paginators.detect import Detected, at, detect
from tidegate.rules.sync.paginators.header_link import HeaderLink
from tidegate.rules.sync.paginators.json_link import JsonLink
from tidegate.rules.sync.paginators.offset import OffsetPages
from tidegate.rules.sync.paginators.page_number import PageNumber
from tidegate.rules.sync.paths import first_byte, without_bom

MAX_MEMBER_BYTES = 16_384  # of a member of the page that is looked at; lists are rows
_ENDS = (End.SINGLE_PAGE, End.NO_LINK, End.NO_TOKEN)
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])


def overlooked(spec: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk) -> str:
    """The sign of a next page in the only page of a walk, with the line of TOML that follows it; "" without one."""
    if walk.pages != 1 or walk.resumed or walk.found or not answer.items or walk.ended_by not in _ENDS:
        return ""
    envelope = _envelope(answer.body)
    found = detect(answer.headers, envelope, dict(request.params), answer.items)
    if type(found.paginator) is type(spec) or not _proves(found, envelope, answer):
        return _same_kind(found, envelope, spec)
    return f"{found.evidence}; write {found.pin}"


def _envelope(body: bytes) -> Any:
    """The page with its lists emptied and without large members."""
    try:
        if first_byte(without_bom(body)) != b"{":
            return None
        members = _ENVELOPE.decode(without_bom(body))
        return {
            name: [] if first_byte(raw) == b"[" else parse_json(raw)
            for name, raw in members.items()
            if first_byte(raw) == b"[" or len(bytes(raw)) <= MAX_MEMBER_BYTES
        }
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None


def _proves(found: Detected, envelope: Any, answer: PageAnswer) -> bool:
    spec = found.paginator
    if isinstance(spec, HeaderLink):
        return any(name.lower() == "link" and "next" in value for name, value in answer.headers)
    if isinstance(spec, JsonLink):
        return at(envelope, spec.next_url_path) is not None
    if isinstance(spec, CursorPages):
        more = at(envelope, spec.has_more_path) if spec.has_more_path else None
        if spec.cursor_from_last or isinstance(more, bool):
            return more is True
        return spec.cursor_path not in ("cursor", "after", "offset") and bool(at(envelope, spec.cursor_path))
    if isinstance(spec, PageNumber):
        total = at(envelope, spec.total_path) if spec.total_path else _number(answer, spec.total_header)
        return isinstance(total, int) and total > 1
    if isinstance(spec, OffsetPages):
        total = at(envelope, spec.total_path) if spec.total_path else _number(answer, spec.total_header)
        return isinstance(total, int) and total > answer.items
    return False


def _same_kind(found: Detected, envelope: Any, spec: Paginator) -> str:
    """The paginator has the right type and looks at another place."""
    mine, there = spec, found.paginator
    if isinstance(mine, JsonLink) and isinstance(there, JsonLink):
        places = (mine.next_url_path, there.next_url_path)
    elif isinstance(mine, CursorPages) and isinstance(there, CursorPages) and not mine.cursor_from_last:
        places = (mine.cursor_path, there.cursor_path)
        if there.cursor_from_last or at(envelope, there.cursor_path) in (None, "", False):
            return ""
    else:
        return ""
    if places[0] == places[1] or not at(envelope, places[1]):
        return ""
    return f"nothing at {places[0]!r}, and {found.evidence}; write {found.pin}"


def _number(answer: PageAnswer, name: str) -> int | None:
    text = next((value for one, value in answer.headers if one.lower() == name), "")
    return int(text) if text.isdecimal() and len(text) < 19 else None
