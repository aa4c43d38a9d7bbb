"""What limits the requests to one destination: its circuit breaker, its adaptive concurrency and its hold.

Owns the three, what each result changes in them, and the state that survives a restart. May not know the queues, the
request or the transport; the rules are in `rules/outbound`. Invariant: every attempt that was sent is reported here
exactly once, with the `Sent` of its start, or given back by `lost`. Crash: `stored` is in the row of the lane, so the
age of an outage and the wait before the next probe go on; the concurrency starts at its maximum again.
"""

from __future__ import annotations

import logging

import msgspec

from tidegate.core.clock import Clock
from tidegate.rules.outbound.circuit_breaker import BreakerState, CircuitBreaker, Sent
from tidegate.rules.outbound.concurrency import AdaptiveConcurrency
from tidegate.rules.outbound.next_send import SendState
from tidegate.rules.outbound.retry_on import AttemptMeaning, Blame

log = logging.getLogger("tidegate.deliver")
FAILING_SECONDS = 5.0  # an outage this old is reported, also when it holds retries only


class StoredBreaker(msgspec.Struct, frozen=True):
    """`breaker` of a lane's row. `at_us`: when it was exported, microseconds since 1970."""

    at_us: int
    state: BreakerState


class SendLimits:
    """`stored`: the bytes of an earlier `export`, b"" for none."""

    def __init__(self, name: str, clock: Clock, maximum: int, stored: bytes) -> None:
        self._name = name
        self._clock = clock
        self.concurrency = AdaptiveConcurrency(maximum)
        self.breaker = _restored(stored, clock)
        self._hold_until = 0.0  # monotonic seconds, of Retry-After
        self._reported = False
        self.retries_in_flight = 0
        self.manual_in_flight = 0
        self.last_was_retry = False

    def configure(self, name: str, maximum: int) -> None:
        self._name = name
        self.concurrency.configure(maximum)

    # -- before a send -----------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self.breaker.state == "closed"

    def unlimited(self, now: float) -> bool:
        """Whether nothing but the concurrency limits what goes out now."""
        return self.breaker.state == "closed" and now >= self._hold_until and now >= self.concurrency.hold_until

    @property
    def notable(self) -> bool:
        """Whether the breaker has something that a restart should not lose."""
        return self.breaker.opened_at is not None or self.breaker.has_learned

    @property
    def hold_until(self) -> float:
        """Monotonic seconds: nothing goes out before. The later of `Retry-After` and the hold of a 429 without it."""
        return max(self._hold_until, self.concurrency.hold_until)

    def fill(self, state: SendState, now: float, in_flight: int) -> None:
        """Write what the limits know into the state that `next_send` decides on."""
        breaker, concurrency = self.breaker, self.concurrency
        state.permission = breaker.permission(now)
        state.limit = concurrency.limit
        state.retry_limit = concurrency.retry_limit
        state.in_flight = in_flight
        state.retries_in_flight = self.retries_in_flight
        state.last_was_retry = self.last_was_retry
        state.hold_until = self.hold_until
        state.next_probe_at = breaker.next_probe_at

    def sent(self, sent: Sent, *, manual: bool, probe: bool) -> None:
        """A request goes out."""
        self.retries_in_flight += not sent.first_try
        self.manual_in_flight += manual
        self.last_was_retry = not sent.first_try
        if probe:
            self.breaker.probe_sent(sent.offset)

    # -- after a send ------------------------------------------------------------------------------------

    def ended(self, sent: Sent, manual: bool) -> None:
        """A request is no longer in flight, whatever became of it. `learn` or `lost` follows."""
        self.retries_in_flight -= not sent.first_try
        self.manual_in_flight -= manual

    def learn(self, sent: Sent, meaning: AttemptMeaning, hold_seconds: float | None, failure: str) -> None:
        """A finished attempt. `hold_seconds`: what its answer asked for. `failure`: for the program's log."""
        now, breaker = self._clock.monotonic(), self.breaker
        if meaning.blame is Blame.NONE and breaker.state == "closed":  # the happy path: no jitter, nothing to report
            breaker.on_result(sent, meaning, now, 0.0)
            self.concurrency.on_result(meaning, now, 0.0)
            return
        if hold_seconds:
            self._hold_until = now + hold_seconds
        opened_at = breaker.opened_at
        before = breaker.on_result(sent, meaning, now, self._clock.random())
        self.concurrency.on_result(meaning, now, self._clock.random(), hold_seconds is not None)
        if breaker.state == "half_open" != before:
            self.concurrency.slow_start()
        self._report(now, opened_at, failure)

    def lost(self, sent: Sent) -> None:
        """The request was cut off: nothing is learned, and if it was the probe, another may go at once."""
        if self.breaker.probe_is_out and self.breaker.last_probe == sent.offset:
            self.breaker.probe_lost(self._clock.monotonic())

    def test_send(self, success: bool) -> None:
        """A test send by a person."""
        now, opened_at = self._clock.monotonic(), self.breaker.opened_at
        before = self.breaker.state
        self.breaker.on_test_send(success, now)
        if self.breaker.state == "half_open" != before:
            self.concurrency.slow_start()
        self._report(now, opened_at, "")

    def idle(self) -> None:
        """Nothing is in flight or pending."""
        now, opened_at = self._clock.monotonic(), self.breaker.opened_at
        self.breaker.on_idle()
        self._report(now, opened_at, "")

    def changed_destination(self) -> None:
        """The configuration changed or the destination was resumed: what held it may be gone, so probe at once."""
        self.breaker.probe_soon(self._clock.monotonic())
        self._hold_until = 0.0

    # -- reporting ---------------------------------------------------------------------------------------

    @property
    def failing(self) -> bool:
        """Whether people should see it as failing: it holds first tries, or its outage lasted some seconds."""
        opened_at = self.breaker.opened_at
        if opened_at is None:
            return False
        return self.breaker.holds_first_tries or self._clock.monotonic() - opened_at >= FAILING_SECONDS

    def export(self) -> bytes:
        """For the lane's row."""
        state = self.breaker.export(self._clock.monotonic())
        return b"" if state is None else msgspec.json.encode(StoredBreaker(self._clock.now_us(), state))

    def _report(self, now: float, opened_before: float | None, failure: str) -> None:
        """Log a line when the destination is failing, and one when it accepts deliveries again."""
        if self.breaker.opened_at is None:
            if self._reported and opened_before is not None:
                log.info("destination %s accepts deliveries again, after %.0f s", self._name, now - opened_before)
            self._reported = False
        elif not self._reported and self.failing:
            self._reported = True
            log.warning(
                "destination %s is failing; its deliveries wait, and one at a time is sent as a probe: %s",
                self._name, failure,
            )  # fmt: skip


def _restored(stored: bytes, clock: Clock) -> CircuitBreaker:
    now = clock.monotonic()
    if not stored:
        return CircuitBreaker.restore(None, now)
    try:
        one = msgspec.json.decode(stored, type=StoredBreaker)
    except msgspec.DecodeError:  # of a later release: start closed and learn again
        return CircuitBreaker.restore(None, now)
    return CircuitBreaker.restore(one.state, now, (clock.now_us() - one.at_us) / 1e6)
