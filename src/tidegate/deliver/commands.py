"""Commands on deliveries: retry, cancel, and reopening for a replay, on whichever node holds the delivery.

Owns where a command runs and what it changes. A lane belongs to the node that holds its partition, so a command for
another node's lane travels there as a call, and its reply (or its error) travels back. May not know the engine.
Invariants: a command may come twice (a retry of what is pending changes nothing, a cancel of what is canceled is
rejected); it reads before it acts, so it holds the lock of the backlog and reserves its deliveries meanwhile. Crash: a
command that was answered is durable; one that was not may have been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import msgspec

from tidegate.core.errors import Conflict, NotFound, StoreBusy
from tidegate.core.model import Deferred, DeferredState, DeliveryState, DeliveryView
from tidegate.deliver.calls import Cancel, Command, Reopen, Reopened, Retry, TestSent, takes
from tidegate.deliver.key_queues import ordering_key
from tidegate.deliver.ports import Ports
from tidegate.deliver.sender import Sender
from tidegate.deliver.senders import Senders
from tidegate.deliver.status import delivery_states
from tidegate.store import partition_of

RETRY_SECONDS = 3.0  # how long a retry waits for its attempt; less than a node waits for another node's reply
_LOOK_SECONDS = 0.02
OPEN_LIMIT = 256  # rows of replays that a sender may have open before their job waits


class Commands:
    """The commands of one engine. `retry`, `cancel` and `reopen` run anywhere; `run_here` needs the partition."""

    def __init__(self, ports: Ports, senders: Senders) -> None:
        self._ports = ports
        self._senders = senders

    # -- here or elsewhere -------------------------------------------------------------------------------

    async def retry(self, offset: int, destination: int) -> None:
        """Make another attempt now, past the circuit breaker, a hold and the concurrency. Returns when it has ended.

        A settled delivery is reopened; one that is in flight is left alone. After RETRY_SECONDS the attempt goes on
        without the caller. Conflict when the delivery waits behind an earlier one of its key.
        """
        await self._at_holder(Retry(offset, destination))

    async def cancel(self, offset: int, destination: int) -> None:
        """Give up a pending delivery. Conflict when it is settled or in flight."""
        await self._at_holder(Cancel(offset, destination))

    async def test_sent(self, destination: int, success: bool) -> None:
        """Let the destination's sender know how a test send ended."""
        await self._at_holder(TestSent(destination, success))

    async def reopen(self, call: Reopen) -> Reopened:
        """Make deliveries of one destination pending again, as many as its sender has room for."""
        return msgspec.json.decode(await self._at_holder(call), type=Reopened)

    async def _at_holder(self, command: Command) -> bytes:
        if self._ports.held.has_destination(command.destination):
            return await self._run(command)
        return await self._ports.ask(partition_of(command.destination), msgspec.json.encode(command))

    async def run_here(self, command: Command) -> bytes:
        """Run a command of another node. StoreBusy while its partition is not held here (yet)."""
        if not self._ports.held.has_destination(command.destination):
            raise _changing_nodes()
        return await self._run(command)

    async def _run(self, command: Command) -> bytes:
        if isinstance(command, Retry):
            await self._retry(command.offset, command.destination)
        elif isinstance(command, Cancel):
            await self._cancel(command.offset, command.destination)
        elif isinstance(command, TestSent):
            sender = self._senders.by_number.get(command.destination)
            if sender is not None:  # without one, there is nothing to half-open
                sender.test_sent(command.success)
        else:
            return msgspec.json.encode(await self._reopen_some(command))
        return b""

    # -- what they share ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def _reserved(self, sender: Sender, offsets: Collection[int]) -> AsyncIterator[None]:
        """None of these deliveries starts meanwhile: what is read of them is true until it is acted on."""
        async with sender.backlog.lock:
            self._check_held(sender)
            sender.backlog.reserved = offsets
            try:
                yield
            finally:
                sender.backlog.reserved = ()
                sender.pump()

    def _check_held(self, sender: Sender) -> None:
        """StoreBusy when the sender's partition went to another node during an await: the command must run there."""
        if not self._senders.has(sender):
            raise _changing_nodes()

    async def _view(self, offset: int, destination: int) -> DeliveryView:
        pair = (offset, destination)
        view = (await delivery_states(self._ports, self._senders, [pair])).get(pair)
        if view is None:
            raise NotFound(f"event {offset} is not owed to destination {destination}")
        return view

    async def _sender(self, offset: int, destination: int) -> Sender:
        """The sender of a delivery. NotFound without such a delivery, Conflict when its destination was deleted."""
        active = self._ports.active.by_number.get(destination)
        if active is None:
            await self._view(offset, destination)
            raise Conflict(
                "the destination of this delivery was deleted", hint="replay the event to another destination"
            )
        return self._senders.sender_of(active)

    async def _row(self, sender: Sender, offset: int) -> Deferred | None:
        """The row of a deferred delivery that may not be in memory; None when it has none."""
        known = sender.backlog.deferred.known.get(offset)
        if known is not None:
            return known
        await self._ports.settler.flush()
        rows = await self._ports.deliveries.deferred(offsets=[offset], destination=sender.number)
        return rows[0] if rows else None

    # -- retry and reopen --------------------------------------------------------------------------------

    async def _retry(self, offset: int, destination: int) -> None:
        sender = await self._sender(offset, destination)
        async with self._reserved(sender, (offset,)):
            if offset in sender.flights:
                return
            view = await self._view(offset, destination)
            row = sender.backlog.deferred.known.get(offset)
            if row is None and view.state is not DeliveryState.DELIVERED:
                row = await self._row(sender, offset)
            key = await self._free_key(sender, offset, row) if view.state is DeliveryState.PENDING else ""
            self._check_held(sender)
            if row is None and view.state is DeliveryState.PENDING:
                _leave_lane(sender, offset)
            self._reopen(sender, view, replay="manual", route=row.route if row is not None else 0, key=key)
        await self._attempt_ended(sender, offset)

    async def _free_key(self, sender: Sender, offset: int, row: Deferred | None) -> str:
        """The key of a pending delivery. Conflict when an earlier delivery of the key is unsettled."""
        if row is not None:
            if row.state is DeferredState.BLOCKED:
                raise _behind(row.key)
            return row.key
        ordered_by = sender.destination.spec.ordered_by
        if not ordered_by:
            return ""
        events = await self._ports.log.read([offset])
        key = ordering_key(events[0], ordered_by) if events else ""
        if key and key in sender.backlog.key_queues:
            raise _behind(key)
        return key

    async def _attempt_ended(self, sender: Sender, offset: int) -> None:
        """Wait for the attempt of a retry. A paused destination makes none until it is resumed."""
        clock = self._ports.clock
        deadline = clock.monotonic() + RETRY_SECONDS
        while clock.monotonic() < deadline and not sender.paused:
            if offset not in sender.flights and offset not in sender.backlog.deferred.manual:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _reopen_some(self, call: Reopen) -> Reopened:
        ports = self._ports
        active = ports.active.by_number.get(call.destination)
        if active is None:
            return Reopened(len(call.items), 0)
        sender = self._senders.sender_of(active)
        async with self._reserved(sender, {offset for offset, _ in call.items}):
            items = call.items[: max(0, OPEN_LIMIT - len(sender.backlog.deferred))]
            heads = await ports.log.heads([offset for offset, _ in items]) if items else []
            audience_of = {head.offset: head.audience for head in heads}
            pairs = [(offset, call.destination) for offset in audience_of]
            views = await delivery_states(ports, self._senders, pairs, audience_of) if pairs else {}
            self._check_held(sender)
            reopened = 0
            for offset, revision in items:
                view = views.get((offset, call.destination))
                if view is not None and view.state is DeliveryState.PENDING and takes(view, call.state):
                    reopened += await self._due_now(sender, offset)
                elif offset in audience_of and takes(view, call.state):
                    self._reopen_one(sender, offset, audience_of[offset], revision, view, call.job)
                    reopened += 1
        if reopened:
            await ports.settler.flush()  # the job's committed offset moves only after this
        return Reopened(len(items), reopened)

    async def _due_now(self, sender: Sender, offset: int) -> bool:
        """A pending delivery that waits for a retry is due now. False: it waits for its turn or behind its key."""
        row = None if sender.lane.is_open(offset) else await self._row(sender, offset)
        self._check_held(sender)
        if row is None or row.state is not DeferredState.PENDING or offset in sender.flights:
            return False
        sender.backlog.reopen(msgspec.structs.replace(row, due_at_us=self._ports.clock.now_us()))
        return True

    def _reopen_one(
        self, sender: Sender, offset: int, audience: int, revision: int, view: DeliveryView | None, job: str
    ) -> None:
        """Reopen one delivery for a replay. `view`: None when the destination was never owed it."""
        adopted = ""
        if view is None:
            filtered = self._ports.log.audiences()[audience].filtered
            adopted = "filtered" if sender.number in filtered else "new"
            view = DeliveryView(offset, sender.number, DeliveryState.DELIVERED, "", (), None, None, 0)
        self._reopen(sender, view, replay=job, route=revision, adopted=adopted)

    def _reopen(
        self, sender: Sender, view: DeliveryView, *, replay: str, route: int, adopted: str = "", key: str = ""
    ) -> None:
        """Make a delivery PENDING and due now, and change the counters with it.

        `adopted`: it is new to the counters. `key`: it is the unsettled delivery of this key.
        """
        lane = sender.lane
        if view.state is DeliveryState.DELIVERED and not adopted:
            lane.delivered -= 1
        elif view.state is DeliveryState.EXHAUSTED:
            lane.exhausted -= 1
        elif view.state is DeliveryState.CANCELED:
            lane.canceled -= 1
        if adopted:
            lane.adopted += 1
            lane.adopted_filtered += adopted == "filtered"
        now_us = self._ports.clock.now_us()
        tried = len(view.attempts)
        one = Deferred(
            sender.number, view.offset, DeferredState.PENDING, now_us, tried, "replay", key, tried, route, replay
        )
        if replay == "manual":
            sender.backlog.retry_now(one)
        else:
            sender.backlog.reopen(one)

    # -- cancel ------------------------------------------------------------------------------------------

    async def _cancel(self, offset: int, destination: int) -> None:
        sender = await self._sender(offset, destination)
        async with self._reserved(sender, (offset,)):
            if offset in sender.flights:
                raise _not_pending(DeliveryState.SENDING)
            view = await self._view(offset, destination)
            if view.state is not DeliveryState.PENDING:
                raise _not_pending(view.state)
            row = None
            if not sender.lane.is_open(offset):
                row = await self._row(sender, offset)
                if row is None:
                    raise _not_pending(DeliveryState.SENDING)
            self._check_held(sender)
            self._settle_canceled(sender, offset, row)
        await self._ports.settler.flush()

    def _settle_canceled(self, sender: Sender, offset: int, row: Deferred | None) -> None:
        """`row`: None when the delivery is in the lane."""
        backlog, lane = sender.backlog, sender.lane
        if row is not None:
            backlog.deferred.remove(offset)
        else:
            _leave_lane(sender, offset)
        lane.canceled += 1
        attempts, key = (row.attempts, row.key) if row is not None else (0, "")
        backlog.put(Deferred(sender.number, offset, DeferredState.CANCELED, 0, attempts, "operator", key))
        if row is not None and key:
            backlog.release_key(row)


def _changing_nodes() -> StoreBusy:
    return StoreBusy("this partition is moving to another node; try again", retry_after_seconds=1)


def _leave_lane(sender: Sender, offset: int) -> None:
    """A pending delivery of the lane becomes a row."""
    if offset in sender.lane.open:
        sender.lane.finish(offset)
    else:
        sender.lane.settle_unread(offset)


def _behind(key: str) -> Conflict:
    return Conflict(
        f"the delivery waits behind an earlier one with the key {key!r}",
        hint="retry or cancel the earlier one: deliveries of a key go out in order",
        code="behind_key",
    )


def _not_pending(state: DeliveryState) -> Conflict:
    return Conflict(
        f"the delivery is {state.value}, so there is nothing to cancel",
        hint="only pending deliveries can be canceled",
        code="not_pending",
    )
