"""A delivery that is being sent: what its sender must remember until the result comes. No I/O.

Owns the shape and the attempt record made from it. May not know queues or the transport. Lives in memory only: after a
crash the delivery is sent again, with the same id and attempt number.
"""

from __future__ import annotations

import msgspec

from tidegate.core.model import Attempt, Deferred, Outcome
from tidegate.deliver.ports import InTransit
from tidegate.outbound.post import PostResult
from tidegate.rules.outbound.after_attempt import DeliveryTries
from tidegate.rules.outbound.circuit_breaker import Sent
from tidegate.rules.outbound.sent_requests import KeptRequest


class Flight(msgspec.Struct):
    """One request in flight. `number` counts the attempts of this delivery, this one included."""

    offset: int
    number: int
    started_at_us: int
    sent: Sent  # what the circuit breaker is given with the result
    deferred: Deferred | None  # None: from the lane
    key: str  # "": no order
    received_at_us: int  # of the event
    body_bytes: int  # of the event
    spends_try: bool = True  # False: the breaker was open when it was sent
    manual: bool = False  # a person retries it now
    in_transit: InTransit | None = None  # None: nothing was sent
    detail: str = ""  # what was cut of the request, in words
    kept: KeptRequest | None = None  # None: nothing was sent

    @property
    def tries(self) -> DeliveryTries:
        """What the schedule of this delivery had spent before this attempt."""
        before = self.number - 1
        left_from = self.deferred.tries_left_from if self.deferred is not None else 0
        return DeliveryTries(before, before - left_from, self.spends_try)

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
            self.kept.head if self.kept is not None else 0, self.kept.request if self.kept is not None else b"",
        )  # fmt: skip
