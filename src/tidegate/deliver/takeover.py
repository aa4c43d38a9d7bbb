"""How the lanes of a partition arrive on this node: from what is durable to being fed, without a gap and without a
send.

Positions, deferred deliveries and the mark of the partition come from the store; then the log is read from the mark
on, once for
all lanes, until nothing is left between what was read and what is told. Senders stay halted: nothing goes out before
the engine has made durable that the partition now stands at its mark. Crash at any point: the partition still stands
at its old mark, and the next node reads the same again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.load_deferred import fill
from tidegate.deliver.sender import Sender
from tidegate.runtime import ActiveDestination
from tidegate.store import Standing, partition_of

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine

_SCAN = 4096


Unmet = dict[int, LaneCursor]


async def arrive(engine: DeliverEngine, partitions: frozenset[int]) -> tuple[dict[int, Sender], Unmet]:
    """Halted senders of `partitions` by destination, offered everything told, and the lanes of destinations that this
    node has not heard of. The caller adopts both in this step.
    """
    standing = await engine.store.deliveries.load(partitions)
    await _hear_of(engine, standing)
    engine.ranges = list(await engine.store.deliveries.ranges())
    senders: dict[int, Sender] = {}
    unmet: Unmet = {}
    for row in standing.lanes:
        destination = _destination(engine, row.destination)
        if destination is None:
            unmet[row.destination] = LaneCursor(row.destination, standing.high_water_mark_of(row.destination), row)
            continue
        sender = _halted(engine.new_sender(destination, row, standing.high_water_mark_of(row.destination)))
        await fill(engine, sender)
        senders[row.destination] = sender
    await _catch_up(engine, standing.high_water_marks, senders, unmet)
    return senders, unmet


async def _hear_of(engine: DeliverEngine, standing: Standing) -> None:
    """Wait until the log has told us as much as the lanes have seen: a node that comes from behind would else be told
    again, as new, what the one before it had delivered already.
    """
    seen = max(standing.high_water_marks.values(), default=0)
    for lane in standing.lanes:
        seen = max(seen, lane.committed_offset or 0, *lane.settled_ahead[-1:])
    while engine.log.published_offset < seen:  # noqa: ASYNC110 - the log tells within a quarter of a second
        await asyncio.sleep(0.01)


def _destination(engine: DeliverEngine, number: int) -> ActiveDestination | None:
    return engine.active.by_number.get(number) or engine.active.tombstone_of(number)


def _halted(sender: Sender) -> Sender:
    sender.halted = True
    return sender


async def _catch_up(
    engine: DeliverEngine, high_water_marks: Mapping[int, int], senders: dict[int, Sender], unmet: Unmet
) -> None:
    """Offer what lies between the marks and what is told; on return they meet."""
    log = engine.log
    committed_offset = min(high_water_marks.values(), default=log.published_offset)
    while committed_offset < log.published_offset:
        upto = log.published_offset
        rows = await log.scan(committed_offset, upto, _SCAN)
        audiences = log.audiences()
        for offset, audience in rows:
            for number, _ in audiences[audience].wanted:
                if offset > high_water_marks.get(partition_of(number), offset):
                    _offer(engine, senders, unmet, high_water_marks[partition_of(number)], number, offset)
        committed_offset = rows[-1][0] if len(rows) == _SCAN else upto


def _offer(
    engine: DeliverEngine, senders: dict[int, Sender], unmet: Unmet, high_water_mark: int, number: int, offset: int
) -> None:
    sender = senders.get(number)
    if sender is None:
        destination = _destination(engine, number)
        if destination is None:
            unmet.setdefault(number, LaneCursor(number, high_water_mark)).lag_from(offset)
            return
        sender = senders[number] = _halted(engine.new_sender(destination, None, high_water_mark))
    # Not yet told to the settler: a row of a partition that is not ours in the end must never be written.
    if sender.lane.offer(offset):
        sender.ready.append(offset)
