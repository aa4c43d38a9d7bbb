"""One timer of a sender: call it back at the earliest of the instants it asked for.

Owns the timer handle. May not know why the sender wants to wake. Invariant: at most one timer runs, and none later
than the earliest instant asked for since the last wake. Lives in memory only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class WakeTimer:
    """`wake` is called on the event loop."""

    __slots__ = ("_at", "_handle", "_wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._handle: asyncio.TimerHandle | None = None
        self._at = 0.0  # kept here, because a uvloop handle does not give its time when it is due at once

    def wake_in(self, seconds: float) -> None:
        """Wake in `seconds` at the latest."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = now + max(seconds, 0.0)
        if self._handle is not None:
            if now < self._at <= at:
                return
            self._handle.cancel()
        self._at = at
        self._handle = loop.call_at(at, self._woken)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _woken(self) -> None:
        self._handle = None
        self._wake()
