"""A delivery on its way: what its sender must remember until the answer comes, or the lack of one. No I/O.

Lives in memory only: after a crash it is sent again, with the same id and attempt number.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.core.model import Attempt, Deferred, Outcome


class Flight(msgspec.Struct):
    """One request on its way."""

    offset: int
    number: int
    started_at_us: int
    started: float
    exception: Deferred | None  # None: it came from the lane
    key: str
    probe: bool
    pending: Any = None

    def attempt(
        self, destination: int, outcome: Outcome, status: int | None, error: str, result: Any, url: str
    ) -> Attempt:
        """What is recorded of it. `result`: what the client brought; None when nothing was sent."""
        manual = self.exception is not None and self.exception.replay == "manual"
        if result is None:
            return Attempt(self.offset, destination, self.number, outcome, self.started_at_us, 0, status, error,
                           url=url, manual=manual)  # fmt: skip
        return Attempt(
            self.offset, destination, self.number, outcome, self.started_at_us, result.duration_us, status, error,
            result.headers, result.body, result.body_bytes, url, manual,
        )  # fmt: skip
