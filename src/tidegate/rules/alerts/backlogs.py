"""How long a backlog has been above its threshold, and how large it was before. Pure.

Owns one sample a minute of each destination whose backlog is above the threshold. Kept in memory: after a restart a
backlog is watched for the whole window again, and one that was reported stays reported. Invariant: at most one sample a
minute and destination, and none of a destination below the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping

EVERY_US = 60_000_000


class Backlogs:
    """Call `watch` in each round, then `before`."""

    def __init__(self) -> None:
        self._above: dict[str, list[tuple[int, int]]] = {}  # destination -> (when, pending), oldest first

    def watch(self, pending: Mapping[str, int], threshold: int, window_us: int, now_us: int) -> None:
        """`pending` of all destinations, now."""
        self._above = {name: self._above.get(name, []) for name, count in pending.items() if count >= threshold}
        for name, samples in self._above.items():
            if not samples or now_us - samples[-1][0] >= EVERY_US:
                samples.append((now_us, pending[name]))
            while len(samples) > 1 and samples[1][0] <= now_us - window_us:
                del samples[0]

    def before(self, name: str, window_us: int, now_us: int) -> int | None:
        """What was pending at least `window_us` ago; None when the backlog was below the threshold since."""
        samples = self._above.get(name)
        if not samples or samples[0][0] > now_us - window_us:
            return None
        return samples[0][1]
