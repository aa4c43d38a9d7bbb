"""How many events one commit takes, and how many may wait for it. Pure.

Owns the estimate of what a commit costs: a fixed part (the sync of the disk, a round trip) and a part for each event,
fitted to the newest commits. From it follow two limits. A group is as large as a commit of about `TARGET_SECONDS`
allows; where the fixed part dominates, it is larger, because smaller groups would only commit less. And as long as a
slow store leaves events waiting, no more may wait than the next commits take in `WAIT_SECONDS`: a new event is rejected
at once instead of late. May not know stores, clocks or queues. Invariant: a slow commit that was not full changes
nothing, so a hiccup of a disk rejects no event. Crash: the estimate begins again, with groups of `FIRST`.
"""

from __future__ import annotations

TARGET_SECONDS = 0.15
MOST_SECONDS = 0.4  # of a commit, for its events and its fixed cost
WAIT_SECONDS = 0.45  # for the commits that are ahead of a new event
MOST = 2000
FIRST = 64
LEAST = 16
UNBOUNDED = 1 << 30
SLOW_SECONDS = 0.1
SLOW_IN_A_ROW = 2
ANSWER_SECONDS = 0.9  # of one commit: after that, calls that wait are answered 503
EVENTS_IN_TIME = 500  # a single call with more events takes longer, and can neither be split nor repeated faster
SECONDS_PER_EVENT = 0.001
_MEMORY = 0.8  # what a commit counts for less with each one after it
_SPREAD = 0.25  # of the mean: the sizes must differ that much to separate the two parts of the cost


def patience_seconds(events: int) -> float:
    """How long the commit of a group may take before the calls that wait are answered 503."""
    return ANSWER_SECONDS + SECONDS_PER_EVENT * max(0, events - EVENTS_IN_TIME)


class GroupSize:
    """`limit`: events in one commit. `waiting_limit`: events without an answer at which new ones are refused."""

    def __init__(self) -> None:
        self.limit = FIRST
        self.waiting_limit = UNBOUNDED
        self._fixed = 0.0  # seconds of a commit
        self._each = 0.0  # and of each event in it
        self._slow = 0  # commits in a row
        self._count = self._n = self._t = self._nn = self._nt = 0.0  # sums over commits, newer ones count more

    def committed(self, events: int, seconds: float, left: int) -> None:
        """A commit of `events` (at least one) took `seconds`; `left` events were waiting that it did not take."""
        self._learn(events, seconds)
        fitting = self._fitting()
        is_slow = seconds > SLOW_SECONDS and events >= LEAST
        self._slow = self._slow + 1 if is_slow else 0
        is_behind = left > 0 and (is_slow or self.waiting_limit < UNBOUNDED)
        if fitting < self.limit:
            if self._slow >= SLOW_IN_A_ROW:
                self.limit = max(LEAST, fitting)
        elif left or self.limit < FIRST:
            bearable = int(self.limit * MOST_SECONDS / seconds) if seconds > 0 else MOST  # if all were for the events
            self.limit = max(self.limit, min(2 * self.limit, fitting, bearable))
        self.waiting_limit = self._waiting() if is_behind else UNBOUNDED

    def _learn(self, events: int, seconds: float) -> None:
        self._count = self._count * _MEMORY + 1
        self._n = self._n * _MEMORY + events
        self._t = self._t * _MEMORY + seconds
        self._nn = self._nn * _MEMORY + events * events
        self._nt = self._nt * _MEMORY + events * seconds
        mean, mean_seconds = self._n / self._count, self._t / self._count
        variance = self._nn / self._count - mean**2
        expected = self._fixed + self._each * mean
        if variance > (_SPREAD * mean) ** 2:
            each = (self._nt / self._count - mean * mean_seconds) / variance
            self._each = min(max(0.0, each), mean_seconds / mean)
            self._fixed = mean_seconds - self._each * mean
        elif expected > 0:  # all of one size: both parts changed alike
            self._fixed *= mean_seconds / expected
            self._each *= mean_seconds / expected
        else:  # nothing is known yet: if it is the fixed part, smaller groups will show it
            self._each = mean_seconds / mean

    def _fitting(self) -> int:
        """Nine tenths of a commit for its events, if `MOST_SECONDS` allows it; at least a third."""
        for_events = max(
            TARGET_SECONDS - self._fixed, min(9 * self._fixed, MOST_SECONDS - self._fixed), self._fixed / 2
        )
        return MOST if for_events >= MOST * self._each else max(1, int(for_events / self._each))

    def _waiting(self) -> int:
        """What is in the running commit and in those that fit in the time, at least one, so that the next is full."""
        seconds = self._fixed + self._each * self.limit
        return int(self.limit * max(2.0, WAIT_SECONDS / seconds if seconds > 0 else 2.0))
