"""Simulated destinations: what each of them answers to a request, in virtual time. No sockets, no clock.

An answer is a pure function of the destination's seed, the event and the virtual time, except where a row says that a
destination fails by request.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidegate.core.model import Outcome

TIMEOUT = 15.0


@dataclass(frozen=True)
class Reply:
    """`seconds`: how long the request took."""

    outcome: Outcome
    status: int | None
    seconds: float
    retry_after: float | None = None


class Destination:
    """Takes everything after `latency` seconds on average."""

    def __init__(self, latency: float = 0.02) -> None:
        self.latency = latency

    def takes(self, offset: int) -> bool:
        """Whether this event is one that the destination takes when it works."""
        return True

    def down_until(self, now: float) -> float:
        """The end of the outage that `now` lies in, else `now`."""
        return now

    def down_seconds(self, start: float, end: float) -> float:
        """How much of [start, end] the destination was down."""
        return 0.0

    def reply(self, offset: int, now: float, rng: random.Random) -> Reply:
        return self.failure(rng) if not self.takes(offset) else self.success(rng)

    def success(self, rng: random.Random) -> Reply:
        return Reply(Outcome.OK, 200, self.latency * (0.5 + rng.random()))

    def failure(self, rng: random.Random) -> Reply:
        return Reply(Outcome.HTTP_ERROR, 500, self.latency * (0.5 + rng.random()))


class FailsByRequest(Destination):
    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def reply(self, offset: int, now: float, rng: random.Random) -> Reply:
        return self.failure(rng) if rng.random() < self.share else self.success(rng)


class FailsByEvent(Destination):
    """`bad(offset)`: the events that fail on every try; `how`: what is answered to them."""

    def __init__(self, bad: Callable[[int], bool], how: Reply | None = None) -> None:
        super().__init__()
        self.bad = bad
        self.how = how

    def takes(self, offset: int) -> bool:
        return not self.bad(offset)

    def failure(self, rng: random.Random) -> Reply:
        return self.how or super().failure(rng)


def share_of_events(share: float, seed: int) -> Callable[[int], bool]:
    """The same events for each try, spread at random."""
    return lambda offset: random.Random(offset * 7919 + seed).random() < share


@dataclass
class Outages(Destination):
    """Down during each (from, until) of `spans`; answers `how` meanwhile."""

    spans: Sequence[tuple[float, float]]
    how: Reply = field(default_factory=lambda: Reply(Outcome.REFUSED, None, 0.001))
    latency: float = 0.02

    def down_until(self, now: float) -> float:
        return next((until for start, until in self.spans if start <= now < until), now)

    def down_seconds(self, start: float, end: float) -> float:
        return sum(max(0.0, min(end, until) - max(start, down)) for down, until in self.spans)

    def reply(self, offset: int, now: float, rng: random.Random) -> Reply:
        return self.how if self.down_until(now) > now else self.success(rng)


def flapping(up: float, down: float, until: float) -> list[tuple[float, float]]:
    period = up + down
    return [(number * period + up, (number + 1) * period) for number in range(math.ceil(until / period))]


class RateLimited(Destination):
    """Takes `per_second` with a burst of as many; answers 429 to the rest, with or without `Retry-After`."""

    def __init__(self, per_second: float, retry_after: float | None) -> None:
        super().__init__()
        self.per_second = per_second
        self.retry_after = retry_after
        self._tokens = per_second
        self._at = 0.0

    def reply(self, offset: int, now: float, rng: random.Random) -> Reply:
        self._tokens = min(self.per_second, self._tokens + (now - self._at) * self.per_second)
        self._at = now
        if self._tokens < 1:
            return Reply(Outcome.HTTP_ERROR, 429, 0.005, self.retry_after)
        self._tokens -= 1
        return self.success(rng)
