"""What the requests of one source waited for its rate limit, and how much of the quota they used, until it is counted.

Owns nothing durable: the resource whose request it was takes it into its counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tidegate.rules.sync.limits import Limits
from tidegate.rules.sync.quota_share import used_share

TWENTIETHS = 20
MOST = 1000  # kept until the next request takes them


class Usage:
    """Metrics of `core/rollups.py`: `throttled` and `quota.TWENTIETH`."""

    def __init__(self) -> None:
        self._found: list[tuple[str, int]] = []

    def waited(self, seconds: float) -> None:
        """A request waits for the rate limit."""
        self._add("throttled", int(seconds * 1000))

    def answered(self, limits: Limits | None, headers: Iterable[tuple[str, str]]) -> None:
        used = used_share(limits, headers)
        if used is not None:
            self._add(f"quota.{math.ceil(used * TWENTIETHS - 1e-9)}", 0)

    def _add(self, metric: str, milliseconds: int) -> None:
        if len(self._found) < MOST:
            self._found.append((metric, milliseconds))

    def take(self) -> list[tuple[str, int]]:
        """(metric, milliseconds) since the last call."""
        found, self._found = self._found, []
        return found
