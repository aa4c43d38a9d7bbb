"""How long appends are kept for one group before the writer gets them. Pure.

The loop and the writer share one interpreter. A writer that begins with the first of many requests takes it from the
loop at each step, and both become slower; the events behind the first ones wait for the next commit anyway. So while
commits have many events, the loop keeps what comes until there are as many as in the commits before, nothing came for
`GAP_SECONDS`, or `MOST_SECONDS` are over. With few events at once nothing is kept.

May not know stores, threads or clocks. Crash: what was kept was not acknowledged, and its sender sends it again.
"""

from __future__ import annotations

MANY = 12  # events of a commit, from which on it is worth to wait for the others
FULL = 64  # enough for one group
GAP_SECONDS = 0.001
MOST_SECONDS = 0.008
DECAY = 0.95  # of what is expected, with each commit that has less


class Collecting:
    """`expected`: how many events the next group probably has."""

    def __init__(self) -> None:
        self.expected = 0
        self._began = 0.0
        self._count = 0  # at the last look; 0 when nothing is kept

    def committed(self, events: int) -> None:
        """A commit had so many events. For the writer's thread."""
        self.expected = max(events, int(self.expected * DECAY))

    def keeps(self, now: float, count: int) -> bool:
        """Whether `count` events are kept for `GAP_SECONDS` more. `now`: seconds of a monotonic clock."""
        expected = self.expected
        if expected < MANY:
            return False
        before, self._count = self._count, 0
        if not before:
            self._began = now
        if count == before or count >= min(expected, FULL) or now - self._began >= MOST_SECONDS:
            return False
        self._count = count
        return True
