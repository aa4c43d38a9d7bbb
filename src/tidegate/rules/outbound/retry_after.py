"""`Retry-After`, as seconds or as an instant (RFC 9110 section 10.2.3). Pure and stateless: a crash loses nothing.

Owns the reading of the value. May not know who sent it or how long its reader is willing to wait. Invariant: the result
is never negative.
"""

from __future__ import annotations

import re

from tidegate.core.clock import parse_http_date

_SECONDS = re.compile(r"[+-]?[0-9]{1,32}(?:\.[0-9]{1,32})?")


def parse_retry_after(value: str, now_us: int) -> float | None:
    """Seconds from now, at least 0, of either form; None when it is neither."""
    text = value.strip(" \t")
    if _SECONDS.fullmatch(text):
        return max(0.0, float(text))
    at_us = parse_http_date(text)
    return None if at_us is None else max(0.0, (at_us - now_us) / 1_000_000)
