"""How an API says that its rate limit is reached, where it does not use 429 and the usual headers. Pure.

Owns the struct `Limits` and what it means: which answers are about the limit, how many requests are left and when there
are more. `rules/sync/upstream_rate_limit.py` decides what follows. May not know who asks. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tidegate.core.spec import Duration, Strict, doc
from tidegate.core.units import seconds
from tidegate.rules.sync.links import header
from tidegate.rules.sync.paths import compiled

MAX_BODY_BYTES = 64 << 10  # a larger answer is not about a limit
_SCALARS = (str, int, float)


class Limits(Strict, frozen=True):
    """What a source says about its limit in ways of its own. 429, `Retry-After` and `RateLimit` always count."""

    statuses: Annotated[
        list[Annotated[int, Meta(ge=400, le=599)]],
        doc("Statuses that mean that the limit is reached. With body_path or body_contains, only if that fits too."),
    ] = []
    body_path: Annotated[
        str, doc("A field of the body that says so, with any status or with `statuses`: errors.*.extensions.code.")
    ] = ""
    body_values: Annotated[list[str | int], doc("The values of that field that mean the limit.")] = []
    body_contains: Annotated[
        list[str], doc("Parts of the body that mean the limit, where it has no such field; needs `statuses`.")
    ] = []
    wait_path: Annotated[str, doc("A field of that body with the time to wait: seconds, or an instant.")] = ""
    remaining_header: Annotated[str, doc("The header with the requests that are left.")] = ""
    reset_header: Annotated[str, doc("The header that says when there are more: seconds, or an instant.")] = ""
    usage_header: Annotated[str, doc("A header with what is used and what is allowed: 32/40 or api-usage=18/5000.")] = (
        ""
    )
    wait: Annotated[Duration | None, doc("How long to wait when an answer does not say it.")] = None


class Said(msgspec.Struct, frozen=True):
    """What an answer says beyond the usual headers. `wait_text` and `reset_text` are as they were sent."""

    limited: bool = False
    wait_text: str = ""
    wait_seconds: float | None = None
    remaining: int | None = None
    reset_text: str = ""


NOTHING_SAID = Said()
_USAGE = re.compile(r"(\d{1,12})\s*/\s*(\d{1,12})")


def said(limits: Limits | None, status: int, headers: list[tuple[str, str]], body: bytes) -> Said:
    """What `limits` finds in an answer."""
    if limits is None:
        return NOTHING_SAID
    value = _decoded(body) if limits.body_path and (not limits.statuses or status in limits.statuses) else None
    limited = _is_limited(limits, status, value, body[:MAX_BODY_BYTES])
    waits = _texts_at(value, limits.wait_path) if limited and limits.wait_path else []
    return Said(
        limited,
        waits[0] if waits else "",
        seconds(limits.wait) if limited and limits.wait is not None else None,
        _remaining(limits, headers),
        (header(headers, limits.reset_header) or "").strip() if limits.reset_header else "",
    )


def _is_limited(limits: Limits, status: int, value: Any, body: bytes) -> bool:
    if limits.statuses and status not in limits.statuses:
        return False
    if limits.body_contains:
        return bool(limits.statuses) and any(text.encode() in body for text in limits.body_contains)
    if not limits.body_path:
        return bool(limits.statuses)
    wanted = {str(one) for one in limits.body_values}
    return any(one in wanted for one in _texts_at(value, limits.body_path))


def _remaining(limits: Limits, headers: list[tuple[str, str]]) -> int | None:
    text = (header(headers, limits.remaining_header) or "").strip() if limits.remaining_header else ""
    if text.isdecimal() and text.isascii() and len(text) < 13:
        return int(text)
    used = _USAGE.search(header(headers, limits.usage_header) or "") if limits.usage_header else None
    return max(0, int(used[2]) - int(used[1])) if used else None


def _decoded(body: bytes) -> Any:
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _texts_at(value: Any, path: str) -> list[str]:
    return [str(one) for one in compiled(path).all(value) if isinstance(one, _SCALARS)]
