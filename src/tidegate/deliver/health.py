"""The health of a sender: what pages, API and other nodes show of it, and what the program's log says of its circuit.

Owns the shape that nodes publish to each other (`peer_status.py`), so fields are only added, with a default. May not
know senders. Decides nothing. Crash: it lives in memory, and a sender that starts again is healthy until it fails.
"""

from __future__ import annotations

import logging

import msgspec

from tidegate.rules.outbound.circuit import Circuit

log = logging.getLogger("tidegate.deliver")


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


def log_circuit_change(name: str, opened_before: float | None, circuit: Circuit, now: float, failure: str) -> None:
    """After a result: log a line when the destination begins to fail, and one when it accepts deliveries again."""
    if opened_before is None and circuit.opened_at is not None:
        log.warning(
            "destination %s is failing; deliveries wait and one at a time is sent as a probe: %s", name, failure
        )
    elif opened_before is not None and circuit.opened_at is None:
        log.info("destination %s accepts deliveries again, after %.0f s", name, now - opened_before)
