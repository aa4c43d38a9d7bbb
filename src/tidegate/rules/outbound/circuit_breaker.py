"""The circuit breaker of one destination: decides whether to send to it, and learns from each result.

Owns the evidence (distinct events that failed since the last success), the waits between probes and the age of an
outage. May not know the queues, the schedule of a delivery or the clock: monotonic seconds and a jitter in [0, 1) are
passed in. Invariants:

- It opens only when every result since the last success is a failure of the destination, over at least 10 distinct
  events. One success of any event resets that. A destination that is known to fail in part needs more evidence: five
  times the longest run of failures that a success has ended.
- An event that failed while the destination took others says nothing about the destination when it fails again.
- An open breaker holds retries. It holds first tries only on the evidence of first tries, so that a backlog of
  deliveries that fail on their own cannot stop new events.
- While it is open, one probe is out at most, and nothing that it lets through spends a try.

Crash: `export` gives what is worth keeping; `restore` goes on with the age of the outage and probes at once. Without a
stored state it starts closed and learns again.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

import msgspec

from tidegate.rules.outbound.retry_on import AttemptMeaning, Blame

EVENTS_TO_OPEN: Final = 10  # distinct events; enough when nothing answers, or nothing has succeeded for a while
EVENTS_TO_OPEN_EARLY: Final = 32  # within the first minute of a run of failures, when the destination answers
LONG_RUN_SECONDS: Final = 60.0
LONGEST_RUN_SECONDS: Final = 600.0  # after so long without a success, what was known before no longer counts
RUN_FACTOR: Final = 5
RUN_DECAY: Final = 0.98  # per success: the longest run counts half after 34 successes
MOST_EVENTS: Final = 256
MOST_KNOWN_FAILING: Final = 4096
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 30.0
SUCCESSES_TO_CLOSE: Final = 5

State = Literal["closed", "open", "half_open"]


class Permission(Enum):
    """What may go out now."""

    ANY = "any"
    FIRST_TRIES = "first_tries"  # retries are held
    PROBE = "probe"  # one delivery; then call `probe_sent`
    NOTHING = "nothing"


class Sent(msgspec.Struct, frozen=True, gc=False):
    """What the breaker needs to know about an attempt when its result arrives."""

    offset: int
    first_try: bool  # the delivery had no attempt before
    sent_at: float  # monotonic seconds


class BreakerState(msgspec.Struct, frozen=True):
    """What survives a restart. Durations in seconds, because monotonic instants do not survive."""

    open_seconds: float  # age of the outage when it was exported
    wait: float
    holds_first_tries: bool
    longest_run: float = 0.0
    last_probe: int = 0  # offset


class CircuitBreaker:
    """Pass each result to `on_result`; ask `permission` before each send."""

    __slots__ = (
        "_answered",
        "_failed",
        "_first_tries_failed",
        "_known_failing",
        "_longest_run",
        "_probe",
        "_recovered_at",
        "_run_since",
        "_successes",
        "_unproven",
        "_wait",
        "holds_first_tries",
        "last_probe",
        "last_success_at",
        "next_probe_at",
        "opened_at",
        "state",
    )

    def __init__(self) -> None:
        self.state: State = "closed"
        self.opened_at: float | None = None  # start of the outage; set until it closes
        self.next_probe_at: float | None = None  # set while open
        self.holds_first_tries = False
        self.last_probe = 0  # offset of the latest probe; 0: there was none
        self.last_success_at: float | None = None
        self._probe: int | None = None  # offset of the probe that is out
        self._wait = FIRST_WAIT
        self._longest_run = 0.0
        self._successes = 0  # while half-open
        self._failed: dict[int, float] = {}  # offset: sent_at, failed since the last success, MOST_EVENTS at most
        self._first_tries_failed = 0
        self._answered = False  # one of the failures was an HTTP answer
        self._run_since = 0.0
        self._unproven: dict[int, float] = {}  # offset: sent_at, of earlier runs, not yet decided
        self._recovered_at = float("-inf")  # failures of what was sent before do not count
        self._known_failing: dict[int, None] = {}  # failed while others succeeded, oldest first

    # -- permission ---------------------------------------------------------------------------------------

    def permission(self, now: float) -> Permission:
        """What may go out at `now`. Changes nothing."""
        if self.state != "open":
            return Permission.ANY
        if self._probe is None and self.next_probe_at is not None and now >= self.next_probe_at:
            return Permission.PROBE
        return Permission.NOTHING if self.holds_first_tries else Permission.FIRST_TRIES

    @property
    def spends_tries(self) -> bool:
        """Whether a delivery that goes out now spends a try of its schedule. Ask when it is sent."""
        return self.state != "open"

    @property
    def has_learned(self) -> bool:
        """Whether it knows that the destination fails in part."""
        return self._longest_run >= 2

    @property
    def probe_is_out(self) -> bool:
        return self._probe is not None

    def events_needed(self, now: float) -> int:
        """How many distinct events must have failed, with no success between, to open it now."""
        nothing_answers = self.last_success_at is None and not self._answered
        run_seconds = now - self._run_since if self._failed else 0.0
        if run_seconds >= LONGEST_RUN_SECONDS:
            return EVENTS_TO_OPEN
        few = nothing_answers or run_seconds >= LONG_RUN_SECONDS or self.state == "half_open"
        fewest = EVENTS_TO_OPEN if few else EVENTS_TO_OPEN_EARLY
        return min(MOST_EVENTS, max(fewest, round(self._longest_run * RUN_FACTOR)))

    # -- results ------------------------------------------------------------------------------------------

    def probe_sent(self, offset: int) -> None:
        """The delivery that PROBE allowed went out."""
        self._probe = self.last_probe = offset
        self.next_probe_at = None

    def probe_lost(self, now: float) -> None:
        """The probe was cut off, or no request was sent: another may go out at once."""
        if self._probe is not None:
            self._probe = None
            self.next_probe_at = now

    def on_result(self, sent: Sent, meaning: AttemptMeaning, now: float, jitter: float) -> State:
        """A finished attempt; returns the state before it. `jitter` in [0, 1) spreads waits over 80 to 120%."""
        before, was_probe = self.state, sent.offset == self._probe
        if meaning.blame is Blame.NONE:
            self._known_failing.pop(sent.offset, None)
            self._succeeded(sent.sent_at, now)
        elif meaning.blame is Blame.DESTINATION:
            if sent.sent_at >= self._recovered_at:
                self._failed_at_destination(sent, meaning.answered, now, jitter)
        elif was_probe and meaning.blame is Blame.NOT_SENT:
            self.probe_lost(now)
        elif was_probe:  # the answer is about this delivery, so the destination works again
            self._recover(sent.sent_at, now)
        return before

    def probe_soon(self, now: float) -> None:
        """What held the destination may have changed: while it is open and no probe is out, one may go now."""
        if self.state == "open" and self._probe is None:
            self.next_probe_at = now

    def on_test_send(self, success: bool, now: float) -> None:
        """A person's test send: a success counts like that of a probe, a failure changes nothing."""
        if success and self.state == "open":
            self._succeeded(now, now)

    def on_idle(self) -> None:
        """Nothing is in flight or pending: a half-open breaker without a new failure closes."""
        if self.state == "half_open" and not self._failed:
            self._close()

    # -- state changes ----------------------------------------------------------------------------------------

    def _succeeded(self, sent_at: float, now: float) -> None:
        self.last_success_at = now
        if self.state == "closed" and not self._failed and not self._unproven:  # the happy path of `_learn_run`
            self._longest_run *= RUN_DECAY
            return
        if self.state == "open":
            self._recover(sent_at, now)
            return
        self._learn_run(sent_at)
        self._forget_run()
        if self.state == "half_open":
            self._successes += 1
            if self._successes >= SUCCESSES_TO_CLOSE:
                self._close()

    def _recover(self, sent_at: float, now: float) -> None:
        """From open: half-open when first tries were held, else closed, because those were never stopped."""
        if self._wait == FIRST_WAIT:  # no probe failed: the events may have failed on their own
            self._learn_run(sent_at)
        self._forget_run()
        self._unproven.clear()
        self._recovered_at = now
        if not self.holds_first_tries:
            self._close()
            return
        self.state = "half_open"
        self._probe = self.next_probe_at = None
        self.holds_first_tries = False
        self._successes = 1

    def _failed_at_destination(self, sent: Sent, answered: bool, now: float, jitter: float) -> None:
        self._count(sent, answered, now)
        if self.state == "open":
            if sent.offset == self._probe:
                self._wait = min(self._wait * 2, LONGEST_WAIT)
                self._open(now, jitter)
            self.holds_first_tries = self.holds_first_tries or self._first_tries_failed >= self.events_needed(now)
        elif len(self._failed) >= self.events_needed(now):
            self.holds_first_tries = self._first_tries_failed >= self.events_needed(now)
            if self.state == "half_open":  # the outage goes on
                self._wait = min(self._wait * 2, LONGEST_WAIT)
            else:
                self._wait, self.opened_at = FIRST_WAIT, now
            self._open(now, jitter)

    def _count(self, sent: Sent, answered: bool, now: float) -> None:
        if sent.offset in self._known_failing:
            return
        if not self._failed:
            self._run_since = now
        self._answered = self._answered or answered
        if sent.offset not in self._failed:
            self._first_tries_failed += sent.first_try
            if len(self._failed) < MOST_EVENTS:
                self._failed[sent.offset] = sent.sent_at

    def _open(self, now: float, jitter: float) -> None:
        self.state, self._probe = "open", None
        self.next_probe_at = now + self._wait * (0.8 + 0.4 * jitter)

    def _learn_run(self, sent_at: float) -> None:
        """A success that was sent at `sent_at` ends the run: what was sent before it and failed, failed on its own.

        How many did shows how much evidence an outage needs here. What was sent later waits for a later success.
        """
        if not self._failed and not self._unproven:
            self._longest_run *= RUN_DECAY
            return
        alone = [offset for offset, at in self._failed.items() if at <= sent_at]
        self._longest_run = max(self._longest_run * RUN_DECAY, float(len(alone)))
        self._unproven.update(self._failed)
        proven = [offset for offset, at in self._unproven.items() if at <= sent_at]
        for offset in proven:
            del self._unproven[offset]
            self._known_failing[offset] = None
        while len(self._unproven) > MOST_EVENTS:
            del self._unproven[next(iter(self._unproven))]
        while len(self._known_failing) > MOST_KNOWN_FAILING:
            del self._known_failing[next(iter(self._known_failing))]

    def _forget_run(self) -> None:
        self._failed.clear()
        self._first_tries_failed = 0
        self._answered = False

    def _close(self) -> None:
        self.state = "closed"
        self.opened_at = self.next_probe_at = self._probe = None
        self.holds_first_tries = False
        self._wait = FIRST_WAIT

    # -- over a restart -----------------------------------------------------------------------------------

    def export(self, now: float) -> BreakerState | None:
        """What to store; None when it is closed and has learned nothing."""
        if self.opened_at is None:
            return BreakerState(0.0, 0.0, False, self._longest_run) if self._longest_run >= 2 else None
        return BreakerState(
            max(0.0, now - self.opened_at), self._wait, self.holds_first_tries, self._longest_run, self.last_probe
        )

    @classmethod
    def restore(cls, stored: BreakerState | None, now: float, away_seconds: float = 0.0) -> CircuitBreaker:
        """Goes on with an outage: open, its age kept (plus the time away), the next probe at once."""
        breaker = cls()
        if stored is None:
            return breaker
        breaker._longest_run = max(0.0, stored.longest_run)
        if stored.wait > 0:
            breaker.state = "open"
            breaker._wait = min(max(stored.wait, FIRST_WAIT), LONGEST_WAIT)
            breaker.opened_at = now - max(0.0, stored.open_seconds) - max(0.0, away_seconds)
            breaker.next_probe_at = now
            breaker.holds_first_tries = stored.holds_first_tries
            breaker.last_probe = stored.last_probe
        return breaker
