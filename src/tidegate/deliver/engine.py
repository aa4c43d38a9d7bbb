"""The deliver engine: composes its parts, and takes and leaves partitions with them.

Owns the life of the parts and the order of a takeover and a leave. Knows the store, the active configuration and the
transport; may not know another engine. Invariants: partitions come by `take` and go by `leave`, which lets requests in
flight end, settles everything and leaves the rest to the node that takes them next; after `lost` nothing is written,
and what was in flight is sent again elsewhere with the same id and attempt number. Crash: as `lost`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from tidegate.core.clock import Clock
from tidegate.core.findings import Findings
from tidegate.core.model import Attempt, DeliveryView, Event, Outcome
from tidegate.deliver.background import BackgroundTasks
from tidegate.deliver.bulk import BulkSettlement
from tidegate.deliver.calls import DECODER, ReplayCanceled, ReplayCreated
from tidegate.deliver.commands import Commands
from tidegate.deliver.edit import Edit, send_edited
from tidegate.deliver.health import SenderHealth
from tidegate.deliver.held_partitions import HeldPartitions
from tidegate.deliver.peer_status import PeerStatus
from tidegate.deliver.ports import Ask, Pause, Ports, Transport
from tidegate.deliver.ranges import BulkRanges
from tidegate.deliver.replay import Replays
from tidegate.deliver.replay_query import ReplayQuery
from tidegate.deliver.sender import Sender
from tidegate.deliver.senders import Senders
from tidegate.deliver.settler import Settler
from tidegate.deliver.status import Pair, delivery_states
from tidegate.deliver.takeover import Takeover
from tidegate.deliver.try_destination import send_test
from tidegate.deliver.wanted import WantedIndex
from tidegate.outbound.credentials import Credentials
from tidegate.runtime import ActiveConfiguration
from tidegate.store import Replay, Store

STOP_SECONDS = 10.0  # what is in flight at a stop gets 10 s at most
LEAVE_SECONDS = 2.0  # what is in flight when a partition goes to another node, which waits for it


async def _cannot_pause(destination: str, reason: str) -> None:
    """What `DeliverEngine.pause` is until the gateway sets it."""


class DeliverEngine:
    """The senders of this node, and what other parts of the process ask of them."""

    name = "deliver"

    def __init__(
        self,
        store: Store,
        active: ActiveConfiguration,
        transports: Mapping[str, Transport],
        clock: Clock,
        ask: Ask | None = None,
        findings: Findings | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """`ask(partition, call)` reaches the node that holds a partition, and returns what `handle` returns there.

        Set `pause` before `start`: the engine reads the configuration, and something else changes it.
        """
        self.pause: Pause = _cannot_pause
        held = HeldPartitions()
        self.settler = Settler(store.deliveries, held.high_water_mark, lambda: store.leases.fence)
        self.ports = Ports(
            log=store.log,
            deliveries=store.deliveries,
            settings=store.settings,
            active=active,
            pause=self._pause_destination,
            transports=transports,
            clock=clock,
            ask=ask or store.leases.ask,
            findings=findings or Findings(clock),
            held=held,
            settler=self.settler,
            wanted=WantedIndex(store.log),
            ranges=BulkRanges(),
            background=BackgroundTasks(),
            credentials=credentials or Credentials(),
        )
        self._senders = Senders(self.ports, self._settle_deleted)
        self._bulk = BulkSettlement(self.ports, self._senders)
        self.commands = Commands(self.ports, self._senders)
        self.replays = Replays(self.ports, self._senders, self.commands)
        self._peers = PeerStatus(store.leases, self._health_of_all)
        self.settler.after = self._senders.settled
        self.settler.fenced = self.lost

    @property
    def senders(self) -> Mapping[int, Sender]:
        """By destination number."""
        return self._senders.by_number

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Follow the log. Nothing is sent before partitions are taken."""
        self.ports.held.offered_to = self.ports.log.subscribe(self._published)
        self.ports.active.on_change(self._configured)
        self.ports.background.spawn(self._peers.run)

    async def take(self, partitions: frozenset[int]) -> None:
        """Take over the lanes of `partitions`; returns when each one follows or lags. Fenced: nothing was taken."""
        takeover = Takeover(self.ports, self._senders, partitions)
        await takeover.run()
        # No await from here to the flush: what is published from now on is offered to these senders.
        self.ports.held.take(partitions)
        self._senders.adopt(takeover.senders, takeover.unknown)
        self.settler.taken(partitions)
        self.settler.due()
        await self.settler.flush()
        # The partitions are taken for good: nothing may raise from here on.
        for sender in takeover.senders.values():
            sender.backlog.suspended = False
        self._configured()
        self.ports.background.spawn(self.replays.take, partitions)

    async def leave(self, partitions: frozenset[int], seconds: float = LEAVE_SECONDS) -> None:
        """Offer `partitions` nothing more, let what is in flight end, cut off the rest (not an attempt), settle."""
        await self.replays.leave(partitions)
        leaving = self._senders.remove(partitions)
        high_water_mark = self.ports.held.leave(partitions)
        self.settler.left([(partition, high_water_mark) for partition in partitions])
        clock = self.ports.clock
        deadline = clock.monotonic() + seconds
        while any(s.flights for s in leaving) and clock.monotonic() < deadline:  # noqa: ASYNC110 - callbacks end them
            await asyncio.sleep(0.02)
        for sender in leaving:
            sender.abort_all()
        await self.settler.flush()

    def lost(self) -> None:
        """The lease is gone: drop everything, write nothing."""
        self.ports.held.lose_all()
        self._senders.drop_all()
        self.settler.forget()
        self.replays.lost()

    async def stop(self) -> None:
        """Leave everything; what is in flight gets STOP_SECONDS at most."""
        self._senders.stop()
        await asyncio.wait_for(self.leave(self.ports.held.numbers, STOP_SECONDS), STOP_SECONDS + 5)
        self.ports.log.unsubscribe(self._published)
        self.ports.background.cancel()

    # -- callbacks ---------------------------------------------------------------------------------------

    def _published(self, events: Sequence[Event]) -> None:
        self._senders.publish(events)

    def _configured(self) -> None:
        self._senders.configure()
        self.replays.start_from_past()
        self._senders.pump_all()

    async def _pause_destination(self, destination: str, reason: str) -> None:
        await self.pause(destination, reason)

    def _settle_deleted(self, sender: Sender) -> None:
        self.ports.background.spawn(self._bulk.settle_deleted, sender)

    def _health_of_all(self) -> Mapping[int, SenderHealth]:
        return {number: sender.health() for number, sender in self.senders.items()}

    # -- for the API, retention and other nodes ----------------------------------------------------------

    async def handle(self, call: bytes) -> bytes:
        """Do what another node asks. StoreBusy while the partition is not held here (yet)."""
        wanted = DECODER.decode(call)
        if isinstance(wanted, ReplayCreated):
            await self.replays.take_job(wanted.job)
            return b""
        if isinstance(wanted, ReplayCanceled):
            await self.replays.cancel_here(wanted.job)
            return b""
        return await self.commands.run_here(wanted)

    async def states(
        self, pairs: Sequence[Pair], audience_of: Mapping[int, int] | None = None
    ) -> dict[Pair, DeliveryView]:
        """The state of each (offset, destination); a pair that is not a delivery is missing.

        `audience_of`: audience numbers by offset, for a caller that has read the events.
        """
        return await delivery_states(self.ports, self._senders, pairs, audience_of)

    async def retry(self, offset: int, destination: int) -> None:
        """See `Commands.retry`."""
        await self.commands.retry(offset, destination)

    async def cancel(self, offset: int, destination: int) -> None:
        """See `Commands.cancel`."""
        await self.commands.cancel(offset, destination)

    async def test(self, name: str) -> Attempt:
        """Send a test event to a destination; returns the attempt, which is not stored. NotFound.

        A success half-opens the circuit breaker of the destination.
        """
        attempt = await send_test(self.ports, name)
        await self.commands.test_sent(attempt.destination, attempt.outcome is Outcome.OK)
        return attempt

    async def replay(self, query: ReplayQuery) -> Replay:
        """See `Replays.create`."""
        return await self.replays.create(query)

    async def cancel_replay(self, job_id: str) -> Replay:
        """See `Replays.cancel`."""
        return await self.replays.cancel(job_id)

    async def send_edited(self, event_id: str, destination: str, edit: Edit) -> tuple[int, int]:
        """See `edit.send_edited`."""
        return await send_edited(self.ports, event_id, destination, edit)

    async def expire(self, upto: int, cause: str = "expired") -> None:
        """See `BulkSettlement.expire`."""
        await self._bulk.expire(upto, cause)

    async def give_up(self) -> None:
        """See `BulkSettlement.give_up`."""
        await self._bulk.give_up()

    async def owed_from(self) -> int:
        """The lowest offset that a lane of any node may still owe."""
        if self.settler.dirty:
            await self.settler.flush()
        standing = await self.ports.deliveries.load()
        committed = [lane.committed_offset for lane in standing.lanes if lane.committed_offset is not None]
        return min([*committed, *standing.high_water_marks.values()]) + 1

    def health(self, destination: int) -> SenderHealth:
        """Of a sender here as it is now, of another node's as that node published it about a second ago."""
        sender = self.senders.get(destination)
        if sender is not None:
            return sender.health()
        return self._peers.of(destination) or SenderHealth("closed", 0, 0, 0, None, "", 0.0)
