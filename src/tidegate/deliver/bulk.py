"""Bulk settlements: everything still owed to a destination up to an offset, exhausted or canceled in one row.

Used when a destination is deleted and when retention or `give_up_after` passes what a lane owes. The sender is
halted meanwhile, so that nothing is settled twice: first the deferred deliveries row by row, then one range over what
the lane
did not reach, counted from the log. Crash in between: what was not made durable is done again at the next call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.core.model import DeferredState, DeliveryState, RangeSettlement
from tidegate.deliver.load_deferred import OPEN

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine
    from tidegate.deliver.sender import Sender

_SLICE = 512


async def settle_all(
    engine: DeliverEngine, sender: Sender, state: DeliveryState, cause: str, upto: int | None = None
) -> int:
    """Settle all that is open up to `upto` (None: all there is); returns how many. What is in flight is cut off.

    When the store fails in between, what is settled stays so and the rest goes on as before.
    """
    async with sender.desk:
        bound = engine.log.published_offset if upto is None else min(upto, engine.log.published_offset)
        committed_offset = sender.lane.committed_offset()
        nothing = committed_offset is None or committed_offset >= bound
        if not engine.has(sender) or (nothing and not (sender.waiting or sender.waiting.overflow or len(sender.lines))):
            return 0
        sender.halted = True
        cut = sender.cut(bound)
        try:
            await engine.settler.flush()
            count = await _deferred(engine, sender, state, cause, bound)
            count += await _range(engine, sender, state, cause, bound)
            for flight in cut:
                if flight.key and flight.exception is None:  # the first of its key, without a row that let the next go
                    sender.key_settled(flight.key)
            await engine.settler.flush()
        except TidegateError:
            sender.put_back(cut)
            raise
        finally:
            sender.halted = not engine.has(sender)  # its partition may have left meanwhile
            sender.pump()
    return count


async def _deferred(engine: DeliverEngine, sender: Sender, state: DeliveryState, cause: str, bound: int) -> int:
    to = DeferredState.EXHAUSTED if state is DeliveryState.EXHAUSTED else DeferredState.CANCELED
    count = after = 0
    while True:
        rows = await engine.store.deliveries.deferred(destination=sender.number, states=OPEN, after=after, limit=_SLICE)
        due = [row for row in rows if row.offset <= bound]
        if not engine.has(sender):
            return count
        for row in due:
            sender.waiting.remove(row.offset)
            engine.settler.put(msgspec.structs.replace(row, state=to, cause=cause))
            if row.key:
                sender.release_key(row)
        _count(sender, state, len(due))
        count += len(due)
        if due:
            engine.settler.lane(sender.lane)
            engine.settler.due()
            await engine.settler.flush()
        if len(rows) < _SLICE or len(due) < len(rows):
            return count
        after = rows[-1].offset


async def _range(engine: DeliverEngine, sender: Sender, state: DeliveryState, cause: str, bound: int) -> int:
    """What the lane still owes, in one step of the loop: counted before, for a halted lane owes the same until then."""
    lane = sender.lane
    committed_offset = lane.committed_offset()
    if committed_offset is None or committed_offset >= bound:
        return 0
    count, after = 0, committed_offset
    while True:
        offsets = await engine.scan(sender.number, after, bound, _SLICE)
        count += sum(map(lane.is_open, offsets))
        if len(offsets) < _SLICE:
            break
        after = offsets[-1]
    if not engine.has(sender):
        return 0
    for offset in [offset for offset in lane.open if offset <= bound]:
        lane.finish(offset)
    if not lane.live and lane.fed_to < bound:
        lane.fed_to = bound
    if count:
        one = RangeSettlement(sender.number, committed_offset, bound, state, cause, engine.clock.now_us())
        _remember(engine.ranges, one)
        engine.settler.range(one)
        _count(sender, state, count)
    lane.touched = True
    engine.settler.lane(lane)
    engine.settler.due()
    return count


def _remember(ranges: list[RangeSettlement], one: RangeSettlement) -> None:
    """As the store keeps it: the last range of a destination grows when the new one says the same."""
    i = next((i for i in reversed(range(len(ranges))) if ranges[i].destination == one.destination), None)
    if i is not None and (ranges[i].state, ranges[i].cause) == (one.state, one.cause):
        ranges[i] = msgspec.structs.replace(ranges[i], upto=one.upto, at_us=one.at_us)
    else:
        ranges.append(one)


def _count(sender: Sender, state: DeliveryState, count: int) -> None:
    if state is DeliveryState.EXHAUSTED:
        sender.lane.exhausted += count
    else:
        sender.lane.canceled += count
