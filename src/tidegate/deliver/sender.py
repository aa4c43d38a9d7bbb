"""The sender of one destination: when it sends, what it sends next, and what follows a result.

Owns the requests in flight, the circuit, the rate, the hold and the concurrency of one destination. May not know the
engine, other senders or the transport's protocol; what is owed is in its `backlog`. It runs on callbacks, and no task
of its own but for readings. Invariants: an attempt is recorded once, with the next number; what a result changes is
stored in the settle that also stores the attempt.

Crash: what was in flight, and what ended since the last settle, is sent again with the same id and attempt number.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tidegate.core import ids, units
from tidegate.core.errors import TidegateError
from tidegate.core.model import Deferred, Event, Outcome
from tidegate.deliver.backlog import READ_AHEAD, Backlog
from tidegate.deliver.flight import Flight
from tidegate.deliver.health import SenderHealth, log_circuit_change
from tidegate.deliver.key_queues import ordering_key
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.lane_reader import LaneReader
from tidegate.deliver.load_deferred import DeferredReader
from tidegate.deliver.ports import Ports
from tidegate.deliver.prefetch import UNREAD, Prefetcher
from tidegate.deliver.request_builder import RequestBuilder
from tidegate.deliver.wake_timer import WakeTimer
from tidegate.kinds import Result
from tidegate.outbound.post import PostResult
from tidegate.rules.outbound.circuit import Circuit
from tidegate.rules.outbound.rate_limiter import RateLimiter
from tidegate.rules.outbound.retry import Verdict, next_attempt
from tidegate.runtime import ActiveDestination

HUNG_SECONDS = 0.2  # a request this old that holds up a full window is moved to the deferred deliveries
READ_AGAIN_SECONDS = 1.0  # after the store could not be read
_ERROR_CHARACTERS = 300


class Sender:
    """One for each destination that ever had something to send. Belongs to the event loop.

    `paused`: the configuration says so, or the destination was deleted. `stopping`: the process ends.
    """

    def __init__(self, ports: Ports, destination: ActiveDestination, lane: LaneCursor) -> None:
        self._ports = ports
        self.lane = lane
        self.number = destination.number
        self.backlog = Backlog(lane, ports.settler, ports.clock)
        self.flights: dict[int, Flight] = {}
        self.circuit = Circuit()
        self.hold_until_us = 0
        self.stopping = False
        self.last_error = ""
        self.last_failure: tuple[str, int | None] = ("", None)  # (outcome, status)
        self._prefetcher = Prefetcher(ports.log, self.backlog.next_offsets, self.pump, self._read_failed)
        self._lane_reader = LaneReader(ports, self.backlog, self.pump, self._read_failed)
        self._deferred_reader = DeferredReader(ports, self.backlog, self.flights, self.pump, self._read_failed)
        self._timer = WakeTimer(self.pump)
        self._rate_limiter = RateLimiter(0.0, ports.clock.monotonic())
        self._recent: deque[float] = deque(maxlen=512)  # when the latest deliveries succeeded
        self.configure(destination)

    def configure(self, destination: ActiveDestination) -> None:
        """Take a changed configuration; requests in flight go on."""
        spec = destination.spec
        self.destination = destination
        self._request_builder = RequestBuilder(destination, self._ports.active)
        self._timeout = units.seconds(spec.timeout)
        self._concurrency = spec.concurrency
        self._schedule = tuple(units.seconds(wait) for wait in spec.retry)
        self._retry_after_cap = units.seconds(spec.retry_after_cap)
        self._rate_limiter.configure(units.per_second(spec.rate) if spec.rate else 0.0)
        self._ordered_by = spec.ordered_by
        self.paused = destination.paused_at_us is not None

    def __repr__(self) -> str:
        return (
            f"<Sender {self.destination.name}: {len(self.flights)} in flight, {len(self.backlog.ready)} ready, "
            f"{len(self.backlog.deferred)} deferred, circuit {self.circuit.state}, {self.lane!r}>"
        )

    # -- what is sent next -------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send as much as order, window, hold, circuit, rate and concurrency allow."""
        backlog, clock = self.backlog, self._ports.clock
        while len(self.flights) < self._concurrency and not (self.paused or backlog.suspended or self.stopping):
            now_us = clock.now_us()
            if self.hold_until_us > now_us:
                self._timer.wake_in((self.hold_until_us - now_us) / 1e6)
                break
            now = clock.monotonic()
            allowed = self.circuit.allow(now)
            if allowed == "no":
                if self.circuit.next_probe_at is not None:
                    self._timer.wake_in(max(self.circuit.next_probe_at - now, 0.01))
                break
            if not self._pick(now_us, allowed == "probe"):
                if allowed == "probe":
                    self.circuit.probe_lost(now)
                break
        if not self.lane.following:
            if self.flights and self.lane.room < READ_AHEAD:
                self._defer_hung()
            if not (self.paused or backlog.suspended or self.stopping):
                self._lane_reader.start()

    def _pick(self, now_us: int, probe: bool) -> bool:
        """Start one delivery, or settle one that cannot be sent. False: there is none now.

        The first case that applies decides. Each case that ends without a delivery has arranged the next `pump`: by a
        timer, a reading, or the end of the command that reserved the delivery.
        """
        backlog = self.backlog
        due = backlog.deferred.next_due()
        # 1. A retry is due, or this is a probe and takes the earliest retry before its time. It goes before all first
        #    tries, and while it cannot start, nothing does.
        if due is not None and (due[0] <= now_us or probe):
            event = self._prefetcher.event(due[1])
            if due[1] in backlog.reserved or event is UNREAD or not self._rate_allows():
                return False
            one = backlog.deferred.take()
            return self._start(one.offset, event, one, one.key, probe)
        # 2. A retry is due later: come back then, and go on with first tries.
        if due is not None:
            self._timer.wake_in((due[0] - now_us) / 1e6)
        # 3. Memory has no retry and the table may have one: load it, and go on with first tries.
        elif backlog.deferred.overflow:
            self._deferred_reader.start()
        # 4. A first try waited behind an earlier delivery of its key, which is settled now.
        if backlog.key_queues.unblocked:
            return self._pick_unblocked(probe)
        # 5. A first try, the oldest that can be sent.
        return self._pick_ready(probe)

    def _pick_unblocked(self, probe: bool) -> bool:
        backlog = self.backlog
        offset, key = backlog.key_queues.unblocked[0]
        # 4a. It was canceled meanwhile: the next of its key may go.
        if offset not in self.lane.open:
            backlog.key_queues.unblocked.popleft()
            backlog.key_settled(key)
            return True
        # 4b. Its event is being read, a command reserved it, or the rate is used up.
        event = self._prefetcher.event(offset)
        if offset in backlog.reserved or event is UNREAD or not self._rate_allows():
            return False
        # 4c. It goes.
        backlog.key_queues.unblocked.popleft()
        return self._start(offset, event, None, key, probe)

    def _pick_ready(self, probe: bool) -> bool:
        backlog = self.backlog
        ready = backlog.ready
        while ready:
            offset = ready[0]
            # 5a. It was canceled meanwhile: look at the next.
            if offset not in self.lane.open:
                ready.popleft()
                continue
            # 5b. Its event is being read, or a command reserved it.
            event = self._prefetcher.event(offset)
            if offset in backlog.reserved or event is UNREAD:
                return False
            # 5c. An earlier delivery of its key is unsettled: queue it behind that one and look at the next.
            key = ordering_key(event, self._ordered_by) if self._ordered_by and event is not None else ""
            if key and backlog.enqueue_behind_key(key, offset):
                ready.popleft()
                continue
            # 5d. The rate is used up.
            if not self._rate_allows():
                return False
            # 5e. It goes.
            ready.popleft()
            return self._start(offset, event, None, key, probe)
        return False

    def _rate_allows(self) -> bool:
        """Spend one delivery of the rate, or wake when there is one to spend."""
        wait = self._rate_limiter.take(self._ports.clock.monotonic())
        if wait:
            self._timer.wake_in(wait)
        return not wait

    def _read_failed(self, error: TidegateError) -> None:
        self.last_error = error.message
        self._timer.wake_in(READ_AGAIN_SECONDS)

    # -- sending -----------------------------------------------------------------------------------------

    def _start(self, offset: int, event: Event | None, deferred: Deferred | None, key: str, probe: bool) -> bool:
        """Always True: what cannot be sent (deleted by retention, cannot be rendered) is settled or recorded."""
        ports = self._ports
        self._prefetcher.forget(offset)
        if event is None:
            self.backlog.give_up(offset, deferred, "expired", key)
            return True
        number = (deferred.attempts if deferred is not None else 0) + 1
        now_us = ports.clock.now_us()
        flight = Flight(offset, number, now_us, ports.clock.monotonic(), deferred, key, probe)
        if key:
            self.backlog.key_queues.open(key)
        if probe:
            self.circuit.probing(offset)
        revision = deferred.route if deferred is not None and deferred.route else 0
        if not revision:
            revision = ports.wanted.revision_for(event, self.number)
        self.flights[offset] = flight
        try:
            request = self._request_builder.request(
                event, ids.event_id(ports.log.instance, offset), revision, number, now_us // 1_000_000
            )
        except Exception as error:  # noqa: BLE001 - a user's transform or text may raise anything: a recorded attempt
            text = f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
            asyncio.get_running_loop().call_soon(self._render_failed, flight, text)
            return True
        flight.detail = request.detail
        flight.in_transit = ports.transport.send(
            self._request_builder.target, request.head, request.body, self._timeout,
            lambda result: self._done(flight, result),
        )  # fmt: skip
        return True

    def _render_failed(self, flight: Flight, error: str) -> None:
        if self.flights.pop(flight.offset, None) is not None:
            self._ended(flight, Result(Outcome.RENDER, None, detail=error), None)
            self.pump()

    def _done(self, flight: Flight, result: PostResult) -> None:
        if self.flights.pop(flight.offset, None) is not None:
            self._ended(flight, self._request_builder.read(result, self._ports.clock.now_us()), result)
        self.pump()

    def _ended(self, flight: Flight, read: Result, result: PostResult | None) -> None:
        """An attempt ended: decide what follows, and collect all of it for the next settle.

        `read`: what the kind of the destination makes of the answer; `result`: None when nothing was sent.
        """
        settler, clock = self._ports.settler, self._ports.clock
        now_us = clock.now_us()
        first = flight.deferred.tries_left_from if flight.deferred is not None else 0
        verdict = next_attempt(
            self._schedule, flight.number - first, read.outcome, read.status, read.retry_after, self._retry_after_cap,
            now_us, clock.random(),
        )  # fmt: skip
        ok = verdict.kind == "delivered"
        error, status = read.detail, None if result is None else result.status
        shown_url = "" if ok else self._request_builder.shown_url
        settler.attempt(flight.attempt(self.number, read.outcome, status, error, result, shown_url))
        opened_before, now = self.circuit.opened_at, clock.monotonic()
        self.circuit.on_result(ok, flight.offset, now)
        log_circuit_change(self.destination.name, opened_before, self.circuit, now, error or f"HTTP {status}")
        if ok:
            self._recent.append(now)
            self.backlog.delivered(flight)
        else:
            self.last_error = error or f"HTTP {status}"
            self.last_failure = (read.outcome.name.lower(), read.status)
            self._failed(flight, verdict, read.outcome)
        self.backlog.changed()

    def _failed(self, flight: Flight, verdict: Verdict, outcome: Outcome) -> None:
        cause = outcome.name.lower()
        if verdict.hold_seconds:
            self.hold_until_us = self._ports.clock.now_us() + int(verdict.hold_seconds * 1e6)
        if verdict.kind == "exhausted":
            self.backlog.give_up(flight.offset, flight.deferred, cause, flight.key, flight.number)
            return
        due = verdict.due_at_us if verdict.due_at_us is not None else self._ports.clock.now_us()
        self.backlog.retry_later(flight, due, cause)
        if verdict.kind == "disable":  # 410: pause the destination and keep its backlog
            self.paused = True
            self._ports.background.spawn(_pause_gone, self._ports, self.number)

    def _defer_hung(self) -> None:
        """When the oldest request hangs and holds up a full window, defer its delivery so that the lane goes on."""
        oldest = next(iter(self.lane.open), None)
        flight = self.flights.get(oldest) if oldest is not None else None
        if flight is None or flight.deferred is not None:
            return
        if self._ports.clock.monotonic() - flight.started < HUNG_SECONDS:
            self._timer.wake_in(HUNG_SECONDS)
        else:
            self.backlog.defer_hung(flight)

    # -- cutting off, health -----------------------------------------------------------------------------

    def abort_all(self) -> None:
        """Cut off everything in flight, and wake no more."""
        self.cut()
        self._timer.cancel()

    def cut(self, upto: int | None = None) -> list[Flight]:
        """Cut off what is in flight up to an offset (None: all). A request that was cut off is not an attempt."""
        flights = [flight for flight in self.flights.values() if upto is None or flight.offset <= upto]
        for flight in flights:
            del self.flights[flight.offset]
            if flight.in_transit is not None:
                flight.in_transit.abort()
            if flight.probe:
                self.circuit.probe_lost(self._ports.clock.monotonic())
        return flights

    def health(self) -> SenderHealth:
        clock, lane = self._ports.clock, self.lane
        now, now_us = clock.monotonic(), clock.now_us()
        return SenderHealth(
            self.circuit.state,
            len(self.flights),
            self.backlog.pending,
            0 if lane.following else max(0, self._ports.log.published_offset - lane.read_to),
            self.hold_until_us if self.hold_until_us > now_us else None,
            self.last_error,
            float(sum(1 for at in self._recent if now - at < 60)),
            *self.last_failure,
            _instant_us(self.circuit.opened_at, now, now_us),
            _instant_us(self.circuit.next_probe_at, now, now_us),
        )


def _instant_us(at: float | None, now: float, now_us: int) -> int | None:
    """A reading of the monotonic clock as microseconds since 1970."""
    return None if at is None else now_us + int((at - now) * 1_000_000)


async def _pause_gone(ports: Ports, number: int) -> None:
    destination = ports.active.by_number.get(number)
    if destination is not None:  # by number, because another of the same name may have been made meanwhile
        await ports.pause(destination.name, "gone")
