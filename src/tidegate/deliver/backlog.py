"""The backlog of one destination: every delivery that is owed to it, in the lane, deferred, or queued behind a key.

Owns the lane, what is ready to send, the deferred deliveries and the key queues, and moves deliveries between them. May
not know the transport, the limits, the rate or the request; `sender.py` decides when to send. Invariants: a delivery
leaves the lane only as delivered, as a deferred delivery or in a bulk settlement, and the settle that stores the new
lane stores that too; of one key, the next delivery becomes ready only after the one before it was settled.

Crash: the lane and the deferred rows are read again as the last settle stored them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

from tidegate.core.clock import Clock
from tidegate.core.model import Deferred, DeferredState
from tidegate.deliver.deferred import DeferredQueue
from tidegate.deliver.flight import Flight
from tidegate.deliver.key_queues import KeyQueues
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.settler import Settler

READ_AHEAD = 64  # offsets or events that are read from the log at a time
_RETRIES_AHEAD = 8  # of those, due retries


class Backlog:
    """Belongs to the event loop.

    `lock`: held while something reads deliveries of this backlog, awaits, and then acts on what it read.
    `reserved`: offsets that a command is working on; none of them starts meanwhile.
    `suspended`: a bulk settlement or a takeover is under way; nothing starts and nothing is read.
    """

    def __init__(self, lane: LaneCursor, settler: Settler, clock: Clock) -> None:
        self.lane = lane
        self.ready: deque[int] = deque()
        self.deferred = DeferredQueue()
        self.key_queues = KeyQueues()
        self.lock = asyncio.Lock()
        self.reserved: Collection[int] = ()
        self.probe_offset = 0  # chosen for the next probe; 0: none
        self.suspended = False
        self._settler = settler
        self._clock = clock

    @property
    def pending(self) -> int:
        """How many deliveries in memory are not in flight."""
        return len(self.ready) + len(self.deferred) + len(self.key_queues)

    def offer(self, offset: int) -> None:
        """The log published a wanted event. The sender's `pump` follows once per batch."""
        lane = self.lane
        was_following = lane.following
        if lane.offer(offset):
            self.ready.append(offset)
        elif not was_following:
            return
        # Also when the lane begins to lag: its row must be stored with the mark that passes what it owes from here on.
        self._settler.lane(lane)

    def next_offsets(self) -> list[int]:
        """What is likely to be sent next; the prefetcher reads these events."""
        return (
            ([self.probe_offset] if self.probe_offset else [])
            + self.deferred.peek(_RETRIES_AHEAD)
            + [offset for offset, _ in self.key_queues.unblocked]
            + [self.ready[i] for i in range(min(READ_AHEAD, len(self.ready)))]
        )

    # -- order by key ------------------------------------------------------------------------------------

    def enqueue_behind_key(self, key: str, offset: int) -> bool:
        """Queue an offset of the lane behind its key's unsettled delivery; False when there is none."""
        queue = self.key_queues.enqueue(key, offset)
        if queue is None:
            return False
        if queue.blocked:
            self._block(key, offset)
        return True

    def _block(self, key: str, offset: int) -> None:
        """The key's delivery failed: this one leaves the lane and becomes a BLOCKED row."""
        self.lane.finish(offset)
        self.put(Deferred(self.lane.destination, offset, DeferredState.BLOCKED, cause="behind_key", key=key))

    def key_settled(self, key: str) -> None:
        """The unsettled delivery of a key is delivered or given up: the next one may be sent."""
        offset = self.key_queues.settle(key)
        if offset is not None:
            one = Deferred(self.lane.destination, offset, DeferredState.PENDING, self._clock.now_us(), key=key)
            self.deferred.add(one)
            self.put(one)

    def release_key(self, one: Deferred) -> None:
        """A row was settled by a command: take it out of its key's queue, or let the next one go."""
        if not self.key_queues.remove(one.key, one.offset):
            self.key_settled(one.key)

    # -- what became of an attempt -----------------------------------------------------------------------

    def delivered(self, flight: Flight) -> None:
        lane, offset = self.lane, flight.offset
        lane.delivered += 1
        if offset in lane.open:
            lane.finish(offset)
        if flight.deferred is not None:
            self.deferred.remove(offset)
            self._settler.close(lane.destination, offset)
        if flight.key:
            self.key_settled(flight.key)

    def retry_later(self, flight: Flight, due_at_us: int, cause: str, *, spent: bool) -> None:
        """Defer a failed delivery until `due_at_us`, and block what is queued behind its key.

        `spent`: the attempt counts as a try of its schedule.
        """
        lane, offset, before = self.lane, flight.offset, flight.deferred
        if offset in lane.open:
            lane.finish(offset)
        one = Deferred(
            lane.destination, offset, DeferredState.PENDING, due_at_us, flight.number, cause, flight.key,
            (before.tries_left_from if before is not None else 0) + (not spent),
            before.route if before is not None else 0,
            before.replay if before is not None else "",
        )  # fmt: skip
        self.reopen(one)
        if flight.key:
            for behind in self.key_queues.block(flight.key):
                if behind in lane.open:
                    self._block(flight.key, behind)
                else:  # canceled meanwhile: it must not be sent
                    self.key_queues.remove(flight.key, behind)

    def give_up(self, offset: int, before: Deferred | None, cause: str, key: str, attempts: int = 0) -> None:
        """Settle a delivery as exhausted. `before`: its row until now; `attempts`: 0 takes them from that row."""
        if offset in self.lane.open:
            self.lane.finish(offset)
        self.deferred.remove(offset)
        self.lane.exhausted += 1
        self.put(
            Deferred(
                self.lane.destination, offset, DeferredState.EXHAUSTED, 0,
                attempts or (before.attempts if before is not None else 0), cause, key,
                route=before.route if before is not None else 0,
            )
        )  # fmt: skip
        if key:
            self.key_settled(key)
        self.changed()

    def defer_hung(self, flight: Flight) -> None:
        """Move a first try that hangs out of the lane, while its request goes on."""
        self.lane.finish(flight.offset)
        flight.deferred = Deferred(
            self.lane.destination, flight.offset, DeferredState.PENDING, self._clock.now_us(), flight.number - 1,
            "slow", flight.key,
        )  # fmt: skip
        self.put(flight.deferred)

    # -- what commands and bulk settlements do -----------------------------------------------------------

    def reopen(self, one: Deferred) -> None:
        """A delivery is PENDING from now on. For a settled one, the caller has changed the counters."""
        self.deferred.remove(one.offset)
        self.deferred.add(one)
        self.put(one)

    def retry_now(self, one: Deferred) -> None:
        """A person retries a delivery: it is PENDING and goes out before all others."""
        self.deferred.remove(one.offset)
        self.deferred.add_manual(one)
        self.put(one)

    def put_back(self, flights: Sequence[Flight]) -> None:
        """Deliveries that were cut off go out again before all others, unless they were settled meanwhile."""
        for flight in reversed(flights):
            if flight.deferred is not None:
                self.deferred.remove(flight.offset)
                self.deferred.require_reload()  # its row has the current state
            elif flight.offset in self.lane.open:
                if flight.key:
                    self.key_queues.unblocked.appendleft((flight.offset, flight.key))
                else:
                    self.ready.appendleft(flight.offset)

    def put(self, one: Deferred) -> None:
        """Store a row with the next settle."""
        self._settler.put(one)
        self.changed()

    def changed(self) -> None:
        """Store the lane with the next settle, which is now due."""
        self._settler.lane(self.lane)
        self._settler.due()
