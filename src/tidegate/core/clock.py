"""The only reader of time and of randomness.

Everything that decides takes `now` as an argument; everything that acts is handed a `Clock`. Tests pass a
`ManualClock` and move it instead of sleeping. Instants are microseconds since 1970 UTC (`..._at_us` where
a bare integer is stored) or aware datetimes at the edges; durations are seconds as floats.

Processes on one store compare instants with one another, so they must go by one clock: a store with a clock of its
own has ours put right by it (`agree`), and a machine whose clock is an hour off works like the others.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_HTTP_DATE = 64  # letters; the longest has 33
# Of our own: drawing from the module's would move what another thread of the process has seeded (a test's, say).
_JITTER = random.Random()  # noqa: S311 - jitter, not a secret


ALLOWED_US = 1_000_000  # clocks that a time service keeps are nearer; to follow each wobble would make time go back


class Clock:
    """The system's clock and randomness. `correction_us` is what is added to the time of this machine."""

    def __init__(self) -> None:
        self.correction_us = 0

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return self.machine_us() + self.correction_us

    def machine_us(self) -> int:
        """What this machine believes, without the correction."""
        return time.time_ns() // 1000

    def agree(self, shared_us: int, asked_us: int) -> bool:
        """Put this clock right by one that stood at `shared_us` some time after `asked_us` of `machine_us`.

        Only when it is off by more than a second, whatever the trip took. True when the correction changed.
        """
        answered_us = self.machine_us()
        correction_us = shared_us - (asked_us + answered_us) // 2
        if abs(correction_us - self.correction_us) <= ALLOWED_US + (answered_us - asked_us) // 2:
            return False
        # Near enough, it is its own again: what remains would be the trip's error.
        self.correction_us = correction_us if abs(correction_us) > ALLOWED_US else 0
        return True

    def monotonic(self) -> float:
        """Seconds that only move forward; for waits and timeouts inside a process."""
        return time.monotonic()

    def random(self) -> float:
        """A float in [0, 1), for jitter only; secrets come from `secrets`."""
        return _JITTER.random()


class ManualClock(Clock):
    """A clock that stands still until it is moved; randomness is a constant."""

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

    def advance(self, seconds: float) -> None:
        self._now_us += int(seconds * 1_000_000)
        self._monotonic += seconds


def to_datetime(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


def rfc3339(at_us: int | None) -> str | None:
    """`2026-11-24T17:18:43.123456Z`; None stays None."""
    if at_us is None:
        return None
    return to_datetime(at_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 text. A text without an offset is taken as UTC. ValueError otherwise."""
    parsed = datetime.fromisoformat(text.upper())  # "t" and "z" are RFC 3339 too
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - EPOCH) // timedelta(microseconds=1)


def parse_http_date(text: str) -> int | None:
    """Microseconds since 1970 of an HTTP date (RFC 9110 section 5.6.7), its two obsolete forms too; None otherwise."""
    if not text or len(text) > MAX_HTTP_DATE or not text.isascii():
        return None
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:  # "-0000" and asctime's form name no zone: they are UTC, not where we stand
            at = at.replace(tzinfo=UTC)
        return (at - EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError, IndexError, OverflowError):  # what email.utils raises on odd texts
        return None
