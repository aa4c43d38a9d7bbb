"""The rate limit of a destination: a token bucket that holds the deliveries of a tenth of a second.

Owns the arithmetic of the bucket. May not know the clock: monotonic seconds are passed in. Invariant: over any period
the deliveries are at most the rate plus one bucket. Crash: the bucket starts with one token.
"""

from __future__ import annotations

BURST_SECONDS = 0.1


class RateLimiter:
    """`take(now)` takes one token. A rate of 0 means unlimited."""

    def __init__(self, per_second: float, now: float) -> None:
        self._tokens = 1.0
        self._counted_at = now
        self.configure(per_second)

    def configure(self, per_second: float) -> None:
        """Change the rate. The tokens stay."""
        self._per_second = per_second
        self._burst = max(1.0, per_second * BURST_SECONDS)

    def take(self, now: float) -> float:
        """Take a token and return 0.0, or return the seconds until the next token."""
        if not self._per_second:
            return 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0
