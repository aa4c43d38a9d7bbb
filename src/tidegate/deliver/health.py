"""The health of a sender: what pages, API and other nodes show of it.

Owns the shape that nodes publish to each other (`peer_status.py`), so fields are only added, with a default. May not
know senders. Decides nothing. Crash: it lives in memory, and a sender that starts again is healthy until it fails.
"""

from __future__ import annotations

import msgspec


class SenderHealth(msgspec.Struct, frozen=True):
    """A moment of one sender. Fields that end in `_us` are microseconds since 1970."""

    circuit: str
    in_flight: int
    waiting: int  # pending deliveries in memory
    lag_events: int  # offsets between the lane and the end of the log
    hold_until_us: int | None
    last_error: str
    rate_per_minute: float
    outcome: str = ""  # of the last failed attempt, as in `model.Outcome`
    status: int | None = None  # HTTP status of the last failed attempt
    opened_at_us: int | None = None  # since when the circuit is not closed
    probe_at_us: int | None = None  # when the next probe goes out
    failing: bool = False  # it holds first tries, or its outage lasted some seconds: people should see it
    limit: int = 0  # requests that may be in flight now, at most `concurrency`; 0: an older node did not say
