"""From the table into a sender's memory: what waits for a retry, and what is blocked behind its key.

Read when a lane arrives on this node and when memory ran out of retries while the table has more. Of an unordered
destination the earliest are taken; of an ordered one all, for order needs them. What a row said may be over by the
time it is read, so what memory knew already stays as memory has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tidegate.core.errors import TidegateError
from tidegate.core.model import Deferred, DeferredState
from tidegate.deliver.deferred import FAR_US, LOAD_LIMIT

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine
    from tidegate.deliver.sender import Sender

OPEN = (DeferredState.PENDING, DeferredState.BLOCKED)


async def fill(engine: DeliverEngine, sender: Sender) -> None:
    """A sender that arrives, halted."""
    if not sender.destination.spec.ordered_by:
        rows = await _earliest(engine, sender)
        sender.waiting.loaded(rows)
        _adopt(sender, rows)
        return
    after = 0
    while True:
        rows = await engine.store.deliveries.deferred(
            destination=sender.number, states=OPEN, after=after, limit=LOAD_LIMIT
        )
        _adopt(sender, rows)
        if len(rows) < LOAD_LIMIT:
            return
        after = rows[-1].offset


async def refill(engine: DeliverEngine, sender: Sender) -> None:
    """A sender at work. It must have its desk: a verb that acts on a row meanwhile would be undone."""
    sender.waiting.loading()
    before = sender.flights.keys() | sender.waiting.known.keys()  # these may end while their old rows are read
    try:
        await engine.settler.flush()
        rows = await _earliest(engine, sender)
    except TidegateError:
        sender.waiting.overflow = True  # still unread
        raise
    sender.waiting.loaded(rows)
    _adopt(sender, (row for row in rows if row.offset not in before))


async def _earliest(engine: DeliverEngine, sender: Sender) -> list[Deferred]:
    return await engine.store.deliveries.deferred(destination=sender.number, due_before_us=FAR_US, limit=LOAD_LIMIT)


def _adopt(sender: Sender, rows: Iterable[Deferred]) -> None:
    """Take PENDING and PARKED rows into memory."""
    for one in rows:
        if one.state is DeferredState.PENDING:
            sender.waiting.add(one)
            if one.key:
                sender.lines.open(one.key, blocked=True)
        elif one.state is DeferredState.BLOCKED:
            sender.lines.open(one.key, blocked=True).behind.append(one.offset)
