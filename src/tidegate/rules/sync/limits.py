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
from tidegate.rules.sync.body_wait import MAX_BODY_BYTES, BodyWait, WaitUnit, decoded, overlooked, wait_text
from tidegate.rules.sync.links import header
from tidegate.rules.sync.paths import compiled

ALWAYS_LIMITED = (420, 429, 509)
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
    wait_path: Annotated[
        str,
        doc(
            "A field of the body of such an answer, or of a 429, with the time to wait: retry_after,"
            " extras.wait_seconds. A number of `wait_unit`, or an instant. A header that says it comes first."
        ),
    ] = ""
    wait_unit: Annotated[WaitUnit, doc("What a number at `wait_path` counts: s or ms.")] = "s"
    remaining_header: Annotated[str, doc("The header with the requests that are left.")] = ""
    reset_header: Annotated[str, doc("The header that says when there are more: seconds, or an instant.")] = ""
    usage_header: Annotated[str, doc("A header with what is used and what is allowed: 32/40 or api-usage=18/5000.")] = (
        ""
    )
    wait: Annotated[Duration | None, doc("How long to wait when an answer does not say it.")] = None


class Said(msgspec.Struct, frozen=True):
    """What an answer says beyond the usual headers. `wait_text` and `reset_text` are as they were sent.

    `overlooked`: a member of the body of a 429 that looks like a wait, where no `wait_path` is set.
    """

    limited: bool = False
    wait_text: str = ""
    overlooked: BodyWait | None = None
    wait_seconds: float | None = None
    remaining: int | None = None
    reset_text: str = ""


NOTHING_SAID = Said()
_USAGE = re.compile(r"(\d{1,12})\s*/\s*(\d{1,12})")


def said(limits: Limits | None, status: int, headers: list[tuple[str, str]], body: bytes) -> Said:
    """What `limits` finds in an answer."""
    always = status in ALWAYS_LIMITED
    if limits is None:
        return Said(overlooked=overlooked(decoded(body))) if always and body else NOTHING_SAID
    about_body = bool(limits.body_path) and (not limits.statuses or status in limits.statuses)
    value = decoded(body) if about_body or always or (limits.wait_path and status in limits.statuses) else None
    limited = _is_limited(limits, status, value, body[:MAX_BODY_BYTES])
    waits = limited or always
    return Said(
        limited,
        wait_text(value, limits.wait_path, limits.wait_unit) if waits and limits.wait_path else "",
        overlooked(value) if always and not limits.wait_path else None,
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


def _texts_at(value: Any, path: str) -> list[str]:
    return [str(one) for one in compiled(path).all(value) if isinstance(one, _SCALARS)]
