"""A delivery that is being sent: what its sender must remember until the result comes. No I/O.

Owns the shape and the attempt record made from it. May not know queues or the transport. Lives in memory only: after a
crash the delivery is sent again, with the same id and attempt number.
"""

from __future__ import annotations

import msgspec

from tidegate.core.model import Attempt, Deferred, Outcome
from tidegate.deliver.ports import InTransit
from tidegate.outbound.post import PostResult


class Flight(msgspec.Struct):
    """One request in flight. `number` counts the attempts of this delivery; `started` is monotonic seconds."""

    offset: int
    number: int
    started_at_us: int
    started: float
    deferred: Deferred | None  # None: a first try, from the lane
    key: str  # "": no order
    probe: bool
    in_transit: InTransit | None = None  # None: nothing was sent
    detail: str = ""  # what was cut of the request, in words

    def attempt(
        self, destination: int, outcome: Outcome, status: int | None, error: str, result: PostResult | None, url: str
    ) -> Attempt:
        """The record of this attempt. `result`: the transport's PostResult; None when nothing was sent."""
        error = "; ".join(one for one in (error, self.detail) if one)
        manual = self.deferred is not None and self.deferred.replay == "manual"
        if result is None:
            return Attempt(self.offset, destination, self.number, outcome, self.started_at_us, 0, status, error,
                           url=url, manual=manual)  # fmt: skip
        return Attempt(
            self.offset, destination, self.number, outcome, self.started_at_us, result.duration_us, status, error,
            result.headers, result.body, result.body_bytes, url, manual,
        )  # fmt: skip
