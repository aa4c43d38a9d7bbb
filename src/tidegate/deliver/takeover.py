"""How the lanes of a share arrive on this node: from what is durable to being fed, without a gap and without a send.

Positions, exceptions and the mark of the share come from the store; then the log is read from the mark on, once for
all lanes, until nothing is left between what was read and what is told. Senders stay halted: nothing goes out before
the engine has made durable that the share now stands at its mark. Crash at any point: the share still stands at its
old mark, and the next node reads the same again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.load_deferred import fill
from tidegate.deliver.sender import Sender
from tidegate.runtime import LiveDestination
from tidegate.store import Standing, share_of

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine

_SCAN = 4096


Unmet = dict[int, LaneCursor]


async def arrive(engine: DeliverEngine, shares: frozenset[int]) -> tuple[dict[int, Sender], Unmet]:
    """Halted senders of `shares` by destination, offered everything told, and the lanes of destinations that this node
    has not heard of. The caller adopts both in this step.
    """
    standing = await engine.store.deliveries.load(shares)
    await _hear_of(engine, standing)
    engine.ranges = list(await engine.store.deliveries.ranges())
    senders: dict[int, Sender] = {}
    unmet: Unmet = {}
    for row in standing.lanes:
        destination = _destination(engine, row.destination)
        if destination is None:
            unmet[row.destination] = LaneCursor(row.destination, standing.mark_of(row.destination), row)
            continue
        sender = _halted(engine.new_sender(destination, row, standing.mark_of(row.destination)))
        await fill(engine, sender)
        senders[row.destination] = sender
    await _catch_up(engine, standing.marks, senders, unmet)
    return senders, unmet


async def _hear_of(engine: DeliverEngine, standing: Standing) -> None:
    """Wait until the log has told us as much as the lanes have seen: a node that comes from behind would else be told
    again, as new, what the one before it had delivered already.
    """
    seen = max(standing.marks.values(), default=0)
    for lane in standing.lanes:
        seen = max(seen, lane.position or 0, *lane.ahead[-1:])
    while engine.log.told < seen:  # noqa: ASYNC110 - the log tells within a quarter of a second
        await asyncio.sleep(0.01)


def _destination(engine: DeliverEngine, number: int) -> LiveDestination | None:
    return engine.live.by_number.get(number) or engine.live.husk(number)


def _halted(sender: Sender) -> Sender:
    sender.halted = True
    return sender


async def _catch_up(engine: DeliverEngine, marks: Mapping[int, int], senders: dict[int, Sender], unmet: Unmet) -> None:
    """Offer what lies between the marks and what is told; on return they meet."""
    log = engine.log
    position = min(marks.values(), default=log.told)
    while position < log.told:
        upto = log.told
        rows = await log.scan(position, upto, _SCAN)
        audiences = log.audiences()
        for offset, audience in rows:
            for number, _ in audiences[audience].wanted:
                if offset > marks.get(share_of(number), offset):
                    _offer(engine, senders, unmet, marks[share_of(number)], number, offset)
        position = rows[-1][0] if len(rows) == _SCAN else upto


def _offer(
    engine: DeliverEngine, senders: dict[int, Sender], unmet: Unmet, mark: int, number: int, offset: int
) -> None:
    sender = senders.get(number)
    if sender is None:
        destination = _destination(engine, number)
        if destination is None:
            unmet.setdefault(number, LaneCursor(number, mark)).lag_from(offset)
            return
        sender = senders[number] = _halted(engine.new_sender(destination, None, mark))
    # Not yet told to the settler: a row of a share that is not ours in the end must never be written.
    if sender.lane.offer(offset):
        sender.ready.append(offset)
