"""How many requests one destination gets at the same time, and how long to hold after 429.

Owns the adaptive limit and the holds that a 429 without `Retry-After` causes. May not know the queues or the clock:
monotonic seconds are passed in. Invariants: the limit is never below 1 nor above `concurrency` of the destination;
retries never hold more than half of the slots, so deliveries that hang on every try cannot take the slots of first
tries; while some requests succeed, the limit keeps a quarter of `concurrency`.

Crash: it starts at `concurrency` again and adapts within a few rounds.
"""

from __future__ import annotations

from typing import Final

from tidegate.rules.outbound.retry_on import AttemptMeaning, Blame

SLOW_START_LIMIT: Final = 2
CUT: Final = 0.5  # slots that one timeout or 429 takes: a round of nothing else halves the limit
FLOOR_SHARE: Final = 4  # with successes among the results the limit stays at or above a quarter
RECENT_RESULTS: Final = 32
FIRST_HOLD: Final = 1.0
LONGEST_HOLD: Final = 30.0


class AdaptiveConcurrency:
    """Additive increase on success, half a slot down on each timeout or 429, doubling while in slow start."""

    __slots__ = ("_exact", "_hold", "_maximum", "_since_success", "_slow_start", "hold_until")

    def __init__(self, maximum: int) -> None:
        self._maximum = max(1, maximum)
        self._exact = float(self._maximum)
        self._slow_start = False
        self._since_success = RECENT_RESULTS  # results since the last success
        self._hold = FIRST_HOLD
        self.hold_until = 0.0  # monotonic seconds; nothing goes out before

    def configure(self, maximum: int) -> None:
        """Another maximum. A limit that had not been cut follows it up."""
        whole = self._exact >= self._maximum and not self._slow_start
        self._maximum = max(1, maximum)
        self._exact = float(self._maximum) if whole else min(self._exact, float(self._maximum))

    @property
    def limit(self) -> int:
        """Requests that may be in flight now, 1 to `concurrency`."""
        return int(self._exact)

    @property
    def retry_limit(self) -> int:
        """Retries that may be in flight: half of the limit; with a limit of 1 the sender alternates."""
        return max(1, self.limit // 2)

    def slow_start(self) -> None:
        """The destination has just recovered: a few through, then twice as many with each round."""
        self._exact = float(min(SLOW_START_LIMIT, self._maximum))
        self._slow_start = True

    def on_result(self, meaning: AttemptMeaning, now: float, jitter: float, hold_is_known: bool = False) -> None:
        """A finished attempt. `hold_is_known`: the answer named its own hold (`Retry-After`)."""
        if meaning.blame is Blame.NONE:
            self._since_success = 0
            self._hold = FIRST_HOLD
            step = 1.0 if self._slow_start else 1.0 / self._exact
            self._exact = min(float(self._maximum), self._exact + step)
            self._slow_start = self._slow_start and self._exact < self._maximum
            return
        self._since_success = min(RECENT_RESULTS, self._since_success + 1)
        if meaning.timed_out or meaning.throttled:
            self._slow_start = False
            self._exact = max(self._exact - CUT, min(self._exact, self._floor(meaning.throttled)))
        if meaning.throttled and not hold_is_known and now >= self.hold_until:
            self.hold_until = now + self._hold * (0.8 + 0.4 * jitter)
            self._hold = min(self._hold * 2, LONGEST_HOLD)

    def _floor(self, throttled: bool) -> float:
        """A destination that takes some requests in time is not overloaded by a quarter of `concurrency`."""
        if throttled or self._since_success >= RECENT_RESULTS:
            return 1.0
        return max(1.0, self._maximum / FLOOR_SHARE)
