"""The deliver engine: senders by destination, fed by what the log tells, settled together.

Owns the senders and the operator's verbs (retry, cancel, test, replay, bulk settlements). Knows the store, the
configuration in force and the POST client; no other door. At start it takes positions and exceptions from the
store and reads the log from the mark on; at stop it lets what is in flight end, settles, and leaves the rest to the
next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from tidegate import ids, units
from tidegate.clock import Clock
from tidegate.deliver.bulk import settle_all
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.outgoing import Outgoing
from tidegate.deliver.replays import ReplayQuery, Replays
from tidegate.deliver.sender import FAR_US, Sender, SenderHealth
from tidegate.deliver.settler import Settler
from tidegate.deliver.states import delivery_states
from tidegate.errors import Conflict, NotFound
from tidegate.live import Live, LiveDestination
from tidegate.model import (
    Attempt,
    DeliveryState,
    DeliveryView,
    Event,
    Exceptional,
    ExceptionState,
    Lane,
    Origin,
    Outcome,
    RangeSettlement,
)
from tidegate.store import Replay, Store

_SELECTIVE_LIMIT = 200  # audiences of one destination up to which its lane reads by index instead of scanning
_SLICE = 256
Pair = tuple[int, int]


class Post(Protocol):
    """What the engine needs of outbound.post.PostClient."""

    def send(
        self, target: Any, head: bytes, body: bytes, timeout_seconds: float, done: Callable[[Any], None]
    ) -> Any: ...


class DeliverEngine:
    """All senders of this process."""

    def __init__(self, store: Store, live: Live, post: Post, clock: Clock) -> None:
        self.store = store
        self.log = store.log
        self.live = live
        self.post = post
        self.clock = clock
        self.stopping = False
        self.grace_seconds = 10.0  # contract: what is in flight gets 10 s at most
        self.settler = Settler(store.deliveries, lambda: self._mark)
        self.settler.after = self._after_settle
        self.senders: dict[int, Sender] = {}
        self.ranges: list[RangeSettlement] = []
        self._rows: dict[int, Lane] = {}
        self._mark = 0
        self._wanted: dict[int, list[int]] = {}  # destination -> audiences that want it
        self._indexed = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._replays = Replays(self)

    # -- start and stop ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up positions, exceptions and unfinished replays; returns when every lane is fed or lagging."""
        standing = await self.store.deliveries.load()
        self._mark, lanes = min(standing.marks.values()), standing.lanes
        self._rows = {lane.destination: lane for lane in lanes}
        self.ranges = list(await self.store.deliveries.ranges())
        for lane in lanes:
            destination = self.live.by_number.get(lane.destination)
            if destination is not None:
                await self._take_up(self.sender_of(destination))
        await self._catch_up()
        self.log.listen(self._told)
        self.live.on_change(self._configured)
        self._configured()
        await self._replays.start()

    async def _take_up(self, sender: Sender) -> None:
        ordered = bool(sender.destination.spec.ordered_by)
        if not ordered:
            rows = await self.store.deliveries.exceptions(destination=sender.number, due_before_us=FAR_US, limit=1024)
            sender.waiting.overflow = len(rows) == 1024
            sender.adopt(rows)
            return
        after = 0
        while True:
            rows = await self.store.deliveries.exceptions(
                destination=sender.number,
                states=(ExceptionState.PENDING, ExceptionState.PARKED),
                after=after,
                limit=1024,
            )
            sender.adopt(rows)
            if len(rows) < 1024:
                return
            after = rows[-1].offset

    async def _catch_up(self) -> None:
        """Offer what lies between the mark and the head to the lanes that stand at the mark: one read for all."""
        while self._mark < self.log.told:
            rows = await self.log.scan(self._mark, self.log.told, 4096)
            self._offer(rows)
            self._mark = rows[-1][0] if len(rows) == 4096 else self.log.told
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Let what is in flight end, at most `grace_seconds`; cut the rest (no attempt); settle."""
        self.stopping = True
        await self._replays.stop()
        deadline = self.clock.monotonic() + self.grace_seconds
        while any(sender.flights for sender in self.senders.values()) and self.clock.monotonic() < deadline:  # noqa: ASYNC110 - flights end one by one, by callbacks
            await asyncio.sleep(0.02)
        for sender in self.senders.values():
            sender.abort_all()
        for task in list(self._tasks):
            task.cancel()
        if self.settler.dirty:
            await asyncio.wait_for(self.settler.flush(), 5)

    # -- being told --------------------------------------------------------------------------------------

    def _told(self, events: Sequence[Event]) -> None:
        audiences = self.log.audiences()
        touched: dict[int, Sender] = {}
        senders = self.senders
        for event in events:
            for number, _ in audiences[event.audience].wanted:
                sender = senders.get(number) or self._new_sender(number)
                if sender is not None:
                    sender.offer(event.offset)
                    touched[number] = sender
        self._mark = events[-1].offset
        for sender in touched.values():
            sender.pump()
        if touched:
            self.settler.due()
        else:
            self.settler.moved()

    def _offer(self, rows: Iterable[Pair]) -> None:
        audiences = self.log.audiences()
        for offset, audience in rows:
            for number, _ in audiences[audience].wanted:
                sender = self.senders.get(number) or self._new_sender(number)
                if sender is not None:
                    sender.offer(offset)

    def _new_sender(self, number: int) -> Sender | None:
        destination = self.live.by_number.get(number)
        return self.sender_of(destination) if destination is not None else None

    def sender_of(self, destination: LiveDestination) -> Sender:
        sender = self.senders.get(destination.number)
        if sender is None:
            row = self._rows.get(destination.number)
            sender = Sender(self, destination, LaneCursor(destination.number, self._mark, row))
            self.senders[destination.number] = sender
        return sender

    def _after_settle(self, destinations: Iterable[int]) -> None:
        """Windows have room again."""
        for number in destinations:
            sender = self.senders.get(number)
            if sender is not None and (sender.ready or not sender.lane.live or sender.waiting):
                sender.pump()

    def _configured(self) -> None:
        """The configuration changed: senders take it; destinations that were deleted settle what they owe."""
        for number, sender in list(self.senders.items()):
            destination = self.live.by_number.get(number)
            if destination is not None:
                if destination is not sender.destination:
                    sender.configure(destination)
            elif not sender.halted:
                self.spawn(self._drop(sender))
        for destination in self.live.destinations.values():
            if destination.number not in self.senders and destination.spec.start != "end":
                self.spawn(self._replays.start_of(destination))
        for sender in self.senders.values():
            sender.pump()

    async def _drop(self, sender: Sender) -> None:
        await settle_all(self, sender, DeliveryState.CANCELLED, "destination_deleted")

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

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def disable(self, name: str) -> None:
        """The destination answered 410: like a pause, the backlog stays."""
        sender = next((s for s in self.senders.values() if s.destination.name == name), None)
        if sender is not None:
            sender.paused = True
        self.spawn(self.live.pause(name, "gone"))

    # -- the operator's verbs ----------------------------------------------------------------------------

    async def states(self, pairs: Sequence[Pair]) -> dict[Pair, DeliveryView]:
        """The state of each (offset, destination) that is a delivery; pairs that are none are missing."""
        return await delivery_states(self, pairs)

    async def _one(self, offset: int, destination: int) -> DeliveryView:
        view = (await self.states([(offset, destination)])).get((offset, destination))
        if view is None:
            raise NotFound(f"event {offset} is not owed to destination {destination}")
        return view

    async def retry(self, offset: int, destination: int) -> None:
        """Another attempt now. A settled delivery is reopened; one that is in flight is left alone."""
        view = await self._one(offset, destination)
        sender = self._owner(destination)
        if view.state is DeliveryState.SENDING or (view.state is DeliveryState.PENDING and not view.attempts):
            return
        await self.reopen(sender, view, replay="manual", route=0)
        sender.pump()

    async def reopen(self, sender: Sender, view: DeliveryView, *, replay: str, route: int, adopted: str = "") -> None:
        """Make a delivery PENDING and due now, and move the counters with it. `adopted`: it is new to the books."""
        lane = sender.lane
        if view.state is DeliveryState.DELIVERED and not adopted:
            lane.delivered -= 1
        elif view.state is DeliveryState.EXHAUSTED:
            lane.exhausted -= 1
        elif view.state is DeliveryState.CANCELLED:
            lane.cancelled -= 1
        if adopted:
            lane.adopted += 1
            lane.adopted_filtered += adopted == "filtered"
        known = sender.waiting.known.get(view.offset)
        key = known.key if known is not None else ""
        sender.reopen(
            Exceptional(
                sender.number, view.offset, ExceptionState.PENDING, self.clock.now_us(), len(view.attempts), "replay",
                key, len(view.attempts), route, replay,
            )
        )  # fmt: skip

    def _owner(self, destination: int) -> Sender:
        live = self.live.by_number.get(destination)
        if live is None:
            raise Conflict(
                "the destination of this delivery was deleted", hint="replay the event to another destination"
            )
        return self.sender_of(live)

    async def cancel(self, offset: int, destination: int) -> None:
        """Give a pending delivery up. Conflict when it is settled or in flight."""
        view = await self._one(offset, destination)
        sender = self._owner(destination)
        if view.state is not DeliveryState.PENDING or offset in sender.flights:
            raise Conflict(
                f"the delivery is {view.state.value}, so there is nothing to cancel",
                hint="only pending deliveries can be cancelled",
                code="not_pending",
            )
        known = sender.waiting.remove(offset)
        if known is None:
            rows = await self.store.deliveries.exceptions(offsets=[offset], destination=destination)
            known = rows[0] if rows else None
        lane = sender.lane
        if known is None and offset in lane.open:
            lane.finish(offset)
        elif known is None:
            lane.pass_over(offset)
        lane.cancelled += 1
        attempts, key = (known.attempts, known.key) if known is not None else (0, "")
        self.settler.put(Exceptional(destination, offset, ExceptionState.CANCELLED, 0, attempts, "operator", key))
        if known is not None and key:
            sender.release_key(known)
        self.settler.lane(lane)
        self.settler.due()
        await self.settler.flush()

    async def test(self, name: str) -> Attempt:
        """Send one signed test event, outside the log and the books; returns what came of it."""
        destination = self.live.destinations.get(name)
        if destination is None:
            raise NotFound(f"there is no destination {name!r}")
        now_us = self.clock.now_us()
        event = Event(
            0, "tidegate", "tidegate.test", Origin.PUBLISH, now_us, 0,
            msgspec.json.encode({"note": "a test sent from Tidegate", "destination": name}), "application/json",
        )  # fmt: skip
        outgoing = Outgoing(destination, self.live, self.log.instance)
        event_id = ids.new_id("tst", now_us)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            head, body = outgoing.request(event, event_id, 0, 1, now_us // 1_000_000)
        except Exception as error:  # noqa: BLE001 - a user's text may raise anything: shown as the outcome
            return Attempt(0, destination.number, 1, Outcome.RENDER, now_us, 0, error=str(error)[:300])
        self.post.send(outgoing.target, head, body, 15.0, lambda result: _set_once(done, result))
        result = await done
        ok = result.status is not None and 200 <= result.status < 300
        return Attempt(
            0, destination.number, 1,
            Outcome.HTTP_ERROR if result.outcome is Outcome.OK and not ok else result.outcome,
            now_us, result.duration_us, result.status, result.error, result.headers, result.body, result.body_bytes,
            outgoing.shown_url, True,
        )  # fmt: skip

    async def replay(self, query: ReplayQuery) -> Replay:
        return await self._replays.create(query)

    async def expire(self, upto: int, cause: str = "expired") -> None:
        """Settle as exhausted whatever is still owed up to an offset: retention, before it trims."""
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
            await settle_all(
                self,
                sender,
                DeliveryState.EXHAUSTED,
                "expired",
                self.log.told if first_kept is None else first_kept - 1,
            )

    def owed_from(self) -> int:
        """The lowest offset that a lane still owes; the head + 1 when nothing is owed."""
        lowest = self.log.told + 1
        for sender in self.senders.values():
            position = sender.lane.position()
            if position is not None:
                lowest = min(lowest, position + 1)
        return lowest

    def health(self, destination: int) -> SenderHealth:
        sender = self.senders.get(destination)
        if sender is None:
            return SenderHealth("closed", 0, 0, 0, None, "", 0.0)
        return sender.health()


def _set_once(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)
