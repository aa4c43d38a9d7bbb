"""The sender of one destination: when it sends, what it sends next, and what follows a result.

Owns the requests in flight, the rate and the order of steps. May not know the engine, other senders or the transport's
protocol: what is owed is in its `backlog`, what may be sent is decided by its `limits` and `next_send`. It runs on
callbacks, with tasks for readings only. Invariants: an attempt is recorded once, with the next number; what a result
changes is stored in the settle that also stores the attempt.

Crash: what was in flight, and what ended since the last settle, is sent again with the same id and attempt number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tidegate.core import ids, units
from tidegate.core.errors import TidegateError
from tidegate.core.model import Event, Outcome
from tidegate.deliver.authenticated import AuthenticatedSend
from tidegate.deliver.backlog import READ_AHEAD, Backlog
from tidegate.deliver.candidates import Candidate, Candidates
from tidegate.deliver.flight import Flight
from tidegate.deliver.health import SenderHealth
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.lane_reader import LaneReader
from tidegate.deliver.limits import SendLimits
from tidegate.deliver.load_deferred import DeferredReader
from tidegate.deliver.ports import InTransit, Ports
from tidegate.deliver.prefetch import Prefetcher
from tidegate.deliver.request_builder import RequestBuilder
from tidegate.deliver.wake_timer import WakeTimer
from tidegate.kinds import Request, Result
from tidegate.outbound.post import PostResult
from tidegate.outbound.rate_budgets import LONGEST_WAIT_SECONDS, RateBudget, Turns
from tidegate.rules.outbound.after_attempt import NextStep, RetryPolicy, after_attempt, hold_of
from tidegate.rules.outbound.circuit_breaker import Permission, Sent
from tidegate.rules.outbound.next_send import SendState, next_send
from tidegate.rules.outbound.rate_limiter import RateLimiter
from tidegate.rules.outbound.retry_on import parse_retry_on, read_attempt
from tidegate.rules.outbound.sent_requests import Sent as SentAs
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
        self.destination = destination
        self.paused = False
        self.backlog = Backlog(lane, ports.settler, ports.clock)
        self.flights: dict[int, Flight] = {}
        self.limits = SendLimits(destination.name, ports.clock, destination.spec.concurrency, lane.breaker)
        self.stopping = False
        self.last_error = ""
        self.last_failure: tuple[str, int | None] = ("", None)  # (outcome, status)
        self._prefetcher = Prefetcher(ports.log, self.backlog.next_offsets, self.pump, self._read_failed)
        self._lane_reader = LaneReader(ports, self.backlog, self.pump, self._read_failed)
        self._deferred_reader = DeferredReader(ports, self.backlog, self.flights, self.pump, self._read_failed)
        self._candidates = Candidates(self.backlog, self._prefetcher.event)
        self._state = SendState(Permission.ANY, 1, 1)  # filled before each decision
        self._timer = WakeTimer(self.pump)
        self._rate_limiter = RateLimiter(0.0, ports.clock.monotonic())
        self._turns: Turns | None = None
        self._recent: deque[float] = deque(maxlen=512)  # when the latest deliveries succeeded
        self.configure(destination)

    def configure(self, destination: ActiveDestination) -> None:
        """Take a changed configuration; requests in flight go on."""
        spec = destination.spec
        was_paused, before = self.paused, self.destination
        self.destination = destination
        self._request_builder = RequestBuilder(destination, self._ports.active, self._ports.credentials)
        self._timeout = units.seconds(spec.timeout)
        self._concurrency = spec.concurrency
        schedule = tuple(units.seconds(wait) for wait in spec.retry)
        self._policy = RetryPolicy(schedule, units.seconds(spec.retry_after_cap))
        self._retry_on = parse_retry_on(spec.retry_on)
        self._rate_limiter.configure(units.per_second(spec.rate) if spec.rate else 0.0)
        self._use_budget(self._ports.credentials.budget_of(getattr(spec, "auth", None)))
        self._candidates.ordered_by = spec.ordered_by
        self.limits.configure(destination.name, spec.concurrency)
        self.paused = destination.paused_at_us is not None
        if before.spec != spec or (was_paused and not self.paused):
            self.limits.changed_destination()
            self._ports.findings.resolve("cannot_render", f"destination:{destination.name}")

    def __repr__(self) -> str:
        return (
            f"<Sender {self.destination.name}: {len(self.flights)} in flight, {len(self.backlog.ready)} ready, "
            f"{len(self.backlog.deferred)} deferred, breaker {self.limits.breaker.state}, {self.lane!r}>"
        )

    # -- what is sent next -------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send as much as order, window, hold, breaker, rate and concurrency allow."""
        while self._send_next():
            pass
        if not self.lane.following:
            if self.flights and self.lane.room < READ_AHEAD:
                self._defer_hung()
            if not self._suspended:
                self._lane_reader.start()

    @property
    def _suspended(self) -> bool:
        return self.paused or self.backlog.suspended or self.stopping

    def _send_next(self) -> bool:
        """Start one delivery, or settle one that cannot be sent. False: there is none now.

        `next_send` has the cases. Each one that sends nothing has arranged the next `pump`: by a timer, a reading, a
        result, or the end of the command that reserved the delivery.
        """
        backlog, limits = self.backlog, self.limits
        clock, deferred = self._ports.clock, backlog.deferred
        if self.paused or backlog.suspended or self.stopping:
            return False
        if not (backlog.ready or deferred.known or deferred.overflow or backlog.key_queues.unblocked):
            return False
        now, now_us = clock.monotonic(), clock.now_us()
        # The happy path: nothing is deferred, failing or held. These are the cases 6, 9 and 11 of `next_send`.
        if not deferred.known and not deferred.overflow and limits.unlimited(now):
            if len(self.flights) >= limits.concurrency.limit:
                return False
            first_try = self._candidates.first_try(now_us)
            return first_try is not None and self._rate_allows() and self._start(first_try)
        manual = bool(deferred.manual) and limits.manual_in_flight < self._concurrency
        if len(self.flights) >= limits.concurrency.limit and not manual and limits.closed:
            return False
        by_hand = self._candidates.manual() if manual else None
        first_try, retry = self._look(now, now_us)
        state = self._state
        state.manual, state.first_try, state.retry = by_hand is not None, first_try is not None, retry is not None
        step = next_send(state, now)
        if step.send is None:
            if step.wake_at is not None:
                self._timer.wake_in(max(step.wake_at - now, 0.01))
            return False
        if step.send == "manual":
            return self._start(by_hand, manual=True)
        if step.send == "probe":
            chosen = self._candidates.probe(first_try, now_us, limits.breaker.last_probe)
            return self._rate_allows() and self._start(chosen, probe=True)
        return self._rate_allows() and self._start(first_try if step.send == "first_try" else retry)

    def _look(self, now: float, now_us: int) -> tuple[Candidate | None, Candidate | None]:
        """(first try, retry) that could be sent, and the rest of the state. Both None while neither may be sent."""
        state, deferred = self._state, self.backlog.deferred
        self.limits.fill(state, now, len(self.flights))
        permission = state.permission
        full = state.in_flight >= state.limit and permission is not Permission.PROBE
        state.next_due_at = None
        if now < state.hold_until or permission is Permission.NOTHING or full:
            return None, None
        if not len(deferred) and not deferred.overflow:
            return self._candidates.first_try(now_us), None
        earliest = deferred.next_retry()
        if earliest is not None:
            state.next_due_at = now + max(0.0, (earliest[0] - now_us) / 1e6)
        elif deferred.wants_load:
            self._deferred_reader.start()
        retry = self._candidates.retry(now_us) if permission is not Permission.FIRST_TRIES else None
        return self._candidates.first_try(now_us), retry

    def _use_budget(self, budget: RateBudget | None) -> None:
        """The rate of the shared credential, which its sources and other destinations use too."""
        if self._turns is not None:
            self._turns.stop()
        self._turns = None if budget is None else Turns(budget, self._ports.clock, self.pump)

    def _rate_allows(self) -> bool:
        """Spend one delivery of the rate, or wake when there is one to spend."""
        if self.destination.spec.rate:
            wait = self._rate_limiter.take(self._ports.clock.monotonic())
            if wait:
                self._timer.wake_in(wait)
                return False
        return self._turns is None or self._turns.take()

    async def _may_repeat(self) -> bool:
        """Spend one more of the rates, for the repetition of a request after a 401. False when that takes too long."""
        clock = self._ports.clock
        if self.destination.spec.rate:
            while wait := self._rate_limiter.take(clock.monotonic()):
                if wait > LONGEST_WAIT_SECONDS:
                    return False
                await clock.sleep(wait)
        if self._turns is None:
            return True
        wait = await self._turns.budget.reserve(LONGEST_WAIT_SECONDS)
        if wait <= LONGEST_WAIT_SECONDS:
            await clock.sleep(wait)
        return wait <= LONGEST_WAIT_SECONDS

    def _read_failed(self, error: TidegateError) -> None:
        self.last_error = error.message
        self._timer.wake_in(READ_AGAIN_SECONDS)

    # -- sending -----------------------------------------------------------------------------------------

    def _start(self, one: Candidate | None, *, manual: bool = False, probe: bool = False) -> bool:
        """Send one. What cannot be sent (deleted by retention, cannot be rendered) is settled or recorded."""
        if one is None:  # the probe's event is being read
            return False
        self._candidates.take(one)
        self._prefetcher.forget(one.offset)
        if one.event is None:
            self.backlog.give_up(one.offset, one.deferred, "expired", one.key)
            return True
        flight = self._flight(one, one.event, manual)
        self.flights[one.offset] = flight
        self.limits.sent(flight.sent, manual=manual, probe=probe)
        try:
            request = self._request(one.event, flight)
        except Exception as error:  # noqa: BLE001 - a user's transform or text may raise anything: a recorded attempt
            said = error.message if isinstance(error, TidegateError) else f"{type(error).__name__}: {error}"
            text = said[:_ERROR_CHARACTERS]
            asyncio.get_running_loop().call_soon(self._render_failed, flight, text)
            return True
        flight.detail = request.detail
        builder = self._request_builder
        if not builder.kind.transport_makes_request:
            self._keep(flight, builder.recorded(request), one.event.body)
        flight.in_transit = self._send(request, lambda result: self._done(flight, result))
        return True

    def _keep(self, flight: Flight, request: SentAs, event_body: bytes) -> None:
        """Keep a request as it is sent, for the record of the attempt."""
        flight.kept = kept = self._request_builder.recorder.keep(request, event_body)
        if kept.new_head is not None:
            self._ports.settler.head(kept.head, kept.new_head)

    def _send(self, request: Request, done: Callable[[PostResult], None]) -> InTransit:
        """Hand a request to the transport; its credential is added on the way when it is not a fixed one."""
        builder, ports = self._request_builder, self._ports
        transport = ports.transports[builder.kind.transport]
        if builder.credential is None:
            return transport.send(builder.target_of(request), request.head, request.body, self._timeout, done)
        outgoing = builder.outgoing(request, self._timeout)
        return AuthenticatedSend(transport, ports.clock, builder.credential, outgoing, done, self._may_repeat).start()

    def _flight(self, one: Candidate, event: Event, manual: bool) -> Flight:
        clock, number = self._ports.clock, (one.deferred.attempts if one.deferred is not None else 0) + 1
        if one.key:
            self.backlog.key_queues.open(one.key)
        return Flight(
            one.offset, number, clock.now_us(), Sent(one.offset, number == 1, clock.monotonic()), one.deferred, one.key,
            event.received_at_us, len(event.body), self.limits.breaker.spends_tries, manual,
        )  # fmt: skip

    def _request(self, event: Event, flight: Flight) -> Request:
        """Raises what the kind of destination, a transform or a template raises."""
        ports, deferred = self._ports, flight.deferred
        revision = deferred.route if deferred is not None and deferred.route else 0
        if not revision:
            revision = ports.wanted.revision_for(event, self.number)
        event_id = ids.event_id(ports.log.instance, event.offset)
        return self._request_builder.request(
            event, event_id, revision, flight.number, flight.started_at_us // 1_000_000
        )

    # -- results -----------------------------------------------------------------------------------------

    def _render_failed(self, flight: Flight, error: str) -> None:
        if self._landed(flight):
            self._ports.findings.report("cannot_render", f"destination:{self.destination.name}", error)
            self._ended(flight, Result(Outcome.RENDER, None, detail=error), None)
            self.pump()

    def _done(self, flight: Flight, result: PostResult) -> None:
        if self._landed(flight):
            if result.sent is not None:
                self._keep(flight, result.sent, b"")
            self._ended(flight, self._request_builder.read(result, self._ports.clock.now_us()), result)
        self.pump()

    def _landed(self, flight: Flight) -> bool:
        """It is not in flight any more. False: it was cut off before."""
        if self.flights.pop(flight.offset, None) is None:
            return False
        flight.in_transit = None  # it refers to this flight: the collector would have to find them (6 us a delivery)
        self.limits.ended(flight.sent, flight.manual)
        return True

    def _ended(self, flight: Flight, read: Result, result: PostResult | None) -> None:
        """An attempt ended: decide what follows, and collect all of it for the next settle.

        `read`: what the kind of the destination makes of the answer; `result`: None when nothing was sent.
        """
        clock = self._ports.clock
        accepted = (read.status,) if read.outcome is Outcome.OK and read.status is not None else None
        meaning = read_attempt(read.outcome, read.status, self._retry_on, accepted)
        delivered = meaning.follow == "delivered"
        hold = None if delivered else hold_of(read.status, read.retry_after, self._policy.retry_after_cap)
        error, status = read.detail, None if result is None else result.status
        shown_url = "" if delivered else self._request_builder.shown_url
        settler = self._ports.settler
        settler.attempt(flight.attempt(self.number, read.outcome, status, error, result, shown_url))
        ended_us = flight.started_at_us + (result.duration_us if result is not None else 0)
        self.limits.learn(flight.sent, meaning, hold, error if delivered else error or f"HTTP {status}")
        if self.lane.breaker or self.limits.notable:
            self.lane.breaker = self.limits.export()
        if delivered:
            self._recent.append(clock.monotonic())
            settler.counts.delivered(self.destination.name, flight, ended_us)
            self.backlog.delivered(flight)
        else:
            self.last_error = error or f"HTTP {status}"
            self.last_failure = (read.outcome.name.lower(), read.status)
            step = after_attempt(self._policy, flight.tries, meaning, hold, clock.now_us(), clock.random())
            settler.counts.failed(self.destination.name, flight, ended_us, exhausted=step.kind == "exhausted")
            self._failed(flight, step, read.outcome)
        if self.limits.breaker.state == "half_open" and self._idle:
            self.limits.idle()
            self.lane.breaker = self.limits.export()
        self.backlog.changed()

    @property
    def _idle(self) -> bool:
        return not self.flights and not self.backlog.pending and self.lane.following

    def _failed(self, flight: Flight, step: NextStep, outcome: Outcome) -> None:
        cause = outcome.name.lower()
        if step.kind == "exhausted":
            self.backlog.give_up(flight.offset, flight.deferred, cause, flight.key, flight.number)
            return
        due = step.due_at_us if step.due_at_us is not None else self._ports.clock.now_us()
        self.backlog.retry_later(flight, due, cause, spent=step.spent)
        if step.kind == "disable":  # 410: pause the destination and keep its backlog
            self.paused = True
            self._ports.background.spawn(_pause_gone, self._ports, self.number)

    def test_sent(self, success: bool) -> None:
        """A person sent a test event, beside all limits: its success half-opens an open breaker."""
        self.limits.test_send(success)
        if self.lane.breaker or success:
            self.lane.breaker = self.limits.export()
            self.backlog.changed()
        self.pump()

    def _defer_hung(self) -> None:
        """When the oldest request hangs and holds up a full window, defer its delivery so that the lane goes on."""
        oldest = next(iter(self.lane.open), None)
        flight = self.flights.get(oldest) if oldest is not None else None
        if flight is None or flight.deferred is not None:
            return
        if self._ports.clock.monotonic() - flight.sent.sent_at < HUNG_SECONDS:
            self._timer.wake_in(HUNG_SECONDS)
        else:
            self.backlog.defer_hung(flight)

    # -- cutting off, health -----------------------------------------------------------------------------

    def abort_all(self) -> None:
        """Cut off everything in flight, and wake no more."""
        self.cut()
        self._timer.cancel()
        self._use_budget(None)

    def cut(self, upto: int | None = None) -> list[Flight]:
        """Cut off what is in flight up to an offset (None: all). A request that was cut off is not an attempt."""
        flights = [flight for flight in self.flights.values() if upto is None or flight.offset <= upto]
        for flight in flights:
            del self.flights[flight.offset]
            if flight.in_transit is not None:
                flight.in_transit.abort()
                flight.in_transit = None
            self.limits.ended(flight.sent, flight.manual)
            self.limits.lost(flight.sent)
        return flights

    def health(self) -> SenderHealth:
        clock, lane, limits = self._ports.clock, self.lane, self.limits
        now, now_us = clock.monotonic(), clock.now_us()
        return SenderHealth(
            limits.breaker.state,
            len(self.flights),
            self.backlog.pending,
            0 if lane.following else max(0, self._ports.log.published_offset - lane.read_to),
            _instant_us(limits.hold_until, now, now_us) if limits.hold_until > now else None,
            self.last_error,
            float(sum(1 for at in self._recent if now - at < 60)),
            *self.last_failure,
            _instant_us(limits.breaker.opened_at, now, now_us),
            _instant_us(limits.breaker.next_probe_at, now, now_us),
            limits.failing,
            limits.concurrency.limit,
        )


def _instant_us(at: float | None, now: float, now_us: int) -> int | None:
    """A reading of the monotonic clock as microseconds since 1970."""
    return None if at is None else now_us + int((at - now) * 1_000_000)


async def _pause_gone(ports: Ports, number: int) -> None:
    destination = ports.active.by_number.get(number)
    if destination is not None:  # by number, because another of the same name may have been made meanwhile
        await ports.pause(destination.name, "gone")
