"""Rate limits of doubles: windows and leaky buckets, with the statuses, headers and bodies of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from support.catalog.shape import Ask, Reply


class Left(msgspec.Struct, frozen=True):
    """The state of a quota: `reset_us` is the instant of the next window, or when one more request fits a bucket."""

    limit: int
    remaining: int
    now_us: int
    reset_us: int

    @property
    def used(self) -> int:
        return self.limit - self.remaining

    @property
    def wait_seconds(self) -> int:
        """Whole seconds until the reset, rounded up, at least 1."""
        return max(1, -(-(self.reset_us - self.now_us) // 1_000_000))

    @property
    def reset_s(self) -> int:
        """The reset in seconds since 1970, rounded up."""
        return -(-self.reset_us // 1_000_000)


class Quota(msgspec.Struct, kw_only=True):
    """`limit` requests in `seconds`. A bucket is refilled all the time, a window at once when it ends.

    `refuse` is the answer over the limit; `headers` go on every answer; `into` writes the state into a JSON body.
    `counts` says which requests it counts, and `cost` what one of them costs.
    """

    limit: int
    seconds: float
    refuse: Callable[[Left], Reply]
    headers: Callable[[Left], dict[str, str]] | None = None
    into: Callable[[Left, Any], None] | None = None
    counts: Callable[[Ask], bool] = lambda _: True
    cost: Callable[[Ask], float] = lambda _: 1
    bucket: bool = False


class Meter:
    """A quota that is counted."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._used = 0.0
        self._since_us = 0

    def _look(self, now_us: int) -> None:
        span_us = self.quota.seconds * 1e6
        passed = now_us - self._since_us
        if self.quota.bucket:
            self._used = max(0.0, self._used - passed / span_us * self.quota.limit)
            self._since_us = now_us
        elif passed >= span_us:
            self._used, self._since_us = 0.0, now_us

    def left(self, now_us: int) -> Left:
        span_us = self.quota.seconds * 1e6
        if self.quota.bucket:
            over = max(0.0, self._used - self.quota.limit + 1)
            reset_us = now_us + int(over / self.quota.limit * span_us)
        else:
            reset_us = self._since_us + int(span_us)
        return Left(self.quota.limit, max(0, int(self.quota.limit - self._used)), now_us, reset_us)

    def count(self, ask: Ask) -> Reply | None:
        """Count a request; the answer when there is nothing left for it."""
        if not self.quota.counts(ask):
            return None
        self._look(ask.now_us)
        cost = self.quota.cost(ask)
        if self._used + cost > self.quota.limit:
            return self.quota.refuse(self.left(ask.now_us))
        self._used += cost
        return None

    def use_up(self, now_us: int) -> None:
        """Somebody else has used the rest."""
        self._look(now_us)
        self._used = float(self.quota.limit)
