"""The deliver engine: senders by destination, fed by what the log tells, settled together.

Owns the senders of the shares that this node holds. Knows the store, the active configuration and the POST client;
no other door. Shares come by `take` (`arriving.py`: positions and deferred deliveries from the store, the log from
their mark
on) and go by `leave`: what is in flight ends, everything is settled, the rest is for whoever takes them next. After
`lost` nothing is written: what was in flight is sent again elsewhere, with the same id and attempt number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from tidegate.config.checks import names_of
from tidegate.core import units
from tidegate.core.clock import Clock
from tidegate.core.findings import Findings
from tidegate.core.model import Attempt, DeliveryState, DeliveryView, Event, Lane, RangeSettlement
from tidegate.deliver.bulk import settle_all
from tidegate.deliver.commands import Commands
from tidegate.deliver.health import SenderHealth
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.peer_status import PeerStatus
from tidegate.deliver.replay import ReplayQuery, Replays
from tidegate.deliver.retry_until_done import retry_until_done
from tidegate.deliver.sender import Sender
from tidegate.deliver.settler import Settler
from tidegate.deliver.status import delivery_states
from tidegate.deliver.takeover import arrive
from tidegate.runtime import ActiveConfiguration, ActiveDestination
from tidegate.store import Replay, Store, partition_of

_SELECTIVE_LIMIT = 200  # audiences of one destination up to which its lane reads by index instead of scanning
STOP_SECONDS = 10.0  # contract: what is in flight at the end gets 10 s at most
LEAVE_SECONDS = 2.0  # what is in flight when a partition goes to another node; longer would hold that node up
Pair = tuple[int, int]
Ask = Callable[[int, bytes], Awaitable[bytes]]


class Post(Protocol):
    """What the engine needs of outbound.post.PostClient."""

    def send(
        self, target: Any, head: bytes, body: bytes, timeout_seconds: float, done: Callable[[Any], None]
    ) -> Any: ...


async def _cannot_pause(destination: str, reason: str) -> None:
    """Until the gateway sets `pause`: an engine reads the configuration and cannot change it."""


class DeliverEngine:
    """The senders of this node."""

    name = "deliver"

    def __init__(
        self,
        store: Store,
        active: ActiveConfiguration,
        post: Post,
        clock: Clock,
        ask: Ask | None = None,
        findings: Findings | None = None,
    ) -> None:
        """`ask(partition, call)` reaches the node that holds a partition; its answer is that of `commands.answer`
        there.
        """
        self.ask = ask or store.leases.ask
        self.store = store
        self.log = store.log
        self.active = active
        self.post = post
        self.pause: Callable[[str, str], Awaitable[None]] = _cannot_pause
        self.clock = clock
        self.findings = findings or Findings(clock)
        self.stopping = False
        self.settler = Settler(store.deliveries, self.high_water_mark, lambda: store.leases.fence)
        self.settler.after = self._after_settle
        self.settler.fenced = self.lost
        self.partitions: frozenset[int] = frozenset()
        self.senders: dict[int, Sender] = {}
        self.ranges: list[RangeSettlement] = []
        self.replays = Replays(self)
        self.commands = Commands(self)
        self._board = PeerStatus(store.leases, lambda: {number: one.health() for number, one in self.senders.items()})
        self._high_water_mark = 0
        self._left_at: int | None = None  # the mark when the last partition was left: nothing is offered beyond it
        self._unmet: dict[int, LaneCursor] = {}  # lanes of ours whose destination we have not heard of yet
        self._wanted: dict[int, list[int]] = {}  # destination -> audiences that want it
        self._indexed = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to follow the log; nothing is sent before shares are taken."""
        self._high_water_mark = self.log.subscribe(self._told)
        self.active.on_change(self._configured)
        self.spawn(self._board.run)

    async def take(self, partitions: frozenset[int]) -> None:
        """Take up the lanes of `partitions`; returns when every one is fed or lagging. Raises Fenced: nothing was
        taken.
        """
        senders, unmet = await arrive(self, partitions)
        # From here to the flush no await: what is told from now on is offered to them.
        self.partitions |= partitions
        self._left_at = None
        self.senders.update(senders)
        self._unmet.update(unmet)
        for lane in (*unmet.values(), *(sender.lane for sender in senders.values())):
            if lane.touched:
                self.settler.lane(lane)
        self.settler.taken(partitions)
        self.settler.due()
        await self.settler.flush()
        # They are ours for good: from here on nothing may be raised.
        for sender in senders.values():
            sender.halted = False
        self._configured()
        self.spawn(self.replays.take, partitions)

    async def leave(self, partitions: frozenset[int], seconds: float = LEAVE_SECONDS) -> None:
        """Feed `partitions` no more, let what is in flight end, cut the rest (no attempt), settle."""
        await self.replays.leave(partitions)
        leaving = [self.senders.pop(number) for number in list(self.senders) if partition_of(number) in partitions]
        high_water_mark = self.high_water_mark()
        self.partitions -= partitions
        if not self.partitions:
            self._left_at = high_water_mark
        self.settler.left([(share, high_water_mark) for share in partitions])
        self._unmet = {number: lane for number, lane in self._unmet.items() if partition_of(number) not in partitions}
        for sender in leaving:
            sender.halted = True
        deadline = self.clock.monotonic() + seconds
        while any(s.flights for s in leaving) and self.clock.monotonic() < deadline:  # noqa: ASYNC110 - callbacks end them
            await asyncio.sleep(0.02)
        for sender in leaving:
            sender.abort_all()
        await self.settler.flush()

    async def handle(self, call: bytes) -> bytes:
        """A command of another node for a partition of ours."""
        return await self.commands.answer(call)

    def lost(self) -> None:
        """The lease is gone: drop everything, write nothing."""
        self.partitions = frozenset()
        self._unmet.clear()
        for sender in self.senders.values():
            sender.halted = True
            sender.abort_all()
        self.senders.clear()
        self.settler.forget()
        self.replays.lost()

    async def stop(self) -> None:
        """Leave everything; what is in flight gets 10 s at most."""
        self.stopping = True
        await asyncio.wait_for(self.leave(self.partitions, STOP_SECONDS), STOP_SECONDS + 5)
        self.log.unsubscribe(self._told)
        for task in list(self._tasks):
            task.cancel()

    # -- being told --------------------------------------------------------------------------------------

    def high_water_mark(self) -> int:
        """Every lane of ours was offered everything up to here. Without partitions it stands: a store with one mark for
        all of them (SQLite) would else have moved past what nobody was offered.
        """
        return self._high_water_mark if self._left_at is None else self._left_at

    def _told(self, events: Sequence[Event]) -> None:
        audiences = self.log.audiences()
        touched: dict[int, Sender] = {}
        senders = self.senders
        for event in events:
            for number, _ in audiences[event.audience].wanted:
                sender = senders.get(number) or self._new_sender(number, event.offset)
                if sender is not None:
                    sender.offer(event.offset)
                    touched[number] = sender
        self._high_water_mark = events[-1].offset
        for sender in touched.values():
            sender.pump()
        if touched:
            self.settler.due()
        else:
            self.settler.moved()

    def _new_sender(self, number: int, offset: int) -> Sender | None:
        """The first event for a destination of ours; None when it is not ours, or was made elsewhere this instant."""
        if partition_of(number) not in self.partitions:
            return None
        destination = self.active.by_number.get(number)
        if destination is not None:
            return self.sender_of(destination)
        tombstone_of = self.active.tombstone_of(number)
        if tombstone_of is None:
            self._wait_for(number, offset)
            return None
        sender = self.sender_of(tombstone_of)
        self.spawn(self._drop, sender)
        return sender

    def _wait_for(self, number: int, offset: int) -> None:
        """An event wants a destination that another node made this instant: its lane lags from here until we hear of
        it, and the row says so in the settle that moves the mark, so that whoever comes after us reads it too.
        """
        lane = self._unmet.setdefault(number, LaneCursor(number, self._high_water_mark))
        if lane.lag_from(offset):
            self.settler.lane(lane)
            self.settler.due()

    def sender_of(self, destination: ActiveDestination) -> Sender:
        """The sender of a destination of ours."""
        sender = self.senders.get(destination.number)
        if sender is None:
            sender = self.new_sender(destination, None, self._high_water_mark)
            self.senders[destination.number] = sender
        return sender

    def has(self, sender: Sender) -> bool:
        """Whether this is (still) the sender of its destination here: its partition may leave while one awaits."""
        return self.senders.get(sender.number) is sender

    def new_sender(self, destination: ActiveDestination, row: Lane | None, high_water_mark: int) -> Sender:
        return Sender(self, destination, LaneCursor(destination.number, high_water_mark, row))

    def _after_settle(self, destinations: Iterable[int]) -> None:
        """Windows have room again."""
        for number in destinations:
            sender = self.senders.get(number)
            if sender is not None and (sender.ready or not sender.lane.live or sender.waiting):
                sender.pump()

    def _configured(self) -> None:
        """The configuration changed: senders take it; destinations that were deleted settle what they owe."""
        for number, sender in list(self.senders.items()):
            destination = self.active.by_number.get(number)
            if destination is not None:
                if destination is not sender.destination:
                    sender.configure(destination)
            elif not sender.halted:
                self.spawn(self._drop, sender)
        self._meet()
        self.begin_in_the_past()
        for sender in list(self.senders.values()):
            sender.pump()

    def begin_in_the_past(self) -> None:
        """Destinations of ours that do not begin at the end of the log, and that a route names by now."""
        named = {
            name for route in self.active.routes.values() if route.spec.enabled for name in names_of(route.spec.to)
        }
        for name in named:
            destination = self.active.destinations.get(name)
            if destination and destination.spec.start != "end" and partition_of(destination.number) in self.partitions:
                self.spawn(self.replays.start_of, destination)

    def _meet(self) -> None:
        """Destinations that we have heard of by now get their lanes, from where they were missed on."""
        for number, lane in list(self._unmet.items()):
            destination = self.active.by_number.get(number) or self.active.tombstone_of(number)
            if destination is not None:
                del self._unmet[number]
                sender = self.senders[number] = Sender(self, destination, lane)
                if number not in self.active.by_number:
                    self.spawn(self._drop, sender)

    async def _drop(self, sender: Sender) -> None:
        sender.paused = True  # it sends nothing more, even while the store cannot be told yet
        await settle_all(self, sender, DeliveryState.CANCELED, "destination_deleted")
        if self.has(sender) and sender.lane.committed_offset() is None:
            del self.senders[sender.number]

    # -- what senders ask --------------------------------------------------------------------------------

    def route_of(self, event: Event, destination: int) -> int:
        """Revision of the route that won this event for a destination; 0 when none did."""
        for number, revision in self.log.audiences()[event.audience].wanted:
            if number == destination:
                return revision
        return 0

    async def scan(self, destination: int, after: int, upto: int, limit: int) -> list[int]:
        """Wanted offsets of (after, upto], ascending, at most `limit`."""
        audiences = self.audiences_of(destination)
        if len(audiences) <= _SELECTIVE_LIMIT:
            return [offset for offset, _ in await self.log.scan(after, upto, limit, audiences)] if audiences else []
        wanted = set(audiences)
        found: list[int] = []
        while after < upto and len(found) < limit:
            rows = await self.log.scan(after, upto, 4096)
            found.extend(offset for offset, audience in rows if audience in wanted)
            if len(rows) < 4096:
                break
            after = rows[-1][0]
        return found[:limit]

    def audiences_of(self, destination: int) -> list[int]:
        audiences = self.log.audiences()
        if self._indexed != len(audiences):
            self._wanted = {}
            for audience in audiences.values():
                for number, _ in audience.wanted:
                    self._wanted.setdefault(number, []).append(audience.number)
            self._indexed = len(audiences)
        return self._wanted.get(destination, [])

    def loop_soon(self, function: Callable[..., None], *arguments: Any) -> None:
        asyncio.get_running_loop().call_soon(function, *arguments)

    def spawn(self, work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        task = asyncio.get_running_loop().create_task(retry_until_done(work, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def disable(self, sender: Sender) -> None:
        """The destination answered 410: like a pause, the backlog stays."""
        sender.paused = True
        self.spawn(self._pause_gone, sender.number)

    async def _pause_gone(self, number: int) -> None:
        destination = self.active.by_number.get(number)
        if destination is not None:  # by its number: one of the same name may have been made meanwhile
            await self.pause(destination.name, "gone")

    # -- for the API and maintenance ---------------------------------------------------------------------

    async def states(self, pairs: Sequence[Pair]) -> dict[Pair, DeliveryView]:
        """The state of each (offset, destination) that is a delivery; pairs that are none are missing."""
        return await delivery_states(self, pairs)

    async def retry(self, offset: int, destination: int) -> None:
        await self.commands.retry(offset, destination)

    async def cancel(self, offset: int, destination: int) -> None:
        await self.commands.cancel(offset, destination)

    async def test(self, name: str) -> Attempt:
        return await self.commands.test(name)

    async def replay(self, query: ReplayQuery) -> Replay:
        return await self.replays.create(query)

    async def expire(self, upto: int, cause: str = "expired") -> None:
        """Settle as exhausted whatever our lanes still owe up to an offset: retention, before it trims."""
        for sender in list(self.senders.values()):
            await settle_all(self, sender, DeliveryState.EXHAUSTED, cause, upto)

    async def give_up(self) -> None:
        """Settle as expired what waited longer than `give_up_after` at destinations whose circuit is open."""
        now = self.clock.now_us()
        for sender in list(self.senders.values()):
            if sender.circuit.state == "closed" or sender.paused:
                continue
            limit = int(units.seconds(sender.destination.spec.give_up_after) * 1e6)
            first_kept = await self.log.offset_at(now - limit)
            upto = self.log.published_offset if first_kept is None else first_kept - 1
            await settle_all(self, sender, DeliveryState.EXHAUSTED, "expired", upto)

    async def owed_from(self) -> int:
        """The lowest offset that a lane of any node may still owe."""
        if self.settler.dirty:
            await self.settler.flush()
        standing = await self.store.deliveries.load()
        positions = [lane.committed_offset for lane in standing.lanes if lane.committed_offset is not None]
        return min([*positions, *standing.high_water_marks.values()]) + 1

    def health(self, destination: int) -> SenderHealth:
        """Of our own senders as it is, of another node's as it told a second ago."""
        sender = self.senders.get(destination)
        if sender is not None:
            return sender.health()
        return self._board.of(destination) or SenderHealth("closed", 0, 0, 0, None, "", 0.0)
