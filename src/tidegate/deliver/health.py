"""How a sender is: what is shown of it to people, here and on other nodes, and what the log says of its circuit.

Owns the shape that nodes tell each other (`board.py`), so fields are only added, with a default. Decides nothing.
Crash: it lives in memory, and a sender that starts again is well until it fails.
"""

from __future__ import annotations

import logging

import msgspec

from tidegate.rules.outbound.circuit import Circuit

log = logging.getLogger("tidegate.deliver")


class SenderHealth(msgspec.Struct, frozen=True):
    """What the dashboard shows of a sender."""

    circuit: str
    in_flight: int
    waiting: int
    lag_events: int
    hold_until_us: int | None
    last_error: str
    rate_per_minute: float
    outcome: str = ""  # of the last failed attempt, as in `model.Outcome`; status: what it was answered with
    status: int | None = None
    opened_at_us: int | None = None  # since when the circuit is not closed; probe_at_us: the next probe
    probe_at_us: int | None = None


def tell_of_circuit(name: str, opened_before: float | None, circuit: Circuit, now: float, failure: str) -> None:
    """After a result: a line in the log when the destination begins to fail, and one when it takes deliveries again."""
    if opened_before is None and circuit.opened_at is not None:
        log.warning("destination %s fails, what comes waits, one at a time goes out as a probe: %s", name, failure)
    elif opened_before is not None and circuit.opened_at is None:
        log.info("destination %s takes deliveries again, after %.0f s", name, now - opened_before)
