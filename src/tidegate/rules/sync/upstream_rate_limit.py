"""How fast a source may be asked: one budget per source, for pulls, polls and fetch-backs alike.

A token bucket that the source's own words slow down: `Retry-After` (RFC 9110 section 10.2.3, seconds or a date),
`X-RateLimit-Remaining` and `-Reset`, and both generations of the IETF `RateLimit` fields. Owns the arithmetic only:
time is handed in (`now` is monotonic seconds), waiting is the caller's. A crash forgets it, which costs one answer 429.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidegate.rules.outbound.retry import parse_retry_after
from tidegate.rules.sync.paginators import header

LOW = 10  # so few requests left are spread over the time until the reset
MAX_BLOCK_SECONDS = 86_400.0  # a source that says more is not believed
_EPOCH_FROM = 100_000_000  # a reset above this is an instant, not a distance
_FIELD = re.compile(r'(?:^|[,;\s])(r|t|remaining|reset)\s*=\s*"?([0-9]{1,12})', re.IGNORECASE)

Headers = Iterable[tuple[str, str]]


class UpstreamRateLimit:
    """`reserve` counters one request and says how long to wait for it."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second) if per_second else 1.0
        self._tokens = self._burst
        self._counted_at: float | None = None
        self.refused_until = 0.0  # by the source's own word; grows only
        self._not_before = 0.0
        self._gap = 0.0  # seconds between requests while the quota is low
        self._gap_until = 0.0

    def wait_seconds(self, now: float) -> float:
        """How long a request made now would have to wait; nothing is booked."""
        wait = max(0.0, self._not_before - now, self.refused_until - now)
        if self._per_second:
            tokens = self._refilled(now)
            if tokens < 1:
                wait = max(wait, (1 - tokens) / self._per_second)
        return wait

    def reserve(self, now: float) -> float:
        """Book a request; seconds to wait before it may leave."""
        wait = self.wait_seconds(now)
        if self._per_second:
            self._tokens = self._refilled(now) - 1
            self._counted_at = now
        if self._gap and now + wait < self._gap_until:
            self._not_before = max(self._not_before, now + wait) + self._gap
        return wait

    def _refilled(self, now: float) -> float:
        if self._counted_at is None or not self._per_second:
            return self._tokens
        return min(self._burst, self._tokens + max(0.0, now - self._counted_at) * self._per_second)

    def observe(self, status: int, headers: list[tuple[str, str]], now: float, now_us: int) -> None:
        """Learn from an answer."""
        if status in (429, 503):
            pause = parse_retry_after(header(headers, "retry-after") or "", now_us)
            if pause is None and status == 429:
                _, reset = quota(headers, now_us)
                pause = reset if reset is not None else 1.0
            if pause is not None:
                self.refused_until = max(self.refused_until, now + min(pause, MAX_BLOCK_SECONDS))
        remaining, reset = quota(headers, now_us)
        if remaining is None or reset is None:
            return
        reset = min(reset, MAX_BLOCK_SECONDS)
        if remaining == 0:
            self.refused_until = max(self.refused_until, now + reset)
        self._gap = reset / remaining if 0 < remaining <= LOW else 0.0
        self._gap_until = now + reset


def quota(headers: Headers, now_us: int) -> tuple[int | None, float | None]:
    """(requests left, seconds until the quota is new) from whatever names the source uses."""
    fields = {name.lower(): value for name, value in headers if "ratelimit" in name.lower()}
    if not fields:
        return None, None
    found: dict[str, int] = {}
    for name, text in _FIELD.findall(fields.get("ratelimit", "")):
        found.setdefault({"r": "remaining", "t": "reset"}.get(name.lower(), name.lower()), int(text))
    for word in ("remaining", "reset"):
        for name in (f"ratelimit-{word}", f"x-ratelimit-{word}"):
            text = fields.get(name, "").strip()
            if text.replace(".", "", 1).isdecimal() and text.isascii() and len(text) < 16:
                found.setdefault(word, int(float(text)))
    reset: float | None = found.get("reset")
    if reset is not None and reset > _EPOCH_FROM:
        reset = max(0.0, reset - now_us / 1_000_000)
    return found.get("remaining"), reset
