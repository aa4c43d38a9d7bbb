"""How often one address may send a form: a bucket for each address, in memory.

Owns the buckets. May not know forms. Invariant: at most MAX_ADDRESSES are kept; the one that was used longest ago goes
first, so a flood from many addresses costs no memory. Crash: the buckets are full again.
"""

from __future__ import annotations

MAX_ADDRESSES = 10_000


class AddressRates:
    """For one source: `count` forms of one address at once, and as many again over `seconds`."""

    def __init__(self, count: float, seconds: float) -> None:
        self._count = max(count, 1.0)
        self._per_second = count / seconds
        self._buckets: dict[str, tuple[float, float]] = {}  # address -> (tokens, when they were counted)

    def take(self, address: str, now: float) -> float:
        """0.0 and the form counts, or the seconds until one may come."""
        tokens, counted_at = self._buckets.pop(address, (self._count, now))
        tokens = min(self._count, tokens + max(now - counted_at, 0.0) * self._per_second)
        if len(self._buckets) >= MAX_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[address] = (tokens if tokens < 1 else tokens - 1, now)
        return (1 - tokens) / self._per_second if tokens < 1 else 0.0
