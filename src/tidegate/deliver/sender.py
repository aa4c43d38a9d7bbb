"""The sender of one destination: what goes out next, and what an answer means.

Owns rate, circuit, concurrency, order and the window of one destination. It is called back, it runs no task of its
own save to read events that fell out of the tail. Invariants: an attempt is recorded once and numbered on; a delivery
leaves the lane only as delivered or as an exception, in the settle that also records the attempt; with `ordered_by`
the next of a key goes out only after the one before was settled one way or the other.

Crash: what was in flight, and what finished since the last settle, is sent again with the same id and number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from tidegate.core import ids, units
from tidegate.core.errors import TidegateError
from tidegate.core.model import Deferred, DeferredState, Event, Outcome
from tidegate.deliver.deferred import LINE_LIMIT, DeferredQueue, KeyQueues
from tidegate.deliver.flight import Flight
from tidegate.deliver.health import SenderHealth, tell_of_circuit
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.load_deferred import refill
from tidegate.deliver.prefetch import UNREAD, Prefetcher
from tidegate.deliver.request_builder import RequestBuilder
from tidegate.rules.language.view import dig, event_view
from tidegate.rules.outbound.circuit import Circuit
from tidegate.rules.outbound.rate_limiter import RateLimiter
from tidegate.rules.outbound.retry import Verdict, next_attempt, parse_retry_after
from tidegate.runtime import ActiveDestination

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine

READ_AHEAD = 64  # events fetched at a time when they fell out of the tail
HUNG_SECONDS = 0.2  # a request this old that holds up a full window is moved to the deferred deliveries


class Sender:
    """One per destination that ever had something to send. Belongs to the event loop."""

    def __init__(self, engine: DeliverEngine, destination: ActiveDestination, lane: LaneCursor) -> None:
        self._engine = engine
        self.lane = lane
        self.number = destination.number
        self.ready: deque[int] = deque()
        self.waiting = DeferredQueue()
        self.flights: dict[int, Flight] = {}
        self.lines = KeyQueues()
        self.circuit = Circuit()
        self.hold_until_us = 0
        self.halted = False  # while a bulk settlement is made up
        self.desk = asyncio.Lock()  # whoever reads this sender's deliveries and acts on what it read, one at a time
        self.held: Collection[int] = ()  # deliveries that a verb is about: none of them starts meanwhile
        self.last_error = ""
        self.last_failure: tuple[str, int | None] = ("", None)  # (outcome, status)
        self._ahead = Prefetcher(engine.log, self._next_offsets, self.pump, self._not_read)
        self._reloading: asyncio.Task[None] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at = 0.0  # kept here: a handle of uvloop does not tell its time when it is due at once
        self._pace = RateLimiter(0.0, engine.clock.monotonic())
        self._recent: deque[float] = deque(maxlen=512)
        self.configure(destination)

    def configure(self, destination: ActiveDestination) -> None:
        """Take a changed configuration; what is in flight goes on."""
        spec = destination.spec
        self.destination = destination
        self._request_builder = RequestBuilder(destination, self._engine.active, self._engine.log.instance)
        self._timeout = units.seconds(spec.timeout)
        self._concurrency = spec.concurrency
        self._schedule = tuple(units.seconds(wait) for wait in spec.retry)
        self._retry_after_cap = units.seconds(spec.retry_after_cap)
        self._pace.configure(units.per_second(spec.rate) if spec.rate else 0.0)
        self._ordered_by = spec.ordered_by
        self.paused = destination.paused_at_us is not None

    def __repr__(self) -> str:
        return (
            f"<Sender {self.destination.name}: {len(self.flights)} in flight, {len(self.ready)} ready, "
            f"{len(self.waiting)} waiting, circuit {self.circuit.state}, {self.lane!r}>"
        )

    # -- being fed ---------------------------------------------------------------------------------------

    def offer(self, offset: int) -> None:
        """The log told a wanted event. `pump` follows once per batch."""
        lane = self.lane
        was_live = lane.live
        if lane.offer(offset):
            self.ready.append(offset)
        elif not was_live:
            return
        # One that turns lagging too: its row must go with the mark that passes what it owes from here on.
        self._engine.settler.lane(lane)

    def _feed(self) -> None:
        """A lagging lane with room reads on."""
        lane = self.lane
        if (
            lane.live
            or self._feeding is not None
            or self.paused
            or self.halted
            or self._engine.stopping
            or (lane.room < READ_AHEAD and lane.open)  # with nothing open only reading on makes room
            or len(self.lines) > LINE_LIMIT
        ):
            return
        self._feeding = asyncio.get_running_loop().create_task(self._read_lane(), name="feed")

    async def _read_lane(self) -> None:
        lane, engine = self.lane, self._engine
        try:
            upto, room, after = engine.log.published_offset, max(lane.room, READ_AHEAD), lane.fed_to
            offsets = await engine.scan(self.number, after, upto, room)
            if self.halted or lane.fed_to != after:
                return  # a bulk settlement came in between: what was read is settled, its end pumps again
            # Told and turned live in this one step of the loop: nothing can be appended in between unseen.
            end = upto if len(offsets) < room else offsets[-1]
            self.ready.extend(lane.feed(offsets, end, engine.log.published_offset))
            engine.settler.lane(lane)
            engine.settler.due()
        except TidegateError as error:
            self.last_error = error.message
            self._wake_in(1.0)
            return
        finally:
            self._feeding = None
        self.pump()

    # -- what goes out next ------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send as much as order, window, circuit, rate and concurrency allow."""
        while len(self.flights) < self._concurrency and not (self.paused or self.halted or self._engine.stopping):
            now_us = self._engine.clock.now_us()
            if self.hold_until_us > now_us:
                self._wake_in((self.hold_until_us - now_us) / 1e6)
                break
            now = self._engine.clock.monotonic()
            allowed = self.circuit.allow(now)
            if allowed == "no":
                if self.circuit.next_probe_at is not None:
                    self._wake_in(max(self.circuit.next_probe_at - now, 0.01))
                break
            if not self._pick(now_us, allowed == "probe"):
                if allowed == "probe":
                    self.circuit.probe_lost(now)
                break
        if not self.lane.live:
            if self.flights and self.lane.room < READ_AHEAD:
                self._release_hung()
            self._feed()

    def _pick(self, now_us: int, probe: bool) -> bool:
        """Start one delivery; False when there is none that may go now. A due retry goes before a new event."""
        due = self.waiting.next_due()
        if due is not None and (due[0] <= now_us or probe):
            event = self._ahead.event(due[1])
            if due[1] in self.held or event is UNREAD or not self._may_spend():
                return False
            exception = self.waiting.take()
            return self._start(exception.offset, event, exception, exception.key, probe)
        if due is not None:
            self._wake_in((due[0] - now_us) / 1e6)
        elif self.waiting.overflow:
            self._reload()
        if self.lines.freed:
            return self._pick_freed(probe)
        while self.ready:
            offset = self.ready[0]
            if offset not in self.lane.open:  # canceled meanwhile
                self.ready.popleft()
                continue
            event = self._ahead.event(offset)
            if offset in self.held or event is UNREAD:
                return False
            key = self._key(event) if self._ordered_by and event is not None else ""
            if key and self._join(key, offset):
                self.ready.popleft()
                continue
            if not self._may_spend():
                return False
            self.ready.popleft()
            return self._start(offset, event, None, key, probe)
        return False

    def _pick_freed(self, probe: bool) -> bool:
        """Offsets whose key became free go before newer ones."""
        offset, key = self.lines.freed[0]
        if offset not in self.lane.open:
            self.lines.freed.popleft()
            self.key_settled(key)
            return True
        event = self._ahead.event(offset)
        if offset in self.held or event is UNREAD or not self._may_spend():
            return False
        self.lines.freed.popleft()
        return self._start(offset, event, None, key, probe)

    def _may_spend(self) -> bool:
        """Take one of the rate, or wake when there is one."""
        wait = self._pace.take(self._engine.clock.monotonic())
        if wait:
            self._wake_in(wait)
        return not wait

    def _next_offsets(self) -> list[int]:
        """What is likely to go out next: these are read when one of them fell out of the tail."""
        return (
            self.waiting.peek(8)
            + [offset for offset, _ in self.lines.freed]
            + [self.ready[i] for i in range(min(READ_AHEAD, len(self.ready)))]
        )

    def _not_read(self, error: TidegateError) -> None:
        self.last_error = error.message
        self._wake_in(1.0)

    def _reload(self) -> None:
        """Memory ran out of retries while the table has more."""
        if self._reloading is None:
            self._reloading = asyncio.get_running_loop().create_task(self._refill(), name="reload")

    async def _refill(self) -> None:
        try:
            async with self.desk:
                await refill(self._engine, self)
        except TidegateError as error:
            self._not_read(error)
            return
        finally:
            self._reloading = None
        self.pump()

    def _wake_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = now + max(seconds, 0.0)
        if self._wake is not None:
            if now < self._wake_at <= at:
                return
            self._wake.cancel()
        self._wake_at = at
        self._wake = loop.call_at(at, self._woken)

    def _woken(self) -> None:
        self._wake = None
        self.pump()

    # -- order by key ------------------------------------------------------------------------------------

    def _key(self, event: Event) -> str:
        if self._ordered_by == "key":
            return event.key or ""
        value = dig(event_view(event), self._ordered_by)
        return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""

    def _join(self, key: str, offset: int) -> bool:
        """Stand behind the key's first, when it has an unsettled one."""
        line = self.lines.join(key, offset)
        if line is None:
            return False
        if line.blocked:
            self._park(key, offset)
        return True

    def _park(self, key: str, offset: int) -> None:
        """The key is held back by a failed one: this one leaves the lane and waits in the table."""
        self.lane.finish(offset)
        self._put(Deferred(self.number, offset, DeferredState.BLOCKED, cause="behind_key", key=key))

    def key_settled(self, key: str) -> None:
        """The first of a key is delivered or given up: the next may go."""
        offset = self.lines.settle(key)
        if offset is not None:
            one = Deferred(self.number, offset, DeferredState.PENDING, self._engine.clock.now_us(), key=key)
            self.waiting.add(one)
            self._put(one)

    # -- sending -----------------------------------------------------------------------------------------

    def _start(self, offset: int, event: Event | None, exception: Deferred | None, key: str, probe: bool) -> bool:
        engine = self._engine
        self._ahead.forget(offset)
        if event is None:
            self._give_up(offset, exception, "expired", key)
            return True
        number = (exception.attempts if exception is not None else 0) + 1
        now_us = engine.clock.now_us()
        flight = Flight(offset, number, now_us, engine.clock.monotonic(), exception, key, probe)
        if key:
            self.lines.open(key)
        if probe:
            self.circuit.probing(offset)
        revision = exception.route if exception is not None and exception.route else engine.route_of(event, self.number)
        try:
            head, body = self._request_builder.request(
                event, ids.event_id(engine.log.instance, offset), revision, number, now_us // 1_000_000
            )
        except Exception as error:  # noqa: BLE001 - a user's transform or text may raise anything: a recorded attempt
            self.flights[offset] = flight
            engine.loop_soon(self._ended, flight, Outcome.RENDER, None, f"{type(error).__name__}: {error}"[:300], None)
            return True
        self.flights[offset] = flight
        flight.pending = engine.post.send(
            self._request_builder.target, head, body, self._timeout, lambda result: self._done(flight, result)
        )
        return True

    def _done(self, flight: Flight, result: Any) -> None:
        self._ended(flight, result.outcome, result.status, result.error, result)
        self.pump()

    def _ended(self, flight: Flight, outcome: Outcome, status: int | None, error: str, result: Any) -> None:
        """An answer, or the lack of one: decide, then put it in line for the settle."""
        engine = self._engine
        offset = flight.offset
        if self.flights.pop(offset, None) is None:
            return
        now_us = engine.clock.now_us()
        exception = flight.exception
        first = exception.tries_left_from if exception is not None else 0
        retry_after = (
            parse_retry_after(result.retry_after, now_us) if result is not None and result.retry_after else None
        )
        verdict = next_attempt(
            self._schedule, flight.number - first, outcome, status, retry_after, self._retry_after_cap, now_us,
            engine.clock.random(),
        )  # fmt: skip
        ok = verdict.kind == "delivered"
        failed = Outcome.HTTP_ERROR if outcome is Outcome.OK else outcome
        shown_url = "" if ok else self._request_builder.shown_url
        engine.settler.attempt(
            flight.attempt(self.number, Outcome.OK if ok else failed, status, error, result, shown_url)
        )
        opened, now = self.circuit.opened_at, engine.clock.monotonic()
        self.circuit.on_result(ok, offset, now)
        tell_of_circuit(self.destination.name, opened, self.circuit, now, error or f"HTTP {status}")
        if ok:
            self._recent.append(engine.clock.monotonic())
            self._delivered(flight)
        else:
            self.last_error = error or f"HTTP {status}"
            self.last_failure = (failed.name.lower(), status)
            self._failed(flight, verdict, outcome)
        engine.settler.lane(self.lane)
        engine.settler.due()
        if outcome is Outcome.RENDER:
            self.pump()

    def _delivered(self, flight: Flight) -> None:
        offset = flight.offset
        self.lane.delivered += 1
        if offset in self.lane.open:
            self.lane.finish(offset)
        if flight.exception is not None:
            self.waiting.remove(offset)
            self._engine.settler.close(self.number, offset)
        if flight.key:
            self.key_settled(flight.key)

    def _failed(self, flight: Flight, verdict: Verdict, outcome: Outcome) -> None:
        exception, offset = flight.exception, flight.offset
        if verdict.hold_seconds:
            self.hold_until_us = self._engine.clock.now_us() + int(verdict.hold_seconds * 1e6)
        if verdict.kind == "exhausted":
            self._give_up(offset, exception, outcome.name.lower(), flight.key, flight.number)
            return
        due = verdict.due_at_us if verdict.due_at_us is not None else self._engine.clock.now_us()
        if offset in self.lane.open:
            self.lane.finish(offset)
        one = Deferred(
            self.number, offset, DeferredState.PENDING, due, flight.number, outcome.name.lower(), flight.key,
            exception.tries_left_from if exception is not None else 0,
            exception.route if exception is not None else 0,
            exception.replay if exception is not None else "",
        )  # fmt: skip
        self.waiting.remove(offset)
        self.waiting.add(one)
        self._put(one)
        if flight.key:
            for behind in self.lines.block(flight.key):
                if behind in self.lane.open:
                    self._park(flight.key, behind)
                else:  # canceled meanwhile: its turn must not come
                    self.lines.leave(flight.key, behind)
        if verdict.kind == "disable":
            self._engine.disable(self)

    def _give_up(self, offset: int, exception: Deferred | None, cause: str, key: str, attempts: int = 0) -> None:
        if offset in self.lane.open:
            self.lane.finish(offset)
        self.waiting.remove(offset)
        self.lane.exhausted += 1
        self._put(
            Deferred(
                self.number, offset, DeferredState.EXHAUSTED, 0,
                attempts or (exception.attempts if exception is not None else 0), cause, key,
                route=exception.route if exception is not None else 0,
            )
        )  # fmt: skip
        if key:
            self.key_settled(key)
        self._engine.settler.lane(self.lane)
        self._engine.settler.due()

    def _put(self, one: Deferred) -> None:
        self._engine.settler.put(one)
        self._engine.settler.lane(self.lane)
        self._engine.settler.due()

    def _release_hung(self) -> None:
        """A request that hangs while it holds up a full window becomes an exception, and the position goes on."""
        now = self._engine.clock.monotonic()
        oldest = next(iter(self.lane.open), None)
        flight = self.flights.get(oldest) if oldest is not None else None
        if flight is None or flight.exception is not None:
            return
        if now - flight.started < HUNG_SECONDS:
            self._wake_in(HUNG_SECONDS)
            return
        self.lane.finish(flight.offset)
        flight.exception = Deferred(
            self.number, flight.offset, DeferredState.PENDING, self._engine.clock.now_us(), flight.number - 1,
            "slow", flight.key,
        )  # fmt: skip
        self._put(flight.exception)

    # -- what a verb or a bulk settlement does -------------------------------------------------------------

    def reopen(self, one: Deferred) -> None:
        """A retry or replay: PENDING from now on. The caller moved the counters."""
        self.waiting.remove(one.offset)
        self.waiting.add(one)
        self._put(one)

    def release_key(self, one: Deferred) -> None:
        """One that was settled by the operator leaves its key's line, or lets the next go."""
        if not self.lines.leave(one.key, one.offset):
            self.key_settled(one.key)

    def abort_all(self) -> None:
        """Cut what is in flight, for good."""
        self.cut()
        if self._wake is not None:
            self._wake.cancel()

    def cut(self, bound: int | None = None) -> list[Flight]:
        """Cut what is in flight up to an offset (None: all): a send cut off is no attempt."""
        flights = [flight for flight in self.flights.values() if bound is None or flight.offset <= bound]
        for flight in flights:
            del self.flights[flight.offset]
            if flight.pending is not None:
                flight.pending.abort()
            if flight.probe:
                self.circuit.probe_lost(self._engine.clock.monotonic())
        return flights

    def put_back(self, flights: Sequence[Flight]) -> None:
        """What was cut goes out again before all others, unless it was settled meanwhile."""
        for flight in reversed(flights):
            if flight.exception is not None:
                self.waiting.remove(flight.offset)
                self.waiting.read_again()  # its row says how it stands
            elif flight.offset in self.lane.open:
                if flight.key:
                    self.lines.freed.appendleft((flight.offset, flight.key))
                else:
                    self.ready.appendleft(flight.offset)

    def health(self) -> SenderHealth:
        now = self._engine.clock.monotonic()
        recent = sum(1 for at in self._recent if now - at < 60)
        lag = 0 if self.lane.live else max(0, self._engine.log.published_offset - self.lane.fed_to)
        return SenderHealth(
            self.circuit.state,
            len(self.flights),
            len(self.ready) + len(self.waiting) + len(self.lines),
            lag,
            self.hold_until_us if self.hold_until_us > self._engine.clock.now_us() else None,
            self.last_error,
            float(recent),
            *self.last_failure,
            self._instant(self.circuit.opened_at),
            self._instant(self.circuit.next_probe_at),
        )

    def _instant(self, at: float | None) -> int | None:
        """A reading of the monotonic clock as a time of day."""
        clock = self._engine.clock
        return None if at is None else clock.now_us() + int((at - clock.monotonic()) * 1_000_000)
