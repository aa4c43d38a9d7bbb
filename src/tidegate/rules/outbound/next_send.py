"""What one destination is sent next: a pure decision over what its sender has.

Owns the order of the cases below and the choice of the event that a probe sends. May not know the queues, the events
or the clock. Invariants: no delivery goes out before it is due, except one that a person retries now; while first
tries are pending, retries hold at most half of the slots; two probes in a row use different events whenever a second
one could be sent. Stateless: a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from tidegate.rules.outbound.circuit_breaker import Permission


class SendState(msgspec.Struct):
    """What a sender has at one moment. Instants are monotonic seconds; a missing one is None.

    `first_try`: a delivery without an attempt could be sent (its key is free). `retry`: a delivery with an attempt is
    due. `manual`: a person retries one now. Deliveries that may not start (reserved by a command) are not counted.
    """

    permission: Permission
    limit: int
    retry_limit: int
    in_flight: int = 0
    retries_in_flight: int = 0
    suspended: bool = False  # paused, stopping, or a bulk command is being written
    manual: bool = False
    first_try: bool = False
    retry: bool = False
    last_was_retry: bool = False
    hold_until: float = 0.0
    next_probe_at: float | None = None
    next_due_at: float | None = None  # of the earliest delivery that is not due yet


class NextSend(msgspec.Struct, frozen=True):
    """`send`: what to start now, or None. `wake_at`: when to ask again at the latest; None: when something happens."""

    send: Literal["manual", "probe", "first_try", "retry"] | None
    reason: Literal["", "suspended", "hold", "breaker", "slots", "nothing_due"] = ""
    wake_at: float | None = None


_MANUAL = NextSend("manual")
_PROBE = NextSend("probe")
_FIRST_TRY = NextSend("first_try")
_RETRY = NextSend("retry")
_SUSPENDED = NextSend(None, "suspended")
_SLOTS = NextSend(None, "slots")


def next_send(state: SendState, now: float) -> NextSend:
    """The one thing to do now. Call again after each start until `send` is None. The rate limit comes after this."""
    # 1. Nothing goes out while the destination is paused, stopping or reserved by a command.
    if state.suspended:
        return _SUSPENDED
    # 2. "Retry now" means now: it passes the hold, the breaker and the limit, and is one delivery.
    if state.manual:
        return _MANUAL
    # 3. The destination asked for a pause (Retry-After, 429).
    if now < state.hold_until:
        return NextSend(None, "hold", state.hold_until)
    # 4. The breaker is open: one probe when its time has come, of whatever could be sent.
    if state.permission is Permission.PROBE:
        if state.first_try or state.retry:
            return _PROBE
        return NextSend(None, "breaker", state.next_due_at)
    # 5. The breaker is open and holds everything.
    if state.permission is Permission.NOTHING:
        return NextSend(None, "breaker", state.next_probe_at)
    # 6. Every slot is taken: the next result asks again.
    if state.in_flight >= state.limit:
        return _SLOTS
    # 7. The breaker holds retries only: first tries go on.
    if state.permission is Permission.FIRST_TRIES:
        return _FIRST_TRY if state.first_try else NextSend(None, "breaker", state.next_probe_at)
    # 8. A due retry goes before a first try as long as retries hold less than half of the slots.
    if state.retry and _retry_has_room(state):
        return _RETRY
    # 9. A first try may take any slot.
    if state.first_try:
        return _FIRST_TRY
    # 10. Retries are due and hold their half: the other half waits for first tries that may come.
    if state.retry:
        return _SLOTS
    # 11. Nothing is due.
    return NextSend(None, "nothing_due", state.next_due_at)


def _retry_has_room(state: SendState) -> bool:
    """With a single slot, retries and first tries take turns."""
    if state.limit == 1:
        return not (state.first_try and state.last_was_retry)
    return state.retries_in_flight < state.retry_limit


class ProbeCandidate(msgspec.Struct, frozen=True):
    """A delivery that is due and whose key is free."""

    offset: int
    attempts: int


def choose_probe(candidates: Iterable[ProbeCandidate], last_probe: int) -> ProbeCandidate | None:
    """The event least likely to fail on its own: never tried, else fewest attempts, else oldest.

    The event of the last probe is used again only if it is the only one. None without candidates.
    """
    return min(candidates, key=lambda one: (one.offset == last_probe, one.attempts, one.offset), default=None)
