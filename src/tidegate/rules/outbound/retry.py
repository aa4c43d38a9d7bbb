"""What follows a finished try: delivered, another try and when, exhausted, or the destination disabled.

Owns the reading of `Retry-After`, the jitter and the end of a schedule. May not know the queue; the caller acts on
the verdict. Invariant: only a 2xx is a success; a schedule of n waits gives n + 1 tries; no try comes before the
instant a destination asked for (up to the cap that the user set).
"""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from tidegate.core.clock import parse_http_date
from tidegate.core.model import Outcome

_SECONDS = re.compile(r"[+-]?[0-9]{1,32}(?:\.[0-9]{1,32})?")
_JITTER = 0.2
_GONE = 410
_HOLDING = (429, 503)


class Verdict(msgspec.Struct, frozen=True):
    """`due_at_us` with "retry" only. `hold_seconds`: send nothing to this destination for so long, in any case."""

    kind: Literal["delivered", "retry", "exhausted", "disable"]
    due_at_us: int | None = None
    hold_seconds: float | None = None


_DELIVERED = Verdict("delivered")
_DISABLE = Verdict("disable")


def parse_retry_after(value: str, now_us: int) -> float | None:
    """Seconds from now, at least 0, of either form (RFC 9110 section 10.2.3); None when it is neither."""
    text = value.strip(" \t")
    if _SECONDS.fullmatch(text):
        return max(0.0, float(text))
    at_us = parse_http_date(text)
    return None if at_us is None else max(0.0, (at_us - now_us) / 1_000_000)


def next_attempt(
    schedule_seconds: tuple[float, ...],
    tries: int,
    outcome: Outcome,
    status: int | None,
    retry_after: float | None,
    retry_after_cap: float,
    now_us: int,
    jitter: float,
) -> Verdict:
    """The verdict on a try that ended at `now_us`.

    `tries` counts the finished tries of this schedule, this one included. `jitter` in [0, 1) spreads the wait over
    80 % to 120 %, so that what failed together does not return together.
    """
    if outcome is Outcome.OK and status is not None and 200 <= status < 300:
        return _DELIVERED
    if status == _GONE:
        return _DISABLE
    hold = min(retry_after, retry_after_cap) if status in _HOLDING and retry_after is not None else None
    if tries > len(schedule_seconds):
        return Verdict("exhausted", None, hold)
    wait = schedule_seconds[max(tries, 1) - 1] * (1 - _JITTER + 2 * _JITTER * jitter)
    return Verdict("retry", now_us + math.ceil(max(wait, hold or 0.0) * 1_000_000), hold)
