"""Bulk settlements: every delivery that is owed to a destination up to an offset, exhausted or canceled together.

Owns when that happens (a destination is deleted, retention deletes events, `give_up_after` has passed) and its order:
first the deferred deliveries, row by row, then one range over what the lane did not reach, counted from the log. May
not know the engine. Invariant: the backlog is suspended meanwhile, so nothing is settled twice. Crash in between: what
is durable stays settled, and the next call does the rest.
"""

from __future__ import annotations

import msgspec

from tidegate.core import units
from tidegate.core.errors import TidegateError
from tidegate.core.model import DeferredState, DeliveryState, RangeSettlement
from tidegate.deliver.load_deferred import OPEN
from tidegate.deliver.ports import Ports
from tidegate.deliver.sender import Sender
from tidegate.deliver.senders import Senders

_SLICE = 512


class BulkSettlement:
    """`settle` and the three reasons for it, on one node's senders."""

    def __init__(self, ports: Ports, senders: Senders) -> None:
        self._ports = ports
        self._senders = senders

    # -- reasons -----------------------------------------------------------------------------------------

    async def settle_deleted(self, sender: Sender) -> None:
        """The destination was deleted: cancel its backlog, then forget its sender."""
        sender.paused = True  # nothing more is sent, even while the store is unavailable
        await self.settle(sender, DeliveryState.CANCELED, "destination_deleted")
        if self._senders.has(sender) and sender.lane.committed_offset() is None:
            del self._senders.by_number[sender.number]

    async def expire(self, upto: int, cause: str = "expired") -> None:
        """Settle as exhausted what the lanes here owe up to an offset, before retention deletes those events."""
        for sender in list(self._senders.by_number.values()):
            await self.settle(sender, DeliveryState.EXHAUSTED, cause, upto)

    async def give_up(self) -> None:
        """Settle as exhausted what waited longer than `give_up_after` at destinations with an open circuit breaker."""
        now_us = self._ports.clock.now_us()
        for sender in list(self._senders.by_number.values()):
            if sender.limits.closed or sender.paused:
                continue
            limit_us = int(units.seconds(sender.destination.spec.give_up_after) * 1e6)
            first_kept = await self._ports.log.offset_at(now_us - limit_us)
            upto = self._ports.log.published_offset if first_kept is None else first_kept - 1
            await self.settle(sender, DeliveryState.EXHAUSTED, "expired", upto)

    # -- settling ----------------------------------------------------------------------------------------

    async def settle(self, sender: Sender, state: DeliveryState, cause: str, upto: int | None = None) -> int:
        """Settle everything open up to `upto` (None: all); returns how many. Requests in flight are cut off.

        Raises what the store raises: what is settled by then stays so, and the rest goes on as before.
        """
        backlog, settler = sender.backlog, self._ports.settler
        async with backlog.lock:
            published = self._ports.log.published_offset
            bound = published if upto is None else min(upto, published)
            if not self._senders.has(sender) or not _owes(sender, bound):
                return 0
            backlog.suspended = True
            cut = sender.cut(bound)
            try:
                await settler.flush()
                count = await self._deferred(sender, state, cause, bound)
                count += await self._range(sender, state, cause, bound)
                for flight in cut:
                    if flight.key and flight.deferred is None:  # it had no row whose end would let the next one go
                        backlog.key_settled(flight.key)
                await settler.flush()
            except TidegateError:
                backlog.put_back(cut)
                raise
            finally:
                backlog.suspended = not self._senders.has(sender)  # its partition may have left meanwhile
                sender.pump()
        return count

    async def _deferred(self, sender: Sender, state: DeliveryState, cause: str, bound: int) -> int:
        to = DeferredState.EXHAUSTED if state is DeliveryState.EXHAUSTED else DeferredState.CANCELED
        backlog = sender.backlog
        count = after = 0
        while True:
            rows = await self._ports.deliveries.deferred(
                destination=sender.number, states=OPEN, after=after, limit=_SLICE
            )
            due = [row for row in rows if row.offset <= bound]
            if not self._senders.has(sender):
                return count
            for row in due:
                backlog.deferred.remove(row.offset)
                self._ports.settler.put(msgspec.structs.replace(row, state=to, cause=cause))
                if row.key:
                    backlog.release_key(row)
            _count(sender, state, len(due))
            count += len(due)
            if due:
                backlog.changed()
                await self._ports.settler.flush()
            if len(rows) < _SLICE or len(due) < len(rows):
                return count
            after = rows[-1].offset

    async def _range(self, sender: Sender, state: DeliveryState, cause: str, bound: int) -> int:
        """What the lane still owes, settled without an await in between: a suspended lane owes what was counted."""
        lane = sender.lane
        committed_offset = lane.committed_offset()
        if committed_offset is None or committed_offset >= bound:
            return 0
        count = await self._count_open(sender, committed_offset, bound)
        if not self._senders.has(sender):
            return 0
        for offset in [offset for offset in lane.open if offset <= bound]:
            lane.finish(offset)
        if not lane.following and lane.read_to < bound:
            lane.read_to = bound
        if count:
            one = RangeSettlement(sender.number, committed_offset, bound, state, cause, self._ports.clock.now_us())
            self._ports.ranges.add(one)
            self._ports.settler.range(one)
            _count(sender, state, count)
        lane.touched = True
        sender.backlog.changed()
        return count

    async def _count_open(self, sender: Sender, after: int, upto: int) -> int:
        count = 0
        while True:
            offsets = await self._ports.wanted.scan(sender.number, after, upto, _SLICE)
            count += sum(map(sender.lane.is_open, offsets))
            if len(offsets) < _SLICE:
                return count
            after = offsets[-1]


def _owes(sender: Sender, bound: int) -> bool:
    """Whether the lane or a row may owe something up to an offset."""
    committed_offset = sender.lane.committed_offset()
    if committed_offset is not None and committed_offset < bound:
        return True
    deferred = sender.backlog.deferred
    return bool(len(deferred) or deferred.overflow or len(sender.backlog.key_queues))


def _count(sender: Sender, state: DeliveryState, count: int) -> None:
    if state is DeliveryState.EXHAUSTED:
        sender.lane.exhausted += count
    else:
        sender.lane.canceled += count
