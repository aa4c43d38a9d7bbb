"""The senders of this node by destination number, and how what the log publishes reaches their lanes.

Owns the table, and the lanes of destinations that the active configuration does not have yet. May not know commands,
replays or bulk settlements. Invariant: every event that is published is offered to the lane of each destination here
that wants it, or that lane lags from it on, before the high-water mark passes it. Crash: the table is built again from
the store when partitions are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tidegate.core.model import Event, Lane
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.ports import Ports
from tidegate.deliver.sender import Sender
from tidegate.runtime import ActiveDestination
from tidegate.store import partition_of


class Senders:
    """`on_deleted` is called with the sender of a destination that was deleted, which must settle its backlog."""

    def __init__(self, ports: Ports, on_deleted: Callable[[Sender], None]) -> None:
        self.by_number: dict[int, Sender] = {}
        self._ports = ports
        self._on_deleted = on_deleted
        self._unknown: dict[int, LaneCursor] = {}  # lanes here of destinations that are not configured yet
        self._stopping = False

    # -- looking up --------------------------------------------------------------------------------------

    def has(self, sender: Sender) -> bool:
        """Whether a sender is (still) in the table: its partition may leave while a caller awaits."""
        return self.by_number.get(sender.number) is sender

    def sender_of(self, destination: ActiveDestination) -> Sender:
        """The sender of a destination whose partition is held here."""
        sender = self.by_number.get(destination.number)
        if sender is None:
            sender = self.new_sender(destination, None, self._ports.held.offered_to)
            self.by_number[destination.number] = sender
        return sender

    def new_sender(self, destination: ActiveDestination, row: Lane | None, high_water_mark: int) -> Sender:
        """A sender that is not in the table yet. `row`: its lane in the store."""
        return self._new_sender(destination, LaneCursor(destination.number, high_water_mark, row))

    def _new_sender(self, destination: ActiveDestination, lane: LaneCursor) -> Sender:
        sender = Sender(self._ports, destination, lane)
        sender.stopping = self._stopping
        return sender

    def configured(self, number: int) -> ActiveDestination | None:
        """A destination as configured, or the tombstone of a deleted one; None when this node knows neither."""
        return self._ports.active.by_number.get(number) or self._ports.active.tombstone_of(number)

    # -- what the log publishes --------------------------------------------------------------------------

    def publish(self, events: Sequence[Event]) -> None:
        """Offer events to the lanes that want them, and send."""
        ports, senders = self._ports, self.by_number
        audiences = ports.log.audiences()
        touched: dict[int, Sender] = {}
        for event in events:
            for number, _ in audiences[event.audience].wanted:
                sender = senders.get(number) or self._first_offer(number, event.offset)
                if sender is not None:
                    sender.backlog.offer(event.offset)
                    touched[number] = sender
        ports.held.offered_to = events[-1].offset
        for sender in touched.values():
            sender.pump()
        if touched:
            ports.settler.due()
        else:
            ports.settler.moved()

    def _first_offer(self, number: int, offset: int) -> Sender | None:
        """The first event for a destination. None: its partition is not held here, or it is not configured yet."""
        if not self._ports.held.has_destination(number):
            return None
        destination = self.configured(number)
        if destination is None:
            self._lag(number, offset)
            return None
        sender = self.sender_of(destination)
        if number not in self._ports.active.by_number:
            self._on_deleted(sender)
        return sender

    def _lag(self, number: int, offset: int) -> None:
        """Another node has just made this destination: its lane lags from here until the configuration has it.

        The row is stored in the settle that moves the mark past the event, so that the next node reads it too.
        """
        lane = self._unknown.setdefault(number, LaneCursor(number, self._ports.held.offered_to))
        if lane.lag_from(offset):
            self._ports.settler.lane(lane)
            self._ports.settler.due()

    # -- changes -----------------------------------------------------------------------------------------

    def settled(self, destinations: Iterable[int]) -> None:
        """After a settle: these windows have room again."""
        for number in destinations:
            sender = self.by_number.get(number)
            if sender is not None and (
                sender.backlog.ready or not sender.lane.following or len(sender.backlog.deferred)
            ):
                sender.pump()

    def configure(self) -> None:
        """The configuration changed: senders take it, and those of deleted destinations settle their backlog."""
        by_number = self._ports.active.by_number
        for number, sender in list(self.by_number.items()):
            destination = by_number.get(number)
            if destination is not None:
                if destination is not sender.destination:
                    sender.configure(destination)
            elif not sender.backlog.suspended:
                self._on_deleted(sender)
        for number, lane in list(self._unknown.items()):
            destination = self.configured(number)
            if destination is not None:
                del self._unknown[number]
                sender = self.by_number[number] = self._new_sender(destination, lane)
                if number not in by_number:
                    self._on_deleted(sender)

    def pump_all(self) -> None:
        for sender in list(self.by_number.values()):
            sender.pump()

    def adopt(self, senders: Mapping[int, Sender], unknown: Mapping[int, LaneCursor]) -> None:
        """Take suspended senders and lanes into the table, and store the lanes that a takeover changed."""
        self.by_number.update(senders)
        self._unknown.update(unknown)
        for lane in (*unknown.values(), *(sender.lane for sender in senders.values())):
            if lane.touched:
                self._ports.settler.lane(lane)

    def remove(self, partitions: frozenset[int]) -> list[Sender]:
        """Take the lanes of partitions out of the table; their senders are suspended."""
        leaving = [number for number in self.by_number if partition_of(number) in partitions]
        senders = [self.by_number.pop(number) for number in leaving]
        for number in [number for number in self._unknown if partition_of(number) in partitions]:
            del self._unknown[number]
        for sender in senders:
            sender.backlog.suspended = True
        return senders

    def drop_all(self) -> None:
        """The lease is gone: cut off everything, settle nothing."""
        self._unknown.clear()
        for sender in self.by_number.values():
            sender.backlog.suspended = True
            sender.abort_all()
        self.by_number.clear()

    def stop(self) -> None:
        """Start no more requests."""
        self._stopping = True
        for sender in self.by_number.values():
            sender.stopping = True
