"""How old an answer is and whether it may be served: the caching rules of a pull on demand. Pure.

Owns age (RFC 9111 section 4.2.3, reduced to what a gateway with one hop needs), validators (RFC 9110 section 13),
stale-if-error (RFC 5861 section 4) and the text of `Cache-Status` (RFC 9211). May not know sources. The
configuration of the resource decides how old an answer may be, not the source's Cache-Control: the operator
decides; the `no-store` of the source only counts when the resource does not set `cache`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tidegate.core.clock import parse_http_date
from tidegate.rules.sync.links import header

STALE_STATUSES = frozenset({429, 500, 502, 503, 504})  # of the source: a failure, not an answer
MAX_AGE_SECONDS = 1 << 31
CACHE_NAME = "Tidegate"


def initial_age(age_header: str | None) -> int:
    """Seconds an answer was old when it came, by the source's own `Age`."""
    text = (age_header or "").strip()
    return min(int(text), MAX_AGE_SECONDS) if text.isascii() and text.isdecimal() and len(text) < 12 else 0


def age_seconds(answered_at_us: int, came_aged: int, now_us: int) -> float:
    """How old an answer is now. A clock that was set back makes nothing younger than it came."""
    return came_aged + max(0, now_us - answered_at_us) / 1_000_000


def allowed_age(cache_seconds: float, max_age: float | None, no_cache: bool) -> float:
    """The oldest that may be served without asking, in seconds; -1 asks always.

    `max_age` of the caller replaces `cache` of the resource; zero asks for a fresh answer.
    """
    if no_cache:
        return -1.0
    wanted = cache_seconds if max_age is None else max_age
    return wanted if wanted > 0 else -1.0


def may_serve_stale(age: float, cache_seconds: float, stale_if_error_seconds: float) -> bool:
    """Whether a copy may be served while the source fails. The time counts from the end of its freshness."""
    return stale_if_error_seconds > 0 and age <= cache_seconds + stale_if_error_seconds


def may_keep(status: int, cache_control: str | None, cache_seconds: float) -> bool:
    """Whether an answer may be kept for later callers."""
    if status != 200:
        return False
    words = {word.strip().lower() for word in (cache_control or "").split(",")}
    return cache_seconds > 0 or "no-store" not in words


def cache_status(
    *,
    hit: bool = False,
    ttl: float | None = None,
    fwd: str = "",
    fwd_status: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str = "",
) -> str:
    """`Tidegate; hit; ttl=12` or `Tidegate; fwd=stale; fwd-status=304; stored; collapsed`, RFC 9211 section 2."""
    parts = [CACHE_NAME]
    if hit:
        parts.append("hit")
    if fwd:
        parts.append(f"fwd={fwd}")
    if fwd_status is not None:
        parts.append(f"fwd-status={fwd_status}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    if ttl is not None:
        parts.append(f"ttl={int(ttl)}")
    if detail:
        parts.append(f"detail={detail}")
    return "; ".join(parts)


def body_etag(body: bytes) -> str:
    """A strong entity tag made from the body, for an answer that has none."""
    return f'"tg-{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def settled_last_modified(headers: Iterable[tuple[str, str]]) -> str | None:
    """`Last-Modified`, unless the list changed in the two seconds before it was read.

    Its resolution is a second, so another change in that second would be answered 304 (RFC 9110 section 8.8.2.2).
    """
    found = list(headers)
    text = header(found, "last-modified")
    at_us, date_us = parse_http_date(text or ""), parse_http_date(header(found, "date") or "")
    return text if at_us is not None and date_us is not None and date_us - at_us >= 2_000_000 else None


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110 section 13.1.2: weak comparison with each tag of the list, or `*`."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    wanted = _opaque(etag)
    return any(_opaque(tag) == wanted for tag in _tags(if_none_match))


def _opaque(tag: str) -> str:
    return tag[2:] if tag.startswith("W/") else tag


def _tags(value: str) -> Iterable[str]:
    """Entity tags of a list. A tag may contain a comma."""
    at = 0
    while (start := value.find('"', at)) >= 0:
        close = value.find('"', start + 1)
        if close < 0:
            return
        yield value[start : close + 1]
        at = close + 1
