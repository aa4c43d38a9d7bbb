"""Decides what follows a finished attempt of one delivery: delivered, another try and when, exhausted, or disabled.

Owns the end of a schedule, its jitter and the attempts that spend no try. May not know the queues; the caller acts on
the result. Invariants: a schedule of n waits gives n + 1 tries; an attempt that an open breaker let through spends
none; no try comes before the instant that the destination asked for, up to the cap that the user set.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

from tidegate.rules.outbound.retry_on import AttemptMeaning, Blame

_JITTER: Final = 0.2
FREE_ATTEMPTS: Final = 20  # attempts answered 429 that spend no try; later ones do
_HOLDING: Final = (429, 503)


class RetryPolicy(msgspec.Struct, frozen=True):
    """The retry settings of a destination, in seconds."""

    schedule: tuple[float, ...]
    retry_after_cap: float = 3600.0


class DeliveryTries(msgspec.Struct, frozen=True):
    """The tries of a delivery before the attempt that has just ended."""

    attempts: int = 0
    tries: int = 0  # attempts that spent a try of the current schedule
    spends_try: bool = True  # False: the breaker was open when this attempt was sent


class NextStep(msgspec.Struct, frozen=True):
    """`due_at_us` with "retry" only. `hold_seconds`: send nothing to this destination during that time."""

    kind: Literal["delivered", "retry", "exhausted", "disable"]
    due_at_us: int | None = None
    spent: bool = True  # this attempt counts as a try of the schedule
    hold_seconds: float | None = None


_DELIVERED: Final = NextStep("delivered")
_DISABLE: Final = NextStep("disable")


def hold_of(status: int | None, retry_after: float | None, cap: float) -> float | None:
    """Seconds that a 429 or 503 asked for, at most `cap`; None when it asked for nothing."""
    return min(retry_after, cap) if status in _HOLDING and retry_after is not None else None


def after_attempt(
    policy: RetryPolicy,
    before: DeliveryTries,
    meaning: AttemptMeaning,
    hold_seconds: float | None,
    now_us: int,
    jitter: float,
) -> NextStep:
    """The step after an attempt that ended at `now_us`. `jitter` in [0, 1) spreads each wait over 80 to 120%."""
    if meaning.follow == "delivered":
        return _DELIVERED
    if meaning.follow == "disable":
        return _DISABLE
    about_destination = meaning.blame is Blame.DESTINATION
    if not before.spends_try and about_destination:  # even when `retry_on` leaves it out: the outage is the cause
        return NextStep("retry", _due(now_us, hold_seconds or 0.0), False, hold_seconds)
    if meaning.follow == "exhausted":
        return NextStep("exhausted", None, before.spends_try, hold_seconds)
    if meaning.throttled and before.attempts - before.tries < FREE_ATTEMPTS:
        wait = max(1.0, hold_seconds or 0.0) * (1 + _JITTER * jitter)
        return NextStep("retry", _due(now_us, wait), False, hold_seconds)
    tries = before.tries + before.spends_try
    if tries > len(policy.schedule):
        return NextStep("exhausted", None, before.spends_try, hold_seconds)
    wait = policy.schedule[max(tries, 1) - 1] * (1 - _JITTER + 2 * _JITTER * jitter) if policy.schedule else 0.0
    return NextStep("retry", _due(now_us, max(wait, hold_seconds or 0.0)), before.spends_try, hold_seconds)


def _due(now_us: int, wait_seconds: float) -> int:
    return now_us + math.ceil(wait_seconds * 1_000_000)
