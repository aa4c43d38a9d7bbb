"""How fast a destination is sent to: a token bucket of a tenth of a second's deliveries.

Pure arithmetic on monotonic seconds that are handed in. A restart forgets it, which costs one small burst at most.
"""

from __future__ import annotations

BURST_SECONDS = 0.1


class RateLimiter:
    """`take(now)` spends one delivery; a rate of 0 is no limit."""

    def __init__(self, per_second: float, now: float) -> None:
        self._tokens = 1.0
        self._counted_at = now
        self.configure(per_second)

    def configure(self, per_second: float) -> None:
        """Another rate from now on; what was saved up stays."""
        self._per_second = per_second
        self._burst = max(1.0, per_second * BURST_SECONDS)

    def take(self, now: float) -> float:
        """0 when one may leave now, and it is spent; else the seconds until one may."""
        if not self._per_second:
            return 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0
