"""The circuit of one destination: whether to send to it at all.

Owns the count of failures since the last success and the pauses between probes. May not know time (monotonic seconds
are passed in) or the queue. Invariant: it opens only after 10 failures over 3 different events without a success
between, so one poisonous event, however often retried, cannot open it; while it is open one probe is out at most. It
lives in memory: after a crash it starts closed and learns again within 10 sends.
"""

from __future__ import annotations

from typing import Literal

FAILURES_TO_OPEN = 10
EVENTS_TO_OPEN = 3
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


class Circuit:
    """Tell it each result with `on_result`, ask `allow` before each send."""

    __slots__ = ("_events", "_failures", "_pause", "_probe", "next_probe_at", "opened_at", "state")

    def __init__(self) -> None:
        self.state: Literal["closed", "open", "half_open"] = "closed"
        self.next_probe_at: float | None = None  # set while open
        self.opened_at: float | None = None  # set until a success closes it
        self._failures = 0
        self._events: set[int] = set()  # offsets that failed, three at most
        self._pause = FIRST_PAUSE
        self._probe: int | None = None  # offset of the probe, when the caller told

    def on_result(self, ok: bool, event_offset: int, now: float) -> None:
        """A finished send. A success closes, whichever send it was: it proves that the destination works."""
        if ok:
            if self._failures:
                self._close()
        elif self.state == "closed":
            self._count(event_offset, now)
        elif self.state == "half_open" and self._probe in (None, event_offset):
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._open(now)
        # Anything else is a straggler from before it opened; it says nothing new.

    def allow(self, now: float) -> Literal["yes", "probe", "no"]:
        """Whether to send now. After "probe" send exactly one; its result, or `probe_lost`, is owed to us."""
        if self.state == "closed":
            return "yes"
        if self.state == "open" and self.next_probe_at is not None and now >= self.next_probe_at:
            self.state = "half_open"
            self.next_probe_at = None
            self._probe = None
            return "probe"
        return "no"

    def probing(self, event_offset: int) -> None:
        """Which event the probe sends: then failures of stragglers are not taken for the probe's."""
        self._probe = event_offset

    def probe_lost(self, now: float) -> None:
        """The probe was not sent, or was cut off by us: another may go at once."""
        if self.state == "half_open":
            self.state = "open"
            self.next_probe_at = now

    def _count(self, event_offset: int, now: float) -> None:
        self._failures += 1
        if len(self._events) < EVENTS_TO_OPEN:
            self._events.add(event_offset)
        if self._failures >= FAILURES_TO_OPEN and len(self._events) >= EVENTS_TO_OPEN:
            self.opened_at = now
            self._pause = FIRST_PAUSE
            self._open(now)

    def _open(self, now: float) -> None:
        self.state = "open"
        self.next_probe_at = now + self._pause

    def _close(self) -> None:
        self.state = "closed"
        self.next_probe_at = None
        self.opened_at = None
        self._failures = 0
        self._events.clear()
        self._probe = None
