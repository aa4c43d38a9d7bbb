"""A sender in virtual time: the same pure decisions as the real one, with queues of its own and no I/O.

It counts what the rows compare, and it checks on each step what must always hold: nothing goes out before it is due,
one probe at most, the limit, and no try spent by what an open breaker lets through.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from simulation.destinations import TIMEOUT, Destination, Reply
from tidegate.rules.outbound.after_attempt import DeliveryTries, RetryPolicy, after_attempt, hold_of
from tidegate.rules.outbound.circuit_breaker import BreakerState, CircuitBreaker, Sent
from tidegate.rules.outbound.concurrency import AdaptiveConcurrency
from tidegate.rules.outbound.next_send import ProbeCandidate, SendState, choose_probe, next_send
from tidegate.rules.outbound.retry_on import AttemptMeaning, Blame, read_attempt

SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)  # the default of a destination


@dataclass
class Delivery:
    offset: int
    arrived_at: float
    due_at: float
    attempts: int = 0
    tries: int = 0
    queued: float = 0.0  # seconds it was due and not sent, without outages of the destination
    delivered_at: float | None = None
    exhausted_at: float | None = None
    spends: bool = True  # whether the attempt that is out spends a try


@dataclass
class Counters:
    requests: int = 0
    failed: int = 0
    while_down: int = 0  # requests during an outage of the destination
    most_in_flight: int = 0
    opened: int = 0
    held_first_tries: int = 0
    probes: list[int] = field(default_factory=list)
    transitions: list[tuple[float, str]] = field(default_factory=list)


class SimulatedSender:
    """Feed it with `arrive` and `backlog`, then `run`."""

    def __init__(
        self, destination: Destination, seed: int, concurrency: int = 8, schedule: tuple[float, ...] = SCHEDULE
    ) -> None:
        self.destination = destination
        self.rng = random.Random(seed)
        self.policy = RetryPolicy(schedule)
        self.breaker = CircuitBreaker()
        self.concurrency = AdaptiveConcurrency(concurrency)
        self.now = 0.0
        self.deliveries: dict[int, Delivery] = {}
        self.counters = Counters()
        self._most = concurrency
        self._ready: deque[int] = deque()
        self._due: list[tuple[float, int]] = []  # retries that are due, by due time
        self._later: list[tuple[float, int]] = []
        self._steps: list[tuple[float, int, str, tuple[object, ...]]] = []
        self._number = 0
        self._wake_at = float("inf")
        self._in_flight = self._retries_in_flight = 0
        self._last_was_retry = False
        self._hold_until = 0.0

    # -- feeding ------------------------------------------------------------------------------------------

    def arrive(self, offset: int, at: float) -> None:
        self._at(at, "arrive", offset)

    def backlog(self, offset: int, attempts: int, due_at: float) -> None:
        """A deferred delivery that was stored before a restart."""
        self.deliveries[offset] = Delivery(offset, 0.0, due_at, attempts, attempts)
        heapq.heappush(self._later, (due_at, offset))

    def restore(self, stored: BreakerState, away_seconds: float = 0.0) -> None:
        self.breaker = CircuitBreaker.restore(stored, self.now, away_seconds)

    def run(self, until: float) -> None:
        """Until nothing is left to do, or the virtual time `until`."""
        self._pump()
        while self._steps and self._steps[0][0] <= until:
            self.now, _, what, arguments = heapq.heappop(self._steps)
            if what == "arrive":
                (offset,) = arguments
                self.deliveries[offset] = Delivery(offset, self.now, self.now)
                self._ready.append(offset)
            elif what == "ended":
                self._ended(*arguments)
            elif self.now >= self._wake_at:
                self._wake_at = float("inf")
            else:
                continue  # an earlier one was set after it
            self._pump()

    def _at(self, at: float, what: str, *arguments: object) -> None:
        self._number += 1
        heapq.heappush(self._steps, (at, self._number, what, arguments))

    def _wake(self, at: float | None) -> None:
        if at is not None and at < self._wake_at:
            self._wake_at = max(at, self.now)
            self._at(self._wake_at, "wake")

    # -- sending ------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        while True:
            while self._later and self._later[0][0] <= self.now:
                heapq.heappush(self._due, heapq.heappop(self._later))
            step = next_send(self._state(), self.now)
            if step.send is None:
                self._wake(step.wake_at)
                if self._later:
                    self._wake(self._later[0][0])
                return
            if step.send == "probe":
                self._send_probe()
            elif step.send == "retry":
                self._send(heapq.heappop(self._due)[1], probe=False)
            else:
                self._send(self._ready.popleft(), probe=False)

    def _state(self) -> SendState:
        return SendState(
            self.breaker.permission(self.now),
            self.concurrency.limit,
            self.concurrency.retry_limit,
            self._in_flight,
            self._retries_in_flight,
            first_try=bool(self._ready),
            retry=bool(self._due),
            last_was_retry=self._last_was_retry,
            hold_until=max(self._hold_until, self.concurrency.hold_until),
            next_probe_at=self.breaker.next_probe_at,
            next_due_at=self._later[0][0] if self._later else None,
        )

    def _send_probe(self) -> None:
        assert not self.breaker.probe_is_out, "two probes are out"
        candidates = [ProbeCandidate(offset, self.deliveries[offset].attempts) for _, offset in self._due]
        candidates += [ProbeCandidate(offset, 0) for offset in list(self._ready)[:2]]
        chosen = choose_probe(candidates, self.breaker.last_probe)
        assert chosen is not None
        assert len(candidates) == 1 or chosen.offset != self.breaker.last_probe, "the same event was probed twice"
        if chosen.attempts:
            self._due.remove(next(item for item in self._due if item[1] == chosen.offset))
            heapq.heapify(self._due)
        else:
            self._ready.remove(chosen.offset)
        self.counters.probes.append(chosen.offset)
        self._send(chosen.offset, probe=True)

    def _send(self, offset: int, probe: bool) -> None:
        one = self.deliveries[offset]
        assert one.due_at <= self.now, "a delivery went out before it was due"
        assert probe or self._in_flight < self.concurrency.limit, "more in flight than the limit"
        one.queued += self.now - one.due_at - self.destination.down_seconds(one.due_at, self.now)
        spends = self.breaker.spends_tries
        if probe:
            self.breaker.probe_sent(offset)
        is_retry = one.attempts > 0
        self._last_was_retry = is_retry
        self._in_flight += 1
        self._retries_in_flight += is_retry
        self.counters.most_in_flight = max(self.counters.most_in_flight, self._in_flight)
        assert self._in_flight <= self._most + 1
        self.counters.requests += 1
        self.counters.while_down += self.destination.down_until(self.now) > self.now
        reply = self.destination.reply(offset, self.now, self.rng)
        meaning = read_attempt(reply.outcome, reply.status)
        one.spends = spends
        self._at(
            self.now + min(reply.seconds, TIMEOUT), "ended", one, meaning, reply, Sent(offset, not is_retry, self.now)
        )

    def _ended(self, one: Delivery, meaning: AttemptMeaning, reply: Reply, sent: Sent) -> None:
        self._in_flight -= 1
        self._retries_in_flight -= not sent.first_try
        hold = hold_of(reply.status, reply.retry_after, self.policy.retry_after_cap)
        tries = DeliveryTries(one.attempts, one.tries, one.spends)
        step = after_attempt(self.policy, tries, meaning, hold, round(self.now * 1e6), self.rng.random())
        one.attempts += 1
        assert one.spends or not (step.spent and meaning.blame is Blame.DESTINATION), "an open breaker spent a try"
        one.tries += step.spent
        if hold:
            self._hold_until = self.now + hold
        self._learn(sent, meaning, hold is not None)
        self.counters.failed += step.kind != "delivered"
        if step.kind == "delivered":
            one.delivered_at = self.now
        elif step.kind == "retry":
            one.due_at = step.due_at_us / 1e6
            heapq.heappush(self._later, (one.due_at, one.offset))
        else:
            one.exhausted_at = self.now
        if not (self._in_flight or self._ready or self._due or self._later):
            self.breaker.on_idle()

    def _learn(self, sent: Sent, meaning: AttemptMeaning, hold_is_known: bool) -> None:
        breaker = self.breaker
        held_before = breaker.holds_first_tries
        before = breaker.on_result(sent, meaning, self.now, self.rng.random())
        self.concurrency.on_result(meaning, self.now, self.rng.random(), hold_is_known)
        if breaker.state != before:
            self.counters.transitions.append((self.now, breaker.state))
            self.counters.opened += breaker.state == "open"
            if breaker.state == "half_open":
                self.concurrency.slow_start()
        self.counters.held_first_tries += breaker.holds_first_tries and not held_before
