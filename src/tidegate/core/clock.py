"""The only place that reads the time and draws random numbers for jitter.

Code that decides takes `now` as an argument; code that acts gets a `Clock`. Tests use a `ManualClock` and move it
instead of sleeping. Instants are microseconds since 1970 UTC (`..._at_us` for a stored integer), or aware datetimes
where they enter and leave the program; durations are seconds as floats.

Nodes on one store compare instants with one another, so they must use one clock. A store with a clock of its own
corrects the clock of each node (`agree`), so a machine whose clock is an hour off works like the others. Crash: the
correction is computed again at the next start.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_HTTP_DATE = 64  # characters; the longest date has 33
# A generator of its own, because the shared one of the module may be seeded by other code, such as a test.
_JITTER = random.Random()  # noqa: S311 - jitter, not a secret


ALLOWED_US = 1_000_000  # a synchronized clock is closer; correcting smaller differences would make time go back


class Clock:
    """The clock of the system, and jitter. `correction_us` is added to the time of this machine."""

    def __init__(self) -> None:
        self.correction_us = 0

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return self.machine_us() + self.correction_us

    def machine_us(self) -> int:
        """The time of this machine, without the correction."""
        return time.time_ns() // 1000

    def agree(self, shared_us: int, asked_us: int) -> bool:
        """Correct this clock by a shared clock, which was read as `shared_us` after `machine_us` was `asked_us`.

        The correction changes only when the difference is more than a second plus half of the round trip. Returns
        whether it changed.
        """
        answered_us = self.machine_us()
        correction_us = shared_us - (asked_us + answered_us) // 2
        if abs(correction_us - self.correction_us) <= ALLOWED_US + (answered_us - asked_us) // 2:
            return False
        # A small difference needs no correction: it can be the error of the round trip.
        self.correction_us = correction_us if abs(correction_us) > ALLOWED_US else 0
        return True

    def monotonic(self) -> float:
        """Seconds that only move forward; for waits and timeouts inside a process."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait. A wait for what a source asked for goes through here, so that tests can move the time instead."""
        await asyncio.sleep(seconds)

    def random(self) -> float:
        """A float in [0, 1), for jitter only; secrets come from `secrets`."""
        return _JITTER.random()


class ManualClock(Clock):
    """A clock that changes only when a test moves it; the jitter is constant."""

    def __init__(self, now_us: int = 1_800_000_000_000_000, jitter: float = 0.5) -> None:
        super().__init__()
        self._now_us = now_us
        self._monotonic = 1000.0
        self._jitter = jitter

    def now_us(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._monotonic

    def random(self) -> float:
        return self._jitter

    async def sleep(self, seconds: float) -> None:
        """Moves the time and gives other tasks a turn."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._now_us += int(seconds * 1_000_000)
        self._monotonic += seconds


def to_datetime(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


def rfc3339(at_us: int | None) -> str | None:
    """`2026-11-24T17:18:43.123456Z`; None stays None."""
    if at_us is None:
        return None
    return to_datetime(at_us).isoformat(timespec="microseconds")[:-6] + "Z"  # strftime takes ten times as long


def parse_instant(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time. A time without an offset is UTC. ValueError for anything else."""
    parsed = datetime.fromisoformat(text.upper())  # "t" and "z" are RFC 3339 too
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - EPOCH) // timedelta(microseconds=1)


def parse_http_date(text: str) -> int | None:
    """Microseconds since 1970 of an HTTP date (RFC 9110 section 5.6.7), also in its two obsolete forms; else None."""
    if not text or len(text) > MAX_HTTP_DATE or not text.isascii():
        return None
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:  # "-0000" and the asctime form have no zone; they are UTC, not local time
            at = at.replace(tzinfo=UTC)
        return (at - EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError, IndexError, OverflowError):  # what email.utils raises on malformed dates
        return None
